"""The gradient of CTC is drawn with its numbers and with the rows of its text."""

import numpy as np

from minids.lesson.figures.blame import blame, gradient_tables
from minids.plot.svg import svg
from tests.svg import texts

Y = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]])
DESIRED = np.array([[0.0, 1.0, 0.0], [0.604, 0.0, 0.396]])


def test_the_tables_contain_their_numbers():
    cells = [text for text in texts(gradient_tables(Y, DESIRED, "–hi")) if text[-3:-2] == "."]
    assert cells[:6] == ["0.10", "0.70", "0.20", "0.60", "0.30", "0.10"]
    assert cells[12:] == ["+0.10", "−0.30", "+0.20", "+0.00", "+0.30", "−0.30"]


def test_the_rows_are_the_blank_the_characters_and_all_others():
    log_probs = np.log(np.full((6, 5), 0.2))
    log_probs[3] = np.log([0.1, 0.05, 0.05, 0.75, 0.05])
    shown = texts(blame(log_probs, np.zeros((6, 5)), [3, 2, 3], "–abcd"))
    assert [text for text in shown if text in ("–", "a", "b", "c", "others")] == [
        "c",
        "–",
        "c",
        "b",
        "others",
    ]


def test_tiny_gradients_are_not_drawn():
    log_probs = np.log(np.full((4, 3), 1 / 3))
    pictures = [svg(blame(log_probs, np.full((4, 3), x), [1, 2], "–ab"), "", "x") for x in (0, 1e-4, 1)]
    assert pictures[0] == pictures[1] != pictures[2]


def test_letters_of_neighboring_peaks_do_not_overlap():
    log_probs = np.log(np.full((100, 5), 0.01))
    for t, k in ((50, 1), (51, 2), (52, 3), (90, 4)):
        log_probs[t, k] = np.log(0.9)
    figure = blame(log_probs, np.zeros((100, 5)), [4, 2, 3, 1], "–abcd")
    for drawn in figure, figure.narrow:
        drawn.canvas.draw()
        boxes = [text.get_window_extent() for text in drawn.axes[0].texts]
        assert [text.get_text() for text in drawn.axes[0].texts] == ["a", "b", "c", "d"]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
