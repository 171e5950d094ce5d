"""draw/blame.py: the tables hold their numbers; the heat map is blue for more, red for less."""

import numpy as np
from matplotlib.colors import to_rgb

from minids.lesson.figures.blame import SHADES, account, blame
from minids.plot import ACCENT, SIGNAL

Y = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]])
WANTED = np.array([[0.0, 1.0, 0.0], [0.604, 0.0, 0.396]])


def test_an_account_holds_its_numbers():
    axes = account(Y, WANTED, "–hi").axes[0]
    cells = [text.get_text() for text in axes.texts if "." in text.get_text()]
    assert cells[:6] == ["0.10", "0.70", "0.20", "0.60", "0.30", "0.10"]
    assert cells[12:] == ["+0.10", "−0.30", "+0.20", "+0.00", "+0.30", "−0.30"]
    shades = [(to_rgb(box.get_facecolor()), box.get_alpha()) for box in axes.patches[12:]]
    assert [color == to_rgb(ACCENT) for color, _ in shades] == [True, False, True, False, True, False]
    assert shades[3][1] < shades[0][1] < shades[2][1] < shades[1][1]


def test_blame_is_shaded_by_sign_and_size():
    T, K = 6, 5
    dlogits = np.zeros((T, K))
    dlogits[2:4, 3], dlogits[2:4, 1], dlogits[2:4, 4] = -1, 0.25, 0.75
    log_probs = np.log(np.full((T, K), 0.2))
    log_probs[3] = np.log([0.1, 0.05, 0.05, 0.75, 0.05])
    figure = blame(log_probs, dlogits, [3, 2, 3], "–abcd")
    above, below = figure.axes
    assert [label.get_text() for label in below.get_yticklabels()] == ["–", "c", "b", "others"]
    np.testing.assert_allclose([line.get_ydata()[3] for line in above.lines], [0.1, 0.75, 0.05])
    assert [(text.get_text(), text.get_position()[0]) for text in above.texts] == [("c", 3)]
    more, less = sorted(below.patches, key=lambda patch: to_rgb(patch.get_facecolor()) != to_rgb(SIGNAL))
    assert more.get_alpha() == 1
    np.testing.assert_allclose(
        more.get_path().get_extents().extents, [1.5, 0.5, 3.5, 1.5]
    )  # frames 2, 3 of c
    assert to_rgb(less.get_facecolor()) == to_rgb(ACCENT)
    assert less.get_alpha() == 1, "a and d together are 1"
    np.testing.assert_allclose(less.get_path().get_extents().extents, [1.5, 2.5, 3.5, 3.5])


def test_a_gradient_that_is_next_to_nothing_is_not_drawn():
    tiny = np.full((4, 3), (0.4 / SHADES) ** 2)
    figure = blame(np.log(np.full((4, 3), 1 / 3)), tiny, [1, 2], "–ab")
    assert not figure.axes[1].patches
