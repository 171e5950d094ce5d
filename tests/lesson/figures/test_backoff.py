"""draw/backoff.py: the numbers in the pictures are those of the model."""

import numpy as np
import pytest

from minids.lesson.figures.backoff import backoff, smoothing, weighing, weights

P = {("c",): 0.05, ("b", "d"): 0.2}
GAMMA = {("a", "b"): 0.5, ("b",): 0.4}


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_lines_of_two_texts_cross_where_they_say():
    figure = weighing({"one": (-3.0, -2.0), "two": (-1.0, -7.0)}, (0, 1))
    one, two, point = figure.axes[0].lines
    np.testing.assert_allclose(one.get_ydata(), [-3, -5])
    np.testing.assert_allclose(two.get_ydata(), [-1, -8])
    assert (point.get_xdata()[0], point.get_ydata()[0]) == pytest.approx((0.4, -3.8))
    assert {"equal at α = 0.40", "-3.0", "-5.0", "one", "-1.0", "-8.0", "two"} == {*words(figure)}


def test_what_the_counts_give_and_what_is_lent_make_one_bar():
    figure = smoothing(("a",), {"b": (3, 0.2, 0.1), "c": (0, 0.0, 0.05)})
    own, lent, nothing, all_lent = figure.axes[0].patches
    assert (own.get_width(), lent.get_x(), lent.get_width()) == pytest.approx((0.2, 0.2, 0.1))
    assert (nothing.get_width(), all_lent.get_x(), all_lent.get_width()) == pytest.approx((0, 0, 0.05))
    assert words(figure)[:6] == ["0.200 + 0.100 = 0.300", "b", "3", "0.050", "c", "0"]


def test_backing_off_goes_down_until_something_was_seen():
    steps = [backoff("c", ("a", "b"), P, GAMMA, upto) for upto in range(3)]
    assert words(steps[0]) == ["a", "b", "c", "never seen: × γ(a b) = 0.5000"]
    assert words(steps[1])[4:] == ["b", "c", "never seen: × γ(b) = 0.4000"]
    assert words(steps[2])[7:] == ["c", "seen: p = 0.0500", "p = 0.5000 · 0.4000 · 0.0500 = 0.01000"]
    assert len({figure.axes[0].axis() for figure in steps}) == 1
    assert words(backoff("d", ("a", "b"), P, GAMMA, 2))[-1] == "p = 0.5000 · 0.2000 = 0.10000"


def test_the_lowest_rates_are_bold():
    figure = weights((0, 1), (0, 1, 2), np.array([[0.3, 0.1, 0.2], [0.1, 0.5, 1.2]]), "noise")
    assert words(figure) == ["30", "10", "20", "10", "50", "120"]
    bold = [text.get_position() for text in figure.axes[0].texts if text.get_weight() == "bold"]
    assert bold == [(0, 1), (1, 0)]  # alpha, beta
