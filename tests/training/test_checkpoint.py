"""The folder of a run: one training at a time, resumed only with the same settings and data."""

import fcntl
import json
import shutil
from pathlib import Path

import pytest

from minids._utils.errors import InputError
from minids.training.checkpoint import RunFolder, default_run_folder
from minids.training.settings import read_settings
from minids.training.trainer import Trainer
from minids.weights import save_model
from tests import tones


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run of one epoch."""
    place = tmp_path_factory.mktemp("begun")
    tones.corpus(place, "train", 4)
    tones.corpus(place, "dev", 2, seed=1)
    Trainer(read_settings(tones.settings(place, epochs=1)), place / "run").run()
    return place


def test_a_run_writes_its_files_and_no_others(begun):
    names = {path.name for path in (begun / "run").iterdir()}
    always = {"last.safetensors", "best.safetensors", "metrics.jsonl", "steps.jsonl"}
    assert always <= names <= always | {"training.png", "lock"}


def test_a_checkpoint_is_read_back(begun):
    saved = RunFolder(begun / "run").load_checkpoint("cpu")
    assert saved.notes["progress"]["epoch"] == 1
    assert saved.extra_tensors["velocity"].any()
    assert saved.features.mean is not None
    assert saved.notes["settings"] == read_settings(begun / "tones.toml").to_dict()


def test_a_checkpoint_of_another_version_is_refused(begun, tmp_path):
    copy = tmp_path / "begun"
    shutil.copytree(begun, copy)
    saved = RunFolder(copy / "run").load_checkpoint("cpu")
    saved.notes["progress"]["mood"] = "good"
    save_model(copy / "run" / "last.safetensors", saved)
    with pytest.raises(InputError, match=r"another version of minids wrote .*last.safetensors; resume with"):
        Trainer(read_settings(copy / "tones.toml"), copy / "run").run()


def test_a_new_folder_has_no_checkpoint(tmp_path):
    assert RunFolder(tmp_path / "new").load_checkpoint("cpu") is None
    assert not (tmp_path / "new").exists()


def test_results_without_a_checkpoint_are_not_replaced(begun, tmp_path):
    folder = RunFolder(tmp_path)
    folder.best.write_bytes((begun / "run" / "best.safetensors").read_bytes())
    folder.metrics.write_text("{}\n")
    assert folder.load_checkpoint("cpu") is None, "what a kill in the first epoch leaves"
    folder.metrics.write_text("{}\n{}\n")
    with pytest.raises(InputError, match=r"results but no last\.safetensors .* choose another --run"):
        folder.load_checkpoint("cpu")


def test_a_model_without_velocity_is_refused_as_a_checkpoint(begun, tmp_path):
    (tmp_path / "last.safetensors").write_bytes((begun / "run" / "best.safetensors").read_bytes())
    with pytest.raises(InputError, match="is a model, not a checkpoint"):
        RunFolder(tmp_path).load_checkpoint("cpu")


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


def test_a_lock_file_that_was_deleted_meanwhile_locks_nothing(tmp_path, monkeypatch):
    folder, flock = RunFolder(tmp_path / "run"), fcntl.flock

    def delete_first(file, operation):  # the other training ends between open and flock
        (tmp_path / "run" / "lock").unlink()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", delete_first)
    with pytest.raises(InputError, match="another training is running in"), folder.locked():
        pass


def test_idle_excludes_a_training(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.idle():
        assert not folder.path.exists()
    with folder.locked(), pytest.raises(InputError, match=r"a training is running in .*--out"), folder.idle():
        pass
    with folder.locked():
        folder.last.write_text("a checkpoint")
    with folder.idle(), pytest.raises(InputError, match="another training"), folder.locked():
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


def test_a_lock_that_is_a_link_is_refused_and_its_target_kept(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "mine").write_text("important")
    (tmp_path / "run" / "lock").symlink_to(tmp_path / "mine")
    with pytest.raises(InputError, match="cannot write to"), RunFolder(tmp_path / "run").locked():
        pass
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "lock").write_text("important")
    with RunFolder(tmp_path / "other").locked():
        pass
    assert (tmp_path / "mine").read_text() == (tmp_path / "other" / "lock").read_text() == "important"


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


def test_the_default_folder_has_the_name_of_the_settings(begun):
    assert default_run_folder(read_settings(begun / "tones.toml")) == Path("runs/tones")
