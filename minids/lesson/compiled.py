"""Checks for exercises that Numba compiles: as Python first, then as machine code."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from warnings import catch_warnings

_CHANGES_A_LIST = {"append", "extend", "insert", "pop", "sort", "fill"}


def check_compiled(
    function: Callable, compiler: Callable, cases: Mapping[str, tuple[tuple, Any]]
) -> Iterator[tuple[str, Any, Any]]:
    """Checks for `exercise`: function(*arguments) for cases {description: (arguments, expected)}.

    Compiled code does not check indices, so each case runs as Python first; there `prange` counts backward.
    """
    from numba.core.errors import NumbaError, NumbaWarning

    for description, (arguments, expected) in cases.items():
        yield description, _with_reversed_prange(function, arguments), expected
    yield "arrays that several turns of prange write to", shared_writes(function), []
    with catch_warnings(action="error", category=NumbaWarning):
        try:
            compiler(function)(*next(iter(cases.values()))[0])
        except (NumbaError, NumbaWarning) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            yield "Numba", lines[lines[0].startswith("Failed")], "compiles it"
    for description, (arguments, expected) in cases.items():
        yield f"compiled, {description}", compiler(function)(*arguments), expected


def shared_writes(function: Callable) -> list[str]:
    """The arrays that a `prange` loop writes to other than at the index of its own turn.

    Arrays that are made inside the loop belong to one turn, and are not counted.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    names = set()
    for loop in ast.walk(tree):
        if (
            isinstance(loop, ast.For)
            and isinstance(loop.iter, ast.Call)
            and _name(loop.iter.func) == "prange"
        ):
            inside = {
                n.id for n in ast.walk(loop) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
            shared = {_write(node, _name(loop.target)) for node in ast.walk(loop)} - {""}
            names |= shared - inside
    return sorted(names)


def _write(node: ast.AST, turn: str) -> str:
    """The name of the array that a node changes, unless at the index `turn`; else ""."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
        return "" if _name(first) == turn else _name(node.value)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _CHANGES_A_LIST
    ):
        return _name(node.func.value)
    return ""


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _with_reversed_prange(function: Callable, arguments: tuple) -> Any:
    """function(*arguments) in Python: the result of a correct parallel loop does not depend on the order."""
    namespace = function.__globals__
    prange = namespace.get("prange")
    if prange is None:
        return function(*arguments)
    namespace["prange"] = lambda *limits: reversed(range(*limits))
    try:
        return function(*arguments)
    finally:
        namespace["prange"] = prange
