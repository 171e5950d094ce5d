"""draw/batch.py: red is what is padding or noise, and the shares that are written are right."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from minids.lesson.figures.batch import dropped, padded, rectangles, superposition
from minids.plot import ACCENT, SIGNAL


def colored(patches, color):
    return [patch for patch in patches if to_rgb(patch.get_facecolor()) == to_rgb(color)]


def test_rectangles_are_as_long_as_their_longest():
    lengths = np.array([10, 40, 20, 30])
    axes = rectangles(lengths, [[0, 1], [2, 3]]).axes[0]
    assert [bar.get_width() for bar in colored(axes.patches, SIGNAL)] == [10, 40, 20, 30]
    assert [bar.get_width() for bar in colored(axes.patches, ACCENT)] == [30, 0, 10, 0]
    assert [text.get_text() for text in axes.texts] == ["38%", "17%"]
    assert axes.get_title() == "batches: 2   padding: 29% of the work"  # 40 of 140
    (together,) = rectangles(lengths, [range(4)]).axes
    assert [text.get_text() for text in together.texts] == ["38%"]
    assert together.get_xlim() == axes.get_xlim()  # steps of one stepper


def test_padding_is_red():
    values = np.array([[1.0, 4.0], [2.0, 0.0], [3.0, 0.0]])
    axes = padded(values, np.array([3, 1])).axes[0]
    words = [text.get_text() for text in axes.texts]
    assert words == ["b = 0", "1", "2", "3", "b = 1", "4", "0", "0", "t = 0", "t = 1", "t = 2"]
    assert len(colored(axes.patches, ACCENT)) == 2
    assert len(colored(axes.patches, SIGNAL)) == 4


def test_what_is_dropped_is_empty():
    axes = dropped(np.array([[0.0, 1.11], [1.11, 1.11]])).axes[0]
    assert sorted(text.get_text() for text in axes.texts if "." in text.get_text()) == ["1.11"] * 3
    assert len(colored(axes.patches, SIGNAL)) == 3


def test_noise_is_red_around_the_speech():
    speech = np.sin(np.arange(16_000) / 10)
    half = np.sign(np.sin(np.arange(16_000) / 99))
    figure = superposition(speech, [half, half], speech + half, 16_000)
    below = figure.axes[-1]
    assert [to_rgb(each.get_facecolor()[0]) for each in below.collections] == [to_rgb(ACCENT), to_rgb(SIGNAL)]
    heights = [
        patch.get_paths()[0].vertices[:, 1].max() for axes in figure.axes for patch in axes.collections
    ]
    assert heights == pytest.approx([1, 0.5, 0.5, 2, 1], abs=1e-2)  # the two add up to what was added
    assert [axes.get_ylabel() for axes in figure.axes] == ["x", "ξ₁", "ξ₂", "sum"]
    assert below.get_xlim() == (0, 1)
