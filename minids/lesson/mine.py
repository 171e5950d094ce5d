"""mine.py, in the reader's folder: every function that an exercise has accepted, in the reader's own code.

It is a plain module that can be imported alone. Its sections start with a marker:

    # %% imports
    # %% shift, for 5.1          a function, class or constant that the function of exercise 5.1 uses
    # %% 5.1 skips               an accepted function
    # %% 5.2 lattice, our answer to an exercise that is not done yet and that another function uses
"""

import builtins
import inspect
import linecache
import re
import sys
import textwrap
from ast import (
    AnnAssign,
    Assign,
    ClassDef,
    FunctionDef,
    ImportFrom,
    get_source_segment,
    literal_eval,
    parse,
    stmt,
)
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write
from minids.lesson import folder, progress
from minids.lesson.names import bound_names, used_names
from minids.lesson.time_limit import run_with_limit

FILE = "mine.py"
_OURS = ", our answer"
_HEAD = '''"""What I wrote in the lessons, function by function. Later lessons run on it.

The lessons write this file. You can change it: they do not overwrite a section that you have changed.
"""
'''
_MARKER = re.compile(r"^# %% (.+)\n", re.MULTILINE)
_SECONDS = 10  # for running the file


class NotKeptError(Exception):
    """A function that cannot be kept; the message says why."""


@dataclass
class Section:
    title: str
    text: str

    @property
    def order(self) -> tuple[int, ...]:
        """(lesson, exercise, 0 for what the exercise needs or 1 for itself); () if the reader added it."""
        if self.title == "imports":
            return (0, 0, 0)
        match = re.fullmatch(rf"(\w+, for )?(\d+)\.(\d+)( \w+({_OURS})?)?", self.title)
        return (int(match[2]), int(match[3]), 0 if match[1] else 1) if match else ()

    @property
    def checksum(self) -> int:
        return crc32(self.text.encode())


def load(where: Path) -> tuple[dict[str, Any], str | None]:
    """The names that mine.py in the folder `where` defines, without our answers; or why it cannot be used."""
    path = where / FILE
    if not path.exists():
        return {}, None
    try:
        _, sections = _read(path)
        namespace = _run(path, path.read_text(encoding="utf-8"))
    except NotKeptError as error:
        return {}, str(error)
    ours = {section.title.split()[1].rstrip(",") for section in sections if section.title.endswith(_OURS)}
    return {name: value for name, value in namespace.items() if name not in ours}, None


def kept(where: Path) -> list[str]:
    """The numbers of the exercises whose functions are in mine.py in the folder `where`, in order."""
    try:
        _, sections = _read(where / FILE)
    except NotKeptError:
        return []
    return [s.title.split()[0] for s in sections if s.order[2:] == (1,) and not s.title.endswith(_OURS)]


def is_edited(where: Path, number: str, name: str) -> bool:
    """Whether the section of an exercise is not as it was written."""
    title = f"{number} {name}"
    try:
        _, sections = _read(where / FILE)
    except NotKeptError:
        return True
    sums = {section.title: section.checksum for section in sections}
    return title not in sums or sums[title] != progress.checksums(where).get(title)


def keep(
    where: Path,
    test: Any,
    function: Callable,
    check: Callable[[Any, Callable], str | None],
    returns_lists: bool = False,
) -> str | None:
    """Write an accepted function, and what it needs, to mine.py. Returns why not, or None.

    A function that `returns_lists` where later ones expect arrays is followed by a line that converts them.

    `test` is the exercise's Check. The new file must run alone, and `check(test, function)` must accept the
    function as it is there: it returns what is wrong, or None. Otherwise the file stays as it was.
    """
    path = where / FILE
    try:
        head, sections = _read(path) if path.exists() else (_HEAD, [])
        sums = progress.checksums(where)
        changed = _Collector(where, sections, sums, test.number, test.name).add(function, returns_lists)
        text = _compose(head, sections)
        namespace = _run(path, text)
        problem = check(test, namespace[test.name])
        if problem:
            raise NotKeptError(f"in {FILE} it fails: {problem}")
        if changed:
            with atomic_write(path) as file:
                file.write(text.encode())
            progress.save_checksums(where, sums)
    except (NotKeptError, InputError) as error:
        return str(error)
    except Exception as error:  # objects of the reader can raise anything when they are compared or printed
        return f"{type(error).__name__}: {reason(error)}"
    return None


class _Collector:
    """Puts a function and everything that it needs into sections of mine.py."""

    def __init__(self, where: Path, sections: list[Section], sums: dict[str, int], number: str, name: str):
        self.where = where
        self.sections = sections
        self.sums = sums
        self.number = number
        self.name = name
        self.done = {name}
        self.changed = False

    def add(self, function: Callable, returns_lists: bool) -> bool:
        """Add the accepted function. Returns whether a section is new or different."""
        line = f"\n\n\n{self.name} = as_array({self.name})" if returns_lists else ""
        if line:
            self.add_import("from minids.lesson import as_array")
        self.add_function(function, self.name, f"{self.number} {self.name}", line=line)
        return self.changed

    def add_function(
        self, function: Callable, name: str, title: str, user: Any = None, line: str = ""
    ) -> None:
        """Add a function or a class, which the code `user` uses, and what it needs."""
        code = inspect.unwrap(getattr(function, "py_func", function))  # py_func: Numba compiles it
        try:
            text = textwrap.dedent(inspect.getsource(code)).rstrip()
            definition = parse(text).body[0]
        except (OSError, TypeError, SyntaxError):
            definition = None
        if not isinstance(definition, (FunctionDef, ClassDef)):
            raise NotKeptError(f"`{name}` is not written with `def`")
        if getattr(code, "__closure__", None):
            raise NotKeptError(f"`{name}` is defined inside another function")
        own_name = code.__name__
        if own_name != name:
            text += f"\n\n\n{name} = {own_name}"
        self.add_needs(text, code if hasattr(code, "__globals__") else user, {own_name, name})
        self.put(title, text + line)

    def add_needs(self, text: str, code: Any, own: set[str]) -> None:
        """Add what the names in the text of `code` stand for."""
        scope = getattr(code, "__globals__", {})
        for name in sorted(used_names(text) - own):
            if name in scope and name not in self.done and not _is_builtin(name, scope[name]):
                self.done.add(name)
                self.add_name(name, scope[name], code)

    def add_name(self, name: str, value: Any, code: Any) -> None:
        """Add what a name of the code stands for: an exercise, an import, a function or a constant."""
        title = f"{name}, for {self.number}"
        function = inspect.unwrap(getattr(value, "py_func", value)) if callable(value) else None
        exercise = folder.kept_exercises().get(name)
        if exercise and function is None:
            raise NotKeptError(f"`{name}` is the name of exercise {exercise}; give your value another name")
        if exercise:
            if self.find(f"{exercise} {name}") is None:
                self.add_function(folder.answer(name), name, f"{exercise} {name}{_OURS}")
        elif line := _import(name, value, code, self.where):
            self.add_import(line)
        elif function is not None and hasattr(function, "__name__"):
            if _file(function) == str(self.where / FILE):  # from `yours`, under another name
                self.put(title, f"{name} = {function.__name__}")
            else:
                self.add_function(value, name, title, code)
        else:
            text = _constant(name, value, code)
            self.add_needs(text, code, {name})
            self.put(title, text)

    def add_import(self, line: str) -> None:
        section = self.find("imports")
        lines = section.text.splitlines() if section else []
        if line not in lines:
            names = bound_names(parse(line).body[0])
            if any(names & bound_names(node) for text in lines for node in _statements(text)):
                raise NotKeptError(f"{FILE} imports another `{names.pop()}`")
            self.put(
                "imports", "\n".join(sorted([*lines, line], key=lambda line: (line[:4] == "from", line)))
            )

    def put(self, title: str, text: str) -> None:
        """Add or replace a section, unless the reader has edited it."""
        section = self.find(title) or self.find(f"{title}{_OURS}") or self.same_helper(title, text)
        if section is None:
            section = Section(title, "")
            later = [
                i for i, other in enumerate(self.sections) if other.order and other.order > section.order
            ]
            self.sections.insert(later[0] if later else len(self.sections), section)
        elif section.text == text and section.title != f"{title}{_OURS}":
            return
        elif section.title != "imports" and self.sums.pop(section.title, None) != section.checksum:
            raise NotKeptError(f"you have edited `{section.title}` in {FILE}; remove it there to replace it")
        if section.title == f"{title}{_OURS}":  # the reader's function takes its place
            section.title = title
        section.text = text
        self.sums[section.title] = section.checksum
        self.changed = True

    def same_helper(self, title: str, text: str) -> Section | None:
        """The section of a name that an exercise of the same lesson, or code of the same text, uses, too."""
        name, _, number = title.partition(", for ")
        for section in self.sections if number else ():
            other = re.fullmatch(rf"{name}, for (.+)", section.title)
            if other and (section.text == text or other[1].split(".")[0] == number.split(".")[0]):
                return section
            if other:
                raise NotKeptError(f"{FILE} has another `{name}`, for {other[1]}; give yours another name")
        return None

    def find(self, title: str) -> Section | None:
        return next((section for section in self.sections if section.title == title), None)


def _read(path: Path) -> tuple[str, list[Section]]:
    try:
        head, *parts = _MARKER.split(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise NotKeptError(f"{path}: {reason(error)}") from None
    return head, [
        Section(title, text.strip("\n")) for title, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def _compose(head: str, sections: list[Section]) -> str:
    return "\n\n".join([head.rstrip(), *(f"# %% {s.title}\n{s.text}\n" for s in sections)])


def _run(path: Path, text: str) -> dict[str, Any]:
    """The names that the text of mine.py defines when it runs alone."""
    lines = text.splitlines(keepends=True)
    linecache.cache[str(path)] = (len(text), None, lines, str(path))  # for messages that show a line
    namespace: dict[str, Any] = {"__name__": "mine", "__file__": str(path)}
    try:
        code = compile(text, str(path), "exec", dont_inherit=True)
        run_with_limit(_SECONDS, lambda: exec(code, namespace), str(path))
    except (Exception, SystemExit) as error:
        frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
        numbers = [frame.lineno for frame in frames if frame.filename == str(path)]
        line = getattr(error, "lineno", None) or (numbers[-1] if numbers else None)
        place = f", line {line}" if line else ""
        message = getattr(error, "msg", None) or reason(error)
        raise NotKeptError(f"{FILE}{place}: {type(error).__name__}: {message}") from None
    return namespace


def _is_builtin(name: str, value: Any) -> bool:
    return getattr(builtins, name, None) is value and value is not None


def _import(name: str, value: Any, code: Any, where: Path) -> str | None:
    """The statement that imports a value as `name`, if possible as the lesson does; None if nothing does."""
    if isinstance(value, ModuleType):
        if value.__name__ == name:
            return f"import {name}"
        return f"import {value.__name__} as {name}" if value.__name__ in sys.modules else None
    if not callable(value):
        return None
    own_name = getattr(value, "__name__", name)
    modules = getattr(value, "__module__", None), type(value).__module__, "numpy"
    places = [
        (node.module, alias.name)
        for _, node in _bindings(name, code)
        if isinstance(node, ImportFrom) and node.level == 0
        for alias in node.names
        if name == (alias.asname or alias.name)
    ]
    for module, attribute in [*places, *((module, own_name) for module in modules)]:
        found = sys.modules.get(module or "")
        if found is None or getattr(found, "__spec__", None) is None or found.__name__ == "__main__":
            continue
        in_folder = Path(getattr(found, "__file__", None) or "/").parent == where
        if getattr(found, attribute, None) is value and not in_folder:
            return f"from {module} import {attribute}{f' as {name}' if attribute != name else ''}"
    return None


def _file(function: Any) -> str:
    return getattr(getattr(function, "__code__", None), "co_filename", "")


def _constant(name: str, value: Any, code: Any) -> str:
    """The statement that gives a constant its value."""
    segments = [
        (segment, node.value)
        for segment, node in _bindings(name, code)
        if isinstance(node, (Assign, AnnAssign)) and node.value
    ]
    for segment, written in segments[-1:]:
        try:
            if literal_eval(written) == value:
                return segment  # as the reader wrote it
        except (ValueError, TypeError):
            pass
    text = repr(value)
    try:
        if len(text) <= 200 and literal_eval(text) == value:
            return f"{name} = {text}"
    except (ValueError, SyntaxError, TypeError):
        pass
    if segments:
        return segments[-1][0]
    raise NotKeptError(f"it uses `{name}`, whose value is not in the lesson; make it an argument")


def _bindings(name: str, code: Any) -> Iterator[tuple[str, stmt]]:
    """The statements that bind a name in the file, or in the cells, that the code comes from."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    cells = shell.user_ns.get("In", []) if shell else []
    for source in [*cells, "".join(linecache.getlines(_file(code)))]:
        for node in _statements(source):
            if name in bound_names(node):
                yield get_source_segment(source, node) or "", node


def _statements(source: str) -> list[stmt]:
    try:
        return parse(source).body
    except (SyntaxError, ValueError):  # a cell with a command of IPython
        return []
