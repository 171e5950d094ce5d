"""A layer of weights, W (out, in): h = g(W x + b), with the clip and the dropout as options (§2, §2.1)."""

import numpy as np
from numba import prange

from minids.ops.common import Workspace, check_shapes
from minids.ops.cpu import convolution
from minids.ops.cpu.activation import activate, drop, gate
from minids.ops.cpu.blas import weight_gradient
from minids.ops.cpu.context import Windows
from minids.ops.cpu.packed import multiply, pack, packed_shape
from minids.ops.cpu.pool import get_num_threads, njit, on_all_cores
from minids.ops.reference import arrays

_MAX_BLOCK = 512  # rows, which are then activated while they are in the cache
_workspace = Workspace(arrays, np.float32)  # of all layers: operations run one at a time
_NO_DROPOUT = np.zeros(0, np.uint32), np.uint32(0), np.float32(1)


@on_all_cores
def affine_forward(x, W, b, clip=False, dropout=None, out=None):
    """As in the reference. Bias, clip and dropout are applied while a block is in the cache."""
    T, B, D = x.shape
    H = len(W)
    check_shapes(W=(W, (H, D)), b=(b, (H,)), out=(out, (T, B, H)))
    y = np.empty((T, B, H), np.float32) if out is None else out
    mask = _NO_DROPOUT
    if dropout:
        _check_dropout(dropout, clip, B)
        mask = dropout.keys, dropout.threshold, np.float32(dropout.scale)
    if isinstance(x, Windows):
        if plan := convolution.plan(*x.shape, H, x.size, x.stride):
            convolution.forward(x, plan, W, b, clip, mask, y)
            return y
        x = x.stacked()
    packed = _workspace("weights", *packed_shape(D, H))
    _forward(x.reshape(T * B, D), W, packed, b, clip, *mask, y.reshape(T * B, H), _block_size(T * B))
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
    scale = np.float32(dropout.scale if dropout else 1)
    if isinstance(x, Windows):
        if not needs_dx and (plan := convolution.plan(*x.shape, H, x.size, x.stride)):
            convolution.backward(x, plan, dy, y, clip, scale, dW, db)
            return None, dW, db
        x = x.stacked()
    rows = dz.reshape(T * B, H)
    _gate(dy.reshape(T * B, H), y.reshape(T * B, H), clip, scale, rows, db, get_num_threads())
    weight_gradient(rows, x.reshape(T * B, D), dW)
    if not needs_dx:
        return None, dW, db
    dx = np.empty_like(x) if dx is None else dx
    packed = _workspace("weights", *packed_shape(H, D))
    _input_gradient(rows, W, packed, dx.reshape(T * B, D), _block_size(T * B))
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
def _forward(x, W, packed, b, clip, keys, threshold, scale, y, size):
    rows, H = y.shape
    pack(W, True, packed)
    for i in prange((rows + size - 1) // size):
        block = y[i * size : (i + 1) * size]
        multiply(x[i * size : (i + 1) * size], packed, block)
        for r in range(len(block)):
            activate(block[r], b, clip)
            if len(keys):
                t, utterance = divmod(i * size + r, len(keys))
                drop(block[r], np.uint32(keys[utterance] + np.uint32(t * H)), threshold, scale)


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
            gate(dy[r, columns], y[r, columns], clip, scale, dz[r, columns], db[columns])


@njit(parallel=True, nogil=True)
def _input_gradient(dz, W, packed, dx, size):
    pack(W, False, packed)
    for i in prange((len(dz) + size - 1) // size):
        multiply(dz[i * size : (i + 1) * size], packed, dx[i * size : (i + 1) * size])
