"""Open addressing: a hash table that finds the number of a key, among keys that are stored elsewhere.

A slot holds (tag << 32) | (number + 1), or 0 while it is free. The tag is 31 bits of the key's hash: where it
differs, the key does, and needs no look. Eight bytes a slot, at most five eighths of them used.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Unsigned, as all of a hash must be: the compiler takes it that signed products never overflow.
FACTOR = np.uint64(0x2545F4914F6CDD1D)
_FACTOR_2 = np.uint64(0x5851F42D4C957F2D)
_PRIME = np.uint64(0x100000001B3)
BASIS = np.uint64(0xCBF29CE484222325)  # the hash of no bytes
AHEAD = 16  # keys; by then the slot of one has come from memory


@njit(cache=True, nogil=True)
def mix(key):
    """A hash of a key of 64 bits: each bit of it depends on both halves of the key."""
    mixed = np.uint64(key) * FACTOR
    return (mixed ^ mixed >> np.uint64(32)) * _FACTOR_2


@njit(cache=True, nogil=True)
def fnv(mixed, byte):
    """FNV-1a, a hash of bytes: that of one more, from that of those before it, of none `BASIS`."""
    return (mixed ^ np.uint64(byte)) * _PRIME


@intrinsic
def prefetch(typing, array, index):
    """Fetch array[index] from memory while the processor does something else."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        call = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte, number, number, number]),
            "llvm.prefetch.p0i8",
        )
        place = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(call, [place, *(number(n) for n in (1, 3, 1))])  # to write, to keep, data
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def grown(array: np.ndarray, size: int) -> np.ndarray:
    """The array with room for `size` entries, zeros behind those there were."""
    if size <= len(array):
        return array
    larger = np.zeros(max(size, len(array) * 3 // 2), array.dtype)
    larger[: len(array)] = array
    return larger


def roomy(table: np.ndarray, keys: np.ndarray, used: int, most: int) -> np.ndarray:
    """The table of the first `used` keys with room for `most` in all."""
    size = len(table)
    while size * 5 < most * 8:
        size *= 2
    if size == len(table):
        return table
    larger = np.zeros(size, np.int64)
    _fill(larger, keys[:used])
    return larger


@njit(cache=True, nogil=True)
def _fill(table, keys):
    for number in range(len(keys)):
        if number + AHEAD < len(keys):
            prefetch(table, home(keys[number + AHEAD], table)[0])  # type: ignore[call-arg]
        slot, tag = home(keys[number], table)
        while table[slot] != 0:
            slot = (slot + 1) & (len(table) - 1)
        table[slot] = tag << 32 | (number + 1)


@njit(cache=True, nogil=True)
def home(key, table):
    """The slot where the search for a key begins, and the key's tag."""
    mixed = mix(key)
    return np.int64(mixed & np.uint64(len(table) - 1)), np.int64(mixed >> np.uint64(33))
