"""The tables are those of the paper, the pictures show their numbers."""

import numpy as np

from minids.lesson.figures.before import TABLE_3, TABLE_4, alignments, error_rates, pipelines
from tests.svg import texts


def test_the_steps_stand_side_by_side():
    for figure in pipelines(), pipelines().narrow:
        words = " ".join(texts(figure)).split()
        assert {"MFCC", "dictionary", "GMM-HMM:", "CTC:", "–"} <= {*words}
        assert words.count("n-gram") == 2, "kept"


def test_every_rate_is_shown():
    for table, columns in (TABLE_3, ("SWB", "CH", "Full")), (TABLE_4, ("Clean", "Noisy", "Combined")):
        figure = error_rates(table, columns)
        for drawn in figure, figure.narrow:
            shown = texts(drawn)
            assert {*columns} <= {*shown}
            numbers = [float(text) for text in shown if text.replace(".", "").isdigit()]
            assert numbers == [rate for rates in table.values() for rate in rates if rate is not None]


def test_what_the_lesson_says_of_the_tables():
    """Lesson 15 says these in words."""
    small, large = TABLE_3["Deep Speech SWB"], TABLE_3["Deep Speech SWB+FSH"]
    networks = [rates for name, rates in TABLE_3.items() if "NN" in name]
    assert len(networks) == 7
    assert all(rate < ours for rates in networks for rate, ours in zip(rates, small, strict=True) if rate)
    assert sum(rates[0] <= large[0] for rates in networks) == 3
    assert large[1:] == tuple(min(rates[j] for rates in TABLE_3.values() if rates[j]) for j in (1, 2))
    ours, google = TABLE_4["Deep Speech"], TABLE_4["Google API"]
    assert 1 - ours[1] / google[1] > 1 / 3
    assert google[1] == min(rates[1] for name, rates in TABLE_4.items() if name != "Deep Speech")


def test_the_path_is_drawn_over_the_shares_of_the_states():
    gamma = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    figure = alignments(gamma, [0, 1], ["", "a", ""], 0.01)
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_xydata(), [[0.005, 0], [0.015, 1]])
    np.testing.assert_array_equal(figure.axes[0].collections[0].get_array(), gamma.T)
    assert "a" in texts(figure)
