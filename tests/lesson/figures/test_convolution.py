"""The figures of fast convolutions show their curves, the least work, and the powers of points."""

import numpy as np

from minids.lesson.figures.convolution import curves, orbits
from tests.svg import texts


def test_the_least_of_the_first_curve_is_marked():
    series = {"all": [9000.0, 1234.0, 5000.0], "products": [3.0, 2.0, 1.0]}
    figure = curves([20, 30, 40], series, "frames", "work", best=True)
    for drawn in figure, figure.narrow:
        assert {"all", "products", "frames", "work", "30: 1,234"} <= {*texts(drawn)}
        np.testing.assert_array_equal(
            [line.get_ydata() for line in drawn.axes[0].lines[:2]], [*series.values()]
        )
        assert drawn.axes[0].get_yscale() == "log"
    assert "30: 1,234" not in texts(curves([20, 30, 40], series, "frames", "work"))


def test_powers_are_drawn_in_the_complex_plane():
    _, real, turning = orbits([2, 1j], 4).axes[0].lines
    np.testing.assert_allclose(real.get_xydata(), [(1, 0), (2, 0), (4, 0), (8, 0)])
    np.testing.assert_allclose(turning.get_xydata(), [(1, 0), (0, 1), (-1, 0), (0, -1)], atol=1e-15)
