"""tune.py: the search over alpha and beta on known surfaces, and texts that a language model mends."""

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.decode import tune as tune_module
from minids.decode.beam_search import Hypothesis
from minids.decode.tune import ALPHAS, BETAS, FOLDS, around, lowest, tune
from minids.lm.ngram import NGram
from minids.metrics import cer, wer
from minids.text import Alphabet
from tests import tones

LETTERS = Alphabet(" abc")


# The search, on surfaces


@pytest.mark.parametrize("target", [(1.125, 2.75), (0.0, -1.0), (0.125, 0.25), (4.375, 9.5), (3.0, -6.25)])
def test_the_lowest_point_of_a_bowl_wherever_it_lies(target):
    """Also beyond the grid, and to the finest step."""
    seen = set()

    def order(point):
        seen.add(point)
        return ((point[0] - target[0]) ** 2 + (point[1] - target[1]) ** 2 / 4,)

    assert lowest(order) == target
    assert {(a, b) for a in ALPHAS for b in BETAS} <= seen
    assert len(seen) < 120
    assert min(alpha for alpha, _ in seen) == 0


def test_the_lowest_point_has_no_lower_neighbor_on_a_rough_surface():
    rng = np.random.default_rng(0)
    for _ in range(20):
        heights = {}
        point = lowest(lambda p, heights=heights: heights.setdefault(p, (int(rng.integers(30)), *p)))
        assert heights[point] == min(heights[p] for p in around(point, 0.125, 0.25))


def test_around_a_point_alpha_is_never_negative():
    assert set(around((0.5, 1.0), 0.5, 1.0)) == {(a, b) for a in (0.0, 0.5, 1.0) for b in (0.0, 1.0, 2.0)}
    assert {alpha for alpha, _ in around((0.0, 0.0), 0.5, 1.0)} == {0.0, 0.5}


# The errors, with a search that says what we want


class Oracle:
    """Instead of BeamSearch: utterance n has its first text where right(n, alpha, beta), else its second."""

    def __init__(self, monkeypatch, right, texts):
        self.calls, self.right, self.texts = [], right, texts
        monkeypatch.setattr(tune_module, "BeamSearch", lambda *_, **__: self)

    def set_weights(self, alpha, beta):
        self.calls.append((alpha, beta))

    def decode_batch(self, log_probs, n_best):
        point = self.calls[-1]
        found = [text if self.right(n, *point) else wrong for n, (text, wrong) in enumerate(self.texts)]
        return [[Hypothesis(text, 0.0, 0.0, 0.0)] for text in found]

    def tune(self, references):
        return tune([np.zeros((1, 5))] * len(references), references, None, LETTERS)


def test_the_best_point_and_its_table(monkeypatch):
    texts = [("ab ab", "ab a"), ("ba", ""), ("c", "c c")]
    right = [lambda a, b: a >= 1, lambda a, b: b >= 2, lambda a, b: a + b <= 3.25]
    oracle = Oracle(monkeypatch, lambda n, a, b: right[n](a, b), texts)
    tuning = oracle.tune([text for text, _ in texts])
    assert (tuning.alpha, tuning.beta) == (1.0, 2.0), "of those without errors the smallest alpha, then beta"
    assert len(oracle.calls) == len(set(oracle.calls)) == len(tuning.table), "each point is decoded once"
    for (a, b), (words, letters) in tuning.table.items():
        said = [text if right[n](a, b) else wrong for n, (text, wrong) in enumerate(texts)]
        assert words == wer([text for text, _ in texts], said)
        assert letters == cer([text for text, _ in texts], said)
    assert tuning.wer.errors == tuning.cer.errors == 0


def test_of_equal_word_errors_the_letters_decide(monkeypatch):
    """Every text is wrong everywhere; where alpha is 2 it is nearer."""
    oracle = Oracle(monkeypatch, lambda n, a, b: a == 2, [("abx", "caa")] * 3)
    tuning = oracle.tune(["abc"] * 3)
    assert (tuning.alpha, tuning.beta) == (2.0, 0.0)
    assert tuning.wer.rate == 1


def test_the_expected_rate_is_that_of_points_chosen_by_others(monkeypatch):
    """Each utterance is right at its own alpha alone. So the best point has one right, but of those that had
    no part in choosing it, none.
    """
    n = FOLDS
    oracle = Oracle(monkeypatch, lambda i, a, b: a == ALPHAS[i], [("ab", "b")] * n)
    tuning = oracle.tune(["ab"] * n)
    assert tuning.wer.errors == n - 1
    assert tuning.expected.errors == n
    assert tuning.expected.reference_length == n


def test_every_utterance_is_scored_once_by_the_others_choice(monkeypatch):
    """Two thirds want alpha 1, one third 2; each sees what the majority without it wants."""
    wants = [1.0, 2.0, 1.0] * 4
    oracle = Oracle(monkeypatch, lambda i, a, b: a == wants[i], [("ab c", "b c")] * len(wants))
    tuning = oracle.tune(["ab c"] * len(wants))
    assert tuning.alpha == 1
    assert tuning.expected.errors == tuning.wer.errors == 4
    assert tuning.expected.counts.shape == (len(wants), 4)


def test_the_chosen_point_is_the_best_of_all_that_were_tried(monkeypatch):
    """Also where only a part's search came upon it, on a surface with many hollows."""
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


def test_one_utterance_has_nothing_to_expect(monkeypatch):
    oracle = Oracle(monkeypatch, lambda i, a, b: True, [("ab", "")])
    tuning = oracle.tune(["ab"])
    assert (tuning.alpha, tuning.beta, tuning.expected) == (0.0, 0.0, None)
    assert tuning.to_dict()["expected"] is None


@pytest.mark.parametrize("references", [[], [""], ["", " "]])
def test_nothing_to_tune_on(references):
    with pytest.raises(InputError, match="no words to tune on"):
        tune([np.zeros((1, 5))] * len(references), references, None, LETTERS)


# With the beam search


def heard(letters):
    """(T, 5) log-probabilities: of each frame {symbol: probability}, the rest evenly shared."""
    y = np.full((len(letters), len(LETTERS)), 0.0)
    for t, shares in enumerate(letters):
        for symbol, share in shares.items():
            y[t, 0 if symbol == "-" else LETTERS.encode(symbol)[0]] = share
        y[t] += (1 - y[t].sum()) / y.shape[1]
    return np.log(y)


def test_a_language_model_mends_what_was_nearly_heard(tmp_path):
    """The sound says "ac", barely; the language model knows "ab". Without its weight all are wrong."""
    lm = NGram.load(tones.language(tmp_path / "lm.arpa", ("ab", "c")))
    log_probs = [heard([{"a": 0.9}, {"c": share, "b": 0.9 - share}]) for share in (0.5, 0.6, 0.7)]
    tuning = tune(log_probs, ["ab"] * 3, lm, LETTERS, beam_width=20)
    assert tuning.wer.errors == 0
    assert tuning.alpha > 0
    assert tuning.table[0.0, 0.0][0].errors == 3
    assert tune(log_probs, ["ab"] * 3, lm, LETTERS, beam_width=20).to_dict() == tuning.to_dict()
    ticks = []
    tune(log_probs, ["ab"] * 3, lm, LETTERS, 20, ticks.append)
    assert sum(ticks) == len(tuning.table)
