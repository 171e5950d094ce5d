"""Pictures of error rates: aligned texts, the table of edit distances, and a confidence interval."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from minids.lesson.figures import rectangle
from minids.plot import ACCENT, FAINT, INK, NARROW, PALETTE, SIGNAL, is_narrow, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minids.metrics import Edit

COLORS = {"C": PALETTE[2], "S": ACCENT, "D": PALETTE[3], "I": PALETTE[4]}
NAMES = {"C": "correct", "S": "substituted", "D": "deleted", "I": "inserted"}


@two_widths
def errors(edits: Sequence["Edit"]) -> "Figure":
    """An alignment, one column for each word: what was said, the error, what the recognizer wrote.

    For a phone, one row for each word.
    """
    if is_narrow():
        return _errors_in_rows(edits)
    figure, axes = subplots(8, 2.0)
    widths = [max(len(edit.reference), len(edit.hypothesis), 9) for edit in edits]
    left = 12.0  # where the words begin, in characters
    for y, name in (2, "said"), (0, "written"):
        axes.text(0, y, name, color=INK, fontsize=11, va="center", weight="bold")
    size = min(12.0, 12 * 78 / (left + sum(widths)))
    for edit, width in zip(edits, widths, strict=True):
        color, middle = COLORS[edit.op], left + width / 2
        rectangle(axes, (left, -0.6), width - 0.6, 3.2, facecolor=color, alpha=0.2)
        for y, word in (2, edit.reference), (0, edit.hypothesis):
            axes.text(middle, y, word or "·", color=INK, fontsize=size, ha="center", va="center")
        axes.text(middle, 1, NAMES[edit.op], color=color, fontsize=min(size, 10), ha="center", va="center")
        left += width
    axes.set(xlim=(0, left), ylim=(-0.7, 2.7))
    axes.axis("off")
    return figure


def _errors_in_rows(edits: Sequence["Edit"]) -> "Figure":
    figure, axes = subplots(NARROW, 0.5 + 0.36 * len(edits))
    for x, name in (0.04, "said"), (0.7, "written"):
        axes.text(x, -1, name, color=INK, fontsize=11, va="center", weight="bold")
    for row, edit in enumerate(edits):
        color = COLORS[edit.op]
        rectangle(axes, (0, row - 0.44), 1, 0.88, facecolor=color, alpha=0.2)
        for x, word in (0.04, edit.reference), (0.7, edit.hypothesis):
            axes.text(x, row, word or "·", color=INK, fontsize=11, va="center")
        axes.text(0.37, row, NAMES[edit.op], color=color, fontsize=9, va="center")
    axes.set(xlim=(0, 1), ylim=(len(edits) - 0.5, -1.5))
    axes.axis("off")
    return figure


@two_widths
def distances(
    table: np.ndarray,
    reference: Sequence[str],
    hypothesis: Sequence[str],
    rows: int,
    path: Sequence[tuple[int, int]] = (),
) -> "Figure":
    """The first `rows` rows of a table of edit distances (len(reference) + 1, len(hypothesis) + 1).

    The cells of `path` are framed, each with a line to the next. All pictures have the same size.
    """
    height, width = table.shape
    figure, axes = subplots(min(8.0, 1.6 + 0.75 * width), 0.5 + 0.52 * (height + 1))
    size = 9 if is_narrow() else 12
    for row, word in enumerate(("", *reference)):
        axes.text(-0.7, row, word, color=INK, fontsize=size, ha="right", va="center")
    for column, word in enumerate(("", *hypothesis)):
        axes.text(column, -0.8, word, color=INK, fontsize=size, ha="center", va="center")
    for (i, j), value in np.ndenumerate(table[:rows]):
        strength = 0.06 + 0.6 * value / table.max()
        rectangle(axes, (j - 0.48, i - 0.48), 0.96, 0.96, facecolor=SIGNAL, alpha=strength)
        axes.text(j, i, f"{value:g}", color=INK, fontsize=size, ha="center", va="center")
    for i, j in path:
        rectangle(axes, (j - 0.48, i - 0.48), 0.96, 0.96, fill=False, edgecolor=ACCENT, linewidth=2.5)
    for (i, j), (to_i, to_j) in pairwise(path):
        axes.plot([j, to_j], [i, to_i], color=ACCENT, linewidth=2.5, alpha=0.4)
    axes.set(xlim=(-2.4, width - 0.4), ylim=(height - 0.4, -1.3))
    axes.axis("off")
    return figure


@two_widths
def rates(samples: np.ndarray, measured: float, interval: tuple[float, float]) -> "Figure":
    """A histogram of the error rates of resampled corpora; the measured one and its interval are marked."""
    figure, axes = subplots(8, 3.2)
    values = 100 * np.asarray(samples)
    axes.hist(values, bins=30, color=SIGNAL, alpha=0.6)
    top = axes.get_ylim()[1]
    low, high = (100 * edge for edge in interval)
    axes.axvspan(low, high, color=FAINT, alpha=0.25, linewidth=0)
    axes.plot([100 * measured] * 2, [0, top], color=ACCENT, linewidth=2)
    axes.text(100 * measured, 1.03 * top, f"{100 * measured:.1f} %", color=ACCENT, fontsize=12, ha="center")
    for edge, side in (low, "right"), (high, "left"):
        axes.text(edge, 0.9 * top, f" {edge:.1f} % ", color=INK, fontsize=11, ha=side)
    axes.set(ylim=(0, 1.15 * top), yticks=[])
    axes.set_xlabel("word error rate in %", fontsize=11)
    axes.spines["left"].set_visible(False)
    return figure
