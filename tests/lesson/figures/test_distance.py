"""draw/distance.py: errors, distances and rates are drawn with their numbers, where they belong."""

import numpy as np
import pytest

from minids.lesson.figures.distance import distances, errors, rates
from minids.metrics import align

TABLE = np.array([[0, 1, 2], [1, 0, 1]])


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_an_alignment_says_what_became_of_each_word():
    figure = errors(align("are there tickets", "there tickets now"))
    assert words(figure) == [
        *("said", "heard"),
        *("are", "·", "deleted"),
        *("there", "there", "right"),
        *("tickets", "tickets", "right"),
        *("·", "now", "inserted"),
    ]
    columns = [patch.get_x() for patch in figure.axes[0].patches]
    assert columns == sorted(columns)
    assert len({text.get_position()[0] for text in figure.axes[0].texts[2:5]}) == 1  # one below the other


def test_a_table_fills_row_by_row():
    steps = [distances(TABLE, ["yes"], ["yes", "sir"], rows) for rows in (1, 2)]
    assert words(steps[0]) == ["", "yes", "", "yes", "sir", "0", "1", "2"]
    assert words(steps[1])[8:] == ["1", "0", "1"]
    last = steps[1].axes[0].texts[-1]
    assert last.get_position() == (2, 1)  # below "sir", right of "yes"
    assert steps[0].axes[0].axis() == steps[1].axes[0].axis()
    assert tuple(steps[0].get_size_inches()) == tuple(steps[1].get_size_inches())


def test_the_way_back_is_framed():
    (axes,) = distances(TABLE, ["yes"], ["yes", "sir"], 2, [(0, 0), (1, 1), (1, 2)]).axes
    framed = [patch.get_xy() for patch in axes.patches if not patch.get_fill()]
    np.testing.assert_allclose(framed, [(-0.48, -0.48), (0.52, 0.52), (1.52, 0.52)])
    ways = [(*line.get_xdata(), *line.get_ydata()) for line in axes.lines]
    assert ways == [(0, 1, 0, 1), (1, 2, 1, 1)]


def test_the_measured_rate_and_its_interval_are_marked_in_percent():
    figure = rates(np.linspace(0.1, 0.3, 100), 0.2, (0.12, 0.28))
    assert words(figure) == ["20.0 %", " 12.0 % ", " 28.0 % "]
    (axes,) = figure.axes
    assert list(axes.lines[0].get_xdata()) == [20, 20]
    assert sum(bar.get_height() for bar in axes.patches[:30]) == pytest.approx(100)
