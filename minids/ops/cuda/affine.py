"""A layer with weights W (out, in): h = g(W x + b), with clip and dropout as options (§2, §2.1)."""

import numpy as np
from numba import float32, int64

from minids.ops import driver
from minids.ops.common import CLIP, check_shapes
from minids.ops.cuda import arrays, matmul
from minids.ops.cuda.context import Windows
from minids.ops.cuda.device import cuda
from minids.ops.cuda.launch import launch
from minids.ops.cuda.registry import Registered

_ZERO, _CLIP = np.float32(0), np.float32(CLIP)
# The units and rows that a block of `gate` handles at once, and the rows it handles in all.
_UNITS, _ROWS, _ROWS_PER_BLOCK = (8, 4, 16) if driver.simulated() else (32, 32, 512)


def affine_forward(x, W, b, clip=False, dropout=None, out=None, gemm="fp32"):
    """y = x Wᵀ + b, with clip and dropout as in the reference; one kernel. dropout.keys is a device array."""
    T, B, D = x.shape
    H = len(W)
    check_shapes(W=(W, (H, D)), b=(b, (H,)), out=(out, (T, B, H)))
    _check_dropout(dropout, clip, B)
    y = arrays.empty((T, B, H), np.float32) if out is None else out
    if isinstance(x, Windows):
        x, W = x.rows, x.copy_weights(W, x.wide_weights(H))
    matmul.layer(x, W, b, y, T * B, clip, dropout, gemm)
    return y


def affine_backward(
    dy, x, W, y, clip=False, dropout=None, needs_dx=True, dz=None, dx=None, dW=None, db=None, gemm="fp32"
):
    """As in the reference: δ = dy ⊙ g'(z) ⊙ m / (1 - p);  dW = Σ δ xᵀ;  db = Σ δ;  dx = Wᵀ δ."""
    T, B, D = x.shape
    H = len(W)
    check_shapes(dy=(dy, (T, B, H)), W=(W, (H, D)), y=(y, (T, B, H)), dz=(dz, (T, B, H)))
    check_shapes(dx=(dx, (T, B, D)), dW=(dW, (H, D)), db=(db, (H,)))
    _check_dropout(dropout, clip, B)
    dz = arrays.empty(dy.shape, np.float32) if dz is None else dz
    dW = arrays.empty(W.shape, np.float32) if dW is None else dW
    db = arrays.empty((H,), np.float32) if db is None else db
    scale = np.float32(dropout.scale if dropout else 1)
    _gate(dy, y, dz, db, T * B, H, clip, scale)
    if isinstance(x, Windows):
        wide = x.wide_weights(H)
        matmul.weight_gradient(dz, x.rows, wide, T * B, gemm)
        x.copy_weights(wide, dW)
    else:
        matmul.weight_gradient(dz, x, dW, T * B, gemm)
    if needs_dx:
        dx = arrays.empty(x.shape, np.float32) if dx is None else dx
        matmul.input_gradient(dz, W, dx, T * B, gemm)
    return dx, dW, db


def _check_dropout(dropout, clip, B):
    if dropout and not clip:
        raise ValueError("dropout requires clip=True: backward finds the dropped units by their 0")
    if dropout:
        check_shapes(dropout_keys=(dropout.keys, (B,)))


def _gate(dy, y, dz, db, rows, H, clip, scale):
    """dz and db. The rows are divided among blocks, whose sums are added in a fixed order."""
    scratch = matmul.split_buffer()
    splits = max(1, min(-(-rows // _ROWS_PER_BLOCK), scratch.size // H))
    depth = -(-rows // splits)
    sums = db if splits == 1 else scratch[: splits * H]
    flat = dy.reshape(-1), y.reshape(-1), dz.reshape(-1), sums
    launch(gate, (-(-H // _UNITS), splits), (_UNITS, _ROWS), *flat, rows, H, depth, int(clip), scale)
    if splits > 1:
        matmul.sum_splits(sums, db, splits)


@cuda.jit
def gate(dy, y, dz, sums, rows, H, depth, clip, scale):
    """dz ← dy ⊙ g'(z), and its sums (splits, H) over `depth` rows each. Block (x, split) owns 32 units.

    The threads of a warp handle adjacent units, so that their accesses coalesce. Each thread sums every 32nd
    row; the 32 partial sums of a unit are added in shared memory.
    """
    partial = cuda.shared.array((_ROWS, _UNITS), float32)
    column, line = cuda.threadIdx.x, cuda.threadIdx.y
    unit = cuda.blockIdx.x * _UNITS + column
    total = _ZERO
    if unit < H:
        first = cuda.blockIdx.y * depth
        for row in range(first + line, min(first + depth, rows), _ROWS):
            i = row * H + unit
            d = dy[i]
            if clip:
                d = d * scale if y[i] > _ZERO and y[i] < _CLIP * scale else _ZERO
            dz[i] = d
            total += d
    partial[line, column] = total
    cuda.syncthreads()
    if line == 0 and unit < H:
        for other in range(1, _ROWS):
            total += partial[other, column]
        sums[cuda.blockIdx.y * H + unit] = total


KERNELS = {"gate": Registered(gate, (*(float32[::1],) * 4, *(int64,) * 4, float32), max_registers=40)}
