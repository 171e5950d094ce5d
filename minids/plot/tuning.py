"""The word error rate over the LM weight alpha and the word insertion bonus beta."""

from typing import TYPE_CHECKING, Any

import numpy as np

from minids.decode.tune import STEPS
from minids.plot import ACCENT, despine

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minids.decode.tune import Tuning


def tuning(tuned: "Tuning") -> "Figure":
    """A cell for every point that was evaluated, with its WER in %. The best one has a frame.

    Cells of finer steps are smaller and lie on the larger ones. The highest quarter of the rates shares one
    color, so that the colors distinguish the rates near the best.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    points = np.array(list(tuned.table))  # (n, 2)
    rates = np.array([100 * wer.rate for wer, _ in tuned.table.values()])  # (n,)
    step = np.array(STEPS[0])
    cells = points / step  # where a cell of the grid is 1 by 1
    sizes = [a / STEPS[0][0] for a, _ in STEPS]
    size = [next(size for size in sizes if not (cell % size).any()) for cell in cells]
    shades = ScalarMappable(Normalize(*np.quantile(rates, (0, 0.75))), "YlGnBu_r").to_rgba(rates)  # (n, 4)

    low, high = points.min(axis=0) - step / 2, points.max(axis=0) + step / 2
    width, height = (high - low) / step
    figure = Figure(figsize=(max(4, 1.2 + 0.85 * width), 1.2 + 0.6 * height), layout="constrained")
    axes = figure.subplots()

    def cell(i: int, size: float, face: Any, edge: str, line: float) -> None:
        corner, sides = points[i] - size * step / 2, size * step
        axes.add_patch(Rectangle(corner, *sides, facecolor=face, edgecolor=edge, linewidth=line))

    for i in sorted(range(len(points)), key=lambda i: -size[i]):
        cell(i, size[i], shades[i], "white", 0.6)
    spacing = np.abs(cells[:, None] - cells).max(axis=2) + np.eye(len(cells))  # (n, n)
    for i, (alpha, beta) in enumerate(points.tolist()):
        size_pt, color = 2.5 + 7 * spacing[i].min(), "white" if shades[i, :3].sum() < 1.5 else "black"
        axes.text(alpha, beta, f"{rates[i]:.1f}", ha="center", va="center", fontsize=size_pt, color=color)
    best = list(tuned.table).index((tuned.alpha, tuned.beta))
    cell(best, spacing[best].min(), "none", ACCENT, 1.8)
    axes.set(xlim=(low[0], high[0]), xlabel="alpha: language model weight")
    axes.set(ylim=(low[1], high[1]), ylabel="beta: word insertion bonus")
    despine(axes)
    figure.suptitle(f"WER {rates[best]:.1f} % at alpha {tuned.alpha:g}, beta {tuned.beta:g}", fontsize=12)
    return figure
