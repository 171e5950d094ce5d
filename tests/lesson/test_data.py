"""The data of the lessons: three recordings, and a recognizer that transcribes them."""

import importlib
from pathlib import Path

import pytest

from minids.audio import load_audio
from minids.recognizer import Recognizer
from minids.weights import load_model
from tests import ROOT

DATA = ROOT / "lessons" / "data"
TEXTS = {"seven": "seven", "two_five": "two five", "three_one_four": "three one four"}


@pytest.mark.parametrize("name", TEXTS)
def test_the_recognizer_transcribes_the_recordings(name):
    samples, rate = load_audio(DATA / f"{name}.flac")
    assert rate == 16_000
    assert 0.5 < len(samples) / rate < 1.5
    recognizer = Recognizer.load(DATA / "digits.safetensors")
    assert recognizer.transcribe(samples, rate).text == TEXTS[name]


def test_the_recognizer_has_100_outputs_per_second():
    saved = load_model(DATA / "digits.safetensors")
    assert saved.model.settings.stride == 1
    assert saved.features.hop_ms == 10


def test_the_data_is_small():
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 600_000


def test_the_voices_are_not_in_the_training_data(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "demo"))
    lesson_data, speech = importlib.import_module("lesson_data"), importlib.import_module("speech")
    for text, voice, *_ in lesson_data.RECORDINGS.values():
        assert voice.split("+")[1] in speech.VOICES["test"].split()
        assert text in TEXTS.values()
    assert {Path(name).stem for name in lesson_data.RECORDINGS} == set(TEXTS)
