"""draw/beam.py: every path stands in its text's bar, and a beam is drawn with the numbers it has."""

import numpy as np
import pytest

from minids.lesson.figures.beam import beam, every_path

COLUMNS = [
    {"": (1.0, 0.0)},
    {"": (0.6, 0.0), "a": (0.0, 0.4)},
    {"": (0.36, 0.0), "a": (0.24, 0.4), "aa": (0.0, 0.0)},
]


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_paths_of_a_text_are_the_pieces_of_its_bar():
    figure = every_path(np.array([[0.6, 0.4], [0.6, 0.4]]), "a")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["“a”", "“”"]
    assert words(figure) == ["– a\n0.24", "a –\n0.24", "a a\n0.16", "= 0.64", "– –\n0.36", "= 0.36"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.24, 0.24, 0.16, 0.36])
    assert [bar.get_linewidth() for bar in axes.patches].index(3) == 3  # the best path is framed


def test_a_beam_grows_column_by_column():
    pictures = [beam(COLUMNS, 2, t) for t in range(3)]
    assert len({tuple(figure.get_size_inches()) for figure in pictures}) == 1
    assert len({figure.axes[0].axis() for figure in pictures}) == 1
    assert words(pictures[0]) == ["“”", "1.000", "1.000", "0.000", "before"]
    assert words(pictures[1])[5:] == [
        "“”",
        "0.600",
        "0.600",
        "0.000",
        "“a”",
        "0.400",
        "0.000",
        "0.400",
        "frame 1",
    ]
    assert words(pictures[2])[14:18] == ["“a”", "0.640", "0.240", "0.400"]  # the best on top
    assert "“aa”" not in words(pictures[2])  # nothing says it


def test_what_leaves_the_beam_fades():
    texts = {text.get_text(): text for text in beam(COLUMNS, 1, 1).axes[0].texts}
    assert texts["“”"].get_alpha() == 1
    assert texts["“a”"].get_alpha() < 0.5


def test_a_text_comes_from_itself_and_from_its_beginning():
    lines = beam(COLUMNS, 2, 2).axes[0].lines
    ways = sorted((round(line.get_xdata()[1]), *np.round(line.get_ydata()).astype(int)) for line in lines)
    assert ways == [(1, 0, 0), (1, 0, 1), (2, 0, 0), (2, 0, 1), (2, 1, 0)]
