"""How an operation comes into the grid: as mathematics, its gradient proved, then fast, then on the GPU.

    python examples/add_operation.py
    MINIDS_SIM=1 python examples/add_operation.py      # with the kernel, too, in the simulator of a GPU

Ours is the row convolution of Deep Speech 2: each unit sees itself in J coming frames, with J weights of its
own. In the place of the backward recurrence a network could answer J frames later, not after the last one.

    y_t = Σ_j w_j ⊙ x_{t+j},  j = 0 … J-1;     x is zero past an utterance's end

To stay, the parts move to minids/ops/{reference,cpu,cuda}/lookahead.py and their names to each __init__.py;
tests/ops/test_ops.py then asks every backend for them, with the same arguments.
"""

import numpy as np
from numba import njit, prange

from minids.gradcheck import FLOAT32_VALUES, GRADIENT_OPERATION, numerical_gradient, relative_error
from minids.ops import driver


# 1. The reference: plain NumPy, any float type, the formula and nothing else; backward below forward.
def lookahead_forward(x, w, lengths, y=None):
    """x (T, B, H), w (J, H), lengths (B,) -> y (T, B, H)."""
    y = np.empty_like(x) if y is None else y
    T, x = len(x), np.where(inside(x, lengths), x, 0)  # padding may hold anything, also NaN
    y[...] = 0
    for j in range(min(len(w), T)):
        y[: T - j] += w[j] * x[j:]
    return y


def lookahead_backward(dy, x, w, lengths, dx=None, dw=None):
    """dx_t = Σ_j w_j ⊙ dy_{t-j};   dw_j = Σ dy_t ⊙ x_{t+j}, over frames and utterances -> dx, dw."""
    dx = np.empty_like(x) if dx is None else dx
    dw = np.empty_like(w) if dw is None else dw
    T, here = len(x), inside(x, lengths)
    x, dy = np.where(here, x, 0), np.where(here, dy, 0)
    dx[...], dw[...] = 0, 0
    for j in range(min(len(w), T)):
        dx[j:] += w[j] * dy[: T - j]
        dw[j] = (x[j:] * dy[: T - j]).sum(axis=(0, 1))
    dx *= here
    return dx, dw


def inside(x, lengths):
    """(T, B, 1) bool: the frames before each utterance's end."""
    return (np.arange(len(x))[:, None] < lengths)[..., None]


# 2. The CPU: the same in one pass over memory, on all cores, float32. (Backward goes the same way.)
def cpu_forward(x, w, lengths, y=None):
    """As the reference."""
    y = np.empty_like(x) if y is None else y
    _rows(x, w, lengths, y)
    return y


@njit(parallel=True, cache=True, nogil=True)
def _rows(x, w, lengths, y):
    T, B, H = x.shape
    for i in prange(T * B):
        t, b = i // B, i % B
        y[t, b] = 0
        for j in range(min(len(w), lengths[b] - t)):
            for h in range(H):
                y[t, b, h] += w[j, h] * x[t + j, b, h]


# 3. The GPU: one thread an element; neighbors in a warp read neighbors in memory.
def cuda_forward(x, w, lengths, y=None):
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

    y = arrays.empty(x.shape, np.float32) if y is None else y
    launch(rows, -(-x.size // 128), 128, x, w, lengths, y)
    return y


# 4. The proofs: the gradients against differences, the fast ones against the reference, NaN in the padding.
def main() -> None:
    rng, lengths = np.random.default_rng(0), np.array([6, 4, 1], np.int32)
    x, w, dy = rng.normal(size=(6, 3, 5)), rng.normal(size=(3, 5)), rng.normal(size=(6, 3, 5))
    gradients = lookahead_backward(dy, x, w, lengths)

    def loss() -> float:
        return float((lookahead_forward(x, w, lengths) * dy).sum())

    for name, value, gradient in zip(("dx", "dw"), (x, w), gradients, strict=True):
        tell(name, relative_error(gradient, numerical_gradient(loss, value)), GRADIENT_OPERATION)
    y = lookahead_forward(x, w, lengths)
    x[~inside(x, lengths)[..., 0]] = np.nan
    given = x.astype(np.float32), w.astype(np.float32), lengths
    tell("cpu", relative_error(cpu_forward(*given), y), FLOAT32_VALUES)
    if driver.found() or driver.simulated():
        from minids import ops

        arrays = ops.load("cuda").arrays
        error = relative_error(arrays.to_host(cuda_forward(*map(arrays.from_host, given))), y)
        tell("cuda", error, FLOAT32_VALUES)


def tell(name: str, error: float, tolerance: float) -> None:
    """A line of the table. Raises AssertionError for an error that is too large, or not a number."""
    print(f"{name:6} {error:8.1e}  (at most {tolerance:.0e})")
    assert error <= tolerance, name


if __name__ == "__main__":
    main()
