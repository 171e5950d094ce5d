"""Arrays of the backends that compute in NumPy arrays."""

import math

import numpy as np

on_host = True


def empty(shape: tuple[int, ...], dtype) -> np.ndarray:
    """A new array. Floats are NaN, so that a number that was never written is noticed."""
    array = np.empty(shape, dtype)
    if array.dtype.kind == "f":
        array.fill(np.nan)
    return array


def view(flat: np.ndarray, start: int, shape: tuple[int, ...]) -> np.ndarray:
    """The elements of a flat array from `start` on, as an array of this shape in the same memory."""
    return flat[start : start + math.prod(shape)].reshape(shape)


def from_host(array: np.ndarray) -> np.ndarray:
    return array


def to_host(array: np.ndarray) -> np.ndarray:
    return array


def synchronize() -> None:
    """Nothing to wait for."""


def copy(array: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Copy to an array of the same shape, and return that."""
    out[...] = array
    return out
