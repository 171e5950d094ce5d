"""The figures for users, one function each. It returns a matplotlib Figure; figure.savefig(path) writes it.

They do without pyplot, so they keep no state, open no window and may be drawn in threads.
"""

import unicodedata
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Text and lines, background, and secondary text and lines. On a page they become its own colors, light or
# dark; the colors of data become brighter on a dark one. Areas behind text are shaded by `alpha`, so that
# either background shows through.
INK, PAPER, FAINT = "#1a1b1c", "#fdfcfb", "#696a6b"
SIGNAL, ACCENT, GRAY = "#2b5d8a", "#c8452d", "#9a9a9a"
PALETTE = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#e07b00", "#17929e", "#8c564b", "#c2379a")

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


def font_families(text: str) -> list[str]:
    """Font families that together have the characters of a text: matplotlib's own, then installed fonts.

    Warns, once for each script, which font to install if none has a character.
    """
    return list(_font_families(frozenset(c for c in text if unicodedata.category(c)[0] not in "CZ")))


@cache
def _font_families(characters: frozenset[str]) -> tuple[str, ...]:
    from matplotlib.font_manager import findfont, fontManager

    families = {"DejaVu Sans": None}  # a dictionary, because it keeps its order
    missing = {ord(character) for character in characters} - _characters_of(findfont("DejaVu Sans"))
    for font in fontManager.ttflist if missing else []:
        found = missing & _characters_of(font.fname)
        if found and not font.name.startswith("Last Resort"):  # matplotlib's, of boxes for all characters
            families[font.name] = None
            missing -= found
    for character in map(chr, sorted(missing)):
        _warn_of_missing_font(unicodedata.name(character, "unnamed").split()[0], character)
    return tuple(families)


@cache
def _characters_of(font: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(font).get_charmap())
    except (OSError, RuntimeError):  # removed or damaged
        return frozenset()


_warned: set[str] = set()


def _warn_of_missing_font(script: str, character: str) -> None:
    """Warn once for each script; `script` is the first word of the name of a character."""
    from matplotlib import get_cachedir

    if script not in _warned:
        _warned.add(script)
        warnings.warn(
            f"no installed font has {character!r} (U+{ord(character):04X}), so figures show a box instead;"
            f" install Noto Sans (apt install fonts-noto-core fonts-noto-cjk), then delete {get_cachedir()}",
            stacklevel=2,
        )


def visible(symbol: str) -> str:
    """A symbol as a label: ␣ for a space, and a mark on ◌."""
    if symbol == " ":
        return "␣"
    return f"◌{symbol}" if symbol and unicodedata.category(symbol[0])[0] == "M" else symbol


def despine(axes) -> None:
    """Keep only the left and the bottom spine, with small tick labels."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


NARROW = 3.6  # inches, 346 pixels: what a phone shows without scrolling
_narrow: ContextVar[bool] = ContextVar("narrow", default=False)


def is_narrow() -> bool:
    """Whether a figure is being drawn for a phone, at most NARROW inches wide. See `two_widths`."""
    return _narrow.get()


def two_widths(draw: "Callable[..., Figure]") -> "Callable[..., Figure]":
    """Decorate a function that draws a figure: it is called twice, the second time for the width of a phone.

    The second figure is the attribute `narrow` of the first; a page shows the one that fits. While it is
    drawn, `is_narrow()` is true and `subplots` makes no figure wider than NARROW.
    """

    @wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> "Figure":
        figure = draw(*args, **kwargs)
        if not is_narrow():
            token = _narrow.set(True)
            try:
                figure.narrow = draw(*args, **kwargs)  # type: ignore[attr-defined]
            finally:
                _narrow.reset(token)
        return figure

    return drawn


def subplots(
    width: float, height: float, narrow_height: float | None = None, **layout: Any
) -> "tuple[Figure, Any]":
    """A transparent figure of `width` × `height` inches and its axes, or an array of axes.

    Figures for pages are at most 9 inches wide with no text below 8 points. For a phone (see `two_widths`)
    the figure is at most NARROW wide, and `narrow_height` high if that is given.
    `layout` are the arguments of Figure.subplots (nrows, ncols, sharex, …). Axes and texts are INK.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    if is_narrow():
        width, height = min(width, NARROW), narrow_height or height
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
