"""Context: each output frame sees C input frames on either side (§2), and every stride-th is kept (§3.3).

In the reference x holds every frame 2C+1 times. Here the frames of an utterance lie one after another, with C
zeros before and after them, and each row of x is a window of 2C+1 frames. Windows overlap:

    utterance 0          utterance 1                            C = 2
    0  0  f0 f1 f2 f3 f4 0  0  f0 f1 f2 0  0  0  0  0  0  0     T0 = 5
    └─── x_0 ────┘       └─── x_0 ────┘       └─ x_3, x_4 ─┘    lengths 5 and 3
       └─── x_1 ────┘       └─── x_1 ────┘
                └─── x_4 ────┘

Past an utterance's end x is 0: those rows are the window at the end. Each frame takes a multiple of four
numbers, the last of which may be 0, so that products can read four at a time; the weights get zeros at the
same places.
"""

from typing import NamedTuple

import numpy as np
from numba import float32, int32, int64

from minids.ops.common import Workspace, check_shapes, output_length
from minids.ops.cuda import arrays
from minids.ops.cuda.device import cuda
from minids.ops.cuda.launch import launch
from minids.ops.cuda.matmul import Rows
from minids.ops.cuda.reduce import WARP_SIZE
from minids.ops.cuda.registry import Registered

_ZERO = np.float32(0)
_ROWS = 8  # of a block: each warp copies one


class Windows(NamedTuple):
    """x (T, B, D) of the first layer: each row of the products is a window of `size` = 2C+1 frames."""

    shape: tuple[int, int, int]
    size: int
    rows: Rows
    workspace: Workspace

    def wide_weights(self, H: int):
        """An array for weights (H, D), with columns for the zeros of the frames."""
        return self.workspace("wide weights", H, self.rows.width)

    def copy_weights(self, W, out):
        """Copy weights to their wide form, or back."""
        n = len(W) * self.size
        _launch(copy_rows, n, W.reshape(n, W.size // n), out.reshape(n, out.size // n))
        return out


def context_forward(frames, lengths, C, stride, workspace=None):
    """x_t = [frames_{st-C} … frames_{st+C}], zero beyond the ends: the Windows that a layer takes as x."""
    T0, B, F = frames.shape
    T = output_length(T0, stride)
    check_shapes(lengths=(lengths, (B,)))
    workspace = workspace or Workspace(arrays, np.float32)
    size = 2 * C + 1
    padded = workspace("padded frames", B * (T0 + C) + size, -(-F // 4) * 4)
    starts = workspace("starts of windows", T * B, dtype=np.int64)
    if T * B:
        _launch(pad, len(padded), frames, lengths, C, stride, padded, starts)
    rows = Rows(padded, starts, size * padded.shape[1])
    return Windows((T, B, size * F), size, rows, workspace)


def _launch(kernel, rows, *arguments):
    """One warp per row: its threads access adjacent elements."""
    launch(kernel, -(-rows // _ROWS), (WARP_SIZE, _ROWS), *arguments)


@cuda.jit
def pad(frames, lengths, C, stride, padded, starts):
    """The frames of all utterances one after another, C zeros before each, and where the windows start."""
    T0, B, F = frames.shape
    row = cuda.blockIdx.x * _ROWS + cuda.threadIdx.y
    if row < padded.shape[0]:
        b, time = row // (T0 + C), row % (T0 + C) - C
        length = lengths[b] if b < B else 0
        for f in range(cuda.threadIdx.x, padded.shape[1], WARP_SIZE):
            padded[row, f] = frames[time, b, f] if 0 <= time < length and f < F else _ZERO
        if cuda.threadIdx.x == 0 and b < B and time >= 0 and time % stride == 0:
            first = row - C if time < length else B * (T0 + C)
            starts[time // stride * B + b] = first * padded.shape[1]


@cuda.jit
def copy_rows(source, out):
    """out ← the rows of `source`, cut off or continued with zeros."""
    row = cuda.blockIdx.x * _ROWS + cuda.threadIdx.y
    if row < out.shape[0]:
        for i in range(cuda.threadIdx.x, out.shape[1], WARP_SIZE):
            out[row, i] = source[row, i] if i < source.shape[1] else _ZERO


_array3, _matrix = float32[:, :, ::1], float32[:, ::1]
KERNELS = {
    "pad": Registered(pad, (_array3, int32[::1], int64, int64, _matrix, int64[::1]), max_registers=48),
    "copy_rows": Registered(copy_rows, (_matrix, _matrix), max_registers=40),
}
