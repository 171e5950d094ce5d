"""Pictures of prefix beam search show every path, and the numbers of the beam."""

import numpy as np

from minids.lesson.figures.beam import beam, every_path
from tests.svg import texts

COLUMNS = [
    {"": (1.0, 0.0)},
    {"": (0.6, 0.0), "a": (0.0, 0.4)},
    {"": (0.36, 0.0), "a": (0.24, 0.4), "aa": (0.0, 0.0)},
]


def test_every_path_is_in_the_bar_of_its_text():
    shown = texts(every_path(np.array([[0.6, 0.4], [0.6, 0.4]]), "a"))
    assert {"– a", "a –", "a a", "– –"} <= {*shown}
    assert [shown.count(p) for p in ("0.24", "0.16", "0.36", "= 0.64", "= 0.36")] == [2, 1, 1, 1, 1]
    assert {"“a”", "“”"} <= {*shown}


def test_the_pictures_of_a_beam_grow_by_a_frame():
    before, first, second = (texts(beam(COLUMNS, 2, t)) for t in range(3))
    assert before == ["“”", "1.000", "1.000", "0.000", "before"]
    assert first[:5] == before
    assert first[5:9] == ["“”", "0.600", "0.600", "0.000"]
    assert second[: len(first)] == first
    assert second[len(first) : len(first) + 4] == ["“a”", "0.640", "0.240", "0.400"], "the best on top"
    assert "“aa”" not in second, "its probability is 0"


def test_the_pictures_of_a_beam_have_one_size():
    figures = [beam(COLUMNS, 2, t) for t in range(3)]
    assert len({tuple(figure.get_size_inches()) for figure in figures}) == 1
    assert len({(*figure.axes[0].get_xlim(), *figure.axes[0].get_ylim()) for figure in figures}) == 1


def test_lines_lead_to_a_text_from_itself_and_from_its_prefix():
    ends = [line.get_xydata()[1] for line in beam(COLUMNS, 2, 2).axes[0].lines]
    assert sorted(tuple(np.round(end).astype(int)) for end in ends) == [
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 0),
        (2, 1),
    ]


def test_a_phone_shows_the_last_columns():
    for upto, frames in (0, ["before"]), (1, ["before", "frame 1"]), (2, ["frame 1", "frame 2"]):
        figure = beam(COLUMNS, 2, upto).narrow
        shown = texts(figure)
        assert [text for text in shown if text in ("before", "frame 1", "frame 2")] == frames
        assert np.ptp(figure.axes[0].get_xlim()) == 2
