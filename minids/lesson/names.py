"""The names that a piece of code binds, and those that it uses from outside."""

import ast
import symtable
from collections.abc import Iterator


def used_names(code: str) -> set[str]:
    """The global names that a piece of code reads, at any depth."""
    return set(_used(symtable.symtable(code, "lesson", "exec")))


def _used(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _used(inner)


def bound_names(node: ast.stmt) -> set[str]:
    """The names that an import, a definition or an assignment binds or modifies."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return set()
