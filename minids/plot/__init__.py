"""The figures for users, one function each. It returns a matplotlib Figure; figure.savefig(path) writes it.

They do without pyplot, so they keep no state, open no window and may be drawn in threads.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Text and lines, background, and secondary text and lines. On a page they become its own colors, light or
# dark; the colors of data become brighter on a dark one. Areas behind text are shaded by `alpha`, so that
# either background shows through.
INK, PAPER, FAINT = "#1a1b1c", "#fdfcfb", "#696a6b"
SIGNAL, ACCENT, GRAY = "#2b5d8a", "#c8452d", "#9a9a9a"
PALETTE = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#e07b00", "#17929e", "#8c564b", "#c2379a")

# On Linux, macOS, Windows: fonts with the scripts that matplotlib's own lacks (Hangul, kana, Chinese).
_CJK_FONTS = (
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
    """Font families for text in any script: matplotlib's own, then the installed CJK fonts."""
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    return ["DejaVu Sans", *(name for name in _CJK_FONTS if name in installed)]


def despine(axes) -> None:
    """Keep only the left and the bottom spine, with small tick labels."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def subplots(width: float, height: float, **layout: Any) -> "tuple[Figure, Any]":
    """A transparent figure of `width` × `height` inches and its axes, or an array of axes.

    Figures for pages are at most 8 inches wide with no text below 9 points, so that a phone can show them.
    `layout` are the arguments of Figure.subplots (nrows, ncols, sharex, …). Axes and texts are INK.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(**layout)
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
        axes.spines[["top", "right"]].set_visible(False)
        for text in axes.title, axes.xaxis.label, axes.yaxis.label:
            text.set_color(INK)
    return figure, grid
