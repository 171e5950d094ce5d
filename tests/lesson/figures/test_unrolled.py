"""draw/unrolled.py: the numbers of the recurrence, worked out by hand, each as soon as it is known."""

import numpy as np
import pytest

from minids.lesson.figures.unrolled import PLACES, reach, unrolled
from minids.plot import ACCENT, INK

Z, DH = np.array([-3.0, 4, 1, 2]), np.array([0.0, 0, 0, 1])


def row(figure, name, color):
    """What stands in the boxes of a row, from left to right, in this color."""
    shift, y = PLACES[name]
    at = {round(text.get_position()[0] - shift, 6): text for text in _near(figure, y, color)}
    return [at[t].get_text() if t in at else "" for t in range(4)]


def _near(figure, y, color):
    return [t for t in figure.axes[0].texts if abs(t.get_position()[1] - y) < 0.2 and t.get_color() == color]


@pytest.mark.parametrize(
    ("upto", "hf", "hb", "h"),
    [
        (0, ["", "", "", ""], ["", "", "", ""], ["", "", "", ""]),
        (3, ["0  flat", "4", "3", ""], ["", "", "", ""], ["", "", "", ""]),
        (6, ["0  flat", "4", "3", "3.5"], ["", "", "2", "2"], ["", "", "", ""]),
        (9, ["0  flat", "4", "3", "3.5"], ["0  flat", "5", "2", "2"], ["0", "9", "5", "5.5"]),
    ],
)
def test_numbers_run_right_then_left(upto, hf, hb, h):
    figure = unrolled(Z, 0.5, 0.5, upto)
    assert [row(figure, name, INK) for name in ("z", "hf", "hb", "h")] == [["−3", "4", "1", "2"], hf, hb, h]


@pytest.mark.parametrize(
    ("upto", "hf", "hb", "z"),
    [
        (0, ["", "", "", ""], ["", "", "", ""], ["", "", "", ""]),
        (3, ["", "0.25", "0.5", "1"], ["", "", "", ""], ["", "", "", ""]),
        (9, ["0", "0.25", "0.5", "1"], ["0", "0", "0", "1"], ["0", "0.25", "0.5", "2"]),
    ],
)
def test_gradients_run_back(upto, hf, hb, z):
    figure = unrolled(Z, 0.5, 0.5, upto, DH)
    found = {name: row(figure, name, ACCENT) for name in PLACES}
    assert found == {"h": ["0", "0", "0", "1"], "hf": hf, "hb": hb, "z": z}
    assert row(figure, "h", INK) == ["0", "9", "5", "5.5"]  # the numbers stay


def test_the_newest_box_has_the_thickest_edge():
    boxes = unrolled(Z, 0.5, 0.5, 6).axes[0].patches
    widths = [box.get_linewidth() for box in boxes if hasattr(box, "get_boxstyle")]
    assert len(widths) == 16
    assert [n for n, width in enumerate(widths) if width == max(widths)] == [
        6
    ]  # h is the first row: hb, t = 3


def test_a_line_for_each_weight():
    figure = reach({"small": 0.5 ** np.arange(5), "large": 2.0 ** np.arange(5)})
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    assert [text.xy for text in axes.texts] == [(4, 0.0625), (4, 16)]
    assert [text.get_text() for text in axes.texts] == ["small", "large"]
