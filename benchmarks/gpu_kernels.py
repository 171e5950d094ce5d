"""Every operation on the GPU: what it computes, its floor, and its counterpart in PyTorch. See gpu.py."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minids import ops
from minids.model import ModelSettings

REFERENCE = ops.load("reference")
GEMMS, RECURRENCES = ("fp32", "tf32", "cublas"), ("persistent", "graph", "launches")
# The names of `cases`, in the order of the network; known without a GPU.
NAMES = [
    "product alone, cublas",
    "context",
    *(f"layer{which}, {gemm}" for gemm in GEMMS for which in ("", " backward")),
    *(
        f"recurrence{which}, {kind}"
        for kind in RECURRENCES
        for which in ("", " backward", " backward, loop alone")
    ),
    "log_softmax",
    "ctc",
    "norm",
    "nesterov",
]
# The closest operations in PyTorch do more than our recurrence: rows of their own, without a ratio.
TORCH_RNN = "torch nn.RNN + its input products", "torch nn.RNN backward + input products"


@dataclass(frozen=True)
class Size:
    """B utterances of T frames and U letters; a network of width H, F features and K characters."""

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
    """An operation on device arrays: `compute()` returns what `expected()` computes in NumPy.

    `bytes` and `flops` are the least that it must move and compute; `peer` is its name in `Peers`.
    """

    name: str
    compute: Callable[[], Any]
    expected: Callable[[], Any]
    bytes: float
    flops: float
    peer: str | None = None
    recurrence: str | None = None
    tolerance: float = 1e-4


def cases(s: Size) -> list[Case]:
    """All cases, in the order of NAMES. Raises InputError in `compute` for what this GPU does not support."""
    from minids.ops.common import Workspace
    from minids.ops.cuda import affine, birnn, cublas
    from minids.ops.reference.birnn import rnn_backward

    gpu, rng = ops.load("cuda"), np.random.default_rng(1)
    to_device, empty = gpu.arrays.from_host, gpu.arrays.empty

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
    # All arrays are on the device, outputs, too: nothing is allocated while the clock runs.
    g = {name: to_device(value) for name, value in locals().items() if isinstance(value, np.ndarray)}
    out1, out2, out3, out4 = (empty((T, B, H), np.float32) for _ in range(4))
    dW, dW2, db, context = (empty(shape, np.float32) for shape in ((H, H), (H, H), (H,), (T, B, D)))
    losses, dlogits, log_out = (empty(shape, np.float32) for shape in ((B,), (T, B, K), (T, B, K)))
    workspace = Workspace(gpu.arrays, np.float32)
    new_params, new_velocity = to_device(params), to_device(velocity)
    rows, square, full = 4.0 * T * B * H, 4.0 * H * H, 2.0 * T * B * H * H

    def expected_update() -> tuple[np.ndarray, np.ndarray]:
        """The result of the first call of `update`."""
        after = params.copy(), velocity.copy()
        REFERENCE.nesterov(after[0], grads, after[1], 1e-6, 0.9)
        return after

    def update():
        gpu.nesterov(new_params, g["grads"], new_velocity, 1e-6, 0.9)
        return new_params, new_velocity

    def backward_loop(recurrence):
        """δf, δb alone: without transposing the weights, the products over all frames, and the sum."""
        names = "dy", "Wr_fT", "Wr_bT", "lengths", "hf", "hb"
        birnn._scan(True, *(g[n] for n in names), out3, out4, recurrence)
        return out3, out4

    def expected_backward() -> tuple[np.ndarray, ...]:
        """δf, δb, dz, dWr_f, dWr_b."""
        zero = np.zeros((B, H), np.float32)
        delta_f = rnn_backward(dy, hf, Wr_f, zero, reverse=True)
        delta_b = rnn_backward(dy, hb, Wr_b, zero)
        return delta_f, delta_b, *REFERENCE.birnn_backward(dy, hf, hb, Wr_f, Wr_b, lengths)

    def product():
        cublas.product(g["x"], False, g["W"], True, out1, T * B, H, H)
        return out1

    result = [
        Case("product alone, cublas", product, lambda: x @ W.T, 2 * rows + square, full),
        Case(
            "context",
            lambda: gpu.context_forward(g["frames"], g["lengths"], s.C, 1, context),
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
                lambda gemm=gemm: affine.affine_forward(g["x"], g["W"], g["b"], True, out=out1, gemm=gemm),
                lambda: y,
                2 * rows + square,
                full,
                peer and f"layer {peer}",
                None,
                tolerance,
            ),
            Case(
                f"layer backward, {gemm}",
                lambda gemm=gemm: affine.affine_backward(
                    *(g[name] for name in ("dy", "x", "W", "y")),
                    clip=True,
                    dz=out1,
                    dx=out2,
                    dW=dW,
                    db=db,
                    gemm=gemm,
                ),
                lambda: REFERENCE.affine_backward(dy, x, W, y, True),
                5 * rows + 2 * square,
                2 * full,
                peer and f"layer backward {peer}",
                None,
                tolerance,
            ),
        ]
    for recurrence in RECURRENCES:
        result += [
            Case(
                f"recurrence, {recurrence}",
                lambda recurrence=recurrence: birnn.birnn_forward(
                    *(g[name] for name in ("x", "Wr_f", "Wr_b", "lengths")),
                    h=out1,
                    hf=out2,
                    hb=out3,
                    recurrence=recurrence,
                ),
                lambda: (h, hf, hb),
                4 * rows + 2 * square,
                2 * full,
                recurrence=recurrence,
                tolerance=1e-3,
            ),
            Case(
                f"recurrence backward, {recurrence}",
                lambda recurrence=recurrence: birnn.birnn_backward(
                    *(g[name] for name in ("dy", "hf", "hb", "Wr_f", "Wr_b", "lengths")),
                    delta_f=out1,
                    delta_b=out3,
                    dz=out4,
                    dWr_f=dW,
                    dWr_b=dW2,
                    workspace=workspace,
                    recurrence=recurrence,
                ),
                lambda: expected_backward()[2:],
                6 * rows + 4 * square,
                4 * full,
                recurrence=recurrence,
                tolerance=1e-2,
            ),
            Case(
                f"recurrence backward, loop alone, {recurrence}",
                partial(backward_loop, recurrence),
                lambda: expected_backward()[:2],
                5 * rows + 2 * square,
                2 * full,
                recurrence=recurrence,
                tolerance=1e-2,
            ),
        ]
    texts = g["lengths"], g["labels"], g["label_lengths"]
    return [
        *result,
        Case(
            "log_softmax",
            lambda: gpu.log_softmax_forward(g["z6"], log_out),
            lambda: log_y,
            8.0 * T * B * K,
            0,
            "log_softmax",
        ),
        Case(
            "ctc",
            lambda: gpu.ctc(g["log_y"], *texts, losses, dlogits, workspace),
            lambda: REFERENCE.ctc(log_y.astype(np.float64), lengths, labels, label_lengths),
            4.0 * T * B * (3 * K + 4 * (2 * s.U + 1)),
            0,
            "ctc",
            tolerance=1e-3,
        ),
        Case("norm", lambda: gpu.norm(g["grads"]), lambda: REFERENCE.norm(grads), 4.0 * P, 0, "norm"),
        Case("nesterov", update, expected_update, 20.0 * P, 0, "nesterov"),
    ]


def error(case: Case) -> float:
    """The largest relative error of the results of a case: ‖result - expected‖ / ‖expected‖."""
    to_host = ops.load("cuda").arrays.to_host
    results, expected = (
        (r,) if not isinstance(r, tuple | list) else r for r in (case.compute(), case.expected())
    )
    errors = [0.0]
    for a, b in zip(results, expected, strict=True):
        if b is not None:
            a = a if isinstance(a, float) else to_host(a)
            errors.append(float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30)))
    return max(errors)


def ms(call: Callable[[], Any]) -> float:
    """The median time of a call on the GPU, in milliseconds."""
    from numba import cuda

    return median_ms(seconds(call, cuda.event))


def seconds(call: Callable[[], Any], event: Callable[[], Any], rounds: int = 15) -> list[float]:
    """The time of one call in each round, by the GPU's clock.

    A round is as many calls as take 20 ms, between two events. `event()` makes an event.
    """
    begin, end = event(), event()

    def measure(n: int) -> float:
        begin.record()
        for _ in range(n):
            call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3 / n

    measure(1)
    n = max(1, int(0.02 / measure(1)))
    return [measure(n) for _ in range(rounds)]


def median_ms(times: list[float]) -> float:
    return 1e3 * statistics.median(times)
