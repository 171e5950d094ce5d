"""The lessons as pages and notebooks: python -m minids.lesson.site [NN …], in out/lessons/site.

Each page is one file that asks nothing of the network: formulas are MathML, pictures SVG, and a few lines of
style and script stand inside. Each lesson runs as it ships, in a kernel of its own.
"""

import inspect
import re
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError
from minids._utils.page import page
from minids.lesson import folder, source
from minids.lesson.site import markdown

OUT = Path("out/lessons/site")
SECONDS = 120  # for one cell, on a slow machine that compiles
_INSTALL = """\
# On another machine, such as Colab: upload the wheel that lies beside this notebook, then run this cell.
try:
    import minids
except ImportError:
    %pip install --quiet {wheel}
"""


def build(out: Path = OUT, only: Sequence[str] = ()) -> list[Path]:
    """Write the pages of all lessons (or of those whose numbers are `only`), notebooks, index, paper map."""
    out.mkdir(parents=True, exist_ok=True)
    paths = folder.lessons()
    pages = []
    for i, path in enumerate(paths):
        if not only or path.name[:2] in only:
            around = (paths[i - 1] if i else None, paths[i + 1] if i + 1 < len(paths) else None)
            pages.append(_lesson(path, around, out))
            print(f"{pages[-1]}  {pages[-1].stat().st_size / 1000:.0f} kB", flush=True)
    paper = folder.home().parent / "docs" / "paper.md"
    if paper.is_file():
        text = markdown.html(paper.read_text(encoding="utf-8"))
        (out / "paper.html").write_text(page("The paper, section by section", text, _nav()), encoding="utf-8")
    index = page("minids: lessons", _index(paths, out, paper.is_file()))
    (out / "index.html").write_text(index, encoding="utf-8")
    return [*pages, out / "index.html"]


def _lesson(path: Path, around: tuple[Path | None, Path | None], out: Path) -> Path:
    import jupytext
    import nbformat

    notebook = jupytext.read(path)
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"  # not at random: the same lesson, the same file
    bare = nbformat.from_dict(notebook)
    bare.cells = [nbformat.v4.new_code_cell(_INSTALL.format(wheel=_wheel()), id="install"), *notebook.cells]
    bare.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(bare, out / f"{path.stem}.ipynb")
    _run(notebook, path)
    exercises = {each.name: each for each in source.exercises(path)}
    opening = next(cell for cell in notebook.cells if cell.cell_type == "code")
    body = "\n".join(_cell(cell, exercises, folded=cell is opening) for cell in notebook.cells)
    made = out / f"{path.stem}.html"
    made.write_text(
        page(f"{int(path.name[:2])}. {source.title(path)}", body, _nav(path, around)), encoding="utf-8"
    )
    return made


def _run(notebook: Any, path: Path) -> None:
    """Run a notebook in a new kernel, in an empty folder; its cells then have their outputs."""
    from jupyter_client import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    with tempfile.TemporaryDirectory() as empty:
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{empty}/kernel")
        client = NotebookClient(
            notebook,
            kernel,
            timeout=SECONDS,
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": empty}},
        )
        try:
            client.execute(cleanup_kc=True)
        except CellExecutionError as error:
            raise InputError(f"{path}: a cell fails: {error.ename}: {error.evalue}") from error


def _cell(cell: Any, exercises: dict[str, source.Exercise], folded: bool) -> str:
    """A cell and what came of it; `folded`: what came of it, and its code folded away below."""
    if cell.cell_type == "markdown":
        return markdown.html(cell.source)
    code = f'<pre class="code" tabindex="0"><code>{_colored(cell.source)}</code></pre>'
    outputs = [
        _printed("".join(output.text for output in group)) if printed else "\n".join(map(_shown, group))
        for printed, group in groupby(cell.outputs, lambda output: output.output_type == "stream")
    ]
    if folded:
        return "\n".join([*outputs, f"<details><summary>The code so far</summary>{code}</details>"])
    parts = [code, *outputs]
    for name in re.findall(r"^@exercise\((?:.|\n)*?^def (\w+)", cell.source, flags=re.MULTILINE):
        parts.append(_help(exercises[name]))
    return "\n".join(parts)


def _printed(text: str) -> str:
    return f'<pre class="out" tabindex="0">{escape(text)}</pre>'


def _shown(output: Any) -> str:
    given = output.data
    if "text/html" in given:
        html = re.sub(r"^<style>.*?</style>", "", given["text/html"], flags=re.DOTALL)
        html = re.sub(r"<script>.*?</script>$", "", html, flags=re.DOTALL)  # the page has both, once
        return html if 'class="minids"' in html else f"<div>{html}</div>"
    return _printed(given["text/plain"])


def _help(exercise: source.Exercise) -> str:
    """Folded away below an exercise: its hints, and our answer."""
    answer = getattr(folder.answers(int(exercise.number.split(".")[0])), exercise.name)
    answer = getattr(answer, "py_func", answer)  # what Numba compiled
    hints = "".join(f"<li>{escape(hint)}</li>" for hint in exercise.hints)
    code = _colored(inspect.getsource(answer))
    return (
        f"<details><summary>Hints for {exercise.number}</summary><ol>{hints}</ol></details>"
        f"<details><summary>Our answer to {exercise.number}</summary>"
        f'<pre class="code" tabindex="0"><code>{code}</code></pre></details>'
    )


def _colored(code: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return highlight(code, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip()


def _nav(path: Path | None = None, around: tuple[Path | None, Path | None] = (None, None)) -> str:
    before, after = around
    middle = '<a href="index.html">All lessons</a>'
    if path:
        middle += f' · <a href="{path.stem}.ipynb">Notebook</a>'
    links = [
        f'<a rel="prev" href="{before.stem}.html">‹&nbsp;{_heading(before)}</a>' if before else "",
        middle,
        f'<a rel="next" href="{after.stem}.html">{_heading(after)}&nbsp;›</a>' if after else "",
    ]
    return f'<nav aria-label="Lessons">{"".join(f"<div>{link}</div>" for link in links)}</nav>'


def _index(paths: Sequence[Path], out: Path, paper: bool) -> str:
    items = []
    for path in paths:
        made = out / f"{path.stem}.html"
        text = made.read_text(encoding="utf-8") if made.exists() else ""
        picture = thumbnail(text).replace('role="img"', 'aria-hidden="true"')
        picture = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>l{path.name[:2]}-", picture)  # apart on this page
        items.append(
            f'<li><a href="{path.stem}.html"><div class="thumbnail">{picture}</div>'
            f"<span>{_heading(path)}</span></a></li>"
        )
    paper_map = '<a href="paper.html">The paper, section by section</a>: what implements, teaches, proves it.'
    return (
        "<h1>From a sound wave to “now I could write it myself”</h1>"
        "<p>Deep Speech (Hannun et al. 2014), whole and by hand. Each lesson asks one question, and asks you "
        "to write one to three short functions; it checks them, and goes on with ours until yours are right. "
        "To write in them: <code>minids lessons copy my-lessons</code>. To only look, just read.</p>"
        f'<ol class="lessons">{"".join(items)}</ol>{f"<p>{paper_map}</p>" if paper else ""}'
    )


def thumbnail(text: str) -> str:
    """The first picture of a page; of steps the last, which is the fullest."""
    first = re.search(r'class="minids".*?</figure></(div|minids-steps)>', text, re.DOTALL)
    return re.findall(r"<svg.*?</svg>", first[0], re.DOTALL)[-1] if first else ""


def _heading(path: Path) -> str:
    return f"{int(path.name[:2])}. {escape(source.title(path))}"


def _wheel() -> str:
    import minids

    return f"minids-{minids.__version__}-py3-none-any.whl"


if __name__ == "__main__":
    try:
        build(only=sys.argv[1:])
    except InputError as error:
        sys.exit(f"minids: error: {error}")
