"""The GPU benchmarks, as far as they run without a GPU: results of cases, processes and the table."""

import sys

import pytest

from minids.ops import driver

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda", reason="pip install minids[cuda]")
from benchmarks import gpu, gpu_checks, gpu_kernels, gpu_process, gpu_table

SIZE = gpu_kernels.Size(T=5, B=2, H=6, F=2, C=1, K=4, U=2) if driver.simulated() else gpu_kernels.Size(T=50)
FACTS = {"bandwidth": 1e12, "flops": 1e13}


@pytest.fixture(scope="module")
def rows():
    return {
        case.name: gpu_table.with_floor(gpu.measured(case, SIZE), FACTS, [])
        for case in gpu_kernels.cases(SIZE)
    }


@pytest.fixture(autouse=True, scope="module")
def no_timing():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "ms", lambda call: 1.0)
        yield


def test_every_operation_is_checked_and_timed(rows):
    failed = {name: row["failed"] for name, row in rows.items() if "failed" in row}
    if driver.simulated():
        assert set(failed) == {"product alone, cublas", "layer, cublas", "layer backward, cublas"}
    assert list(rows) == gpu_kernels.NAMES
    for row in rows.values():
        assert row["floor_ms"] > 0
        assert "failed" in row or row["ms"] == pytest.approx(1)


class Event:
    """An event on a GPU where every call takes 3 ms."""

    now = 0.0

    def record(self):
        self.time = Event.now

    def synchronize(self):
        pass

    def elapsed_time(self, end):
        return end.time - self.time


def test_seconds_averages_over_the_calls_of_a_round():
    def call():
        Event.now += 3.0

    times = gpu_kernels.seconds(call, Event, rounds=4)
    assert times == [pytest.approx(0.003)] * 4
    assert Event.now == 3 * (1 + 1 + 4 * 6)  # six take 20 ms


def test_a_wrong_result_is_not_timed():
    case = gpu_kernels.cases(SIZE)[gpu_kernels.NAMES.index("context")]
    row = gpu.measured(case._replace(expected=lambda: 1 + case.expected()), SIZE)
    assert "context has an error of" in row["failed"]
    assert "ms" not in row


@pytest.mark.parametrize("name", ["step, fp32", "step, tf32"])
def test_a_whole_step_is_timed(name):
    row = gpu_table.with_floor({"name": name, **gpu.only(name, SIZE)}, FACTS, [{"loss": 1.0}])
    assert row["ms"] == pytest.approx(1)
    assert row["floor_ms"] > 0
    assert row["loss_difference"] == pytest.approx(abs(row["loss"] - 1))


def test_a_failing_process_is_reported():
    def row(program, limit=60.0):
        return gpu_process.json_of([sys.executable, "-c", program], "a", limit)

    assert row("print('first'); print('{\"ms\": 2}')") == {"name": "a", "ms": 2}
    assert "exit code 3" in row("raise SystemExit(3)")["failed"]
    assert "out of memory" in row("raise MemoryError('out of memory')")["failed"]
    assert "JSON" in row("print('nothing')")["failed"]
    hangs = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    assert "not finished after" in row(hangs, 1.0)["failed"]
    assert "ZeroDivisionError" in gpu.run_part(lambda: 1 / 0)["failed"]


def test_a_failure_of_pytorch_leaves_our_row(monkeypatch):
    monkeypatch.setattr(gpu, "in_process", lambda name: {"name": name, "failed": "out of memory"})
    row = {"name": "ctc", "ms": 1.0, "peer": "ctc"}
    assert gpu.with_torch(row) == {**row, "torch_failed": "out of memory"}
    monkeypatch.setattr(gpu, "in_process", lambda name: {"name": name, "torch_ms": 2.0})
    assert gpu.with_torch(row) == {**row, "torch_ms": 2.0}


def test_missing_facts_about_the_gpu_leave_the_others(monkeypatch):
    def missing(*_):
        raise FileNotFoundError("nvidia-smi")

    monkeypatch.setattr(gpu, "run", missing)
    monkeypatch.setattr(gpu, "bandwidth", lambda facts: {"bandwidth": 1.0})
    monkeypatch.setattr(driver, "capability", lambda: (9, 0))
    facts = gpu.gpu()
    assert facts["bandwidth"] == 1.0
    assert "nvidia-smi" in facts["peak failed"]
    assert gpu_table.with_floor({"name": "a", "flops": 1.0}, {}, [])["floor_ms"] is None


def test_the_small_network_of_the_sanitizer_is_right(monkeypatch):
    if driver.simulated():  # "graph" and "launches" are the same in the simulator
        monkeypatch.setattr(gpu_checks, "RECURRENCES", ("persistent", "graph"))
    errors = gpu_checks.sanitized(*((4, 1) if driver.simulated() else (64, 2)))["errors"]
    assert {f"fp32, {kind}" for kind in gpu_checks.RECURRENCES if kind != "persistent"} <= set(errors)


def test_the_persistent_recurrence_is_reproducible():
    result = gpu_checks.stress(SIZE, 3)
    assert result == {"passed": True, "repeats": 3, "different": 0, "finite": True}


def test_the_table_shows_goals_met_missed_and_not_measured(rows):
    steps = [{"name": "step, fp32", "ms": 60.0, "floor_ms": 26.0}, {"name": "step, torch fn", "ms": 90.0}]
    slow = {**rows["ctc"], "ms": 0.7}
    results = {"operations": [slow], "steps": [{"floor_ms": 26.0, **row} for row in steps]}
    assert dict(gpu_table.goals(results)) == {
        "tests, check, sanitizer and stress": None,
        "a layer >= 60 % of cuBLAS's product": None,
        "recurrence <= 12 us per direction-step": None,
        "backward loop <= 12 us per direction-step": None,
        "CTC <= 0.5 ms": False,
        "step <= 2 x the fp32 floor": False,
        "step faster than PyTorch with our clip": True,
    }
    results["operations"] += [
        {"name": gpu_kernels.TORCH_RNN[0], "torch_ms": 3.0},
        {"name": "norm", "failed": "broken"},
    ]
    text = gpu_table.table(results)
    assert "broken" in text
    assert "MISSED" in text
    assert "not measured" in text
    assert "ctc" in text


@pytest.mark.skipif(driver.has_gpu(), reason="there is a GPU")
def test_without_a_gpu_there_is_an_error(monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu"])
    with pytest.raises(SystemExit, match="there is no NVIDIA GPU here"):
        gpu.main()


def test_an_unknown_recipe_is_reported_at_once(monkeypatch, capsys):
    """Not after all other parts have run."""
    monkeypatch.setattr("sys.argv", ["gpu", "--recipes", "an5"])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "invalid choice: 'an5'" in capsys.readouterr().err


def test_tests_that_cannot_start_are_reported(monkeypatch):
    """For example, without pytest, whose absence is reported on stderr."""
    monkeypatch.setattr(gpu, "run", lambda *_: (1, "", "No module named pytest\n"))
    assert gpu.tests() == {"passed": False, "summary": ["No module named pytest"]}
