"""The tuned decoder in a model file is applied with its language model, and with no other."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.decode.tuned import DecoderWeights, TunedDecoder, checksum, make_search
from minids.lm.ngram import NGram
from minids.weights import copy_with_notes, load_model, save_model
from tests import tones

TUNED = DecoderWeights(1.25, -0.5, 50)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """runs/model.safetensors, tuned with lm/words.arpa; and lm/other.arpa."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "lm").mkdir()
    monkeypatch.chdir(tmp_path)
    tones.language(tmp_path / "lm" / "words.arpa")
    tones.language(tmp_path / "lm" / "other.arpa", ("a", "b"))
    tune(tones.model(tmp_path / "runs" / "model.safetensors"))
    return tmp_path


def tune(model, out=None, lm="lm/words.arpa"):
    lm, out = model.parents[1] / lm, out or model
    decoder = TunedDecoder.relative_to(lm, checksum(lm), TUNED, out)
    copy_with_notes(model, out, load_model(model), decoder=decoder._asdict())


def search(model="runs/model.safetensors", lm=None, **options):
    saved = load_model(model)
    return make_search(saved.alphabet, saved.notes, Path(model), lm, **options)[0]


def values(search):
    return DecoderWeights(search.alpha, search.beta, search.beam_width)


def test_the_tuned_decoder_is_found_from_any_working_folder(place, monkeypatch):
    assert values(search()) == TUNED
    assert "cab" in search().lm.words
    monkeypatch.chdir(place / "lm")
    assert values(search("../runs/model.safetensors")) == TUNED
    assert load_model("../runs/model.safetensors").notes["decoder"]["lm"] == "../lm/words.arpa"


def test_the_tuned_decoder_needs_no_working_folder(place, monkeypatch):
    (place / "gone").mkdir()
    monkeypatch.chdir(place / "gone")
    (place / "gone").rmdir()
    assert values(search(place / "runs" / "model.safetensors")) == TUNED


def test_a_folder_with_model_and_language_model_can_be_moved(place):
    (place / "elsewhere").mkdir()
    shutil.move(place / "runs", place / "elsewhere" / "runs")
    shutil.move(place / "lm", place / "elsewhere" / "lm")
    assert values(search("elsewhere/runs/model.safetensors")) == TUNED


def test_a_link_to_a_model_is_followed(place):
    (place / "links").mkdir()
    link = place / "links" / "model.safetensors"
    link.symlink_to(place / "runs" / "model.safetensors")
    assert values(search("links/model.safetensors")) == TUNED
    tune(link, lm="lm/other.arpa")
    assert link.is_symlink()
    assert search().lm.words == NGram.load("lm/other.arpa").words


def test_the_rest_of_the_model_file_is_unchanged(place):
    model = tones.model(place / "runs" / "new.safetensors")
    before = load_model(model)
    before.notes["dev"], before.extra_tensors["velocity"] = {"wer": 0.5}, np.ones(3, np.float32)
    save_model(model, before)
    tune(model, out=place / "lm" / "out.safetensors")
    assert "decoder" not in load_model(model).notes
    after = load_model("lm/out.safetensors")
    assert after.notes.pop("decoder")["lm"] == "words.arpa"
    assert after.notes == before.notes
    assert after.alphabet == before.alphabet
    np.testing.assert_array_equal(after.model.flat_params, before.model.flat_params)
    np.testing.assert_array_equal(after.extra_tensors["velocity"], before.extra_tensors["velocity"])
    np.testing.assert_array_equal(after.features.mean, before.features.mean)


def test_arguments_override_tuned_values(place):
    assert values(search(alpha=0.5)) == (0.5, -0.5, 50)
    assert values(search(beta=0.0)) == (1.25, 0.0, 50)
    assert values(search(beam_width=7)) == (1.25, -0.5, 7)


def test_tuned_weights_apply_only_to_their_language_model(place):
    shutil.copy("lm/words.arpa", "same.arpa")
    assert values(search(lm="same.arpa")) == TUNED
    assert values(search(lm="lm/other.arpa")) == DecoderWeights()
    assert values(search(lm=NGram.load("lm/words.arpa"))) == DecoderWeights()
    assert values(search(lm="lm/other.arpa", alpha=2.0, beam_width=9)) == (2.0, DecoderWeights().beta, 9)


def test_without_a_language_model(place):
    untuned = tones.model(place / "runs" / "untuned.safetensors")
    assert search(lm="none") is None
    assert search(untuned) is None
    for model, lm in ((untuned, None), ("runs/model.safetensors", "none")):
        narrow = search(model, lm, beam_width=9)
        assert narrow.lm is None
        assert values(narrow) == (0.0, 0.0, 9)
        assert values(search(model, lm, beta=0.5)) == (0.0, 0.5, DecoderWeights().beam_width)
        with pytest.raises(InputError, match="alpha is the weight of a language model"):
            search(model, lm, alpha=0.5)


@pytest.mark.parametrize("options", [{}, {"alpha": 1.0}, {"beam_width": 9}])
def test_a_missing_or_changed_language_model_is_an_error(place, options):
    os.remove("lm/words.arpa")
    with pytest.raises(
        InputError,
        match=r"^runs/model\.safetensors was tuned with words\.arpa, which is not at /.*/lm/words\.arpa;"
        " copy the language model together with the model, .* --lm FILE",
    ):
        search(**options)
    shutil.copy("lm/other.arpa", "lm/words.arpa")
    with pytest.raises(
        InputError, match=r"^runs/model\.safetensors was tuned with /.*/lm/words\.arpa, which has changed"
    ):
        search(**options)
    assert values(search(lm="lm/words.arpa")) == DecoderWeights(), "the suggested remedy"
    assert search(lm="none") is None


def test_a_model_that_changed_during_tuning_is_not_overwritten(place):
    model = place / "runs" / "model.safetensors"
    tuned, newer = load_model(model), load_model(model)
    newer.model.flat_params[7] += 1
    save_model(model, newer)
    before = model.read_bytes()
    with pytest.raises(InputError, match="has changed since it was read"):
        copy_with_notes(model, model, tuned, decoder={})
    assert model.read_bytes() == before


@pytest.mark.parametrize(
    "note",
    [
        *[None, [], "x", {}, {"lm": "x"}],
        {"lm": "x", "checksum": 1, "alpha": None, "beta": 1, "beam_width": 1},
        {"lm": "x", "checksum": 1, "alpha": -1, "beta": 1, "beam_width": 1},
        {"lm": "x", "checksum": 1, "alpha": 1, "beta": 1, "beam_width": 0},
    ],
)
def test_unreadable_notes_are_an_error(place, note):
    saved = load_model("runs/model.safetensors")
    saved.notes["decoder"] = note
    save_model("runs/model.safetensors", saved)
    with pytest.raises(InputError, match=r"^runs/model\.safetensors: its decoder cannot be read"):
        search()
    assert search(lm="none") is None


@pytest.mark.parametrize("lm", ["\0", "x" * 5000, ".", "/dev/null"])
def test_notes_with_an_impossible_language_model_path_are_an_error(place, lm):
    saved = load_model("runs/model.safetensors")
    saved.notes["decoder"]["lm"] = lm
    save_model("runs/model.safetensors", saved)
    with pytest.raises(InputError, match="which is not at"):
        search()
