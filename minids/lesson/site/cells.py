"""The cells of a lesson's notebook as HTML: prose, code, outputs, and a card for each exercise."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minids.html.page import notebook_fragment, render, unpacked
from minids.lesson import folder, source
from minids.lesson.site import markdown

if TYPE_CHECKING:
    from markupsafe import Markup

HERE = Path(__file__).parent  # the templates
_TASK = re.compile(r"^(?=\*\*Exercise \d+\.\d+\*\*)", re.MULTILINE)
# What `check` and `yours` print; the list of `yours` may take several lines.
_QUIET = re.compile(r"^\d+\.\d+ \w+  \[.\] .*\n?|^our answers: .*\n?(    .*\(\d+\.\d+\).*\n?)*", re.MULTILINE)


@dataclass
class Page:
    """The body of a page, and the style sheets and scripts of its outputs, each once."""

    parts: "list[Markup]" = field(default_factory=list)
    styles: dict[str, None] = field(default_factory=dict)
    scripts: dict[str, None] = field(default_factory=dict)


def body(cells: list[Any], path: Path) -> Page:
    """The page of a lesson whose cells have been run. The first code and code that only shows is folded."""
    exercises = {exercise.number: exercise for exercise in source.exercises(path)}
    opening = next((cell for cell in cells if cell.cell_type == "code"), None)
    page, tasks = Page(), dict[str, str]()
    for cell in cells:
        if cell.cell_type == "markdown":
            page.parts += [_task_card(exercises[number], text) for number, text in tasks.items()]
            prose, *found = _TASK.split(cell.source)
            tasks = {re.findall(r"\d+\.\d+", text)[0]: text for text in found}
            page.parts.append(markdown.html(prose))
            continue
        outputs = list(_outputs(cell, page))
        if cell is opening or _only_shows(cell.source):
            folded = "The code so far" if cell is opening else "The code of this"
            page.parts.append(_code(cell.source, outputs, folded))
            continue
        for number, code in _split(cell.source):
            if number is None:
                page.parts.append(_code(code))
            else:
                page.parts.append(_task_card(exercises[number], tasks.pop(number, ""), code))
        page.parts.append(_code("", outputs))
    page.parts += [_task_card(exercises[number], text) for number, text in tasks.items()]
    _, styles, scripts = unpacked(notebook_fragment(""))  # every page has these
    for text in styles:
        page.styles.pop(text, None)
    for text in scripts:
        page.scripts.pop(text, None)
    return page


def highlight(code: str) -> "Markup":
    from markupsafe import Markup
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return Markup(highlight(code, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)).rstrip())


def _only_shows(code: str) -> bool:
    """Whether every statement is a call that shows a picture, plays a sound, or puts something live."""
    calls = [getattr(getattr(node, "value", None), "func", None) for node in ast.parse(code).body]
    return all(
        call and re.fullmatch(r"show|listen|collapse_field|live\.\w+", ast.unparse(call)) for call in calls
    )


def _split(code: str) -> Iterator[tuple[str | None, str]]:
    """The parts of a cell: (number of an exercise, its stub and the line that checks it) or (None, code)."""
    lines, start = code.splitlines(), 0
    tree = ast.parse(code)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for number, call, place in source.checks(tree):
        stub = functions.get(ast.unparse(call.args[1]))
        if stub is not None:
            first = min([stub.lineno, *(decorator.lineno for decorator in stub.decorator_list)]) - 1
        else:
            first = tree.body[place].lineno - 1
        last = tree.body[place].end_lineno
        before = "\n".join(lines[start:first]).strip("\n")
        if before.strip():
            yield None, before
        yield number, "\n".join(lines[first:last])
        start = last or start
    rest = "\n".join(lines[start:]).strip("\n")
    if rest.strip():
        yield None, rest


def _code(code: str, outputs: list[dict] | None = None, folded: str = "") -> "Markup":
    return render("cell.html", HERE, source=highlight(code), outputs=outputs or [], folded=folded)


def _task_card(exercise: source.Exercise, task: str, code: str = "") -> "Markup":
    task = re.sub(r"^\*\*Exercise \d+\.\d+\*\*[.:]?\s*", "", task)
    stub, _, line = code.rpartition("\n")
    return render(
        "exercise.html",
        HERE,
        exercise=exercise,
        task=markdown.html(task),
        stub=highlight(stub.rstrip()),
        line=highlight(line),
        answer=highlight(answer(exercise)),
    )


def answer(exercise: source.Exercise) -> str:
    """The source of our answer to an exercise."""
    function = folder.answer_to(exercise.number, exercise.name)
    return inspect.getsource(getattr(function, "py_func", function))  # py_func: of a function Numba compiled


def _outputs(cell: Any, page: Page) -> Iterator[dict[str, Any]]:
    """The texts and the HTML of a cell; consecutive prints are one text."""
    for printed, group in groupby(cell.outputs, lambda output: output.output_type == "stream"):
        if printed:
            text = _QUIET.sub("", "".join(output.text for output in group))
            if text.strip():
                yield {"text": text}
            continue
        for output in group:
            if "text/html" not in output.data:
                yield {"text": output.data["text/plain"]}
                continue
            html, styles, scripts = unpacked(output.data["text/html"])
            page.styles |= dict.fromkeys(styles)
            page.scripts |= dict.fromkeys(scripts)
            yield {"html": html}
