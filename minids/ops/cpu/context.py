"""Context: each output frame sees C input frames on either side (§2), every stride-th one is kept (§3.3)."""

from dataclasses import dataclass, replace

import numpy as np
from numba import prange

from minids.ops.common import Workspace, check_shapes, output_length
from minids.ops.cpu.pool import check_lengths, njit, on_all_cores
from minids.ops.reference import arrays


@dataclass(frozen=True)
class Windows:
    """x (T, B, D) of the first layer without its copies: x_t is the frames s t to s t + size - 1.

    `frames` (T0 + 2C, B, F) are 0 before and after each utterance. x is 0 from its `lengths` (B,) on.
    """

    frames: np.ndarray
    lengths: np.ndarray
    T: int
    size: int
    stride: int
    workspace: Workspace

    @property
    def shape(self) -> tuple[int, int, int]:
        _, B, F = self.frames.shape
        return self.T, B, self.size * F

    def __getitem__(self, span: slice) -> "Windows":
        """Those of successive frames of x."""
        first, last, _ = span.indices(self.T)
        frames, lengths = self.frames[first * self.stride :], np.clip(self.lengths - first, 0, last - first)
        return replace(self, frames=frames, lengths=lengths, T=last - first)

    def stacked(self) -> np.ndarray:
        """x as an array."""
        x = self.workspace("x", *self.shape)
        _stack(self.frames, self.lengths, self.stride, x)
        return x


@on_all_cores
def context_forward(frames, lengths, C, stride, workspace=None):
    """x_t = [frames_{st-C} … frames_{st+C}], zero beyond the ends: the Windows that a layer takes as x."""
    T0, B, F = frames.shape
    check_shapes(lengths=(lengths, (B,)))
    check_lengths("lengths", lengths, T0)
    workspace = workspace or Workspace(arrays, np.float32)
    padded = workspace("padded frames", T0 + 2 * C, B, F)
    _pad(frames, lengths, C, padded)
    return Windows(
        padded, output_length(lengths, stride), output_length(T0, stride), 2 * C + 1, stride, workspace
    )


@njit(parallel=True, nogil=True)
def _pad(frames, lengths, C, padded):
    rows, B, F = padded.shape
    for i in prange(rows):
        for b in range(B):
            if 0 <= i - C < lengths[b]:
                for f in range(F):
                    padded[i, b, f] = frames[i - C, b, f]
            else:
                padded[i, b] = 0


@njit(parallel=True, nogil=True)
def _stack(frames, lengths, stride, x):
    T, B, D = x.shape
    F = frames.shape[2]
    for i in prange(T * B):
        t, b = i // B, i % B
        if t < lengths[b]:
            for c in range(D // F):
                for f in range(F):
                    x[t, b, c * F + f] = frames[t * stride + c, b, f]
        else:
            x[t, b] = 0
