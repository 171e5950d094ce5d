"""Checks of compiled exercises: races in prange loops are found before anything is compiled."""

import numba
import numpy as np
import pytest
from numba import njit, prange
from numba import prange as in_threads

from minids.lesson.compiled import check_compiled, compiled, run_in_python

X = np.arange(3.0)


def squares(x):
    result = np.empty(len(x))
    for i in prange(len(x)):
        row = np.empty(2)
        row[:] = x[i]
        result[i] = row[0] * row[1]
    return result


def with_a_shared_buffer(x):
    result, row = np.zeros(len(x)), np.zeros((1, 2))
    for i in prange(len(x)):
        row[0, :] = x[i]
        result[i] = row[0, 0] * row[0, 1]
    return result


def with_a_view_of_a_shared_buffer(x):
    result, buffer = np.zeros(len(x)), np.zeros((2, 2))
    for i in prange(len(x)):
        row = buffer[1]
        row[:] = x[i]
        result[i] = row[0] * row[1]
    return result


def fill(row, value):
    row[:] = value


def with_a_function_that_fills_a_shared_buffer(x):
    result, row = np.zeros(len(x)), np.zeros(2)
    for i in prange(len(x)):
        fill(row, x[i])
        np.multiply(row, row, out=row)
        result[i] = row[0]
    return result


def with_a_sum_in_an_element(x):
    result = np.zeros(1)
    for i in prange(len(x)):
        result[0] += x[i] ** 2
    return result


def with_append(x):
    result = []
    for i in prange(len(x)):
        result.append(x[i] ** 2)
    return np.array(result)


@njit
def decorated(x):
    result = np.zeros(len(x))
    for i in prange(len(x)):
        result[i] = x[i] ** 2
    return result


@njit(parallel=True)
def decorated_with_a_shared_buffer(x):
    result, row = np.zeros(len(x)), np.zeros(2)
    for i in in_threads(len(x)):
        row[:] = x[i]
        result[i] = row[0] * row[1]
    return result


def with_the_name_of_the_module(x):
    result = np.zeros(1)
    for i in numba.prange(len(x)):
        result[0] += decorated(x)[i]
    return result


def in_a_range(x):
    result = np.zeros(len(x))
    for i in range(len(x)):
        result[i] = x[i] ** 2
    return result


def not_supported_by_numba(x):
    result = np.zeros(len(x))
    for i in prange(len(x)):
        result[i] = np.logaddexp.reduce(x[: i + 1])
    return result


def first_failure(function, expected):
    items = check_compiled(function, {"x": ((X,), expected)}, parallel=True)
    for description, got, right, *words in items:
        if not np.array_equal(got, right):
            return "".join(words) or description
    return None


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (squares, []),
        (with_a_shared_buffer, ["row"]),
        (with_a_view_of_a_shared_buffer, ["buffer"]),
        (with_a_function_that_fills_a_shared_buffer, ["row"]),
        (with_a_sum_in_an_element, ["result"]),
        (with_append, ["result"]),
        (decorated, []),
        (decorated_with_a_shared_buffer, ["row"]),
        (with_the_name_of_the_module, ["result"]),
    ],
)
def test_what_two_turns_change_is_named(function, names):
    assert run_in_python(function, (X,))[1] == names


def test_turns_run_in_reverse_order_in_python_and_prange_is_restored():
    np.testing.assert_array_equal(run_in_python(with_append, (X,))[0], [4, 1, 0])
    np.testing.assert_array_equal(squares(X), [0, 1, 4])
    assert globals()["prange"] is prange


def test_other_functions_are_compiled_while_a_copy_runs():
    np.testing.assert_array_equal(run_in_python(with_the_name_of_the_module, (X,))[0], [5])
    assert vars(numba)["prange"] is prange


def test_a_decorated_function_is_right_and_compiled_once():
    assert first_failure(decorated, [0, 1, 4]) is None
    assert compiled(decorated) is compiled(decorated.py_func)
    assert compiled(decorated, parallel=True) is not compiled(decorated)


def test_python_comes_first():
    assert first_failure(squares, [0, 1, 4]) is None
    assert first_failure(squares, [0, 1, 5]) == "x"
    race = "two turns of `prange` change `row`; each needs its own, made inside the loop"
    assert first_failure(with_a_shared_buffer, [0, 1, 4]) == race
    assert first_failure(decorated_with_a_shared_buffer, [0, 1, 4]) == race


def test_what_numba_cannot_compile_is_reported():
    message = first_failure(not_supported_by_numba, np.logaddexp.accumulate(X))
    assert message.startswith("cannot compile it: ")
    assert message.endswith(": result[i] = np.logaddexp.reduce(x[: i + 1]))")
    assert first_failure(in_a_range, [0, 1, 4]) == "loop over `prange` instead of `range`"
