"""Lessons as pages and notebooks: python -m minids.lesson.site.build [NN …] writes them to out/lessons/site.

Each page is one file that loads nothing from the network: formulas are MathML, figures are SVG, style and
script are inside. Each lesson runs unchanged in a kernel of its own.
"""

import ast
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import metadata
from os.path import relpath
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError
from minids._utils.files import atomic_write
from minids.html.page import render
from minids.lesson import folder, notebooks, source
from minids.lesson.site import cells, markdown, preview
from minids.lesson.site.drawings import thumbnail

OUT = Path("out/lessons/site")
CELL_TIMEOUT = 120  # seconds, for a slow machine that compiles
# Minutes of a lesson, an estimate: its words, read as slowly as text with formulas is, and its exercises.
WORDS_PER_MINUTE, MINUTES_PER_EXERCISE = 130, 10
CAPSTONE, MINUTES_PER_MILESTONE = 16, 45  # the lesson whose exercises are the parts of a whole recognizer
HERE = Path(__file__).parent  # the templates
DESCRIPTION = (
    "Deep Speech, complete and from scratch: hear it, see it, and write it yourself, lesson by lesson."
)
_INSTALL = """\
# On another machine, such as Colab: upload the wheel from this notebook's folder, then run this cell.
try:
    import minids
except ImportError:
    %pip install --quiet minids-{version}-py3-none-any.whl
"""


@dataclass(frozen=True)
class Lesson:
    """What the index and the navigation say of a lesson."""

    path: Path
    number: int
    question: str
    builds: str  # *You build* …
    minutes: int
    exercises: list[source.Exercise]

    @property
    def page(self) -> str:
        return f"{self.path.stem}.html"

    @property
    def duration(self) -> str:
        return f"{self.minutes} min" if self.minutes < 120 else f"{round(self.minutes / 60)} hours"

    @property
    def heading(self) -> str:
        return f"{self.number}. {self.question}"


def build(out: Path = OUT, numbers: Sequence[str] = ()) -> list[Path]:
    """Write the index, the pages and notebooks of the lessons (all, or `numbers`), and the other pages."""
    out.mkdir(parents=True, exist_ok=True)
    lessons = [_about(path) for path in folder.lessons()]
    pages = []
    for i, lesson in enumerate(lessons):
        if not numbers or lesson.path.name[:2] in numbers:
            neighbors = {"previous": lessons[i - 1] if i else None, "next": (*lessons[i + 1 :], None)[0]}
            pages.append(_write(out / lesson.page, _lesson(lesson, neighbors, out)))
            print(f"{pages[-1]}  {pages[-1].stat().st_size / 1000:.0f} kB", flush=True)
    paper, program = _documents()
    if paper.is_file():
        text = markdown.html(paper.read_text(encoding="utf-8"), link=lambda to: _code_link(paper, to, out))
        _write(out / "paper.html", _page("The paper, section by section", text))
    if program.is_file():
        _write(out / "deepspeech.html", _program(program))
    (out / "preview.png").write_bytes(preview.png())
    return [*pages, _write(out / "index.html", _index(lessons, out))]


def _documents() -> tuple[Path, Path]:
    """The map of the paper, which only a checkout has, and the program."""
    return folder.root().parent / "docs" / "paper.md", folder.example("deepspeech.py")


def _about(path: Path) -> Lesson:
    text = path.read_text(encoding="utf-8")
    opening = re.sub(r"^# ?", "", text.split("\n# %%")[0], flags=re.MULTILINE)
    builds = re.search(r"\*You\s+build\*\s+(.*?)\s*(?=\*You\s+need\*|\Z)", opening, re.DOTALL)
    exercises = source.exercises(path)
    words = sum(len(line.split()) for line in text.splitlines() if line.startswith("#"))
    number = int(path.name[:2])
    each = MINUTES_PER_MILESTONE if number == CAPSTONE else MINUTES_PER_EXERCISE
    minutes = words / WORDS_PER_MINUTE + each * len(exercises)
    return Lesson(
        path,
        number,
        markdown.plain(source.title(path)),
        builds[1][:1].upper() + builds[1][1:] if builds else "",
        5 * max(1, round(minutes / 5)),
        exercises,
    )


def _write(path: Path, text: str) -> Path:
    with atomic_write(path) as file:
        file.write(text.encode())
    return path


def _lesson(lesson: Lesson, neighbors: dict[str, Lesson | None], out: Path) -> str:
    """The page of a lesson. Its notebook is written to `out`, as it ships and without outputs."""
    import nbformat
    from markupsafe import Markup

    import minids

    path = lesson.path
    notebook = nbformat.reads(notebooks.from_percent(path.read_text(encoding="utf-8")).decode(), 4)
    shipped = nbformat.from_dict(notebook)
    install = nbformat.v4.new_code_cell(_INSTALL.format(version=minids.__version__), id="install")
    shipped.cells = [install, *notebook.cells]
    nbformat.write(shipped, out / f"{path.stem}.ipynb")
    _run(notebook, path)
    page = cells.body(notebook.cells, path)
    body = Markup("\n").join(page.parts)
    sections = [
        {"id": id_, "title": Markup(re.sub(r"<[^>]*>", "", title)).unescape()}
        for id_, title in re.findall(r'<h2 id="([^"]*)">(.*?)</h2>', body)
    ]
    values: dict[str, Any] = {
        "lesson": lesson,
        "sections": sections,
        "notebook": f"{path.stem}.ipynb",
        **neighbors,
    }
    return _page(lesson.heading, body, styles=page.styles, scripts=page.scripts, **values)


def _page(
    title: str, body: str, styles: Any = (), scripts: Any = (), template: str = "site.html", **values: Any
) -> str:
    """A page of the site; `styles` and `scripts` are the texts of those that it needs besides the site's."""
    from markupsafe import Markup

    defaults: dict[str, Any] = {
        "lesson": None,
        "sections": [],
        "notebook": "",
        "previous": None,
        "next": None,
    }
    paper, program = _documents()
    pages = {"index.html": "Lessons"}
    pages |= {"deepspeech.html": "The program"} if program.is_file() else {}
    pages |= {"paper.html": "The paper"} if paper.is_file() else {}
    return render(
        template,
        HERE,
        title=title,
        description=DESCRIPTION,
        body=body,
        pages=pages,
        preview=f"{_urls()['documentation']}/preview.png" if "documentation" in _urls() else "preview.png",
        styles=[Markup(text) for text in ((HERE / "site.css").read_text(encoding="utf-8"), *styles)],
        scripts=[Markup(text) for text in ((HERE / "site.js").read_text(encoding="utf-8"), *scripts)],
        **defaults | values,
    )


def _run(notebook: Any, path: Path) -> None:
    """Run a notebook in a new kernel, in an empty folder. Its cells then have their outputs."""
    from jupyter_client import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    with tempfile.TemporaryDirectory() as empty:
        # A socket's path has at most 107 characters; ports could be taken by another process meanwhile.
        ipc = {"transport": "ipc", "ip": f"{empty}/kernel"} if len(empty) < 80 else {}
        kernel = AsyncKernelManager(kernel_name="python3", **ipc)
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


def _code_link(page: Path, target: str, out: Path) -> str | None:
    """The URL of a link from a document: in the repository, if its address is known, else in the checkout."""
    if re.match(r"https?:", target):
        return target
    path, root = (page.parent / target).resolve(), folder.root().parent.resolve()
    if not path.is_relative_to(root) or not path.exists():
        return None
    urls = _urls()
    if "repository" in urls:
        return f"{urls['repository']}/blob/HEAD/{path.relative_to(root)}"
    return relpath(path, out.resolve())


def _urls() -> dict[str, str]:
    """The addresses in pyproject.toml: "repository" of the code, "documentation" of this site."""
    return dict(url.lower().split(", ", 1) for url in metadata("minids").get_all("Project-URL") or [])


def _program(path: Path) -> str:
    """The page of a program: its functions as contents, and its lines with their numbers."""
    text = path.read_text(encoding="utf-8")
    functions = [
        {
            "name": node.name,
            "line": node.lineno,
            "about": markdown.inline((ast.get_docstring(node) or "").split("\n")[0].replace("->", "→")),
        }
        for node in ast.parse(text).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    ]
    lines = cells.highlight(text).split("\n")
    values = {"functions": functions, "lines": lines, "name": path.name}
    return _page("Deep Speech in one file", "", template="program.html", **values)


def _index(lessons: Sequence[Lesson], out: Path) -> str:
    from markupsafe import Markup

    first: list[dict[str, Any]] = []
    second: list[dict[str, Any]] = []
    for lesson in lessons:
        page = out / lesson.page
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        live = re.findall(r"<minids-(lattice|layer|descent|collapse)\b", text)
        kinds = ["♪ hear it"] * ("<minids-player" in text) + ["☞ try it live"] * bool(live)
        picture = Markup(thumbnail(lesson.number))
        builds = markdown.inline(lesson.builds)
        book = second if lesson.number in folder.SECOND_BOOK else first
        book.append({"lesson": lesson, "kinds": kinds, "picture": picture, "builds": builds})
    books = [
        {
            "title": "Book one: from a sound to its text",
            "about": "You need Python and NumPy.",
            "cards": first,
        },
        {
            "title": "Book two: making it fast",
            "about": "The same operations as kernels, in a simulator (no GPU), and with fewer products.",
            "cards": second,
        },
    ]
    hero, styles, scripts = preview.hero()
    values = {
        "lessons": len(lessons),
        "books": [book for book in books if book["cards"]],
        "hero": hero,
        "hours": round(sum(lesson.minutes for lesson in lessons) / 60),
        "count": sum(len(lesson.exercises) for lesson in lessons),
    }
    title = "Speech recognition, from a sound wave to “now I could write it myself”"
    return _page(title, "", styles, scripts, "index.html", **values)


if __name__ == "__main__":
    try:
        build(numbers=sys.argv[1:])
    except InputError as error:
        sys.exit(f"minids: error: {error}")
