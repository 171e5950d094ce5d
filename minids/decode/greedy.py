"""Greedy decoding: the most probable character of every frame, then CTC's collapse.

This gives the most probable path, not the most probable text: the probability of a text is the sum over all
its paths, and only a beam search considers several of them.
"""

from itertools import pairwise

import numpy as np

from minids._utils.arguments import real_array
from minids.decode.path import CTCPath
from minids.text import BLANK, Alphabet


def greedy(log_probs: np.ndarray) -> CTCPath:
    """log_probs (T, K), natural logarithms, blank first -> the best path. Ties go to the lower index.

    Raises ValueError for another shape, and for NaN.
    """
    log_probs = real_array("log_probs", log_probs, np.float64, "(T, K)")
    if np.isnan(log_probs).any():
        raise ValueError("log_probs have NaN")
    best = log_probs.argmax(axis=1)  # (T,)
    best_log_probs = log_probs.max(axis=1)  # (T,)
    edges = np.flatnonzero(np.diff(best, prepend=-1, append=-1))  # the first frame of every run, and T
    runs = [(first, end) for first, end in pairwise(edges.tolist()) if best[first] != BLANK]
    return CTCPath(
        labels=[int(best[first]) for first, _ in runs],
        frames=[(first, end - 1) for first, end in runs],
        peaks=[float(np.exp(best_log_probs[first:end].max())) for first, end in runs],
        log_prob=float(best_log_probs.sum()),
    )


def greedy_text(log_probs: np.ndarray, alphabet: Alphabet) -> str:
    """log_probs (T, K) -> the words of the best path, separated by single spaces."""
    return " ".join(alphabet.decode(greedy(log_probs).labels).split())
