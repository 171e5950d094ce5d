"""Vectorized memory access: four adjacent float32, 16 bytes, in one load, store or copy.

A GPU accesses memory in sectors of 32 bytes, and every instruction takes a slot of the scheduler. With one
instruction for four numbers a kernel computes instead of waiting for its loads. The address must be a
multiple of 16 bytes, see `aligned`.

From Ampere on, a thread can copy from global to shared memory without waiting and without registers:

    copy_async(…)       starts a copy
    commit_copies()     makes a group of the copies that this thread has started since the last commit
    wait_copies(n)      waits until at most n of this thread's groups are under way, the last ones

After a barrier, all threads see what each of them has waited for.
"""

import numpy as np

from minids.ops import driver
from minids.ops.cuda.device import cuda

_ZERO = np.float32(0)

if driver.simulated():
    from minids.cuda_simulator.intrinsics import (
        address,
        commit_copies,
        copy_async,
        load4,
        store4,
        wait_copies,
    )
else:
    from llvmlite import ir
    from numba.cuda import cgutils, types
    from numba.cuda.extending import intrinsic
    from numba.cuda.np import arrayobj
    from numba.cuda.typing import signature

    _INT, _LONG = ir.IntType(32), ir.IntType(64)
    GLOBAL, SHARED = 1, 3  # address spaces
    _FOUR = ir.VectorType(ir.FloatType(), 4)

    def assembly(builder, text, constraints="", operands=(), result=None, side_effect=True):
        """What inline assembly returns. Without side_effect it may be moved into a branch, or left out."""
        function = ir.FunctionType(result or ir.VoidType(), [operand.type for operand in operands])
        return builder.call(ir.InlineAsm(function, text, constraints, side_effect), operands)

    def element(context, builder, sig, args, which=0):
        """The array args[which], and the address of its element with the index args[which + 1]."""
        array_type, index_type = sig.args[which : which + 2]
        array = arrayobj.make_array(array_type)(context, builder, args[which])
        at = [context.cast(builder, args[which + 1], index_type, types.intp)]
        return array, cgutils.get_item_pointer(context, builder, array_type, array, at, wraparound=False)

    def address_of(context, builder, sig, args, which, space):
        """The address of args[which][args[which + 1]] in an address space, as inline assembly takes it."""
        _, pointer = element(context, builder, sig, args, which)
        pointer = builder.addrspacecast(pointer, pointer.type.pointee.as_pointer(space))
        return builder.ptrtoint(pointer, _INT if space == SHARED else _LONG)

    def _pointer(context, builder, sig, args):
        """The address of args[0][args[1]] as a pointer to four floats."""
        _, pointer = element(context, builder, sig, args)
        return builder.bitcast(pointer, _FOUR.as_pointer(pointer.type.addrspace))

    @intrinsic
    def load4(typing_context, a, i):
        def generate(context, builder, sig, args):
            four = builder.load(_pointer(context, builder, sig, args), align=16)
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
            builder.store(four, _pointer(context, builder, sig, args), align=16)
            return context.get_dummy_value()

        return signature(types.void, a, i, values), generate

    @intrinsic
    def copy_async(typing_context, shared, i, source, j, valid, count):
        if not isinstance(count, types.IntegerLiteral):
            return None  # Numba tries the types of arguments before their values
        size = 4 * count.literal_value
        text = f"cp.async.{'cg' if size == 16 else 'ca'}.shared.global [$0], [$1], {size}, $2;"

        def generate(context, builder, sig, args):
            target = address_of(context, builder, sig, args, 0, SHARED)
            origin = address_of(context, builder, sig, args, 2, GLOBAL)
            is_valid = builder.icmp_signed(">", args[4], args[4].type(0))
            bytes_read = builder.select(is_valid, _INT(size), _INT(0))  # the others are set to zero
            assembly(builder, text, "r,l,r,~{memory}", [target, origin, bytes_read])
            return context.get_dummy_value()

        return signature(types.void, shared, i, source, j, valid, count), generate

    def _statement(text):
        def generate(context, builder, sig, args):
            assembly(builder, text, "~{memory}")
            return context.get_dummy_value()

        return generate

    @intrinsic
    def commit_copies(typing_context):
        return signature(types.void), _statement("cp.async.commit_group;")

    @intrinsic
    def wait_copies(typing_context, n):
        if isinstance(n, types.IntegerLiteral):
            return signature(types.void, n), _statement(f"cp.async.wait_group {n.literal_value};")
        return None  # as in copy_async

    def address(a) -> int:
        return a.__cuda_array_interface__["data"][0]


@cuda.jit(device=True)
def load4_aligned(source, start, valid):
    """source[start : start+4], zeros if `valid` is 0. `start` and `valid` are multiples of 4."""
    if valid > 0:
        return load4(source, start)
    return _ZERO, _ZERO, _ZERO, _ZERO


@cuda.jit(device=True)
def load4_unaligned(source, start, valid):
    """source[start : start+4] for any `start`; elements from the `valid`-th on are not read, but zero."""
    a = source[start] if valid > 0 else _ZERO
    b = source[start + 1] if valid > 1 else _ZERO
    c = source[start + 2] if valid > 2 else _ZERO
    d = source[start + 3] if valid > 3 else _ZERO
    return a, b, c, d


@cuda.jit(device=True)
def store4_aligned(target, start, valid, values):
    """target[start : start+4] = values unless `valid` is 0. `start` and `valid` are multiples of 4."""
    if valid > 0:
        store4(target, start, values)


@cuda.jit(device=True)
def store4_unaligned(target, start, valid, values):
    """target[start : start+4] = values for any `start`; elements from the `valid`-th on are not written."""
    if valid > 0:
        target[start] = values[0]
    if valid > 1:
        target[start + 1] = values[1]
    if valid > 2:
        target[start + 2] = values[2]
    if valid > 3:
        target[start + 3] = values[3]


def aligned(*arrays) -> bool:
    """True if all rows of these device arrays start at multiples of 16 bytes and can be read with load4."""
    return all(a.shape[-1] % 4 == 0 and address(a) % 16 == 0 for a in arrays)
