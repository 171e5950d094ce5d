"""What the memory accesses of a launch would cost on a GPU, counted from a trace.

The 32 threads of a warp execute an instruction together. In a trace, the accesses of one instruction are
those of the same warp, array and kind with the same number, counted in each thread from its last barrier.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from minids.cuda_simulator.options import Access

BANKS = 32  # of shared memory; word w lies in bank w % 32
WARP_SIZE = 32
QUARTER = 8  # threads whose 16-byte accesses are handled at a time


class Cost(NamedTuple):
    """far_reads: numbers that threads read from global memory. loads: instructions of warps that read memory.
    wavefronts: of all accesses of shared memory, see `wavefronts`.
    """

    far_reads: int
    loads: int
    wavefronts: int


def cost(accesses: Sequence[Access]) -> Cost:
    """The cost of a trace."""
    instructions: dict[tuple, dict[int, list[Access]]] = {}  # of a warp: {thread: accesses}
    seen: Counter[tuple] = Counter()
    for access in accesses:
        where = access.block, access.epoch, access.array, access.kind
        seen[where, access.number] += access.part == 0
        key = *where, access.number // WARP_SIZE, seen[where, access.number]
        instructions.setdefault(key, {}).setdefault(access.number, []).append(access)
    far_reads = sum(access.kind == "read" and access.shared_word is None for access in accesses)
    loads = sum(kind == "read" for (_, _, _, kind, _, _) in instructions)
    return Cost(far_reads, loads, sum(_of_instruction(threads) for threads in instructions.values()))


def wavefronts(words: Sequence[int]) -> int:
    """How many wavefronts an access of shared memory takes, in which threads access these words together.

    Each bank delivers one word per wavefront, to as many threads as want it: as many wavefronts are needed as
    there are different words in the fullest bank.
    """
    return max(Counter(word % BANKS for word in set(words)).values(), default=0)


def _of_instruction(threads: dict[int, list[Access]]) -> int:
    """The wavefronts of one instruction of a warp. 16-byte accesses are handled a quarter of a warp at a time
    (NVIDIA does not document what happens when quarters want the same words; here they do not share them)."""
    words = {number: [a.shared_word for a in accesses] for number, accesses in threads.items()}
    if None in next(iter(words.values())):
        return 0
    at_once = QUARTER if max(map(len, words.values())) > 1 else WARP_SIZE
    parts: dict[int, list[int]] = {}
    for number, of_thread in words.items():
        parts.setdefault(number // at_once, []).extend(of_thread)  # type: ignore[arg-type]
    return sum(wavefronts(part) for part in parts.values())
