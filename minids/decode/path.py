"""A path of CTC labels, and the words along it with their times."""

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from minids.text import Alphabet

REACH_SECONDS = 0.3  # from a word's first or last letter to where its sound begins or ends; see `lengthened`


class CTCPath(NamedTuple):
    """A collapsed path: U labels, and for each its first and last frame and its highest probability.

    log_prob is that of the whole path, Σ_t log P(k_t | x, t), blanks included.
    """

    labels: list[int]
    frames: list[tuple[int, int]]
    peaks: list[float]
    log_prob: float


class Word(NamedTuple):
    """A word, its start and end in seconds, and the model's confidence in it (0 to 1).

    `characters` are the symbols that spell it, each with the start and end of the frames that emit it.
    """

    text: str
    start: float
    end: float
    score: float
    characters: tuple[tuple[str, float, float], ...] = ()

    def moved(self, seconds: float, limit: float) -> "Word":
        """The word `seconds` later, with no time after `limit`: the last frame may reach beyond the sound."""
        characters = [(c, min(a + seconds, limit), min(b + seconds, limit)) for c, a, b in self.characters]
        start, end = min(self.start + seconds, limit), min(self.end + seconds, limit)
        return self._replace(start=start, end=end, characters=tuple(characters))

    def to_dict(self) -> dict[str, Any]:
        """For JSON: times to the millisecond."""
        word = self._asdict() | {"start": round(self.start, 3), "end": round(self.end, 3)}
        letters = [{"text": c, "start": round(a, 3), "end": round(b, 3)} for c, a, b in self.characters]
        return word | {"score": round(self.score, 4), "characters": letters}


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
            characters = tuple(
                (symbol, first * frame_seconds, (last + 1) * frame_seconds)
                for symbol, (first, last) in zip(symbols[span], path.frames[span], strict=True)
            )
            text, score = alphabet.decode(path.labels[span]), min(path.peaks[span])
            words.append(Word(text, characters[0][1], characters[-1][2], score, characters))
    return words


def lengthened(words: Sequence[Word], end: float) -> list[Word]:
    """The words, each REACH_SECONDS longer on both sides, up to the middle of the gap to its neighbors.

    CTC emits the letters of a word close together, in the middle of its sound: in AN4's test set, the sound
    begins 0.36 s before the first letter and ends 0.33 s after the last (medians). `end` is that of the
    recording in seconds.
    """
    middles = [(a.end + b.start) / 2 for a, b in pairwise(words)]
    edges = pairwise([0.0, *middles, max([end, *(word.end for word in words)])])
    return [
        word._replace(start=max(word.start - REACH_SECONDS, low), end=min(word.end + REACH_SECONDS, high))
        for word, (low, high) in zip(words, edges, strict=False)
    ]
