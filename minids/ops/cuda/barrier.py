"""A barrier of blocks in two parts, and addresses in 32 bits: what the recurrence needs and Numba lacks.

A block arrives, and later waits for the others, which must all be on the GPU. What it wrote before it
arrived, they can read after they have waited. In between it may do what does not depend on them. Numba has a
barrier of the whole grid in one part, `cuda.cg.this_grid().sync()`: it holds both directions, and needs a
library that not every installation has.
"""

from minids.ops import driver
from minids.ops.cuda.device import cuda

if driver.simulated():
    from minids.cuda_simulator.intrinsics import arrive, global_from, narrow, thread_index, wait
else:
    from llvmlite import ir
    from numba.cuda import cgutils, types
    from numba.cuda.extending import intrinsic
    from numba.cuda.np import arrayobj
    from numba.cuda.typing import signature

    _INT, _LONG = ir.IntType(32), ir.IntType(64)

    def _assembly(builder, code, constraints, result, operands, side_effect=False):
        function = ir.FunctionType(result, [operand.type for operand in operands])
        return builder.call(ir.InlineAsm(function, code, constraints, side_effect), operands)

    def _element(context, builder, sig, args):
        """An array, and the address of its element with the index that is the second argument."""
        array = arrayobj.make_array(sig.args[0])(context, builder, args[0])
        at = [context.cast(builder, args[1], sig.args[1], types.intp)]
        return array, cgutils.get_item_pointer(context, builder, sig.args[0], array, at, wraparound=False)

    @intrinsic
    def _count(typing_context, arrivals, i):
        """arrivals[i] += 1. A block that sees it sees all that this block wrote before its last barrier."""

        def generate(context, builder, sig, args):
            code, (_, address) = (
                "red.release.gpu.global.add.u32 [$0], 1;",
                _element(context, builder, sig, args),
            )
            _assembly(builder, code, "l,~{memory}", ir.VoidType(), [address], side_effect=True)
            return context.get_dummy_value()

        return signature(types.void, arrivals, i), generate

    @intrinsic
    def _counted(typing_context, arrivals, i):
        """arrivals[i] now. Loads that follow, also of other threads after a barrier, are not older."""

        def generate(context, builder, sig, args):
            code, (_, address) = "ld.acquire.gpu.global.u32 $0, [$1];", _element(context, builder, sig, args)
            return _assembly(builder, code, "=r,l,~{memory}", _INT, [address], side_effect=True)

        return signature(types.int32, arrivals, i), generate

    @cuda.jit(device=True)
    def arrive(arrivals, i):
        """Count this block in arrivals[i], which was 0 before the first arrival."""
        cuda.syncthreads()
        if cuda.threadIdx.x == 0:
            _count(arrivals, i)

    @cuda.jit(device=True)
    def wait(arrivals, i, count):
        """Wait until blocks have arrived `count` times; a block waits as often as it has arrived before."""
        if cuda.threadIdx.x == 0:
            while _counted(arrivals, i) < count:
                pass
        cuda.syncthreads()

    @intrinsic
    def narrow(typing_context, x):
        """x as uint32, for addresses: the compiler would compute 64 bits and remove the upper ones later."""

        def generate(context, builder, sig, args):
            number = context.cast(builder, args[0], sig.args[0], types.uint32)
            return _assembly(builder, "mov.b32 $0, $1;", "=r,r", _INT, [number])

        return signature(types.uint32, x), generate

    @intrinsic
    def thread_index(typing_context):
        """threadIdx.x, read again: what follows from it is computed here, and takes no registers before."""

        def generate(context, builder, sig, args):
            return _assembly(builder, "mov.u32 $0, %tid.x;", "=r", _INT, [], side_effect=True)

        return signature(types.uint32), generate

    @intrinsic  # type: ignore[no-redef]
    def global_from(typing_context, array, start):
        """The elements from array[start] on, with indices of type uint32.

        The address says that they are in global memory, which the compiler does not find out if a kernel
        chooses between arrays.
        """

        def generate(context, builder, sig, args):
            view, address = _element(context, builder, sig, args)
            number = _assembly(builder, "cvta.to.global.u64 $0, $1;", "=l,l", _LONG, [address])
            in_global = builder.inttoptr(number, ir.PointerType(address.type.pointee, addrspace=1))
            view.data = builder.addrspacecast(in_global, address.type)
            return view._getvalue()

        return signature(array, array, start), generate
