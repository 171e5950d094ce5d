"""Training on several ranks gives the weights of one, and errors end the job. Uses mpiexec."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minids import Features
from minids._utils.errors import InputError
from minids.data.batches import Batches
from minids.data.manifest import Utterance, read_manifest
from minids.ops import load
from minids.text import Alphabet
from minids.training.parallel import ProcessGroup, _share_of_cores, check_time_split
from minids.training.reporting import check_resources
from minids.training.settings import read_settings
from minids.training.trainer import Trainer
from minids.weights import load_model
from tests import tones
from tests.tolerances import FLOAT32_TEN_STEPS, FLOAT64_ORDER

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
HERE = Path(__file__).parent


def has_mpi() -> bool:
    try:
        import mpi4py  # noqa: F401
    except ImportError:
        return False
    return MPIEXEC is not None


mpi = pytest.mark.skipif(not has_mpi(), reason="no MPI here; pip install '.[mpi]'")


def mpiexec(*programs, ranks=2, wait=True):
    """Start each program on an equal part of the ranks; with `wait`, until the end. Returns the process."""
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    command = [MPIEXEC, *root, "--oversubscribe"]
    ranks_per_program = ranks // len(programs)
    for i, program in enumerate(programs):
        command += [":"] * bool(i) + ["-n", str(ranks_per_program), sys.executable, *map(str, program)]
    path = f"{HERE.parents[1]}:{os.environ.get('PYTHONPATH', '')}"
    environment = os.environ | {"PYTHONPATH": path, "NUMBA_NUM_THREADS": "1"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, **streams)
    if wait:
        try:
            process.out, process.err = process.communicate(timeout=240)
        finally:
            process.kill()
    return process


def train(settings, run, *options):
    return ("-m", "minids", "train", settings, "--run", run, *options)


def descendants(ancestor):
    """The Python processes among the descendants of a process."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,comm="], capture_output=True, text=True).stdout
    family = {ancestor}
    found = []
    for pid, parent, name in (line.split(None, 2) for line in listed.splitlines()):
        if int(parent) in family:
            family.add(int(pid))
            found += [int(pid)] * name.startswith("python")
    return found


def weights(run):
    return load_model(run / "last.safetensors").model.flat_params


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Ten recordings, in noise, and a run of one process on them, of two epochs.

    One recording cannot be read, and of the last batch none can.
    """
    folder = tmp_path_factory.mktemp("parallel")
    tones.corpus(folder, "train", 10)
    tones.corpus(folder, "dev", 3, seed=1)
    lines = map(json.loads, (folder / "train.jsonl").read_text().splitlines())
    *_, longer, longest = sorted(lines, key=lambda line: line["duration"])
    for lost in ("train/4.wav", longer["path"], longest["path"]):
        (folder / lost).write_text("no recording")
    settings = tones.settings(folder, [str(tones.hiss(folder / "hiss.wav"))], epochs=2)
    subprocess.run([sys.executable, *train(settings, folder / "alone")], check=True, capture_output=True)
    return folder, settings


# Shares of a batch


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_ranks_share_every_batch_without_overlap_or_loss(size):
    utterances = [Utterance(Path(f"{i}.wav"), "a", 1 + i % 5) for i in range(23)]
    arguments = utterances, Features(), Alphabet("ab"), 4
    groups = Batches(*arguments)._groups
    shards = []
    for rank in range(size):
        ranks = ProcessGroup()
        ranks.rank, ranks.size = rank, size
        shards.append(Batches(*arguments, shard=ranks.shard)._groups)
        assert len(shards[-1]) == len(groups), "all ranks take the same steps"
    for n, group in enumerate(groups):
        assert sorted(i for shard in shards for i in shard[n]) == sorted(group)


def test_a_single_process_communicates_with_nobody():
    ranks = ProcessGroup()
    array = np.ones(3)
    assert ranks.allreduce_sum(array) is array
    assert (ranks.allgather(5), ranks.broadcast(6), ranks.is_main) == ([5], 6, True)
    ranks.assert_equal(object(), "anything")
    with pytest.raises(InputError, match="two ranks, on the CPU; use mpiexec -n 2"):
        check_time_split(ranks, "cpu")


@pytest.mark.parametrize(("size", "needs_mpi"), [("1", False), ("2", True)])
def test_a_single_process_of_a_scheduler_needs_no_mpi4py(monkeypatch, size, needs_mpi):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    for name in ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PMI_SIZE", size)
    with pytest.raises(InputError, match="needs mpi4py") if needs_mpi else nullcontext():
        assert ProcessGroup.world().size == 1


@mpi
def test_mpiexec_of_another_mpi_is_refused(monkeypatch):
    """Each process would train alone."""
    from mpi4py import MPI

    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setattr(MPI, "COMM_WORLD", MPI.COMM_SELF)
    with pytest.raises(InputError, match="mpiexec and mpi4py belong to different MPIs"):
        ProcessGroup.world()


@pytest.mark.parametrize(
    ("cores", "shares"),
    [
        ([{0, 1, 2, 3}], [4]),
        ([{0, 1, 2, 3}] * 2, [2, 2]),  # mpiexec --bind-to none
        ([{0, 1}, {2, 3}], [2, 2]),  # bound to two cores each
        ([{0}] * 2, [1, 1]),  # oversubscribed
        ([{0}, {1, 2, 3}], [1, 2]),
    ],
)
def test_ranks_of_a_machine_share_its_cores(cores, shares):
    assert [_share_of_cores(cores, rank) for rank in range(len(cores))] == shares


def test_ranks_evaluate_their_shares_as_a_single_process_does(tmp_path):
    for name in ("train", "dev"):
        tones.corpus(tmp_path, name, 5)
    settings = tones.settings(tmp_path)
    settings.write_text(settings.read_text().replace("bands", 'normalize = "speaker"\nbands'))
    frames = []
    for rank, size in ((0, 1), (0, 2), (1, 2)):
        ranks = ProcessGroup()
        ranks.rank, ranks.size = rank, size
        trainer = Trainer(read_settings(settings), tmp_path / "run", ranks=ranks)
        trainer.prepare()
        made = trainer.dev_batches.in_length_order()
        frames.append({i: b.frames[: b.lengths[k], k] for b in made for k, i in enumerate(b.indices)})
    alone, *shares = frames
    assert sorted([*shares[0], *shares[1]]) == sorted(alone)
    for share in shares:
        assert share
        for i, theirs in share.items():
            np.testing.assert_array_equal(theirs, alone[i])


@pytest.mark.parametrize("equal", [0, 1])
def test_different_replicas_are_noticed_before_anything_is_written(tmp_path, equal):
    """From the start, or after the first epoch."""

    class Drifting(ProcessGroup):
        checks = 0

        def allgather(self, value):
            if not isinstance(value, int):
                return [value]
            self.checks += 1  # the checksum of the weights
            return [value, value + (self.checks > equal)]

    for name in ("train", "dev"):
        tones.corpus(tmp_path, name, 3)
    trainer = Trainer(read_settings(tones.settings(tmp_path)), tmp_path / "run", ranks=Drifting())
    with pytest.raises(InputError, match="rank 1 has other weights than rank 0"):
        trainer.run()
    assert trainer.ranks.checks == equal + 1
    assert not (tmp_path / "run").exists()


class Job:
    """The part of MPI that ProcessGroup uses when a rank fails."""

    ended = None

    def Abort(self, code):
        self.ended = code


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("a.wav: gone"), "minids: error: rank 1: a.wav: gone\n"),
        (MemoryError(), "minids: error: rank 1: MemoryError: MemoryError\n"),
        (ZeroDivisionError("by 0"), "minids: error: rank 1: ZeroDivisionError: by 0\n"),
    ],
)
def test_an_error_of_one_rank_is_reported_and_ends_the_job(monkeypatch, capsys, error, said):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    ranks = ProcessGroup()
    ranks.rank, ranks.size, ranks.comm = 1, 2, Job()
    with pytest.raises(SystemExit), ranks.abort_on_error():
        raise error
    assert ranks.comm.ended == 1
    err = capsys.readouterr().err
    assert err.endswith(said)
    assert ("Traceback" in err) == isinstance(error, ZeroDivisionError), "a bug of ours shows where it is"
    with pytest.raises(type(error)), ProcessGroup().abort_on_error():
        raise error


def test_the_memory_of_all_ranks_of_a_machine_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("minids.training.reporting.available_memory", lambda backend: 1e9)
    tones.corpus(tmp_path, "train", 4)
    settings = read_settings(tones.settings(tmp_path))
    (tmp_path / "dev.jsonl").write_text((tmp_path / "train.jsonl").read_text())
    train, dev = (read_manifest(tmp_path / f"{name}.jsonl") for name in ("train", "dev"))
    batch_sizes = []

    def memory(network, max_frames, batch_size, backend, buffers):
        batch_sizes.append(batch_size)
        return 300_000_000

    monkeypatch.setattr("minids.training.reporting.memory", memory)
    many = ProcessGroup()
    many.size = many.local_size = 4
    cpu = load("cpu")
    assert "about 0.30 GB" in check_resources(settings, train, dev, cpu, ProcessGroup(), ProcessGroup())
    with pytest.raises(InputError, match=r"in a batch of 4 needs 1\.2 GB, 1\.0 GB are free"):
        check_resources(settings, train, dev, cpu, many, many)
    assert batch_sizes == [4, 1]
    many.ranks_per_gpu = 2
    with pytest.raises(InputError, match=r"needs 1\.2 GB"):
        check_resources(settings, train, dev, cpu, many, many)
    on_gpu = replace(cpu, name="cuda")
    assert "about 0.60 GB" in check_resources(settings, train, dev, on_gpu, many, many)


# Data parallelism


@mpi
@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_several_ranks_train_the_weights_of_one(place, ranks):
    folder, settings = place
    run = folder / f"ranks{ranks}"
    done = mpiexec(train(settings, run), ranks=ranks)
    assert done.returncode == 0, done.err
    assert done.out == f"{run / 'best.safetensors'}\n", "one rank prints"
    assert done.err.count("epoch   2/2") == 1
    assert done.err.count("4.wav") == 1
    np.testing.assert_allclose(weights(run), weights(folder / "alone"), atol=FLOAT32_TEN_STEPS)
    texts = [(path / "metrics.jsonl").read_text() for path in (run, folder / "alone")]
    rows = [[json.loads(line) for line in text.splitlines()] for text in texts]
    for ours, alone in zip(*rows, strict=True):
        assert ours["loss"] == pytest.approx(alone["loss"], rel=1e-4)
        for name in ("wer", "utterances", "skipped"):
            assert ours[name] == alone[name]
    assert rows[0][0]["skipped"] == 3


@mpi
@pytest.mark.slow
def test_a_run_resumes_with_another_number_of_ranks(place):
    folder, settings = place
    run = folder / "changing"
    first_epoch = settings.with_name("one.toml")
    first_epoch.write_text(settings.read_text().replace("epochs = 2", "epochs = 1"))
    assert mpiexec(train(first_epoch, run), ranks=3).returncode == 0
    subprocess.run([sys.executable, *train(settings, run)], check=True, capture_output=True)
    np.testing.assert_allclose(weights(run), weights(folder / "alone"), atol=FLOAT32_TEN_STEPS)


@mpi
@pytest.mark.slow
def test_a_signal_to_one_rank_saves_and_a_kill_leaves_the_checkpoint_intact(place):
    folder, settings = place
    run, long = folder / "dying", settings.with_name("long.toml")
    long.write_text(settings.read_text().replace("epochs = 2", "epochs = 5000"))
    steps, metrics = run / "steps.jsonl", run / "metrics.jsonl"
    for number, epochs in ((signal.SIGTERM, 1), (signal.SIGKILL, 3)):  # the second job resumes
        job = mpiexec(train(long, run), wait=False)
        end = time.monotonic() + 200
        while not (metrics.exists() and metrics.read_text().count("\n") >= epochs):
            assert job.poll() is None, job.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)
        ranks = descendants(job.pid)
        assert len(ranks) == 2
        os.kill(ranks[-1], number)
        _, err = job.communicate(timeout=100)
        assert job.returncode != 0
        progress = load_model(run / "last.safetensors").notes["progress"]
        if number == signal.SIGTERM:
            assert f"the same command resumes from {run / 'last.safetensors'}" in err
            assert progress["steps"] == len(steps.read_text().splitlines())
    assert "signal 9" in err or "Killed" in err
    assert progress["epoch"] >= 2


@mpi
def test_ranks_with_other_settings_are_refused_in_one_line(place):
    folder, settings = place
    other = settings.with_name("other.toml")
    other.write_text(settings.read_text().replace("hidden = 16", "hidden = 17"))
    done = mpiexec(train(settings, folder / "two"), train(other, folder / "two"))
    assert done.returncode != 0
    error = "minids: error: rank 1 has other settings, recordings or options than rank 0; give all ranks the"
    assert done.err.count(error) == 1
    assert not (folder / "two" / "last.safetensors").exists()
    done = mpiexec(train(settings, folder / "two"), train(settings, folder / "two", "--split-time"))
    assert done.err.count(error) == 1


@mpi
@pytest.mark.slow
def test_a_rank_that_cannot_start_ends_the_job(place):
    folder, settings = place
    done = mpiexec(train(settings, folder / "five"), train(folder / "gone.toml", folder / "five"))
    assert done.returncode != 0
    assert done.err.count("minids: error: rank 1: cannot read the settings") == 1


@mpi
@pytest.mark.slow
def test_an_unreadable_recording_on_one_rank_ends_the_job(place):
    folder, settings = place
    nowhere = settings.with_name("nowhere.toml")
    nowhere.write_text(settings.read_text().replace("hiss.wav", "gone.wav"))
    done = mpiexec(train(nowhere, folder / "three"))
    assert done.returncode != 0
    assert done.err.count("minids: error: ") == 1
    assert "gone.wav: no such file" in done.err


# The recurrence split in time


@mpi
def test_the_network_split_in_time_equals_the_serial_one():
    done = mpiexec([HERE / "mpi_time_split.py"])
    assert done.returncode == 0, done.err
    off = json.loads(done.out)
    assert off["reference"] < FLOAT64_ORDER
    assert off["cpu"] < 1e-5
    assert off["gradient"] < 1e-7


@mpi
@pytest.mark.slow
def test_training_split_in_time_gives_the_weights_of_one_process(place):
    folder, settings = place
    run = folder / "split"
    done = mpiexec(train(settings, run, "--split-time"))
    assert done.returncode == 0, done.err
    np.testing.assert_allclose(weights(run), weights(folder / "alone"), atol=FLOAT32_TEN_STEPS)
    done = mpiexec(train(settings, folder / "four", "--split-time"), ranks=3)
    assert done.returncode != 0
    assert "--split-time shares the frames between two ranks, on the CPU; use mpiexec -n 2" in done.err
