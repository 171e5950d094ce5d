"""The lattice has its numbers in the right nodes, column by column, and its moves are those of alignments."""

from itertools import chain, product

import numpy as np
import pytest

from minids.lesson.figures.lattice import alignments, edges, lattice, number, to_states
from minids.ops.reference.ctc import lattice as states_of
from minids.text import collapse
from tests.svg import texts

HI = states_of([1, 2])
ALPHA = np.array([[0.1, 0.7, 0, 0, 0], [0.06, 0.24, 0.42, 0.07, 0], [0.012, 0.06, 0.132, 0.438, 0.014]])
CAT = [path for path in product(range(4), repeat=5) if collapse(path) == [1, 2, 3]]
COLUMNS = [["0.1", "0.7"], ["0.06", "0.24", "0.42", "0.07"], ["0.012", "0.06", "0.132", "0.438", "0.014"]]


def test_a_lattice_contains_its_numbers():
    shown = texts(lattice(ALPHA, HI, "–hi", total="p"))
    assert [text for text in shown if text[:2] == "0."] == [*chain(*COLUMNS)]
    assert {"–", "h", "i", "t = 1", "t = 3", "p"} <= set(shown)


@pytest.mark.parametrize(("backward", "filled"), [(False, COLUMNS[:2]), (True, COLUMNS[1:])])
def test_columns_are_filled_in_either_direction(backward, filled):
    shown = texts(lattice(ALPHA, HI, "–hi", now=1, backward=backward, factors=ALPHA))
    assert [text for text in shown if text[:2] == "0."] == [*chain(*filled)]
    assert [text for text in shown if text[0] == "×"] == ["×0.06", "×0.24", "×0.42", "×0.07"]


def test_the_moves_of_the_lattice_are_those_of_its_alignments():
    for label in [1, 2, 3], [1, 1], [2, 1, 1], []:
        states = states_of(label)
        paths = [path for path in product(range(4), repeat=5) if collapse(path) == label]
        assert all([states[s] for s in to_states(path)] == list(path) for path in paths)
        walks = map(to_states, paths)
        assert {(t, w[t], w[t + 1]) for w in walks for t in range(4)} <= set(edges(5, states))


def test_the_nodes_count_the_alignments():
    counts = [
        int(text) for text in texts(alignments(CAT, states_of([1, 2, 3]), "–cat", 28)) if text.isdigit()
    ]
    assert len(counts) == 17
    assert sum(counts) == 5 * 28  # every alignment is in one node of each frame
    shown = texts(alignments(CAT, states_of([1, 2, 3]), "–cat", 1))
    assert shown.count("1") == 5


@pytest.mark.parametrize(
    ("value", "text"),
    [(28, "28"), (0.7, "0.7"), (0.09372, "0.094"), (0.00723, "0.0072"), (4.4e-5, "4e-5"), (1.0, "1")],
)
def test_a_number_fits_into_its_node(value, text):
    assert number(value) == text
