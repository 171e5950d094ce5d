"""benchmarks.gpu without a GPU: in the simulator, on the compiled kernels, and with parts that fail."""

import json
import math
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from minids import gradcheck
from minids._utils.errors import InputError
from minids.ops import driver
from tests import tones
from tests.ops.cuda.test_executor import missing

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda", reason="pip install minids[cuda]")
from benchmarks import gpu, gpu_kernels, gpu_parts, gpu_table
from benchmarks.gpu_parts import Clock, Plan
from benchmarks.training_step import Problem

PROBLEM = Problem(inputs=19 * 2, hidden=6, batch=2, frames=5, labels=2)
PATIENCE = 600  # seconds for a row: kernels may have to be compiled, while other tests run
GPU = {"byte/s": 1e12, "flop/s": 1e13}
TESTS = """
import pytest
def test_right(): pass
def test_wrong(): assert 1 == 2
def test_impossible(): pytest.skip("no")
"""


def plan(folder: Path, minutes: float = 60) -> Plan:
    """Two files of tests, and a recipe that takes a moment."""
    for name, text in (("test_some.py", TESTS), ("test_none.py", "")):
        (folder / name).write_text(text)
    for name in ("train", "dev", "test"):
        tones.corpus(folder, name, 1)
    recipe = tones.settings(folder, epochs=2)
    recipe.write_text(
        recipe.read_text().replace("bands = 12", "bands = 3").replace("= 16\ncontext = 2", "= 2\ncontext = 0")
    )
    tests = folder / "test_some.py", folder / "test_none.py"
    return Plan(Clock(time.monotonic(), minutes), PROBLEM, tests, (recipe,))


class Pipe(list):
    send = list.append

    def rows(self) -> dict:
        return {name: row for name, row, _ in filter(None, self)}


def check(rows: dict) -> None:
    """The rows of a run in which everything goes well that can go well without a GPU."""
    failed = {name for name, row in rows.items() if "failed" in row}
    assert failed == {"test some"}, {name: rows[name] for name in failed}
    tests = rows["test some"]
    assert (tests["passed"], tests["left out"], len(tests["failures"])) == (1, 1, 1)
    assert "assert 1 == 2" in str(tests["failures"])
    names = "layer, fp32", "weight gradient, tf32", "recurrence, persistent", "ctc, fp32", "layer 1, fp32"
    for name in names:
        assert rows[name]["ms"] > 0
        assert rows[name]["error"] < 1e-3
        assert gpu_table.floor_ms(rows[name], GPU) > 0
    assert rows["recurrence, graph"]["us/direction-step"] > 0
    assert rows["step, fp32"]["loss"] == pytest.approx(rows["step, tf32"]["loss"], rel=1e-2)
    assert "check fp32, persistent" in rows
    assert "check equal bits: recurrence backward, persistent" in rows
    assert rows["train tones"]["epochs"] == rows["train tones"]["of"] == 2
    assert rows["train tones"]["test WER"] > 0
    text = gpu_table.table(rows)
    assert "tests and checks that failed" in text
    assert "1.000, at most 0: MISSED" in text


@pytest.mark.skipif(not driver.simulated(), reason="there is a GPU")
def test_everything_in_the_simulator(monkeypatch, tmp_path):
    monkeypatch.setattr("minids.training.trainer.self_check", lambda *_: None)
    checks = [gradcheck.Check("a gradient", 1e-6, 1e-5)]  # the real ones are in tests/ops/cuda
    monkeypatch.setattr(gradcheck, "check_backend", lambda *_, **options: checks)
    monkeypatch.setattr(gpu_parts, "ms", lambda call: 1.0)
    monkeypatch.setattr(gpu_parts, "gpu", lambda problem, save: GPU)
    if find_spec("torch"):
        from benchmarks import gpu_peers

        monkeypatch.setattr(gpu_peers, "DEVICE", "cpu")
        monkeypatch.setattr(gpu_peers, "event", WallClock)
    gpu.work(pipe := Pipe(), {}, plan(tmp_path))
    assert pipe[-1] is None
    check(pipe.rows())


class WallClock:
    """An event of the CPU."""

    def record(self):
        self.time = time.perf_counter()

    def synchronize(self):
        pass

    def elapsed_time(self, end):
        return 1e3 * (end.time - self.time)


@pytest.mark.slow
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_everything_on_compiled_kernels(monkeypatch, tmp_path):
    """In less than a minute when they are compiled."""
    monkeypatch.setenv("MINIDS_SIM", "0")
    monkeypatch.setattr(gpu, "STARTING", PATIENCE)
    rows = gpu.supervise(plan(tmp_path), str(tmp_path / "gpu.json"), work=executed_work)
    assert rows.pop("problems")["found"] == []
    assert json.loads((tmp_path / "gpu.json").read_text())["rows"].keys() == rows.keys() | {"problems"}
    check(rows)


def executed_work(pipe, rows, plan):
    """`gpu.work` in a process that believes in a GPU."""
    from tests.ops.cuda.executor import driver

    driver.install(["h200"], "forward")

    def problems(_):
        yield "problems", lambda save: {"found": driver.problems}

    parts = [row[0] for row in gpu.PARTS if row[0] != gpu_parts.peers]  # PyTorch is not for this GPU
    gpu.PARTS = tuple((part, 1.0, PATIENCE) for part in (*parts, problems))
    gpu.work(pipe, rows, plan)
    sys.stdout.flush()
    os._exit(0)


# Parts that fail


def failing_work(pipe, rows, plan):
    def part(_):
        yield "right", lambda save: {"ms": 1.0}
        yield "absent", lambda save: absent()
        yield "wrong", lambda save: {"ms": 1 / 0}
        yield "poisoned", lambda save: poisoned()
        yield "after it", lambda save: {"ms": 3.0} if gpu.usable() else {}
        yield "ends", lambda save: (save({"passed": 3}), os._exit(5))
        yield "hangs", lambda save: time.sleep(600)
        yield "last", lambda save: {"ms": 2.0}

    def absent():
        raise InputError("not installed")

    def poisoned():
        gpu.usable = lambda: False
        raise InputError("the GPU reports ILLEGAL_ADDRESS") from RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS")

    def too_late(_):
        yield "too late", lambda save: {}

    gpu.usable = lambda: True
    gpu.PARTS = (part, 1.0, 2), (too_late, 0.0, 2)
    gpu.work(pipe, rows, plan)


def test_what_fails_does_not_stop_the_rest(monkeypatch, tmp_path, capsys):
    saved = []
    monkeypatch.setattr(gpu, "save", lambda path, results: saved.append(json.dumps(results)))
    rows = gpu.supervise(Plan(Clock(time.monotonic(), 1.0), PROBLEM), None, failing_work)
    assert {name: row.get("ms") for name, row in rows.items() if "ms" in row} == {
        "right": 1.0,
        "after it": 3.0,
        "last": 2.0,
    }
    failed = {name: row["failed"] for name, row in rows.items() if "failed" in row}
    assert failed == {
        "wrong": "ZeroDivisionError: division by zero",
        "poisoned": "InputError: the GPU reports ILLEGAL_ADDRESS",
        "ends": "not finished: its process ended with exit code 5",
        "hangs": "not finished: nothing for 2 s",
    }
    assert rows["ends"]["passed"] == 3
    assert rows["absent"]["skipped"] == "InputError: not installed"
    assert rows["too late"]["skipped"] == "no time was left"
    assert json.loads(saved[0])["rows"] == {"right": {"failed": "not finished"}}
    assert len(saved) >= 2 * 8
    assert "hangs: not finished: nothing for 2 s" in capsys.readouterr().out


def endless_work(pipe, rows, plan):
    gpu.OVERTIME = 1
    gpu.PARTS = (((lambda _: [("endless", lambda save: time.sleep(600))]), 1e6, 600),)
    gpu.work(pipe, rows, plan)


def test_nothing_lasts_long_beyond_the_minutes():
    rows = gpu.supervise(Plan(Clock(time.monotonic(), 0.001), PROBLEM), None, endless_work)
    assert rows == {"endless": {"failed": "not finished: nothing for 1 s"}}


def useless_work(pipe, rows, plan):
    raise MemoryError("no GPU")


def test_a_process_that_cannot_start_ends_the_run():
    with pytest.raises(SystemExit, match="ended with exit code 1 before its first result"):
        gpu.supervise(Plan(Clock(time.monotonic(), 1.0), PROBLEM), None, useless_work)


def test_only_rows_with_a_word_are_computed(monkeypatch):
    monkeypatch.setattr(
        gpu, "PARTS", ((lambda _: [(name, lambda save: {}) for name in ("a b", "c")], 1.0, 1),)
    )
    gpu.work(pipe := Pipe(), {}, Plan(Clock(time.monotonic(), 1.0), PROBLEM, words=("b",)))
    assert list(pipe.rows()) == ["a b"]


def test_a_wrong_result_is_not_timed():
    data = gpu_kernels.Data(PROBLEM)
    case = next(case for case in gpu_kernels.cases(data) if case.name == "layer, fp32")
    row = gpu_parts.time_case(case._replace(results=("dx",)), data, print)
    assert "the error is" in row["failed"]
    assert "ms" not in row


def test_seconds_averages_over_the_calls_of_a_round(monkeypatch):
    calls = []
    monkeypatch.setattr(time, "perf_counter", lambda: 3e-3 * len(calls))  # every call takes 3 ms
    times = gpu_kernels.seconds(lambda: calls.append(1), WallClock, rounds=4)
    assert times == [pytest.approx(0.003)] * 4
    assert len(calls) == 1 + 1 + 4 * 6  # six take 20 ms


def test_goals_are_met_missed_or_not_measured():
    rows = {
        "gpu": GPU,
        "test a": {},
        "check b": {},
        "layer, fp32": {"ms": 2.0},
        "layer, cublas": {"ms": 1.5},
        "recurrence, persistent": {"us/direction-step": 7.0},
        "step, fp32": {"ms": 3.0, "flops": 2.5e10},  # a floor of 2.5 ms
        "torch step, fp32": {"ms": 2.9},
        "train an4": {"test WER": 0.11},
    }
    met = {text: math.isnan(value) or value <= limit for text, value, limit in gpu_table.goals(rows)}
    assert [text for text in met if not met[text]] == [
        "recurrence, us per direction-step",
        "step, time / PyTorch's exact step",
    ]
    values = [value for _, value, _ in gpu_table.goals(rows)]
    assert values[0] == 0
    assert values[1] == pytest.approx(1.333, rel=1e-3)
    assert values[6] == pytest.approx(1.2)
    assert [math.isnan(value) for value in values] == [0, 0, 1, 1, 0, 1, 0, 0, 0]
    assert math.isnan(gpu_table.goals({})[0][1])


@pytest.mark.skipif(driver.has_gpu(), reason="there is a GPU")
def test_without_a_gpu_there_is_an_error(monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu"])
    with pytest.raises(SystemExit, match="there is no NVIDIA GPU here"):
        gpu.main()


def test_no_variable_changes_what_is_timed(monkeypatch):
    """With NVIDIA_TF32_OVERRIDE=1, cuBLAS and PyTorch would round in fp32, and with 0 not in TF32."""
    names, seen = {"MINIDS_SIM", "NVIDIA_TF32_OVERRIDE"}, []
    for name in names:
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("sys.argv", ["gpu"])
    monkeypatch.setattr(driver, "has_gpu", lambda: True)
    monkeypatch.setattr(gpu, "supervise", lambda *_: seen.append(names & os.environ.keys()))
    monkeypatch.setattr(gpu, "table", lambda _: "")
    gpu.main()
    assert seen == [set()]
