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

from typing import Any, NamedTuple

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
    """x (T, B, D) of the first layer: row t B + b begins at starts[t B + b] in the flat frames."""

    shape: tuple[int, int, int]
    size: int  # 2C+1 frames
    frames: Any  # (B (T0 + C) + 2C+1, F rounded up to a multiple of 4)
    starts: Any  # (T B,) int64
    workspace: Workspace

    def operand(self, gemm: str):
        """x as a factor of a product: in place, or a copy for cuBLAS, whose rows must not overlap."""
        rows = Rows(self.frames, self.starts, self.size * self.frames.shape[1])
        if gemm != "cublas":
            return rows
        x = self.workspace("stacked frames", len(self.starts), rows.width)
        _launch(stack, len(x), self.frames.reshape(-1), self.starts, x)
        return x

    def wide_weights(self, H: int):
        """An array for weights (H, D), with columns for the zeros of the frames."""
        return self.workspace("wide weights", H, self.size * self.frames.shape[1])

    def repitch(self, W, out) -> None:
        """Copy weights to their wide form, or back."""
        n = len(W) * self.size
        _launch(repitch, n, W.reshape(n, W.size // n), out.reshape(n, out.size // n))


def context_forward(frames, lengths, C, stride, workspace=None):
    """x_t = [frames_{st-C} … frames_{st+C}], zero beyond the ends, as Windows: see affine_forward."""
    T0, B, F = frames.shape
    T = output_length(T0, stride)
    check_shapes(lengths=(lengths, (B,)))
    workspace = workspace or Workspace(arrays, np.float32)
    size = 2 * C + 1
    padded = workspace("padded frames", B * (T0 + C) + size, -(-F // 4) * 4)
    starts = workspace("starts of windows", T * B, dtype=np.int64)
    if T * B:
        _launch(pad, len(padded), frames, lengths, C, stride, padded, starts)
    return Windows((T, B, size * F), size, padded, starts, workspace)


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
        length = min(lengths[b], T0) if b < B else 0
        for f in range(cuda.threadIdx.x, padded.shape[1], WARP_SIZE):
            padded[row, f] = frames[time, b, f] if 0 <= time < length and f < F else _ZERO
        if cuda.threadIdx.x == 0 and b < B and time >= 0 and time % stride == 0:
            first = row - C if time < length else B * (T0 + C)
            starts[time // stride * B + b] = first * padded.shape[1]


@cuda.jit
def repitch(source, out):
    """out ← source, its rows cut off or continued with zeros."""
    row = cuda.blockIdx.x * _ROWS + cuda.threadIdx.y
    if row < out.shape[0]:
        for i in range(cuda.threadIdx.x, out.shape[1], WARP_SIZE):
            out[row, i] = source[row, i] if i < source.shape[1] else _ZERO


@cuda.jit
def stack(frames, starts, x):
    """x ← the windows, each in a row of its own."""
    row = cuda.blockIdx.x * _ROWS + cuda.threadIdx.y
    if row < x.shape[0]:
        for i in range(cuda.threadIdx.x, x.shape[1], WARP_SIZE):
            x[row, i] = frames[starts[row] + i]


_matrix, _starts = float32[:, ::1], int64[::1]
KERNELS = {
    "pad": Registered(
        pad, (float32[:, :, ::1], int32[::1], int64, int64, _matrix, _starts), max_registers=64
    ),
    "repitch": Registered(repitch, (_matrix, _matrix), max_registers=40),
    "stack": Registered(stack, (float32[::1], _starts, _matrix), max_registers=40),
}
