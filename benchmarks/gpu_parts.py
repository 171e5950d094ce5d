"""What benchmarks.gpu computes, part by part: names, and functions that return the row of a name."""

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.gpu_kernels import Case, Data, cases, error, ms
from benchmarks.training_step import UPDATE, Problem
from minids import Recognizer, gradcheck, ops
from minids.data.batches import Batch
from minids.data.manifest import read_manifest
from minids.metrics import Evaluation
from minids.model import DeepSpeech
from minids.ops import driver
from minids.training.settings import read_settings
from minids.training.step import step
from minids.training.trainer import Trainer

FIRST_TESTS = "test_matmul", "test_birnn", "test_ctc", "test_affine", "test_model"
ROUNDED = 1e-2  # relative error of the losses if factors are rounded to TF32

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
    pairs += [(gemm, "auto") for gemm in matmul.TILES if gemm != "fp32"]
    for gemm, kind in pairs:
        yield f"check {gemm}, {kind}", partial(check_network, gemm, kind, hidden)
    data = data_of(plan.problem)
    for case in cases(data):
        if "persistent" in case.name:
            yield f"check equal bits: {case.name}", partial(check_repeated, case, data)


def check_network(gemm: str, recurrence: str, hidden: int, _: Save) -> Row:
    """With rounded factors only the losses: a unit that passes a kink changes gradients by any amount."""
    backend = ops.load("cuda", gemm=gemm, recurrence=recurrence)
    losses, *gradients = gradcheck.check_backend(backend, hidden, steps=2)
    checks = [replace(losses, tolerance=ROUNDED)] if gemm == "tf32" else [losses, *gradients]
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
    """Each operation, if its result is right."""
    data = data_of(plan.problem)
    for case in cases(data):
        yield case.name, partial(time_case, case, data)


def time_case(case: Case, data: Data, _: Save) -> Row:
    row: Row = {"error": error(case, data), "bytes": case.bytes, "flops": case.flops}
    if not row["error"] <= case.tolerance:
        return row | {"failed": f"the error is {row['error']:.1e}"}
    row["ms"] = ms(case.compute)
    if case.direction_steps:
        row["us/direction-step"] = 1e3 * row["ms"] / case.direction_steps
    return row


def steps(plan: Plan) -> Iterator[Task]:
    """The whole training step, from frames in host memory to updated weights."""
    from minids.ops.cuda import matmul

    for gemm in matmul.TILES:
        yield f"step, {gemm}", partial(training_step, gemm, plan.problem)


def training_step(gemm: str, problem: Problem, _: Save) -> Row:
    model, batch = DeepSpeech(problem.settings(), 0, ops.load("cuda", gemm=gemm)), problem.draw()
    velocity = model.ops.arrays.from_host(np.zeros(model.flat_params.shape, np.float32))
    row = with_loss(float(model.loss_and_grad(*batch).sum()), problem)
    time_ms = ms(lambda: step(model, velocity, Batch([], *batch), None, *UPDATE))
    return row | {"ms": time_ms, "flops": problem.operations()}


@cache
def float32_loss(problem: Problem) -> float:
    """The loss of the first step."""
    return float(DeepSpeech(problem.settings(), 0, "cuda").loss_and_grad(*problem.draw()).sum())


def with_loss(loss: float, problem: Problem) -> Row:
    """A row for a step with this loss. Raises ArithmeticError if it is not that of our float32 step."""
    if not abs(loss / float32_loss(problem) - 1) <= ROUNDED:
        raise ArithmeticError(f"the loss is {loss:.6g}, not {float32_loss(problem):.6g}")
    return {"loss": loss}


def peers(plan: Plan) -> Iterator[Task]:
    """The same in PyTorch, if it is installed: "torch ctc, fp32" is what "ctc, fp32" is compared with."""
    if importlib.util.find_spec("torch"):
        from benchmarks import gpu_peers

        for precision, operation in product(gpu_peers.PRECISIONS, gpu_peers.OPERATIONS):
            name = f"{operation}, {precision}"
            yield f"torch {name}", partial(time_peer, name, plan.problem)


def time_peer(name: str, problem: Problem, _: Save) -> Row:
    from benchmarks import gpu_peers

    row = gpu_peers.measure(name, problem)
    return row | (with_loss(row["loss"], problem) if "loss" in row else {})


def recipes(plan: Plan) -> Iterator[Task]:
    """Trainings on real speech, for as many epochs as there is time for."""
    for path in plan.recipes:
        yield f"train {path.stem}", partial(train, path, plan.clock)


def train(path: Path, clock: Clock, save: Save) -> Row:
    settings, start = read_settings(path), clock.left()
    row: Row = {"epochs": 0, "of": settings.train.epochs, "minutes": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(settings, Path(folder, "run"), "cuda")
        with trainer.folder.locked():
            trainer.prepare()
            # While there is time for an epoch, and as much for the test set.
            while row["epochs"] < row["of"] and clock.left() / 60 * row["epochs"] >= 2 * row["minutes"]:
                trainer.train_epoch()
                trainer.finish_epoch(*trainer.evaluate())
                best = trainer.state.rows[trainer.state.best_epoch - 1]
                row |= {"epochs": trainer.state.epoch, "dev WER": best["wer"]}
                row["minutes"] = (start - clock.left()) / 60
                save(row)
        recognizer = Recognizer.load(trainer.folder.best, lm="none", backend="cuda")
        results, _ = recognizer.recognize(read_manifest(settings.path("dev").with_name("test.jsonl")))
    return row | {"test WER": Evaluation(results).wer.rate}
