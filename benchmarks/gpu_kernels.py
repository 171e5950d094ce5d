"""The operations that are timed on a GPU, what each must compute, and the clock. See gpu.py."""

import statistics
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.training_step import CHARACTERS, CONTEXT, Problem
from minids import ops
from minids.ops.common import Workspace
from minids.ops.reference.birnn import rnn_backward, rnn_forward

REFERENCE = ops.load("reference")
TOLERANCES = {"tf32": 5e-3, "bf16": 5e-2}  # relative errors, where factors are rounded
PRODUCT, FORWARD, BACKWARD, CTC = 3e-5, 1e-3, 1e-2, 1e-3  # in float32


class Case(NamedTuple):
    """An operation on device arrays: `compute()` writes what `Data.host` says to `Data.out`, for these names.

    `bytes` and `flops` are the least that it must move and compute, `direction_steps` the frames of a
    recurrence, both directions counted. `compute` raises InputError for what this GPU does not support.
    """

    name: str
    compute: Callable[[], object]
    results: tuple[str, ...]
    tolerance: float
    bytes: float
    flops: float = 0
    direction_steps: int = 0


class Data:
    """Arrays of one size, by name: drawn, computed and copied to the GPU when they are first used.

    `host` has inputs and expected results in NumPy, `device` copies of them, `out` arrays for results.
    """

    def __init__(self, problem: Problem):
        self.problem, self.gpu = problem, ops.load("cuda")
        self.host, self.device, self.out = cache(self._host), cache(self._device), cache(self._out)
        self.workspace = Workspace(self.gpu.arrays, np.float32)

    def _host(self, name: str) -> Any:
        host, rng = self.host, np.random.default_rng(list(name.encode()))
        T, B, H, D = (getattr(self.problem, n) for n in ("frames", "batch", "hidden", "inputs"))

        def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
            return rng.standard_normal(shape, np.float32) * np.float32(scale)

        def rows(name: str) -> np.ndarray:
            return host(name).reshape(T * B, -1)

        zero = np.zeros((B, H), np.float32)
        # fmt: off
        made: dict[str, Callable[[], Any]] = {
            "batch": self.problem.draw,
            "frames": lambda: host("batch")[0],
            "lengths": lambda: host("batch")[1],
            "labels": lambda: host("batch")[2],
            "label_lengths": lambda: host("batch")[3],
            "stacked": lambda: REFERENCE.context_forward(host("frames"), host("lengths"), CONTEXT, 1),
            "log_probs": lambda: REFERENCE.log_softmax_forward(normal(T, B, CHARACTERS)),
            "x": lambda: normal(T, B, H),
            "dy": lambda: normal(T, B, H),
            "b": lambda: normal(H),
            "W": lambda: normal(H, H, scale=H**-0.5),
            "W1": lambda: normal(H, D, scale=D**-0.5),
            "Wr_f": lambda: normal(H, H, scale=0.5 * H**-0.5),
            "Wr_b": lambda: normal(H, H, scale=0.5 * H**-0.5),
            "x W": lambda: (rows("x") @ host("W").T).reshape(T, B, H),
            "y": lambda: REFERENCE.affine_forward(host("x"), host("W"), host("b"), True),
            "y1": lambda: REFERENCE.affine_forward(host("stacked"), host("W1"), host("b"), True),
            "dx": lambda: (rows("dy") @ host("W")).reshape(T, B, H),
            "dW": lambda: rows("dy").T @ rows("x"),
            "dW1": lambda: rows("dy").T @ rows("stacked"),
            "hf": lambda: rnn_forward(host("x"), host("Wr_f"), host("lengths"), zero),
            "hb": lambda: rnn_forward(host("x"), host("Wr_b"), host("lengths"), zero, reverse=True),
            "delta_f": lambda: rnn_backward(host("dy"), host("hf"), host("Wr_f"), zero, reverse=True),
            "delta_b": lambda: rnn_backward(host("dy"), host("hb"), host("Wr_b"), zero),
            "ctc": lambda: REFERENCE.ctc(host("log_probs").astype(np.float64), *host("batch")[1:]),
            "losses": lambda: host("ctc")[0],
            "dlogits": lambda: host("ctc")[1],
        }
        # fmt: on
        return made[name]()

    def _device(self, name: str):
        return self.gpu.arrays.from_host(self.host(name))

    def _out(self, name: str):
        return self.gpu.arrays.empty(self.host(name).shape, np.float32)


def cases(data: Data) -> Iterator[Case]:
    """All cases, the most important of each kind first."""
    yield from products(data)
    yield from recurrences(data)
    yield from others(data)


def products(data: Data) -> Iterator[Case]:
    """The three products of a layer, by every implementation; by cuBLAS the product alone."""
    from benchmarks import cublas
    from minids.ops.cuda import matmul

    M, H, a, out = data.problem.frames * data.problem.batch, data.problem.hidden, data.device, data.out
    flops, bytes_ = 2.0 * M * H**2, 4.0 * (2 * M * H + H**2)
    # fmt: off
    runs: dict[str, tuple[str, Callable[[str], object]]] = {
        "layer": ("y", lambda gemm: matmul.layer(a("x"), a("W"), a("b"), out("y"), M, True, None, gemm)),
        "input gradient": ("dx", lambda gemm: matmul.input_gradient(a("dy"), a("W"), out("dx"), M, gemm)),
        "weight gradient": ("dW", lambda gemm: matmul.weight_gradient(a("dy"), a("x"), out("dW"), M, gemm)),
    }
    # fmt: on

    for gemm in matmul.TILES:
        tolerance = TOLERANCES.get(gemm, PRODUCT)
        for name, (result, product) in runs.items():
            yield Case(f"{name}, {gemm}", partial(product, gemm), (result,), tolerance, bytes_, flops)

    # fmt: off
    peers: dict[str, tuple[str, Callable[[], object]]] = {
        "layer": ("x W", lambda: cublas.product(a("x"), False, a("W"), True, out("x W"), M, H, H)),
        "input gradient": ("dx", lambda: cublas.product(a("dy"), False, a("W"), False, out("dx"), M, H, H)),
        "weight gradient": ("dW", lambda: cublas.product(a("dy"), True, a("x"), False, out("dW"), H, H, M)),
    }
    # fmt: on
    for name, (result, run) in peers.items():
        yield Case(f"{name}, cublas", run, (result,), PRODUCT, bytes_, flops)


def recurrences(data: Data) -> Iterator[Case]:
    """The recurrence of both directions, without the products and sums around it."""
    from minids.ops.cuda import birnn

    p, device = data.problem, data.device
    states, weights, steps = 4.0 * p.frames * p.batch * p.hidden, 8.0 * p.hidden**2, 2 * p.frames
    flops = 2.0 * steps * p.batch * p.hidden**2

    def forward(kind: str) -> None:
        h = data.out("hf"), data.out("hb")
        birnn._scan(False, *map(device, ("x", "Wr_f", "Wr_b", "lengths")), *h, *h, kind)

    def backward(kind: str) -> None:
        inputs = map(device, ("dy", "Wr_f", "Wr_b", "lengths", "hf", "hb"))
        birnn._scan(True, *inputs, data.out("delta_f"), data.out("delta_b"), kind)

    for kind in sorted(set(birnn.RECURRENCES) - {"auto"}, reverse=True):  # persistent first
        for name, run, results, tolerance, arrays in (
            ("recurrence", forward, ("hf", "hb"), FORWARD, 3),
            ("recurrence backward", backward, ("delta_f", "delta_b"), BACKWARD, 5),
        ):
            tolerance, bytes_ = TOLERANCES.get(kind, tolerance), arrays * states + weights
            yield Case(f"{name}, {kind}", partial(run, kind), results, tolerance, bytes_, flops, steps)


def others(data: Data) -> Iterator[Case]:
    """CTC, and the first layer, which reads the frames where they lie."""
    p, gpu, device, out = data.problem, data.gpu, data.device, data.out
    rows = 4.0 * p.frames * p.batch

    def ctc() -> None:
        inputs = map(device, ("log_probs", "lengths", "labels", "label_lengths"))
        gpu.ctc(*inputs, out("losses"), out("dlogits"), data.workspace)

    def context():
        return gpu.context_forward(device("frames"), device("lengths"), CONTEXT, 1, workspace=data.workspace)

    def layer_1() -> None:
        gpu.affine_forward(context(), device("W1"), device("b"), clip=True, out=out("y1"))

    def gradient_1() -> None:
        inputs, db = (device("dy"), context(), device("W1"), device("y1")), out("b")
        gpu.affine_backward(*inputs, needs_dx=False, dz=out("dx"), dW=out("dW1"), db=db)

    yield Case("ctc, fp32", ctc, ("losses", "dlogits"), CTC, rows * (3 * CHARACTERS + 8 * p.labels + 4))
    weights = 4.0 * p.inputs * p.hidden
    size = rows * (p.features + p.hidden) + weights, rows / 2 * p.inputs * p.hidden
    yield Case("layer 1, fp32", layer_1, ("y1",), PRODUCT, *size)
    yield Case("weight gradient 1, fp32", gradient_1, ("dW1",), PRODUCT, *size)


def error(case: Case, data: Data) -> float:
    """The largest relative error of the results of a case: ‖result - expected‖ / ‖expected‖."""
    results = []
    for name in case.results:  # what is not written is wrong
        results.append(data.gpu.arrays.copy(np.full_like(data.host(name), np.nan), data.out(name)))
    case.compute()
    arrays = zip(map(data.gpu.arrays.to_host, results), map(data.host, case.results), strict=True)
    return float(max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in arrays))


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


def ms(call: Callable[[], Any]) -> float:
    """The median time of a call on the GPU, in milliseconds."""
    from numba import cuda

    return median_ms(seconds(call, cuda.event))


def median_ms(times: list[float]) -> float:
    return 1e3 * statistics.median(times)
