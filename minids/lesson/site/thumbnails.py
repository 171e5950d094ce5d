"""The lessons' thumbnails in the README: python -m minids.lesson.site.thumbnails, after `make lessons`.

Each is the first figure of a lesson's page, with a light and a dark background, written to
docs/lessons/NN.svg.
"""

import re
from pathlib import Path

from minids.html.page import asset, dark_colors
from minids.lesson.site.build import OUT, thumbnail

THUMBNAILS = Path("docs/lessons")


def write_thumbnails(pages: Path = OUT, out: Path = THUMBNAILS) -> list[Path]:
    """Write the thumbnails of the lessons' pages; return their paths."""
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for page in sorted(pages.glob("[0-9][0-9]_*.html")):
        paths.append(out / f"{page.name[:2]}.svg")
        paths[-1].write_text(_standalone(thumbnail(page.read_text(encoding="utf-8"))), encoding="utf-8")
    return paths


def _standalone(svg: str) -> str:
    """An <svg> of a page as a file that holds the colors of the page."""
    colors = re.findall(r":root \{.*?\}", asset("page.css"), re.DOTALL)
    light, dark = (block.replace(":root", "svg") for block in colors)
    dark_scheme = f"@media (prefers-color-scheme: dark) {{{dark} {dark_colors('svg')}}}"
    svg = re.sub(r' style="width[^"]*"| aria-[a-z]+="[^"]*"', "", svg, count=2)
    style = f"<style>{light} svg {{color: var(--ink)}} {dark_scheme}</style>"
    background = '<rect width="100%" height="100%" style="fill: var(--paper)"/>'
    return re.sub(r"^(<svg[^>]*>)", rf"\1{style}{background}", svg) + "\n"


if __name__ == "__main__":
    for path in write_thumbnails():
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
