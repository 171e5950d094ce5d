"""Checks for exercises that Numba compiles: as Python first, then as machine code."""

import linecache
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from textwrap import shorten
from types import FrameType, FunctionType, ModuleType
from typing import Any
from warnings import catch_warnings

import numpy as np


def compiled(function: Callable, parallel: bool = False) -> Callable:
    """A function of Python as machine code of Numba; it may be decorated with @njit already."""
    return _compiled(in_python(function), parallel)


@cache
def _compiled(function: Callable, parallel: bool) -> Callable:
    from numba import njit

    return njit(parallel=parallel)(function)


def in_python(function: Callable) -> Callable:
    """What @njit has decorated; any other function as it is."""
    return getattr(function, "py_func", function)


def check_compiled(
    function: Callable, cases: Mapping[str, tuple[tuple, Any]], parallel: bool = False
) -> Iterator[tuple]:
    """Items of a check: function(*arguments) for cases {description: (arguments, expected)}.

    Compiled code does not check indices, so each case runs as Python first. There the turns of a `prange` run
    in reverse order, and no two of them may change the same element.
    """
    from numba.core.errors import NumbaError, NumbaWarning

    for description, (arguments, expected) in cases.items():
        result, races = run_in_python(function, arguments)
        if parallel and races is None:
            yield "it runs in one thread only", None, "", "loop over `prange` instead of `range`"
        for name in races or ():
            words = f"two turns of `prange` change `{name}`; each needs its own, made inside the loop"
            yield "a data race", name, "", words
        yield description, result, expected
    with catch_warnings(action="error", category=NumbaWarning):
        try:
            compiled(function, parallel)(*next(iter(cases.values()))[0])
        except (NumbaError, NumbaWarning) as error:
            yield "Numba", None, "", f"cannot compile it: {_reason(str(error))}"
    for description, (arguments, expected) in cases.items():
        yield f"compiled, {description}", compiled(function, parallel)(*arguments), expected


def _reason(text: str) -> str:
    """The first line of an error of Numba that says something, and the line of code that it names."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    place = re.search(r'File "(.+)", line (\d+)', text)
    code = linecache.getline(place[1], int(place[2])).strip() if place else ""
    where = f" (line {place[2]}{f': {code}' if code else ''})" if place else ""
    return shorten(lines[lines[0].startswith("Failed")], 300, placeholder=" …") + where


def run_in_python(function: Callable, arguments: tuple) -> tuple[Any, list[str] | None]:
    """function(*arguments), and the arrays and lists that two turns of a `prange` change; None without one.

    The turns run one after the other, from the last to the first: the result of a correct parallel loop does
    not depend on their order.
    """
    races: set[str] = set()
    is_parallel = False

    def watched(*limits: int) -> Iterator[int]:
        nonlocal is_parallel
        is_parallel = True
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

    result = _with_prange(in_python(function), watched)(*arguments)
    return result, sorted(races) if is_parallel else None


def _with_prange(function: Callable, other: Callable) -> Callable:
    """A copy of a function of Python that finds another `prange`, whatever its name is.

    Nothing changes in the module of the function, so other functions can be compiled while the copy runs.
    """
    import numba

    if not isinstance(function, FunctionType):
        return function
    names = dict(function.__globals__)
    for name, value in function.__globals__.items():
        if value is numba.prange:
            names[name] = other
        elif value is numba:
            names[name] = ModuleType("numba")
            vars(names[name]).update({**vars(numba), "prange": other})
    copy = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


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
