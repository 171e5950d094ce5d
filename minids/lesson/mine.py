"""mine.py, in the reader's folder: every function that an exercise has accepted, in the reader's own code.

It is a plain module that can be imported alone.
"""

import linecache
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write, locked_folder
from minids.lesson.collecting import Checker, Collector
from minids.lesson.sections import (
    FILE,
    HEAD,
    OURS,
    NotKeptError,
    Section,
    describe,
    encode,
    join,
    needed_by,
    read,
    split,
)
from minids.lesson.time_limit import run_with_limit

_SECONDS = 10  # for running the file
_TRIES = 30  # to keep a function while another process keeps others


def load(where: Path) -> tuple[dict[str, Any], str | None]:
    """The names that mine.py in the folder `where` defines, without our answers; or why it cannot be used."""
    path = where / FILE
    if not path.exists():
        return {}, None
    try:
        text = read(path)
        _, sections = split(text, path)
        namespace = _run(path, text)
    except NotKeptError as error:
        return {}, str(error)
    ours = {section.title.split()[1].rstrip(",") for section in sections if section.title.endswith(OURS)}
    return {name: value for name, value in namespace.items() if name not in ours}, None


def kept(where: Path) -> list[str]:
    """The numbers of the exercises whose functions are in mine.py in the folder `where`, in order.

    Raises NotKeptError if there is a mine.py that is not Python.
    """
    path = where / FILE
    if not path.exists():
        return []
    _, sections = split(read(path), path)
    return [section.exercise[0] for section in sections if section.exercise]


def is_edited(where: Path, number: str, name: str) -> bool:
    """Whether the function of an exercise, or something that it uses, is not as it was written."""
    path = where / FILE
    try:
        head, sections = split(read(path), path)
    except NotKeptError:
        return True
    for section in sections:
        if section.exercise == (number, name):
            needed = needed_by(section, [Section("", head), *sections])
            return any(other.is_edited for other in needed)
    return True


def keep(
    where: Path, number: str, name: str, function: Callable, check: Checker, returns_lists: bool = False
) -> str | None:
    """Write an accepted function, and what it needs, to mine.py. Returns why not, or None.

    A function that `returns_lists` where later ones expect arrays is followed by a line that converts them.

    `check(number, function)` returns what is wrong with a function, or None, and whether it returns lists. It
    must accept the function as it is in the new file, which must run alone, and those that use what is new in
    it. Otherwise the file stays as it was.
    """
    path = where / FILE
    try:
        for _ in range(_TRIES):
            before = read(path) if path.exists() else None
            head, sections = split(before, path) if before is not None else (HEAD, [])
            changed = Collector(where, sections, number, name, check).add(function, returns_lists)
            text = join(head, sections)
            namespace = _run(path, text)
            problem, _ = check(number, namespace[name])
            if problem:
                raise NotKeptError(f"in {FILE} it fails: {problem}")
            _check_users(changed, sections, number, namespace, check)
            if not changed or _replace(path, before, text):
                return None
        return f"another program keeps writing {path}"
    except (NotKeptError, InputError) as error:
        return str(error)
    except Exception as error:  # objects of the reader can raise anything when they are compared or printed
        return f"{type(error).__name__}: {reason(error)}"


def _check_users(
    changed: list[Section], sections: list[Section], number: str, namespace: dict[str, Any], check: Checker
) -> None:
    """Check the functions that use what has changed, but not those that the reader has edited."""
    for section in sections:
        needed = needed_by(section, sections)
        new = [other for other in needed if other in changed and other.title != "imports"]
        if not section.exercise or section.exercise[0] == number or not new or section.is_edited:
            continue
        problem, _ = check(section.exercise[0], namespace[section.exercise[1]])
        if problem:
            names = ", ".join(f"`{name}`" for other in new for name in sorted(other.binds))
            user = "`{1}` ({0})".format(*section.exercise)
            advice = "; give yours another name" if any(", for " in other.title for other in new) else ""
            raise NotKeptError(f"with the new {names}, your {user} would fail: {problem}{advice}")


def _replace(path: Path, before: str | None, text: str) -> bool:
    """Write mine.py if it still is as it was read."""
    with locked_folder(path.parent):
        if (read(path) if path.exists() else None) != before:
            return False
        with atomic_write(path) as file:
            file.write(encode(text))
    return True


def _run(path: Path, text: str) -> dict[str, Any]:
    """The names that the text of mine.py defines when it runs alone."""
    lines = text.splitlines(keepends=True)
    linecache.cache[str(path)] = (len(text), None, lines, str(path))  # for messages that show a line
    namespace: dict[str, Any] = {"__name__": "mine", "__file__": str(path)}
    try:
        code = compile(text, str(path), "exec", dont_inherit=True)
        run_with_limit(_SECONDS, lambda: exec(code, namespace), str(path))
    except (Exception, SystemExit) as error:
        raise NotKeptError(describe(error, path)) from None
    return namespace
