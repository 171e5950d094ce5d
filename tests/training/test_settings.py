"""Settings files: what they may say, and the one line that names what they may not."""

import json
import math
from dataclasses import fields

import pytest

from minids._utils.errors import InputError
from minids.features import Features
from minids.training.settings import Data, Network, NoiseSettings, Training, read_settings

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
    assert (s.model, s.train, s.features) == (Network(), Training(), Features())
    assert len(s.alphabet) == 29, "the paper's (§2)"
    assert s.source == tmp_path / "mine.toml"
    assert 0.05 <= s.model.dropout <= 0.1, "§2.1"
    assert s.train.momentum == 0.99, "§5"


def test_every_key_can_be_set(settings):
    text = (
        DATA
        + 'alphabet = "가나"\ncache = "kept"\n[features]\nrate = 8000\nkind = "spectrogram"\nbands = 40\n'
    )
    text += 'window_ms = 25\nhop_ms = 12.5\nnormalize = "speaker"\n'
    text += "[model]\nhidden = 33\ncontext = 0\nstride = 3\ndropout = 0\n"
    text += '[noise]\nrecordings = ["a.wav", "street"]\nlike = ["real"]\nlayers = 2\nnoise_prob = 1\n'
    text += "min_snr_db = -3\nmax_snr_db = 12.5\n"
    text += "[train]\nepochs = 7\nbatch_size = 3\nlearning_rate = 1\nlr_decay = 2\nmomentum = 0.5\n"
    text += "momentum_ramp = 0\ngrad_clip_norm = 1e3\nmax_shift_ms = 0\nmax_speed_change = 0\n"
    text += "max_tilt_db = 3\nseed = 9\n"
    text += 'checkpoint_minutes = 0.5\ngemm = "tf32"\n'
    s = settings(text)
    assert s.data == Data("train.jsonl", "dev.jsonl", "가나", "kept")
    assert s.alphabet.symbols == ("가", "나")
    assert s.features == Features(8000, "spectrogram", 40, 25.0, 12.5, "speaker")
    assert s.model == Network(33, 0, 3, 0.0)
    assert s.train == Training(7, 3, 1.0, 2.0, 0.5, 0, 1000.0, 0.0, 0.0, 3.0, 0.5, 9, "tf32")
    assert s.noise == NoiseSettings(["a.wav", "street"], ["real"], 2, 1.0, -3.0, 12.5)
    assert s.recordings("recordings")[1] == s.source.parent / "street"
    for section in (s.model, s.train):
        for field in fields(section):
            assert type(getattr(section, field.name)).__name__ == getattr(field.type, "__name__", field.type)
            assert getattr(section, field.name) != field.default, f"{field.name} was not tried"


def test_as_dict_tells_everything_and_is_json(settings):
    s = settings(DATA + "[model]\nhidden = 20\n")
    told = json.loads(json.dumps(s.to_dict()))
    assert told["model"]["hidden"] == 20
    assert {name: set(told[name]) for name in ("data", "model", "train")} == {
        name: {field.name for field in fields(kind)}
        for name, kind in {"data": Data, "model": Network, "train": Training}.items()
    }
    assert told["features"] == Features().to_dict()


def test_manifests_lie_beside_the_settings_or_where_the_environment_says(settings, tmp_path, monkeypatch):
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
        ("[modle]\nhidden = 3\n", ["the settings has no 'modle'", "did you mean model?"]),
        ("[model]\nhiden = 3\n", ["[model] has no 'hiden'", "did you mean hidden?"]),
        ("[features]\nmean = 3\n", ["[features] has no 'mean'"]),
        ("[train]\nepochs = 2.5\n", ["[train] epochs = 2.5 must be a whole number"]),
        ("[train]\nepochs = true\n", ["[train] epochs = True must be a whole number"]),
        ("[train]\nmax_speed_change = '1'\n", ["[train] max_speed_change = '1' must be a number"]),
        ("[noise]\nrecordings = 'a.wav'\n", ["[noise] recordings = 'a.wav' must be a list of texts"]),
        ("[noise]\nlike = [3]\n", ["[noise] like = [3] must be a list of texts"]),
        ("[noise]\nmin_snr_db = 9\nmax_snr_db = 3\n", ["[noise] min_snr_db = 9.0 is above max_snr_db = 3.0"]),
        ('[noise]\nlike = ["a.wav"]\n', ["[noise] like tells which", "add recordings"]),
        ("[model]\nhidden = 0\n", ["[model] hidden = 0 must be at least 1"]),
        ("[model]\ncontext = -1\n", ["context = -1 must be at least 0"]),
        ("[model]\nstride = 17\n", ["stride = 17 must be at most 16"]),
        ("[model]\ndropout = 1\n", ["dropout = 1.0 must be at most 0.95"]),
        ("[model]\ndropout = nan\n", ["dropout = nan must be"]),
        ("[train]\ngemm = 'fp16'\n", ["gemm = 'fp16' must be one of fp32, tf32, cublas"]),
        ("[train]\nlearning_rate = 0\n", ["learning_rate = 0.0 must be above 0"]),
        ("[train]\nlearning_rate = inf\n", ["learning_rate = inf must be"]),
        ("[train]\nlearning_rate = nan\n", ["learning_rate = nan must be"]),
        ("[train]\ngrad_clip_norm = -1\n", ["grad_clip_norm = -1.0 must be above 0"]),
        ("[train]\nlr_decay = 0.9\n", ["lr_decay = 0.9 must be at least 1"]),
        ("[train]\nmomentum = 1\n", ["momentum = 1.0 must be at most 0.9999"]),
        ("[train]\nseed = -1\n", ["seed = -1 must be at least 0"]),
        (f"[train]\nmax_speed_change = {10**400}\n", ["[train] max_speed_change"]),
        ("[train]\nepochs = " + "9" * 5000 + "\n", ["not TOML"]),
        ("[features]\nkind = 'mfcc'\n", ["[features] kind = 'mfcc'", "filterbank, spectrogram"]),
        ("[features]\nrate = 0\n", ["[features] rate = 0"]),
        ("[features]\nwindow_ms = inf\n", ["[features] window_ms = inf"]),
        ("[features]\nbands = 9000\n", ["[features] bands = 9000"]),
        ("[train\n", ["not TOML", "examples/an4.toml"]),
    ],
)
def test_what_cannot_be_is_named(refused, text, words):
    message = refused(DATA + text)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["[data] lacks train", 'train = "…"']),
        ('[data]\ntrain = "a"\n', ["[data] lacks dev"]),
        ("hidden = 3\n", ["no 'hidden'", "known are data, features, model, noise, train"]),
        ("model = 3\n" + DATA, ["model is a section", "[model]"]),
        ("[data]\ntrain = 5\ndev = 'a'\n", ["[data] train = 5 must be text in quotes"]),
        ("epochs = 1\nepochs = 2\n", ["not TOML"]),
        ("a = " + "[" * 3000 + "]" * 3000, ["not TOML"]),
    ],
)
def test_a_file_that_is_no_settings_is_named(refused, text, words):
    message = refused(text)
    for word in words:
        assert word in message


@pytest.mark.parametrize("alphabet", ["", "abca", "가나가"])
def test_an_impossible_alphabet_is_named(refused, alphabet):
    assert "[data] alphabet: " in refused(f'{DATA}alphabet = "{alphabet}"\n')


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "latin1").write_bytes(b'[data]\ntrain = "\xe9"\n')
    for name, words in (
        ("none", "No such file"),
        (".", "not a file"),
        ("latin1", "not TOML"),
        ("a\0b", "null"),
    ):
        with pytest.raises(InputError, match=words):
            read_settings(tmp_path / name)


@pytest.mark.parametrize("kind", [Network, Training])
def test_every_number_has_limits_and_the_defaults_keep_them(kind):
    for field in (f for f in fields(kind) if type(f.default) is not str):
        assert {"least", "above"} & set(field.metadata), f"{field.name} has no lower limit"
        assert field.metadata.get("least", -math.inf) <= field.default <= field.metadata.get("most", math.inf)
        assert field.default > field.metadata.get("above", -math.inf)
