"""The capstone: the reader's own file, a clip of their network learning, and their code next to ours."""

import ast
import io
import os
import sys
import token as tokens
import tokenize
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from minids._utils.errors import InputError
from minids._utils.files import atomic_write
from minids.html.page import page, render
from minids.lesson import folder, notebooks, source
from minids.lesson.display import write_output
from minids.lesson.time_limit import run_with_limit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE, LESSON = "recognizer.py", "16_recognizer.py"
_SECONDS = 60  # for running it
_NO_CODE = (tokens.COMMENT, tokens.NL, tokens.NEWLINE, tokens.INDENT, tokens.DEDENT, tokens.ENDMARKER)
EMPTY_PAGE = '''"""My recognizer: all of Deep Speech, in one file."""

import numpy as np

# What you wrote in the lessons is in mine.py. Import what you like, or rewrite it:
# from mine import filter_banks, frames, normalize, power_spectrum
'''


def own_file() -> ModuleType:
    """The reader's recognizer.py, as it is now; an empty page if there is none. A new page is made once.

    It is next to the file that calls this, in a notebook in the current folder. A name that it does not have
    is a function that raises NotImplementedError. Raises whatever its code raises, and TimeoutError if that
    does not end. With MINIDS_ANSWERS=1 it is an empty page, and no file is read or written.
    """
    path = folder.calling_folder() / FILE
    module = ModuleType("recognizer")
    if os.environ.get("MINIDS_ANSWERS") != "1":
        if not path.exists():
            with suppress(InputError), atomic_write(path) as file:  # a folder that cannot be written to
                file.write(EMPTY_PAGE.encode())
        if path.exists():
            module = run_with_limit(_SECONDS, lambda: _load(path), str(path))
    module.__getattr__ = _missing  # type: ignore[method-assign]
    return module


def our_file() -> ModuleType:
    """examples/deepspeech.py as a module."""
    return sys.modules.get("deepspeech") or _load(folder.example("deepspeech.py"))


def _load(path: Path) -> ModuleType:
    """A file as a module that can import the modules next to it, which are read again."""
    sys.modules.pop("mine", None)
    with source.first_in_path(path.parent):
        module = sys.modules[path.stem] = folder.run_file(path, path.stem)
    return module


def _missing(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)

    def not_written(*_: Any, **__: Any) -> None:
        raise NotImplementedError

    not_written.__name__ = name
    return not_written


def clip(name: str, figures: "Sequence[Figure]", milliseconds: int = 350) -> Path:
    """Write figures as an animation, out/lessons/NAME.gif, that stays on the last one for three seconds."""
    from PIL import Image  # matplotlib needs it, too

    images = []
    for figure in figures:
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=110)
        drawn = Image.open(file).convert("RGBA")  # figures are transparent
        paper = Image.new("RGBA", drawn.size, "white")
        images.append(
            Image.alpha_composite(paper, drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)
        )
    durations = [milliseconds] * (len(images) - 1) + [3000]
    gif = io.BytesIO()
    images[0].save(gif, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return write_output(f"{name}.gif", gif.getvalue())


class Definition(NamedTuple):
    """A function or a class of a file: its source, and where it begins."""

    name: str
    source: str
    file: str
    line: int

    @property
    def lines(self) -> int:
        """Lines of code: without docstrings, comments and empty lines."""
        return count_lines(self.source)


def definitions(path: Path) -> dict[str, Definition]:
    """The functions and classes at the top level of a file, and those that it imports from mine.py."""
    text = notebooks.read_python(path)
    found: dict[str, Definition] = {}
    for node in ast.parse(text, str(path)).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            source = ast.get_source_segment(text, node) or ""
            found[node.name] = Definition(node.name, source, path.name, node.lineno)
        elif (
            isinstance(node, ast.ImportFrom) and node.module == "mine" and path.with_name("mine.py").exists()
        ):
            mine = definitions(path.with_name("mine.py"))
            for alias in node.names:
                for definition in mine.values() if alias.name == "*" else [mine.get(alias.name)]:
                    if definition:
                        found[alias.asname or definition.name] = definition
    return found


def count_lines(source: str) -> int:
    """Lines of code of a piece of Python: without docstrings, comments and empty lines."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
            and ast.get_docstring(node) is not None
        ):
            text = node.body[0]
            lines.difference_update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return len(lines)


def side_by_side(name: str = "side_by_side") -> Path | None:
    """Write out/lessons/NAME.html: the reader's functions on the left, those of deepspeech.py on the right.

    Functions of the same name stand next to each other, in the order of deepspeech.py: the reader's are those
    of recognizer.py, else those of mine.py; milestones may not be written yet. Then come the reader's others,
    and those of deepspeech.py that no exercise asks for. None, and no page, while recognizer.py has no
    function. Raises InputError if the page cannot be written.
    """
    where = folder.calling_folder()
    kept, written = (
        list(definitions(path).values()) if path.exists() else []
        for path in (where / "mine.py", where / FILE)
    )
    if not written:
        return None
    written.sort(key=lambda definition: definition.file == FILE)  # what is imported first
    ours = definitions(folder.example("deepspeech.py"))
    numbers = {exercise.name: exercise.number for exercise in source.exercises(folder.root() / LESSON)}
    own = {definition.name: definition for definition in kept if definition.name in ours}
    own |= {definition.name: definition for definition in written}
    both = [(own[name], ours[name]) for name in ours if name in own]
    asked = [name for name in ours if name in own or name in numbers]
    others = [name for name in own if name not in ours]
    body = render(
        "capstone.html",
        Path(__file__).parent,
        rows=[(own.get(name), ours.get(name)) for name in [*asked, *others]],
        given=[ours[name] for name in ours if name not in asked],
        numbers=numbers,
        matched=len(both),
        own_lines=sum(a.lines for a, _ in both),
        our_lines=sum(b.lines for _, b in both),
        own_total=sum(definition.lines for definition in own.values()),
        our_total=sum(definition.lines for definition in ours.values()),
    )
    return write_output(f"{name}.html", page("Your recognizer and ours", body).encode())
