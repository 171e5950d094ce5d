"""Arrays that no model can have are refused, and those that one can have arrive in their types."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minids._utils.errors import InputError
from minids.lm.arrays import NGramArrays
from minids.lm.ngram import NGram
from minids.lm.prune import prune
from tests.lm.dictionary_model import DATA

GOOD = NGram.load(DATA / "lmplz_pruned.arpa").arrays


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


WORDS, STARTS, LAST = GOOD.words, GOOD.starts, len(GOOD.word) - 1
FAULTS = {
    "context of a higher order": ({"context": changed(GOOD.context, LAST, STARTS[4])}, "context: a 4-gram"),
    "context of a lower order": ({"context": changed(GOOD.context, LAST, 0)}, "context: a 4-gram"),
    "word too large": ({"word": changed(GOOD.word, LAST, len(WORDS))}, "word: a 4-gram"),
    "word negative": ({"word": changed(GOOD.word, LAST, -1)}, "word: a 4-gram"),
    "word beyond 32 bits": ({"word": changed(GOOD.word.astype(np.int64), LAST, 2**32 + 1)}, "word: a 4-gram"),
    "unigrams out of order": ({"word": changed(GOOD.word, 5, 7)}, "word: the unigram"),
    "a wrong empty n-gram": ({"word": changed(GOOD.word, 0, 0)}, "empty n-gram"),
    "starts beyond the arrays": ({"starts": changed(STARTS, -1, STARTS[-1] + 1)}, "context has .* entries"),
    "starts that decrease": ({"starts": changed(STARTS, 3, STARTS[4] + 1)}, "starts decreases"),
    "starts and words that differ": ({"starts": changed(STARTS, 2, 5)}, "starts begins"),
    "starts too short": ({"starts": STARTS[:2]}, "starts begins"),
    "starts of fractions": ({"starts": STARTS + 0.5}, "starts is float64"),
    "starts beyond 63 bits": ({"starts": changed(STARTS.astype(np.uint64), -1, 2**64 - 1)}, "entries"),
    "log_probs too short": ({"log_probs": GOOD.log_probs[:-1]}, "log_probs has"),
    "backoff too long": ({"backoff": np.append(GOOD.backoff, 0.0)}, "backoff has"),
    "a NaN": ({"log_probs": changed(GOOD.log_probs, 9, np.nan)}, "log_probs: .* not a finite"),
    "an infinite weight": ({"backoff": changed(GOOD.backoff, 9, np.inf)}, "backoff: .* not a finite"),
    "a probability of 2": ({"log_probs": changed(GOOD.log_probs, 9, 0.7)}, "log_probs: .* greater than 1"),
    "a weight of the highest order": (
        {"backoff": changed(GOOD.backoff, LAST, 1)},
        "highest order",
    ),
    "a word twice": ({"words": [*WORDS[:-1], WORDS[5]]}, "all different"),
    "a word with a space": ({"words": [*WORDS[:-1], "a b"]}, "white space"),
    "a word with a newline": ({"words": [*WORDS[:-1], "a\nb"]}, "white space"),
    "<UNK>": ({"words": [*WORDS[:-1], "<UNK>"]}, "lower case"),
    "an empty word": ({"words": [*WORDS[:-1], ""]}, "empty"),
    "half a character": ({"words": [*WORDS[:-1], "\ud800"]}, "words: .*surrogates"),
    "a word that is a number": ({"words": [*WORDS[:-1], 5]}, "words: .*give a list of strings"),
    "special words out of order": ({"words": ["<unk>", "</s>", "<s>", *WORDS[3:]]}, "begin with <unk>"),
    "two dimensions": ({"context": GOOD.context[:, None]}, r"context is int32 \(.*one dimension"),
    "a scalar": ({"backoff": np.float32(0)}, r"backoff is float32 \(\)"),
    "complex numbers": ({"log_probs": GOOD.log_probs.astype(complex)}, "log_probs is complex128"),
    "objects": ({"word": GOOD.word.astype(object)}, "word is object"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_arrays_of_no_model_are_refused(name):
    """Compiled code would read beyond an array, or never end."""
    changes, message = FAULTS[name]
    with pytest.raises(InputError, match=message) as caught:
        NGram(**{**GOOD._asdict(), **changes})
    assert "\n" not in str(caught.value)


def readonly(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "convert",
    [
        readonly,
        lambda array: np.repeat(array, 2)[::2],
        lambda array: array.astype(array.dtype.newbyteorder(">")),
        lambda array: array.astype(np.int64 if array.dtype.kind == "i" else np.float64),
        lambda array: array.tolist(),
    ],
    ids=["read-only", "strided", "big-endian", "wide", "lists"],
)
def test_equal_arrays_of_other_layouts_give_the_same_model(convert):
    expected = NGram(*GOOD)
    model = NGram(GOOD.words, *map(convert, GOOD[1:]))
    for array, correct in zip(model.arrays[1:], expected.arrays[1:], strict=True):
        assert array.dtype == correct.dtype
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, correct)
    assert model.log_prob("the ship left") == expected.log_prob("the ship left")


def test_the_smallest_model():
    """No words but the special ones, no n-grams of two words."""
    zeros = np.zeros(4, np.float32)
    model = NGram(["<unk>", "<s>", "</s>"], [0, 1, 4], [0] * 4, [-1, 0, 1, 2], zeros, zeros)
    assert model.log_prob("any words") == 0
    arrays = NGramArrays(["<unk>", "<s>", "</s>"], [0, 1, 4, 4], [0] * 4, [-1, 0, 1, 2], zeros, zeros)
    assert NGram(*arrays).order == 2


def put(array, index, value):
    """The array, in a type that can hold the value, with the value at an index."""
    array = array.astype(np.result_type(array, np.array(value)))
    array[index % len(array)] = value
    return array


AWKWARD = {
    "unsigned": lambda array, i: array.astype(np.uint32),
    "wide unsigned": lambda array, i: array.astype(np.uint64),
    "narrow": lambda array, i: array.astype(np.int8 if array.dtype.kind == "i" else np.float16),
    "float": lambda array, i: array.astype(np.float64),
    "fractional": lambda array, i: put(array, i, 5.5),
    "NaN": lambda array, i: put(array, i, np.nan),
    "infinite": lambda array, i: put(array, i, -np.inf),
    "negative": lambda array, i: put(array, i, -1),
    "2^32 + 1": lambda array, i: put(array, i, 2**32 + 1),
    "2^63 - 1": lambda array, i: put(array, i, 2**63 - 1),
    "empty": lambda array, i: array[:0],
    "cut": lambda array, i: array[: i % len(array)],
    "too long": lambda array, i: np.append(array, array[-1:]),
    "reversed": lambda array, i: array[::-1],
    "rolled": lambda array, i: np.roll(array, i),
    "read-only": lambda array, i: readonly(array),
    "big-endian": lambda array, i: array.astype(array.dtype.newbyteorder(">")),
    "two-dimensional": lambda array, i: np.asfortranarray(np.tile(array, (2, 1))),
    "text": lambda array, i: array.astype(str),
    "boolean": lambda array, i: array.astype(bool),
    "a scalar": lambda array, i: array[i % len(array)],
    "None": lambda array, i: None,
}


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(GOOD._fields[1:]), st.sampled_from(sorted(AWKWARD)), st.integers(0, 10**6))
def test_awkward_arrays_are_refused_or_make_a_model(name, kind, index):
    """The model that they make can be queried and pruned."""
    with np.errstate(all="ignore"):
        awkward = AWKWARD[kind](getattr(GOOD, name), index)
    try:
        model = NGram(**{**GOOD._asdict(), name: awkward})
    except InputError:
        return
    assert math.isfinite(model.log_prob("the ship left at night"))
    assert model.perplexity(["the ship left", "at night"]).words == 5
    with np.errstate(all="ignore"):
        assert prune(model, 1e-4).starts[-1] <= model.starts[-1]
