"""A page that is one file: style and script stand inside, nothing is asked of the network."""

from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from minids._utils.page.svg import ON_DARK, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def fragment(figures: "Sequence[Figure]", captions: Sequence[str], title: str, salt: str) -> str:
    """The figures as HTML, without style and script. Without script all steps stand one below the other."""
    steps = []
    for i, figure in enumerate(figures):
        caption = captions[i] if captions else ""
        picture = svg(figure, caption or title or _words(figure), f"{salt}-{i}")
        below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        steps.append(f'<figure><div class="scroll">{picture}</div>{below}</figure>')
    if len(steps) == 1:
        return f'<div class="minids">{steps[0]}</div>'
    label = escape(title or "Steps")
    return f'<minids-steps class="minids" role="group" aria-label="{label}">{"".join(steps)}</minids-steps>'


def _words(figure: "Figure") -> str:
    """What a figure says of itself: its titles and the names of its axes."""
    found = [figure.get_suptitle()]
    for axes in figure.axes:
        found += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
    return "; ".join(" ".join(text.split()) for text in found if text) or "picture"


def page(title: str, body: str, nav: str = "") -> str:
    """The whole HTML of a page. `nav` stands above and below the body."""
    dark = f"@media (prefers-color-scheme: dark) {{{bright(':root')}}}"
    style = asset("page.css") + asset("picture.css") + dark
    header, footer = (f"<header>{nav}</header>", f"<footer>{nav}</footer>") if nav else ("", "")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f'<style>{style}</style></head><body><a class="skip" href="#main">To the text</a>'
        f'{header}<main id="main">{body}</main>{footer}<script>{asset("steps.js")}</script></body></html>\n'
    )


@cache
def asset(name: str) -> str:
    """A style sheet or script that lies beside this file."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def bright(where: str) -> str:
    """The rule that brightens the colors of data inside `where`, which is dark."""
    return f"{where} {{{''.join(f'--c{light[1:]}: {dark};' for light, dark in ON_DARK.items())}}}"


def bright_themes() -> str:
    """The same for the dark themes of Jupyter, VS Code and Colab."""
    themes = ('[data-jp-theme-light="false"]', ".vscode-dark", "html[theme=dark]")
    return bright(", ".join(f"{theme} .minids" for theme in themes))
