"""Fast convolutions: what they cost over their length, and how fast the powers of their points grow."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minids.plot import ACCENT, FAINT, INK, PALETTE, SIGNAL, is_narrow, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LIMIT = 2.2  # of the picture of the complex plane


@two_widths
def curves(
    x: Sequence[float], series: Mapping[str, Sequence[float]], xlabel: str, ylabel: str, best: bool = False
) -> "Figure":
    """Numbers over x on a logarithmic axis, a curve for each name; `best` marks the minimum of the first."""
    figure, axes = subplots(8, 3.6)
    for (name, values), color in zip(series.items(), (ACCENT, SIGNAL, *PALETTE[2:]), strict=False):
        axes.semilogy(x, values, color=color, marker="o", markersize=3, label=name)
    if best:
        values = next(iter(series.values()))
        i = int(np.argmin(values))
        at = x[i], values[i]
        axes.plot(*at, "o", color=ACCENT, markersize=8)
        axes.annotate(
            f"{x[i]}: {values[i]:,.0f}", at, (0, 10), textcoords="offset points", ha="center", color=INK
        )
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.legend(
        loc="outside upper center", ncols=1 if is_narrow() else len(series), frameon=False, labelcolor=INK
    )
    return figure


@two_widths
def orbits(points: Sequence[complex], count: int) -> "Figure":
    """The first powers of each point in the complex plane, joined by a line, and the circle of radius 1."""
    figure, axes = subplots(8, 3.6)  # as `curves`, the next step of the same picture
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color=FAINT, linewidth=0.8)
    for point, color in zip(points, (ACCENT, *PALETTE[2:4]), strict=False):
        powers = np.asarray(point) ** np.arange(count)
        axes.plot(powers.real, powers.imag, color=color, marker="o", markersize=5, linewidth=1)
    axes.set(xlim=(-_LIMIT, _LIMIT), ylim=(-_LIMIT, _LIMIT), aspect="equal")
    axes.set(xlabel="real part", ylabel="imaginary part", xticks=range(-2, 3), yticks=range(-2, 3))
    return figure
