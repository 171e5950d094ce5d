"""Lessons as pages and notebooks: python -m minids.lesson.site.build [NN …] writes them to out/lessons/site.

Each page is one file that loads nothing from the network: formulas are MathML, figures are SVG, style and
script are inside. Each lesson runs unchanged in a kernel of its own.
"""

import inspect
import re
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError
from minids.html.page import render
from minids.lesson import folder, source
from minids.lesson.site import markdown

OUT = Path("out/lessons/site")
CELL_TIMEOUT = 120  # seconds, for a slow machine that compiles
HERE = Path(__file__).parent  # the templates
_INSTALL = """\
# On another machine, such as Colab: upload the wheel from this notebook's folder, then run this cell.
try:
    import minids
except ImportError:
    %pip install --quiet minids-{version}-py3-none-any.whl
"""


def build(out: Path = OUT, numbers: Sequence[str] = ()) -> list[Path]:
    """Write the index, the paper map, and the pages and notebooks of the lessons (all, or `numbers`)."""
    out.mkdir(parents=True, exist_ok=True)
    paths = folder.lessons()
    links = [None, *({"page": f"{path.stem}.html", "heading": _heading(path)} for path in paths), None]
    pages = []
    for i, path in enumerate(paths):
        if not numbers or path.name[:2] in numbers:
            neighbors = {"previous": links[i], "next": links[i + 2]}
            pages.append(_write(out / f"{path.stem}.html", _lesson(path, neighbors, out)))
            print(f"{pages[-1]}  {pages[-1].stat().st_size / 1000:.0f} kB", flush=True)
    paper = folder.root().parent / "docs" / "paper.md"
    if paper.is_file():
        text = markdown.html(paper.read_text(encoding="utf-8"))
        _write(out / "paper.html", _page("The paper, section by section", text))
    return [*pages, _write(out / "index.html", _index(paths, out, paper.is_file()))]


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _lesson(path: Path, neighbors: dict[str, Any], out: Path) -> str:
    """The page of a lesson. Its notebook is written to `out`, as it ships and without outputs."""
    import jupytext
    import nbformat
    from markupsafe import Markup

    import minids

    notebook = jupytext.read(path)
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"  # not random: the same lesson gives the same file
    shipped = nbformat.from_dict(notebook)
    install = nbformat.v4.new_code_cell(_INSTALL.format(version=minids.__version__), id="install")
    shipped.cells = [install, *notebook.cells]
    shipped.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(shipped, out / f"{path.stem}.ipynb")
    _run(notebook, path)
    exercises = {exercise.name: exercise for exercise in source.exercises(path)}
    opening = next(cell for cell in notebook.cells if cell.cell_type == "code")
    cells = [_cell(cell, exercises, folded=cell is opening) for cell in notebook.cells]
    return _page(_heading(path), Markup("\n").join(cells), f"{path.stem}.ipynb", **neighbors)


def _page(title: str, body: str, notebook: str = "", previous: Any = None, next: Any = None) -> str:
    """A page that links its notebook and the previous and next lesson, {"page": …, "heading": …}."""
    values = {"title": title, "body": body, "notebook": notebook, "previous": previous, "next": next}
    return render("site.html", HERE, **values)


def _run(notebook: Any, path: Path) -> None:
    """Run a notebook in a new kernel, in an empty folder. Its cells then have their outputs."""
    from jupyter_client import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    with tempfile.TemporaryDirectory() as empty:
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{empty}/kernel")
        client = NotebookClient(
            notebook,
            kernel,
            timeout=CELL_TIMEOUT,
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": empty}},
        )
        try:
            client.execute(cleanup_kc=True)
        except CellExecutionError as error:
            raise InputError(f"{path}: a cell fails: {error.ename}: {error.evalue}") from error


def _cell(cell: Any, exercises: dict[str, source.Exercise], folded: bool) -> str:
    if cell.cell_type == "markdown":
        return markdown.html(cell.source)
    outputs = []
    for printed, group in groupby(cell.outputs, lambda output: output.output_type == "stream"):
        if printed:
            outputs.append({"text": "".join(output.text for output in group)})
        else:
            outputs += [_output(output) for output in group]
    names = re.findall(r"^@exercise\((?:.|\n)*?^def (\w+)", cell.source, flags=re.MULTILINE)
    helps = [
        {"number": exercise.number, "hints": exercise.hints, "answer": _highlight(_answer(exercise))}
        for exercise in map(exercises.__getitem__, names)
    ]
    code = _highlight(cell.source)
    return render("cell.html", HERE, source=code, outputs=outputs, exercises=helps, folded=folded)


def _output(output: Any) -> dict[str, str]:
    """The text or the HTML of an output; style and script are left out, because the page has both."""
    from markupsafe import Markup

    if "text/html" not in output.data:
        return {"text": output.data["text/plain"]}
    html = re.sub(r"^<style>.*?</style>", "", output.data["text/html"], flags=re.DOTALL)
    html = re.sub(r"<script>.*?</script>$", "", html, flags=re.DOTALL)
    return {"html": Markup(html if 'class="minids"' in html else f"<div>{html}</div>")}


def _answer(exercise: source.Exercise) -> str:
    """The source of the answer to an exercise."""
    answer = getattr(folder.answers(int(exercise.number.split(".")[0])), exercise.name)
    return inspect.getsource(getattr(answer, "py_func", answer))  # py_func: of a function that Numba compiled


def _highlight(code: str) -> str:
    from markupsafe import Markup
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return Markup(highlight(code, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip())


def _index(paths: Sequence[Path], out: Path, paper: bool) -> str:
    from markupsafe import Markup

    lessons = []
    for path in paths:
        page = out / f"{path.stem}.html"
        figure = thumbnail(page.read_text(encoding="utf-8") if page.exists() else "")
        figure = figure.replace('role="img"', 'aria-hidden="true"')
        prefix = rf"\g<1>l{path.name[:2]}-"  # keeps the ids of the lessons' figures apart on this page
        figure = Markup(re.sub(r'( id="|href="#|url\(#)', prefix, figure))
        lessons.append({"page": page.name, "heading": _heading(path), "thumbnail": figure})
    return render("index.html", HERE, title="minids: lessons", lessons=lessons, paper=paper)


def thumbnail(page: str) -> str:
    """The first figure of a page as <svg>; of steps the last one, which shows the most."""
    first = re.search(r'class="minids".*?</figure>\s*</(div|minids-steps)>', page, re.DOTALL)
    return re.findall(r"<svg.*?</svg>", first[0], re.DOTALL)[-1] if first else ""


def _heading(path: Path) -> str:
    return f"{int(path.name[:2])}. {source.title(path)}"


if __name__ == "__main__":
    try:
        build(numbers=sys.argv[1:])
    except InputError as error:
        sys.exit(f"minids: error: {error}")
