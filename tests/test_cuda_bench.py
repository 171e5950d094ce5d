"""The benchmarks of the GPU, as far as they run without one: cases are right, the table true."""

import pytest

from minids.ops import driver

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda", reason="pip install minids[cuda]")
from benchmarks import gpu, gpu_kernels

SIZE = gpu_kernels.Size(T=5, B=2, H=6, F=2, C=1, K=4, U=2) if driver.simulated() else gpu_kernels.Size(T=50)
FACTS = {"bandwidth": 1e12, "flops": 1e13}


@pytest.fixture(scope="module")
def rows():
    return {row["name"]: row for row in gpu.operations(SIZE, FACTS, None)}


@pytest.fixture(autouse=True, scope="module")
def one_round():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "seconds", lambda call, wait: [0.001])
        yield


def test_every_operation_is_right_and_is_timed(rows):
    failed = {name: row["failed"] for name, row in rows.items() if "failed" in row}
    if driver.simulated():
        assert set(failed) == {"layer, cublas", "layer backward, cublas"}
    names = {"context", "layer, fp32", "recurrence, persistent", "log_softmax", "ctc", "norm", "nesterov"}
    assert names <= set(rows)
    for row in rows.values():
        assert row["floor_ms"] > 0
        assert "failed" in row or row["ms"] == pytest.approx(1)


def test_an_operation_that_is_wrong_is_not_timed():
    case = gpu_kernels.cases(SIZE)[0]
    row = gpu.one(case._replace(expected=lambda: 1 + case.expected()), SIZE, FACTS, None)
    assert "context is wrong by" in row["failed"]
    assert "ms" not in row


def test_a_whole_step_is_timed():
    rows = {row["name"]: row for row in gpu.steps(SIZE, FACTS, None)}
    assert rows["step, fp32"]["ms"] == pytest.approx(1)
    assert list(rows) == ["step, fp32", "step, tf32", "step, cublas"]


def test_the_table_names_what_is_met_missed_and_not_measured(rows):
    steps = [{"name": "step, fp32", "ms": 60.0, "floor_ms": 26.0}, {"name": "step, torch fn", "ms": 90.0}]
    slow = {**rows["ctc"], "ms": 0.7}
    results = {"operations": [slow], "steps": [{"floor_ms": 26.0, **row} for row in steps]}
    assert dict(gpu.bars(results)) == {
        "tests, proofs and sanitizer": None,
        "a layer >= 60 % of cuBLAS": None,
        "recurrence <= 12 us a direction-step": None,
        "CTC <= 0.5 ms": False,
        "step <= 2 x the fp32 floor": False,
        "step faster than PyTorch's with our clip": True,
    }
    said = gpu.table(results)
    assert "MISSED" in said
    assert "not measured" in said
    assert "ctc" in said


@pytest.mark.skipif(driver.found(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu"])
    with pytest.raises(SystemExit, match="there is no NVIDIA GPU here"):
        gpu.main()
