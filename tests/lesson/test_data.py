"""lessons/data: three recordings that say what they should, and a recognizer that reads them."""

import importlib
from pathlib import Path

import pytest

from minids.audio import load_audio
from minids.recognizer import Recognizer
from minids.weights import load_weights
from tests import ROOT

DATA = ROOT / "lessons" / "data"
TEXTS = {"seven": "seven", "two_five": "two five", "three_one_four": "three one four"}


@pytest.mark.parametrize("name", TEXTS)
def test_the_recognizer_reads_the_recordings(name):
    samples, rate = load_audio(DATA / f"{name}.flac")
    assert rate == 16_000
    assert 0.5 < len(samples) / rate < 1.5
    heard = Recognizer.load(DATA / "digits.safetensors").transcribe(samples, rate)
    assert heard.text == TEXTS[name]


def test_the_recognizer_speaks_100_times_a_second():
    saved = load_weights(DATA / "digits.safetensors")
    assert saved.model.settings.stride == 1
    assert saved.features.hop_ms == 10


def test_all_is_small():
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 500_000


def test_the_recordings_are_of_voices_that_nobody_learned_from(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "demo"))
    made, speech = importlib.import_module("lesson_data"), importlib.import_module("speech")
    for text, voice, *_ in made.RECORDINGS.values():
        assert voice.split("+")[1] in speech.VOICES["test"].split()
        assert text in TEXTS.values()
    assert {Path(name).stem for name in made.RECORDINGS} == set(TEXTS)
