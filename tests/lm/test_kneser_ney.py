"""Smoothing against the reference, KenLM's lmplz and the laws of probability."""

import gzip
import tracemalloc
import warnings

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.lm import column
from minids.lm._scorer import score
from minids.lm.kneser_ney import DEFAULT_DISCOUNTS, DiscountWarning, discounts, train
from minids.lm.ngram import NGram
from minids.lm.reference import ReferenceNGram
from tests.lm.dictionary_model import DATA, LN10, ngrams, random_lines
from tests.tolerances import LM_ARPA, LM_SUM


def train_quietly(*arguments, **options):
    """A model of a text too small for discounts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return NGram.train(*arguments, **options)


def probabilities(model, state):
    """p(w | state) for all words w but <s>."""
    logs = [score(model.tables, state, word)[0] for word in range(len(model.words)) if word != 1]
    return np.exp(logs)


def assert_sums_to_1(model):
    for state in range(int(model.starts[-2])):
        assert probabilities(model, state).sum() == pytest.approx(1, abs=LM_SUM)


def read_arpa(path):
    """{n-gram: (log10 p, log10 backoff)}, without the reader of the package."""
    numbers, n = {}, 0
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        if line.startswith("\\"):
            n = int(line[1]) if line.endswith("-grams:") else 0
        elif n and line:
            fields = line.split("\t")
            numbers[tuple(fields[1].split())] = float(fields[0]), float(fields[2]) if fields[2:] else 0.0
    return numbers


@pytest.mark.parametrize("order", [1, 2, 4, 6])
@pytest.mark.parametrize("vocabulary", [8, 60])
def test_the_model_agrees_with_the_reference(order, vocabulary):
    lines = random_lines(order, 150, vocabulary)
    reference = ReferenceNGram(lines, order)
    for gram, (log_p, backoff) in ngrams(train_quietly(lines, order)).items():
        if gram != ("<s>",):
            assert np.exp(log_p) == pytest.approx(reference.probability(gram[-1], gram[:-1]), rel=1e-5)
        if len(gram) < order:
            assert np.exp(backoff) == pytest.approx(reference.gamma(gram), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "thresholds"), [("sentences_order4.arpa.gz", ()), ("sentences_pruned.arpa.gz", (0, 0, 1))]
)
def test_the_model_agrees_with_lmplz(name, thresholds):
    theirs = read_arpa(DATA / name)
    ours = ngrams(NGram.train(DATA / "sentences.txt", 4, thresholds))
    assert ours.keys() == theirs.keys()
    for gram, numbers in ours.items():
        np.testing.assert_allclose(np.divide(numbers, LN10), theirs[gram], atol=LM_ARPA)


@pytest.mark.parametrize("thresholds", [(), (0, 1), (0, 0, 1, 2)])
@pytest.mark.parametrize("vocabulary", [None, 10])
def test_probabilities_sum_to_1(thresholds, vocabulary):
    model = train_quietly(random_lines(1), 4, thresholds, vocabulary)
    assert len(model.words) == (13 if vocabulary else len(set(" ".join(random_lines(1)).split())) + 3)
    assert_sums_to_1(model)


@pytest.mark.parametrize("thresholds", [(), (0, 1), (0, 0, 1, 2)])
def test_columns_on_disk_give_the_same_model(thresholds, monkeypatch):
    expected = train_quietly(random_lines(2), 4, thresholds).arrays
    monkeypatch.setattr(column, "MAX_IN_MEMORY", 1)
    monkeypatch.setattr(column, "BLOCK_SIZE", 13)
    arrays = train_quietly(random_lines(2), 4, thresholds).arrays
    assert arrays.words == expected.words
    for array, correct in zip(arrays[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(array, correct)


def test_the_memory_for_each_ngram():
    """16 bytes for each in the model, and before that the table of one order."""
    words = np.random.default_rng(0).integers(0, 20_000, (10_000, 20)).astype(str)
    lines = [" ".join(line) for line in words]
    train_quietly(lines[:10], 5)
    tracemalloc.start()
    try:
        model = train_quietly(lines, 5)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 36 * len(model.word)


def test_rare_ngrams_are_pruned():
    lines = ["a b c", "a b c", "a b d", "e b c"]
    grams = ngrams(train_quietly(lines, 3, (0, 1)))
    assert {g for g in grams if len(g) == 2} == {("<s>", "a"), ("a", "b"), ("b", "c"), ("c", "</s>")}
    assert {g for g in grams if len(g) == 3} == {("<s>", "a", "b"), ("a", "b", "c"), ("b", "c", "</s>")}


def test_a_text_too_small_for_discounts_warns_and_names_the_orders():
    message = r"the discounts of order 1, 2, so the defaults 0\.5, 1 and 1\.5 are used: .* small .* harmless"
    with pytest.warns(DiscountWarning, match=message) as warned:
        NGram.train(["a b a", "b"], 2)
    assert warned[0].filename == __file__
    assert discounts(np.array([1, 1, 1, 1, 2, 2, 3, 4, 9])) == (0, 0.5, 1.25, 1.0)
    assert discounts(np.array([1, 1, 1, 1, 2, 3, 3])) is None
    assert discounts(np.array([1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4])) is None  # D(3) = 0
    assert DEFAULT_DISCOUNTS == (0, 0.5, 1, 1.5)


def test_some_probability_is_left_for_words_never_seen():
    """With D(3) = 0, "ddd", seen three times and followed by one word only, would have no back-off weight."""
    lines = ["ddd aaa", "ccc ccc ddd", "ddd ccc bbb", "ddd ddd eee", "ddd ccc eee ccc bbb", "bbb"]
    model = train_quietly(lines, 2)
    assert np.isfinite(model.backoff).all()
    assert_sums_to_1(model)


@pytest.mark.parametrize(
    "thresholds",
    [(1,), (0, 2, 1), (0, 0, 0, 0), (0, -1), (0, np.nan), (0, 0.5), (0, "1"), (0, None), 1, None, "0,1"],
)
def test_wrong_thresholds_are_refused(thresholds):
    with pytest.raises(InputError, match="prune"):
        train(["a"], 3, thresholds)


@pytest.mark.parametrize("order", [-1, 0, 17, 10**9, np.int64(0), 2.5, np.nan, "3", None, True])
def test_orders_out_of_range_are_refused(order):
    with pytest.raises(InputError, match=r"order.* give 1 .*to 16|order: .* is not a whole number"):
        NGram.train(["a"], order)


@pytest.mark.parametrize("vocabulary", [0, -3, np.int32(0), 2.5, np.nan, True])
def test_an_empty_vocabulary_is_refused(vocabulary):
    with pytest.raises(InputError, match=r"vocabulary of .* words|vocabulary: .* is not a whole number"):
        NGram.train(["a"], 2, vocabulary=vocabulary)
