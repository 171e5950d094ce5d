"""Ranks on several GPUs: the gradients are summed by NCCL or by the host, and errors are one line.

NCCL is a stand-in, and the GPUs of the slow tests are tests/ops/cuda/executor.
"""

import inspect
import sys

import numpy as np
import pytest

from minids import DeepSpeech, ops
from minids._utils.errors import InputError
from minids.data.batches import Batch
from minids.model import ModelSettings
from minids.ops import diagnosis, driver
from minids.training import nccl
from minids.training.parallel import ProcessGroup
from minids.training.step import step
from tests import tones
from tests.ops.cuda.test_executor import missing
from tests.tolerances import FLOAT32_TEN_STEPS
from tests.training import nccl_stand_in
from tests.training.test_parallel import HERE, mpi, mpiexec, train, weights

executor = pytest.mark.skipif(missing() is not None, reason=str(missing()))
COUNTS = np.arange(5, dtype=np.float32)


class First(ProcessGroup):
    """Rank 0 of two. The values that it gathers may be set: {own value: those of all}."""

    size = 2

    def __init__(self, **gathered):
        super().__init__()
        self.gathered = gathered

    def allgather(self, value):
        return self.gathered.get(str(value), [value] * 2)

    def allreduce_sum(self, array):
        array *= 2
        return array


@pytest.fixture
def library(monkeypatch):
    for name, module in nccl_stand_in.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    nccl_stand_in.calls.clear()
    return nccl_stand_in


@pytest.fixture
def gpu():
    pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")
    return ops.load("cuda")


def connected(ranks, gpu):
    """An array on the GPU, and what was logged."""
    lines = []
    array = gpu.arrays.from_host(COUNTS)
    ranks.connect_gpus(array, gpu.arrays, lines.append)
    return gpu.arrays.copy(COUNTS, array), *lines


def test_nccl_sums_the_gradients_where_it_is_installed(library, gpu):
    ranks = First()
    gradients, line = connected(ranks, gpu)
    assert line == "NCCL 2.32.3 sums the gradients of 2 ranks on their GPUs"
    ranks.sum_gradients(gradients, gpu.arrays)
    np.testing.assert_array_equal(gpu.arrays.to_host(gradients), 3 * COUNTS)
    assert library.calls == [("init", 2, 0, b"key"), *[("allreduce", library.SUM, 0)] * 2]


@pytest.mark.parametrize(
    ("gathered", "why"),
    [
        ({"2.32.3": ["2.32.3", None]}, "rank 1 has no NCCL; pip install 'minids[nccl]'"),
        ({"2.32.3": ["2.32.3", "2.27.5"]}, "rank 1 has NCCL 2.27.5, and rank 0 2.32.3"),
        ({"1": [1, 2]}, "NCCL needs a GPU for every rank"),
    ],
)
def test_otherwise_the_host_sums_them(library, gpu, gathered, why):
    ranks = First(**gathered)
    gradients, line = connected(ranks, gpu)
    assert line == f"the gradients of 2 ranks are summed in host memory: {why}"
    ranks.sum_gradients(gradients, gpu.arrays)
    np.testing.assert_array_equal(gpu.arrays.to_host(gradients), 2 * COUNTS)
    assert not library.calls


def test_the_advice_is_for_the_cuda_in_use(monkeypatch, library):
    monkeypatch.setattr(diagnosis, "toolkit", lambda: diagnosis.OLDER)
    why = nccl.obstacle(First(**{"2.32.3": [None, "2.32.3"]}))
    assert why == "rank 0 has no NCCL; pip install 'minids[nccl12]'"


def test_a_machine_without_nccl_has_no_version(monkeypatch, library):
    assert nccl.version() == "2.32.3"
    monkeypatch.setattr(library, "get_version", lambda: type("Versions", (), {"libnccl": None}))
    assert nccl.version() is None, "the binding without the library"
    monkeypatch.setitem(sys.modules, "nccl.core", None)
    assert nccl.version() is None


def fail(*arguments, **options):
    raise RuntimeError("unhandled cuda error\n(run with NCCL_DEBUG=INFO for details)")


@pytest.mark.parametrize(
    ("broken", "answer", "message"),
    [
        ("get_unique_id", fail, r"NCCL failed \(unhandled cuda error \(run .*\); NCCL_DEBUG=INFO tells why"),
        ("reduce", fail, r"NCCL failed \(unhandled"),
        ("reduce", np.copy, "NCCL adds wrongly on these GPUs: set NCCL_P2P_DISABLE=1"),
    ],
)
def test_a_library_that_does_not_work_ends_training_in_one_line(
    monkeypatch, library, gpu, broken, answer, message
):
    monkeypatch.setattr(library, broken, answer)
    with pytest.raises(InputError, match=message) as caught:
        connected(First(), gpu)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["get_version", "get_unique_id", "Communicator.init", "Communicator.allreduce"]
)
def test_the_stand_in_has_the_signatures_of_the_library(name):
    real = pytest.importorskip("nccl.core", reason="pip install 'minids[nccl]'")

    def parameters(module):
        for part in name.split("."):
            module = getattr(module, part)
        return [(p.name, p.kind, p.default) for p in inspect.signature(module).parameters.values()]

    assert parameters(real) == parameters(nccl_stand_in)
    assert int(real.SUM) == nccl_stand_in.SUM
    assert hasattr(real.LibraryInfo, "version") or "version" in real.LibraryInfo.__annotations__
    assert "libnccl" in real.VersionInfo.__annotations__


def test_all_ranks_clip_by_the_same_norm():
    """That of rank 0. Another kind of GPU may round it differently, and replicas would drift apart."""

    class Second(ProcessGroup):
        rank, size = 1, 2

        def allreduce_sum(self, array):
            if array.size == 3:  # utterances, invalid ones, norm
                np.testing.assert_array_equal(array, [2, 0, 0])
                array += [2, 0, 8.0]
            return array

    model = DeepSpeech(ModelSettings(3, 4, hidden=5))
    lengths, ones = np.array([6, 5], np.int32), np.ones(2, np.int32)
    batch = Batch([0, 1], np.ones((6, 2, 3), np.float32), lengths, ones[:, None], ones)
    _, norm = step(model, np.zeros_like(model.flat_params), batch, None, 0.1, 0.9, 1.0, Second())
    assert norm == 8.0 / 4


# `minids train` on pretended GPUs


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Recordings, and the run of one process on one GPU."""
    folder = tmp_path_factory.mktemp("gpus")
    tones.corpus(folder, "train", 7)
    tones.corpus(folder, "dev", 3, seed=1)
    settings = tones.settings(folder, epochs=2)
    done = train_on("h200", "host", settings, folder / "alone", ranks=1)
    assert done.returncode == 0, done.err
    return folder, settings


def train_on(gpus, library, settings, run, ranks=2):
    arguments = *train(settings, run)[2:], "--backend", "cuda"
    return mpiexec((HERE / "mpi_gpus.py", gpus, library, *arguments), ranks=ranks)


@mpi
@executor
@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpus", "library", "line"),
    [
        ("t4,h200", "nccl", "NCCL 2.32.3 sums the gradients of 2 ranks on their GPUs"),
        ("t4,h200", "nccl host", "are summed in host memory: rank 1 has no NCCL; pip install 'minids[nccl]'"),
        ("h200", "nccl", "are summed in host memory: NCCL needs a GPU for every rank"),
    ],
)
def test_ranks_on_gpus_train_the_weights_of_one_process(place, tmp_path, gpus, library, line):
    """On two GPUs, or on one."""
    folder, settings = place
    done = train_on(gpus, library, settings, tmp_path / "run")
    assert done.returncode == 0, done.err
    assert done.err.count(line) == 1
    for rank in (0, 1):
        assert f"rank {rank}: GPUs {{{rank % len(gpus.split(','))}}}, problems []" in done.err
    np.testing.assert_allclose(weights(tmp_path / "run"), weights(folder / "alone"), atol=FLOAT32_TEN_STEPS)


@mpi
@executor
@pytest.mark.slow
def test_a_rank_without_a_gpu_ends_the_job_in_one_line(place, tmp_path):
    done = train_on("t4,h200 none", "host", place[1], tmp_path / "run")
    assert done.returncode != 0
    assert done.err.count("minids: error: rank 1: ") == 1
    assert "Traceback" not in done.err
    assert not (tmp_path / "run").exists()
