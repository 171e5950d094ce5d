"""Pictures of prefix beam search: the paths of each text, and the beam frame by frame."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from minids.plot import ACCENT, FAINT, GRAY, INK, PALETTE, SIGNAL, is_narrow, subplots, two_widths
from minids.text import collapse

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Beam = Mapping[str, tuple[float, float]]  # text -> p_b, p_nb
BLANK_SIGN = "–"
MAX_ROWS = 5  # texts drawn in each column
NARROW_COLUMNS = 2  # columns drawn for a phone: the last ones
BAR = 0.62  # the width of a column that stands for probability 1


@two_widths
def every_path(Y: np.ndarray, letters: str) -> "Figure":
    """All K^T paths of the probabilities Y (T, K), blank first, stacked in the bars of their texts.

    The most probable path, that of greedy decoding, is framed. Readable up to T = 4, K = 3.
    """
    texts: dict[str, dict[str, float]] = {}
    for path in product(range(Y.shape[1]), repeat=len(Y)):
        text = "".join(letters[k - 1] for k in collapse(path))
        name = " ".join((BLANK_SIGN + letters)[k] for k in path)
        texts.setdefault(text, {})[name] = math.prod(y[k] for y, k in zip(Y, path, strict=True))
    order = sorted(texts, key=lambda text: -sum(texts[text].values()))
    greatest = max(p for paths in texts.values() for p in paths.values())
    figure, axes = subplots(8, 0.8 + 0.75 * len(order))
    for row, text in enumerate(order):
        left = 0.0
        for i, (name, p) in enumerate(texts[text].items()):
            edge, width = (ACCENT, 3) if p == greatest else (INK, 0.6)
            color = PALETTE[row % len(PALETTE)]
            shade = (color, 0.3 + 0.15 * (i % 2))
            axes.barh(row, p, 0.6, left, facecolor=shade, edgecolor=edge, linewidth=width)
            axes.text(left + p / 2, row, f"{name}\n{p:.2f}", ha="center", va="center", color=INK, fontsize=11)
            left += p
        axes.text(left + 0.01, row, f"= {left:.2f}", va="center", color=INK, fontsize=13, weight="bold")
    axes.set(ylim=(len(order) - 0.5, -0.5), xlim=(0, 1.2 * max(sum(p.values()) for p in texts.values())))
    axes.set_yticks(range(len(order)), [f"“{text}”" for text in order], fontsize=13)
    axes.set_xlabel("probability: the sum over the paths", fontsize=11)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    return figure


@two_widths
def beam(columns: Sequence[Beam], width: int, upto: int) -> "Figure":
    """The beam after frames 0 to `upto`; all pictures, `upto` < len(columns), have the same size.

    columns[t] has all texts of frame t; the `width` most probable are kept, the others are pale. A text has
    two bars: paths that end in a blank (gray, p_b) and paths that end in its last letter (blue, p_nb).
    For a phone, only the last columns up to `upto` are drawn.
    """
    rows = min(MAX_ROWS, max(map(len, columns)))
    figure, axes = subplots(8, 0.9 + 0.95 * rows)
    across = min(len(columns), NARROW_COLUMNS) if is_narrow() else len(columns)
    first = max(0, upto + 1 - across)
    previous: dict[str, float] = {}  # the rows of the texts kept in the previous column
    for t, column in enumerate(columns[first : upto + 1], start=first):
        order = sorted(
            (text for text in column if sum(column[text]) > 0), key=lambda text: -sum(column[text])
        )
        for row, text in enumerate(order[:rows]):
            kept = row < width
            for parent in {text, text[:-1]} & set(previous):
                x, y = [t - 1 + BAR + 0.1, t - 0.06], [previous[parent] + 0.05, row + 0.05]
                axes.plot(x, y, color=INK if kept else FAINT, linewidth=1 if kept else 0.6, zorder=0)
            _text(axes, t, row, text, column[text], kept, best=row == 0 and t == upto)
        previous = {text: float(row) for row, text in enumerate(order[: min(width, rows)])}
        axes.text(t, -0.55, f"frame {t}" if t else "before", color=INK, fontsize=11, weight="bold")
    axes.set(xlim=(first - 0.08, first + across - 0.08), ylim=(rows - 0.4, -0.8))
    axes.axis("off")
    return figure


def _text(axes, x: float, row: float, text: str, sums: tuple[float, float], kept: bool, best: bool) -> None:
    """A text, the probability of its paths, and the bars of p_b and p_nb."""
    alpha = 1.0 if kept else 0.4
    color = ACCENT if best else INK
    axes.text(x, row - 0.13, f"“{text}”", color=color, fontsize=12, weight="bold", alpha=alpha)
    axes.text(x + BAR, row - 0.13, f"{sum(sums):.3f}", color=color, fontsize=10, ha="right", alpha=alpha)
    for i, probability, color in zip((0, 1), sums, (GRAY, SIGNAL), strict=True):
        y = row + 0.05 + 0.24 * i
        axes.barh(y, probability * BAR * 0.8, 0.2, x, color=color, alpha=alpha)
        axes.text(
            x + probability * BAR * 0.8 + 0.02,
            y,
            f"{probability:.3f}",
            color=INK,
            fontsize=9,
            va="center",
            alpha=alpha,
        )
