"""What the memory accesses of a launch would cost on a GPU, counted from a trace.

The 32 threads of a warp execute an instruction together. In a trace, the accesses of one instruction are
those of the same warp, array and kind with the same number, counted in each thread from its last barrier.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from minids.cuda_simulator.options import Access

BANKS = 32  # of shared memory; word w lies in bank w % 32
SECTOR = 8  # words of global memory that are always transferred together
WARP_SIZE = 32
QUARTER = 8  # threads whose 16-byte accesses are handled at a time


class Cost(NamedTuple):
    """What `cost` counts.

    far_reads     numbers that threads read from global memory
    sectors       pieces of 32 bytes that are transferred from and to global memory, once for each instruction
                  of a warp that needs them
    loads         instructions of warps that read memory
    wavefronts    of all accesses of shared memory, see `wavefronts`
    """

    far_reads: int
    sectors: int
    loads: int
    wavefronts: int


def cost(accesses: Sequence[Access]) -> Cost:
    """The cost of a trace."""
    instructions: dict[tuple, dict[int, list[int]]] = {}  # of a warp: {thread: words}
    seen: Counter[tuple] = Counter()
    for access in accesses:
        where = access.shared, access.kind, access.array, access.block, access.epoch
        seen[where, access.number] += access.part == 0
        key = *where, access.number // WARP_SIZE, seen[where, access.number]
        instructions.setdefault(key, {}).setdefault(access.number, []).append(access.word)
    far, near = (
        [threads for (shared, *_), threads in instructions.items() if shared == is_shared]
        for is_shared in (False, True)
    )
    return Cost(
        far_reads=sum(access.kind == "read" and not access.shared for access in accesses),
        sectors=sum(len({w // SECTOR for words in threads.values() for w in words}) for threads in far),
        loads=sum(kind == "read" for (_, kind, *_) in instructions),
        wavefronts=sum(map(_wavefronts_of_warp, near)),
    )


def wavefronts(words: Sequence[int]) -> int:
    """How many wavefronts an access of shared memory takes, in which threads access these words together.

    Each bank delivers one word per wavefront, to as many threads as want it: as many wavefronts are needed as
    there are different words in the fullest bank.
    """
    return max(Counter(word % BANKS for word in set(words)).values(), default=0)


def _wavefronts_of_warp(threads: dict[int, list[int]]) -> int:
    """The wavefronts of one instruction of a warp. 16-byte accesses are handled a quarter of a warp at a time
    (NVIDIA does not document what happens when quarters want the same words; here they do not share them)."""
    at_once = QUARTER if max(map(len, threads.values())) > 1 else WARP_SIZE
    parts: dict[int, list[int]] = {}
    for number, words in threads.items():
        parts.setdefault(number // at_once, []).extend(words)
    return sum(map(wavefronts, parts.values()))
