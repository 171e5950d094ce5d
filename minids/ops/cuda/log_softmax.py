"""log ŷ: the log-probabilities of the characters (§2)."""

import math

import numpy as np
from numba import float32

from minids.ops.common import check_shapes
from minids.ops.cuda import arrays
from minids.ops.cuda.device import cuda
from minids.ops.cuda.launch import launch
from minids.ops.cuda.reduce import WARP_SIZE, warp_max, warp_sum
from minids.ops.cuda.registry import Registered

WARPS = 4  # per block


def log_softmax_forward(z, out=None):
    """As in the reference: log ŷ_k = z_k - log Σ_j exp(z_j)."""
    check_shapes(out=(out, z.shape))
    log_y = arrays.empty(z.shape, np.float32) if out is None else out
    T, B, K = z.shape
    launch(rows, -(-T * B // WARPS), WARPS * WARP_SIZE, z.reshape(T * B, K), log_y.reshape(T * B, K))
    return log_y


@cuda.jit
def rows(z, log_y):
    """One warp per row: its lanes share the K characters and combine their maxima and sums."""
    row, lane = cuda.grid(1) // WARP_SIZE, cuda.threadIdx.x % WARP_SIZE
    if row < z.shape[0]:
        z_max = np.float32(-math.inf)
        for k in range(lane, z.shape[1], WARP_SIZE):
            z_max = max(z_max, z[row, k])
        z_max = warp_max(z_max)
        total = np.float32(0)
        for k in range(lane, z.shape[1], WARP_SIZE):
            total += math.exp(z[row, k] - z_max)
        log_total = z_max + math.log(warp_sum(total))
        for k in range(lane, z.shape[1], WARP_SIZE):
            log_y[row, k] = z[row, k] - log_total


KERNELS = {"rows": Registered(rows, (float32[:, ::1], float32[:, ::1]), max_registers=40)}
