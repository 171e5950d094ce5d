"""A layer of weights, W (out, in): h = g(W x + b), with the clip and the dropout as options (§2, §2.1)."""

import numpy as np
from numba import cuda, float32, int64

from minids.ops import driver
from minids.ops.common import CLIP
from minids.ops.cuda import arrays, matmul
from minids.ops.cuda.launch import launch
from minids.ops.cuda.registry import Registered

_ZERO, _CLIP = np.float32(0), np.float32(CLIP)
# Units and rows that a block of `gate` sees at once, and how many rows in all.
_ACROSS, _DOWN, _ROWS = (8, 4, 16) if driver.simulated() else (32, 32, 512)


def affine_forward(x, W, b, clip=False, dropout=None, out=None):
    """y = x Wᵀ + b, clipped, dropped, as the reference: one kernel. dropout.keys is on the device."""
    T, B, _ = x.shape
    y = arrays.empty((T, B, len(b)), np.float32) if out is None else out
    matmul.layer(x, W, b, y, T * B, clip, dropout)
    return y


def affine_backward(
    dy, x, W, y, clip=False, dropout=None, input_gradient=True, dz=None, dx=None, dW=None, db=None
):
    """As the reference: δ = dy ⊙ g'(z) ⊙ m / (1 - p);  dW = Σ δ xᵀ;  db = Σ δ;  dx = Wᵀ δ."""
    T, B, H = dy.shape
    dz = arrays.empty(dy.shape, np.float32) if dz is None else dz
    dW = arrays.empty(W.shape, np.float32) if dW is None else dW
    db = arrays.empty((H,), np.float32) if db is None else db
    scale = np.float32(dropout.scale if dropout else 1)
    _gate(dy, y, dz, db, T * B, H, clip, scale)
    matmul.weight_gradient(dz, x, dW, T * B)
    if input_gradient:
        dx = arrays.empty(x.shape, np.float32) if dx is None else dx
        matmul.input_gradient(dz, W, dx, T * B)
    return dx, dW, db


def _gate(dy, y, dz, db, rows, H, clip, scale):
    """dz and db: the rows are cut into parts, whose sums are added in one order."""
    room = matmul.room()
    parts = max(1, min(-(-rows // _ROWS), room.size // H))
    depth = -(-rows // parts)
    sums = db if parts == 1 else room[: parts * H]
    flat = dy.reshape(-1), y.reshape(-1), dz.reshape(-1), sums
    launch(gate, (-(-H // _ACROSS), parts), (_ACROSS, _DOWN), *flat, rows, H, depth, int(clip), scale)
    if parts > 1:
        matmul.add_up(sums, db, parts)


@cuda.jit(cache=True)
def gate(dy, y, dz, sums, rows, H, depth, clip, scale):
    """dz ← dy ⊙ g'(z), and its sums (parts, H) over `depth` rows each. Block (x, part) owns 32 units.

    The threads of a warp have neighboring units: they read one line of memory. Each thread sums every 32nd
    row; the 32 partial sums of a unit meet in shared memory.
    """
    partial = cuda.shared.array((_DOWN, _ACROSS), float32)
    across, down = cuda.threadIdx.x, cuda.threadIdx.y
    unit = cuda.blockIdx.x * _ACROSS + across
    total = _ZERO
    if unit < H:
        first = cuda.blockIdx.y * depth
        for row in range(first + down, min(first + depth, rows), _DOWN):
            i = row * H + unit
            d = dy[i]
            if clip:
                d = d * scale if y[i] > _ZERO and y[i] < _CLIP * scale else _ZERO
            dz[i] = d
            total += d
    partial[down, across] = total
    cuda.syncthreads()
    if down == 0 and unit < H:
        for other in range(1, _DOWN):
            total += partial[other, across]
        sums[cuda.blockIdx.y * H + unit] = total


KERNELS = {"gate": Registered(gate, (*(float32[::1],) * 4, *(int64,) * 4, float32), registers=40)}
