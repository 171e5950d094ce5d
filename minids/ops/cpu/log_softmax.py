"""log ŷ: the characters' log-probabilities (§2)."""

import math

import numpy as np
from numba import prange

from minids.ops.common import check_shapes
from minids.ops.cpu.pool import njit, on_all_cores
from minids.ops.cpu.vector_math import exp


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
        log_total = _log_sum_exp(z[r])
        for k in range(z.shape[1]):
            log_y[r, k] = z[r, k] - log_total


@njit(fastmath={"reassoc", "contract"})
def _log_sum_exp(z):
    """log Σ exp(z); NaN if a number is NaN or inf."""
    z_max, nans, total = z[0], 0, np.float32(0)
    for k in range(len(z)):
        z_max = max(z_max, z[k])
        nans += z[k] != z[k]
    if nans or z_max == math.inf:
        return np.float32(math.nan)
    for k in range(len(z)):
        total += exp(z[k] - z_max)
    return z_max + np.float32(math.log(total))
