"""What an accepted function needs, collected into sections of mine.py."""

import __future__

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
    Import,
    ImportFrom,
    get_source_segment,
    literal_eval,
    parse,
    stmt,
    unparse,
)
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from minids.lesson import folder
from minids.lesson.names import bound_names, changed_names, used_names
from minids.lesson.sections import FILE, OURS, NotKeptError, Section

# check(number, function): what is wrong with a function, or None; and whether it returns lists
Checker = Callable[[str, Callable], tuple[str | None, bool]]


class Collector:
    """Puts a function and everything that it needs into the sections of mine.py in the folder `where`."""

    def __init__(self, where: Path, sections: list[Section], number: str, name: str, check: Checker):
        self.where = where
        self.sections = sections
        self.number = number
        self.name = name
        self.check = check
        self.done = {name}
        self.changed: list[Section] = []

    def add(self, function: Callable, returns_lists: bool) -> list[Section]:
        """Add the accepted function. Returns the sections that are new or different."""
        self.add_function(function, self.name, f"{self.number} {self.name}", returns_lists=returns_lists)
        return self.changed

    def add_function(
        self, function: Callable, name: str, title: str, user: Any = None, returns_lists: bool = False
    ) -> None:
        """Add a function or a class, which the code `user` uses, and what it needs."""
        code = _plain(function)
        text = _source(function, user)
        if text is None and getattr(getattr(code, "__code__", None), "co_name", "<lambda>") != "<lambda>":
            raise NotKeptError(f"the source of `{name}` has changed, perhaps while it ran; run it again")
        if text is None:
            raise NotKeptError(f"`{name}` is not written with `def`")
        if getattr(code, "__closure__", None):
            raise NotKeptError(f"`{name}` is defined inside another function")
        own_name = code.__name__
        if own_name != name:
            text += f"\n\n\n{name} = {own_name}"
        scope = code if hasattr(code, "__globals__") else user
        if (
            getattr(scope, "__code__", None)
            and scope.__code__.co_flags & __future__.annotations.compiler_flag
        ):
            self.add_import("from __future__ import annotations")
        self.add_needs(text, scope, {own_name, name})
        if returns_lists:
            self.add_import("from minids.lesson import as_array")
            text += _as_array(name)
        self.put(title, text)

    def add_needs(self, text: str, code: Any, own: set[str]) -> None:
        """Add what the names in the text of `code` stand for."""
        scope = getattr(code, "__globals__", {})
        for name in sorted(used_names(text) - own):
            if name in scope and name not in self.done and not _is_builtin(name, scope[name]):
                self.done.add(name)
                self.add_name(name, scope[name], code, text)

    def add_name(self, name: str, value: Any, code: Any, text: str) -> None:
        """Add what a name in the text stands for: an exercise, an import, a function or a constant."""
        title = f"{name}, for {self.number}"
        if name in folder.kept_exercises():
            self.add_exercise(name, folder.kept_exercises()[name], value)
        elif line := _import(name, value, code, self.where):
            self.add_import(line)
        elif callable(value) and hasattr(_plain(value), "__name__"):
            if self.is_in_file(value):  # from `yours`, under another name
                self.put(title, f"{name} = {_plain(value).__name__}")
            else:
                self.add_function(value, name, title, code)
        else:
            constant = _constant(name, value, code, is_changed=name in changed_names(parse(text)))
            self.add_needs(constant, code, {name})
            self.put(title, constant)

    def add_exercise(self, name: str, number: str, value: Any) -> None:
        """Add the function of another exercise: ours, or the reader's, which must pass its check."""
        section = self.find(f"{number} {name}")
        if callable(value) and _plain(value) is _plain(folder.answer(name)):
            if section is None:
                self.add_function(folder.answer(name), name, f"{number} {name}{OURS}")
            return
        if callable(value) and self.is_in_file(value) and _plain(value).__name__ == name:
            return
        text = _source(value) if callable(value) else None
        if section and text and section.text in (text, text + _as_array(name)):
            return
        problem, returns_lists = self.check(number, _plain(value)) if text else ("no function", False)
        if problem:
            raise NotKeptError(f"`{name}` is the name of exercise {number}; give yours another name")
        if section is None or not section.is_edited:
            self.add_function(value, name, f"{number} {name}", returns_lists=returns_lists)

    def is_in_file(self, function: Callable) -> bool:
        return _file(_plain(function)) == str(self.where / FILE)

    def add_import(self, line: str) -> None:
        section = self.find("imports")
        lines = section.text.splitlines() if section else []
        names = bound_names(parse(line).body[0])
        for node in _statements("\n".join(lines)):
            if line in _single_imports(node):
                return
            if names & bound_names(node):
                raise NotKeptError(f"{FILE} imports another `{names.pop()}`")
        lines.append(line)
        is_edited = section is not None and section.is_edited
        if not is_edited:
            lines.sort(key=lambda line: (line[:4] == "from", line))
        lines.sort(key=lambda line: not line.startswith("from __future__"))
        self.put("imports", "\n".join(lines))
        if section and is_edited:  # it stays the reader's
            section.written = None

    def put(self, title: str, text: str) -> None:
        """Add or replace a section, unless the reader has edited it."""
        section = self.find(title) or self.find(f"{title}{OURS}") or self.same_helper(title, text)
        if section is None:
            section = Section(title, "")
            later = [
                i for i, other in enumerate(self.sections) if other.order and other.order > section.order
            ]
            self.sections.insert(later[0] if later else len(self.sections), section)
        elif section.text == text and section.title != f"{title}{OURS}":
            return
        elif section.is_edited and title != "imports":
            raise NotKeptError(f"you have edited `{section.title}` in {FILE}; remove it there to replace it")
        if section.title == f"{title}{OURS}":  # the reader's function takes its place
            section.title = title
        section.write(text)
        self.changed.append(section)

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


def _plain(function: Callable) -> Any:
    """The function as it is written, without wrappers. `py_func`: Numba compiles it."""
    return inspect.unwrap(getattr(function, "py_func", function))


def _source(function: Callable, user: Any = None) -> str | None:
    """The text of a function or a class, which the code `user` uses, if it has a statement of its own."""
    code = _plain(function)
    name = code.__name__
    try:
        text = textwrap.dedent(inspect.getsource(code)).rstrip()
        definition = parse(text).body[0]
        if isinstance(definition, (FunctionDef, ClassDef)) and definition.name == name:
            return text
    except (OSError, TypeError, SyntaxError):
        pass
    if isinstance(code, type) and user:  # a class in a cell of a notebook
        texts = [text for text, node in _bindings(name, user) if isinstance(node, ClassDef)]
        return texts[-1] if texts else None
    return None


def _as_array(name: str) -> str:
    return f"\n\n\n{name} = as_array({name})"


def _file(function: Any) -> str:
    return getattr(getattr(function, "__code__", None), "co_filename", "")


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


def _single_imports(node: stmt) -> list[str]:
    """A statement `from m import a, b` as "from m import a" and "from m import b"; likewise `import a, b`."""
    if isinstance(node, ImportFrom):
        return [unparse(ImportFrom(node.module, [alias], node.level)) for alias in node.names]
    return [unparse(Import([alias])) for alias in node.names] if isinstance(node, Import) else []


def _constant(name: str, value: Any, code: Any, is_changed: bool) -> str:
    """The statement that gives a constant its value, or its first value if the code changes it."""
    segments = [
        (segment, node.value)
        for segment, node in _bindings(name, code)
        if isinstance(node, (Assign, AnnAssign)) and node.value
    ]
    for segment, written in segments[-1:]:
        try:
            if is_changed or literal_eval(written) == value:
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
                decorators = "".join(
                    f"@{get_source_segment(source, decorator)}\n"
                    for decorator in getattr(node, "decorator_list", ())
                )
                yield decorators + (get_source_segment(source, node) or ""), node


def _statements(source: str) -> list[stmt]:
    try:
        return parse(source).body
    except (SyntaxError, ValueError):  # a cell with a command of IPython
        return []
