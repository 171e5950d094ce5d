"""Batches, padding, dropout and noise are drawn with the right numbers."""

import numpy as np
import pytest

from minids.lesson.figures.batch import dropped, padded, rectangles, superposition
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
    shown = texts(padded(values, np.array([3, 1])))
    assert shown == ["b = 0", "1", "2", "3", "b = 1", "4", "0", "0", "t = 0", "t = 1", "t = 2"]


def test_dropped_units_have_no_number():
    shown = texts(dropped(np.array([[0.0, 1.11], [1.11, 1.11]])))
    assert shown.count("1.11") == 3
    assert "0.00" not in shown


def test_noise_is_scaled_as_in_the_mixture():
    speech = np.sin(np.arange(16_000) / 10)
    noise = np.sign(np.sin(np.arange(16_000) / 99))
    figure = superposition(speech, [noise, noise], speech + noise, 16_000)
    assert {"x", "ξ₁", "ξ₂", "sum"} <= set(texts(figure))
    heights = [axes.dataLim.ymax for axes in figure.axes]
    assert heights == pytest.approx([1, 0.5, 0.5, 2], abs=1e-2)  # the two add up to the noise
