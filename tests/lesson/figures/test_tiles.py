"""Figures of tiles show scores, banks and owners of elements."""

import pytest

from minids.lesson.figures.tiles import banks, climb, owners
from tests.svg import texts

pytest.importorskip("greenlet", reason="the simulator runs on greenlets")
from minids.cuda_simulator import Access


def test_scores_are_written_beside_their_bars():
    figure = climb({"naive": (32.0, 0.0, 0.333), "your tiled": (2.0, 2.1875, 0.32)}, ["your tiled"])
    for shown in texts(figure), texts(figure.narrow):
        assert {"naive", "your tiled", "32", "2", "none", "2.2", "0.33", "0.32"} <= set(shown)
        assert "multiplications" in shown


def test_the_readers_bars_have_another_color():
    panel = climb({"naive": (32.0, 1.0, 1.0), "your tiled": (2.0, 1.0, 1.0)}, ["your tiled"]).axes[0]
    theirs, yours = (bar.get_facecolor() for bar in panel.patches)
    assert theirs != yours


def test_words_are_in_their_banks():
    figure = banks([0, 16, 32, 48], "four words")
    marked = [patch for patch in figure.axes[0].patches if patch.get_facecolor()[3] > 0]
    assert [patch.get_xy() for patch in marked] == [(0, 0), (16, 0), (0, 1), (16, 1)]
    assert {"four words", "bank", "0", "31"} <= set(texts(figure))
    assert {"four words", "0", "8", "31"} <= set(texts(figure.narrow))


def test_elements_have_the_colors_of_their_threads():
    def write(number, element, block=0, kind="write"):
        return Access((block, 0, 0), (number, 0, 0), "y", element, kind, 1, number)

    accesses = [
        write(0, (0, 0)),
        write(1, (0, 1)),
        write(0, (3, 2)),
        write(9, (1, 1)),
        write(0, (1, 0), block=1),
    ]
    (panel,) = owners({"kernel": [*accesses, write(0, (2, 2), kind="read")]}, side=4).axes
    _, *elements = panel.patches
    assert [patch.get_xy() for patch in elements] == [(0, 0), (1, 0), (2, 3)]
    assert elements[0].get_facecolor() == elements[2].get_facecolor() != elements[1].get_facecolor()
