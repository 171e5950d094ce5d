"""Training that is killed at any moment resumes with the same command and ends with the same bits."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from minids.weights import load_model
from tests import ROOT, tones

pytestmark = pytest.mark.slow

EPOCHS, UTTERANCES = 8, 33
TIMES = ("seconds", "frames_per_second")  # in the metrics
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
# `minids train` that kills itself at its n-th file: before the fsync, before the rename, or after it.
KILLED = """
import os, signal, stat, sys
from minids.cli import main
moment, times = sys.argv.pop(1), int(sys.argv.pop(1))
name = "fsync" if moment == "before fsync" else "replace"
function, count = getattr(os, name), 0
def call(*arguments):
    global count
    count += name == "replace" or not stat.S_ISDIR(os.fstat(arguments[0]).st_mode)
    if moment == "after replace":
        function(*arguments)
    if count == times:
        os.kill(os.getpid(), signal.SIGKILL)
    if moment != "after replace":
        function(*arguments)
setattr(os, name, call)
main()
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Settings that save after every step, with all that a run can have: a model to start from whose lowest
    layer stays, averaged weights, several batches per step, plateaus and all augmentation.

    A training recording is missing, a dev text is empty.
    """
    folder = tmp_path_factory.mktemp("tones")
    manifest = tones.corpus(folder, "train", UTTERANCES - 1)
    with open(manifest, "a") as file:
        file.write(json.dumps({"path": "gone.wav", "text": "abc", "duration": 0.2}) + "\n")
    tones.corpus(folder, "dev", 6, seed=1)
    tones.hiss(folder / "hiss.wav")
    tones.model(folder / "init.safetensors")
    return tones.settings(
        folder,
        ["hiss.wav"],
        **{"epochs": EPOCHS, "checkpoint_minutes": 0, "learning_rate": 0.02, "batch_seconds": 2.0},
        **{"init": "init.safetensors", "freeze": 1, "accumulate": 2, "ema": 0.8, "select": "cer"},
        **{"plateau": 2, "patience": 100, "minutes": 1000, "tensorboard": bool(find_spec("tensorboardX"))},
        **{
            "max_speed_change": 0.2,
            "max_tilt_db": 2,
            "max_gain_db": 6,
            "band_prob": 0.3,
            "min_band_hz": 3000,
        },
        **{"codec_prob": 0.3, "reverb_prob": 0.3, "time_masks": 1, "frequency_masks": 1},
    )


@pytest.fixture(scope="module")
def uninterrupted(data):
    done = subprocess.run(command(data, "uninterrupted"), env=ENVIRONMENT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return data.parent / "uninterrupted"


def command(data: Path, run: str, *program: str) -> list[str]:
    program = program or ("-m", "minids")
    return [sys.executable, *program, "train", str(data), "--run", str(data.parent / run)]


def tensors(path: Path) -> dict[str, np.ndarray]:
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def progress(run: Path) -> dict:
    """The training state in the checkpoint of a run, which may be replaced while it is read."""
    try:
        with safe_open(run / "last.safetensors", framework="numpy") as file:
            return json.loads(file.metadata()["minids"])["notes"]["progress"]
    except FileNotFoundError:
        return {"steps": 0}


def steps(run: Path) -> int:
    return progress(run)["steps"]


def assert_same(run: Path, uninterrupted: Path) -> None:
    """Bit by bit, except times."""
    for name in ("last.safetensors", "best.safetensors"):
        ours, theirs = tensors(run / name), tensors(uninterrupted / name)
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert ours[key].tobytes() == theirs[key].tobytes(), f"{key} of {name} differs"
    assert (run / "steps.jsonl").read_text() == (uninterrupted / "steps.jsonl").read_text()
    rows = [timeless(folder / "metrics.jsonl") for folder in (run, uninterrupted)]
    assert len(rows[0]) == EPOCHS
    assert rows[0] == rows[1]
    assert sorted(os.listdir(run)) == sorted(os.listdir(uninterrupted))  # no temporary files


def timeless(metrics: Path) -> list[dict]:
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def test_the_uninterrupted_run_has_results_to_compare(data, uninterrupted):
    rows = timeless(uninterrupted / "metrics.jsonl")
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert {row["skipped"] for row in rows} == {1}
    state = progress(uninterrupted)
    assert state["best_epoch"] > 1
    assert state["halvings"] > 0
    assert 3 <= state["steps"] / EPOCHS == state["steps"] // EPOCHS
    first, last = tensors(data.parent / "init.safetensors"), tensors(uninterrupted / "last.safetensors")
    assert {name for name in first if np.array_equal(first[name], last[name])} == {
        *("W1", "b1", "features.mean", "features.std")
    }
    weights = load_model(uninterrupted / "last.safetensors").model.flat_params
    assert 0 < abs(last["average"] - weights).max() < 0.5


def test_ten_kills_at_random_moments(data, uninterrupted):
    """One in each tenth of the run, some milliseconds after a random checkpoint; every third is a SIGTERM."""
    chance, total = random.Random(0), steps(uninterrupted)
    run = data.parent / "killed"
    for kill in range(10):
        target = int((kill + chance.random()) * (total - 2) / 10)
        delay = chance.uniform(0, 0.01)
        number = signal.SIGTERM if kill % 3 == 2 else signal.SIGKILL
        process = subprocess.Popen(command(data, "killed"), env=ENVIRONMENT, stderr=subprocess.PIPE)
        try:
            while steps(run) < target:
                time.sleep(0.001)
                assert process.poll() is None, process.stderr.read().decode()
            time.sleep(delay)
            process.send_signal(number)
            process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
        # Before its first step, nothing catches SIGTERM.
        assert process.returncode in ((-number, 128 + number) if number == signal.SIGTERM else (-number,))
        assert steps(run) < total
    finish(data, "killed")
    assert_same(run, uninterrupted)


@pytest.mark.parametrize(
    ("file", "moment"),
    [
        *[(file, moment) for file in ("best", "last") for moment in ("before fsync", "before replace")],
        *[(file, "after replace") for file in ("the first checkpoint", "best", "metrics", "last")],
        ("the first checkpoint", "before fsync"),
    ],
)
def test_kills_while_a_file_is_written(data, uninterrupted, moment, file):
    """After the checkpoints of the steps of the first epoch come best, metrics and last."""
    per_epoch = steps(uninterrupted) // EPOCHS
    times = {
        "the first checkpoint": 1,
        "best": per_epoch + 1,
        "metrics": per_epoch + 2,
        "last": per_epoch + 3,
    }
    name = f"{moment}, {file}"
    program = command(data, name, "-c", KILLED, moment, str(times[file]))
    done = subprocess.run(program, env=ENVIRONMENT, check=False)
    assert done.returncode == -signal.SIGKILL
    finish(data, name)
    assert_same(data.parent / name, uninterrupted)


def test_ctrl_c(data, uninterrupted):
    """Exit code 130, everything saved, how to resume, and then the same bits."""
    run = data.parent / "interrupted"
    process = subprocess.Popen(
        command(data, "interrupted"),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        # The parent may ignore the signal, as a background shell does, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while steps(run) < steps(uninterrupted) // 2:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert progress(run)["steps"] == len((run / "steps.jsonl").read_text().splitlines())
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert f"the same command resumes from {run / 'last.safetensors'}" in err.decode()
    finish(data, "interrupted")
    assert_same(run, uninterrupted)


def finish(data: Path, run: str) -> None:
    done = subprocess.run(command(data, run), env=ENVIRONMENT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
