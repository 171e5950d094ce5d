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
        sums[i] = _sum(x[i * size : (i + 1) * size])
    return sums.sum()


@njit(fastmath={"reassoc", "contract"})  # sums of a vector's width, instead of one that waits for itself
def _sum(x):
    total = 0.0
    for i in range(len(x)):
        total += np.float64(x[i]) * np.float64(x[i])
    return total
