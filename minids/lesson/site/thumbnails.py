"""The pictures of the lessons in README: python -m minids.lesson.site.thumbnails, after `make lessons`.

Each is the first picture of a lesson's page, docs/lessons/NN.svg, on a ground of its own, light or dark.
"""

import re
from pathlib import Path

from minids._utils.page import asset, bright
from minids.lesson.site.build import OUT, thumbnail

TO = Path("docs/lessons")


def draw(pages: Path = OUT, to: Path = TO) -> list[Path]:
    """Write the thumbnails of the lessons' pages; return their paths."""
    to.mkdir(parents=True, exist_ok=True)
    made = []
    for page in sorted(pages.glob("[0-9][0-9]_*.html")):
        made.append(to / f"{page.name[:2]}.svg")
        made[-1].write_text(_alone(thumbnail(page.read_text(encoding="utf-8"))), encoding="utf-8")
    return made


def _alone(picture: str) -> str:
    """An <svg> of a page as a file: it brings the colors of the page along."""
    colors = re.findall(r":root \{.*?\}", asset("page.css"), re.DOTALL)
    light, dark = (block.replace(":root", "svg") for block in colors)
    style = (
        f"{light} svg {{color: var(--ink)}} @media (prefers-color-scheme: dark) {{{dark} {bright('svg')}}}"
    )
    picture = re.sub(r' style="width[^"]*"| aria-[a-z]+="[^"]*"', "", picture, count=2)
    ground = f'<style>{style}</style><rect width="100%" height="100%" style="fill: var(--paper)"/>'
    return re.sub(r"^(<svg[^>]*>)", rf"\1{ground}", picture) + "\n"


if __name__ == "__main__":
    for path in draw():
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
