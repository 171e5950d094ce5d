"""An n-gram model as arrays: what training and files make, and what queries are built from."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minids._utils.errors import InputError
from minids.lm.vocabulary import SPECIAL

LN10 = np.log(10.0)
MAX_LOG10 = 1e6  # the absolute value of a logarithm that can be meant
MAX_ROUNDING = 1e-5  # a log10 probability up to this is taken for a rounded 0


class NGramArrays(NamedTuple):
    """The n-grams of a model by id. An id stands for an n-gram, for a context and for a state.

    Id 0 is the empty n-gram; order n has the ids starts[n] ≤ i < starts[n+1], where starts = [0, 1, 1+V, ...]
    has order + 2 entries; the unigram of word w has the id 1 + w.
    """

    words: Sequence[str]  # words[0] is "<unk>", words[1] "<s>", words[2] "</s>"
    starts: np.ndarray  # int64
    context: np.ndarray  # int32: the id of the n-gram without its last word
    word: np.ndarray  # int32: its last word; -1 for the empty n-gram
    log_probs: np.ndarray  # float32: natural logarithm of p(word | context)
    backoff: np.ndarray  # float32: natural logarithm of the back-off weight; 0 where there is none

    @property
    def order(self) -> int:
        return len(self.starts) - 2


def validated(arrays: NGramArrays) -> NGramArrays:
    """The arrays in their types, contiguous. Compiled code follows their indices without checks of its own.

    Raises InputError that names the argument for arrays that no model can have.
    """
    words, starts, context, word, log_probs, backoff = arrays
    words = list(words)
    _check_words(words)
    starts, context, word = (
        _integers(array, name) for name, array in (("starts", starts), ("context", context), ("word", word))
    )
    log_probs, backoff = _logarithms(log_probs, "log_probs"), _logarithms(backoff, "backoff")
    if len(starts) < 3 or starts[:2].tolist() != [0, 1] or starts[2] != 1 + len(words):
        raise InputError(
            f"starts begins with 0, 1 and 1 + the number of words, not with {starts[:3].tolist()}"
        )
    if (starts[1:] < starts[:-1]).any():
        raise InputError("starts decreases")
    for name, array in (("context", context), ("word", word), ("log_probs", log_probs), ("backoff", backoff)):
        if len(array) != starts[-1]:
            raise InputError(f"{name} has {len(array)} entries, but starts counts {starts[-1]} n-grams")
    for n in range(1, len(starts) - 1):
        ids = slice(starts[n], starts[n + 1])
        if not _within(context[ids], starts[n - 1], starts[n]):
            raise InputError(f"context: a {n}-gram has a context that is not an n-gram one word shorter")
        if not _within(word[ids], 0, len(words)):
            raise InputError(f"word: a {n}-gram has a word that is not among the {len(words)} words")
    if word[0] != -1 or context[0] != 0:
        raise InputError("the empty n-gram, id 0, has word -1 and context 0")
    if (word[1 : starts[2]] != np.arange(len(words))).any():
        raise InputError("word: the unigram of word w has the id 1 + w")
    if (log_probs > MAX_ROUNDING * LN10).any():
        raise InputError("log_probs: a probability is greater than 1")
    if backoff[starts[-2] :].any():
        raise InputError("backoff: an n-gram of the highest order has no back-off weight")
    types = (np.int64, np.int32, np.int32, np.float32, np.float32)
    return NGramArrays(
        words,
        *(
            np.ascontiguousarray(array, dtype)
            for array, dtype in zip((starts, context, word, log_probs, backoff), types, strict=True)
        ),
    )


def _check_words(words: list[str]) -> None:
    try:
        letters = np.frombuffer("\n".join(words).encode(), np.uint8)
    except (TypeError, UnicodeEncodeError) as error:
        raise InputError(f"words: {error}; give a list of strings") from None
    if tuple(words[: len(SPECIAL)]) != SPECIAL or len(set(words)) != len(words):
        raise InputError("words begin with <unk>, <s> and </s>, and are all different")
    if np.count_nonzero(letters <= ord(" ")) != len(words) - 1 or not all(words):
        raise InputError("words: one is empty or has white space in it")
    if {"<UNK>", "<S>", "</S>"}.intersection(words):
        raise InputError("words: <unk>, <s> and </s> are lower case")


def _integers(array: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise InputError(f"{name} is {array.dtype} {array.shape}, not an integer array of one dimension")
    return array


def _logarithms(array: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.kind != "f" or array.ndim != 1:
        raise InputError(f"{name} is {array.dtype} {array.shape}, not a float array of one dimension")
    limit = MAX_LOG10 * LN10
    if len(array) and not -limit < array.min() <= array.max() < limit:  # also NaN; without another array
        raise InputError(f"{name}: an entry is not a finite logarithm of a probability or weight")
    return array


def _within(values: np.ndarray, first: int, end: int) -> bool:
    return not len(values) or bool(values.min() >= first and values.max() < end)
