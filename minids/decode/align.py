"""When was each letter spoken? Viterbi forced alignment: the most probable path of a known text.

The lattice is that of the loss (minids/ops/reference/ctc.py), with the maximum instead of the sum:

    v_t(s) = log y_t(l'_s) + max[v_{t-1}(s), v_{t-1}(s-1), v_{t-1}(s-2) if the skip is allowed]

`minids.decode.path.word_times` turns the path into words with their times.
"""

from collections.abc import Sequence

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

    Time and memory grow with T times U (30 s, 450 letters: 20 MB). Raises ValueError for an invalid label,
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
    no_skip, skipped = np.where(skip, 0, -np.inf), np.empty(len(states))  # (S,), (S,)
    emissions = log_probs[:, states]  # (T, S)
    if extra_space != BLANK:
        spaces = np.array([extra_space, *labels, extra_space]) == extra_space
        boundary = 2 * np.flatnonzero(spaces[:-1] | spaces[1:])  # the blanks next to a space
        emissions[:, boundary] = np.maximum(emissions[:, boundary], log_probs[:, [extra_space]])
    # best[t, 2 + s] is v_t(s). The two columns before the states are impossible, except that the path begins
    # in the second of them.
    best = np.full((T + 1, 2 + len(states)), -np.inf)
    best[0, 1] = 0
    for t in range(T):
        row = best[t + 1, 2:]
        np.add(best[t, :-2], no_skip, out=skipped)
        np.maximum(best[t, 2:], best[t, 1:-1], out=row)
        np.maximum(row, skipped, out=row)
        row += emissions[t]
    s = len(states) - 2 + int(best[T, -2:].argmax())  # the last letter, or the blank after it
    log_prob = float(best[T, 2 + s])
    if log_prob == -np.inf:
        raise InputError("every path of the text contains a character of probability 0; correct the text")
    path = np.empty(T, np.int64)
    for t in range(T - 1, -1, -1):
        path[t] = s
        predecessors = best[t, s + (not skip[s]) : s + 3]  # s-2, s-1, s
        s += int(predecessors.argmax()) - len(predecessors) + 1
    letters = np.arange(1, len(states), 2)
    first, end = np.searchsorted(path, letters), np.searchsorted(path, letters, "right")
    return CTCPath(
        labels=labels.tolist(),
        frames=list(zip(first.tolist(), (end - 1).tolist(), strict=True)),
        peaks=[float(np.exp(emissions[a:b, s].max())) for a, b, s in zip(first, end, letters, strict=True)],
        log_prob=log_prob,
    )
