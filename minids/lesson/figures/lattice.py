"""The CTC lattice, states from top to bottom, frames from left to right, and the alignments in it."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minids.lesson.figures import rectangle
from minids.ops.reference.ctc import skips
from minids.plot import ACCENT, FAINT, INK, PALETTE, PAPER, SIGNAL, is_narrow, subplots, two_widths
from minids.text import BLANK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOP, BOTTOM = 0.4, 0.75  # inches from the edges to the centers of the nearest nodes

Edge = tuple[int, int, int]  # t, s, and the next state, at frame t + 1


class Sizes(NamedTuple):
    """In inches: between nodes, of a node, from the left edge to the first, and of the list of alignments."""

    frame: float
    state: float
    radius: float
    left: float
    tile: tuple[float, float]
    rows: int  # of tiles in a column


WIDE = Sizes(frame=1.0, state=0.72, radius=0.27, left=0.75, tile=(0.24, 0.3), rows=14)
NARROW = Sizes(frame=0.58, state=0.6, radius=0.22, left=0.55, tile=(0.18, 0.24), rows=10)


def sizes() -> Sizes:
    return NARROW if is_narrow() else WIDE


@two_widths
def lattice(
    numbers: np.ndarray,
    states: np.ndarray,
    letters: str,
    now: int | None = None,
    backward: bool = False,
    factors: np.ndarray | None = None,
    total: str = "",
) -> "Figure":
    """numbers (T, S), such as α or γ, in the nodes of the lattice of `states` (S,), labeled with letters[k].

    `now` is the column that is being computed (None: all are filled): the arrows into it are highlighted,
    factors[now] (S,) is next to its nodes, and later columns are empty. With `backward`, columns are computed
    from right to left, along the arrows out of them. `total` is next to the end nodes once they are filled.
    """
    T, S = numbers.shape
    filled = range(T) if now is None else range(now, T) if backward else range(now + 1)
    highlighted = None if now is None else now if backward else now - 1  # the frame of these arrows
    figure, axes = empty_lattice(T, states, letters, right=0.4 if is_narrow() else 0.95)
    for t, s, following in edges(T, states):
        if t in filled and t + 1 in filled and numbers[t, s] > 0 and numbers[t + 1, following] > 0:
            arrow(axes, (t, s, following), ACCENT if t == highlighted else INK)
    for t in filled:
        for s in map(int, np.flatnonzero(numbers[t] > 0)):
            strength = numbers[t, s] / numbers[t].max()
            node(axes, t, s, number(numbers[t, s]), strength, ACCENT if t == now else INK)
            if factors is not None and t == now:
                x, y = center(t, s, 0, sizes().radius + 0.1)
                axes.text(x, y, f"×{factors[t, s]:.2g}", color=ACCENT, fontsize=9, ha="center", va="center")
    if total and T - 1 in filled:
        (x, y), align = center(T - 1, S - 1.5, sizes().radius + 0.1), "left"
        if is_narrow():  # there is no room at the side
            (x, y), align = center(T - 1, S - 1, sizes().radius, 0.44), "right"
            total = total.replace("\n", " ")
        axes.text(x, y, total, color=INK, fontsize=11, weight="bold", ha=align, va="center", linespacing=1.4)
    return figure


@two_widths
def alignments(paths: Sequence[Sequence[int]], states: np.ndarray, letters: str, upto: int) -> "Figure":
    """The first `upto` of the paths (T characters each) as a list, and the lattice that they form.

    Each node contains the number of these paths through it; the last path is highlighted.
    """
    T = len(paths[0])
    state_paths = [to_states(path) for path in paths[:upto]]
    node_counts = Counter(step for path in state_paths for step in enumerate(path))
    edge_counts = Counter((t, *step) for path in state_paths for t, step in enumerate(pairwise(path)))
    last = state_paths[-1]
    columns = -(-len(paths) // sizes().rows)
    if is_narrow():  # the list is below
        figure, axes = empty_lattice(T, states, letters, 0.4, below=sizes().rows * sizes().tile[1] + 0.2)
    else:
        figure, axes = empty_lattice(T, states, letters, 0.35 + columns * (T * sizes().tile[0] + 0.2))
    for (t, s, following), n in edge_counts.items():
        highlighted = last[t : t + 2] == [s, following]
        arrow(
            axes,
            (t, s, following),
            ACCENT if highlighted else SIGNAL,
            2.4 if highlighted else 0.8 + 2.2 * n / len(paths),
        )
    for (t, s), n in node_counts.items():
        node(axes, t, s, str(n), n / len(paths), ACCENT if last[t] == s else INK)
    for i, path in enumerate(paths[:upto]):
        tiles(axes, path, letters, len(states), i, highlighted=i == upto - 1)
    return figure


def empty_lattice(
    T: int, states: np.ndarray, letters: str, right: float, below: float = 0
) -> "tuple[Figure, Axes]":
    """The lattice without numbers, with labels, and margins of `right` and `below` inches."""
    S = len(states)
    width, height = center(T - 1, S - 1, sizes().radius + right, BOTTOM + below)
    figure, axes = subplots(width, height)
    axes.set_position((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))  # inches
    axes.axis("off")
    gap = (np.nan, np.nan)
    moves = [[center(t, s), center(t + 1, following), gap] for t, s, following in edges(T, states)]
    axes.plot(*np.reshape(moves, (-1, 2)).T, color=FAINT, linewidth=0.8, alpha=0.4, zorder=0)
    dots = [center(t, s) for t in range(T) for s in range(S)]
    style = {"markersize": 11, "markerfacecolor": PAPER, "markeredgecolor": FAINT, "linestyle": "none"}
    axes.plot(*np.transpose(dots), marker="o", zorder=0.5, **style)
    for s, k in enumerate(states):
        x, y = center(0, s, -sizes().left + 0.22)
        axes.text(x, y, letters[k], color=color_of(k), fontsize=15, weight="bold", ha="center", va="center")
    for t in range(T):
        axes.text(*center(t, S - 1, 0, 0.7), f"t = {t + 1}", color=INK, fontsize=9.5, ha="center")
    return figure, axes


def edges(T: int, states: np.ndarray) -> list[Edge]:
    """All moves: stay, advance, or skip a blank between two different letters."""
    skip = skips(states)
    return [
        (t, s, s + step)
        for t in range(T - 1)
        for s in range(len(states))
        for step in (0, 1, 2)
        if s + step < len(states) and (step < 2 or skip[s + 2])
    ]


def center(t: float, s: float, dx: float = 0, dy: float = 0) -> tuple[float, float]:
    """The center of node (t, s), plus (dx, dy), in inches from the upper left corner."""
    return sizes().left + t * sizes().frame + dx, TOP + s * sizes().state + dy


def arrow(axes: "Axes", edge: Edge, color: str, width: float = 1.1) -> None:
    """An arrow from node to node. The nodes are drawn over its ends."""
    t, s, following = edge
    (x0, y0), (x1, y1) = center(t, s), center(t + 1, following)
    away = (sizes().radius + 0.02) / np.hypot(x1 - x0, y1 - y0)  # the tip touches the next node
    tip = x1 - away * (x1 - x0), y1 - away * (y1 - y0)
    style = {"arrowstyle": "-|>", "color": color, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", tip, (x0, y0), arrowprops=style, zorder=2 if color == ACCENT else 1)


def node(axes: "Axes", t: int, s: int, label: str, strength: float, color: str) -> None:
    """A disc with a label, in a stronger blue for a higher strength (0 to 1)."""
    from matplotlib.patches import Circle

    at = center(t, s)
    axes.add_patch(Circle(at, sizes().radius, facecolor=PAPER, edgecolor=color, linewidth=1.2, zorder=3))
    axes.add_patch(Circle(at, sizes().radius, facecolor=SIGNAL, linewidth=0, alpha=0.5 * strength, zorder=4))
    axes.text(*at, label, color=INK, fontsize=9.5, ha="center", va="center_baseline", zorder=5)


def color_of(k: int) -> str:
    """A different color for each character; INK for the blank."""
    return INK if k == BLANK else PALETTE[(k - 1) % len(PALETTE)]


def number(value: float) -> str:
    """The value in at most six characters: integers, or probabilities with three decimals or two digits."""
    if value == int(value) and value < 1e6:
        return f"{value:.0f}"
    if value >= 0.01:
        return f"{value:.3f}".rstrip("0")
    return (f"{value:.2g}" if value >= 1e-3 else f"{value:.0e}").replace("e-0", "e-")


def to_states(path: Sequence[int]) -> list[int]:
    """The states of a path of characters: after u letters 2u - 1 in the letter, 2u in a blank."""
    states, u, previous = [], 0, BLANK
    for k in path:
        u += k not in (previous, BLANK)
        states.append(2 * u - (k != BLANK))
        previous = k
    return states


def tiles(axes: "Axes", path: Sequence[int], letters: str, S: int, i: int, highlighted: bool) -> None:
    """The i-th alignment of the list beside (or below) S states, with a tile per frame."""
    T, (width, height) = len(path), sizes().tile
    column, row = divmod(i, sizes().rows)
    aside = column * (T * width + (0.15 if is_narrow() else 0.2))
    if is_narrow():
        x, y = 0.15 + aside, center(0, S - 1, 0, BOTTOM + 0.2)[1] + row * height
    else:
        x, y = center(T - 1, 0, 0.6 + aside)[0], TOP - sizes().state / 3 + row * height
    for t, k in enumerate(path):
        corner = x + t * width, y - height / 2 + 0.02
        shade = 0.05 if k == BLANK else 0.3
        rectangle(axes, corner, width, height - 0.04, color=color_of(k), alpha=shade)
        at = x + (t + 0.5) * width, y
        axes.text(*at, letters[k], color=INK, fontsize=10, ha="center", va="center_baseline")
    if highlighted:
        corner = x, y - height / 2 + 0.02
        rectangle(axes, corner, T * width, height - 0.04, fill=False, edgecolor=ACCENT, linewidth=1.5)
