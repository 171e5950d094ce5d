"""When was each letter spoken? Viterbi forced alignment: the most probable path of a known text.

The lattice is that of the loss (minids/ops/reference/ctc.py), with the maximum instead of the sum:

    v_t(s) = log y_t(l'_s) + max[v_{t-1}(s), v_{t-1}(s-1), v_{t-1}(s-2) if the skip is allowed]

`minids.decode.path.word_times` turns the path into words with their times.
"""

from collections.abc import Sequence
from math import isqrt

import numpy as np

from minids._utils.arguments import integers, real_array
from minids._utils.errors import InputError
from minids.decode.path import CTCPath
from minids.ops.common import min_frames
from minids.ops.reference.ctc import lattice, skips
from minids.text import BLANK


def forced_align(
    log_probs: np.ndarray, labels: Sequence[int] | np.ndarray, extra_space: int = BLANK
) -> CTCPath:
    """log_probs (T, K), natural logarithms, blank first; labels (U,) in 1 … K-1 -> the best path of the text.

    `extra_space`: a label that counts as a blank at the ends of the text and next to itself.

    Time grows with T times U, memory with sqrt(T) times U. Raises ValueError for an invalid label,
    and InputError for a text without a path: too few frames, or a character of probability 0.
    """
    log_probs = real_array("log_probs", log_probs, np.float64, "(T, K)")
    if np.isnan(log_probs).any():
        raise ValueError("log_probs have NaN")
    T, K = log_probs.shape
    labels = integers("labels", labels, 1, K - 1)
    needed = min_frames(labels)
    if needed > T:
        raise InputError(
            f"{T} frames are too few for the text, whose {len(labels)} characters need {needed};"
            " correct the text, or use the whole recording"
        )
    states = lattice(labels)  # (S,)
    skip = skips(states)  # (S,)
    no_skip = np.where(skip, 0, -np.inf)  # (S,)
    spaces = np.array([extra_space, *labels, extra_space]) == extra_space
    boundary = 2 * np.flatnonzero(spaces[:-1] | spaces[1:])  # the blanks next to a space

    def block(best: np.ndarray, t: int, end: int) -> np.ndarray:
        """Rows t to `end` of best, where best[2 + s] is v_t(s), from row t: (end - t + 1, 2 + S)."""
        emissions = log_probs[t:end, states]  # (end - t, S)
        emissions[:, boundary] = np.maximum(emissions[:, boundary], log_probs[t:end, [extra_space]])
        rows, skipped = np.full((end - t + 1, 2 + len(states)), -np.inf), np.empty(len(states))
        rows[0] = best
        for previous, row, emission in zip(rows, rows[1:, 2:], emissions, strict=False):
            np.add(previous[:-2], no_skip, out=skipped)
            np.maximum(previous[2:], previous[1:-1], out=row)
            np.maximum(row, skipped, out=row)
            row += emission
        return rows

    # The two columns before the states are impossible, except that the path begins in the second of them.
    best = np.full(2 + len(states), -np.inf)
    best[1] = 0
    size, starts = isqrt(T) + 1, []  # one row of each block is kept; the others are computed again below
    for t in range(0, T, size):
        starts.append((t, best))
        best = block(best, t, min(T, t + size))[-1].copy()
    s = len(states) - 2 + int(best[-2:].argmax())  # the last letter, or the blank after it
    log_prob = float(best[2 + s])
    if log_prob == -np.inf:
        raise InputError("every path of the text contains a character of probability 0; correct the text")
    path = np.empty(T, np.int64)
    for first, best in reversed(starts):
        rows = block(best, first, min(T, first + size))
        for t in range(first + len(rows) - 2, first - 1, -1):
            path[t] = s
            predecessors = rows[t - first, s + (not skip[s]) : s + 3]  # s-2, s-1, s
            s += int(predecessors.argmax()) - len(predecessors) + 1
    letters = np.arange(1, len(states), 2)
    first, end = np.searchsorted(path, letters), np.searchsorted(path, letters, "right")
    return CTCPath(
        labels=labels.tolist(),
        frames=list(zip(first.tolist(), (end - 1).tolist(), strict=True)),
        peaks=[float(np.exp(log_probs[a:b, k].max())) for a, b, k in zip(first, end, labels, strict=True)],
        log_prob=log_prob,
    )
