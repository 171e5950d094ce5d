"""When was each letter said? Viterbi forced alignment: the most probable path of a text that is known.

The lattice is that of the loss (minids/ops/reference/ctc.py), with the greatest instead of the sum:

    v_t(s) = log y_t(l'_s) + max[v_{t-1}(s), v_{t-1}(s-1), v_{t-1}(s-2) if the skip is allowed]

`minids.decode.greedy.words` makes words with their times of the path.
"""

from collections.abc import Sequence

import numpy as np

from minids._utils.errors import InputError
from minids.decode.greedy import Path
from minids.ops.common import min_frames
from minids.ops.reference.ctc import lattice, skips


def align(log_probs: np.ndarray, labels: Sequence[int] | np.ndarray) -> Path:
    """log_probs (T, K), natural logarithms, blank first; labels (U,) of 1 … K-1 -> that text's best Path.

    Time and memory grow with T times U (30 s, 450 letters: 20 MB). Raises ValueError for what is no label,
    and InputError for a text that no path spells: the frames are too few, or a probability it needs is 0.
    """
    labels = np.asarray(labels, np.int64)
    T, K = log_probs.shape
    if ((labels < 1) | (labels >= K)).any():
        raise ValueError(f"a label is outside 1 … {K - 1} (0 is the blank)")
    needed = min_frames(labels)
    if needed > T:
        raise InputError(
            f"{T} frames cannot spell the {len(labels)} characters of the text, which need {needed};"
            " mend the text, or give all of the recording"
        )
    states = lattice(labels)  # (S,)
    skip = skips(states)  # (S,)
    skip[1:2] = True  # the first letter need not wait for a blank
    toll, leap = np.where(skip, 0, -np.inf), np.empty(len(states))  # (S,), (S,)
    emissions = log_probs[:, states].astype(np.float64)  # (T, S)
    # best[t, 2 + s] is the best way to be in state s after t frames. The columns before hold what is outside:
    # the way begins in the second of them, before all states.
    best = np.full((T + 1, 2 + len(states)), -np.inf)
    best[0, 1] = 0
    for t in range(T):
        row = best[t + 1, 2:]
        np.add(best[t, :-2], toll, out=leap)
        np.maximum(best[t, 2:], best[t, 1:-1], out=row)
        np.maximum(row, leap, out=row)
        row += emissions[t]
    s = len(states) - 2 + int(best[T, -2:].argmax())  # the last letter, or the blank behind it
    log_prob = float(best[T, 2 + s])
    if log_prob == -np.inf:
        raise InputError(
            "no path of the frames spells the text: each has a character of probability 0; mend the text"
        )
    path = np.empty(T, np.int64)
    for t in range(T - 1, -1, -1):
        path[t] = s
        ways = best[t, s + (not skip[s]) : s + 3]  # from s-2, s-1, s
        s += int(ways.argmax()) - len(ways) + 1
    letters = np.arange(1, len(states), 2)
    first, end = np.searchsorted(path, letters), np.searchsorted(path, letters, "right")
    return Path(
        labels=labels.tolist(),
        frames=list(zip(first.tolist(), (end - 1).tolist(), strict=True)),
        peaks=[float(np.exp(emissions[a:b, s].max())) for a, b, s in zip(first, end, letters, strict=True)],
        log_prob=log_prob,
    )
