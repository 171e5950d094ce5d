"""The folder of a run: one training at a time, resumed only with the same settings and data."""

import json
from pathlib import Path

import pytest

from minids._utils.errors import InputError
from minids.training.checkpoint import CHANGEABLE_SETTINGS, RunFolder, default_run_folder, run_identity
from minids.training.settings import read_settings
from minids.training.trainer import Trainer
from tests import tones


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run of one epoch."""
    place = tmp_path_factory.mktemp("begun")
    tones.corpus(place, "train", 4)
    tones.corpus(place, "dev", 2, seed=1)
    Trainer(read_settings(tones.settings(place, epochs=1)), place / "run").run()
    return place


@pytest.fixture
def changed(begun):
    """Reads the settings with some of their lines replaced; puts them back."""
    path = begun / "tones.toml"
    before = path.read_text()

    def read(old="", new=""):
        assert old in before
        path.write_text(before.replace(old, new))
        return read_settings(path)

    yield read
    path.write_text(before)


def test_a_run_writes_its_files_and_no_others(begun):
    names = {path.name for path in (begun / "run").iterdir()}
    assert {"last.safetensors", "best.safetensors", "metrics.jsonl"} <= names
    assert names <= {"last.safetensors", "best.safetensors", "metrics.jsonl", "lock"}


def test_a_checkpoint_is_read_back(begun, changed):
    saved = RunFolder(begun / "run").load_checkpoint(changed(), "cpu")
    assert saved.notes["progress"]["epoch"] == 1
    assert saved.extra_tensors["velocity"].any()
    assert saved.features.mean is not None
    assert saved.notes["settings"] == run_identity(changed())


def test_a_new_folder_has_no_checkpoint(tmp_path, changed):
    assert RunFolder(tmp_path / "new").load_checkpoint(changed(), "cpu") is None
    assert not (tmp_path / "new").exists()


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
def test_a_run_resumes_only_with_the_same_settings(begun, changed, old, new, words):
    with pytest.raises(InputError) as error:
        RunFolder(begun / "run").load_checkpoint(changed(old, new), "cpu")
    for word in (str(begun / "run"), "tones.toml", "choose another --run", *words):
        assert word in str(error.value)


def test_epochs_and_checkpoint_interval_may_change(begun, changed):
    more = changed("epochs = 1", "epochs = 9\ncheckpoint_minutes = 1")
    assert set(CHANGEABLE_SETTINGS) == {"epochs", "checkpoint_minutes", "cache", "gemm"}
    assert RunFolder(begun / "run").load_checkpoint(more, "cpu").notes["progress"]["epoch"] == 1


@pytest.mark.parametrize("name", ["train", "dev"])
def test_a_run_resumes_only_with_the_same_manifests(begun, changed, name):
    manifest = begun / f"{name}.jsonl"
    before = manifest.read_text()
    try:
        manifest.write_text(before + before)
        with pytest.raises(InputError, match=rf"started with another .*{name}.jsonl"):
            RunFolder(begun / "run").load_checkpoint(changed(), "cpu")
        manifest.unlink()
        with pytest.raises(InputError, match=rf"cannot read the manifest .*{name}.jsonl"):
            RunFolder(begun / "run").load_checkpoint(changed(), "cpu")
    finally:
        manifest.write_text(before)


def test_a_model_without_velocity_is_refused_as_a_checkpoint(begun, changed, tmp_path):
    (tmp_path / "last.safetensors").write_bytes((begun / "run" / "best.safetensors").read_bytes())
    with pytest.raises(InputError, match="is a model, not a checkpoint"):
        RunFolder(tmp_path).load_checkpoint(changed(), "cpu")


def test_two_trainings_do_not_share_a_folder(tmp_path):
    with RunFolder(tmp_path / "run").locked():
        with (
            pytest.raises(InputError, match="another training is running in"),
            RunFolder(tmp_path / "run").locked(),
        ):
            pass
        with RunFolder(tmp_path / "other").locked():
            pass
    with RunFolder(tmp_path / "run").locked():
        pass


def test_a_new_folder_without_a_checkpoint_is_removed(tmp_path):
    with pytest.raises(ZeroDivisionError), RunFolder(tmp_path / "a" / "run").locked():
        raise ZeroDivisionError
    assert not (tmp_path / "a" / "run").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    with RunFolder(tmp_path / "mine").locked():
        pass
    assert (tmp_path / "mine" / "notes.txt").read_text() == "kept"
    with RunFolder(tmp_path / "new").locked():
        (tmp_path / "new" / "last.safetensors").write_text("a checkpoint")
    assert (tmp_path / "new" / "last.safetensors").exists()


def test_temporary_files_of_a_killed_run_are_deleted(tmp_path):
    for name in (".last.safetensors.x1y2.tmp", ".metrics.jsonl.z.tmp", "mine.tmp", ".mine.tmp"):
        (tmp_path / name).write_text("half")
    with RunFolder(tmp_path).locked():
        assert {path.name for path in tmp_path.iterdir()} == {"lock", "mine.tmp", ".mine.tmp"}


def test_an_impossible_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below", "x" * 300):
        with pytest.raises(InputError, match="choose another --run"), RunFolder(tmp_path / name).locked():
            pass


def test_metrics_have_one_json_line_per_epoch(tmp_path):
    rows = [{"epoch": 1, "wer": 0.5}, {"epoch": 2, "wer": 0.25}]
    folder = RunFolder(tmp_path)
    folder.write_metrics([{"epoch": 9}] * 9)
    folder.write_metrics(rows)
    assert [json.loads(line) for line in folder.metrics.read_text().splitlines()] == rows


def test_the_default_folder_has_the_name_of_the_settings(changed):
    assert default_run_folder(changed()) == Path("runs/tones")
