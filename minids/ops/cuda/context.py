"""Context: each output frame sees C input frames on either side (§2), every stride-th one is kept (§3.3)."""

import numpy as np
from numba import cuda, float32, int32, int64

from minids.ops.common import strided
from minids.ops.cuda import arrays
from minids.ops.cuda.launch import launch
from minids.ops.cuda.reduce import WARP
from minids.ops.cuda.registry import Registered

MOST = 256  # threads of a block


def context_forward(frames, lengths, C, stride, out=None):
    """As the reference: x_t = [frames_{st-C} … frames_{st+C}], zero past the ends."""
    T0, B, F = frames.shape
    T = strided(T0, stride)
    x = arrays.empty((T, B, (2 * C + 1) * F), np.float32) if out is None else out
    launch(gather, T * B, min(-(-F // WARP) * WARP, MOST), frames, lengths, C, stride, x)
    return x


@cuda.jit(cache=True)
def gather(frames, lengths, C, stride, x):
    """A block a frame of x, a thread a feature: neighbors read neighbors, and write neighbors."""
    B, F = frames.shape[1], frames.shape[2]
    t, b = cuda.blockIdx.x // B, cuda.blockIdx.x % B
    center, length = t * stride, lengths[b]
    for c in range(2 * C + 1):
        source = center - C + c
        inside = center < length and 0 <= source < length
        for f in range(cuda.threadIdx.x, F, cuda.blockDim.x):
            x[t, b, c * F + f] = frames[source, b, f] if inside else np.float32(0)


_cube = float32[:, :, ::1]
KERNELS = {"gather": Registered(gather, (_cube, int32[::1], int64, int64, _cube), registers=64)}
