"""draw/learning.py: letters at their peaks, losses at their ends, walks where they went."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from minids.lesson.figures.learning import LEAST, letters, losses, valley
from minids.plot import FAINT, GRAY
from minids.text import Alphabet

ALPHABET = Alphabet(" abc")  # the blank is 0, then the space


def test_letters_stand_at_their_peaks_bold_where_they_win():
    probs = np.full((6, 5), 0.05)
    probs[:, 0] = 0.8
    probs[1, [0, 2]] = 0.05, 0.8  # an a that wins
    probs[4, [0, 3]] = 0.5, 0.35  # a b that does not
    axes = letters(np.log(probs), ALPHABET, "ab", "step 3").axes[0]
    assert axes.get_title() == "step 3"
    told = [(t.get_text(), t.get_position()[0], t.get_weight()) for t in axes.texts]
    assert told == [("a", 1, "bold"), ("b", 4, "normal")]
    colors = [to_rgb(line.get_color()) for line in axes.lines]
    assert colors[0] == to_rgb(GRAY)
    assert colors[1] == colors[4] == to_rgb(FAINT)  # neither the space nor c is in the text
    assert len(set(colors)) == 4


def test_a_letter_that_is_held_is_told_once():
    probs = np.full((6, 5), 0.02)
    probs[1:5, 2] = 0.9
    axes = letters(np.log(probs), ALPHABET, "a", "").axes[0]
    assert [t.get_text() for t in axes.texts] == ["a"]


def test_losses_end_with_their_name_and_chance_is_a_line():
    axes = losses({"all": [100.0, 1.0, -1e-6], "none": [100.0, 90.0, 80.0]}, chance=130.2).axes[0]
    assert [t.get_text() for t in axes.texts] == ["all: 0", "none: 80", "chance: 130"]
    assert axes.lines[0].get_ydata()[-1] == LEAST  # a logarithm must not meet a loss below 0
    assert axes.lines[2].get_ydata()[0] == 130.2
    assert axes.get_yscale() == "log"


def test_every_walk_has_its_picture_and_its_end():
    path = np.array([[-10.0, 2.0], [-5.0, 1.0], [2.0, 0.0]])
    figure = valley(np.array([1.0, 25.0]), {"one": path, "two": path[:2]})
    one, two = figure.axes
    np.testing.assert_array_equal(np.column_stack(one.lines[0].get_data()), path)
    assert one.texts[0].get_text() == "one: after 2 steps L = 2"
    assert two.texts[0].get_text() == "two: after 1 steps L = 25"
    assert one.get_xlim() == two.get_xlim()
    assert one.get_xlim() == pytest.approx((-11, 11))
