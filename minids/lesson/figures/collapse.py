"""How a path, one character per frame, collapses to a text: merge repeats, then remove blanks."""

from itertools import groupby
from typing import TYPE_CHECKING

from minids.lesson.figures import rectangle
from minids.plot import FAINT, GRAY, INK, PALETTE, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLANK_SIGN = "-"  # how the blank is typed
ROWS = ("the output of each frame", "1. merge repeats", "2. remove blanks", "the text")


@two_widths
def collapse(path: str, step: int) -> "Figure":
    """The collapse of a path, "-" being the blank, in four rows; those up to `step` (0 … 3) are shown.

    Step 0 is the path, 1 has merged repeats, 2 has no blanks, 3 is the text.
    """
    figure, axes = subplots(6.5, 3.8)
    runs, first = [], 0  # (character, first frame, end)
    for character, run in groupby(path):
        end = first + len(list(run))
        runs.append((character, first, end))
        first = end

    for y, words in enumerate(ROWS[: step + 1]):
        axes.text(-0.2, -1.6 * y - 0.5, words, ha="left", color=INK, fontsize=10)
    for t, character in enumerate(path):
        _box(axes, character, t, t + 1, 0, path)
    if step >= 1:
        for character, a, b in runs:
            _box(axes, character, a, b, 1, path)
            _link(axes, (a + b) / 2, 0)
    letters = [(character, a, b) for character, a, b in runs if character != BLANK_SIGN]
    if step >= 2:
        for character, a, b in letters:
            _box(axes, character, a, b, 2, path)
            _link(axes, (a + b) / 2, 1)
    if step >= 3:
        text = "".join(character for character, *_ in letters)
        axes.text(0.1, -1.6 * 3 - 1.15, f"“{text}”", va="center", fontsize=20, weight="bold", color=INK)
    axes.set(xlim=(-0.3, max(12, len(path)) + 0.3), ylim=(-6.6, 0.1))
    axes.set_axis_off()
    return figure


def _box(axes: "Axes", character: str, a: float, b: float, row: int, path: str) -> None:
    color = _color(character, path)
    corner, height = -1.6 * row - 1.5, 0.75
    rectangle(axes, (a + 0.05, corner), b - a - 0.1, height, color=color, alpha=0.25)
    letter = character.replace(" ", "␣").replace(BLANK_SIGN, "–")
    middle = corner + height / 2
    axes.text((a + b) / 2, middle, letter, ha="center", va="center", color=color, fontsize=14, weight="bold")


def _link(axes: "Axes", x: float, row: int) -> None:
    top = -1.6 * row - 1.55
    axes.plot([x, x], [top, top - 0.3], color=FAINT, linewidth=1)


def _color(character: str, path: str) -> str:
    """A different color for each character, in the order of the path; gray for the blank."""
    known = [c for c in dict.fromkeys(path) if c != BLANK_SIGN]
    return GRAY if character == BLANK_SIGN else PALETTE[known.index(character) % len(PALETTE)]
