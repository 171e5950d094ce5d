"""Checks for exercises that Numba compiles: as Python first, then as machine code."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any
from warnings import catch_warnings

import numpy as np


def check_compiled(
    function: Callable, compiler: Callable, cases: Mapping[str, tuple[tuple, Any]]
) -> Iterator[tuple]:
    """Items of a check: function(*arguments) for cases {description: (arguments, expected)}.

    Compiled code does not check indices, so each case runs as Python first. There the turns of a `prange` run
    in reverse order, and no two of them may change the same element.
    """
    from numba.core.errors import NumbaError, NumbaWarning

    for description, (arguments, expected) in cases.items():
        result, races = run_in_python(function, arguments)
        for name in races:
            words = f"two turns of `prange` change `{name}`; each needs its own, made inside the loop"
            yield "a data race", name, "", words
        yield description, result, expected
    with catch_warnings(action="error", category=NumbaWarning):
        try:
            compiler(function)(*next(iter(cases.values()))[0])
        except (NumbaError, NumbaWarning) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            yield "Numba", lines[lines[0].startswith("Failed")], "compiles it"
    for description, (arguments, expected) in cases.items():
        yield f"compiled, {description}", compiler(function)(*arguments), expected


def run_in_python(function: Callable, arguments: tuple) -> tuple[Any, list[str]]:
    """function(*arguments), and the arrays and lists that two turns of a `prange` change.

    The turns run one after the other, from the last to the first: the result of a correct parallel loop does
    not depend on their order.
    """
    namespace = inspect.unwrap(function).__globals__
    prange = namespace.get("prange")
    races: set[str] = set()
    if prange is None:
        return function(*arguments), []

    def watched(*limits: int) -> Iterator[int]:
        outside = _arrays_and_lists(sys._getframe(1))
        changed: dict[str, set[int]] = {name: set() for name in outside}
        for turn in reversed(range(*limits)):
            before = {name: value.copy() for name, value in outside.items()}
            yield turn
            for name, value in outside.items():
                places = _differences(before[name], value)
                if places & changed[name]:
                    races.add(name)
                changed[name] |= places

    namespace["prange"] = watched
    try:
        return function(*arguments), sorted(races)
    finally:
        namespace["prange"] = prange


def _arrays_and_lists(frame: FrameType | None) -> dict[str, Any]:
    """The local variables of the function that runs the loop, as they are before it."""
    variables = frame.f_locals.items() if frame else ()
    return {name: value for name, value in variables if isinstance(value, (np.ndarray, list))}


def _differences(before: Any, after: Any) -> set[int]:
    """The elements that differ; a list counts as one element."""
    if isinstance(before, list):
        same = len(before) == len(after) and all(a is b for a, b in zip(before, after, strict=True))
        return set() if same else {0}
    both_nan = (before != before) & (after != after)
    return set(np.flatnonzero((before != after) & ~both_nan).tolist())
