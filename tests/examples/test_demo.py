"""The demo: its speech, and (slow) the program of `make demo`."""

import filecmp
import importlib
import os
import subprocess
import sys

import pytest

from minids.audio import load_audio
from minids.data.manifest import read_manifest
from tests import ROOT

DEMO = ROOT / "examples" / "demo"


@pytest.fixture
def speech(monkeypatch):
    pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")
    monkeypatch.syspath_prepend(str(DEMO))
    return importlib.import_module("speech")


def test_no_voice_is_in_two_splits(speech):
    voices = [voice for split in speech.VOICES.values() for voice in split.split()]
    assert len(voices) == len(set(voices))


def test_speech_matches_its_manifest_and_is_reproducible(speech, tmp_path):
    counts = {"train": 3, "test": 2}
    manifests = speech.make(tmp_path / "a", counts, seed=1)
    speech.make(tmp_path / "b", counts, seed=1)
    speech.make(tmp_path / "c", counts, seed=2)
    for split, count in counts.items():
        utterances = read_manifest(manifests[split])
        assert len(utterances) == count
        for u in utterances:
            words = u.text.split()
            assert 1 <= len(words) <= 5
            assert set(words) <= set(speech.WORDS)
            assert u.speaker in speech.VOICES[split].split()
            samples, rate = load_audio(u.path)
            assert rate == speech.RATE
            assert abs(len(samples) / rate - u.duration) < 1e-3
            assert 0.15 < u.duration / len(words) < 1.5, "a spoken digit takes a fraction of a second"
            assert 0.04 < abs(samples).max() < 0.6
            name = u.path.relative_to(tmp_path / "a")
            assert filecmp.cmp(u.path, tmp_path / "b" / name, shallow=False)
            assert not filecmp.cmp(u.path, tmp_path / "c" / name, shallow=False)


@pytest.mark.slow
def test_make_demo_learns_digits(speech):
    """The program of `make demo`, which fails above a WER of 10 %."""
    environment = os.environ | {"PYTHONPATH": str(DEMO.parent.parent)}
    command = [sys.executable, DEMO / "demo.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    assert "200 recordings of held-out voices, word error rate" in done.stdout
    for name in ("recognition.png", "run/best.safetensors"):
        assert str(DEMO.parent.parent / "out" / "demo" / name) in done.stdout
        assert (DEMO.parent.parent / "out" / "demo" / name).stat().st_size > 10_000
