"""A lesson's file, parsed but not run: its question, its exercises, and the code that their checks need."""

import ast
import symtable
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minids.lesson import folder


@dataclass(frozen=True)
class Exercise:
    number: str
    name: str
    hints: list[str]


@dataclass(frozen=True)
class Trial:
    """The function as it is in the lesson, its check, and the check's options (rtol, atol, pure)."""

    function: Callable
    check: Callable
    options: dict[str, Any]


def title(path: Path) -> str:
    """The question of a lesson: "How many ways can a sound say “cat”?"."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# # "):
            return line.removeprefix("# # ").split(". ", 1)[-1].replace("*", "")
    return path.stem[3:]


def exercises(path: Path) -> list[Exercise]:
    """The exercises of a lesson, in order. Nothing is run. Raises SyntaxError if the file is not Python."""
    hints = _hints(path)
    return [
        Exercise(ast.literal_eval(call.args[0]), function.name, hints.get(function.name, []))
        for function, call in _decorated(_parse(path))
    ]


def trials(path: Path, answers: Any = None) -> dict[str, Trial]:
    """The function and the check of each exercise, by name. Only the code that the checks need is run.

    `answers`: an object with our answers; later checks may call earlier exercises, as in the lesson.
    """
    collected: dict[str, Trial] = {}

    def collect(number: str, check: Callable, **options: Any) -> Callable:
        def decorate(function: Callable) -> Callable:
            collected[function.__name__] = Trial(function, check, options)
            return getattr(answers, function.__name__, function)

        return decorate

    tree = _parse(path)
    names = set()
    for function, call in _decorated(tree):
        call.func = ast.Name("collect", ast.Load())
        names.add(function.name)
    module = ast.fix_missing_locations(ast.Module(_needed(tree, names), []))
    exec(compile(module, str(path), "exec"), {"__name__": path.stem, "collect": collect})
    return collected


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


def _hints(path: Path) -> dict[str, list[str]]:
    """HINTS of the answers to a lesson, which need not be importable."""
    for answers in (folder.root() / "answers").glob(f"{path.name[:2]}_*.py"):
        for node in _parse(answers).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "HINTS":
                return ast.literal_eval(node.value)
    return {}


def _needed(tree: ast.Module, names: set[str]) -> list[ast.stmt]:
    """The statements of a module that bind `names`, and those that bind the names they use, in order."""
    needed: set[int] = set()
    while True:
        more = {i for i, node in enumerate(tree.body) if i not in needed and _bound_names(node) & names}
        if not more:
            return [tree.body[i] for i in sorted(needed)]
        needed |= more
        for i in more:
            names |= set(_used_names(_symbol_table(tree.body[i])))


def _symbol_table(node: ast.AST) -> symtable.SymbolTable:
    return symtable.symtable(ast.unparse(node), "lesson", "exec")


def _used_names(table: symtable.SymbolTable) -> Iterator[str]:
    """The global names that a piece of code reads, at any depth."""
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _used_names(inner)


def _bound_names(node: ast.stmt) -> set[str]:
    """The names that an import, a definition or an assignment binds or modifies."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return set()
