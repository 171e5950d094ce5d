"""A figure as SVG that takes its colors from the page around it."""

import io
import re
from html import escape
from typing import TYPE_CHECKING

from minids.plot import ACCENT, FAINT, GRAY, INK, PALETTE, PAPER, SIGNAL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ON_DARK = {  # what the colors of data become on a dark page: as far from its ground as they are from paper
    SIGNAL: "#7db3e6",
    ACCENT: "#ff8b6e",
    GRAY: "#8e9196",
    **dict(
        zip(
            PALETTE,
            ("#5caeea", "#ff7b7b", "#62c562", "#bd9be0", "#f29a38", "#46c0cb", "#c49488", "#ef86cf"),
            strict=True,
        )
    ),
}
_GROUND = (
    "var(--paper, var(--jp-layout-color0, var(--vscode-notebook-editorBackground, "
    "var(--vscode-editor-background, Canvas))))"
)
_COLORS = {
    INK: "currentColor",
    "#000000": "currentColor",  # matplotlib's own choice, where it says one
    PAPER: _GROUND,
    FAINT: "var(--faint, color-mix(in srgb, currentColor 70%, transparent))",
    **{color: f"var(--c{color[1:]}, {color})" for color in ON_DARK},
}


def svg(figure: "Figure", label: str, salt: str) -> str:
    """One <svg> element that says `label` to those who cannot see it. `salt` sets its ids apart on a page."""
    from matplotlib import rc_context

    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    text = file.getvalue()
    return _open(figure, label) + _body(text[text.index("<g ") :])


def _open(figure: "Figure", label: str) -> str:
    width, height = (72 * inches for inches in figure.get_size_inches())
    style = f"width:100%;max-width:{width / 12:.4g}rem;min-width:{0.65 * width / 12:.4g}rem;height:auto"
    view = f'viewBox="0 0 {width:.6g} {height:.6g}" style="{style}"'
    named = f'role="img" aria-label="{escape(label)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {named} fill="currentColor" {view}>'


def _body(text: str) -> str:
    used = set(re.findall(r"#([\w.-]+)", text))
    text = re.sub(r' id="([\w.-]+)"', lambda m: m[0] if m[1] in used else "", text)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda m: _COLORS.get(m[0], m[0]), text)
    # A hundredth of a point is less than any eye sees; what stands between tags is to be read, and stays.
    text = re.sub(r"<[^<>]*>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), text)
    text = re.sub(r' transform="rotate\(-0[^"]*"', "", text)
    text = re.sub(r"\s*\n\s*", " ", text).replace("> <", "><")
    return re.sub(r"xlink:href", "href", text)
