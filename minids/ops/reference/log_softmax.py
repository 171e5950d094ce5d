"""log ŷ: the characters' log-probabilities (§2)."""

import numpy as np


def log_softmax_forward(z):
    """log ŷ_k = z_k - log Σ_j exp(z_j), over the last axis.  z (T, B, K) -> (T, B, K).

    There is no backward: the gradient of CTC is taken to z at once, see `ctc`.
    """
    z_max = z.max(axis=-1, keepdims=True)  # so that no exp overflows
    return z - (z_max + np.log(np.exp(z - z_max).sum(axis=-1, keepdims=True)))
