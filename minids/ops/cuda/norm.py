"""The length of a gradient."""

import math
from functools import cache

import numpy as np
from numba import cuda, float32

from minids.ops.cuda import arrays
from minids.ops.cuda.launch import launch
from minids.ops.cuda.reduce import WARP, warp_sum
from minids.ops.cuda.registry import Registered

THREADS = 256  # of a block
WARPS = THREADS // WARP
BLOCKS = 1024  # at most: fixed, so that the order of the additions does not depend on the GPU


def norm(x) -> float:
    """As the reference: ‖x‖ = sqrt(Σ x²), for ‖x‖ < 1.8e19, whose square is the last in float32; else inf.

    The blocks' sums are float32, of some hundred numbers a thread; the host adds them in float64.
    """
    blocks = min(-(-x.size // (THREADS * 8)), BLOCKS)  # each thread has at least some numbers to add
    sums = _sums()[:blocks]
    launch(squares, blocks, THREADS, x, sums)
    return math.sqrt(arrays.to_host(sums).sum(dtype=np.float64))


@cuda.jit(cache=True)
def squares(x, sums):
    """sums_block = Σ x_i² over i = thread, thread + all threads, … : neighbors read neighbors.

    A warp adds its threads' sums in registers, and the first warp those of the warps, in shared memory.
    """
    of_warps = cuda.shared.array(WARPS, float32)
    total = np.float32(0)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        total += x[i] * x[i]
    total = warp_sum(total)
    warp, lane = cuda.threadIdx.x // WARP, cuda.threadIdx.x % WARP
    if lane == 0:
        of_warps[warp] = total
    cuda.syncthreads()
    if warp == 0:
        total = warp_sum(of_warps[lane] if lane < WARPS else np.float32(0))
        if lane == 0:
            sums[cuda.blockIdx.x] = total


@cache
def _sums():
    return arrays.empty((BLOCKS,), np.float32)


KERNELS = {"squares": Registered(squares, (float32[::1], float32[::1]), registers=32)}
