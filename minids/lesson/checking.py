"""Exercises: a function that the reader writes, an independent check, hints and our answer."""

import copy
import functools
import inspect
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from minids._utils.errors import InputError, reason
from minids.lesson import folder, progress

Check = Callable[[], Iterator[tuple[str, Any, Any]]]
TIME_LIMIT = 120  # seconds for the check of one exercise, compilation included


@dataclass(frozen=True)
class Result:
    """The result of a check: `state` is "open", "wrong" or "right", `message` explains it in one line."""

    state: str
    message: str
    needs_hint: bool = False  # the message alone does not say what to change


class FormatDifference(str):
    """A difference of type or shape, not of values: its text says what to change."""


class SideEffectError(Exception):
    """A function changed an argument that it should only read."""


def exercise(number: str, check: Check, **options: Any) -> Callable[[Callable], Callable]:
    """Decorate a function that the reader writes: check it, print the result and, if it is wrong, a hint.

    `number` is "<lesson>.<n>". `check` and the `options` are those of `run_check`. Hints and our answer come
    from the lesson's file in lessons/answers. The name is bound to the reader's function if it is right, else
    to our answer, so that the lesson can continue; MINIDS_ANSWERS=1 in the environment always takes our
    answer. An error in the reader's function is reported, never raised.
    """

    def decorate(function: Callable) -> Callable:
        name = function.__name__
        answer = getattr(folder.answers(int(number.split(".")[0])), name, None)
        if answer is None:
            raise InputError(f"{number} {name}: lessons/answers has no answer of that name")
        if os.environ.get("MINIDS_ANSWERS") == "1":
            print(f"{number} {name}  {run_check(name, answer, check, **options).message}")
            return answer
        return function if report(number, function, check, _folder(check), **options) else answer

    return decorate


def report(number: str, function: Callable, check: Check, progress_folder: Path, **options: Any) -> bool:
    """Check a function, print the result and record it. Returns whether the function is right.

    A hint is printed if values are wrong or an error is raised, but never the last one, which is nearly the
    code: only `minids lessons hint` shows it.
    """
    name = function.__name__
    result = run_check(name, function, check, **options)
    print(f"{number} {name}  {result.message}")
    hints = getattr(folder.answers(int(number.split(".")[0])), "HINTS", {}).get(name, ())
    hints = hints[:-1] if result.needs_hint else ()  # the last one is nearly the code
    hint = progress.record(number, result.state, function, progress_folder, hints)
    if hint:
        print(f"    hint: {hint}")
    return result.state == "right"


def run_check(
    name: str,
    function: Callable,
    check: Check,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    pure: bool = True,
) -> Result:
    """Run `check`, with `name` bound to `function` in its globals, up to the first difference.

    `check` yields (description, got, expected): `got` calls the function by its name, `expected` comes from
    an independent source; `rtol` and `atol` are as in `difference`. With `pure`, arrays and lists passed to
    the function must be unchanged when it returns.
    """
    namespace = check.__globals__  # type: ignore[attr-defined]
    namespace[name] = _guard(function) if pure and inspect.isfunction(function) else function
    count = 0
    try:
        with time_limit(TIME_LIMIT):
            for description, got, expected in check():
                count += 1
                message = difference(got, expected, rtol, atol)
                if message:
                    needs_hint = not isinstance(message, FormatDifference)
                    return Result("wrong", f"[✗] {description}: {message}", needs_hint)
    except NotImplementedError:
        return Result("open", "[ ] not written yet; the lesson continues with our answer")
    except SideEffectError as error:
        return Result("wrong", f"[✗] {error}")
    except (Exception, SystemExit) as error:
        message = f"[✗] {type(error).__name__}: {_message(error)}{_line(error, function)}"
        return Result("wrong", message, needs_hint=True)
    finally:
        namespace[name] = function
    return Result("right", f"[✓] right ({count} check{'s' * (count != 1)})")


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after `seconds`. No limit on Windows and outside the main thread."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"no result after {seconds:g} seconds; does a loop never end?")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def difference(got: Any, expected: Any, rtol: float = 1e-9, atol: float = 1e-12) -> str | None:
    """Describe the first difference between `got` and `expected`; None if they agree.

    Numbers agree if |got - expected| ≤ atol + rtol |expected|; infinities and NaN agree with themselves.
    A list and a tuple of the same items agree. Text, bool and None must be equal. The description of a
    wrong type or shape is a FormatDifference.
    """
    if isinstance(expected, (str, bool, type(None), set, frozenset)):
        got = _to_python(got)
        if not isinstance(got, np.ndarray) and got == expected:
            return None
        return _unequal(got, expected)
    if isinstance(expected, dict):
        if not isinstance(got, dict) or got.keys() != expected.keys():
            return _unequal(got, expected)
        return _first_difference(((repr(key), got[key], expected[key]) for key in expected), rtol, atol)
    if isinstance(expected, (list, tuple)) and not (
        isinstance(got, np.ndarray) and _is_rectangular(expected)
    ):
        if not isinstance(got, (list, tuple)):
            return FormatDifference(
                f"expected a {type(expected).__name__} of {len(expected)}, got {_repr(got)}"
            )
        if len(got) != len(expected):
            count = f"{len(expected)} item{'s' * (len(expected) != 1)}"
            return f"expected {count}, got {len(got)}: {_repr(got)}"
        pairs = enumerate(zip(got, expected, strict=True))
        return _first_difference(((f"item {i}", a, b) for i, (a, b) in pairs), rtol, atol)
    return _array_difference(got, np.asarray(expected), rtol, atol)


def _array_difference(got: Any, expected: np.ndarray, rtol: float, atol: float) -> str | None:
    array = np.asarray(got if _is_rectangular(got) else None)
    if array.dtype.kind not in "biufcU":
        return FormatDifference(f"expected {_shape(expected)}, got {_repr(got)}")
    if isinstance(got, (list, tuple)) and array.shape == expected.shape:
        return FormatDifference(f"expected an array, got a {type(got).__name__}; convert it with np.array(…)")
    if array.shape != expected.shape:
        return FormatDifference(f"expected {_shape(expected)}, got {_shape(array)}")
    if array.dtype.kind == "c" and expected.dtype.kind != "c":
        return FormatDifference(f"expected real numbers, got {array.dtype}")
    if "U" in array.dtype.kind + expected.dtype.kind:
        same = array == expected
    else:
        same = np.isclose(array, expected, rtol, atol, equal_nan=True)
    if np.all(same):
        return None
    index = tuple(int(i) for i in np.argwhere(~same)[0])
    kind = str if (array.dtype.kind == "U") == (expected.dtype.kind == "U") else FormatDifference
    values = kind(f"expected {_repr(expected[index])}, got {_repr(array[index])}")
    if not index:
        return values
    return kind(f"first wrong element {index if len(index) > 1 else index[0]}: {values}")


def _first_difference(pairs: Iterable[tuple[str, Any, Any]], rtol: float, atol: float) -> str | None:
    for where, got, expected in pairs:
        message = difference(got, expected, rtol, atol)
        if message:
            return type(message)(f"{where}: {message}")
    return None


def _unequal(got: Any, expected: Any) -> str:
    kind = str if expected is None or isinstance(got, type(expected)) else FormatDifference
    return kind(f"expected {_repr(expected)}, got {_repr(got)}")


def _guard(function: Callable) -> Callable:
    """`function`, made to raise SideEffectError if a call changes an array or a list passed to it."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        before = [copy.deepcopy(a) if isinstance(a, (np.ndarray, list)) else None for a in args]
        result = function(*args, **kwargs)
        for name, argument, original in zip(
            inspect.signature(function).parameters, args, before, strict=False
        ):
            if original is not None and difference(argument, original):
                raise SideEffectError(f"it changes its argument `{name}`; work on a copy")
        return result

    return guarded


def _message(error: BaseException) -> str:
    """An error in one line. None where a value is needed usually means a forgotten return."""
    message = shorten(reason(error), 300, placeholder=" …")
    return f"{message}; is a return missing?" if "NoneType" in message else message


def _line(error: BaseException, function: Callable) -> str:
    """The last line of the file of `function` that the error passed."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    file = code.co_filename if code else ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" (line {lines[-1]})" if lines else ""


def _folder(check: Check) -> Path:
    """The folder of the lesson; in a notebook, the current folder."""
    file = check.__globals__.get("__file__", "notebook")  # type: ignore[attr-defined]
    return Path(file).resolve().parent


def _is_rectangular(values: Any) -> bool:
    """Whether np.asarray accepts the values: one number, or nested lists whose rows have equal lengths."""
    try:
        np.asarray(values)
    except ValueError:
        return False
    return True


def _to_python(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and not value.shape else value


def _shape(array: np.ndarray) -> str:
    return f"shape {array.shape}" if array.shape else f"a number, such as {_repr(array)}"


def _repr(value: Any) -> str:
    """The value in at most 80 characters, on one line."""
    value = _to_python(value)
    text = f"{value:.8g}" if isinstance(value, float) else " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}…"
