"""Batches, padding and dropout are drawn with the right numbers."""

import numpy as np
import pytest

from minids.lesson.figures.batch import dropped, padded, rectangles
from tests.svg import texts


def test_rectangles_show_the_share_of_padding():
    lengths = np.array([10, 40, 20, 30])
    pairs = rectangles(lengths, [[0, 1], [2, 3]])
    assert {"38%", "17%", "batches: 2   padding: 29% of the work"} <= set(texts(pairs))  # 40 of 140
    single = rectangles(lengths, [range(4)])
    assert "batches: 1   padding: 38% of the work" in texts(single)  # 60 of 160
    assert single.axes[0].get_xlim() == pairs.axes[0].get_xlim()


def test_every_frame_of_a_batch_is_shown():
    values = np.array([[1.0, 4.0], [2.0, 0.0], [3.0, 0.0]])
    figure = padded(values, np.array([3, 1]))
    for drawn in figure, figure.narrow:
        shown = texts(drawn)
        assert sorted(shown) == sorted(["b = 0", "b = 1", "t = 0", "1", "2", *"123400"])


def test_dropped_units_have_no_number():
    shown = texts(dropped(np.array([[0.0, 1.11], [1.11, 1.11]])))
    assert shown.count("1.11") == 3
    assert "0.00" not in shown


@pytest.mark.parametrize("draw", [dropped, lambda h: padded(h, np.full(5, 8))])
def test_on_a_phone_all_cells_fit(draw):
    assert draw(np.ones((8, 5))).narrow.get_figwidth() <= 3.6
