"""Noise and its bands are drawn with the right numbers."""

import numpy as np
import pytest

from minids.lesson.figures.noise import profiles, superposition
from tests.svg import texts


def test_noise_is_scaled_as_in_the_mixture():
    speech = np.sin(np.arange(16_000) / 10)
    noise = np.sign(np.sin(np.arange(16_000) / 99))
    figure = superposition(speech, [noise, noise], speech + noise, 16_000)
    assert {"x", "ξ₁", "ξ₂", "sum"} <= set(texts(figure))
    heights = [axes.dataLim.ymax for axes in figure.axes]
    assert heights == pytest.approx([1, 0.5, 0.5, 2], abs=1e-2)  # the two add up to the noise


def test_rejected_clips_are_red_and_the_range_is_that_of_real_noise():
    clips = np.array([[0.0, -3.0], [9.0, 9.0], [1.0, -2.0]])
    figure = profiles(clips, np.array([False, True, False]), np.array([[0.0, -4.0], [2.0, -2.0]]), 3, 8000)
    (axes,) = figure.axes
    drawn = [line.get_ydata().tolist() for line in axes.lines]
    assert drawn == [[0, -3], [1, -2], [9, 9]]
    assert axes.lines[2].get_color() != axes.lines[0].get_color()
    assert axes.lines[0].get_xdata().tolist() == [2, 6]  # the middles of 0 to 4 and 4 to 8 kHz
    (area,) = axes.collections
    heights = area.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (-6, 4)
