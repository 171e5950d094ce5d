"""All alignments of a text, one after the other, merging into the lattice."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from minids.lesson.figures.lattice import FALL, TOP, arrow, center, color_of, node, sheet
from minids.plot import ACCENT, INK, SIGNAL
from minids.text import BLANK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = 14  # alignments in a column of the list
TILE, LINE = 0.24, 0.3  # inches


def alignments(paths: Sequence[Sequence[int]], states: np.ndarray, letters: str, upto: int) -> "Figure":
    """The first `upto` of the paths of characters, all T long: a list, and the lattice they have made.

    A node holds the number of them that pass through it; the last one is lit.
    """
    T = len(paths[0])
    walks = [walk(path) for path in paths[:upto]]
    passing = Counter(step for path in walks for step in enumerate(path))
    used = Counter((t, *step) for path in walks for t, step in enumerate(pairwise(path)))
    last = walks[-1]
    columns = -(-len(paths) // ROWS)
    figure, axes = sheet(T, states, letters, room=0.35 + columns * (T * TILE + 0.2))
    for (t, s, onward), n in used.items():
        lit = last[t : t + 2] == [s, onward]
        arrow(axes, (t, s, onward), ACCENT if lit else SIGNAL, 2.4 if lit else 0.8 + 2.2 * n / len(paths))
    for (t, s), n in passing.items():
        node(axes, t, s, str(n), n / len(paths), ACCENT if last[t] == s else INK)
    for i, path in enumerate(paths[:upto]):
        tiles(axes, path, letters, i, lit=i == upto - 1)
    return figure


def walk(path: Sequence[int]) -> list[int]:
    """A path of characters as states of the lattice: after u letters 2u - 1 in the letter, 2u in a blank."""
    states, u, previous = [], 0, BLANK
    for k in path:
        u += k not in (previous, BLANK)
        states.append(2 * u - (k != BLANK))
        previous = k
    return states


def tiles(axes: "Axes", path: Sequence[int], letters: str, i: int, lit: bool) -> None:
    """The i-th alignment of the list, a tile for each frame."""
    from matplotlib.patches import Rectangle

    T = len(path)
    x, y = center(T - 1, 0, 0.6 + i // ROWS * (T * TILE + 0.2))[0], TOP - FALL / 3 + i % ROWS * LINE
    for t, k in enumerate(path):
        corner = x + t * TILE, y - LINE / 2 + 0.02
        shade = 0.05 if k == BLANK else 0.3
        axes.add_patch(Rectangle(corner, TILE, LINE - 0.04, color=color_of(k), alpha=shade, linewidth=0))
        at = x + (t + 0.5) * TILE, y
        axes.text(*at, letters[k], color=INK, fontsize=10, ha="center", va="center_baseline")
    if lit:
        corner = x, y - LINE / 2 + 0.02
        size = T * TILE, LINE - 0.04
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=ACCENT, linewidth=1.5))
