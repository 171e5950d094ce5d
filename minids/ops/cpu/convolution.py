"""Layer 1 as a fast convolution in time: the same sums with a fraction of the multiplications.

Stacked frames hold each input frame 2C+1 times, so the first layer is a convolution with J = 2C+1 taps:

    y_t = Σ_j W_j x_{t+j}      x_t (F,), W_j (H, F)

A discrete Fourier transform of N frames makes one product per frequency of it, for the M = N-J+1 outputs that
see no frame past these N. Its cosines and sines are numbers like any others, so for each input and each unit
this is

    y = S (A x ⊙ G w)          A (P, N), G (P, J), S (M, P)

with three fixed matrices, and P ordinary products (H, F) in the middle instead of M J. The frequencies 0 and
N/2 are real. Each other one takes three products, because (a + ib)(c + id) = ac - bd + i(ad + bc), and from

    p = (a + b) c      q = a (d - c)      r = b (c + d)

the real part is p - r, the imaginary part p + q. So P = 3 N/2 - 1: with N = 64 and J = 19, 95 products make
M = 46 outputs, which otherwise take 874. The gradient is the same algorithm transposed:

    dw = Gᵀ (Sᵀ δ ⊙ A x)

With a stride s, every s-th tap meets every s-th frame: s convolutions, whose products are added before S.

N depends on the shape of the batch, so the last bits of an utterance's results depend on its batch.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import prange

from minids.ops.common import output_length
from minids.ops.cpu.activation import activate, drop, gate
from minids.ops.cpu.blas import product
from minids.ops.cpu.pool import get_num_threads, njit

_LENGTHS = range(8, 130, 2)  # N
_OVERHEAD = 1.5  # of small products, relative to a large one
_WIDTH = 32  # units that pass all steps together: their transformed weights and products stay in the cache


class Transforms(NamedTuple):
    """y = S (A x ⊙ G w), float32."""

    A: np.ndarray  # (P, N)
    G: np.ndarray  # (P, J)
    S: np.ndarray  # (M, P)


@lru_cache
def transforms(N: int, J: int) -> Transforms:
    """Those of N frames, an even number, and J taps.

    A sum of products with x_{t+j}, not x_{t-j}, takes the conjugate of the transform of w: d = Σ_j w_j sin.
    """
    angle = 2 * np.pi / N * np.outer(np.arange(1, N // 2), np.arange(N))
    cos, sin = np.cos(angle), np.sin(angle)  # (N/2 - 1, N)
    real = np.stack([np.ones(N), (-1.0) ** np.arange(N)])  # frequencies 0 and N/2
    A = np.concatenate([real, cos - sin, cos, -sin])  # a + b, a, b
    G = np.concatenate([real, cos, sin - cos, cos + sin])  # c, d - c, c + d
    S = np.concatenate([real, 2 * (cos - sin), -2 * sin, -2 * cos]) / N  # of p, q, r
    return Transforms(*(np.ascontiguousarray(m, np.float32) for m in (A, G[:, :J], S.T[: N - J + 1])))


class Plan(NamedTuple):
    """How a layer is computed."""

    N: int  # frames of a block
    J: int  # taps; with a stride, those of a phase
    M: int  # outputs of a block
    P: int  # products
    blocks: int

    def multiplications(self, B: int, F: int, H: int, stride: int) -> float:
        weights, frames = stride * self.P * self.J * F * H, stride * self.blocks * self.P * self.N * B * F
        return weights + frames + self.blocks * self.P * B * H * (stride * F + self.M)

    def workspace_size(self, B: int, F: int, H: int, stride: int, threads: int) -> int:
        """Numbers of the transformed frames and of all threads' scratch."""
        scratch = (self.J + self.P) * F + (self.P * self.blocks + self.M) * B
        slabs = min(threads, output_length(H, _WIDTH))
        return stride * self.P * self.blocks * B * F + slabs * _WIDTH * scratch


@lru_cache
def plan(T: int, B: int, D: int, H: int, size: int, stride: int) -> Plan | None:
    """The plan with the fewest multiplications for x (T, B, D); None if the plain sum is as fast."""
    F, J = D // size, output_length(size, stride)
    plans = [plan_of_length(N, J, T) for N in _LENGTHS if N > J]
    cost, best = min(((p.multiplications(B, F, H, stride), p) for p in plans), default=(np.inf, None))
    return best if _OVERHEAD * cost < T * B * D * H else None


def plan_of_length(N: int, J: int, T: int) -> Plan:
    M = N - J + 1
    return Plan(N, J, M, 3 * N // 2 - 1, output_length(T, M))


def forward(windows, plan, W, b, clip, dropout, y):
    """y ← g(S (A x ⊙ G w) + b), with dropout: `affine_forward` of Windows."""
    x, lengths = _transformed(windows, plan), windows.lengths
    _, G, S = transforms(plan.N, plan.J)
    taps = W.reshape(len(W), windows.size, -1)
    _forward(x, G, S, lengths, taps, b, clip, *dropout, y, *_scratch(windows, plan, len(W)))


def backward(windows, plan, dy, y, clip, scale, dW, db):
    """dW ← Gᵀ (Sᵀ δ ⊙ A x);  db ← Σ δ."""
    x, lengths = _transformed(windows, plan), windows.lengths
    _, G, S = transforms(plan.N, plan.J)
    taps = dW.reshape(len(dW), windows.size, -1)
    _backward(x, G, S, lengths, dy, y, clip, scale, taps, db, *_scratch(windows, plan, len(dW)))


def _transformed(windows, plan):
    """A x of every phase and block: (s, P, blocks, B, F). A NaN reaches all outputs of its block."""
    R, B, F = windows.frames.shape
    A, _, S = transforms(plan.N, plan.J)
    x = windows.workspace("transformed frames", windows.stride, plan.P, plan.blocks, B, F)
    _transform(windows.frames.reshape(R, B * F), A, len(S), x.reshape(*x.shape[:3], B * F))
    return x


def _scratch(windows, plan, H):
    """For each thread and n units: w (J, F, n), G w (P, F, n), products (P, blocks B, n), y (M, B, n)."""
    _, B, F = windows.frames.shape
    _, J, M, P, blocks = plan
    threads = min(get_num_threads(), output_length(H, _WIDTH))
    sizes = {"taps": J * F, "weights": P * F, "products": P * blocks * B, "outputs": M * B}
    return [windows.workspace(f"convolution {name}", threads, _WIDTH, size) for name, size in sizes.items()]


@njit(parallel=True, nogil=True)
def _transform(frames, A, M, x):
    """x[φ, :, k] ← A frames[s (k M + …) + φ].  frames (R, B F), x (s, P, blocks, B F)."""
    stride, _, blocks, columns = x.shape
    span, half = A.shape[1] * stride, (columns + 1) // 2
    for i in prange(stride * blocks * 2):
        phase, k = i // 2 // blocks, i // 2 % blocks
        part = slice(half, columns) if i % 2 else slice(0, half)  # three blocks for two threads
        first = k * M * stride + phase
        block = frames[first : first + span : stride, part]  # shorter at the end, where zeros would follow
        product(A[:, : len(block)], False, block, False, x[phase, :, k, part], 0)


@njit()
def _array(scratch, *shape):
    """The beginning of a thread's scratch as an array of this shape."""
    return scratch.reshape(-1)[: shape[0] * shape[1] * shape[2]].reshape(shape)


@njit()
def _arrays(weights, products, outputs, x, M, n):
    """A thread's scratch for n units: weights (P, F, n), products (P, blocks B, n), outputs (M, B, n)."""
    _, P, blocks, B, F = x.shape
    return _array(weights, P, F, n), _array(products, P, blocks * B, n), _array(outputs, M, B, n)


@njit(parallel=True, nogil=True)
def _forward(x, G, S, lengths, W, b, clip, keys, threshold, scale, y, taps, weights, products, outputs):
    phases, P, blocks, B, F = x.shape
    T, _, H = y.shape
    M, (threads, width, _) = len(S), weights.shape
    for thread in prange(threads):
        for first in range(thread * width, H, threads * width):
            n = min(width, H - first)
            units = slice(first, first + n)
            w, z, out = _arrays(weights[thread], products[thread], outputs[thread], x, M, n)
            for phase in range(phases):
                own = W[units, phase::phases]  # (n, J, F)
                J = own.shape[1]
                g = _array(taps[thread], J, F, n)
                for u in range(n):
                    g[:, :, u] = own[u]
                product(G[:, :J], False, g.reshape(J, F * n), False, w.reshape(P, F * n), 0)
                for p in range(P):
                    product(x[phase, p].reshape(blocks * B, F), False, w[p], False, z[p], min(phase, 1))
            for k in range(blocks):
                product(S, False, z.reshape(P, blocks, B * n)[:, k], False, out.reshape(M, B * n), 0)
                for t in range(k * M, min((k + 1) * M, T)):
                    for i in range(B):
                        row = y[t, i, units]
                        if t < lengths[i]:
                            row[:] = out[t - k * M, i]
                        else:
                            row[:] = 0
                        activate(row, b[units], clip)
                        if len(keys):
                            drop(row, np.uint32(keys[i] + np.uint32(t * H + first)), threshold, scale)


@njit(parallel=True, nogil=True)
def _backward(x, G, S, lengths, dy, y, clip, scale, dW, db, taps, weights, products, outputs):
    phases, P, blocks, B, F = x.shape
    T, _, H = y.shape
    M, (threads, width, _) = len(S), weights.shape
    for thread in prange(threads):
        for first in range(thread * width, H, threads * width):
            n = min(width, H - first)
            units = slice(first, first + n)
            dw, dz, delta = _arrays(weights[thread], products[thread], outputs[thread], x, M, n)
            db[units] = 0
            for k in range(blocks):
                for t in range(k * M, (k + 1) * M):
                    for i in range(B):
                        row = delta[t - k * M, i]
                        if t < T:
                            gate(dy[t, i, units], y[t, i, units], clip, scale, row, db[units])
                        if t >= min(T, lengths[i]):
                            row[:] = 0  # as x is there
                product(S, True, delta.reshape(M, B * n), False, dz.reshape(P, blocks, B * n)[:, k], 0)
            for phase in range(phases):
                for p in range(P):
                    product(x[phase, p].reshape(blocks * B, F), True, dz[p], False, dw[p], 0)
                own = dW[units, phase::phases]  # (n, J, F)
                J = own.shape[1]
                g = _array(taps[thread], J, F, n)
                product(G[:, :J], True, dw.reshape(P, F * n), False, g.reshape(J, F * n), 0)
                for u in range(n):
                    own[u] = g[:, :, u]
