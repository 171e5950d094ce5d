"""A layer of weights, W (out, in): h = g(W x + b), with the clip and the dropout as options (§2, §2.1)."""

import numpy as np

from minids.ops.common import CLIP, Dropout, mix


def affine_forward(x, W, b, clip=False, dropout=None, out=None):
    """z = x Wᵀ + b;  clip: y = g(z) = min{max{0, z}, 20};  dropout: y ⊙ m / (1 - p).

    x (T, B, D), W (H, D), b (H,) -> y (T, B, H).
    """
    T, B, _ = x.shape
    y = np.empty((T, B, len(b)), x.dtype) if out is None else out
    np.matmul(x, W.T, out=y)  # (T, B, H)
    y += b
    if clip:
        np.clip(y, 0, CLIP, out=y)
    if dropout:
        y *= _mask(dropout, y.shape)
    return y


def affine_backward(
    dy, x, W, y, clip=False, dropout=None, input_gradient=True, dz=None, dx=None, dW=None, db=None
):
    """δ = dy ⊙ g'(z) ⊙ m / (1 - p);  dW = Σ δ xᵀ;  db = Σ δ;  dx = Wᵀ δ, sums over frames and utterances.

    g'(z) = 1 where 0 < z < 20. It is read off the output: 0 < y < 20 / (1 - p), and a dropped unit has y = 0.
    dz may be dy itself. Returns dx (None without `input_gradient`), dW, db.
    """
    dz = np.empty_like(dy) if dz is None else dz
    dW = np.empty_like(W) if dW is None else dW
    db = np.empty_like(W[:, 0]) if db is None else db
    scale = dropout.scale if dropout else 1.0
    if clip:
        dz[...] = np.where((y > 0) & (y < CLIP * scale), dy * scale, 0)  # (T, B, H)
    else:
        dz[...] = dy
    rows = dz.reshape(-1, dz.shape[-1])  # (T B, H)
    np.matmul(rows.T, x.reshape(-1, x.shape[-1]), out=dW)
    np.sum(rows, axis=0, out=db)
    if input_gradient:
        dx = np.empty_like(x) if dx is None else dx
        np.matmul(dz, W, out=dx)
    return dx, dW, db


def _mask(dropout: Dropout, shape: tuple[int, int, int]):
    T, _, H = shape
    units = np.arange(T * H, dtype=np.uint32).reshape(T, 1, H) + dropout.keys[:, None]  # (T, B, H)
    return np.where(mix(units) >= dropout.threshold, dropout.scale, 0.0)
