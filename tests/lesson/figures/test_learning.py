"""The figures of training label peaks, losses and paths."""

import numpy as np

from minids.lesson.figures.learning import letters, losses, network, sizes
from minids.model import ModelSettings
from minids.text import Alphabet
from tests.svg import texts

ALPHABET = Alphabet(" abc")  # the blank is 0, then the space


def test_each_peak_is_labeled_once():
    probs = np.full((6, 5), 0.02)
    probs[1:3, 2] = 0.9  # an a that lasts two frames
    probs[4, 3] = 0.35  # a b that is not the most probable
    probs[5, 4] = 0.15  # a c below the threshold
    shown = texts(letters(np.log(probs), ALPHABET, "ab"))
    assert [text for text in shown if text in "abc"] == ["a", "b"]


def test_curves_end_with_their_name_and_loss():
    figure = losses(
        {"all": [100.0, 1.0, 0.00131], "low": [100.0, 1.0, -1e-6], "none": [100.0, 90.0, 80.0]}, chance=130.2
    )
    assert {"all: 0.0013", "low: 0", "none: 80", "chance: 130"} <= set(texts(figure))


def test_the_network_grows_step_by_step_forward_and_backward():
    shapes = ModelSettings(81, 29, hidden=64, context=5).shapes()
    figures, captions = network(48, shapes)
    assert len(figures) == len(captions) == 15
    first, top, last = texts(figures[0]), texts(figures[7]), texts(figures[-1])
    assert {"x", "(48, 891)"} <= set(first)
    assert "h1" not in first
    assert {"ŷ", "(48, 29)", "W6 b6", "W4 b4 Wr_f Wr_b"} <= set(top)
    assert not [text for text in top if text[:2] == "dW"]
    assert "dW6 db6" not in texts(figures[8])
    assert {"ŷ − γ", "dW1 db1", "dW4 db4 dWr_f dWr_b"} <= set(last)


def test_sizes_are_those_of_ten_layers():
    def identity(shape, rng):
        return np.eye(*shape)

    assert {"× 2", "× 1.4", "× 1", "× 0.5", "clipped at 20"} <= set(texts(sizes(identity)))
    curves = [line.get_ydata() for line in sizes(identity).axes[0].lines if len(line.get_ydata()) == 11]
    np.testing.assert_allclose(curves[2][1:], curves[2][1], err_msg="× 1 of the identity changes nothing")
    np.testing.assert_allclose(curves[3][2:] / curves[3][1:-1], 0.5)
