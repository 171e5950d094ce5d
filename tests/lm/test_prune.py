"""Entropy pruning against brute force."""

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.lm.prune import prune
from tests.lm.dictionary_model import ngrams, random_lines
from tests.lm.test_kneser_ney import assert_sums_to_1, train_quietly


def test_pruning_removes_the_ngrams_that_change_least():
    """The change by each trigram is summed over all words, for the model with and without it."""
    model = train_quietly(random_lines(3, 60, 12), 3)
    grams = ngrams(model)
    names = list(grams)
    words = [w for w in model.words if w != "<s>"]

    def p(word, history, without=None):
        """p(w | h), optionally without one n-gram and with the back-off weight of its history recomputed."""
        while history and (*history, word) not in grams:
            return np.exp(backoff(history, without)) * p(word, history[1:], without)
        if (*history, word) == without:
            return np.exp(backoff(history, without)) * p(word, history[1:])
        return np.exp(grams[*history, word][0])

    def backoff(history, without):
        if without is None or history != without[:-1]:
            return grams[history][1] if history in grams else 0.0
        others = [w for w in words if (*history, w) in grams and (*history, w) != without]
        lower = 1 - sum(p(w, history[1:]) for w in others)
        return np.log((1 - sum(p(w, history) for w in others)) / lower)

    def change(gram):
        h = gram[:-1]
        weight = np.prod([p(h[i], h[:i]) if h[i] != "<s>" else p("</s>", ()) for i in range(len(h))])
        return np.expm1(weight * sum(p(w, h) * np.log(p(w, h) / p(w, h, gram)) for w in words))

    trigrams = [g for g in names if len(g) == 3]
    changes = np.array([change(g) for g in trigrams])
    for threshold in np.quantile(changes, [0.3, 0.7]):
        kept = {g for g in ngrams(prune(model, threshold)) if len(g) == 3}
        certain = np.abs(changes - threshold) > 1e-5 * threshold
        expected = {g for g, c in zip(trigrams, changes, strict=True) if c >= threshold}
        assert {
            g for g, c in zip(trigrams, certain, strict=True) if c and (g in kept) != (g in expected)
        } == set()


def test_a_pruned_model_is_complete():
    model = train_quietly(random_lines(4), 4)
    sizes = []
    for threshold in (1e-9, 1e-4, 1e-3, 10):
        small = prune(model, threshold)
        grams = ngrams(small)
        assert all(g[:-1] in grams and g[1:] in grams for g in grams if len(g) > 1)
        assert (np.diff(small.starts) == [1, *(sum(len(g) == n for g in grams) for n in range(1, 5))]).all()
        assert_sums_to_1(small)
        sizes.append(len(grams))
    assert sizes[0] > sizes[1] > sizes[2] > sizes[3] == len(model.words)
    for threshold in (0, -1.0, np.nan, "1e-8", None):
        with pytest.raises(InputError, match="above 0"):
            prune(model, threshold)
