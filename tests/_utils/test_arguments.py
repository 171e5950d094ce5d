"""Values are checked before any conversion could change them."""

import numpy as np
import pytest

from minids._utils.arguments import integers, real_array


@pytest.mark.parametrize("dtype", ["i1", "u1", "u8", "i8", ">i4", ">u2"])
def test_any_integer_type_becomes_int32(dtype):
    values = integers("lengths", np.array([3, 0, 7], dtype), 0, 7)
    assert values.dtype == np.int32
    assert values.dtype.isnative
    np.testing.assert_array_equal(values, [3, 0, 7])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 2.0], "lengths must be integers, not float64"),
        ([np.nan], "lengths must be integers"),
        ([True], "lengths must be integers, not bool"),
        (["a"], "lengths must be integers"),
        ([2**32 + 1], "lengths must be integers from 0 to 7; one is 4294967297"),
        ([-1], "one is -1"),
        (np.array([2**64 - 1], np.uint64), "one is 18446744073709551615"),
        ([[1]], r"lengths must have 1 axes, not the shape \(1, 1\)"),
        (3, "lengths must have 1 axes"),
    ],
)
def test_other_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        integers("lengths", values, 0, 7)


def test_an_empty_list_has_no_type():
    assert integers("lengths", [], 0, 0).shape == (0,)


def test_reals_of_any_layout_become_contiguous():
    x = np.asfortranarray(np.arange(6.0).reshape(2, 3).astype(">f8"))
    y = real_array("x", x, np.float32, "(T, K)")
    assert (y.dtype, y.flags.c_contiguous, y.dtype.isnative) == (np.float32, True, True)
    np.testing.assert_array_equal(y, x)
    same = np.zeros((2, 3), np.float32)
    assert real_array("x", same, np.float32, "(T, K)") is same, "what fits is not copied"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(3), r"x have the shape \(3,\), not \(T, K\)"),
        (np.zeros((2, 2), complex), "x must be real numbers, not complex128"),
        (np.zeros((2, 2), bool), "x must be real numbers, not bool"),
        ([["a"]], "x must be real numbers"),
        ([[1e300]], "x have numbers that are too large for float32"),
    ],
)
def test_other_reals_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        real_array("x", values, np.float32, "(T, K)")


def test_nan_and_infinity_stay():
    np.testing.assert_array_equal(real_array("x", [np.nan, np.inf], np.float32, "(N,)"), [np.nan, np.inf])
