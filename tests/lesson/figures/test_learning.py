"""The figures of training label peaks, losses and paths."""

import numpy as np

from minids.lesson.figures.learning import letters, losses, valley
from minids.text import Alphabet
from tests.svg import texts

ALPHABET = Alphabet(" abc")  # the blank is 0, then the space


def test_each_peak_is_labeled_once():
    probs = np.full((6, 5), 0.02)
    probs[1:3, 2] = 0.9  # an a that lasts two frames
    probs[4, 3] = 0.35  # a b that is not the most probable
    probs[5, 4] = 0.15  # a c below the threshold
    shown = texts(letters(np.log(probs), ALPHABET, "ab", "step 3"))
    assert [text for text in shown if text in "abc"] == ["a", "b"]
    assert "step 3" in shown


def test_curves_end_with_their_name_and_loss():
    figure = losses({"all": [100.0, 1.0, -1e-6], "none": [100.0, 90.0, 80.0]}, chance=130.2)
    assert {"all: 0", "none: 80", "chance: 130"} <= set(texts(figure))


def test_each_path_ends_with_its_loss():
    path = np.array([[-10.0, 2.0], [-5.0, 1.0], [2.0, 0.0]])
    shown = texts(valley(np.array([1.0, 25.0]), {"one": path, "two": path[:2]}))
    assert {"one: after 2 steps L = 2", "two: after 1 steps L = 25"} <= set(shown)
