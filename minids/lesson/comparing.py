"""Compare what a reader's function returns with what it should return, and describe the first difference."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np


def difference(
    got: Any, expected: Any, rtol: float = 1e-9, atol: float = 1e-12, words: str = "", lists: bool = False
) -> str | None:
    """Describe the first difference between `got` and `expected`; None if they agree.

    Numbers agree if |got - expected| ≤ atol + rtol |expected|; infinities and NaN agree with themselves.
    A list and a tuple of the same items agree. Text, bool and None must be equal. If `expected` is a dict
    and `got` a tuple or a list, the keys name the items of `got`. With `lists`, nested lists of equal lengths
    are accepted where an array is expected.

    `words` replaces the description of a wrong value; {index} in it is the place of the wrong element.
    """
    if isinstance(expected, (str, bool, type(None), set, frozenset)):
        got = to_python(got)
        if not isinstance(got, np.ndarray) and got == expected:
            return None
        return _put(words, ()) or f"expected {to_text(expected)}, got {to_text(got)}"
    if isinstance(expected, dict):
        if isinstance(got, (tuple, list)):
            if len(got) != len(expected):
                names = _enumeration([str(name) for name in expected])
                return f"expected {names}, got {_count(len(got), 'value')}: {to_text(got)}"
            pairs = [(str(name), a, expected[name]) for name, a in zip(expected, got, strict=True)]
        elif isinstance(got, Mapping) and got.keys() == expected.keys():
            pairs = [(repr(key), got[key], expected[key]) for key in expected]
        else:
            return f"expected {to_text(expected)}, got {to_text(got)}"
        return _first_difference(pairs, rtol, atol, words, lists)
    if isinstance(expected, (list, tuple)) and not (
        isinstance(got, np.ndarray) and _is_rectangular(expected)
    ):
        if not isinstance(got, (list, tuple)):
            return f"expected a {type(expected).__name__} of {len(expected)}, got {to_text(got)}"
        if len(got) != len(expected):
            return f"expected {_count(len(expected), 'item')}, got {len(got)}: {to_text(got)}"
        items = [(f"item {i}", a, b) for i, (a, b) in enumerate(zip(got, expected, strict=True))]
        return _first_difference(items, rtol, atol, words, lists)
    return _array_difference(got, np.asarray(expected), rtol, atol, words, lists)


def to_text(value: Any) -> str:
    """The value in at most 80 characters, on one line."""
    value = to_python(value)
    text = f"{value:.8g}" if isinstance(value, float) else " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}…"


def to_python(value: Any) -> Any:
    """A fraction, a NumPy scalar or an array without dimensions as a number of Python; others as they are."""
    if isinstance(value, Fraction):
        return float(value)
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and not value.shape else value


def _array_difference(
    got: Any, expected: np.ndarray, rtol: float, atol: float, words: str, lists: bool
) -> str | None:
    got = to_python(got)
    array = np.asarray(got if _is_rectangular(got) else None)
    if array.dtype.kind not in "biufcU":
        return f"expected {_shape(expected)}, got {to_text(got)}"
    if isinstance(got, (list, tuple)) and array.shape == expected.shape and not lists:
        return f"expected an array, got a {type(got).__name__}; convert it with np.array(…)"
    if array.shape != expected.shape:
        return f"expected {_shape(expected)}, got {_shape(array)}"
    if array.dtype.kind == "c" and expected.dtype.kind != "c":
        return f"expected real numbers, got {array.dtype}"
    if "U" in array.dtype.kind + expected.dtype.kind:
        same = array == expected
    else:
        same = np.isclose(array, expected, rtol, atol, equal_nan=True)
    if np.all(same):
        return None
    index = tuple(int(i) for i in np.argwhere(~np.asarray(same))[0])
    values = f"expected {to_text(expected[index])}, got {to_text(array[index])}"
    if words or not index:
        return _put(words, index) or values
    return f"first wrong element {index if len(index) > 1 else index[0]}: {values}"


def _first_difference(
    pairs: Iterable[tuple[str, Any, Any]], rtol: float, atol: float, words: str, lists: bool
) -> str | None:
    for where, got, expected in pairs:
        message = difference(got, expected, rtol, atol, words, lists)
        if message:
            return f"{where}: {message}"
    return None


def _put(words: str, index: tuple[int, ...]) -> str:
    return words.replace("{index}", str(list(index)) if index else "")


def _enumeration(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _is_rectangular(values: Any) -> bool:
    """Whether np.asarray accepts the values: one number, or nested lists whose rows have equal lengths."""
    try:
        np.asarray(values)
    except ValueError:
        return False
    return True


def _shape(array: np.ndarray) -> str:
    return f"shape {array.shape}" if array.shape else f"a number, such as {to_text(array)}"
