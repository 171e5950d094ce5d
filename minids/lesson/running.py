"""Run the check of an exercise on a function, and say in one line what is wrong with it."""

import copy
import functools
import inspect
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any

import numpy as np

from minids._utils.errors import reason
from minids.lesson import folder
from minids.lesson.comparing import difference
from minids.lesson.time_limit import run_with_limit

SECONDS = 10  # for the check of an exercise in plain Python


@dataclass(frozen=True)
class Check:
    """The check of one exercise; the options are those of `exercise`."""

    number: str
    name: str
    run: Callable[[Callable], Iterator[tuple]]
    rtol: float
    atol: float
    pure: bool
    keep: bool
    lists: bool
    seconds: float


@dataclass(frozen=True)
class Result:
    """The result of a check: `state` is "open", "wrong" or "right", `message` explains it in one line.

    `got` has what the function returned, check by check, up to the first difference; `rest` are the checks
    after it, which have not run yet.
    """

    state: str
    message: str
    got: list = field(default_factory=list)
    rest: Iterator[tuple] = field(default_factory=lambda: iter(()))


class SideEffectError(Exception):
    """A function changed an argument that it should only read."""


def exercise(
    number: str,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    pure: bool = True,
    keep: bool = True,
    lists: bool = False,
    seconds: float = SECONDS,
) -> Callable[[Callable], Check]:
    """Decorate `check_NAME(function)` in lessons/checks, the check of the exercise `number`, "<lesson>.<n>".

    It yields (description, got, expected) or (description, got, expected, words): `got` is what the function
    returns, `expected` comes from an independent source. `words`, `rtol`, `atol` and `lists` are as in
    `difference`. With `pure`, arguments must be unchanged when the function returns. With `keep`, a right
    function goes to mine.py. `seconds` limits the time of the whole check.
    """

    def decorate(check: Callable) -> Check:
        name = check.__name__.removeprefix("check_")
        return Check(number, name, check, rtol, atol, pure, keep, lists, seconds)

    return decorate


def run_check(test: Check, function: Callable) -> Result:
    """Check a function up to the first difference or error, or to the end."""
    guarded = guard(function) if test.pure and callable(function) else function
    got: list = []
    file = _file(function)
    items = test.run(guarded)

    def first_difference() -> str | None:
        for description, value, expected, *words in items:
            got.append(value)
            message = difference(value, expected, test.rtol, test.atol, "".join(words), test.lists)
            if message:
                return f"{description}: {message}"
        return None

    try:
        message = run_with_limit(test.seconds, first_difference, file)
    except SideEffectError as error:
        return Result("wrong", f"[✗] {error}")
    except TimeoutError as error:
        return Result("wrong", f"[✗] {error}{_call(error.__cause__)}")
    except (Exception, SystemExit) as error:
        if _is_stub(test, function, error):
            return Result("open", "[ ] not written yet; the lesson continues with our answer")
        return Result(
            "wrong", f"[✗] {type(error).__name__}: {_message(error)}{_line(error, file)}{_call(error)}"
        )
    if not message:
        return Result("right", f"[✓] right ({len(got)} check{'s' * (len(got) != 1)})", got)
    return Result("wrong", f"[✗] {message}", got, items)


def _is_stub(test: Check, function: Callable, error: BaseException) -> bool:
    """Whether the function itself or its check raised NotImplementedError, not what the function calls."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return isinstance(error, NotImplementedError) and frames[-1].f_code in (code, test.run.__code__)


def guard(function: Callable) -> Callable:
    """`function`, made to raise SideEffectError if a call changes an argument."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        before = [_snapshot(value) for value in (*args, *kwargs.values())]
        result = function(*args, **kwargs)
        names = [*_parameters(function, len(args)), *kwargs]
        for name, value, original in zip(names, (*args, *kwargs.values()), before, strict=True):
            if original is not None and not _same(value, original):
                raise SideEffectError(f"it changes its argument `{name}`; work on a copy")
        return result

    return guarded


def _parameters(function: Callable, count: int) -> list[str]:
    try:
        names = list(inspect.signature(function).parameters)[:count]
    except (TypeError, ValueError):
        names = []
    return names + [f"number {i + 1}" for i in range(len(names), count)]


def _snapshot(value: Any) -> Any:
    """A copy of an array or a collection; None for anything else, which is not compared."""
    if not isinstance(value, (np.ndarray, list, tuple, dict, set)):
        return None
    try:
        return copy.deepcopy(value)
    except Exception:  # an item that cannot be copied
        return None


def _same(a: Any, b: Any) -> bool:
    if isinstance(b, np.ndarray):
        equal_nan = b.dtype.kind in "fc"
        return isinstance(a, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=equal_nan)
    if isinstance(b, dict):
        return isinstance(a, dict) and a.keys() == b.keys() and all(_same(a[key], b[key]) for key in b)
    if isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(b, (str, bytes, set, int, float, complex, np.generic, type(None))):
        return type(a) is type(b) and bool(a == b or (a != a and b != b))
    return True  # an object that a copy need not be equal to


def _message(error: BaseException) -> str:
    """An error in one line. None where a value is needed usually means a forgotten return."""
    message = shorten(reason(error), 300, placeholder=" …")
    name = getattr(error, "name", None) if isinstance(error, NameError) else None
    number = folder.kept_exercises().get(name or "")
    if number:
        return f'{message}; you wrote it in {number}: {name} = yours("{name}") loads it'
    return f"{message}; is a return missing?" if "NoneType" in message else message


def _file(function: Callable) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return code.co_filename if code else ""


def _line(error: BaseException, file: str) -> str:
    """The last line of the reader's file that the error passed."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" (line {lines[-1].lineno}: {shorten(lines[-1].line or '', 60)})" if lines else ""


def _call(error: BaseException | None) -> str:
    """The arguments of the call that raised an error: "; called with f (4, 1), C = 0"."""
    for frame, _ in traceback.walk_tb(error.__traceback__ if error else None):
        if frame.f_code.co_filename == __file__ and frame.f_code.co_name == "guarded":
            args, kwargs = frame.f_locals["args"], frame.f_locals["kwargs"]
            names = [*_parameters(frame.f_locals["function"], len(args)), *kwargs]
            values = zip(names, (*args, *kwargs.values()), strict=True)
            text = ", ".join(f"{name} {_value(value)}" for name, value in values)
            return shorten(f"; called with {text}", 200, placeholder=" …") if text else ""
    return ""


def _value(value: Any) -> str:
    """An argument in a few characters: its shape, its length, or its value if that is short."""
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"{value.shape}"
    text = " ".join((np.array2string(value) if isinstance(value, np.ndarray) else repr(value)).split())
    if len(text) > 50 or "array(" in text:
        return (
            f"({type(value).__name__} of {len(value)})"
            if hasattr(value, "__len__")
            else f"({type(value).__name__})"
        )
    return f"= {text}"
