"""A lesson's file read as text: its question, its exercises, and what they need without the rest."""

import ast
import symtable
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Exercise:
    number: str
    name: str
    hints: list[str]


@dataclass(frozen=True)
class Trial:
    stub: Callable
    check: Callable
    tolerances: dict[str, float]


def title(path: Path) -> str:
    """The question of a lesson: "How many ways can a sound say “cat”?"."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# # "):
            return line.removeprefix("# # ").split(". ", 1)[-1].replace("*", "")
    return path.stem[3:]


def exercises(path: Path) -> list[Exercise]:
    """The exercises of a lesson in their order, read without running anything.

    Raises SyntaxError for a file that is not Python.
    """
    return [
        Exercise(ast.literal_eval(call.args[0]), function.name, _hints(call))
        for function, call in _decorated(_parse(path))
    ]


def trials(path: Path, ours: Any = None) -> dict[str, Trial]:
    """By exercise: its stub and its check, ready to run. Of the lesson is run only what the checks need.

    `ours`: an object with our answers, on which what follows an exercise may rely, as in the lesson.
    """
    found: dict[str, Trial] = {}

    def collect(number: str, check: Callable, hints: Sequence[str] = (), **tolerances: float) -> Callable:
        def decorate(function: Callable) -> Callable:
            found[function.__name__] = Trial(function, check, tolerances)
            return getattr(ours, function.__name__, function)

        return decorate

    tree = _parse(path)
    names = set()
    for function, call in _decorated(tree):
        call.func = ast.Name("collect", ast.Load())
        names.add(function.name)
    module = ast.fix_missing_locations(ast.Module(_needed(tree, names), []))
    exec(compile(module, str(path), "exec"), {"__name__": path.stem, "collect": collect})
    return found


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _decorated(tree: ast.Module) -> list[tuple[ast.FunctionDef, ast.Call]]:
    return [
        (node, call)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        for call in node.decorator_list
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "exercise"
    ]


def _hints(call: ast.Call) -> list[str]:
    given = [*call.args[2:3], *(k.value for k in call.keywords if k.arg == "hints")]
    return ast.literal_eval(given[0]) if given else []


def _needed(tree: ast.Module, names: set[str]) -> list[ast.stmt]:
    """The statements of a module that bind `names`, or what those use in turn, in their order."""
    needed: set[int] = set()
    while True:
        more = {i for i, node in enumerate(tree.body) if i not in needed and _bound(node) & names}
        if not more:
            return [tree.body[i] for i in sorted(needed)]
        needed |= more
        for i in more:
            names |= set(_used(_table(tree.body[i])))


def _table(node: ast.AST) -> symtable.SymbolTable:
    return symtable.symtable(ast.unparse(node), "lesson", "exec")


def _used(table: symtable.SymbolTable) -> Iterator[str]:
    """The module's names that a piece of code reads, at any depth; not the locals of its functions."""
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _used(inner)


def _bound(node: ast.stmt) -> set[str]:
    """The names that an import, a definition or an assignment binds, or writes into."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return set()
