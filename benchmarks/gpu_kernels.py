"""Every operation on the GPU: what it computes, its floor, and PyTorch's for the same. See gpu.py."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minids import ops
from minids.model import ModelSettings

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


def ms(call: Callable[[], Any]) -> float:
    """Milliseconds of a call on the GPU, the median."""
    from numba import cuda

    return median_ms(seconds(call, cuda.event))


def seconds(call: Callable[[], Any], event: Callable[[], Any], rounds: int = 15) -> list[float]:
    """Of one call, in each round, by the GPU's own clock: between an event before as many calls in a row as
    take 20 ms and one behind them. `event` makes one.
    """
    begin, end = event(), event()

    def taken(n: int) -> float:
        begin.record()
        for _ in range(n):
            call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3 / n

    taken(1)
    n = max(1, int(0.02 / taken(1)))
    return [taken(n) for _ in range(rounds)]


def median_ms(taken: list[float]) -> float:
    return 1e3 * statistics.median(taken)
