"""Model files: what is written is read back unchanged; any other file is refused and never run."""

import json
import pickle
import struct
from contextlib import suppress

import numpy as np
import pytest

from minids import DeepSpeech, Features
from minids._utils.errors import InputError
from minids.model import ModelSettings
from minids.text import Alphabet
from minids.weights import SavedModel, load_model, save_model


@pytest.fixture
def saved():
    """A small model with everything that a file can hold; Hangul in its alphabet, a checkpoint's arrays."""
    alphabet = Alphabet([" ", "가", "é", "x\u0301"])
    features = Features(rate=8000, bands=6, window_ms=25.0, hop_ms=12.5)
    rng = np.random.default_rng(0)
    features.mean = rng.normal(size=features.size).astype(np.float32)
    features.std = rng.uniform(1, 2, features.size).astype(np.float32)
    model = DeepSpeech(ModelSettings(features.size, len(alphabet), 5, 1, 2, 0.25), seed=3)
    state = {"velocity": rng.normal(size=model.flat_params.shape).astype(np.float32)}
    return SavedModel(
        model, features, alphabet, state, {"epoch": 3, "loss": 0.1 + 0.2, "words": ["가", None]}
    )


@pytest.fixture
def file(saved, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, saved)
    return path


def test_a_saved_model_is_read_back_unchanged(saved, file):
    got = load_model(file)
    assert got.model.settings == saved.model.settings
    np.testing.assert_array_equal(got.model.flat_params, saved.model.flat_params)
    assert got.features == saved.features
    np.testing.assert_array_equal(got.features.mean, saved.features.mean)
    np.testing.assert_array_equal(got.features.std, saved.features.std)
    assert got.alphabet == saved.alphabet
    assert list(got.extra_tensors) == ["velocity"]
    np.testing.assert_array_equal(got.extra_tensors["velocity"], saved.extra_tensors["velocity"])
    assert got.notes == saved.notes
    samples = np.random.default_rng(1).normal(size=8000).astype(np.float32)
    outputs = []
    for model_file in (saved, got):
        frames = model_file.features(samples)[:, None]
        outputs.append(model_file.model.forward(frames, np.array([len(frames)], np.int32))[0])
    np.testing.assert_array_equal(*outputs)


def test_saving_a_loaded_model_writes_the_same_bytes(file, tmp_path):
    """So that a resumed run can end with the same bits."""
    save_model(tmp_path / "again", load_model(file))
    assert file.read_bytes() == (tmp_path / "again").read_bytes()


def test_utterance_normalization_stores_no_mean(saved, tmp_path):
    saved.features = Features(rate=8000, bands=6, normalize="utterance")
    save_model(tmp_path / "model", saved)
    assert load_model(tmp_path / "model").features.mean is None


def test_any_backend_can_load_a_model(saved, file):
    reference = load_model(file, "reference").model
    np.testing.assert_array_equal(reference.params["W4"], saved.model.params["W4"])
    assert reference.ops.name == "reference"


def test_safetensors_readers_can_read_the_tensors(saved, file):
    """The names are those of the paper."""
    from safetensors.numpy import load_file

    tensors = load_file(file)
    np.testing.assert_array_equal(tensors["Wr_f"], saved.model.params["Wr_f"])
    assert set(tensors) == {*saved.model.params, "velocity", "features.mean", "features.std"}


def refused(path):
    with pytest.raises(InputError) as error:
        load_model(path)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_truncated_file_is_refused(file):
    whole = file.read_bytes()
    for size in [0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1]:
        file.write_bytes(whole[:size])
        assert "cannot be read as a model" in refused(file)


def test_a_flipped_bit_is_detected(saved, file):
    """Except in the key "checksum" itself, which does no harm."""
    whole = file.read_bytes()
    rng = np.random.default_rng(2)
    for position in [0, 8, 9, len(whole) - 1, *rng.integers(0, len(whole), 200)]:
        broken = bytearray(whole)
        broken[position] ^= 1 << int(rng.integers(8))
        file.write_bytes(broken)
        if rb"\"checksum\"" in broken:
            refused(file)
            continue
        with suppress(InputError):  # the bit may also make the JSON of the header invalid
            np.testing.assert_array_equal(load_model(file).model.flat_params, saved.model.flat_params)


def rewritten(file, **changed):
    """The same tensors with another header, without the checksum; None removes an entry."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(file, framework="numpy") as opened:
        header = json.loads(opened.metadata()["minids"])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    del header["checksum"]
    for name, value in changed.items():
        if name in ("model", "features") and value is not None:
            value = header[name] | value
        if isinstance(value, np.ndarray):
            tensors[name] = value
        elif value is None:
            header.pop(name, None)
            tensors.pop(name, None)
        else:
            header[name] = value
    save_file(tensors, file, {"minids": json.dumps(header)})
    return file


def test_a_file_without_a_checksum_can_be_read(saved, file):
    np.testing.assert_array_equal(load_model(rewritten(file)).model.flat_params, saved.model.flat_params)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": "minids-2"}, "was not written by"),
        ({"version": 2}, "newer minids; upgrade minids"),
        ({"version": None}, "version"),
        ({"version": "1"}, "cannot be read as a model"),
        ({"format": None}, "was not written by"),
        ({"model": {"stride": 0}}, "stride = 0"),
        ({"model": {"hidden": 6}}, r"W1 is float32 \(5, 21\), expected float32 \(6, 21\)"),
        ({"model": {"inputs": 8}}, "do not fit together"),
        ({"model": {"color": "red"}}, "color"),
        ({"features": {"rate": -8000}}, "rate = -8000"),
        ({"features": {"hop_ms": float("nan")}}, "hop_ms"),
        ({"features": {"window_ms": float("inf")}}, "window_ms"),
        ({"features": {"bands": 7}}, "do not fit together"),
        ({"features": {"color": "red"}}, "color"),
        ({"alphabet": [" ", "a", "a", "b"]}, "'a' twice"),
        ({"alphabet": [" ", "a", "b"]}, "do not fit together"),
        ({"alphabet": 5}, ""),
        ({"notes": [1]}, "notes"),
        ({"W3": None}, "W3"),
        ({"W3": np.zeros((5, 5))}, "W3 is float64"),
        ({"W3": np.full((5, 5), np.nan, np.float32)}, "not finite"),
        ({"features.mean": None}, "features.mean"),
        ({"features.std": np.zeros(3, np.float32)}, "features.std"),
        ({"features.std": np.full(7, np.inf, np.float32)}, "not finite"),
    ],
)
def test_an_impossible_header_is_refused(file, changed, message):
    refused(rewritten(file, **changed))
    with pytest.raises(InputError, match=message or None):
        load_model(file)


def test_entries_that_older_files_lack_have_defaults(saved, file):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(file, framework="numpy") as opened:
        header = json.loads(opened.metadata()["minids"])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    del header["checksum"], header["notes"], header["model"]["dropout"], header["features"]["kind"]
    save_file(tensors, file, {"minids": json.dumps(header)})
    old = load_model(file)
    assert (old.notes, old.model.settings.dropout, old.features.kind) == ({}, 0.05, "filterbank")


def test_a_lack_of_memory_is_not_blamed_on_the_file(file, monkeypatch):
    monkeypatch.setattr(DeepSpeech, "load_params", raiser(MemoryError))
    with pytest.raises(MemoryError):
        load_model(file)


def raiser(error):
    def function(*_):
        raise error

    return function


def test_other_files_are_refused_and_not_run(file, tmp_path):
    from safetensors.numpy import save_file

    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Trap()))
    np.savez(tmp_path / "model.npz", W1=np.zeros(3))
    save_file({"W1": np.zeros(3, np.float32)}, tmp_path / "foreign.safetensors")
    (tmp_path / "huge").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    (tmp_path / "deep").write_bytes(struct.pack("<Q", 20000) + b"[" * 10000 + b"]" * 10000)
    (tmp_path / "text").write_text("hello")
    (tmp_path / "folder").mkdir()
    names = ["model.pkl", "model.npz", "foreign.safetensors", "huge", "deep", "text", "folder"]
    for name in names:
        refused(tmp_path / name)
    assert not (tmp_path / "sprung").exists()
    assert "no such file" in refused(tmp_path / "missing")
    assert "no such file" not in refused(tmp_path / "text" / "below")


def test_the_folder_of_a_run_is_refused_with_its_best_model(file, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    assert refused(run) == f"{run} is a folder, not a model; give the file of a model"
    (run / "best.safetensors").write_bytes(file.read_bytes())
    assert refused(run) == f"{run} is a folder, not a model; give {run}/best.safetensors"


def test_saving_into_a_missing_folder_is_an_input_error(saved, tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*nowhere"):
        save_model(tmp_path / "nowhere" / "model", saved)
