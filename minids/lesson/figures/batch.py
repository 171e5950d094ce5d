"""Batches and their padding, and dropout."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minids.lesson.figures import rectangle
from minids.plot import ACCENT, FAINT, INK, SIGNAL, is_narrow, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT, BELOW = 0.8, 0.45  # inches of a table for the names of its rows and columns


@two_widths
def rectangles(lengths: np.ndarray, groups: Sequence[Sequence[int]]) -> "Figure":
    """Groups of utterances as batches, each as long as its longest utterance; its padding is red."""
    figure, axes = subplots(7, 4.4)
    y, wasted, longest = 0.0, 0, int(max(lengths))
    for group in groups:
        members, longest_in_batch = lengths[list(group)], int(max(lengths[list(group)]))
        rows = y + np.arange(len(group))
        axes.barh(rows, members, height=0.8, color=SIGNAL)
        axes.barh(rows, longest_in_batch - members, left=members, height=0.8, color=ACCENT, alpha=0.75)
        share = f"{1 - members.sum() / (longest_in_batch * len(members)):.0%}"
        axes.text(longest_in_batch + longest / 60, rows.mean(), share, color=ACCENT, fontsize=10, va="center")
        y, wasted = rows[-1] + 2.2, wasted + longest_in_batch * len(members) - int(members.sum())
    total_share = wasted / (wasted + int(lengths.sum()))
    axes.set_title(f"batches: {len(groups)}   padding: {total_share:.0%} of the work", color=INK, fontsize=10)
    right = 1.16 if is_narrow() else 1.08
    axes.set(xlim=(0, right * longest), ylim=(y - 1, -1), yticks=[], xlabel="frames", ylabel="utterances")
    axes.spines["left"].set_visible(False)
    return figure


@two_widths
def padded(values: np.ndarray, lengths: np.ndarray) -> "Figure":
    """values (T0, B), one per frame and utterance; each utterance is a row, and its padding is red."""
    T0, B = values.shape
    figure, axes, cell = _table([f"b = {b}" for b in range(B)], T0)
    for b, t in np.ndindex(B, T0):
        _cell(axes, cell, t, b, SIGNAL if t < lengths[b] else ACCENT, 0.25, f"{values[t, b]:g}")
    return figure


@two_widths
def dropped(h: np.ndarray) -> "Figure":
    """h (T, H), the outputs of a layer with dropout; dropped units are empty."""
    T, H = h.shape
    figure, axes, cell = _table([f"unit {u}" for u in range(H)], T)
    for t, u in np.ndindex(T, H):
        if h[t, u]:
            _cell(axes, cell, t, u, SIGNAL, 0.3, f"{h[t, u]:.2f}")
        else:
            _cell(axes, cell, t, u, FAINT, 0.06, "")
    return figure


def _table(rows: Sequence[str], T: int) -> "tuple[Figure, Axes, float]":
    """A table with names of its rows and a column per frame; and the size of its cells in inches."""
    cell = min(0.44, (3.6 - LEFT) / T) if is_narrow() else 0.52
    width, height = LEFT + T * cell, len(rows) * cell + BELOW
    figure, axes = subplots(width, height)
    axes.set_position((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    for i, name in enumerate(rows):
        _words(axes, LEFT / 2, (i + 0.5) * cell, name)
    for t in range(T):
        _words(axes, LEFT + (t + 0.5) * cell, height - BELOW / 2, f"{t}" if t else "t = 0")
    return figure, axes, cell


def _cell(axes: "Axes", cell: float, t: int, row: int, color: str, alpha: float, words: str) -> None:
    x, y, size = LEFT + t * cell, row * cell, 0.94 * cell
    rectangle(axes, (x, y), size, size, color=color, alpha=alpha)
    _words(axes, x + size / 2, y + size / 2, words)


def _words(axes: "Axes", x: float, y: float, words: str) -> None:
    axes.text(x, y, words, color=INK, fontsize=8 if is_narrow() else 9, ha="center", va="center_baseline")
