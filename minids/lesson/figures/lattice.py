"""The CTC lattice: states downwards, frames to the right, a number in every node (Graves 2006, §4.1)."""

from typing import TYPE_CHECKING

import numpy as np

from minids.ops.reference.ctc import skips
from minids.plot import ACCENT, FAINT, INK, PALETTE, PAPER, SIGNAL, subplots
from minids.text import BLANK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PITCH, FALL, RADIUS = 1.0, 0.72, 0.27  # inches from frame to frame, from state to state, and of a node
LEFT, TOP, FOOT = 0.75, 0.4, 0.75  # inches from the edges to the nearest nodes' centers

Edge = tuple[int, int, int]  # t, s, and the state s' of frame t + 1


def lattice(
    numbers: np.ndarray,
    states: np.ndarray,
    letters: str,
    now: int | None = None,
    backward: bool = False,
    factors: np.ndarray | None = None,
    total: str = "",
) -> "Figure":
    """numbers (T, S), such as α or γ, in the nodes of the lattice of `states` (S,), named by letters[k].

    now: the column that is being filled: the arrows into it are lit, with factors[now] (S,) beside its nodes;
    later columns are empty still. `backward` fills from the right, along the arrows out of the column. None:
    all is filled. `total` is written beside the two ends when they are.
    """
    T, S = numbers.shape
    filled = range(T) if now is None else range(now, T) if backward else range(now + 1)
    lit = None if now is None else now if backward else now - 1  # the frame whose arrows are lit
    figure, axes = sheet(T, states, letters, room=0.95)
    for t, s, onward in edges(T, states):
        if t in filled and t + 1 in filled and numbers[t, s] > 0 and numbers[t + 1, onward] > 0:
            arrow(axes, (t, s, onward), ACCENT if t == lit else INK)
    for t in filled:
        for s in map(int, np.flatnonzero(numbers[t] > 0)):
            strength = numbers[t, s] / numbers[t].max()
            node(axes, t, s, number(numbers[t, s]), strength, ACCENT if t == now else INK)
            if factors is not None and t == now:
                x, y = center(t, s, 0, 0.37)
                axes.text(x, y, f"×{factors[t, s]:.2g}", color=ACCENT, fontsize=9, ha="center", va="center")
    if total and T - 1 in filled:
        x, y = center(T - 1, S - 1.5, RADIUS + 0.1)
        axes.text(x, y, total, color=INK, fontsize=11, weight="bold", va="center", linespacing=1.4)
    return figure


def sheet(T: int, states: np.ndarray, letters: str, room: float) -> "tuple[Figure, Axes]":
    """The empty lattice: its characters at the left, its frames below, `room` inches at the right."""
    S = len(states)
    width, height = LEFT + (T - 1) * PITCH + RADIUS + room, TOP + (S - 1) * FALL + FOOT
    figure, axes = subplots(width, height)
    axes.set_position((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))  # inches
    axes.axis("off")
    gap = (np.nan, np.nan)
    moves = [[center(t, s), center(t + 1, onward), gap] for t, s, onward in edges(T, states)]
    axes.plot(*np.reshape(moves, (-1, 2)).T, color=FAINT, linewidth=0.8, alpha=0.4, zorder=0)
    dots = [center(t, s) for t in range(T) for s in range(S)]
    style = {"markersize": 11, "markerfacecolor": PAPER, "markeredgecolor": FAINT, "linestyle": "none"}
    axes.plot(*np.transpose(dots), marker="o", zorder=0.5, **style)
    for s, k in enumerate(states):
        x, y = center(0, s, -0.5)
        axes.text(x, y, letters[k], color=color_of(k), fontsize=15, weight="bold", ha="center", va="center")
    for t in range(T):
        axes.text(*center(t, S - 1, 0, 0.62), f"t = {t + 1}", color=INK, fontsize=9.5, ha="center")
    return figure, axes


def edges(T: int, states: np.ndarray) -> list[Edge]:
    """Stay, go on, or skip a blank between two different letters."""
    skip = skips(states)
    return [
        (t, s, s + by)
        for t in range(T - 1)
        for s in range(len(states))
        for by in (0, 1, 2)
        if s + by < len(states) and (by < 2 or skip[s + 2])
    ]


def center(t: float, s: float, dx: float = 0, dy: float = 0) -> tuple[float, float]:
    """Where node (t, s) stands, in inches from the upper left corner, and a little beside it."""
    return LEFT + t * PITCH + dx, TOP + s * FALL + dy


def arrow(axes: "Axes", edge: Edge, color: str, width: float = 1.1) -> None:
    """From node to node; the nodes, drawn later, cover its ends."""
    t, s, onward = edge
    (x0, y0), (x1, y1) = center(t, s), center(t + 1, onward)
    away = (RADIUS + 0.02) / np.hypot(x1 - x0, y1 - y0)  # the tip touches the next node
    tip = x1 - away * (x1 - x0), y1 - away * (y1 - y0)
    style = {"arrowstyle": "-|>", "color": color, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", tip, (x0, y0), arrowprops=style, zorder=2 if color == ACCENT else 1)


def node(axes: "Axes", t: int, s: int, words: str, strength: float, color: str) -> None:
    """A disc with a word in it, the bluer the stronger (0 to 1)."""
    from matplotlib.patches import Circle

    at = center(t, s)
    axes.add_patch(Circle(at, RADIUS, facecolor=PAPER, edgecolor=color, linewidth=1.2, zorder=3))
    axes.add_patch(Circle(at, RADIUS, facecolor=SIGNAL, linewidth=0, alpha=0.5 * strength, zorder=4))
    axes.text(*at, words, color=INK, fontsize=9.5, ha="center", va="center_baseline", zorder=5)


def color_of(k: int) -> str:
    """The blank has none; every other character its own."""
    return INK if k == BLANK else PALETTE[(k - 1) % len(PALETTE)]


def number(value: float) -> str:
    """At most six characters: counts as they are, probabilities to three decimals or two digits."""
    if value == int(value) and value < 1e6:
        return f"{value:.0f}"
    if value >= 0.01:
        return f"{value:.3f}".rstrip("0")
    return (f"{value:.2g}" if value >= 1e-3 else f"{value:.0e}").replace("e-0", "e-")
