"""The polyphase filter that changes the rate of a sound: the compiled part of minids.audio.processing."""

import numpy as np

from minids._utils.compile_cache import cached_njit

njit = cached_njit("audio/polyphase.py")


def filter_polyphase(samples: np.ndarray, up: int, down: int, taps: np.ndarray) -> np.ndarray:
    """y_k = up Σ_i taps[M + k down - i up] x_i for 0 ≤ k < ceil(N up / down): (ceil(N up / down),) float32.

    The filter has 2M + 1 taps, centered. Output k needs only those at positions p, p + up, p + 2 up, … with
    p = (M + k down) mod up: the phase p of the filter.
    """
    width = -(-len(taps) // up)  # taps of a phase
    phases = np.zeros((width, up), np.float32)
    phases.reshape(-1)[: len(taps)] = np.float32(up) * taps
    phases = np.ascontiguousarray(phases[::-1].T)  # (up, width), the last tap first
    first = len(taps) // 2
    out = np.empty(-(-len(samples) * up // down), np.float32)
    last = (first + (len(out) - 1) * down) // up
    padded = np.zeros(max(len(samples), last + 1) + width - 1, np.float32)
    padded[width - 1 :][: len(samples)] = samples
    _products(padded, phases, first, down, out)
    return out


@njit(nogil=True, fastmath={"reassoc", "contract"}, error_model="numpy")
def _products(padded, phases, first, down, out):
    """out_k ← phase p of the filter times the samples that end at n, where p + n up = first + k down."""
    up, width = phases.shape
    p, n = first % up, first // up
    for k in range(len(out)):
        taps, window = phases[p], padded[n : n + width]
        total = np.float32(0)
        for j in range(width):
            total += taps[j] * window[j]
        out[k] = total
        p, n = p + down % up, n + down // up
        if p >= up:
            p, n = p - up, n + 1
