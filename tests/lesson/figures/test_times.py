"""Bars show each number, on a logarithmic axis."""

import numpy as np

from minids.lesson.figures.times import bars
from tests.svg import texts

SERIES = {"reference": [1234.5, 0.5], "cpu": [20.0, 0.25]}


def test_each_bar_has_its_number():
    figure = bars(["affine", "ctc"], SERIES, "milliseconds")
    for drawn in figure, figure.narrow:
        assert {"affine", "ctc", "1,234", "0.5", "20", "0.25", "milliseconds"} <= {*texts(drawn)}
        widths = [bar.get_width() for bar in drawn.axes[0].patches]
        np.testing.assert_allclose(widths, [1234.5, 0.5, 20, 0.25])
        assert drawn.axes[0].get_xscale() == "log"
