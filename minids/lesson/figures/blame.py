"""The gradient of CTC: output, desired output and their difference (Graves 2006, §4)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minids.lesson.figures import rectangle
from minids.lesson.figures.lattice import color_of
from minids.lesson.figures.sound import stagger
from minids.plot import ACCENT, INK, PALETTE, SIGNAL, is_narrow, subplots, two_widths
from minids.text import BLANK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = 0.5  # inches
MIN_LABELED_PROB = 0.4  # characters that reach this probability are labeled
SHADES = 12


@two_widths
def gradient_tables(y: np.ndarray, desired: np.ndarray, letters: str) -> "Figure":
    """Three tables with a row per character: y (T, K) minus `desired` (T, K) is the gradient."""
    T, K = y.shape
    tables = {"output  y": y, "desired  γ": desired, "gradient  y − γ": y - desired}
    columns, rows = (1, len(tables)) if is_narrow() else (len(tables), 1)  # of tables
    across, down = T * CELL + 0.3, K * CELL + 0.75
    figure, axes = subplots(0.45 + columns * across, rows * down)
    axes.set_position((0, 0, 1, 1))
    axes.set(xlim=(0, 0.45 + columns * across), ylim=(rows * down, 0))  # inches
    axes.axis("off")
    style: dict[str, Any] = {"color": INK, "ha": "center", "va": "center"}
    for i, (name, table) in enumerate(tables.items()):
        left, top = 0.45 + i % columns * across, 0.4 + i // columns * down
        axes.text(left + T * CELL / 2, top - 0.2, name, fontsize=11, **style)
        for t, k in np.ndindex(T, K):
            cell(axes, left + t * CELL, top + k * CELL, table[t, k], signed=i == 2)
        for t in range(T):
            axes.text(left + (t + 0.5) * CELL, top + K * CELL + 0.18, f"t = {t + 1}", fontsize=9, **style)
        for k in range(K) if i % columns == 0 else ():
            at = 0.22, top + (k + 0.5) * CELL
            axes.text(*at, letters[k], fontsize=14, weight="bold", **style | {"color": color_of(k)})
    return figure


def cell(axes: "Axes", x: float, y: float, value: float, signed: bool) -> None:
    """A square with a number: blue for a probability or a negative gradient, red for a positive gradient."""
    color = ACCENT if signed and value > 0 else SIGNAL
    rectangle(axes, (x, y), CELL, CELL, color=color, alpha=0.55 * abs(value))
    value = round(float(value), 2) + 0.0  # no −0.00
    words = f"{value:+.2f}" if signed else f"{value:.2f}"
    at = x + CELL / 2, y + CELL / 2
    axes.text(*at, words.replace("-", "−"), color=INK, fontsize=9, ha="center", va="center_baseline")


@two_widths
def blame(log_probs: np.ndarray, dlogits: np.ndarray, labels: Sequence[int], letters: str) -> "Figure":
    """Above the output log_probs (T, K), as probabilities; below its gradient dlogits (T, K).

    The rows are the blank, each character of the text `labels`, and the sum of all others. The shade is the
    square root of the gradient, so that small ones are visible.
    """
    T, text = len(log_probs), list(dict.fromkeys(labels))
    rest = [k for k in range(log_probs.shape[1]) if k not in (BLANK, *text)]
    gradient = np.column_stack([dlogits[:, [BLANK, *text]], dlogits[:, rest].sum(axis=1)])  # (T, rows)
    figure, (above, below) = subplots(7.5, 5, nrows=2, sharex=True, height_ratios=[1, 1.9])
    colors = [INK] + [PALETTE[i % len(PALETTE)] for i in range(len(text))] + [INK]
    for k, color in zip([BLANK, *text], colors, strict=False):
        y = np.exp(log_probs[:, k])
        above.plot(y, color=color, linewidth=1.6, linestyle=":" if k == BLANK else "-")
    peaks = [(int(log_probs[:, k].argmax()), k, color) for k, color in zip(text, colors[1:], strict=False)]
    peaks = sorted(peak for peak in peaks if np.exp(log_probs[peak[:2]]) > MIN_LABELED_PROB)
    places = stagger([t for t, *_ in peaks], [1] * len(peaks), T)
    for (t, k, color), (_, level) in zip(peaks, places, strict=True):
        above.text(t, 1.06 + 0.27 * level, letters[k], color=color, fontsize=12, ha="center")
    above.set(ylim=(0, 1.9), yticks=[0, 0.5, 1], ylabel="probability")
    heat(below, gradient.T)
    names = [letters[k] for k in [BLANK, *text]] + ["others"]
    below.set(ylim=(len(names) - 0.5, -0.5), xlim=(-0.5, T - 0.5), xlabel="frame")
    below.set_ylabel("gradient\nblue: increase, red: decrease")
    below.set_yticks(range(len(names)), names)
    for color, tick in zip(colors, below.get_yticklabels(), strict=True):
        tick.set(color=color, fontsize=11)
    return figure


def heat(axes: "Axes", table: np.ndarray) -> None:
    """table (rows, T) as colored cells: negative blue, positive red. Runs of one shade are one rectangle."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    shades = np.rint(SHADES * np.sqrt(np.abs(table))) * np.sign(table)  # integers
    for shade in np.unique(shades[shades != 0]):
        inside = np.pad(shades == shade, ((0, 0), (1, 1))).astype(int)
        rows, begins = np.nonzero(np.diff(inside) == 1)
        ends = np.nonzero(np.diff(inside) == -1)[1]
        boxes = [
            Path([(a, y - 0.5), (b, y - 0.5), (b, y + 0.5), (a, y + 0.5), (a, y - 0.5)], closed=True)
            for y, a, b in zip(rows, begins - 0.5, ends - 0.5, strict=True)
        ]
        color = SIGNAL if shade < 0 else ACCENT
        path = Path.make_compound_path(*boxes)
        axes.add_patch(PathPatch(path, facecolor=color, alpha=abs(shade) / SHADES, linewidth=0))
