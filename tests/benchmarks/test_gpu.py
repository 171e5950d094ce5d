"""The benchmarks of the GPU, as far as they run without one: cases are right, the table true."""

import sys

import pytest

from minids.ops import driver

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda", reason="pip install minids[cuda]")
from benchmarks import gpu, gpu_kernels, gpu_process, gpu_proofs, gpu_table

SIZE = gpu_kernels.Size(T=5, B=2, H=6, F=2, C=1, K=4, U=2) if driver.simulated() else gpu_kernels.Size(T=50)
FACTS = {"bandwidth": 1e12, "flops": 1e13}


@pytest.fixture(scope="module")
def rows():
    return {case.name: gpu_table.placed(gpu.one(case, SIZE), FACTS, []) for case in gpu_kernels.cases(SIZE)}


@pytest.fixture(autouse=True, scope="module")
def one_round():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "ms", lambda call: 1.0)
        yield


def test_every_operation_is_right_and_is_timed(rows):
    failed = {name: row["failed"] for name, row in rows.items() if "failed" in row}
    if driver.simulated():
        assert set(failed) == {"product alone, cublas", "layer, cublas", "layer backward, cublas"}
    assert list(rows) == gpu_kernels.NAMES
    for row in rows.values():
        assert row["floor_ms"] > 0
        assert "failed" in row or row["ms"] == pytest.approx(1)


class Mark:
    """An event of a GPU on which a call takes 3 ms."""

    now = 0.0

    def record(self):
        self.time = Mark.now

    def synchronize(self):
        pass

    def elapsed_time(self, end):
        return end.time - self.time


def test_time_is_what_the_gpu_says_for_a_call_among_many():
    def call():
        Mark.now += 3.0

    taken = gpu_kernels.seconds(call, Mark, rounds=4)
    assert taken == [pytest.approx(0.003)] * 4
    assert Mark.now == 3 * (1 + 1 + 4 * 6)  # six take 20 ms


def test_an_operation_that_is_wrong_is_not_timed():
    case = gpu_kernels.cases(SIZE)[gpu_kernels.NAMES.index("context")]
    row = gpu.one(case._replace(expected=lambda: 1 + case.expected()), SIZE)
    assert "context is wrong by" in row["failed"]
    assert "ms" not in row


@pytest.mark.parametrize("name", ["step, fp32", "step, tf32"])
def test_a_whole_step_is_timed(name):
    row = gpu_table.placed({"name": name, **gpu.only(name, SIZE)}, FACTS, [{"loss": 1.0}])
    assert row["ms"] == pytest.approx(1)
    assert row["floor_ms"] > 0
    assert row["loss_apart"] == pytest.approx(abs(row["loss"] - 1))


def test_a_row_whose_process_dies_hangs_or_babbles_is_named():
    def said(program, limit=60.0):
        return gpu_process.row_of([sys.executable, "-c", program], "a", limit)

    assert said("print('first'); print('{\"ms\": 2}')") == {"name": "a", "ms": 2}
    assert "exit code 3" in said("raise SystemExit(3)")["failed"]
    assert "out of memory" in said("raise MemoryError('out of memory')")["failed"]
    assert "JSON" in said("print('nothing')")["failed"]
    hangs = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    assert "not done after" in said(hangs, 1.0)["failed"]
    assert "passed" in gpu.guarded(lambda: 1 / 0)


def test_pytorch_failing_leaves_our_row(monkeypatch):
    monkeypatch.setattr(gpu, "apart", lambda name: {"name": name, "failed": "no room"})
    ours = {"name": "ctc", "ms": 1.0, "peer": "ctc"}
    assert gpu.beside(ours) == {**ours, "torch_failed": "no room"}
    monkeypatch.setattr(gpu, "apart", lambda name: {"name": name, "torch_ms": 2.0})
    assert gpu.beside(ours) == {**ours, "torch_ms": 2.0}


def test_facts_that_cannot_be_had_leave_the_others(monkeypatch):
    def missing(*_):
        raise FileNotFoundError("nvidia-smi")

    monkeypatch.setattr(gpu, "ran", missing)
    monkeypatch.setattr(gpu, "bandwidth", lambda facts: {"bandwidth": 1.0})
    monkeypatch.setattr(driver, "capability", lambda: (9, 0))
    facts = gpu.gpu()
    assert facts["bandwidth"] == 1.0
    assert "nvidia-smi" in facts["peak failed"]
    assert gpu_table.placed({"name": "a", "flops": 1.0}, {}, [])["floor_ms"] is None


def test_the_small_network_of_the_sanitizer_is_right_in_every_way(monkeypatch):
    if driver.simulated():  # where a graph is the launches of the other way, to the last bit
        monkeypatch.setattr(gpu_proofs, "WAYS", ("persistent", "graph"))
    errors = gpu_proofs.sanitized(*((4, 1) if driver.simulated() else (64, 2)))["errors"]
    assert {f"fp32, {way}" for way in gpu_proofs.WAYS if way != "persistent"} <= set(errors)


def test_the_persistent_recurrence_repeats_itself_bit_by_bit():
    found = gpu_proofs.stress(SIZE, 3)
    assert found == {"passed": True, "repeats": 3, "different": 0, "finite": True}


def test_the_table_names_what_is_met_missed_and_not_measured(rows):
    steps = [{"name": "step, fp32", "ms": 60.0, "floor_ms": 26.0}, {"name": "step, torch fn", "ms": 90.0}]
    slow = {**rows["ctc"], "ms": 0.7}
    results = {"operations": [slow], "steps": [{"floor_ms": 26.0, **row} for row in steps]}
    assert dict(gpu_table.bars(results)) == {
        "tests, proofs, sanitizer and stress": None,
        "a layer >= 60 % of cuBLAS's product": None,
        "recurrence <= 12 us a direction-step": None,
        "its backward loop <= 12 us a direction-step": None,
        "CTC <= 0.5 ms": False,
        "step <= 2 x the fp32 floor": False,
        "step faster than PyTorch's with our clip": True,
    }
    results["operations"] += [
        {"name": gpu_kernels.RNN[0], "torch_ms": 3.0},
        {"name": "norm", "failed": "broken"},
    ]
    said = gpu_table.table(results)
    assert "broken" in said
    assert "MISSED" in said
    assert "not measured" in said
    assert "ctc" in said


@pytest.mark.skipif(driver.found(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu"])
    with pytest.raises(SystemExit, match="there is no NVIDIA GPU here"):
        gpu.main()


def test_a_misspelt_recipe_is_named_at_once(monkeypatch, capsys):
    """Not after the hour that all before it takes."""
    monkeypatch.setattr("sys.argv", ["gpu", "--recipes", "an5"])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "invalid choice: 'an5'" in capsys.readouterr().err


def test_tests_that_cannot_begin_say_why(monkeypatch):
    """Without pytest, say, whose absence is told on stderr."""
    monkeypatch.setattr(gpu, "ran", lambda *_: (1, "", "No module named pytest\n"))
    assert gpu.tests() == {"passed": False, "summary": ["No module named pytest"]}
