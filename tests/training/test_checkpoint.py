"""The folder of a run: one training at a time, and only as it was begun."""

import json
from pathlib import Path

import pytest

from minids._utils.errors import InputError
from minids.training.checkpoint import FREE, RunFolder, folder_for, identity
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


def test_a_run_leaves_its_files_and_nothing_else(begun):
    names = {path.name for path in (begun / "run").iterdir()}
    assert {"last.safetensors", "best.safetensors", "metrics.jsonl"} <= names
    assert names <= {"last.safetensors", "best.safetensors", "metrics.jsonl", "lock"}


def test_a_checkpoint_comes_back_whole(begun, changed):
    saved = RunFolder(begun / "run").resume(changed(), "cpu")
    assert saved.notes["progress"]["epoch"] == 1
    assert saved.state["velocity"].any()
    assert saved.features.mean is not None
    assert saved.notes["settings"] == identity(changed())


def test_a_new_folder_has_nothing_to_go_on_from(tmp_path, changed):
    assert RunFolder(tmp_path / "new").resume(changed(), "cpu") is None
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("hidden = 16", "hidden = 17", ["[model] hidden = 16", "now says 17"]),
        ("learning_rate = 0.01", "learning_rate = 0.02", ["[train] learning_rate = 0.01", "now says 0.02"]),
        ("epochs = 1", "epochs = 1\nseed = 5", ["[train] seed = 0", "now says 5"]),
        ("bands = 12", "bands = 13", ["[features] bands = 12"]),
        ('" abc"', '" abcd"', ["[data] alphabet = ' abc'"]),
        ("context = 2", "context = 2\ndropout = 0.05", ["[model] dropout = 0.1"]),
    ],
)
def test_a_run_goes_on_only_with_the_settings_it_was_begun_with(begun, changed, old, new, words):
    with pytest.raises(InputError) as error:
        RunFolder(begun / "run").resume(changed(old, new), "cpu")
    for word in (str(begun / "run"), "tones.toml", "choose another --run", *words):
        assert word in str(error.value)


def test_how_long_and_how_often_may_change(begun, changed):
    more = changed("epochs = 1", "epochs = 9\ncheckpoint_minutes = 1")
    assert set(FREE) == {"epochs", "checkpoint_minutes", "cache", "gemm"}
    assert RunFolder(begun / "run").resume(more, "cpu").notes["progress"]["epoch"] == 1


@pytest.mark.parametrize("name", ["train", "dev"])
def test_a_run_goes_on_only_with_its_data(begun, changed, name):
    manifest = begun / f"{name}.jsonl"
    before = manifest.read_text()
    try:
        manifest.write_text(before + before)
        with pytest.raises(InputError, match=rf"begun with another .*{name}.jsonl"):
            RunFolder(begun / "run").resume(changed(), "cpu")
        manifest.unlink()
        with pytest.raises(InputError, match=rf"cannot read the manifest .*{name}.jsonl"):
            RunFolder(begun / "run").resume(changed(), "cpu")
    finally:
        manifest.write_text(before)


def test_a_model_is_no_checkpoint(begun, changed, tmp_path):
    (tmp_path / "last.safetensors").write_bytes((begun / "run" / "best.safetensors").read_bytes())
    with pytest.raises(InputError, match="is a model, not a checkpoint"):
        RunFolder(tmp_path).resume(changed(), "cpu")


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


def test_a_new_folder_goes_again_when_nothing_came_of_it(tmp_path):
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


def test_what_a_kill_left_half_written_is_cleared_away(tmp_path):
    for name in (".last.safetensors.x1y2.tmp", ".metrics.jsonl.z.tmp", "mine.tmp", ".mine.tmp"):
        (tmp_path / name).write_text("half")
    with RunFolder(tmp_path).locked():
        assert {path.name for path in tmp_path.iterdir()} == {"lock", "mine.tmp", ".mine.tmp"}


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below", "x" * 300):
        with pytest.raises(InputError, match="choose another --run"), RunFolder(tmp_path / name).locked():
            pass


def test_metrics_are_a_line_of_json_an_epoch(tmp_path):
    rows = [{"epoch": 1, "wer": 0.5}, {"epoch": 2, "wer": 0.25}]
    folder = RunFolder(tmp_path)
    folder.write_rows([{"epoch": 9}] * 9)
    folder.write_rows(rows)
    assert [json.loads(line) for line in folder.metrics.read_text().splitlines()] == rows


def test_a_run_is_named_after_its_settings(changed):
    assert folder_for(changed()) == Path("runs/tones")
