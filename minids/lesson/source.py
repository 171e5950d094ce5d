"""A lesson's file, parsed but not run as a whole: its question, its exercises, and the reader's functions."""

import __future__

import ast
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minids.lesson import checking, folder, notebooks
from minids.lesson.names import bound_names, used_names
from minids.lesson.running import run_check
from minids.lesson.time_limit import run_with_limit

_SECONDS = 60  # for the statements that a function needs


@dataclass(frozen=True)
class Exercise:
    number: str
    name: str
    hints: list[str]


def title(path: Path) -> str:
    """The question of a lesson: "How many ways can a sound say “cat”?"."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# # "):
            return line.removeprefix("# # ").split(". ", 1)[-1].replace("*", "")
    return path.stem[3:]


def exercises(path: Path) -> list[Exercise]:
    """The exercises of a lesson, in order. Nothing is run. Raises SyntaxError if the file is not Python."""
    hints = _hints(path)
    found = []
    for number, call, _ in checks(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        name = ast.unparse(call.args[1]).split(".")[-1]
        found.append(Exercise(number, name, hints.get(name, [])))
    return found


def is_written(path: Path, number: str) -> bool:
    """Whether the stub of an exercise in the reader's file has been replaced. Nothing is run."""
    try:
        tree = ast.parse(notebooks.code_of(path, number)[0])
    except SyntaxError:
        return True  # they are at work on it
    for found, call, place in checks(tree):
        for node in tree.body[:place] if found == number else ():
            if isinstance(node, ast.FunctionDef) and node.name == ast.unparse(call.args[1]):
                return ast.unparse(node.body[-1]) != "raise NotImplementedError"
    return True


def reader_function(path: Path, number: str) -> Callable:
    """The function that the reader's file, .py or .ipynb, passes to `check(number, …)`.

    Only the statements that it needs are run, for a minute at most. Raises LookupError if the file has no
    such check, TimeoutError, and whatever the reader's code raises.
    """
    text, file = notebooks.code_of(path, number)
    tree = ast.parse(text, file)
    calls = [(call, place) for found, call, place in checks(tree) if found == number]
    if not calls:
        raise LookupError(f"no line calls check({number!r}, …)")
    call, place = calls[0]
    needed = _needed(tree.body[:place], used_names(ast.unparse(call.args[1])))
    for present, other, _ in checks(ast.Module(needed, [])):
        other.func = ast.copy_location(ast.Name("_check", ast.Load()), other.func)
        other.args[0] = ast.copy_location(ast.Constant(present), other.args[0])
    namespace: dict[str, Any] = {
        "__name__": f"<{path.stem}>",  # if it were the name of a module, Numba would import the whole file
        "__file__": str(path.resolve()),
        "_check": _quiet_check,
    }
    flags = _future_flags(tree)
    statements = compile(ast.Module(needed, []), file, "exec", flags, dont_inherit=True)
    expression = compile(ast.Expression(call.args[1]), file, "eval", flags, dont_inherit=True)

    def run() -> Callable:
        exec(statements, namespace)
        return eval(expression, namespace)

    with _modules_of(path.parent), redirect_stdout(io.StringIO()):
        return run_with_limit(_SECONDS, run, file)


def _future_flags(tree: ast.Module) -> int:
    """What `from __future__ import …` in a file, or in any cell of a notebook, means to the compiler."""
    flags = 0
    for node in filter(_is_future, tree.body):
        for alias in node.names:  # type: ignore[attr-defined]
            flags |= getattr(__future__, alias.name).compiler_flag
    return flags


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _quiet_check(number: str, function: Callable) -> Callable:
    """As `check`, but nothing is printed or kept."""
    test = checking.find_check(number)
    if run_check(test, function).state == "right":
        return checking.usable(test, function)
    return folder.answer_to(number, test.name)


@contextmanager
def _modules_of(where: Path) -> Iterator[None]:
    """Import modules from the reader's folder, as they are now."""
    where = where.resolve()

    def forget() -> None:
        for name, module in list(sys.modules.items()):
            if Path(getattr(module, "__file__", None) or "/").parent == where:
                del sys.modules[name]

    forget()
    try:
        with first_in_path(where):
            yield
    finally:
        forget()


@contextmanager
def first_in_path(where: Path) -> Iterator[None]:
    """Import modules from a folder before those of the same names in others."""
    sys.path.insert(0, str(where))
    try:
        yield
    finally:
        sys.path.remove(str(where))


def checks(tree: ast.Module) -> Iterator[tuple[str, ast.Call, int]]:
    """Every call check("5.1", skips): its number, the call, and the index of its statement.

    A copy of another version may have the exercise under another number: then the name tells.
    """
    for i, node in enumerate(tree.body):
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "check" and len(call.args) == 2:
                number = getattr(call.args[0], "value", None)
                if isinstance(call.args[1], ast.Name):
                    number = folder.kept_exercises().get(call.args[1].id, number)
                if isinstance(number, str):
                    yield number, call, i


def _hints(path: Path) -> dict[str, list[str]]:
    """HINTS of the answers to a lesson, which need not be importable."""
    for answers in (folder.root() / "answers").glob(f"{path.name[:2]}_*.py"):
        for node in ast.parse(answers.read_text(encoding="utf-8"), str(answers)).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "HINTS":
                return ast.literal_eval(node.value)
    return {}


def _needed(statements: list[ast.stmt], names: set[str]) -> list[ast.stmt]:
    """The statements that bind `names`, and those that bind the names they use, in order."""
    names = set(names)
    needed: set[int] = set()
    bound = [set() if _is_future(node) else bound_names(node) for node in statements]
    while True:
        more = {i for i, own in enumerate(bound) if i not in needed and own & names}
        if not more:
            return [statements[i] for i in sorted(needed)]
        needed |= more
        for i in more:
            names |= used_names(ast.unparse(statements[i]))
