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
    from numba.cuda import types
    from numba.cuda.extending import intrinsic
    from numba.cuda.typing import signature

    from minids.ops.cuda.vector_io import assembly, element

    _INT, _LONG = ir.IntType(32), ir.IntType(64)

    @intrinsic
    def _count(typing_context, arrivals, i):
        """arrivals[i] += 1. A block that sees it sees all that this block wrote before its last barrier."""

        def generate(context, builder, sig, args):
            _, address = element(context, builder, sig, args)
            assembly(builder, "red.release.gpu.global.add.u32 [$0], 1;", "l,~{memory}", [address])
            return context.get_dummy_value()

        return signature(types.void, arrivals, i), generate

    @intrinsic
    def _counted(typing_context, arrivals, i):
        """arrivals[i] now. Loads that follow, also of other threads after a barrier, are not older."""

        def generate(context, builder, sig, args):
            _, address = element(context, builder, sig, args)
            return assembly(builder, "ld.acquire.gpu.global.u32 $0, [$1];", "=r,l,~{memory}", [address], _INT)

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
            return assembly(builder, "mov.b32 $0, $1;", "=r,r", [number], _INT, side_effect=False)

        return signature(types.uint32, x), generate

    @intrinsic
    def thread_index(typing_context):
        """threadIdx.x, read again: what follows from it is computed here, and takes no registers before."""

        def generate(context, builder, sig, args):
            return assembly(builder, "mov.u32 $0, %tid.x;", "=r", [], _INT)

        return signature(types.uint32), generate

    @intrinsic  # type: ignore[no-redef]
    def global_from(typing_context, array, start):
        """The elements from array[start] on, with indices of type uint32.

        The address says that they are in global memory, which the compiler does not find out if a kernel
        chooses between arrays.
        """

        def generate(context, builder, sig, args):
            view, address = element(context, builder, sig, args)
            to_global = "cvta.to.global.u64 $0, $1;"
            number = assembly(builder, to_global, "=l,l", [address], _LONG, side_effect=False)
            in_global = builder.inttoptr(number, ir.PointerType(address.type.pointee, addrspace=1))
            view.data = builder.addrspacecast(in_global, address.type)
            return view._getvalue()

        return signature(array, array, start), generate
