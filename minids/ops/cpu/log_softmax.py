"""log ŷ: the characters' log-probabilities (§2)."""

import math

import numpy as np
from numba import prange

from minids.ops.common import check_shapes
from minids.ops.cpu.pool import njit, on_all_cores


@on_all_cores
def log_softmax_forward(z, out=None):
    """As the reference: log ŷ_k = z_k - log Σ_j exp(z_j)."""
    check_shapes(out=(out, z.shape))
    log_y = np.empty_like(z) if out is None else out
    K = z.shape[-1]
    _rows(z.reshape(-1, K), log_y.reshape(-1, K))
    return log_y


@njit(parallel=True, nogil=True)
def _rows(z, log_y):
    for r in prange(len(z)):
        z_max = z[r].max()
        total = 0.0
        for k in range(z.shape[1]):
            total += math.exp(z[r, k] - z_max)
        log_total = z_max + math.log(total)
        for k in range(z.shape[1]):
            log_y[r, k] = z[r, k] - log_total
