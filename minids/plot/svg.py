"""A figure as SVG in the colors of the page around it, which may be light or dark."""

import io
import re
import warnings
from base64 import b64decode, b64encode
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from minids.plot import ACCENT, FAINT, GRAY, INK, PALETTE, PAPER, SIGNAL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DARK_COLORS = {  # the colors of data on a dark background, with the contrast that they have on a light one
    SIGNAL: "#7db3e6",
    ACCENT: "#ff8b6e",
    GRAY: "#8e9196",
}
_BRIGHT = ("#5caeea", "#ff7b7b", "#62c562", "#bd9be0", "#f29a38", "#46c0cb", "#c49488", "#ef86cf")
DARK_COLORS |= zip(PALETTE, _BRIGHT, strict=True)
_VARIABLES = (  # of each <svg>: the background of its page or notebook, and secondary text
    "--bg:var(--paper,var(--jp-layout-color0,var(--vscode-notebook-editorBackground,"
    "var(--vscode-editor-background,Canvas))));"
    "--dim:var(--faint,color-mix(in srgb,currentColor 70%,transparent));"
)
_CSS_COLORS = {
    INK: "currentColor",
    "#000000": "currentColor",  # matplotlib's default, wherever a figure sets no color
    PAPER: "var(--bg)",
    FAINT: "var(--dim)",
    **{color: f"var(--c{color[1:]}, {color})" for color in DARK_COLORS},
}


def svg(figure: "Figure", label: str, salt: str) -> str:
    """One <svg> element. Screen readers say `label`; `salt` keeps its ids apart from others on a page."""
    from matplotlib import rc_context
    from matplotlib.text import Text

    file = io.StringIO()
    for text in figure.findobj(Text):
        text.set_usetex(False)  # whatever the user's settings say: a page has no TeX
    no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with (
        rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "text.usetex": False}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the viewer has its own fonts
        figure.savefig(file, format="svg", transparent=True, metadata=no_metadata)
    content = file.getvalue()
    return _start_tag(figure, label) + _compact(content[content.index("<g ") :])


def _start_tag(figure: "Figure", label: str) -> str:
    width, height = (72 * inches for inches in figure.get_size_inches())
    size = f"width:100%;max-width:{width / 12:.4g}rem;min-width:{0.65 * width / 12:.4g}rem;height:auto"
    view = f'viewBox="0 0 {width:.6g} {height:.6g}" style="{_VARIABLES}{size}"'
    name = f'role="img" aria-label="{escape(label)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {name} fill="currentColor" {view}>'


def _compact(text: str) -> str:
    """The elements of an SVG with CSS colors, without unused ids, comments and invisible digits."""
    references = set(re.findall(r"#([\w.-]+)", text))
    text = re.sub(r' id="([\w.-]+)"', lambda m: m[0] if m[1] in references else "", text)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda m: _CSS_COLORS.get(m[0], m[0]), text)
    text = re.sub(r' d="([^"]*)"', lambda m: f' d="{_relative(m[1])}"', text)
    # Two decimals of a point are enough for any screen; text between the tags keeps its digits.
    text = re.sub(r"<[^<>]*>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), text)
    text = re.sub(r' transform="rotate\(-0[^"]*"', "", text)
    text = re.sub(r"\s*\n\s*", " ", text).replace("> <", "><")
    text = re.sub(r'"data:image/png;base64,([^"]*)"', lambda m: f'"{_with_palette(m[1])}"', text)
    return re.sub(r"xlink:href", "href", text)


def _with_palette(png: str) -> str:
    """The URL of a PNG, in base64, whose colors are a palette if they are few: a third of the size."""
    from PIL import Image

    image = Image.open(io.BytesIO(b64decode(png))).convert("RGBA")
    pixels = np.asarray(image).view(np.uint32)[..., 0]  # (height, width), a color each
    palette, indices = np.unique(pixels, return_inverse=True)
    if len(palette) > 256:
        return f"data:image/png;base64,{''.join(png.split())}"
    reduced = Image.fromarray(indices.reshape(pixels.shape).astype(np.uint8))
    reduced.putpalette(palette.tobytes(), "RGBA")
    file = io.BytesIO()
    reduced.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


def _relative(path: str) -> str:
    """A path of lines as the steps between its points, in tenths of a point; an ellipse as two arcs."""
    commands = path.split()
    if re.sub(r"[-\d. ]+", "", " ".join(commands)) == "MCCCCCCCCz":
        return _arcs(commands) or path
    if not set(commands[::3]) <= {"M", "L", "z"} or "z" in commands[:-1] or len(commands) < 9:
        return path
    closed = commands[-1] == "z"
    steps: list[str] = []
    last = 0, 0
    for i in range(0, len(commands) - closed, 3):
        point = round(10 * float(commands[i + 1])), round(10 * float(commands[i + 2]))
        values = point if commands[i] == "M" else (point[0] - last[0], point[1] - last[1])
        letter = "M" if commands[i] == "M" else "l" if commands[i - 3] == "M" else " "
        steps.append(letter + " ".join(f"{value / 10:g}" for value in values))
        last = point
    return re.sub(r"\b0\.", ".", "".join(steps)).replace(" -", "-") + "z" * closed


def _arcs(commands: list[str]) -> str:
    """matplotlib's ellipse, M x y and eight curves, as two arcs; "" if its axes are not those of the page."""
    points = np.array([float(value) for value in commands if value not in "MCz"]).reshape(-1, 2)[0::3]
    (left, top), (width, height) = points.min(axis=0), np.ptp(points, axis=0)
    if abs(points[0, 0] - left - width / 2) > 0.01:
        return ""
    half = f"a{width / 2:.5g} {height / 2:.5g} 0 1 0"
    return f"M{left:.5g} {top + height / 2:.5g}{half} {width:.5g} 0{half} {-width:.5g} 0z"
