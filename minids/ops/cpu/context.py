"""Context: each output frame sees C input frames on either side (§2), every stride-th one is kept (§3.3)."""

import numpy as np
from numba import prange

from minids.ops.common import check_shapes, output_length
from minids.ops.cpu.pool import check_lengths, njit, on_all_cores


@on_all_cores
def context_forward(frames, lengths, C, stride, workspace=None):
    """As the reference: x_t = [frames_{st-C} … frames_{st+C}], zero past the ends."""
    T0, B, F = frames.shape
    T, D = output_length(T0, stride), (2 * C + 1) * F
    check_shapes(lengths=(lengths, (B,)))
    check_lengths("lengths", lengths, T0)
    x = workspace("x", T, B, D) if workspace else np.empty((T, B, D), np.float32)
    _gather(frames, lengths, C, stride, x)
    return x


@njit(parallel=True, nogil=True)
def _gather(frames, lengths, C, stride, x):
    T, B, _ = x.shape
    F = frames.shape[2]
    for i in prange(T * B):
        t, b = i // B, i % B
        center = t * stride
        for c in range(2 * C + 1):
            source = center - C + c
            inside = center < lengths[b] and 0 <= source < lengths[b]
            for f in range(F):
                x[t, b, c * F + f] = frames[source, b, f] if inside else np.float32(0)
