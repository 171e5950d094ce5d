"""Tuning: the search over alpha and beta on known surfaces, and texts that a language model corrects."""

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.decode import tune as tune_module
from minids.decode.beam_search import Hypothesis
from minids.decode.tune import ALPHAS, BETAS, FOLDS, minimize, neighbors, tune
from minids.lm.ngram import NGram
from minids.metrics import cer, wer
from minids.text import Alphabet
from tests import tones

LETTERS = Alphabet(" abc")


# The search on known surfaces


@pytest.mark.parametrize("target", [(1.125, 2.75), (0.0, -1.0), (0.125, 0.25), (4.375, 9.5), (3.0, -6.25)])
def test_the_minimum_of_a_bowl_is_found(target):
    """Also outside the grid, and to the finest step."""
    seen = set()

    def cost(point):
        seen.add(point)
        return ((point[0] - target[0]) ** 2 + (point[1] - target[1]) ** 2 / 4,)

    assert minimize(cost) == target
    assert {(a, b) for a in ALPHAS for b in BETAS} <= seen
    assert len(seen) < 120
    assert min(alpha for alpha, _ in seen) == 0


def test_on_a_rough_surface_no_neighbor_of_the_result_is_lower():
    rng = np.random.default_rng(0)
    for _ in range(20):
        heights = {}
        point = minimize(lambda p, heights=heights: heights.setdefault(p, (int(rng.integers(30)), *p)))
        assert heights[point] == min(heights[p] for p in neighbors(point, 0.125, 0.25))


def test_neighbors_have_no_negative_alpha():
    assert set(neighbors((0.5, 1.0), 0.5, 1.0)) == {(a, b) for a in (0.0, 0.5, 1.0) for b in (0.0, 1.0, 2.0)}
    assert {alpha for alpha, _ in neighbors((0.0, 0.0), 0.5, 1.0)} == {0.0, 0.5}


# The errors, with a stub of the search


class Oracle:
    """Replaces BeamSearch: utterance n has its first text where right(n, alpha, beta), else its second."""

    def __init__(self, monkeypatch, right, texts):
        self.calls, self.right, self.texts = [], right, texts
        monkeypatch.setattr(tune_module, "BeamSearch", lambda *_, **__: self)

    def set_weights(self, alpha, beta):
        self.calls.append((alpha, beta))

    def decode_batch(self, log_probs, n_best):
        point = self.calls[-1]
        found = [text if self.right(n, *point) else wrong for n, (text, wrong) in enumerate(self.texts)]
        return [[Hypothesis(text, 0.0, 0.0, 0.0, ())] for text in found]

    def tune(self, references):
        return tune([np.zeros((1, 5))] * len(references), references, None, LETTERS)


def test_the_best_point_and_its_table(monkeypatch):
    texts = [("ab ab", "ab a"), ("ba", ""), ("c", "c c")]
    right = [lambda a, b: a >= 1, lambda a, b: b >= 2, lambda a, b: a + b <= 3.25]
    oracle = Oracle(monkeypatch, lambda n, a, b: right[n](a, b), texts)
    tuning = oracle.tune([text for text, _ in texts])
    assert (tuning.alpha, tuning.beta) == (1.0, 2.0), "the smallest alpha without errors, then beta"
    assert len(oracle.calls) == len(set(oracle.calls)) == len(tuning.table), "each point is decoded once"
    for (a, b), (words, letters) in tuning.table.items():
        hypotheses = [text if right[n](a, b) else wrong for n, (text, wrong) in enumerate(texts)]
        assert words == wer([text for text, _ in texts], hypotheses)
        assert letters == cer([text for text, _ in texts], hypotheses)
    assert tuning.wer.errors == tuning.cer.errors == 0


def test_character_errors_decide_between_equal_word_errors(monkeypatch):
    """Every text is wrong at every point, but closer at alpha = 2."""
    oracle = Oracle(monkeypatch, lambda n, a, b: a == 2, [("abx", "caa")] * 3)
    tuning = oracle.tune(["abc"] * 3)
    assert (tuning.alpha, tuning.beta) == (2.0, 0.0)
    assert tuning.wer.rate == 1


def test_the_expected_rate_comes_from_points_chosen_on_other_utterances(monkeypatch):
    """Each utterance is right at its own alpha, so a point is right only for one that it was chosen on."""
    n = FOLDS
    oracle = Oracle(monkeypatch, lambda i, a, b: a == ALPHAS[i], [("ab", "b")] * n)
    tuning = oracle.tune(["ab"] * n)
    assert tuning.wer.errors == n - 1
    assert tuning.expected.errors == n
    assert tuning.expected.reference_length == n


def test_every_utterance_is_held_out_once(monkeypatch):
    """Two thirds need alpha 1, one third alpha 2; every fold chooses 1."""
    needed = [1.0, 2.0, 1.0] * 4
    oracle = Oracle(monkeypatch, lambda i, a, b: a == needed[i], [("ab c", "b c")] * len(needed))
    tuning = oracle.tune(["ab c"] * len(needed))
    assert tuning.alpha == 1
    assert tuning.expected.errors == tuning.wer.errors == 4
    assert tuning.expected.counts.shape == (len(needed), 4)


def test_the_chosen_point_is_the_best_of_all_points_tried(monkeypatch):
    """Also if only the search of one fold found it, on a surface with many minima."""
    for seed in range(10):
        lucky = np.random.default_rng(seed).integers(0, 2, (997, 10))
        oracle = Oracle(
            monkeypatch,
            lambda i, a, b, lucky=lucky: lucky[int(8 * a * 31 + 4 * b) % 997, i],
            [("ab", "b")] * 10,
        )
        tuning = oracle.tune(["ab"] * 10)
        assert tuning.wer.errors == min(words.errors for words, _ in tuning.table.values())
        assert tuning.expected.errors > tuning.wer.errors


def test_one_utterance_has_no_expected_rate(monkeypatch):
    oracle = Oracle(monkeypatch, lambda i, a, b: True, [("ab", "")])
    tuning = oracle.tune(["ab"])
    assert (tuning.alpha, tuning.beta, tuning.expected) == (0.0, 0.0, None)
    assert tuning.to_dict()["expected"] is None


@pytest.mark.parametrize("references", [[], [""], ["", " "]])
def test_references_without_words_are_an_error(references):
    with pytest.raises(InputError, match="no words to tune on"):
        tune([np.zeros((1, 5))] * len(references), references, None, LETTERS)


def test_every_utterance_needs_a_reference():
    with pytest.raises(InputError, match="2 log_probs, but 1 references"):
        tune([np.zeros((1, 5))] * 2, ["a"], None, LETTERS)


# With the beam search


def frames(letters):
    """(T, 5) log-probabilities from {symbol: probability} per frame; the others share the rest evenly."""
    y = np.full((len(letters), len(LETTERS)), 0.0)
    for t, shares in enumerate(letters):
        for symbol, share in shares.items():
            y[t, 0 if symbol == "-" else LETTERS.encode(symbol)[0]] = share
        y[t] += (1 - y[t].sum()) / y.shape[1]
    return np.log(y)


def test_a_language_model_corrects_uncertain_letters(tmp_path):
    """The network prefers "ac", barely; the language model knows "ab". At alpha 0 all are wrong."""
    lm = NGram.load(tones.language(tmp_path / "lm.arpa", ("ab", "c")))
    log_probs = [frames([{"a": 0.9}, {"c": share, "b": 0.9 - share}]) for share in (0.5, 0.6, 0.7)]
    tuning = tune(log_probs, ["ab"] * 3, lm, LETTERS, beam_width=20)
    assert tuning.wer.errors == 0
    assert tuning.alpha > 0
    assert tuning.table[0.0, 0.0][0].errors == 3
    assert tune(log_probs, ["ab"] * 3, lm, LETTERS, beam_width=20).to_dict() == tuning.to_dict()
    calls = []
    tune(log_probs, ["ab"] * 3, lm, LETTERS, 20, calls.append)
    assert sum(calls) == len(tuning.table)
