"""Checks of public arguments: they come before any conversion that could change a value."""

from typing import Any

import numpy as np


def integers(name: str, values: Any, low: int, high: int, ndim: int = 1) -> np.ndarray:
    """The values as int32. Raises ValueError unless they are integers from low to high with ndim axes."""
    array = np.asarray(values)
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, not the shape {array.shape}")
    if array.dtype.kind not in "iu" and array.size:
        raise ValueError(f"{name} must be integers, not {array.dtype}")
    outside = (array < low) | (array > high)
    if outside.any():
        raise ValueError(f"{name} must be integers from {low} to {high}; one is {array[outside][0]}")
    return np.ascontiguousarray(array, np.int32)


def real_array(name: str, values: Any, dtype: Any, axes: str) -> np.ndarray:
    """The values, contiguous and of this type. `axes` describes the shape, such as "(T, B, K)".

    Raises ValueError for another number of axes, for what is not a real number, and for numbers that the type
    cannot hold. NaN and infinities stay what they are.
    """
    array = np.asarray(values)
    if array.ndim != len(axes.rstrip(",)").split(",")):
        raise ValueError(f"{name} have the shape {array.shape}, not {axes}")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be real numbers, not {array.dtype}")
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(array, dtype)
    if converted.dtype != array.dtype and (np.isinf(converted) & ~np.isinf(array)).any():
        raise ValueError(f"{name} have numbers that are too large for {np.dtype(dtype)}")
    return converted
