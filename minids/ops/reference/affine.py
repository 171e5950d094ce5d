"""A layer of weights, W (out, in), with the clipped ReLU and the dropout as options (§2, §2.1)."""

import numpy as np

from minids.ops.common import CLIP, Dropout, hash32


def linear(x, W, b):
    """z = x Wᵀ + b.  x (T, B, D), W (H, D), b (H,) -> (T, B, H)."""
    return x @ W.T + b


def clipped_relu(z):
    """g(z) = min{max{0, z}, 20}."""
    return np.clip(z, 0, CLIP)


def dropout_mask(dropout: Dropout, shape: tuple[int, int, int], dtype):
    """m / (1 - p): 0 for a dropped unit, 1 / (1 - p) for the others.  (T, B, H)."""
    T, _, H = shape
    units = np.arange(T * H, dtype=np.uint32).reshape(T, 1, H) + dropout.keys[:, None]  # (T, B, H)
    return np.where(hash32(units) >= dropout.threshold, dropout.scale, 0).astype(dtype)


def affine_forward(x, W, b, clip=False, dropout=None):
    """z = x Wᵀ + b;  clip: y = g(z);  dropout: y ⊙ m / (1 - p).

    x (T, B, D), W (H, D), b (H,) -> y (T, B, H).
    """
    y = linear(x, W, b)  # (T, B, H)
    if clip:
        y = clipped_relu(y)
    if dropout:
        y = y * dropout_mask(dropout, y.shape, y.dtype)
    return y


def affine_backward(dy, x, W, y, clip=False, dropout=None, needs_dx=True):
    """δ = dy ⊙ m / (1 - p) ⊙ g'(z);  dW = Σ δ xᵀ;  db = Σ δ;  dx = Wᵀ δ, sums over frames and utterances.

    g'(z) = 1 where 0 < z < 20, which is where 0 < y < 20 / (1 - p), but for dropped units, where m = 0.
    Returns dx (None without `needs_dx`), dW, db.
    """
    delta, max_y = dy, CLIP  # (T, B, H)
    if dropout:
        delta, max_y = delta * dropout_mask(dropout, y.shape, y.dtype), CLIP * dropout.scale
    if clip:
        delta = np.where((y > 0) & (y < max_y), delta, 0)
    dx = delta @ W if needs_dx else None  # (T, B, D)
    dW = np.tensordot(delta, x, axes=((0, 1), (0, 1)))  # (H, D)
    db = delta.sum(axis=(0, 1))  # (H,)
    return dx, dW, db
