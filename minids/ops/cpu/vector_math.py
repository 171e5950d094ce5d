"""e^x of vectors, as a mantissa and a power of two, and as one number."""

import numpy as np

from minids._utils.vectors import float_of, to_float, truncate
from minids.ops.cpu.blas import njit

_F, _I = np.float32, np.int32


@njit(inline="always")
def power_of_two(n):
    """2^n for n ≤ 127; 0 below -126, where float32 ends."""
    return float_of(max(n + _I(127), _I(0)) << _I(23))


@njit(inline="always")
def exp_parts(x):
    """(m, n) with e^x = m 2^n for x ≤ 0: m from 0.7 to 1.5 by Taylor's series, or NaN.

    The relative error is 2e-7, and from x = -2 on that of x itself, 1e-7 |x|. Below -3.7e8 e^x is 2^-5.3e8.
    """
    y = max(x, _F(-3.7e8)) * _F(1.44269504)
    n = truncate(y - _F(0.5))
    f = min(max(y - to_float(n), _F(-1)), _F(1)) * _F(0.693147181)  # |y| > 2^22 has no fraction
    series = f * _F(1 / 5040) + _F(1 / 720)
    series = series * f + _F(1 / 120)
    series = series * f + _F(1 / 24)
    series = series * f + _F(1 / 6)
    series = series * f + _F(1 / 2)
    series = series * f + _F(1)
    return series * f + _F(1), n


@njit(inline="always")
def exp(x):
    """e^x for x ≤ 0, relative error 2e-7 from x = -1 to 0; 0 below -87."""
    m, n = exp_parts(x)
    return m * power_of_two(n)
