"""An n-gram language model in memory."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minids.lm.query import Tables, make_tables, score

if TYPE_CHECKING:
    from minids.lm.words import Progress, Source


class NGram:
    """An n-gram model with back-off, its n-grams numbered so that an id is at once an n-gram, a context and a
    state.

    Id 0 is the empty n-gram; order n has the ids starts[n] ≤ i < starts[n+1], starts being [0, 1, 1+V, ...]
    of length order + 2; the unigram of word w has the id 1 + w. By id:

        context   int32    the n-gram without its last word
        word      int32    its last word; -1 of the empty n-gram
        log_probs float32  natural logarithms of p(word | context)
        backoff   float32  natural logarithm; 0 where there is none

    words[0] is "<unk>", words[1] "<s>", words[2] "</s>". The constructor takes the arrays as they are.
    """

    def __init__(
        self,
        words: Sequence[str],
        starts: np.ndarray,
        context: np.ndarray,
        word: np.ndarray,
        log_prob: np.ndarray,
        backoff: np.ndarray,
    ):
        self.words = words
        self.starts = np.asarray(starts, np.int64)
        self.context = context
        self.word = word
        self.log_probs = log_prob
        self.backoff = backoff

    @classmethod
    def train(
        cls,
        source: "Source",
        order: int = 5,
        prune: Sequence[int] = (),
        vocabulary: "int | Source | None" = None,
        progress: "Progress | None" = None,
    ) -> "NGram":
        """A model of a text, with interpolated modified Kneser-Ney smoothing: `minids.lm.kneser_ney.train`.

        source: lines, or the path of a file, or several paths. vocabulary: the words to know, or how many of
        the most frequent; others are <unk>. prune = (0, 0, 1) leaves out trigrams that occur once.
        """
        from minids.lm.kneser_ney import train

        return cls(*train(source, order, prune, vocabulary, progress))

    @staticmethod
    def load(path: str | Path) -> "NGram":
        """Read a model: an ARPA file, plain or gzip."""
        from minids.lm.arpa import read_arpa

        return read_arpa(path)

    def log_prob(self, words: str | Sequence[str], bos: bool = True, eos: bool = True) -> float:
        """The natural logarithm of the probability of a sentence, a string or its words;
        with `bos` after <s>, with `eos` up to </s>. Unknown words count as <unk>.
        """
        numbers = [self.index.get(word, 0) for word in (words.split() if isinstance(words, str) else words)]
        state, total = self.tables.begin if bos else 0, 0.0
        for number in [*numbers, 2] if eos else numbers:
            log_prob, state = score(self.tables, state, number)
            total += log_prob
        return total

    @property
    def order(self) -> int:
        return len(self.starts) - 2

    @cached_property
    def index(self) -> dict[str, int]:
        """Word -> its number."""
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def tables(self) -> Tables:
        """What `minids.lm.query.score` reads."""
        return make_tables(self.starts, self.context, self.word, self.log_probs, self.backoff)
