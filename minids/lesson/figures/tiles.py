"""Matrix products on a GPU: how far up the ladder a kernel is, which bank has what, who owns what."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from minids.lesson.figures import rectangle
from minids.plot import ACCENT, FAINT, INK, PALETTE, SIGNAL, is_narrow, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minids.cuda_simulator import Access
    from minids.lesson.scores import Score

_BANKS = 32
_COSTS = ("far reads\nper element", "wavefronts per\nmultiplication", "multiplications\nper instruction")


@two_widths
def climb(scores: Mapping[str, "Score"], readers: Sequence[str] = ()) -> "Figure":
    """The scores of kernels, the best on top: one panel for each number. Those of the reader are red.

    The axes are logarithmic.
    """
    names = [*scores]
    height = 0.9 + 0.34 * len(names)
    layout = {"nrows": 3} if is_narrow() else {"ncols": 3, "sharey": True}
    figure, panels = subplots(8, height, narrow_height=3 * height + 0.4, **layout)
    colors = [ACCENT if name in readers else SIGNAL for name in names]
    for axes, title, values in zip(panels, _COSTS, zip(*scores.values(), strict=True), strict=True):
        least = min(value for value in values if value) / 2
        lengths = [max(value, least) - least for value in values]
        axes.barh(range(len(names)), lengths, left=least, color=colors)
        axes.set_xscale("log")
        axes.set_xlim(least, max(values) * 6)
        for y, value in enumerate(values):
            text = f"{value:.2g}" if value else "none"
            axes.text(max(value, least) * 1.15, y, text, va="center", color=INK)
        axes.set_yticks(range(len(names)), names)
        axes.set_title(title, loc="left")
        axes.tick_params(length=0)
        axes.set_xticks([], minor=False)
        axes.minorticks_off()
        axes.spines["bottom"].set_visible(False)
    return figure


@two_widths
def banks(words: Sequence[int], title: str) -> "Figure":
    """Which words of shared memory a warp accesses together: 32 banks side by side, 32 words in each row."""
    rows = max(words) // _BANKS + 1
    figure, axes = subplots(8, 0.9 + 0.22 * rows, narrow_height=1.0 + 0.14 * rows)
    chosen = set(words)
    for word in range(rows * _BANKS):
        row, bank = divmod(word, _BANKS)
        ground = (ACCENT, 0.7) if word in chosen else "none"
        rectangle(axes, (bank, row), 1, 1, facecolor=ground, edgecolor=FAINT, linewidth=0.6)
    ticks = [0, 8, 16, 24, 31] if is_narrow() else range(_BANKS)
    axes.set_xticks([tick + 0.5 for tick in ticks], ticks)
    axes.set(xlim=(0, _BANKS), ylim=(rows, 0), yticks=[], xlabel="bank", title=title)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    return figure


@two_widths
def owners(panels: Mapping[str, "Sequence[Access]"], side: int, threads: int = 4) -> "Figure":
    """Which elements of y the first threads of the first block write: one panel for each kernel.

    panels {title: accesses of y}; only the first `side` rows and columns are shown.
    """
    layout = {"nrows": (len(panels) + 1) // 2, "ncols": 2} if is_narrow() else {"ncols": len(panels)}
    figure, grid = subplots(9, 2.9, narrow_height=2.1 * layout.get("nrows", 1), squeeze=False, **layout)
    places = grid.ravel()
    for axes, (title, accesses) in zip(places, panels.items(), strict=False):
        rectangle(axes, (0, 0), side, side, facecolor="none", edgecolor=FAINT)
        for access in accesses:
            if access.kind == "write" and not any(access.block) and access.number < threads:
                row, column = access.element
                color = PALETTE[access.number % len(PALETTE)]
                rectangle(axes, (column, row), 1, 1, facecolor=color, edgecolor="none")
        axes.set(xlim=(-1, side + 1), ylim=(side + 1, -1), aspect="equal")
        axes.set_title(title, fontsize=9)
    for axes in places:
        axes.axis("off")
    return figure
