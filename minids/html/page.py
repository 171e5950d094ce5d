"""HTML by Jinja2 templates, which escape every text: pages that are one file, and figures within them."""

import re
from collections.abc import Iterable, Sequence
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


def page(title: str, body: str, assets: Iterable[Path] = ()) -> str:
    """A whole page of HTML; `body` is escaped unless it is Markup, as what `fragment` and `render` return.

    `assets`: the style sheets (.css) and scripts (.js) that the body needs, each of which is included once.
    """
    return render("page.html", title=title, body=body, **_contents(assets))


def fragment(
    figures: "Sequence[Figure]", captions: Sequence[str], title: str, salt: str, opens_at: int | None = None
) -> "Markup":
    """The figures as HTML without style and script: one, or steps that stand below each other without script.

    The texts that a screen reader says are the captions, the title or the figures' own titles. `salt` keeps
    the ids of this fragment apart from those of others on the page. Of a figure that was drawn at two widths
    (minids.plot.two_widths), the page shows the one that fits. The steps open on the last one, or on that of
    index `opens_at`.
    """
    from markupsafe import Markup

    steps = []
    for i, figure in enumerate(figures):
        caption = captions[i] if captions else ""
        label = caption or title or _titles(figure)
        wide, narrow = Markup(svg(figure, label, f"{salt}-{i}")), getattr(figure, "narrow", None)
        narrow = Markup(svg(narrow, label, f"{salt}-{i}n")) if narrow else ""
        steps.append({"caption": caption, "wide": wide, "narrow": narrow})
    return render("figures.html", steps=steps, title=title, opens_at=opens_at)


def notebook_fragment(body: str, assets: Iterable[Path] = (), still: str = "", label: str = "") -> "Markup":
    """A body with the style and the scripts that it needs in a notebook.

    A notebook that is not trusted shows no SVG and runs no script: there, `still` is shown, the URL of a
    picture that `label` describes. Without `still`, the body itself must make sense.
    """
    return render("notebook.html", body=body, still=still, label=label, **_contents(assets))


def unpacked(notebook_html: str) -> "tuple[Markup, list[str], list[str]]":
    """The body of a `notebook_fragment`, its style sheets and its scripts; of other HTML likewise."""
    from markupsafe import Markup

    styles = re.findall(r"<style>(.*?)</style>", notebook_html, re.DOTALL)
    scripts = re.findall(r"<script>(.*?)</script>", notebook_html, re.DOTALL)
    body = re.sub(r"<(style|script)>.*?</\1>", "", notebook_html, flags=re.DOTALL)
    packed = re.search(r'<script type="text/html">(.*?)</script>', body, re.DOTALL)
    return Markup((packed[1] if packed else body).strip()), styles, scripts


def _contents(assets: Iterable[Path]) -> dict[str, Any]:
    """The contents of style sheets and of scripts, each of them once."""
    from markupsafe import Markup

    contents: dict[str, list[Markup]] = {".css": [], ".js": []}
    for path in dict.fromkeys(assets):
        contents[path.suffix].append(Markup(path.read_text(encoding="utf-8")))
    return {"styles": contents[".css"], "scripts": contents[".js"]}


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
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.loader = FileSystemLoader([folder, HERE])
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
