"""Sums of gradients over several batches, and averages of weights over steps."""

import numpy as np
from numba import prange

from minids.ops.common import check_shapes
from minids.ops.cpu.pool import njit, on_all_cores


@on_all_cores
def axpby(a, x, b, y):
    """As the reference: y ← a x + b y, in one pass over memory."""
    check_shapes(x=(x, y.shape))
    _update(np.float32(a), x, np.float32(b), y)


@njit(parallel=True, nogil=True)
def _update(a, x, b, y):
    for i in prange(len(y)):
        y[i] = a * x[i] + b * y[i] if b else a * x[i]
