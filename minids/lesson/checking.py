"""Exercises: a function to be written, a check against an independent truth, hints, and our own answer."""

import inspect
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from minids._utils.errors import InputError, reason
from minids.lesson import folder, progress

Check = Callable[[], Iterator[tuple[str, Any, Any]]]


@dataclass(frozen=True)
class Verdict:
    """What became of an exercise: its state, "open", "wrong" or "right", and that in words."""

    state: str
    words: str


def exercise(
    number: str, check: Check, hints: Sequence[str] = (), rtol: float = 1e-9, atol: float = 1e-12
) -> Callable[[Callable], Callable]:
    """Decorate a function that the reader is to write; print how it does, and a hint where it does not yet.

    `number` is "<lesson>.<n>". `check` yields (what, got, expected), where `got` comes of calling the
    function by its name and `expected` from elsewhere. The name is bound to the reader's function if that
    is right, else to ours, so that the lesson can go on; MINIDS_ANSWERS=1 in the environment takes ours at
    once. Nothing that the reader's function does raises here.
    """

    def decorate(function: Callable) -> Callable:
        name = function.__name__
        ours = getattr(folder.answers(int(number.split(".")[0])), name, None)
        if ours is None:
            raise InputError(f"{number} {name}: lessons/answers has no such answer")
        given = os.environ.get("MINIDS_ANSWERS") == "1"
        verdict = examine(name, ours if given else function, check, rtol, atol)
        print(f"{number} {name}  {verdict.words}")
        if not given:
            hint = progress.record(number, verdict.state, function, _folder(check), hints)
            if hint:
                print(f"    hint: {hint}")
        return function if verdict.state == "right" and not given else ours

    return decorate


def examine(name: str, function: Callable, check: Check, rtol: float = 1e-9, atol: float = 1e-12) -> Verdict:
    """Run `check`, with `name` bound to `function` among its globals, up to the first difference."""
    bound = check.__globals__  # type: ignore[attr-defined]
    bound[name] = function
    count = 0
    try:
        for what, got, expected in check():
            count += 1
            wrong = difference(got, expected, rtol, atol)
            if wrong:
                return Verdict("wrong", f"[✗] {what}: {wrong}")
    except NotImplementedError:
        return Verdict("open", "[ ] not written yet: the lesson goes on with ours")
    except (Exception, SystemExit) as error:
        return Verdict("wrong", f"[✗] {type(error).__name__}: {_words(error)}{_line(error, function)}")
    return Verdict("right", f"[✓] right ({count} check{'s' * (count != 1)})")


def difference(got: Any, expected: Any, rtol: float = 1e-9, atol: float = 1e-12) -> str | None:
    """The first difference in words; None when there is none.

    Numbers agree when |got - expected| ≤ atol + rtol |expected|, infinities and NaN when they are the same.
    Lists and tuples count as one another. Text, bools and None must be equal.
    """
    if isinstance(expected, (str, bool, type(None), set, frozenset)):
        got = _plain(got)
        same = not isinstance(got, np.ndarray) and got == expected
        return None if same else f"expected {_show(expected)}, got {_show(got)}"
    if isinstance(expected, dict):
        if not isinstance(got, dict) or got.keys() != expected.keys():
            return f"expected {_show(expected)}, got {_show(got)}"
        return _first(((repr(key), got[key], expected[key]) for key in expected), rtol, atol)
    if isinstance(expected, (list, tuple)) and not (isinstance(got, np.ndarray) and _even(expected)):
        if not isinstance(got, (list, tuple)):
            return f"expected a {type(expected).__name__} of {len(expected)}, got {_show(got)}"
        if len(got) != len(expected):
            count = f"{len(expected)} item{'s' * (len(expected) != 1)}"
            return f"expected {count}, got {len(got)}: {_show(got)}"
        pairs = enumerate(zip(got, expected, strict=True))
        return _first(((f"item {i}", one, other) for i, (one, other) in pairs), rtol, atol)
    return _arrays(got, np.asarray(expected), rtol, atol)


def _arrays(got: Any, expected: np.ndarray, rtol: float, atol: float) -> str | None:
    array = np.asarray(got if _even(got) else None)
    if array.dtype.kind not in "biufcU":
        return f"expected {_shape(expected)}, got {_show(got)}"
    if isinstance(got, (list, tuple)) and array.shape == expected.shape:
        return f"expected an array, got a {type(got).__name__}; np.array(…) makes one of it"
    if array.shape != expected.shape:
        return f"expected {_shape(expected)}, got {_shape(array)}"
    if "U" in array.dtype.kind + expected.dtype.kind:
        same = array == expected
    else:
        same = np.isclose(array, expected, rtol, atol, equal_nan=True)
    if np.all(same):
        return None
    where = tuple(int(i) for i in np.argwhere(~same)[0])
    values = f"expected {_show(expected[where])}, got {_show(array[where])}"
    if not where:
        return values
    return f"first wrong element {where if len(where) > 1 else where[0]}: {values}"


def _first(pairs: Iterable[tuple[str, Any, Any]], rtol: float, atol: float) -> str | None:
    for where, got, expected in pairs:
        wrong = difference(got, expected, rtol, atol)
        if wrong:
            return f"{where}: {wrong}"
    return None


def _words(error: BaseException) -> str:
    """An error in one line; what forgets to return meets its end in the check, as None."""
    words = shorten(reason(error), 300, placeholder=" …")
    return f"{words}; is a return missing?" if "NoneType" in words else words


def _line(error: BaseException, function: Callable) -> str:
    """Where in the file of `function` an error passed last."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    file = code.co_filename if code else ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" (line {lines[-1]})" if lines else ""


def _folder(check: Check) -> Path:
    """The folder of the lesson; in a notebook, that in which it runs."""
    file = check.__globals__.get("__file__", "notebook")  # type: ignore[attr-defined]
    return Path(file).resolve().parent


def _even(values: Any) -> bool:
    """Whether an array could hold these: numbers, or rows of one length."""
    try:
        np.asarray(values)
    except ValueError:
        return False
    return True


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and not value.shape else value


def _shape(array: np.ndarray) -> str:
    return f"shape {array.shape}" if array.shape else f"a number, such as {_show(array)}"


def _show(value: Any) -> str:
    """A value in a few characters of one line."""
    value = _plain(value)
    text = f"{value:.8g}" if isinstance(value, float) else " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}…"
