"""The lessons' thumbnails in the README: python -m minids.lesson.site.thumbnails.

They are those of the index, each with a light and a dark background, written to docs/lessons/NN.svg.
"""

import re
from pathlib import Path

from minids.html.page import asset, dark_colors
from minids.lesson import folder
from minids.lesson.site.drawings import thumbnail

THUMBNAILS = Path("docs/lessons")


def write_thumbnails(out: Path = THUMBNAILS) -> list[Path]:
    """Write the drawings of all lessons as files with the colors of the page; return their paths."""
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for lesson in folder.lessons():
        paths.append(out / f"{lesson.name[:2]}.svg")
        paths[-1].write_text(_standalone(thumbnail(int(lesson.name[:2]))), encoding="utf-8")
    return paths


def _standalone(svg: str) -> str:
    colors = re.findall(r":root \{.*?\}", asset("page.css"), re.DOTALL)
    light, dark = (block.replace(":root", "svg") for block in colors)
    dark_scheme = f"@media (prefers-color-scheme: dark) {{{dark} {dark_colors('svg')}}}"
    style = f"<style>{light} svg {{color: var(--ink)}} {dark_scheme}</style>"
    background = '<rect width="100%" height="100%" style="fill: var(--box)"/>'
    return re.sub(r"^(<svg[^>]*>)", rf"\1{style}{background}", svg) + "\n"


if __name__ == "__main__":
    for path in write_thumbnails():
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
