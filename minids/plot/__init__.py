"""Every picture, one function each. A function returns a matplotlib Figure; figure.savefig(path) writes it.

No pyplot: nothing is kept in the process, no window is opened, threads may draw.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Text and lines, the ground, and what stands back: on a page they become its own colors, light or dark; the
# colors of data brighten on a dark one. What lies under a text is shaded by `alpha`, so that either ground
# shines through.
INK, PAPER, FAINT = "#1a1b1c", "#fdfcfb", "#696a6b"
SIGNAL, ACCENT, GRAY = "#2b5d8a", "#c8452d", "#9a9a9a"
PALETTE = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#e07b00", "#17929e", "#8c564b", "#c2379a")

# On Linux, macOS, Windows: font_families with the scripts that matplotlib's own lacks (Hangul, kana, Chinese).
_MORE_FONTS = (
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "Microsoft YaHei",
)

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


@cache
def font_families() -> list[str]:
    """Font families for text in any script: matplotlib's own, then those of the above that are here."""
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    return ["DejaVu Sans", *(name for name in _MORE_FONTS if name in installed)]


def despine(axes) -> None:
    """Only the two axes that are read, with small figures."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def subplots(width: float, height: float, **subplots: Any) -> "tuple[Figure, Any]":
    """An empty transparent figure of `width` × `height` inches, and its axes: one, or an array of them.

    At most 8 inches wide, and no text below 9 points: then a phone can show it. `subplots` is what
    Figure.subplots takes (nrows, ncols, sharex, …). Axes and texts are INK; `axes.axis("off")` for a drawing.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(**subplots)
    figure.patch.set_alpha(0)
    for each in figure.axes:
        each.patch.set_alpha(0)
        each.spines[["top", "right"]].set_visible(False)
        for text in each.title, each.xaxis.label, each.yaxis.label:
            text.set_color(INK)
    return figure, axes
