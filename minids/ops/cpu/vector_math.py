"""exp and log as polynomials: in a loop they become vector instructions, which calls of a library do not."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minids.ops.cpu.blas import njit


@intrinsic
def _float_of_bits(typing, bits):
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@njit(inline="always")
def exp(x):
    """e^x for x ≤ 0, relative error 2e-7: 2^n from the exponent's bits, 2^f by Taylor's series, |f| ≤ 1/2."""
    y = max(x, np.float32(-87)) * np.float32(1.44269504)
    n = np.int32(y - np.float32(0.5))
    f = (y - np.float32(n)) * np.float32(0.693147181)
    series = np.float32(1 / 5040)
    series = series * f + np.float32(1 / 720)
    series = series * f + np.float32(1 / 120)
    series = series * f + np.float32(1 / 24)
    series = series * f + np.float32(1 / 6)
    series = series * f + np.float32(1 / 2)
    series = series * f + np.float32(1)
    series = series * f + np.float32(1)
    return series * _float_of_bits(np.int32((n + np.int32(127)) << np.int32(23)))  # type: ignore[call-arg]


@njit(inline="always")
def log1p(x):
    """log(1 + x) for 0 ≤ x ≤ 1, absolute error 1e-7: the best polynomial of degree 8 with log 1 = 0."""
    series = np.float32(-0.006452612)
    series = series * x + np.float32(0.036084514)
    series = series * x + np.float32(-0.09532248)
    series = series * x + np.float32(0.16764784)
    series = series * x + np.float32(-0.24073075)
    series = series * x + np.float32(0.33179826)
    series = series * x + np.float32(-0.49987406)
    series = series * x + np.float32(0.99999642)
    return series * x
