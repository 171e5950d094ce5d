"""What benchmarks.gpu computes, part by part: names, and functions that return the row of a name."""

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.gpu_kernels import Case, Data, cases, error, ms
from benchmarks.training_step import UPDATE, Problem
from minids import gradcheck, ops
from minids.ops import driver

FIRST_TESTS = "matmul", "birnn", "ctc", "affine", "elementwise", "model"
LOSSES = {"tf32": 1e-2, "bf16": 3e-2}  # relative errors of the losses, where factors are rounded

Row = dict[str, Any]
Save = Callable[[Row], None]  # what is known of a row that is not finished
Task = tuple[str, Callable[[Save], Row]]

data_of = cache(Data)


class Clock(NamedTuple):
    start: float  # of time.monotonic
    minutes: float

    def left(self, share: float = 1.0) -> float:
        """The seconds until this share of the minutes is over."""
        return self.start + 60 * self.minutes * share - time.monotonic()


class Plan(NamedTuple):
    """The minutes, the size of the operations, files of tests and recipes, the important ones first.

    If there are `words`, only rows with one of them in their name are computed.
    """

    clock: Clock
    problem: Problem
    tests: tuple[Path, ...] = ()
    recipes: tuple[Path, ...] = ()
    words: tuple[str, ...] = ()


def facts(plan: Plan) -> Iterator[Task]:
    """The GPU: its name, versions, and its peak performance, computed and measured."""
    yield "gpu", partial(gpu, plan.problem)


def gpu(problem: Problem, _: Save) -> Row:
    from numba import cuda

    device, capability, arrays = cuda.get_current_device(), driver.capability(), ops.load("cuda").arrays
    float32_units = 64 if capability in ((7, 0), (7, 5), (8, 0)) else 128  # of a multiprocessor
    a, b = (arrays.empty((8 * problem.frames * problem.batch * problem.hidden,), np.float32) for _ in "ab")
    return {
        "name": device.name,
        "capability": capability,
        "multiprocessors": device.MULTIPROCESSOR_COUNT,
        "MHz": device.CLOCK_RATE / 1e3,
        "driver": driver.version(),
        "flop/s": 2e3 * float32_units * device.MULTIPROCESSOR_COUNT * device.CLOCK_RATE,
        "byte/s": 2 * a.nbytes / (ms(lambda: b.copy_to_device(a)) / 1e3),
    }


def tests(plan: Plan) -> Iterator[Task]:
    """The tests of the backend, file by file."""
    for path in plan.tests:
        yield f"test {path.stem.removeprefix('test_')}", partial(run_tests, path)


def run_tests(path: Path, save: Save) -> Row:
    import pytest

    row: Row = {"passed": 0, "left out": 0, "failures": {}}

    class Plugin:
        def pytest_runtest_logstart(self, nodeid: str) -> None:
            save({**row, "running": nodeid})

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            row["passed"] += report.passed and report.when == "call"
            row["left out"] += report.skipped
            if report.failed:
                row["failures"][report.nodeid] = report.longreprtext[-500:]

    code = pytest.main(["-q", "-p", "no:cacheprovider", "-m", "not slow", str(path)], [Plugin()])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        row["failed"] = f"{len(row['failures'])} tests; {code!r}"
    return row


def checks(plan: Plan) -> Iterator[Task]:
    """A small network against the reference, by all implementations; the recurrence, repeated."""
    from minids.ops.cuda import birnn, matmul

    hidden = min(256, plan.problem.hidden)
    pairs = [("fp32", kind) for kind in birnn.RECURRENCES if kind != "auto"]
    pairs += [(gemm, "auto") for gemm in matmul.GEMMS if gemm not in ("fp32", "cublas")]
    for gemm, kind in pairs:
        yield f"check {gemm}, {kind}", partial(check_network, gemm, kind, hidden)
    data = data_of(plan.problem)
    for case in cases(data):
        if "persistent" in case.name:
            yield f"check equal bits: {case.name}", partial(check_repeated, case, data)


def check_network(gemm: str, recurrence: str, hidden: int, _: Save) -> Row:
    """With rounded factors only the losses: a unit that passes a kink changes gradients by any amount."""
    backend, rounded = ops.load("cuda", gemm=gemm, recurrence=recurrence), {gemm, recurrence} & LOSSES.keys()
    losses, *gradients = gradcheck.check_backend(backend, hidden, steps=2)
    checks = [replace(losses, tolerance=LOSSES[name]) for name in rounded] or [losses, *gradients]
    for check in checks:
        if not check.passed:
            raise ArithmeticError(f"{check.name}: error {check.error:.1e}")
    return {"error": max(check.error for check in checks)}


def check_repeated(case: Case, data: Data, _: Save) -> Row:
    """A read that comes too early would find another result at times, and NaN of `error` the first time."""
    first, repeats = {}, 10
    for _ in range(repeats):
        if not error(case, data) <= case.tolerance:
            raise ArithmeticError("a result is wrong")
        for name in case.results:
            result = data.gpu.arrays.to_host(data.out(name))
            if not np.array_equal(result, first.setdefault(name, result)):
                raise ArithmeticError(f"{name} differs from call to call")
    return {"repeats": repeats}


def kernels(plan: Plan) -> Iterator[Task]:
    """Each operation, and PyTorch's, if it is installed."""
    data = data_of(plan.problem)
    for case in cases(data):
        yield case.name, partial(time_case, case, data)
    if has_torch():
        for name in ("nn.RNN", "nn.RNN, tf32", "nn.RNN backward", "nn.RNN backward, tf32"):
            yield f"torch {name}", lambda _, name=name: {"ms": torch_ms(name, plan.problem)}


def time_case(case: Case, data: Data, save: Save) -> Row:
    row: Row = {"error": error(case, data), "bytes": case.bytes, "flops": case.flops}
    if not row["error"] <= case.tolerance:
        return row | {"failed": f"the error is {row['error']:.1e}"}
    row["ms"] = ms(case.compute)
    if case.direction_steps:
        row["us/direction-step"] = 1e3 * row["ms"] / case.direction_steps
    if case.peer and has_torch():
        save(row)
        row["torch_ms"] = torch_ms(case.peer, data.problem)
    return row


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def torch_ms(name: str, problem: Problem) -> float:
    from benchmarks import gpu_peers

    return gpu_peers.operation_ms(name, problem)


def steps(plan: Plan) -> Iterator[Task]:
    """The whole training step, from frames in host memory to updated weights."""
    from minids.ops.cuda import matmul

    for gemm in matmul.GEMMS:
        yield f"step, {gemm}", partial(training_step, gemm, plan.problem)
    if has_torch():
        for name in ("exact", "exact, tf32", "nn.RNN", "nn.RNN, tf32"):
            yield f"torch step, {name}", partial(torch_step, name, plan.problem)


def training_step(gemm: str, problem: Problem, _: Save) -> Row:
    from minids.data.batches import Batch
    from minids.model import DeepSpeech
    from minids.training.step import step

    model, batch = DeepSpeech(problem.settings(), 0, ops.load("cuda", gemm=gemm)), problem.draw()
    velocity = model.ops.arrays.from_host(np.zeros(model.flat_params.shape, np.float32))
    loss = float(model.loss_and_grad(*batch).sum())
    time_ms = ms(lambda: step(model, velocity, Batch([], *batch), None, *UPDATE))
    return {"loss": loss, "ms": time_ms, "flops": problem.operations()}


def torch_step(name: str, problem: Problem, _: Save) -> Row:
    from benchmarks import gpu_peers

    return gpu_peers.step_ms(name, problem)


def recipes(plan: Plan) -> Iterator[Task]:
    """Trainings on real speech, for as many epochs as there is time for."""
    for path in plan.recipes:
        yield f"train {path.stem}", partial(train, path, plan.clock)


def train(path: Path, clock: Clock, save: Save) -> Row:
    from minids import Recognizer
    from minids.data.manifest import read_manifest
    from minids.metrics import Evaluation
    from minids.training.settings import read_settings
    from minids.training.trainer import Trainer

    settings, start = read_settings(path), clock.left()
    row: Row = {"epochs": 0, "of": settings.train.epochs, "minutes": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(settings, Path(folder, "run"), "cuda")
        with trainer.folder.locked():
            trainer.prepare()
            # Another epoch, and as much time for the test set.
            while row["epochs"] < row["of"] and clock.left() > 2 * 60 * row["minutes"] / max(
                1, row["epochs"]
            ):
                trainer.train_epoch()
                trainer.finish_epoch(*trainer.evaluate())
                best = trainer.state.rows[trainer.state.best_epoch - 1]
                row |= {"epochs": trainer.state.epoch, "dev WER": best["wer"]}
                row["minutes"] = (start - clock.left()) / 60
                save(row)
        recognizer = Recognizer.load(trainer.folder.best, lm="none", backend="cuda")
        results, _ = recognizer.recognize(read_manifest(settings.path("dev").with_name("test.jsonl")))
    return row | {"test WER": Evaluation(results).wer.rate}
