"""Open addressing with linear probing: a hash table from a key to its index in an array of keys.

A slot holds (tag << 32) | (index + 1), or 0 while it is free. The tag is 31 bits of the key's hash: where the
tags differ, the keys do, and the key itself need not be read. A slot has eight bytes; the load factor is at
most 5/8.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minids.lm import njit

# Hashes are unsigned: the compiler assumes that signed products never overflow.
FACTOR = np.uint64(0x2545F4914F6CDD1D)
_FACTOR_2 = np.uint64(0x5851F42D4C957F2D)
_FNV_PRIME = np.uint64(0x100000001B3)
FNV_BASIS = np.uint64(0xCBF29CE484222325)  # the FNV-1a hash of no bytes
PREFETCH_DISTANCE = 16  # keys; by the time a key is looked up, its slot has come from memory


@njit(nogil=True)
def hash64(key):
    """A hash of a 64-bit key; each of its bits depends on both halves of the key."""
    product = np.uint64(key) * FACTOR
    return (product ^ product >> np.uint64(32)) * _FACTOR_2


@njit(nogil=True)
def fnv1a(code, byte):
    """The FNV-1a hash of bytes: from the hash of those before and one more byte. It starts with FNV_BASIS."""
    return (code ^ np.uint64(byte)) * _FNV_PRIME


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
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(call, [address, *(number(n) for n in (1, 3, 1))])  # write, high locality, data
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@njit(nogil=True)
def first_probe(key, slots):
    """The slot where the search for a key starts, and the key's tag."""
    code = hash64(key)
    return np.int64(code & np.uint64(len(slots) - 1)), np.int64(code >> np.uint64(33))


def grow(array: np.ndarray, capacity: int) -> np.ndarray:
    """The array with at least `capacity` entries; the new ones are 0."""
    if capacity <= len(array):
        return array
    larger = np.zeros(max(capacity, len(array) * 3 // 2), array.dtype)
    larger[: len(array)] = array
    return larger


def rehash(slots: np.ndarray, keys: np.ndarray, capacity: int) -> np.ndarray:
    """The hash table of these keys, enlarged if it is too small for `capacity` keys.

    It is enlarged in place, so that the old and the new one are never in memory at once.
    """
    size = len(slots)
    while size * 5 < capacity * 8:
        size *= 2
    if size > len(slots):
        slots.resize(size, refcheck=False)
        slots.fill(0)
        _insert(slots, keys)
    return slots


@njit(nogil=True)
def _insert(slots, keys):
    for index in range(len(keys)):
        if index + PREFETCH_DISTANCE < len(keys):
            prefetch(slots, first_probe(keys[index + PREFETCH_DISTANCE], slots)[0])  # type: ignore[call-arg]
        slot, tag = first_probe(keys[index], slots)
        while slots[slot] != 0:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = tag << 32 | (index + 1)
