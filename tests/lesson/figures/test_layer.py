"""draw/layer.py: the numbers in the picture are those of the layer, and none is told too early."""

import numpy as np
import pytest

from minids.lesson.figures.layer import STEPS, guesses, kinks, layer, short, step_sizes
from minids.plot import ACCENT

X, W, B, WANTED = np.array([2.0, 1, -1]), np.array([[1.5, -1, 0.5], [-1, 0.5, 2]]), [0.5, 1], np.ones(2)


def texts(upto):
    """{what stands there: how often}, numbers and gradients apart by their color."""
    axes = layer(X, W, np.array(B), WANTED, upto).axes[0]
    red = sorted(t.get_text() for t in axes.texts if t.get_color() == ACCENT and t.get_text()[-1].isdigit())
    return red, [t.get_text() for t in axes.texts if t.get_color() != ACCENT]


def test_every_gradient_stands_in_the_picture():
    red, _ = texts("dx")
    by_hand = {"L": [1], "dh": [1, -1], "dz": [1, 0], "db": [1, 0]}
    by_hand |= {"dW": [2, 1, -1, 0, 0, 0], "dx": [1.5, -1, 0.5]}
    assert red == sorted(short(number) for numbers in by_hand.values() for number in numbers)


@pytest.mark.parametrize(("upto", "count"), [*zip(STEPS, (0, 0, 0, 0, 3, 5, 13, 16), strict=True)])
def test_gradients_appear_one_step_after_another(upto, count):
    red, _ = texts(upto)
    assert len(red) == count


def test_a_flat_unit_is_told():
    figure = layer(X, W, np.array(B), WANTED, "z")
    (flat,) = [text for text in figure.axes[0].texts if text.get_text() == "g is flat here"]
    assert flat.get_position()[0] > 4  # the second unit's, on the right


def test_the_least_errors_are_told():
    sizes = np.array([1e-8, 1e-5, 1e-2])
    figure = step_sizes(sizes, {"one": np.array([1e-7, 1e-5, 1e-2]), "two": np.array([1e-8, 1e-10, 1e-4])})
    told = [text.get_text() for text in figure.axes[0].texts]
    assert told[:2] == ["one: 1e-07 at h = 1e-08", "two: 1e-10 at h = 1e-05"]


def test_a_step_across_a_kink_measures_half_a_slope():
    for axes in kinks(1.0).axes[2:]:
        true, measured = (line.get_ydata() for line in axes.lines)
        away = abs(axes.lines[0].get_xdata() - axes.lines[0].get_xdata().mean()) > 1.001
        np.testing.assert_allclose(measured[away], true[away], atol=1e-12)
        assert measured[len(measured) // 2] == pytest.approx(0.5)


def test_a_guess_and_the_truth_share_their_colors():
    came, guess = np.arange(6.0).reshape(3, 2), np.full((3, 2), 9.0)
    above, below = guesses(came, guess, 12.3).axes
    np.testing.assert_array_equal(above.images[0].get_array(), guess.T)
    assert above.images[0].get_clim() == below.images[0].get_clim() == (0, 5)
    assert above.get_title() == "loss 12"


def test_short_numbers():
    assert [short(n) for n in (-0.0, -2.5, 1 / 3, 12.0)] == ["0", "−2.5", "0.333", "12"]
