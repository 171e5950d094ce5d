"""Context: each output frame sees C input frames on either side (§2), and every stride-th is kept (§3.3)."""

import numpy as np
from numba import float32, int32, int64

from minids.ops.common import check_shapes, output_length
from minids.ops.cuda import arrays
from minids.ops.cuda.device import cuda
from minids.ops.cuda.launch import launch
from minids.ops.cuda.reduce import WARP_SIZE
from minids.ops.cuda.registry import Registered

MAX_THREADS = 256  # per block


def context_forward(frames, lengths, C, stride, workspace=None):
    """As in the reference: x_t = [frames_{st-C} … frames_{st+C}], zero beyond the ends."""
    T0, B, F = frames.shape
    T, D = output_length(T0, stride), (2 * C + 1) * F
    check_shapes(lengths=(lengths, (B,)))
    x = workspace("x", T, B, D) if workspace else arrays.empty((T, B, D), np.float32)
    threads = min(-(-F // WARP_SIZE) * WARP_SIZE, MAX_THREADS)
    launch(gather, T * B, threads, frames, lengths, C, stride, x)
    return x


@cuda.jit
def gather(frames, lengths, C, stride, x):
    """One block per frame of x, one thread per feature: adjacent threads access adjacent elements."""
    B, F = frames.shape[1], frames.shape[2]
    t, b = cuda.blockIdx.x // B, cuda.blockIdx.x % B
    center, length = t * stride, min(lengths[b], frames.shape[0])
    for c in range(2 * C + 1):
        source = center - C + c
        inside = center < length and 0 <= source < length
        for f in range(cuda.threadIdx.x, F, cuda.blockDim.x):
            x[t, b, c * F + f] = frames[source, b, f] if inside else np.float32(0)


_array3 = float32[:, :, ::1]
KERNELS = {"gather": Registered(gather, (_array3, int32[::1], int64, int64, _array3), max_registers=64)}
