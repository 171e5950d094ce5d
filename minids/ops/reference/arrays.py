"""Where arrays live: in NumPy."""

import numpy as np

on_host = True


def empty(shape: tuple[int, ...], dtype) -> np.ndarray:
    """A new array. It holds NaN, not zeros, so that a number which nobody wrote cannot pass for one."""
    return np.full(shape, np.nan, dtype)


def from_host(array: np.ndarray) -> np.ndarray:
    return array


def to_host(array: np.ndarray) -> np.ndarray:
    return array


def synchronize() -> None:
    pass


def copy(array: np.ndarray, out: np.ndarray) -> np.ndarray:
    out[...] = array
    return out
