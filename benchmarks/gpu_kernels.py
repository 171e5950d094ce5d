"""Every operation on the GPU: what it computes, its floor, and PyTorch's for the same. See gpu.py."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minids import ops
from minids.errors import InputError
from minids.gradcheck import check_backend
from minids.model import ModelSettings
from minids.ops import driver

REFERENCE = ops.load("reference")
GEMMS, WAYS = ("fp32", "tf32", "cublas"), ("persistent", "graph", "launches")
# What `cases` makes, in the order of the network: known without touching the GPU.
NAMES = [
    "product alone, cublas",
    "context",
    *(f"layer{which}, {gemm}" for gemm in GEMMS for which in ("", " backward")),
    *(f"recurrence{which}, {way}" for way in WAYS for which in ("", " backward", " backward, loop alone")),
    "log_softmax",
    "ctc",
    "norm",
    "nesterov",
]
# PyTorch's nearest to the recurrence does more: rows of their own, no ratio.
RNN = "torch nn.RNN + its input products", "torch nn.RNN backward + input products"
ROUNDED = 5e-2  # of a small network's gradients, and its weights after ten steps, where products are TF32


@dataclass(frozen=True)
class Size:
    """B utterances of T frames and U letters; a network of width H, with F inputs a frame and K letters."""

    T: int = 400
    B: int = 32
    H: int = 2048
    F: int = 81
    C: int = 9
    K: int = 29
    U: int = 100

    def settings(self, dropout: float = 0.0) -> ModelSettings:
        return ModelSettings(self.F, self.K, self.H, self.C, dropout=dropout)

    def draw(self) -> tuple[np.ndarray, ...]:
        """frames (T, B, F), lengths (B,), labels (B, U), label_lengths (B,)."""
        rng = np.random.default_rng(0)
        frames = rng.normal(size=(self.T, self.B, self.F)).astype(np.float32)
        labels, full = rng.integers(1, self.K, (self.B, self.U), np.int32), np.ones(self.B, np.int32)
        return frames, full * self.T, labels, full * self.U


class Case(NamedTuple):
    """An operation on arrays that lie there: `ours()` returns what `expected()`, in NumPy, should be near to;
    `peer` is the name of PyTorch's form in `Peers`. Floors are bytes moved and operations done.
    """

    name: str
    ours: Callable[[], Any]
    expected: Callable[[], Any]
    bytes: float
    flops: float
    peer: str | None = None
    gemm: str = "fp32"
    way: str | None = None
    tolerance: float = 1e-4


def cases(s: Size) -> list[Case]:
    """In the order of NAMES."""
    from minids.ops.cuda import birnn, cublas

    grid, rng = ops.load("cuda"), np.random.default_rng(1)
    put, empty = grid.arrays.from_host, grid.arrays.empty

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * rng.standard_normal(shape, np.float32)).astype(np.float32)

    frames, lengths, labels, label_lengths = s.draw()
    T, B, H, K, D = s.T, s.B, s.H, s.K, (2 * s.C + 1) * s.F
    x, dy, W, b = normal(T, B, H), normal(T, B, H), normal(H, H, scale=H**-0.5), normal(H)
    Wr_f, Wr_b, z6 = normal(H, H, scale=0.5 * H**-0.5), normal(H, H, scale=0.5 * H**-0.5), normal(T, B, K)
    y = REFERENCE.affine_forward(x, W, b, True)
    h, hf, hb = REFERENCE.birnn_forward(x, Wr_f, Wr_b, lengths)
    log_y = REFERENCE.log_softmax_forward(z6)
    P = sum(int(np.prod(shape)) for shape in s.settings().shapes().values())
    params, grads, velocity = (normal(P) for _ in range(3))
    Wr_fT, Wr_bT = Wr_f.T, Wr_b.T
    # On the device; outputs too, for nothing is to be allocated while the clock runs.
    g = {name: put(value) for name, value in locals().items() if isinstance(value, np.ndarray)}
    one, two, three, four = (empty((T, B, H), np.float32) for _ in range(4))
    dW, dW2, db, wide = (empty(shape, np.float32) for shape in ((H, H), (H, H), (H,), (T, B, D)))
    losses, dlogits, log_out = (empty(shape, np.float32) for shape in ((B,), (T, B, K), (T, B, K)))
    room, recurrent = empty((B, T, 2 * s.U + 5), np.float32), empty((2, H, H + 2 * B), np.float32)
    moved, rushed = put(params), put(velocity)
    rows, square, full = 4.0 * T * B * H, 4.0 * H * H, 2.0 * T * B * H * H

    def stepped() -> tuple[np.ndarray, np.ndarray]:
        """What the first call of ours makes: `moved`, `rushed`."""
        after = params.copy(), velocity.copy()
        REFERENCE.nesterov(after[0], grads, after[1], 1e-6, 0.9)
        return after

    def walk():
        grid.nesterov(moved, g["grads"], rushed, 1e-6, 0.9)
        return moved, rushed

    def back():
        """δf, δb alone: without the transposed weights, the products over all frames, and the sum."""
        birnn._through_time(
            True, *(g[n] for n in ("dy", "Wr_fT", "Wr_bT", "lengths", "hf", "hb")), three, four
        )
        return three, four

    def deltas() -> tuple[np.ndarray, ...]:
        """δf, δb, dz, dWr_f, dWr_b."""
        delta_f, delta_b = np.empty_like(dy), np.empty_like(dy)
        found = REFERENCE.birnn_backward(dy, hf, hb, Wr_f, Wr_b, lengths, delta_f, delta_b)
        return delta_f, delta_b, *found

    def product():
        cublas.product(g["x"], False, g["W"], True, one, T * B, H, H)
        return one

    result = [
        Case("product alone, cublas", product, lambda: x @ W.T, 2 * rows + square, full, gemm="cublas"),
        Case(
            "context",
            lambda: grid.context_forward(g["frames"], g["lengths"], s.C, 1, wide),
            lambda: REFERENCE.context_forward(frames, lengths, s.C, 1),
            4.0 * T * B * (D + s.F),
            0,
            "context",
        ),
    ]
    for gemm, tolerance in zip(GEMMS, (1e-4, 5e-3, 1e-4), strict=True):
        peer = {"fp32": "fp32", "tf32": "tf32"}.get(gemm)
        result += [
            Case(
                f"layer, {gemm}",
                lambda: grid.affine_forward(g["x"], g["W"], g["b"], True, None, one),
                lambda: y,
                2 * rows + square,
                full,
                peer and f"layer {peer}",
                gemm,
                None,
                tolerance,
            ),
            Case(
                f"layer backward, {gemm}",
                lambda: grid.affine_backward(
                    g["dy"], g["x"], g["W"], g["y"], True, None, True, one, two, dW, db
                ),
                lambda: REFERENCE.affine_backward(dy, x, W, y, True),
                5 * rows + 2 * square,
                2 * full,
                peer and f"layer backward {peer}",
                gemm,
                None,
                tolerance,
            ),
        ]
    for way in WAYS:
        result += [
            Case(
                f"recurrence, {way}",
                lambda: grid.birnn_forward(
                    g["x"], g["Wr_f"], g["Wr_b"], g["lengths"], one, two, three, recurrent
                ),
                lambda: (h, hf, hb),
                4 * rows + 2 * square,
                2 * full,
                way=way,
                tolerance=1e-3,
            ),
            Case(
                f"recurrence backward, {way}",
                lambda: grid.birnn_backward(
                    *(g[name] for name in ("dy", "hf", "hb", "Wr_f", "Wr_b", "lengths")),
                    *(one, three, four, dW, dW2, recurrent),
                ),
                lambda: deltas()[2:],
                6 * rows + 4 * square,
                4 * full,
                way=way,
                tolerance=1e-2,
            ),
            Case(
                f"recurrence backward, loop alone, {way}",
                back,
                lambda: deltas()[:2],
                5 * rows + 2 * square,
                2 * full,
                way=way,
                tolerance=1e-2,
            ),
        ]
    text = g["lengths"], g["labels"], g["label_lengths"]
    return [
        *result,
        Case(
            "log_softmax",
            lambda: grid.log_softmax_forward(g["z6"], log_out),
            lambda: log_y,
            8.0 * T * B * K,
            0,
            "log_softmax",
        ),
        Case(
            "ctc",
            lambda: grid.ctc(g["log_y"], *text, losses, dlogits, room),
            lambda: REFERENCE.ctc(log_y.astype(np.float64), lengths, labels, label_lengths),
            4.0 * T * B * (3 * K + 4 * (2 * s.U + 1)),
            0,
            "ctc",
            tolerance=1e-3,
        ),
        Case("norm", lambda: grid.norm(g["grads"]), lambda: REFERENCE.norm(grads), 4.0 * P, 0, "norm"),
        Case("nesterov", walk, stepped, 20.0 * P, 0, "nesterov"),
    ]


def sanitized(hidden: int = 64, steps: int = 2) -> dict:
    """A small network by every way and product that this GPU has, right each time; run under a sanitizer."""
    from minids.ops.cuda import birnn, matmul

    errors = {}
    for gemm in ("fp32", "tf32") if driver.simulated() or driver.capability() >= (8, 0) else ("fp32",):
        for way in WAYS:
            matmul.use(gemm)
            birnn.use(way)
            try:
                checks = list(check_backend("cuda", hidden, steps))
            except InputError:  # a persistent grid does not fit on this GPU
                continue
            finally:
                matmul.use("fp32")
                birnn.use(None)
            for check in checks:
                if not check.error <= (check.tolerance if gemm == "fp32" else ROUNDED):
                    raise ArithmeticError(f"{check.name}, {gemm}, {way}: wrong by {check.error:.1e}")
            errors[f"{gemm}, {way}"] = max(check.error for check in checks)
    return {"errors": errors}


def stress(size: Size, repeats: int = 20) -> dict:
    """The persistent recurrence again and again, there and back: the same bits each time.

    Outputs are NaN before each time, so that nobody who reads too early finds the number of the time before.
    """
    from minids.ops.cuda import birnn

    grid, rng, shape = ops.load("cuda"), np.random.default_rng(2), (size.T, size.B, size.H)
    put = grid.arrays.from_host
    z, nothing = put(rng.standard_normal(shape, np.float32)), put(np.full(shape, np.nan, np.float32))
    Wr = [put(rng.standard_normal((size.H,) * 2, np.float32) * np.float32(0.5 * size.H**-0.5)) for _ in "fb"]
    outs, lengths = [grid.arrays.empty(shape, np.float32) for _ in range(4)], put(size.draw()[1])
    first, different = None, 0
    birnn.use("persistent")
    try:
        for _ in range(repeats):
            for out in outs:
                out.copy_to_device(nothing)
            birnn._through_time(False, z, *Wr, lengths, *outs[:2], *outs[:2])
            birnn._through_time(True, z, *Wr, lengths, *outs)
            now = [grid.arrays.to_host(out) for out in outs]
            first = first or now
            different += any(not np.array_equal(a, b) for a, b in zip(now, first, strict=True))
    finally:
        birnn.use(None)
    finite = all(np.isfinite(array).all() for array in first or [])
    return {
        "passed": finite and not different,
        "repeats": repeats,
        "different": different,
        "finite": bool(finite),
    }


def wrong(case: Case) -> float:
    """The largest distance of ours from the expected, relative to its length."""
    to_host = ops.load("cuda").arrays.to_host
    ours, expected = ((r,) if not isinstance(r, tuple | list) else r for r in (case.ours(), case.expected()))
    errors = [0.0]
    for a, b in zip(ours, expected, strict=True):
        if b is not None:
            a = a if isinstance(a, float) else to_host(a)
            errors.append(float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30)))
    return max(errors)


def seconds(call: Callable[[], Any], wait: Callable[[], None], rounds: int = 15) -> list[float]:
    """Of one call, in each round: as many calls in a row as take 20 ms, so that waiting does not count."""
    call()
    wait()
    start = time.perf_counter()
    call()
    wait()
    n = max(1, int(0.02 / (time.perf_counter() - start)))
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(n):
            call()
        wait()
        taken.append((time.perf_counter() - start) / n)
    return taken


def median_ms(taken: list[float]) -> float:
    return 1e3 * statistics.median(taken)
