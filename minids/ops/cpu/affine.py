"""A layer of weights, W (out, in): h = g(W x + b), with the clip and the dropout as options (§2, §2.1)."""

import numpy as np
from numba import prange

from minids.ops.common import CLIP, check_shapes, hash32
from minids.ops.cpu.blas import product, weight_gradient
from minids.ops.cpu.pool import get_num_threads, njit, on_all_cores

_MAX_BLOCK = 512  # rows: BLAS is at full speed from there on
_CLIP = np.float32(CLIP)
_NO_KEYS = np.zeros(0, np.uint32)
_hash32 = njit()(hash32)


@on_all_cores
def affine_forward(x, W, b, clip=False, dropout=None, out=None):
    """As in the reference. Bias, clip and dropout are applied while a block is in the cache."""
    T, B, D = x.shape
    H = len(W)
    check_shapes(W=(W, (H, D)), b=(b, (H,)), out=(out, (T, B, H)))
    y = np.empty((T, B, H), np.float32) if out is None else out
    keys, threshold, scale = _NO_KEYS, np.uint32(0), np.float32(1)
    if dropout:
        _check_dropout(dropout, clip, B)
        keys, threshold, scale = dropout.keys, dropout.threshold, np.float32(dropout.scale)
    _forward(x.reshape(T * B, D), W, b, clip, keys, threshold, scale, y.reshape(T * B, H), _block_size(T * B))
    return y


@on_all_cores
def affine_backward(dy, x, W, y, clip=False, dropout=None, needs_dx=True, dz=None, dx=None, dW=None, db=None):
    """As in the reference: δ = dy ⊙ g'(z) ⊙ m / (1 - p);  dW = Σ δ xᵀ;  db = Σ δ;  dx = Wᵀ δ.

    δ is written to dz, which may be dy.
    """
    T, B, D = x.shape
    H = len(W)
    if dropout:
        _check_dropout(dropout, clip, B)
    check_shapes(dy=(dy, (T, B, H)), W=(W, (H, D)), y=(y, (T, B, H)), dz=(dz, (T, B, H)))
    check_shapes(dx=(dx, (T, B, D)), dW=(dW, (H, D)), db=(db, (H,)))
    dz = np.empty_like(dy) if dz is None else dz
    dW = np.empty_like(W) if dW is None else dW
    db = np.empty_like(W[:, 0]) if db is None else db
    rows = dz.reshape(T * B, H)
    scale = np.float32(dropout.scale if dropout else 1)
    _gate(dy.reshape(T * B, H), y.reshape(T * B, H), clip, scale, rows, db, get_num_threads())
    weight_gradient(rows, x.reshape(T * B, D), dW)
    if not needs_dx:
        return None, dW, db
    dx = np.empty_like(x) if dx is None else dx
    _input_gradient(rows, W, dx.reshape(T * B, D), _block_size(T * B))
    return dx, dW, db


def _check_dropout(dropout, clip, B):
    if not clip:
        raise ValueError("dropout requires clip=True: backward finds the dropped units by their 0")
    if dropout.keys.dtype != np.uint32:
        raise ValueError(f"dropout keys have the type {dropout.keys.dtype}, not uint32")
    check_shapes(dropout_keys=(dropout.keys, (B,)))


def _block_size(rows):
    """Rows of a block: the same number of blocks for every thread, and at most 512 rows in each."""
    threads = get_num_threads()
    blocks = threads * max(1, -(-rows // (threads * _MAX_BLOCK)))
    return max(1, -(-rows // blocks))


@njit(parallel=True, nogil=True)
def _forward(x, W, b, clip, keys, threshold, scale, y, size):
    rows, H = y.shape
    for i in prange((rows + size - 1) // size):
        block = y[i * size : (i + 1) * size]
        product(x[i * size : (i + 1) * size], False, W, True, block, 0)
        for r in range(len(block)):
            _activate(block[r], b, clip)
            if len(keys):
                t, utterance = divmod(i * size + r, len(keys))
                _drop(block[r], np.uint32(keys[utterance] + np.uint32(t * H)), threshold, scale)


@njit()
def _activate(y, b, clip):
    """A row of y ← g(y + b), or y + b."""
    if clip:
        for u in range(len(y)):
            y[u] = min(max(y[u] + b[u], np.float32(0)), _CLIP)
    else:
        for u in range(len(y)):
            y[u] += b[u]


@njit()
def _drop(y, first, threshold, scale):
    """A row of y ← y ⊙ m / (1 - p); `first` is the number of its first unit in dropout's hash."""
    for u in range(len(y)):
        survives = _hash32(np.uint32(first + np.uint32(u))) >= threshold
        y[u] *= scale if survives else np.float32(0)


@njit(parallel=True, nogil=True)
def _gate(dy, y, clip, scale, dz, db, threads):
    """dz ← dy ⊙ g'(z) and its sum over the rows.

    A thread has some of the columns, so that each sum is made by one thread in one order.
    """
    rows, H = y.shape
    width = max(16, (H + threads - 1) // threads)  # a line of the cache: two threads never write to one
    for i in prange(threads):
        columns = slice(min(i * width, H), min((i + 1) * width, H))
        db[columns] = 0
        for r in range(rows):
            _gate_row(dy[r, columns], y[r, columns], clip, scale, dz[r, columns], db[columns])


@njit()
def _gate_row(dy, y, clip, scale, dz, db):
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


@njit(parallel=True, nogil=True)
def _input_gradient(dz, W, dx, size):
    for i in prange((len(dz) + size - 1) // size):
        product(dz[i * size : (i + 1) * size], False, W, False, dx[i * size : (i + 1) * size], 0)
