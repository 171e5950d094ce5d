"""Sixteen bytes at once: four neighboring float32 in one load or store.

A GPU reads and writes memory in pieces of 32 bytes, and each instruction costs a turn of the scheduler. One
instruction that moves four numbers instead of one is the difference between a kernel that waits for its loads
and one that computes. The address must be a multiple of 16 bytes: see `aligned`.
"""

import numpy as np
from numba import cuda

from minids.ops import driver

_ZERO = np.float32(0)

if driver.simulated():

    def load4(a, i):
        """a[i], a[i+1], a[i+2], a[i+3] of a flat array; i is a multiple of 4."""
        assert i % 4 == 0, f"load4 at {i}: not a multiple of 16 bytes"
        return a[i], a[i + 1], a[i + 2], a[i + 3]

    def store4(a, i, values):
        """a[i : i+4] = values, four of them; i is a multiple of 4."""
        assert i % 4 == 0, f"store4 at {i}: not a multiple of 16 bytes"
        a[i], a[i + 1], a[i + 2], a[i + 3] = values

    def address(a) -> int:
        """Where a device array begins."""
        return a._array.ctypes.data

else:
    from llvmlite import ir
    from numba.cuda import cgutils, types
    from numba.cuda.extending import intrinsic
    from numba.cuda.np import arrayobj
    from numba.cuda.typing import signature

    _INT = ir.IntType(32)
    _FOUR = ir.VectorType(ir.FloatType(), 4)

    def _pointer(context, builder, array_type, array, index, index_type):
        """The address of array[index], as that of four floats."""
        struct = arrayobj.make_array(array_type)(context, builder, array)
        at = [context.cast(builder, index, index_type, types.intp)]
        pointer = cgutils.get_item_pointer(context, builder, array_type, struct, at, wraparound=False)
        return builder.bitcast(pointer, _FOUR.as_pointer(pointer.type.addrspace))

    @intrinsic
    def load4(typing_context, a, i):
        def generate(context, builder, sig, args):
            four = builder.load(
                _pointer(context, builder, sig.args[0], args[0], args[1], sig.args[1]), align=16
            )
            return cgutils.pack_array(builder, [builder.extract_element(four, _INT(j)) for j in range(4)])

        return signature(types.UniTuple(types.float32, 4), a, i), generate

    @intrinsic
    def store4(typing_context, a, i, values):
        def generate(context, builder, sig, args):
            four = ir.Constant(_FOUR, ir.Undefined)
            for j in range(4):
                value = builder.extract_value(args[2], j)
                value = context.cast(builder, value, sig.args[2][j], types.float32)
                four = builder.insert_element(four, value, _INT(j))
            at = _pointer(context, builder, sig.args[0], args[0], args[1], sig.args[1])
            builder.store(four, at, align=16)
            return context.get_dummy_value()

        return signature(types.void, a, i, values), generate

    def address(a) -> int:
        return a.__cuda_array_interface__["data"][0]


@cuda.jit(device=True)
def four_at_once(source, start, inside):
    """Four neighbors from a multiple of 4 on, of which `inside` lie in the matrix: all, or none."""
    if inside > 0:
        return load4(source, start)
    return _ZERO, _ZERO, _ZERO, _ZERO


@cuda.jit(device=True)
def four_singly(source, start, inside):
    """The same from anywhere; what lies outside the matrix is zero."""
    a = source[start] if inside > 0 else _ZERO
    b = source[start + 1] if inside > 1 else _ZERO
    c = source[start + 2] if inside > 2 else _ZERO
    d = source[start + 3] if inside > 3 else _ZERO
    return a, b, c, d


@cuda.jit(device=True)
def store_four_at_once(target, start, inside, values):
    """Where four_at_once reads."""
    if inside > 0:
        store4(target, start, values)


@cuda.jit(device=True)
def store_four_singly(target, start, inside, values):
    """Where four_singly reads: what lies outside the matrix is left out."""
    if inside > 0:
        target[start] = values[0]
    if inside > 1:
        target[start + 1] = values[1]
    if inside > 2:
        target[start + 2] = values[2]
    if inside > 3:
        target[start + 3] = values[3]


def aligned(*arrays) -> bool:
    """Whether all rows of these device arrays start at multiples of 16 bytes: each may be read in fours."""
    return all(a.shape[-1] % 4 == 0 and address(a) % 16 == 0 for a in arrays)
