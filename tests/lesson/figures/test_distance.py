"""Pictures of error rates show the errors, distances and rates."""

import numpy as np
import pytest

from minids.lesson.figures.distance import distances, errors, rates
from minids.metrics import align
from tests.svg import texts

TABLE = np.array([[0, 1, 2], [1, 0, 1]])


def test_an_alignment_names_the_error_at_each_word():
    assert texts(errors(align("are there tickets", "there tickets now"))) == [
        *("said", "written"),
        *("are", "·", "deleted"),
        *("there", "there", "correct"),
        *("tickets", "tickets", "correct"),
        *("·", "now", "inserted"),
    ]


def test_on_a_phone_each_word_has_a_row():
    narrow = texts(errors(align("are there tickets", "there tickets now")).narrow)
    assert narrow[:8] == ["said", "written", "are", "·", "deleted", "there", "there", "correct"]
    assert narrow[-3:] == ["·", "now", "inserted"]


def test_a_table_is_filled_row_by_row():
    first, second = (texts(distances(TABLE, ["yes"], ["yes", "sir"], rows)) for rows in (1, 2))
    assert first == ["yes", "yes", "sir", "0", "1", "2"]
    assert second == [*first, "1", "0", "1"]


def test_the_path_back_is_drawn_through_its_cells():
    (axes,) = distances(TABLE, ["yes"], ["yes", "sir"], 2, [(0, 0), (1, 1), (1, 2)]).axes
    steps = [line.get_xydata().tolist() for line in axes.lines]
    assert steps == [[[0, 0], [1, 1]], [[1, 1], [2, 1]]], "x is the column, y the row"


def test_the_measured_rate_and_its_interval_are_marked_in_percent():
    figure = rates(np.linspace(0.1, 0.3, 100), 0.2, (0.12, 0.28))
    assert {"20.0 %", "12.0 %", "28.0 %"} <= {text.strip() for text in texts(figure)}
    assert figure.axes[0].lines[0].get_xydata()[:, 0] == pytest.approx(20)
