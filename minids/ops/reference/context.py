"""Context: each output frame sees C input frames on either side (§2), every stride-th one is kept (§3.3)."""

import numpy as np

from minids.ops.common import output_length


def context_forward(frames, lengths, C, stride):
    """x_t = [frames_{st-C} … frames_{st} … frames_{st+C}], t < ceil(length / s); zero beyond either end.

    frames (T0, B, F), lengths (B,) before the stride -> x (T, B, D), D = (2C+1) F, T = ceil(T0 / s).
    Zero in x past each utterance's end. There is no backward: frames are data.
    """
    T0, B, F = frames.shape
    x = np.empty((output_length(T0, stride), B, (2 * C + 1) * F), frames.dtype)
    padded = np.zeros((T0 + 2 * C, B, F), frames.dtype)
    for b in range(B):
        padded[C : C + lengths[b], b] = frames[: lengths[b], b]
    for t in range(len(x)):
        window = padded[t * stride : t * stride + 2 * C + 1]  # (2C+1, B, F)
        x[t] = window.transpose(1, 0, 2).reshape(x[t].shape)
        x[t, t >= output_length(lengths, stride)] = 0
    return x
