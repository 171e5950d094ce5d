"""A training step (forward, CTC, backward, update): minids and the same network in PyTorch, side by side.

    python -m benchmarks.training_step --inputs 3059 --hidden 128 256 512 1024 2048

First the losses and gradients of the PyTorch forms are compared with ours on the same weights; then all take
turns, each in a process of its own. `sgemm` is NumPy's product of large matrices in the same rounds: what the
machine can do. "plain" is GFLOP/s counting the plain sums of all layers; ours needs fewer in layer 1, so it
may exceed 100 % of sgemm. Every form starts from the frames (T, B, F) of a batch of equal lengths; dropout is
off.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.linalg import norm

from benchmarks.machine import (
    best_milliseconds,
    headline,
    in_subprocess,
    machine,
    markdown,
    milliseconds,
    save,
    set_threads,
    timed_in_processes,
)

CONTEXT, CHARACTERS = 9, 29
FORMS = ("loop", "fn", "rnn")
UPDATE = 1e-9, 0.99, 1e9  # rate, momentum, gradient limit: full work, and the weights stay where they are
SQUARE = 2048
LOUD = np.float32(100)
# float32, sums of thousands of terms in different orders. A unit within rounding error of a kink (0 or 20)
# can pass its gradient in one form and block it in the other; on random input each such unit changes dW1 by
# about 1e-3 of its norm. PyTorch's float32 and ours are equally far from float64.
LOSS, GRADIENT = 1e-5, 1e-2


@dataclass(frozen=True)
class Problem:
    """One batch and one network; the same numbers in every process."""

    inputs: int
    hidden: int
    batch: int
    frames: int
    labels: int
    stride: int = 1

    @property
    def features(self) -> int:
        return self.inputs // (2 * CONTEXT + 1)

    @property
    def outputs(self) -> int:
        """Frames after the stride."""
        return -(-self.frames // self.stride)

    def settings(self):
        from minids.model import ModelSettings

        return ModelSettings(self.features, CHARACTERS, self.hidden, CONTEXT, self.stride, dropout=0.0)

    def weights(self) -> dict[str, np.ndarray]:
        from minids.model import initialize

        weights = {name: np.empty(shape, np.float32) for name, shape in self.settings().shapes().items()}
        initialize(weights, seed=0)
        return weights

    def draw(self) -> tuple[np.ndarray, ...]:
        """frames (T, B, F), lengths (B,), labels (B, U), label_lengths (B,)."""
        rng = np.random.default_rng(0)
        frames = rng.normal(size=(self.frames, self.batch, self.features)).astype(np.float32)
        labels = rng.integers(1, CHARACTERS, (self.batch, self.labels), np.int32)
        full = np.ones(self.batch, np.int32)
        return frames, full * self.frames, labels, full * self.labels

    def operations(self) -> float:
        """Floating-point operations of the plain sums: forward, dW, and dx except for layer 1."""
        D, H, K = self.inputs, self.hidden, CHARACTERS
        return 2.0 * self.outputs * self.batch * (2 * D * H + 3 * (6 * H * H + K * H))


class OurStep:
    """The step that `minids train` takes."""

    def __init__(self, problem: Problem):
        from minids import DeepSpeech

        self.model = DeepSpeech(problem.settings())
        for name, value in problem.weights().items():
            self.model.params[name][...] = value
        self.velocity = np.zeros_like(self.model.flat_params)

    def loss_and_grad(self, *batch) -> float:
        """The sum of the losses; its gradients are in `model.grads`."""
        return float(self.model.loss_and_grad(*batch).sum())

    def __call__(self, *batch) -> None:
        from minids.data.batches import Batch
        from minids.training.step import step

        step(self.model, self.velocity, Batch([], *batch), None, *UPDATE)


def their_step(problem: Problem, form: str):
    from benchmarks.torch_forms import TorchStep

    shape = (problem.frames, problem.batch, problem.features)
    return TorchStep(form, problem.weights(), shape, CONTEXT, *UPDATE, problem.stride)


def ours(problem: Problem):
    step, batch = OurStep(problem), problem.draw()
    return lambda: step(*batch)


def theirs(problem: Problem, form: str):
    from benchmarks.torch_forms import tensors

    step, batch = their_step(problem, form), tensors(*problem.draw(), problem.stride)
    return lambda: step(*batch)


def sgemm(rows: int, depth: int, columns: int):
    """NumPy's product (rows, depth) (depth, columns), into an existing array."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape).astype(np.float32) for shape in ((rows, depth), (depth, columns)))
    product = np.empty((rows, columns), np.float32)
    return lambda: np.dot(a, b, out=product)


def check(problem: Problem) -> str:
    """PyTorch's losses and gradients against ours on the same weights; ends the program if they differ.

    The frames of the exact forms are so loud that every layer has units at the clip; those of nn.RNN, which
    has no clip, never reach it.
    """
    from benchmarks.torch_forms import tensors

    step, results = OurStep(problem), []
    frames, *rest = problem.draw()
    for form in FORMS:
        batch = (frames if form == "rnn" else LOUD * frames, *rest)
        loss, peer = step.loss_and_grad(*batch), their_step(problem, form)
        loss_error = abs(peer.loss_and_grad(*tensors(*batch, problem.stride)) - loss) / loss
        a, b = peer.gradients(), step.model.grads
        worst = max(float(norm(a[name] - b[name]) / norm(b[name])) for name in a.keys() & b.keys())
        if not (loss_error < LOSS and worst < GRADIENT):
            raise SystemExit(f"{form} is not our network: loss {loss_error:.1e}, gradients {worst:.1e} apart")
        results.append(f"{form} {loss_error:.0e}, {worst:.0e}")
    return "; ".join(results)


def measure(problem: Problem, n: int) -> dict:
    """Milliseconds (medians), GFLOP/s of the products, and peak memory of each form."""
    products = {
        "sgemm, square": (SQUARE,) * 3,
        "sgemm, layer 1": (problem.outputs * problem.batch, problem.inputs, problem.hidden),
    }
    makers = {"ours": (ours, (problem,)), **{form: (theirs, (problem, form)) for form in FORMS}}
    makers |= {name: (sgemm, shape) for name, shape in products.items()}
    seconds, memory = timed_in_processes(makers, n)
    operations = {name: 2.0 * np.prod(shape) for name, shape in products.items()}
    ms = {name: milliseconds(values) for name, values in seconds.items()}
    rate = {name: operations.get(name, problem.operations()) / value / 1e6 for name, value in ms.items()}
    return {**asdict(problem), "ms": ms, "gflops": rate, "memory_mb": memory, "seconds": seconds}


def show(result: dict) -> None:
    """Print a problem, one line per competitor."""
    ms, rate = result["ms"], result["gflops"]
    print(f"\n{result['inputs']} inputs, H {result['hidden']}, stride {result['stride']}")
    print(f"differences from ours, loss and gradients: {result['differences']}")
    print(f"{'':15}{'ms':>9}{'best':>9}{'/ ours':>9}{'plain':>9}{'of sgemm':>9}{'peak MB':>9}")
    for name, value in ms.items():
        cells = [f"{value:.1f}", f"{best_milliseconds(result['seconds'][name]):.1f}"]
        cells += ["" if "sgemm" in name else f"{value / ms['ours']:.2f}"]
        cells += [f"{rate[name]:.1f}", f"{100 * rate[name] / rate['sgemm, square']:.0f} %"]
        cells += [f"{result['memory_mb'][name]:.0f}"]
        print(f"{name:15}" + "".join(f"{cell:>9}" for cell in cells), flush=True)


def table(results: list[dict]) -> str:
    """All problems as a Markdown table: milliseconds, their ratios, and peak memory."""
    ratios = [f"{form} / ours" for form in FORMS]
    rows = []
    for result in results:
        ms = result["ms"]
        cells = [str(result[name]) for name in ("inputs", "hidden", "stride")]
        cells += [f"{ms[name]:.0f}" for name in ("ours", *FORMS)]
        cells += [f"{ms[form] / ms['ours']:.2f}" for form in FORMS]
        rows.append(cells + [f"{result['memory_mb'][name]:.0f}" for name in ("ours", "fn")])
    return markdown(["inputs", "H", "stride", "ours", *FORMS, *ratios, "ours MB", "fn MB"], rows)


def add_problem_arguments(parser: argparse.ArgumentParser) -> None:
    """The sizes of `problems`."""
    parser.add_argument("--inputs", type=int, nargs="+", default=[3059, 494], help="19 x 161 and 19 x 26")
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 256, 512, 1024, 2048])
    parser.add_argument("--stride", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument(
        "--labels", type=int, default=30, help="letters of an utterance (speech: 15 a second)"
    )
    parser.add_argument("--threads", type=int, default=2)


def problems(options: argparse.Namespace) -> list[Problem]:
    """Every combination of strides, inputs and widths."""
    batch = options.batch, options.frames, options.labels
    return [
        Problem(inputs, hidden, *batch, stride)
        for stride in options.stride
        for inputs in options.inputs
        for hidden in options.hidden
    ]


def stored(path: str | None) -> dict:
    """What a file of results holds, if there is one."""
    return json.loads(Path(path).read_text()) if path and Path(path).exists() else {}


def others(results: list[dict], measured: list[Problem]) -> list[dict]:
    """The results of other problems, which stay in the file."""
    return [r for r in results if not any(asdict(problem).items() <= r.items() for problem in measured)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_problem_arguments(parser)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", metavar="FILE", help="keep the results; those of other problems in it stay")
    options = parser.parse_args()
    set_threads(options.threads)
    size = f"{options.threads} threads, B {options.batch}, T {options.frames}, U {options.labels}"
    print(f"{headline(machine())}; {size}", flush=True)
    results = others(stored(options.json).get("training_step", []), problems(options))
    for problem in problems(options):
        results.append({"differences": in_subprocess(check, problem), **measure(problem, options.rounds)})
        show(results[-1])
        save(options.json, {"threads": options.threads, "training_step": results})
    print(f"\n{table(results)}")


if __name__ == "__main__":
    main()
