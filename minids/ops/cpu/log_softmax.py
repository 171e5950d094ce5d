"""log ŷ: the characters' log-probabilities (§2)."""

import math

import numpy as np
from numba import prange

from minids._utils.vectors import largest, operations, partial, total
from minids.ops.common import check_shapes
from minids.ops.cpu.pool import njit, on_all_cores
from minids.ops.cpu.vector_math import exp

_SIZE = 16
_splat, _, _ = operations(_SIZE)
_load, _store = partial(_SIZE)
_LOG0 = np.float32(-math.inf)


@on_all_cores
def log_softmax_forward(z, out=None):
    """As the reference: log ŷ_k = z_k - log Σ_j exp(z_j); NaN if a number of a row is NaN or inf."""
    check_shapes(out=(out, z.shape))
    log_y = np.empty_like(z) if out is None else out
    K = z.shape[-1]
    _rows(z.reshape(-1, K), log_y.reshape(-1, K))
    return log_y


@njit(parallel=True, nogil=True)
def _rows(z, log_y):
    K = z.shape[1]
    for r in prange(len(z)):
        highest, sums = _splat(_LOG0), _splat(np.float32(0))
        for k in range(0, K, _SIZE):
            highest = max(highest, _load(z[r], k, K, _LOG0))
        z_max = largest(highest)
        for k in range(0, K, _SIZE):
            sums = sums + exp(_load(z[r], k, K, _LOG0) - z_max)
        log_total = z_max + np.float32(math.log(total(sums)))
        for k in range(0, K, _SIZE):
            _store(log_y[r], k, K, _load(z[r], k, K, _LOG0) - log_total)
