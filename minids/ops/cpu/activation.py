"""Rows of a layer: bias, clip and dropout, and their gradient, while the row is in the cache."""

import numpy as np

from minids.ops.common import CLIP, hash32
from minids.ops.cpu.blas import njit

_CLIP = np.float32(CLIP)
_hash32 = njit()(hash32)


@njit()
def activate(y, b, clip):
    """y ← g(y + b), or y + b."""
    if clip:
        for u in range(len(y)):
            y[u] = min(max(y[u] + b[u], np.float32(0)), _CLIP)
    else:
        for u in range(len(y)):
            y[u] += b[u]


@njit()
def drop(y, first, threshold, scale):
    """y ← y ⊙ m / (1 - p); `first` is the number of its first unit in dropout's hash."""
    for u in range(len(y)):
        survives = _hash32(np.uint32(first + np.uint32(u))) >= threshold
        y[u] *= scale if survives else np.float32(0)


@njit()
def gate(dy, y, clip, scale, dz, db):
    """dz ← dy ⊙ g'(z) ⊙ m / (1 - p);  db ← db + dz."""
    if clip:
        top = _CLIP * scale
        for u in range(len(y)):
            d = dy[u] * scale  # first read, then select: a branch around it would prevent vector instructions
            d = d if y[u] > np.float32(0) else np.float32(0)
            d = d if y[u] < top else np.float32(0)
            dz[u] = d
            db[u] += d
    else:
        for u in range(len(y)):
            d = dy[u]
            dz[u] = d
            db[u] += d
