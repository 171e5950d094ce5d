"""Bars on a logarithmic axis, each with its value: for numbers of very different size."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minids.plot import ACCENT, INK, PALETTE, SIGNAL, is_narrow, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@two_widths
def bars(names: Sequence[str], series: Mapping[str, Sequence[float]], unit: str) -> "Figure":
    """For each name one bar per series, such as {"reference": [...], "cpu": [...]}, with values in `unit`."""
    colors = (ACCENT, SIGNAL, *PALETTE)
    figure, axes = subplots(7, 0.9 + len(names) * (0.1 + 0.24 * len(series)))
    thickness = 0.85 / len(series)
    for i, (label, numbers) in enumerate(series.items()):
        y = np.arange(len(names)) + (i - (len(series) - 1) / 2) * thickness
        axes.barh(y, numbers, thickness, label=label, color=colors[i])
        for height, number in zip(y, numbers, strict=True):
            text = f"{number:.3g}" if number < 1000 else f"{number:,.0f}"
            axes.annotate(
                text, (number, height), (3, 0), textcoords="offset points", va="center", fontsize=9, color=INK
            )
    all_numbers = [number for numbers in series.values() for number in numbers]
    axes.set(xscale="log", xlabel=unit, yticks=range(len(names)), yticklabels=names)
    axes.set(
        xlim=(min(all_numbers) / 2, max(all_numbers) * (20 if is_narrow() else 4)),
        ylim=(len(names) - 0.4, -0.6),
    )
    if len(series) > 1:
        figure.legend(loc="outside upper center", ncols=len(series), frameon=False, labelcolor=INK)
    return figure
