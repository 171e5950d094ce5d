"""What blocks have in common while they run: global memory, and a barrier in two parts.

A block arrives, and later waits for the others, which must all be on the GPU. What it wrote before it
arrived, they can read after they have waited. In between it may do what does not depend on them, such as
loading its next inputs. Numba has a barrier of the whole grid in one part, `cuda.cg.this_grid().sync()`; it
is slower, and needs a library that not every installation has.
"""

from minids.ops import driver
from minids.ops.cuda.device import cuda

if driver.simulated():

    def arrive(arrivals, i):
        """Count this block in arrivals[i], which was 0 before the first arrival."""

    def wait(arrivals, i, count):
        """Wait until `count` blocks have arrived; a block waits as often as it has arrived before."""
        cuda.cg.this_grid().sync()

    class global_from:
        """The elements of a flat array from array[start] on, with indices of type uint32."""

        def __init__(self, array, start):
            self._array, self._start = array, start

        def __getitem__(self, i):
            return self._array[self._start + int(i)]

        def load4(self, i):
            return self._array.load4(self._start + int(i))

else:
    from llvmlite import ir
    from numba.cuda import cgutils, types
    from numba.cuda.extending import intrinsic
    from numba.cuda.np import arrayobj
    from numba.cuda.typing import signature

    _LONG = ir.IntType(64)

    def _assembly(context, builder, sig, args, result, code, constraints):
        """Inline assembly with the address of array[index], the two arguments."""
        array = arrayobj.make_array(sig.args[0])(context, builder, args[0])
        at = [context.cast(builder, args[1], sig.args[1], types.intp)]
        pointer = cgutils.get_item_pointer(context, builder, sig.args[0], array, at, wraparound=False)
        # accesses of memory are not moved past it, and values not kept in registers
        function = ir.FunctionType(result, [pointer.type])
        asm = ir.InlineAsm(function, code, constraints, side_effect="memory" in constraints)
        return array, builder.call(asm, [pointer])

    @intrinsic
    def _count_release(typing_context, arrivals, i):
        """arrivals[i] += 1. Whoever sees it sees all that this thread has seen or written before."""

        def generate(*compilation):
            code = "red.release.gpu.global.add.u32 [$0], 1;"
            _assembly(*compilation, ir.VoidType(), code, "l,~{memory}")
            return compilation[0].get_dummy_value()

        return signature(types.void, arrivals, i), generate

    @intrinsic
    def _load_acquire(typing_context, arrivals, i):
        """arrivals[i] now; what was written before it was counted can be read from now on."""

        def generate(*compilation):
            code = "ld.acquire.gpu.global.u32 $0, [$1];"
            return _assembly(*compilation, ir.IntType(32), code, "=r,l,~{memory}")[1]

        return signature(types.int32, arrivals, i), generate

    @intrinsic
    def global_from(typing_context, array, start):
        """Addresses then take 32-bit arithmetic, and a kernel may choose between arrays: the compiler is told
        that the memory is global, which it would not find out."""

        def generate(context, builder, sig, args):
            code = "cvta.to.global.u64 $0, $1;"
            struct, number = _assembly(context, builder, sig, args, _LONG, code, "=l,l")
            pointer = struct.data.type
            in_global = builder.inttoptr(number, ir.PointerType(pointer.pointee, addrspace=1))
            struct.data = builder.addrspacecast(in_global, pointer)
            return struct._getvalue()

        return signature(array, array, start), generate

    @cuda.jit(device=True)
    def arrive(arrivals, i):
        cuda.syncthreads()
        if cuda.threadIdx.x == 0:
            _count_release(arrivals, i)

    @cuda.jit(device=True)
    def wait(arrivals, i, count):
        if cuda.threadIdx.x == 0:
            while _load_acquire(arrivals, i) < count:
                pass
        cuda.syncthreads()
