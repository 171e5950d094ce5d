"""Pictures of a language model show the numbers of the model."""

import numpy as np
import pytest

from minids.lesson.figures.backoff import backoff, score_over_alpha, smoothing, weights
from tests.svg import texts

P = {("c",): 0.05, ("b", "d"): 0.2}
GAMMA = {("a", "b"): 0.5, ("b",): 0.4}


def test_score_over_alpha_draws_each_text_and_where_two_are_equal():
    figure = score_over_alpha({"one": (-3.0, -2.0), "two": (-1.0, -7.0)}, (0, 1))
    first, second, point = (line.get_xydata() for line in figure.axes[0].lines)
    np.testing.assert_allclose([first[:, 1], second[:, 1]], [[-3, -5], [-1, -8]])
    assert point[0] == pytest.approx((0.4, -3.8))
    assert {"equal at α = 0.40", "-3.0", "-5.0", "one", "-1.0", "-8.0", "two"} <= {*texts(figure)}


def test_smoothing_shows_both_terms_of_each_word():
    shown = texts(smoothing(("a",), {"b": (3, 0.2, 0.1), "c": (0, 0.0, 0.05)}))
    assert {"after “a”", "b", "3", "0.200 + 0.100 = 0.300", "c", "0", "0.050"} <= {*shown}
    narrow = texts(smoothing(("a",), {"b": (3, 0.2, 0.1), "c": (0, 0.0, 0.05)}).narrow)
    assert {"b", "3", "0.300", "c", "0", "0.050"} <= {*narrow}, "a phone shows the sums"


def test_backing_off_continues_until_an_ngram_was_seen():
    steps = [texts(backoff("c", ("a", "b"), P, GAMMA, upto)) for upto in range(3)]
    assert steps[0] == ["a", "b", "c", "never seen: × γ(a b) = 0.5000"]
    assert steps[1] == [*steps[0], "b", "c", "never seen: × γ(b) = 0.4000"]
    result = "p = 0.5000 · 0.4000 · 0.0500 = 0.01000"
    assert steps[2] == [*steps[1], "c", "seen: p = 0.0500", result]
    assert texts(backoff("d", ("a", "b"), P, GAMMA, 2))[-1] == "p = 0.5000 · 0.2000 = 0.10000"


def test_weights_shows_each_rate_in_percent():
    shown = texts(weights((0, 1), (0, 1, 2), np.array([[0.3, 0.1, 0.2], [0.1, 0.5, 1.2]]), "noise"))
    assert [shown.count(rate) for rate in ("30", "10", "20", "50", "120")] == [1, 2, 1, 1, 1]
    assert "noise: word error rate in %" in shown
