"""An n-gram language model in memory."""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

import numpy as np
from numba import njit

from minids._utils.errors import InputError
from minids._utils.files import check_writable
from minids.lm.scorer import Tables, make_tables, score
from minids.lm.vocabulary import BEGIN, END, UNKNOWN, Block, Progress, Source, Words, blocks

ENDINGS = (".arpa", ".arpa.gz", ".ngram")


class Perplexity(NamedTuple):
    """How well a model foretells a text.

    perplexity = exp(-log_prob / n) over the n words and sentence ends, log_prob being the natural logarithm
    of the probability of all; without_oov leaves out the words that the model does not know.
    """

    perplexity: float
    without_oov: float
    words: int
    oov: int
    sentences: int
    log_prob: float


class Sums(NamedTuple):
    """Over a text so far; the tokens are its words and sentence ends."""

    log_prob: float = 0.0
    oov_log_prob: float = 0.0
    tokens: int = 0
    oov: int = 0
    sentences: int = 0


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
        self.name = "the language model"  # in messages; its file once it was loaded from one

    @classmethod
    def train(
        cls,
        source: Source,
        order: int = 5,
        prune: Sequence[int] = (),
        vocabulary: int | Source | None = None,
        progress: Progress | None = None,
    ) -> "NGram":
        """A model of a text, with interpolated modified Kneser-Ney smoothing: `minids.lm.kneser_ney.train`.

        source: lines, or the path of a file, or several paths. vocabulary: the words to know, or how many of
        the most frequent; others are <unk>. prune = (0, 0, 1) leaves out trigrams that occur once.
        """
        from minids.lm.kneser_ney import train

        return cls(*train(source, order, prune, vocabulary, progress))

    @staticmethod
    def load(path: str | Path) -> "NGram":
        """Read a model: an ARPA file, plain or gzip (see `arpa_reader.read_arpa`), or the binary form.

        Their content tells them apart. Raises InputError naming the file, and of an ARPA file the line.
        """
        from minids.lm import arpa_reader, binary

        model = binary.read_binary(path) if binary.is_binary(path) else arpa_reader.read_arpa(path)
        model.name = str(path)
        return model

    def save(self, path: str | Path) -> None:
        """Write the model whole or not at all. A name that ends in `.arpa` or `.arpa.gz` gives the form that
        all programs know, `.ngram` our quick form; any other is an InputError.
        """
        from minids.lm.arpa_writer import write_arpa
        from minids.lm.binary import write_binary

        check_output(path)
        write = write_binary if str(path).endswith(".ngram") else write_arpa
        write(path, self)

    def log_prob(self, words: str | Sequence[str], bos: bool = True, eos: bool = True) -> float:
        """Σ log p(word | the words before it) of a sentence: natural logarithm.

        `words` is a string or its words; unknown ones count as <unk>. With `bos` the sentence begins (after
        <s>), with `eos` it ends (</s> is one more word).
        """
        names = words.split() if isinstance(words, str) else words
        numbers = [self.index.get(normalize("NFC", name), UNKNOWN) for name in names] + [END] * eos
        state = self.tables.begin if bos else 0
        return _text(self.tables, np.array(numbers, np.int32), state, Sums())[1].log_prob

    def perplexity(self, source: Source, progress: Progress | None = None) -> "Perplexity":
        """How well the model foretells a text, whose lines are its sentences.

        `source` is a path, or lines and paths, as in training; a line without words is no sentence, and
        progress(bytes) is called as the text is read. Raises InputError for a text that cannot be read or has
        no words.
        """
        reader = Words()
        names = [name for name, number in self.index.items() if number > END]
        # A text has no DEL; a word with one, out of a foreign model, becomes one that no text can have.
        reader.numbers(Block(" ".join(names).encode().replace(b"\x7f", b"\xff") + b"\n", "", 0, 0))
        reader.closed = True
        ours = np.array([UNKNOWN, BEGIN, END, *(self.index[name] for name in names)], np.int32)
        state, sums = 0, Sums()
        for block in blocks(source):
            state, sums = _text(self.tables, ours[reader.numbers(block)], state, sums)
            if progress:
                progress(block.size)
        if not sums.sentences:
            raise InputError("the text has no words; give one with a sentence on each line")
        words = sums.tokens - sums.sentences
        return Perplexity(
            _exp(-sums.log_prob / sums.tokens),
            _exp(-(sums.log_prob - sums.oov_log_prob) / (sums.tokens - sums.oov)),
            words,
            sums.oov,
            sums.sentences,
            sums.log_prob,
        )

    def __repr__(self) -> str:
        return f"NGram(order {self.order}, {self.sizes})"

    @property
    def order(self) -> int:
        return len(self.starts) - 2

    @property
    def sizes(self) -> str:
        """How much it knows, in words: `28 words, 146 2-grams`."""
        words, *longer = np.diff(self.starts[1:]).tolist()
        return ", ".join([f"{words:,} words", *(f"{size:,} {n}-grams" for n, size in enumerate(longer, 2))])

    @cached_property
    def index(self) -> dict[str, int]:
        """Word, in NFC -> its number; the first where a model has it in several forms."""
        return {normalize("NFC", word): i for i, word in reversed([*enumerate(self.words)])}

    @cached_property
    def tables(self) -> Tables:
        """What `minids.lm.scorer.score` reads."""
        return make_tables(self.starts, self.context, self.word, self.log_probs, self.backoff)


def check_output(path: str | Path) -> None:
    """To be asked before long work: raises InputError for a path where `NGram.save` could write nothing."""
    if not str(path).endswith(ENDINGS):
        raise InputError(f"cannot write {path}: a language model's name ends in {' or '.join(ENDINGS)}")
    check_writable(path)


@njit(cache=True, nogil=True)
def _text(tables, numbers, state, sums):
    """The sums of a text that goes on with these words, and the state behind them."""
    log_prob, oov_log_prob, tokens, oov, sentences = sums
    for word in numbers:
        if word == BEGIN:
            state = tables.begin
            continue
        p, following = score(tables, state, word)
        state = np.int64(following)
        log_prob += p
        tokens += 1
        if word == UNKNOWN:
            oov_log_prob += p
            oov += 1
        sentences += word == END
    return state, Sums(log_prob, oov_log_prob, tokens, oov, sentences)


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf
