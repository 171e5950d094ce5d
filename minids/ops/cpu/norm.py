"""The length of a gradient."""

import math

import numpy as np
from numba import prange

from minids.ops.cpu.pool import njit, on_all_cores

_PARTS = 64  # fixed, so that the order of the additions does not depend on the number of threads


@on_all_cores
def norm(x) -> float:
    """As the reference: ‖x‖ = sqrt(Σ x²)."""
    return math.sqrt(_squares(x))


@njit(parallel=True, nogil=True)
def _squares(x):
    sums = np.zeros(_PARTS)
    size = (len(x) + _PARTS - 1) // _PARTS
    for i in prange(_PARTS):
        total = 0.0
        for j in range(i * size, min((i + 1) * size, len(x))):
            total += np.float64(x[j]) * x[j]
        sums[i] = total
    return sums.sum()
