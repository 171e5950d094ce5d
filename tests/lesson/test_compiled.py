"""Checks of compiled exercises: races in prange loops are found before anything is compiled."""

import numpy as np
from numba import njit, prange

from minids.lesson.compiled import check_compiled, shared_writes


def squares(x):
    result = np.empty(len(x))
    for i in prange(len(x)):
        row = np.empty(2)
        row[:] = x[i]
        result[i] = row[0] * row[1]
    return result


def with_a_shared_buffer(x):
    result, row = np.empty(len(x)), np.empty((1, 2))
    for i in prange(len(x)):
        row[0, :] = x[i]
        result[i] = row[0, 0] * row[0, 1]
    return result


def with_append(x):
    result = []
    for i in prange(len(x)):
        result.append(x[i] ** 2)
    return np.array(result)


def not_supported_by_numba(x):
    return np.array([str(value) for value in x])


def first_failure(function, expected):
    cases = {"x": ((np.arange(3.0),), expected)}
    for description, got, expected in check_compiled(function, njit(parallel=True), cases):
        if not np.array_equal(got, expected):
            return description
    return None


def test_arrays_that_several_turns_write_to_are_named():
    assert shared_writes(squares) == []
    assert shared_writes(with_a_shared_buffer) == ["row"]
    assert shared_writes(with_append) == ["result"]


def test_python_comes_first_and_backward():
    assert first_failure(squares, [0, 1, 4]) is None
    assert first_failure(with_append, [0, 1, 4]) == "x"
    assert first_failure(with_a_shared_buffer, [0, 1, 4]) == "arrays that several turns of prange write to"


def test_what_numba_cannot_compile_is_reported():
    assert first_failure(not_supported_by_numba, ["0.0", "1.0", "2.0"]) == "Numba"
