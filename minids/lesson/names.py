"""The names that a piece of code binds or changes, and those that it uses from outside."""

import ast
import symtable
from collections.abc import Iterator

_CHANGES = {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"}
_CHANGES |= {"reverse", "setdefault", "sort", "update"}


def used_names(code: str) -> set[str]:
    """The global names that a piece of code reads or rebinds in functions, at any depth."""
    return set(_used(symtable.symtable(code, "lesson", "exec")))


def _used(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_declared_global() or (
            symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module")
        ):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _used(inner)


def bound_names(node: ast.stmt) -> set[str]:
    """The names that a statement at the top level binds or changes: x = …, x[0] = …, x.append(…)."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    try:
        symbols = symtable.symtable(ast.unparse(node), "lesson", "exec").get_symbols()
    except SyntaxError:  # `x = await …` in a notebook
        return {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and _is_stored(name)}
    return changed_names(node) | {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}


def changed_names(code: ast.AST) -> set[str]:
    """The names whose values a piece of code changes, or that its functions rebind with `global`."""
    names: set[str] = set()
    for node in ast.walk(code):
        target: ast.AST | None = None
        if isinstance(node, ast.Global):
            names.update(node.names)
        elif isinstance(node, (ast.Subscript, ast.Attribute)) and _is_stored(node):
            target = node
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES
        ):
            target = node.func
        while isinstance(target, (ast.Subscript, ast.Attribute)):
            target = target.value
        if isinstance(target, ast.Name):
            names.add(target.id)
    return names


def _is_stored(node: ast.Name | ast.Subscript | ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store)
