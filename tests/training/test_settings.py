"""Settings files: which values they accept, and the one-line error for all others."""

import json
import math
from dataclasses import fields

import pytest

from minids._utils.errors import InputError
from minids.features import Features
from minids.training.settings import (
    AugmentSettings,
    DataSettings,
    ModelSection,
    NoiseSettings,
    TrainSettings,
    read_settings,
)

DATA = '[data]\ntrain = "train.jsonl"\ndev = "dev.jsonl"\n'


@pytest.fixture
def settings(tmp_path):
    def read(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return read_settings(path)

    return read


@pytest.fixture
def refused(settings, tmp_path):
    def read(text):
        with pytest.raises(InputError) as error:
            settings(text)
        message = str(error.value)
        assert message.startswith(str(tmp_path / "mine.toml"))
        assert "\n" not in message
        return message

    return read


def test_two_manifests_are_enough(settings, tmp_path):
    s = settings(DATA)
    assert (s.model, s.train, s.features) == (ModelSection(), TrainSettings(), Features())
    assert len(s.alphabet) == 29, "the paper's (§2)"
    assert s.source == tmp_path / "mine.toml"
    assert 0.05 <= s.model.dropout <= 0.1, "§2.1"
    assert s.train.momentum == 0.99, "§5"


def test_every_key_can_be_set(settings):
    text = (
        DATA
        + 'alphabet = "가나"\ncache = "kept"\nmax_seconds = 60\n[features]\n'
        + 'rate = 8000\nkind = "spectrogram"\nbands = 40\n'
    )
    text += 'window_ms = 25\nhop_ms = 12.5\nnormalize = "speaker"\nfloor_db = -50\n'
    text += "[model]\nhidden = 33\ncontext = 0\nstride = 3\ndropout = 0\n"
    text += '[noise]\nrecordings = ["a.wav", "street"]\nreference_recordings = ["real"]\n'
    text += "tracks = 2\nnoise_prob = 1\ncolored_prob = 0.5\n"
    text += "min_snr_db = -3\nmax_snr_db = 12.5\n"
    text += "[train]\nepochs = 7\nbatch_size = 3\nlearning_rate = 1\nlr_decay = 2\nmomentum = 0.5\n"
    text += "momentum_ramp = 0\ngrad_clip_norm = 1e3\nseed = 9\n"
    text += 'checkpoint_minutes = 0.5\nselect = "loss"\ngemm = "tf32"\ntensorboard = true\n'
    text += 'init = "base.safetensors"\nfreeze = 2\nminutes = 30\npatience = 4\nplateau = 2\n'
    text += "batch_seconds = 60\naccumulate = 3\nema = 0.999\n"
    text += "[augment]\nmax_shift_ms = 0\nmax_speed_change = 0\nmax_tilt_db = 3\nmax_gain_db = 6\n"
    text += 'band_prob = 0.1\nmin_band_hz = 3000\ncodec_prob = 0.2\ncodecs = ["opus"]\nreverb_prob = 0.3\n'
    text += "max_reverb_ms = 200\ntime_masks = 1\nmax_time_mask_ms = 50\nfrequency_masks = 2\n"
    text += "max_frequency_mask = 0.1\n"
    s = settings(text)
    assert s.data == DataSettings("train.jsonl", "dev.jsonl", "가나", "kept", 60.0)
    assert s.alphabet.symbols == ("가", "나")
    assert s.features == Features(8000, "spectrogram", 40, 25.0, 12.5, "speaker", -50.0)
    assert s.model == ModelSection(33, 0, 3, 0.0)
    assert (s.train.epochs, s.train.batch_size, s.train.learning_rate) == (7, 3, 1.0)
    assert (s.train.select, s.train.gemm, s.train.init) == ("loss", "tf32", "base.safetensors")
    assert s.init_path() == s.source.parent / "base.safetensors"
    assert s.augment == AugmentSettings(0, 0, 3, 6, 0.1, 3000, 0.2, ["opus"], 0.3, 200, 1, 50, 2, 0.1)
    assert {"train.init", "augment.codecs", "model.hidden"} <= s.given
    assert s.noise == NoiseSettings(["a.wav", "street"], ["real"], 2, 1.0, 0.5, -3.0, 12.5)
    assert s.recordings("recordings")[1] == s.source.parent / "street"
    for section in (s.model, s.augment, s.noise, s.train):
        for field in fields(section):
            assert type(getattr(section, field.name)).__name__ in str(field.type)
            assert getattr(section, field.name) != field.default, f"{field.name} was not tried"


def test_to_dict_has_every_setting_and_is_json(settings):
    s = settings(DATA + "[model]\nhidden = 20\n")
    values = json.loads(json.dumps(s.to_dict()))
    assert values["model"]["hidden"] == 20
    assert {name: set(values[name]) for name in ("data", "model", "augment", "train")} == {
        name: {field.name for field in fields(kind)}
        for name, kind in {
            "data": DataSettings,
            "model": ModelSection,
            "augment": AugmentSettings,
            "train": TrainSettings,
        }.items()
    }
    assert values["features"] == Features().to_dict()


def test_paths_are_relative_to_the_settings_or_use_environment_variables(settings, tmp_path, monkeypatch):
    s = settings('[data]\ntrain = "sub/train.jsonl"\ndev = "$SPEECH_HERE/dev.jsonl"\n')
    assert s.path("train") == tmp_path / "sub" / "train.jsonl"
    monkeypatch.setenv("SPEECH_HERE", "/else/where")
    assert str(s.path("dev")) == "/else/where/dev.jsonl"
    monkeypatch.delenv("SPEECH_HERE")
    with pytest.raises(InputError, match=r"mine.toml: \[data\] dev = '\$SPEECH_HERE/.*environment variable"):
        s.path("dev")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[modle]\nhidden = 3\n", ["'modle' is unknown in the file", "did you mean model?"]),
        ("[model]\nhiden = 3\n", ["'hiden' is unknown in [model]", "did you mean hidden?"]),
        ("[features]\nmean = 3\n", ["'mean' is unknown in [features]"]),
        ("[train]\nepochs = 2.5\n", ["[train] epochs = 2.5 must be a whole number"]),
        ("[train]\nepochs = true\n", ["[train] epochs = True must be a whole number"]),
        ("[augment]\nmax_speed_change = '1'\n", ["[augment] max_speed_change = '1' must be a number"]),
        ("[augment]\ncodecs = ['mp3', 'flac']\n", ["codecs = ['mp3', 'flac'] must be one of mp3, vorbis"]),
        ("[train]\ntensorboard = 1\n", ["[train] tensorboard = 1 must be true or false"]),
        ("[train]\nfreeze = 2\n", ["[train] freeze", "add init"]),
        ("[noise]\nrecordings = 'a.wav'\n", ["[noise] recordings = 'a.wav' must be a list of texts"]),
        ("[noise]\nreference_recordings = [3]\n", ["reference_recordings = [3] must be a list of texts"]),
        ("[noise]\nmin_snr_db = 9\nmax_snr_db = 3\n", ["[noise] min_snr_db = 9.0 is above max_snr_db = 3.0"]),
        ('[noise]\nreference_recordings = ["a.wav"]\n', ["[noise] reference_recordings", "add recordings"]),
        ("[model]\nhidden = 0\n", ["[model] hidden = 0 must be at least 1"]),
        ("[model]\ncontext = -1\n", ["context = -1 must be at least 0"]),
        ("[model]\nstride = 17\n", ["stride = 17 must be at most 16"]),
        ("[model]\ndropout = 1\n", ["dropout = 1.0 must be at most 0.95"]),
        ("[model]\ndropout = nan\n", ["dropout = nan must be"]),
        ("[train]\ngemm = 'fp16'\n", ["gemm = 'fp16' must be one of fp32, tf32, 3xtf32"]),
        ("[train]\nselect = 'best'\n", ["[train] select = 'best' must be one of wer, cer, loss"]),
        ("[train]\nlearning_rate = 0\n", ["learning_rate = 0.0 must be above 0"]),
        ("[train]\nlearning_rate = inf\n", ["learning_rate = inf must be"]),
        ("[train]\nlearning_rate = nan\n", ["learning_rate = nan must be"]),
        ("[train]\ngrad_clip_norm = -1\n", ["grad_clip_norm = -1.0 must be above 0"]),
        ("[train]\nlr_decay = 0.9\n", ["lr_decay = 0.9 must be at least 1"]),
        ("[train]\nmomentum = 1\n", ["momentum = 1.0 must be at most 0.9999"]),
        ("[train]\nseed = -1\n", ["seed = -1 must be at least 0"]),
        (f"[augment]\nmax_speed_change = {10**400}\n", ["[augment] max_speed_change"]),
        ("[train]\nepochs = " + "9" * 5000 + "\n", ["not valid TOML"]),
        ("[features]\nkind = 'mfcc'\n", ["[features] kind = 'mfcc'", "filterbank, spectrogram"]),
        ("[features]\nrate = 0\n", ["[features] rate = 0"]),
        ("[features]\nwindow_ms = inf\n", ["[features] window_ms = inf"]),
        ("[features]\nbands = 9000\n", ["[features] bands = 9000"]),
        ("[train\n", ["not valid TOML", "examples/an4.toml"]),
    ],
)
def test_an_impossible_value_is_named(refused, text, words):
    message = refused(DATA + text)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["[data] train is missing", 'train = "…"']),
        ('[data]\ntrain = "a"\n', ["[data] dev is missing"]),
        ("hidden = 3\n", ["'hidden' is unknown", "known are data, features, model, augment, noise"]),
        ("model = 3\n" + DATA, ["model is a section", "[model]"]),
        ("[data]\ntrain = 5\ndev = 'a'\n", ["[data] train = 5 must be text in quotes"]),
        ("epochs = 1\nepochs = 2\n", ["not valid TOML"]),
        ("a = " + "[" * 3000 + "]" * 3000, ["not valid TOML"]),
    ],
)
def test_an_invalid_settings_file_is_named(refused, text, words):
    message = refused(text)
    for word in words:
        assert word in message


def test_an_alphabet_may_be_a_list_of_symbols(settings, refused):
    assert settings(DATA + 'alphabet = [" ", "a", "sch"]\n').alphabet.symbols == (" ", "a", "sch")
    assert "[data] alphabet: " in refused(DATA + 'alphabet = ["a", "a"]\n')
    assert "must be text in quotes, or a list of texts" in refused(DATA + "alphabet = [1]\n")


def test_a_byte_order_mark_is_accepted(tmp_path):
    (tmp_path / "mine.toml").write_text(DATA, encoding="utf-8-sig")
    assert read_settings(tmp_path / "mine.toml").data.train == "train.jsonl"


@pytest.mark.parametrize("alphabet", ["", "abca", "가나가"])
def test_an_impossible_alphabet_is_named(refused, alphabet):
    assert "[data] alphabet: " in refused(f'{DATA}alphabet = "{alphabet}"\n')


def test_an_unreadable_file_is_named(tmp_path):
    (tmp_path / "latin1").write_bytes(b'[data]\ntrain = "\xe9"\n')
    for name, words in (
        ("none", "No such file"),
        (".", "not a file"),
        ("latin1", "not valid TOML"),
        ("a\0b", "null"),
    ):
        with pytest.raises(InputError, match=words):
            read_settings(tmp_path / name)


@pytest.mark.parametrize("kind", [ModelSection, AugmentSettings, TrainSettings])
def test_every_number_has_limits_and_defaults_within_them(kind):
    for field in (f for f in fields(kind) if type(f.default) in (int, float)):
        assert {"minimum", "above"} & set(field.metadata), f"{field.name} has no lower limit"
        assert (
            field.metadata.get("minimum", -math.inf)
            <= field.default
            <= field.metadata.get("maximum", math.inf)
        )
        assert field.default > field.metadata.get("above", -math.inf)


def test_options_replace_settings(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(DATA + "[train]\nminutes = 3\nseed = 2\n")
    settings = read_settings(path, minutes=5.0, init="shipped", select=None)
    assert (settings.train.minutes, settings.train.seed, settings.train.select) == (5.0, 2, "wer")
    assert settings.init_path().is_file()
    assert "train.init" in settings.given
    with pytest.raises(InputError, match=r"minutes = -1\.0 must be at least 0"):
        read_settings(path, minutes=-1.0)
