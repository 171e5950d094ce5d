"""A resumed run must have the settings and the data of its start."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.audio import save_audio
from minids.data.manifest import Utterance, read_manifest
from minids.training import identity as identity_module
from minids.training.identity import check_identity, overlap, run_identity
from minids.training.inputs import recording_files
from minids.training.settings import read_settings
from tests import tones


@pytest.fixture
def place(tmp_path):
    tones.corpus(tmp_path, "train", 4)
    tones.corpus(tmp_path, "dev", 2, seed=1)
    tones.hiss(tmp_path / "hiss.wav")
    tones.settings(tmp_path, ["hiss.wav"], epochs=1)
    return tmp_path


def identity(place):
    settings = read_settings(place / "tones.toml")
    sets = (read_manifest(settings.path(name)) for name in ("train", "dev"))
    return settings, run_identity(settings, recording_files(settings, *sets))


def resume(place, start):
    """Check the data as they are now against those of the start."""
    settings, now = identity(place)
    return check_identity(now, json.loads(json.dumps(start)), settings, place / "run")


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("hidden = 16", "hidden = 17", ["[model] hidden = 16", "has 17"]),
        ("learning_rate = 0.01", "learning_rate = 0.02", ["[train] learning_rate = 0.01", "has 0.02"]),
        ("epochs = 1", "epochs = 1\nseed = 5", ["[train] seed = 0", "has 5"]),
        ("bands = 12", "bands = 13", ["[features] bands = 12"]),
        ('" abc"', '" abcd"', ["[data] alphabet = ' abc'"]),
        ("context = 2", "context = 2\ndropout = 0.05", ["[model] dropout = 0.1"]),
    ],
)
def test_a_run_resumes_only_with_the_same_settings(place, old, new, words):
    _, start = identity(place)
    edit(place / "tones.toml", old, new)
    with pytest.raises(InputError) as error:
        resume(place, start)
    for word in (str(place / "run"), "tones.toml", "choose another --run", *words):
        assert word in str(error.value)


def test_epochs_and_checkpoint_interval_may_change(place):
    _, start = identity(place)
    edit(place / "tones.toml", "epochs = 1", "epochs = 9\ncheckpoint_minutes = 1")
    assert resume(place, start) == []


@pytest.mark.parametrize("name", ["train", "dev"])
def test_a_run_resumes_only_with_the_same_manifests(place, name):
    settings, start = identity(place)
    manifest = place / f"{name}.jsonl"
    manifest.write_text(2 * manifest.read_text())
    with pytest.raises(InputError, match=rf"started with another .*{name}.jsonl"):
        resume(place, start)
    manifest.unlink()
    with pytest.raises(InputError, match=rf"cannot read the manifest .*{name}.jsonl"):
        run_identity(settings, {})


@pytest.mark.parametrize(
    ("path", "name"), [("train/2.wav", "train"), ("dev/0.wav", "dev"), ("hiss.wav", "noise")]
)
def test_replaced_recordings_are_noticed(place, path, name):
    """Another size is refused; the same size with another time is a note, since copying changes times."""
    _, start = identity(place)
    content = (place / path).read_bytes()
    (place / path).write_bytes(bytes(reversed(content)))
    os.utime(place / path, (0, 0))
    assert resume(place, start) == [
        f"note: the modification times of {name} recordings have changed: are they still the same?"
    ]
    save_audio(place / path, np.zeros(100, np.float32), tones.RATE)
    with pytest.raises(InputError, match=f"started with other {name} recordings: some have another size"):
        resume(place, start)
    (place / path).unlink()
    if name != "noise":  # a missing noise recording is an error by itself
        with pytest.raises(InputError, match="or are missing"):
            resume(place, start)


def test_a_setting_of_another_version_is_named(place):
    _, start = identity(place)
    start["settings"]["train"]["warmup"] = 3
    with pytest.raises(InputError, match=r"\[train\] warmup, which this version of minids does not know"):
        resume(place, start)


def test_the_overlap_of_two_sets_counts_the_same_parts_of_the_same_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("a")
    train = [Utterance(tmp_path / "a", "x", 1.0), Utterance(tmp_path / "b", "x", 1.0, start=0.0, end=2.0)]
    dev = [
        Utterance(tmp_path / "link", "y", 1.0),
        replace(train[1], end=3.0),
        Utterance(tmp_path / "c", "", 1.0),
    ]
    assert overlap(train, dev) == 1
    assert overlap(train, train) == 2
    assert overlap(train, []) == 0


def test_the_settings_that_may_change_do_not_change_the_results():
    assert set(identity_module.CHANGEABLE_SETTINGS) == {
        *("epochs", "minutes", "patience", "checkpoint_minutes", "cache", "gemm", "tensorboard")
    }
