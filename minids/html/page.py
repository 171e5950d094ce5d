"""HTML by Jinja2 templates, which escape every text: pages that are one file, and figures within them."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minids.plot.svg import DARK_COLORS, svg

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup
    from matplotlib.figure import Figure

HERE = Path(__file__).parent


def render(template: str, folder: Path = HERE, **values: Any) -> "Markup":
    """Render a template in `folder` (or one of the shared ones here) with the values that it names."""
    from markupsafe import Markup

    return Markup(_environment(folder).get_template(template).render(values))


def page(title: str, body: str) -> str:
    """A whole page of HTML; `body` is escaped unless it is Markup, as what `fragment` and `render` return."""
    return render("page.html", title=title, body=body)


def fragment(figures: "Sequence[Figure]", captions: Sequence[str], title: str, salt: str) -> "Markup":
    """The figures as HTML without style and script: one, or steps that stand below each other without script.

    The texts that a screen reader says are the captions, the title or the figures' own titles. `salt` keeps
    the ids of this fragment apart from those of others on the page.
    """
    from markupsafe import Markup

    steps = []
    for i, figure in enumerate(figures):
        caption = captions[i] if captions else ""
        picture = svg(figure, caption or title or _titles(figure), f"{salt}-{i}")
        steps.append({"svg": Markup(picture), "caption": caption})
    return render("figures.html", steps=steps, title=title)


def notebook_fragment(html: str) -> "Markup":
    """A fragment with the style and the script that it needs in a notebook."""
    return render("notebook.html", fragment=html)


def asset(name: str) -> str:
    """A style sheet or script of this folder."""
    return (HERE / name).read_text(encoding="utf-8")


def dark_colors(selector: str) -> str:
    """The CSS rule that sets the colors of data inside `selector`, whose background is dark."""
    return f"{selector} {{{''.join(f'--c{light[1:]}: {dark};' for light, dark in DARK_COLORS.items())}}}"


@cache
def _environment(folder: Path) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        asset=lambda name: Markup(asset(name)), dark_colors=lambda selector: Markup(dark_colors(selector))
    )
    return environment


def _titles(figure: "Figure") -> str:
    """The titles of a figure and of its axes, for a figure without caption."""
    titles = [figure.get_suptitle()]
    for axes in figure.axes:
        titles += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
    return "; ".join(" ".join(text.split()) for text in titles if text) or "figure"
