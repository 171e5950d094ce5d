"""The unrolled recurrence shows the numbers worked out by hand, each from its step on."""

import numpy as np
import pytest

from minids.lesson.figures.unrolled import gradient_norms, unrolled
from tests.svg import texts

Z, DH = np.array([-3.0, 4, 1, 2]), np.array([0.0, 0, 0, 1])
INPUT = ["−3", "4", "1", "2"]
HF, HB, H = ["0  flat", "4", "3", "3.5"], ["0  flat", "5", "2", "2"], ["0", "9", "5", "5.5"]
DELTA_F, DELTA_B, DZ = ["0", "0.25", "0.5", "1"], ["0", "0", "0", "1"], ["0", "0.25", "0.5", "2"]


def numbers(figure):
    return sorted(text for text in texts(figure) if text[0] in "−0123456789")


@pytest.mark.parametrize(
    ("step", "shown"),
    [(0, INPUT), (3, INPUT + HF[:3]), (6, INPUT + HF + HB[2:]), (9, INPUT + HF + HB + H)],
)
def test_the_forward_pass_shows_its_numbers(step, shown):
    assert numbers(unrolled(Z, 0.5, 0.5, step)) == sorted(shown)


@pytest.mark.parametrize(
    ("step", "gradients"),
    [(0, []), (3, DELTA_F[1:]), (6, DELTA_F + DELTA_B[:2]), (9, DELTA_F + DELTA_B + DZ)],
)
def test_the_backward_pass_adds_its_gradients(step, gradients):
    dh = ["0", "0", "0", "1"]
    assert numbers(unrolled(Z, 0.5, 0.5, step, DH)) == sorted(INPUT + HF + HB + H + dh + gradients)


def test_a_phone_sees_the_same_numbers():
    figure = unrolled(Z, 0.5, 0.5, 9, DH)
    assert figure.narrow.get_figwidth() < figure.get_figwidth() / 2
    assert texts(figure.narrow) == texts(figure)


def test_gradient_norms_are_named():
    figure = gradient_norms({"small": 0.5 ** np.arange(5), "large": 2.0 ** np.arange(5)})
    assert {"small", "large", "distance in frames"} <= set(texts(figure))
    assert figure.axes[0].get_yscale() == "log"
