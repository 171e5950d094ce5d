"""Greedy decoding: the most probable character of every frame, then CTC's collapse.

This gives the most probable path, not the most probable text: the probability of a text is the sum over all
its paths, and only a beam search considers several of them.
"""

from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from minids._utils.arguments import real_array
from minids.text import BLANK, Alphabet


class CTCPath(NamedTuple):
    """A collapsed path: U labels, and for each its first and last frame and its highest probability.

    log_prob is that of the whole path, Σ_t log P(k_t | x, t), blanks included.
    """

    labels: list[int]
    frames: list[tuple[int, int]]
    peaks: list[float]
    log_prob: float


class Word(NamedTuple):
    """A word, its start and end in seconds, and the model's confidence in it (0 to 1)."""

    text: str
    start: float
    end: float
    score: float


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


def word_times(path: CTCPath, alphabet: Alphabet, frame_seconds: float) -> list[Word]:
    """The words of a path; `frame_seconds` is the time from one output frame to the next in seconds.

    A word lasts from the first frame of its first letter to the last frame of its last. CTC may emit a letter
    anywhere within its sound, so these times are approximate. The score is that of the least probable letter:
    one wrong letter makes a wrong word, which a mean over the letters would hide.
    """
    symbols = [alphabet.decode([label]) for label in path.labels]
    words = []
    for is_space, group in groupby(range(len(symbols)), key=lambda u: symbols[u].isspace()):
        if not is_space:
            letters = list(group)
            span = slice(letters[0], letters[-1] + 1)
            start, end = path.frames[letters[0]][0], path.frames[letters[-1]][1] + 1  # frames
            text, score = alphabet.decode(path.labels[span]), min(path.peaks[span])
            words.append(Word(text, start * frame_seconds, end * frame_seconds, score))
    return words
