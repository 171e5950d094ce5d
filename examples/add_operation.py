"""How to add an operation to the grid: its mathematics, a check of its gradient, then the CPU and the GPU.

    python examples/add_operation.py
    MINIDS_SIM=1 python examples/add_operation.py      # with the CUDA kernel, in the simulator

The operation is the row convolution ("lookahead") of Deep Speech 2: each unit sees itself in the next J
frames, with J weights of its own. In place of the backward recurrence it lets a network answer after J frames
instead of after the last one.

    y_t = Σ_j w_j ⊙ x_{t+j},  j = 0 … J-1;     x is zero past an utterance's end

To add it to the package, move the parts to minids/ops/{reference,cpu,cuda}/lookahead.py, add the names to the
`load` of each backend and to `Backend` in minids/ops/__init__.py; tests/ops/test_ops.py then compares
signatures.
"""

import numpy as np
from numba import prange

from minids import ops
from minids.gradcheck import FLOAT32_VALUES, GRADIENT_OPERATION, numerical_gradient, relative_error
from minids.ops import driver
from minids.ops.cpu.pool import njit, on_all_cores


# 1. The reference: plain NumPy, any float type, pure functions; backward below forward.
def lookahead_forward(x, w, lengths):
    """x (T, B, H), w (J, H), lengths (B,) -> y (T, B, H)."""
    T, x = len(x), np.where(inside(x, lengths), x, 0)  # padding may hold anything, also NaN
    y = np.zeros_like(x)
    for j in range(min(len(w), T)):
        y[: T - j] += w[j] * x[j:]
    return y


def lookahead_backward(dy, x, w, lengths):
    """dx_t = Σ_j w_j ⊙ dy_{t-j};   dw_j = Σ dy_t ⊙ x_{t+j}, over frames and utterances -> dx, dw."""
    T, mask = len(x), inside(x, lengths)
    x, dy = np.where(mask, x, 0), np.where(mask, dy, 0)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for j in range(min(len(w), T)):
        dx[j:] += w[j] * dy[: T - j]
        dw[j] = (x[j:] * dy[: T - j]).sum(axis=(0, 1))
    return dx * mask, dw


def inside(x, lengths):
    """(T, B, 1) bool: the frames before each utterance's end."""
    return (np.arange(len(x))[:, None] < lengths)[..., None]


# 2. The CPU: float32, one pass over memory, on all cores, into an array that may be given. (Backward
# likewise.)
@on_all_cores
def cpu_forward(x, w, lengths, out=None):
    """As the reference."""
    y = np.empty_like(x) if out is None else out
    _rows(x, w, lengths, y)
    return y


@njit(parallel=True, nogil=True)
def _rows(x, w, lengths, y):
    T, B, H = x.shape
    for i in prange(T * B):
        t, b = i // B, i % B
        y[t, b] = 0
        for j in range(min(len(w), lengths[b] - t)):
            for h in range(H):
                y[t, b, h] += w[j, h] * x[t + j, b, h]


# 3. The GPU: one thread per element; neighboring threads of a warp read neighboring memory.
def cuda_forward(x, w, lengths, out=None):
    """As the reference; x, w, lengths are arrays of the GPU."""
    from minids.ops.cuda import arrays
    from minids.ops.cuda.device import cuda
    from minids.ops.cuda.launch import launch

    @cuda.jit
    def rows(x, w, lengths, y):
        i = cuda.grid(1)
        if i < x.size:
            _, B, H = x.shape
            t, b, h = i // (B * H), i // H % B, i % H
            total = np.float32(0)
            for j in range(min(w.shape[0], lengths[b] - t)):
                total += w[j, h] * x[t + j, b, h]
            y[t, b, h] = total

    y = arrays.empty(x.shape, np.float32) if out is None else out
    launch(rows, -(-x.size // 128), 128, x, w, lengths, y)
    return y


# 4. The checks: gradients against differences, the fast ones against the reference, with NaN in the padding.
def main() -> None:
    rng, lengths = np.random.default_rng(0), np.array([6, 4, 1], np.int32)
    x, w, dy = rng.normal(size=(6, 3, 5)), rng.normal(size=(3, 5)), rng.normal(size=(6, 3, 5))
    gradients = lookahead_backward(dy, x, w, lengths)

    def loss() -> float:
        return float((lookahead_forward(x, w, lengths) * dy).sum())

    for name, value, gradient in zip(("dx", "dw"), (x, w), gradients, strict=True):
        report(name, relative_error(gradient, numerical_gradient(loss, value)), GRADIENT_OPERATION)
    y = lookahead_forward(x, w, lengths)
    x[~inside(x, lengths)[..., 0]] = np.nan
    arguments = x.astype(np.float32), w.astype(np.float32), lengths
    report("cpu", relative_error(cpu_forward(*arguments), y), FLOAT32_VALUES)
    if driver.has_gpu() or driver.simulated():
        arrays = ops.load("cuda").arrays
        error = relative_error(arrays.to_host(cuda_forward(*map(arrays.from_host, arguments))), y)
        report("cuda", error, FLOAT32_VALUES)


def report(name: str, error: float, tolerance: float) -> None:
    """Print a line of the table. Raises AssertionError for an error above its tolerance, and for NaN."""
    print(f"{name:6} {error:8.1e}  (at most {tolerance:.0e})")
    assert error <= tolerance, name


if __name__ == "__main__":
    main()
