"""The edit distance by dynamic programming: the compiled part of minids.metrics."""

import numpy as np

from minids._utils.compile_cache import cached_njit

njit = cached_njit("edit_distance.py")

# One integer holds the errors in its high bits and the substitutions in its low bits: the minimum has the
# fewest errors and, among those, the fewest substitutions, hence the most correct words.
_ERROR = 1 << 32
DIAGONAL, DOWN, RIGHT = range(3)


def best_steps(ref: np.ndarray, hyp: np.ndarray) -> np.ndarray:
    """How the best alignments reach each cell (i, j): DIAGONAL, DOWN or RIGHT. ref and hyp are word ids."""
    steps = np.empty((len(ref) + 1, len(hyp) + 1), np.uint8)
    _cost(ref, hyp, np.empty(len(hyp) + 1, np.int64), steps)
    return steps


@njit()
def _cost(ref, hyp, row, steps):
    """errors · 2³² + substitutions of the best alignment. row[j] holds this cost for ref[:i], hyp[:j].

    steps (len(ref) + 1, len(hyp) + 1), unless None, receives the step that led to each cell.
    """
    for j in range(len(hyp) + 1):
        row[j] = j * _ERROR
        if steps is not None:
            steps[0, j] = RIGHT
    for i in range(1, len(ref) + 1):
        diagonal = row[0]  # the cost at (i-1, j-1)
        row[0] = left = i * _ERROR
        if steps is not None:
            steps[i, 0] = DOWN
        for j in range(1, len(hyp) + 1):
            pair = diagonal + (0 if ref[i - 1] == hyp[j - 1] else _ERROR + 1)
            diagonal = up = row[j]
            if steps is not None:
                steps[i, j] = DIAGONAL if pair <= min(up, left) + _ERROR else DOWN if up <= left else RIGHT
            without_left = min(pair, up + _ERROR)  # computed first: the loop waits only for its left neighbor
            row[j] = left = min(without_left, left + _ERROR)
    return row[len(hyp)]


@njit()
def count_edits(ref, ref_starts, hyp, hyp_starts):
    """The counts (n, 4) of n pairs: D + I = errors - S and D - I = len(ref) - len(hyp) give D and I."""
    n = len(ref_starts) - 1
    counts = np.empty((n, 4), np.int64)
    row = np.empty(np.max(np.diff(hyp_starts)) + 1 if n else 1, np.int64)
    for i in range(n):
        r = ref[ref_starts[i] : ref_starts[i + 1]]
        h = hyp[hyp_starts[i] : hyp_starts[i + 1]]
        begin = end = 0  # a common beginning and end are correct in a best alignment too: skip them
        while begin < min(len(r), len(h)) and r[begin] == h[begin]:
            begin += 1
        while end < min(len(r), len(h)) - begin and r[-1 - end] == h[-1 - end]:
            end += 1
        cost = _cost(r[begin : len(r) - end], h[begin : len(h) - end], row, None)
        errors, substitutions = cost // _ERROR, cost % _ERROR
        deletions = (errors - substitutions + len(r) - len(h)) // 2
        counts[i, 0] = substitutions
        counts[i, 1] = deletions
        counts[i, 2] = errors - substitutions - deletions
        counts[i, 3] = len(r)
    return counts
