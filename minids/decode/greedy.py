"""Greedy decoding: the most probable character of every frame, then the collapse of CTC.

That is the most probable path, not the most probable text: the probability of a text is the sum over all its
paths, and only a beam search looks at several of them.
"""

from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from minids.text import BLANK, Alphabet


class Path(NamedTuple):
    """The best path, collapsed: U labels, of each the first and last frame and the probability at its peak.

    log_prob is that of the whole path, Σ_t max_k log P(k|x, t): blanks count, and every frame lowers it.
    """

    labels: list[int]
    frames: list[tuple[int, int]]
    peaks: list[float]
    log_prob: float


class Word(NamedTuple):
    """A word, from when to when it was heard (seconds), and how sure the model was of it (0 to 1)."""

    text: str
    start: float
    end: float
    score: float


def greedy(log_probs: np.ndarray) -> Path:
    """log_probs (T, K), natural logarithms, blank first -> Path. Of equally probable characters the first."""
    best = log_probs.argmax(axis=1)  # (T,)
    height = log_probs.max(axis=1).astype(np.float64)  # (T,)
    edges = np.flatnonzero(np.diff(best, prepend=-1, append=-1))  # the first frame of every run, and T
    runs = [(a, b) for a, b in pairwise(edges.tolist()) if best[a] != BLANK]
    return Path(
        labels=[int(best[a]) for a, _ in runs],
        frames=[(a, b - 1) for a, b in runs],
        peaks=[float(np.exp(height[a:b].max())) for a, b in runs],
        log_prob=float(height.sum()),
    )


def greedy_text(log_probs: np.ndarray, alphabet: Alphabet) -> str:
    """log_probs (T, K) -> the words of the best path, one space between them."""
    return " ".join(alphabet.decode(greedy(log_probs).labels).split())


def words(path: Path, alphabet: Alphabet, hop: float) -> list[Word]:
    """The words of a path, `hop` being the seconds from one output frame to the next.

    A word lasts from the first frame of its first letter to the last frame of its last. CTC may emit a letter
    anywhere within its sound, so these times are near, not exact. The score is that of the least sure letter:
    one wrong letter makes a wrong word, and a mean over the letters would hide it.
    """
    symbols = [alphabet.decode([label]) for label in path.labels]
    found = []
    for space, group in groupby(range(len(symbols)), key=lambda u: symbols[u].isspace()):
        if not space:
            letters = list(group)
            first, last = letters[0], letters[-1]
            text, peaks = "".join(symbols[first : last + 1]), path.peaks[first : last + 1]
            found.append(
                Word(text, path.frames[first][0] * hop, (path.frames[last][1] + 1) * hop, min(peaks))
            )
    return found
