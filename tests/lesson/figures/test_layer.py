"""The figures of a layer show its numbers and gradients, step by step."""

import numpy as np
import pytest

from minids.lesson.figures.layer import STEPS, kinks, layer, predictions, short, step_sizes
from tests.svg import texts

X, W, B, TARGET = (
    np.array([2.0, 1, -1]),
    np.array([[1.5, -1, 0.5], [-1, 0.5, 2]]),
    np.array([0.5, 1]),
    np.ones(2),
)


def test_numbers_and_gradients_appear_step_by_step():
    counts = []
    for step in STEPS:
        shown = filter(None, texts(layer(X, W, B, TARGET, step)))
        counts.append(sum(text.lstrip("−")[0].isdigit() for text in shown))
    inputs_and_weights, z, h, loss = 9, 2, 2, 1
    dh, dz, dW_db, dx = 3, 2, 8, 3  # dh with the 1 of the loss
    assert np.diff(counts).tolist() == [z, h, loss, dh, dz, dW_db, dx]
    assert counts[0] == inputs_and_weights


def test_all_gradients_are_shown():
    before, after = (texts(layer(X, W, B, TARGET, step)) for step in ("L", "dx"))
    gradients = {
        "dL": [1],
        "dh": [1, -1],
        "dz": [1, 0],
        "db": [1, 0],
        "dW": [2, 1, -1, 0, 0, 0],
        "dx": [1.5, -1, 0.5],
    }
    for text in before:
        after.remove(text)
    assert sorted(after) == sorted(short(g) for numbers in gradients.values() for g in numbers)


def test_a_phone_sees_the_same_numbers():
    figure = layer(X, W, B, TARGET)
    assert figure.narrow.get_figwidth() < figure.get_figwidth() / 2
    assert texts(figure.narrow) == texts(figure)


def test_a_unit_with_slope_0_is_labeled():
    assert "g is flat here" in texts(layer(X, W, B, TARGET, "z"))
    assert "g is flat here" not in texts(layer(X, W, B, TARGET, "x"))


def test_the_smallest_errors_are_labeled():
    errors = {"one": np.array([1e-7, 1e-5, 1e-2]), "two": np.array([1e-8, 1e-10, 1e-4])}
    shown = texts(step_sizes(np.array([1e-8, 1e-5, 1e-2]), errors))
    assert {"one: 1e-07 at h = 1e-08", "two: 1e-10 at h = 1e-05"} <= set(shown)


def test_a_difference_across_a_kink_is_half_the_slope():
    for axes in kinks(1.0).axes[2:]:
        slope, measured = (line.get_ydata() for line in axes.lines)
        z = axes.lines[0].get_xdata()
        outside = abs(z - z.mean()) > 1.001
        np.testing.assert_allclose(measured[outside], slope[outside], atol=1e-12)
        assert measured[len(measured) // 2] == pytest.approx(0.5)


def test_a_prediction_and_its_target_share_their_colors():
    above, below = predictions(np.arange(6.0).reshape(3, 2), np.full((3, 2), 9.0), 12.3).axes
    assert above.images[0].get_clim() == below.images[0].get_clim() == (0, 5)


def test_numbers_are_short():
    assert [short(n) for n in (-0.0, -2.5, 1 / 3, 12.0)] == ["0", "−2.5", "0.333", "12"]
