"""The length of a gradient."""

import math

import numpy as np
from numba import float32

from minids.ops.common import check_shapes
from minids.ops.cuda import arrays
from minids.ops.cuda.device import cuda, per_device
from minids.ops.cuda.launch import launch
from minids.ops.cuda.reduce import WARP_SIZE, warp_sum
from minids.ops.cuda.registry import Registered

THREADS = 256  # per block
WARPS = THREADS // WARP_SIZE
MAX_BLOCKS = 1024  # the same on every GPU, and with it the order of the additions


def norm(x) -> float:
    """As in the reference: ‖x‖ = sqrt(Σ x²). From 1.8e19 on, where the square exceeds float32, it is inf.

    The sums of the blocks are float32, each of some hundred numbers per thread; the host adds them in
    float64.
    """
    check_shapes(x=(x, (x.size,)))
    blocks = min(-(-x.size // (THREADS * 8)), MAX_BLOCKS)  # some numbers to add for each thread
    sums = _sums()[:blocks]
    launch(squares, blocks, THREADS, x, sums)
    return math.sqrt(arrays.to_host(sums).sum(dtype=np.float64))


@cuda.jit
def squares(x, sums):
    """sums_block = Σ x_i² over i = thread, thread + number of threads, …: accesses coalesce.

    Each warp adds up its threads' sums in registers, and the first warp those of all warps, in shared memory.
    """
    warp_sums = cuda.shared.array(WARPS, float32)
    total = np.float32(0)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        total += x[i] * x[i]
    total = warp_sum(total)
    warp, lane = cuda.threadIdx.x // WARP_SIZE, cuda.threadIdx.x % WARP_SIZE
    if lane == 0:
        warp_sums[warp] = total
    cuda.syncthreads()
    if warp == 0:
        total = warp_sum(warp_sums[lane] if lane < WARPS else np.float32(0))
        if lane == 0:
            sums[cuda.blockIdx.x] = total


@per_device
def _sums():
    return arrays.empty((MAX_BLOCKS,), np.float32)


KERNELS = {"squares": Registered(squares, (float32[::1], float32[::1]), max_registers=40)}
