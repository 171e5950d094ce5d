"""An n-gram language model in memory."""

import math
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, NoReturn
from unicodedata import normalize

import numpy as np

from minids._utils.errors import InputError
from minids._utils.files import check_writable
from minids.lm import kneser_ney
from minids.lm._scorer import Tables, make_tables
from minids.lm._sentences import TextTotals, score_text, sentence_scorer
from minids.lm.arpa_reader import read_arpa
from minids.lm.arpa_writer import write_arpa
from minids.lm.arrays import NGramArrays, validated
from minids.lm.binary import is_binary, is_kenlm_binary, read_binary, write_binary
from minids.lm.kenlm_binary import REMEDY, callback_tables, read_words
from minids.lm.text_filter import SPACE
from minids.lm.text_source import Block, ProgressCallback, TextSource, read_blocks
from minids.lm.vocabulary import BEGIN, END, UNKNOWN, Vocabulary

SUFFIXES = (".arpa", ".arpa.gz", ".ngram")


class Perplexity(NamedTuple):
    """The perplexity of a model on a text.

    perplexity = exp(-log_prob / n) for n words and sentence ends, where log_prob is the natural logarithm of
    the probability of the text; without_oov leaves out the words that the model does not know (OOV).
    """

    perplexity: float
    without_oov: float
    words: int
    oov: int
    sentences: int
    log_prob: float


class NGram:
    """An n-gram model with back-off.

    The constructor takes the fields of `minids.lm.arrays.NGramArrays` and raises InputError for arrays that
    no model can have. A model is not changed after that, so threads may share it.
    """

    def __init__(
        self,
        words: Sequence[str],
        starts: np.ndarray,
        context: np.ndarray,
        word: np.ndarray,
        log_probs: np.ndarray,
        backoff: np.ndarray,
    ):
        self.arrays = validated(NGramArrays(words, starts, context, word, log_probs, backoff))
        self.words, self.starts, self.context, self.word, self.log_probs, self.backoff = self.arrays
        self.name = "the language model"  # in messages; the path of a model that was loaded

    @classmethod
    def train(
        cls,
        source: TextSource,
        order: int = 5,
        prune: Sequence[int] = (),
        vocabulary: int | TextSource | None = None,
        progress: ProgressCallback | None = None,
    ) -> "NGram":
        """Train a model with interpolated modified Kneser-Ney smoothing: see `minids.lm.kneser_ney.train`.

        source: lines, the path of a file, or several paths. vocabulary: the words to know, or the number of
        the most frequent ones; others are <unk>. prune = (0, 0, 1) leaves out trigrams that occur once.
        """
        return cls(*kneser_ney.train(source, order, prune, vocabulary, progress))

    @classmethod
    def load(cls, path: str | Path) -> "NGram":
        """Read a model: an ARPA file (see `minids.lm.arpa_reader.read_arpa`), the binary format, or KenLM's.

        The content of the file tells which. Raises InputError that names the file, and the line of an ARPA
        file.
        """
        _check_path(path)
        if is_kenlm_binary(path):
            return KenLM(path)
        model = cls(*(read_binary(path) if is_binary(path) else read_arpa(path)))
        model.name = str(path)
        return model

    def save(self, path: str | Path) -> None:
        """Write the model atomically: as ARPA to a path that ends in `.arpa` or `.arpa.gz`, and in the binary
        format, which loads more quickly, to one that ends in `.ngram`. Raises InputError for any other path.
        """
        check_output(path)
        write = write_binary if str(path).endswith(".ngram") else write_arpa
        write(path, self.arrays)

    def log_prob(self, words: str | Sequence[str], bos: bool = True, eos: bool = True) -> float:
        """Σ log p(word | the words before it), the natural logarithm of the probability of a sentence.

        `words` is a string or a list of words; an unknown word counts as <unk>. With `bos` the sentence
        follows <s>, with `eos` it ends with </s>. Raises InputError for <s> or </s> among the words.
        """
        if isinstance(words, str):
            if words.isascii():
                text = words.encode()
            else:
                text = normalize("NFC", " ".join(words.split())).encode(errors="surrogatepass")
            log_prob = self._score_sentence(text, bos, eos)
            if log_prob == log_prob:  # not NaN
                return log_prob
            words = words.split()
        if not isinstance(words, Iterable) or not all(isinstance(word, str) for word in words):
            raise InputError("words is a string or a list of strings")
        ids = [self.index.get(normalize("NFC", word), UNKNOWN) for word in words]
        if BEGIN in ids or END in ids:
            raise InputError("a sentence contains no <s> or </s>; set bos and eos")
        ids += [END] * bool(eos)
        state = self.tables.begin if bos else 0
        return score_text(self.tables, np.array(ids, np.int32), state, TextTotals())[1].log_prob

    def perplexity(self, source: TextSource, progress: ProgressCallback | None = None) -> Perplexity:
        """The perplexity of the model on a text, whose lines are its sentences.

        `source` is what `train` takes; a line without words is not a sentence. progress(bytes) is called as
        the text is read. Raises InputError for a text that cannot be read or has no words.
        """
        vocabulary = copy(self._vocabulary)  # it remembers whether a line has ended
        state, totals = 0, TextTotals()
        for block in read_blocks(source):
            state, totals = score_text(self.tables, vocabulary.ids(block), state, totals)
            if progress:
                progress(block.size)
        if not totals.sentences:
            raise InputError("the text has no words; give one with a sentence on each line")
        words = totals.tokens - totals.sentences
        return Perplexity(
            _exp(-totals.log_prob / totals.tokens),
            _exp(-(totals.log_prob - totals.oov_log_prob) / (totals.tokens - totals.oov)),
            words,
            totals.oov,
            totals.sentences,
            totals.log_prob,
        )

    def __getstate__(self) -> dict:
        """The state for pickle, without the tables, which are built from the arrays."""
        return {
            name: value
            for name, value in self.__dict__.items()
            if name not in ("index", "tables", "_query", "_vocabulary", "_score_sentence")
        }

    def __repr__(self) -> str:
        return f"NGram(order {self.order}, {self.size_summary})"

    @property
    def order(self) -> int:
        return self.arrays.order

    @property
    def size_summary(self) -> str:
        """The number of n-grams of each order, as in `28 words, 146 2-grams`."""
        words, *longer = np.diff(self.starts[1:]).tolist()
        unit = "characters" if SPACE in self.words else "words"
        return ", ".join([f"{words:,} {unit}", *(f"{size:,} {n}-grams" for n, size in enumerate(longer, 2))])

    @cached_property
    def index(self) -> dict[str, int]:
        """Word, in NFC -> its id; the lowest id if the model has several forms of it."""
        return {normalize("NFC", word): i for i, word in reversed([*enumerate(self.words)])}

    @cached_property
    def tables(self) -> Tables:
        """What `minids.lm._scorer.score` reads."""
        return make_tables(self.arrays)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        """The words of the model, closed, with the same ids.

        No text has a DEL; a word with one, from the model of another program, becomes one that no text can
        have, as does a word that is equal to an earlier one in NFC.
        """
        names = {i: name.encode().replace(b"\x7f", b"\xff") for name, i in self.index.items()}
        data = b" ".join(names.get(i, b"\xfe%d" % i) for i in range(END + 1, len(self.words)))
        vocabulary = Vocabulary()
        vocabulary.ids(Block(data + b"\n", "", 0, 0))
        vocabulary.closed = True
        if vocabulary.size != len(self.words):
            raise ValueError("two words of the model have the same id")
        return vocabulary

    @cached_property
    def _score_sentence(self) -> Callable[..., float]:
        return sentence_scorer(self.tables, self._vocabulary)


class KenLM(NGram):
    """A binary file of KenLM, for beam search, `log_prob` and `perplexity`; see `minids.lm.kenlm_binary`."""

    def __init__(self, path: str | Path):
        self.name, self.words = str(path), read_words(path)
        self.log_probs = np.zeros(len(self.words) + 1, np.float32)  # decide between words spelled alike
        _ = self.tables

    @cached_property
    def tables(self) -> Tables:
        tables, self._query = callback_tables(self.name, self.words)
        return tables

    @property
    def arrays(self) -> NoReturn:  # type: ignore[override]
        raise InputError(f"{self.name} is in KenLM's binary format, which cannot be converted; {REMEDY}")

    starts = arrays  # type: ignore[assignment]


def check_output(path: str | Path) -> None:
    """Raise InputError if `NGram.save` cannot write to this path: call it before long work."""
    _check_path(path)
    if not str(path).endswith(SUFFIXES):
        raise InputError(f"cannot write {path}: the name of a language model ends in {' or '.join(SUFFIXES)}")
    check_writable(path)


def _check_path(path: object) -> None:
    if not isinstance(path, str | Path):
        raise InputError(f"the path of a language model is a string or a Path, not {type(path).__name__}")


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf
