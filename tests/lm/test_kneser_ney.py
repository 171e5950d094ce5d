"""Smoothing against the readable one, KenLM's lmplz and its own laws; pruning against brute force."""

import gzip
import warnings
from pathlib import Path

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.lm.kneser_ney import FALLBACK, DiscountWarning, discounts, train
from minids.lm.ngram import NGram
from minids.lm.prune import prune
from minids.lm.reference import ReferenceNGram
from minids.lm.scorer import score
from tests.lm.test_count import random_lines
from tests.tolerances import LM_ARPA, LM_SUM

DATA = Path(__file__).parent / "data"


def learn(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return NGram.train(*arguments, **options)


def spelt(model):
    """{n-gram of words: (log p, log backoff)}."""
    names, found = [()], {}
    for i in range(1, len(model.word)):
        names.append((*names[model.context[i]], model.words[model.word[i]]))
        found[names[i]] = float(model.log_probs[i]), float(model.backoff[i])
    return found


def probabilities(model, state):
    """Of all words but <s>, after a state."""
    logs = [score(model.tables, state, word)[0] for word in range(len(model.words)) if word != 1]
    return np.exp(logs)


def assert_sums_to_1(model):
    for state in range(int(model.starts[-2])):
        assert probabilities(model, state).sum() == pytest.approx(1, abs=LM_SUM)


def read_arpa(path):
    """{n-gram: (log10 p, log10 backoff)}: not our reader."""
    found, n = {}, 0
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        if line.startswith("\\"):
            n = int(line[1]) if line.endswith("-grams:") else 0
        elif n and line:
            fields = line.split("\t")
            found[tuple(fields[1].split())] = float(fields[0]), float(fields[2]) if fields[2:] else 0.0
    return found


@pytest.mark.parametrize("order", [1, 2, 4, 6])
@pytest.mark.parametrize("vocabulary", [8, 60])
def test_as_the_readable_one_says(order, vocabulary):
    lines = random_lines(order, 150, vocabulary)
    plain = ReferenceNGram(lines, order)
    for gram, (log_p, backoff) in spelt(learn(lines, order)).items():
        if gram != ("<s>",):
            assert np.exp(log_p) == pytest.approx(plain.probability(gram[-1], gram[:-1]), rel=1e-5)
        if len(gram) < order:
            assert np.exp(backoff) == pytest.approx(plain.gamma(gram), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "thresholds"), [("sentences_order4.arpa.gz", ()), ("sentences_pruned.arpa.gz", (0, 0, 1))]
)
def test_as_lmplz_says(name, thresholds):
    theirs = read_arpa(DATA / name)
    ours = spelt(NGram.train(DATA / "sentences.txt", 4, thresholds))
    assert ours.keys() == theirs.keys()
    for gram, numbers in ours.items():
        np.testing.assert_allclose(np.divide(numbers, np.log(10)), theirs[gram], atol=LM_ARPA)


@pytest.mark.parametrize("thresholds", [(), (0, 1), (0, 0, 1, 2)])
@pytest.mark.parametrize("vocabulary", [None, 10])
def test_probabilities_sum_to_1(thresholds, vocabulary):
    model = learn(random_lines(1), 4, thresholds, vocabulary)
    assert len(model.words) == (13 if vocabulary else len(set(" ".join(random_lines(1)).split())) + 3)
    assert_sums_to_1(model)


def test_pruned_are_those_that_occur_rarely():
    lines = ["a b c", "a b c", "a b d", "e b c"]
    grams = spelt(learn(lines, 3, (0, 1)))
    assert {g for g in grams if len(g) == 2} == {("<s>", "a"), ("a", "b"), ("b", "c"), ("c", "</s>")}
    assert {g for g in grams if len(g) == 3} == {("<s>", "a", "b"), ("a", "b", "c"), ("b", "c", "</s>")}


def test_a_text_too_small_for_discounts_warns_of_the_orders():
    message = r"order 1, 2 to estimate discounts; 0\.5, 1 and 1\.5 stand in: usual for a small .* harmless"
    with pytest.warns(DiscountWarning, match=message) as warned:
        NGram.train(["a b a", "b"], 2)
    assert warned[0].filename == __file__
    assert discounts(np.array([1, 1, 1, 1, 2, 2, 3, 4, 9])) == (0, 0.5, 1.25, 1.0)
    assert discounts(np.array([1, 1, 1, 1, 2, 3, 3])) is None
    assert discounts(np.array([1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4])) is None  # D(3) = 0
    assert FALLBACK == (0, 0.5, 1, 1.5)


def test_something_is_left_for_words_never_seen():
    """D(3) = 0 would leave "ddd", seen three times and with one word alone behind it, no back-off at all."""
    lines = ["ddd aaa", "ccc ccc ddd", "ddd ccc bbb", "ddd ddd eee", "ddd ccc eee ccc bbb", "bbb"]
    model = learn(lines, 2)
    assert np.isfinite(model.backoff).all()
    assert_sums_to_1(model)


@pytest.mark.parametrize("thresholds", [(1,), (0, 2, 1), (0, 0, 0, 0), (0, -1)])
def test_wrong_thresholds(thresholds):
    with pytest.raises(InputError, match="give at most 3 numbers"):
        train(["a"], 3, thresholds)


@pytest.mark.parametrize("order", [-1, 0, 17, 10**9])
def test_orders_that_nobody_means(order):
    with pytest.raises(InputError, match=f"order {order}; 1 .*to 16"):
        NGram.train(["a"], order)


@pytest.mark.parametrize("vocabulary", [0, -3])
def test_a_vocabulary_of_no_words(vocabulary):
    with pytest.raises(InputError, match=f"vocabulary of {vocabulary} words"):
        NGram.train(["a"], 2, vocabulary=vocabulary)


def test_entropy_pruning_leaves_out_what_changes_least():
    """The change by each trigram: summed over all words, in the model with and without it."""
    model = learn(random_lines(3, 60, 12), 3)
    grams = spelt(model)
    names = list(grams)
    words = [w for w in model.words if w != "<s>"]

    def p(word, history, without=None):
        """p(w | h), one n-gram left out and the back-off of its history made anew."""
        while history and (*history, word) not in grams:
            return np.exp(backoff(history, without)) * p(word, history[1:], without)
        if (*history, word) == without:
            return np.exp(backoff(history, without)) * p(word, history[1:])
        return np.exp(grams[*history, word][0])

    def backoff(history, without):
        if without is None or history != without[:-1]:
            return grams[history][1] if history in grams else 0.0
        kept = [w for w in words if (*history, w) in grams and (*history, w) != without]
        lower = 1 - sum(p(w, history[1:]) for w in kept)
        return np.log((1 - sum(p(w, history) for w in kept)) / lower)

    def change(gram):
        h = gram[:-1]
        weight = np.prod([p(h[i], h[:i]) if h[i] != "<s>" else p("</s>", ()) for i in range(len(h))])
        return np.expm1(weight * sum(p(w, h) * np.log(p(w, h) / p(w, h, gram)) for w in words))

    trigrams = [g for g in names if len(g) == 3]
    changes = np.array([change(g) for g in trigrams])
    for threshold in np.quantile(changes, [0.3, 0.7]):
        stays = {g for g in spelt(prune(model, threshold)) if len(g) == 3}
        sure = np.abs(changes - threshold) > 1e-5 * threshold
        expected = {g for g, c in zip(trigrams, changes, strict=True) if c >= threshold}
        assert {
            g for g, s in zip(trigrams, sure, strict=True) if s and (g in stays) != (g in expected)
        } == set()


def test_entropy_pruning_keeps_a_whole_model():
    model = learn(random_lines(4), 4)
    sizes = []
    for threshold in (1e-9, 1e-4, 1e-3, 10):
        small = prune(model, threshold)
        grams = spelt(small)
        assert all(g[:-1] in grams and g[1:] in grams for g in grams if len(g) > 1)
        assert (np.diff(small.starts) == [1, *(sum(len(g) == n for g in grams) for n in range(1, 5))]).all()
        assert_sums_to_1(small)
        sizes.append(len(grams))
    assert sizes[0] > sizes[1] > sizes[2] > sizes[3] == len(model.words)
    with pytest.raises(InputError, match="above 0"):
        prune(model, 0)
