"""Context: each output frame sees C input frames on either side (§2), every stride-th one is kept (§3.3)."""

import numpy as np
from numba import cuda, float32, int32, int64

from minids.ops.common import strided
from minids.ops.cuda import arrays
from minids.ops.cuda.launch import launch
from minids.ops.cuda.reduce import WARP
from minids.ops.cuda.registry import Registered

THREADS = 256  # of a block, at most


def context_forward(frames, lengths, C, stride, out=None):
    """As the reference: x_t = [frames_{st-C} … frames_{st+C}], zero past the ends."""
    T0, B, F = frames.shape
    T, D = strided(T0, stride), (2 * C + 1) * F
    x = arrays.empty((T, B, D), np.float32) if out is None else out
    launch(gather, T * B, min(-(-D // WARP) * WARP, THREADS), frames, lengths, C, stride, x)
    return x


@cuda.jit
def gather(frames, lengths, C, stride, x):
    """One block a frame of x; its threads take the D inputs in turn, so that neighbours read neighbours."""
    B, F = frames.shape[1], frames.shape[2]
    t, b = cuda.blockIdx.x // B, cuda.blockIdx.x % B
    centre, length = t * stride, lengths[b]
    for d in range(cuda.threadIdx.x, x.shape[2], cuda.blockDim.x):
        source = centre - C + d // F
        value = np.float32(0)
        if centre < length and 0 <= source < length:
            value = frames[source, b, d % F]
        x[t, b, d] = value


_cube = float32[:, :, ::1]
KERNELS = {"gather": Registered(gather, (_cube, int32[::1], int64, int64, _cube), registers=48)}
