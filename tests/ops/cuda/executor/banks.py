"""Counts how often a kernel's accesses of shared memory wait for its banks."""

from typing import NamedTuple

import numpy as np

LANES = np.arange(32)
BANKS = 32  # word w lies in bank w % 32
ACCESS = np.dtype([("thread", "u4"), ("place", "u4"), ("address", "u4"), ("size", "u4")])  # runtime.h


class Wavefronts(NamedTuple):
    """Of one instruction: how often warps executed it, and how many wavefronts that took in all.

    In a wavefront each bank delivers one word, to as many lanes as want it.
    """

    instruction: str
    executed: int
    wavefronts: int


def wavefronts(accesses: np.ndarray, instructions: list[str]) -> list[Wavefronts]:
    """Of each instruction that accessed shared memory, from the accesses of a block's threads in order.

    What the lanes of a warp do in their n-th execution of an instruction counts as done together. 128 bytes
    are accessed at a time: by 32 lanes 4 bytes each, by 16 lanes 8, by 8 lanes 16; by twice as many if all
    neighbors (n, n ^ 1), or all (n, n ^ 2), want the same.
    """
    a = accesses[np.lexsort((accesses["thread"], accesses["place"]))]
    new = np.flatnonzero(
        np.diff(a["thread"], prepend=-1).astype(bool) | np.diff(a["place"], prepend=0).astype(bool)
    )
    repeated = np.arange(len(a)) - np.repeat(new, np.diff(new, append=len(a)))
    together = np.stack([a["place"], a["thread"] // 32, repeated], axis=1)
    together, group = np.unique(together, axis=0, return_inverse=True)
    group, lane, size = group.reshape(-1), a["thread"] % 32, np.zeros(len(together), int)
    size[group] = a["size"]
    address = np.full((len(together), 32), -1, np.int64)
    address[group, lane] = a["address"]
    at_once = np.where(_paired(address, 1) | _paired(address, 2), 256, 128) // np.maximum(size, 4)
    part = group * 8 + lane // at_once[group]
    words = np.maximum(size[group] // 4, 1)
    word = (
        np.repeat(a["address"] // 4, words)
        + np.arange(words.sum())
        - np.repeat(words.cumsum() - words, words)
    )
    different = np.unique(np.repeat(part, words) << 32 | word)
    bank, count = np.unique(different >> 32 << 5 | different % BANKS, return_counts=True)
    fullest = np.zeros(8 * len(together), int)
    np.maximum.at(fullest, bank >> 5, count)
    total, place = fullest.reshape(-1, 8).sum(axis=1), together[:, 0]
    return [
        Wavefronts(instructions[p - 1], int((place == p).sum()), int(total[place == p].sum()))
        for p in np.unique(place)
    ]


def _paired(address, distance):
    other = address[:, LANES ^ distance]
    return ((address == other) | (address < 0) | (other < 0)).all(axis=1)
