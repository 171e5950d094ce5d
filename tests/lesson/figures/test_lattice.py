"""draw/lattice.py and draw/alignments.py: the numbers that were given stand where they belong."""

from itertools import product

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from minids.lesson.figures.alignments import alignments, walk
from minids.lesson.figures.lattice import center, edges, lattice, number
from minids.ops.reference.ctc import lattice as states_of
from minids.plot import ACCENT
from minids.text import collapse

HI = states_of([1, 2])
ALPHA = np.array([[0.1, 0.7, 0, 0, 0], [0.06, 0.24, 0.42, 0.07, 0], [0.012, 0.06, 0.132, 0.438, 0.014]])
CAT = [path for path in product(range(4), repeat=5) if collapse(path) == [1, 2, 3]]


def words(figure):
    """Every text by where it stands."""
    return {tuple(np.round(text.get_position(), 6)): text.get_text() for text in figure.axes[0].texts}


def standing(figure, T, S):
    """(T, S) of the texts in the nodes, "" where there is none."""
    at = words(figure)
    return [[at.get(tuple(np.round(center(t, s), 6)), "") for s in range(S)] for t in range(T)]


def arrows(figure):
    """How many arrows there are, and how many of them are lit."""
    drawn = [text.arrow_patch for text in figure.axes[0].texts if getattr(text, "arrow_patch", None)]
    return len(drawn), sum(to_rgb(each.get_edgecolor()) == to_rgb(ACCENT) for each in drawn)


def test_a_lattice_holds_its_numbers():
    figure = lattice(ALPHA, HI, "–hi", total="p")
    expected = [["0.1", "0.7", "", "", ""], ["0.06", "0.24", "0.42", "0.07", ""]]
    assert standing(figure, 2, 5) == expected
    assert {"–", "h", "i", "t = 1", "t = 3", "p"} <= set(words(figure).values())
    assert arrows(figure) == (5 + 9, 0)  # no arrow leads to an empty node


@pytest.mark.parametrize(("backward", "filled", "lit"), [(False, [0, 1], 5), (True, [1, 2], 9)])
def test_columns_fill_from_the_left_or_the_right(backward, filled, lit):
    figure = lattice(ALPHA, HI, "–hi", now=1, backward=backward, factors=ALPHA)
    rows = standing(figure, 3, 5)
    assert [t for t in range(3) if any(rows[t])] == filled
    assert arrows(figure) == (lit, lit)
    assert sum(text.startswith("×") for text in words(figure).values()) == 4  # the nodes of column 1


def test_the_moves_of_the_lattice_are_those_of_its_alignments():
    for label in [1, 2, 3], [1, 1], [2, 1, 1], []:
        paths = [walk(path) for path in product(range(4), repeat=5) if collapse(path) == label]
        moves = {(t, path[t], path[t + 1]) for path in paths for t in range(4)}
        assert moves <= set(edges(5, states_of(label)))
        letters = [[states_of(label)[s] for s in path] for path in paths]
        assert all(collapse(path) == label for path in letters)


def test_alignments_merge():
    figure = alignments(CAT, states_of([1, 2, 3]), "–cat", 28)
    rows = standing(figure, 5, 7)
    assert [sum(int(n) for n in row if n) for row in rows] == [28] * 5
    assert rows[0] == ["7", "21", "", "", "", "", ""]
    assert rows[-1] == ["", "", "", "", "", "21", "7"]
    assert arrows(figure)[1] == 4  # the last alignment is lit
    one = alignments(CAT, states_of([1, 2, 3]), "–cat", 1)
    assert sum(bool(n) for row in standing(one, 5, 7) for n in row) == 5
    assert (one.get_size_inches() == figure.get_size_inches()).all()  # steps of one stepper
    assert one.axes[0].get_xlim() == figure.axes[0].get_xlim()


@pytest.mark.parametrize(
    ("value", "words"),
    [(28, "28"), (0.7, "0.7"), (0.09372, "0.094"), (0.00723, "0.0072"), (4.4e-5, "4e-5"), (1.0, "1")],
)
def test_a_number_fits_into_its_node(value, words):
    assert number(value) == words
