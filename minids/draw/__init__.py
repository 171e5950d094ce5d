"""Every picture, one function each. A function returns a matplotlib Figure; figure.savefig(path) writes it.

No pyplot: nothing is kept in the process, no window is opened, threads may draw.
"""

from functools import cache

SIGNAL, ACCENT, GREY = "#2b5d8a", "#c8452d", "#9a9a9a"
LETTERS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#e07b00", "#17929e", "#8c564b", "#c2379a")

# On Linux, macOS, Windows: fonts with the scripts that matplotlib's own lacks (Hangul, kana, Chinese).
_MORE_FONTS = (
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "Microsoft YaHei",
)


@cache
def fonts() -> list[str]:
    """Font families for text in any script: matplotlib's own, then those of the above that are here."""
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    return ["DejaVu Sans", *(name for name in _MORE_FONTS if name in installed)]


def plain(axes) -> None:
    """Only the two axes that are read, with small figures."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
