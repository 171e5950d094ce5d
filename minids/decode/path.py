"""A path of CTC labels, and the words along it with their times."""

from itertools import groupby
from typing import NamedTuple

from minids.text import Alphabet


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
