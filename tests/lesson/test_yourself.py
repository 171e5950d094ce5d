"""The reader's own recordings: files, a microphone that is not one, and the voice that ships."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.audio import save_audio
from minids.lesson.sounds import RATE
from minids.lesson.yourself import recordings


class FakeStream:
    """A microphone that plays a recording, in blocks."""

    samples = np.sin(np.arange(RATE) / 20).astype(np.float32)

    def __init__(self, samplerate, channels, dtype, callback):
        assert (samplerate, channels, dtype) == (RATE, 1, "float32")
        self.callback = callback

    def __enter__(self):
        for block in np.split(self.samples, 10):
            self.callback(block[:, None], len(block), None, None)
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def microphone(monkeypatch):
    module = SimpleNamespace(InputStream=FakeStream, PortAudioError=OSError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr("builtins.input", lambda *_: "")
    return module


def test_without_arguments_a_voice_that_ships_speaks(tmp_path):
    found, is_you = recordings([], ["one"], tmp_path)
    assert not is_you
    assert len(found) == 40
    assert all(len(r.samples) > RATE / 2 and len(r.text.split()) == 3 for r in found)


def test_arguments_of_a_notebook_are_not_recordings(monkeypatch, tmp_path):
    monkeypatch.setattr("minids.lesson.yourself.in_notebook", lambda: True)
    assert not recordings(["-f", "/tmp/kernel.json"], [], tmp_path)[1]


def test_texts_are_recorded_and_kept(microphone, tmp_path):
    found, is_you = recordings(["--record"], ["one two", "three"], tmp_path / "you")
    assert is_you
    assert [r.text for r in found] == ["one two", "three"]
    assert np.allclose(found[0].samples, FakeStream.samples, atol=1e-4)
    microphone.InputStream = None  # not used again: both are there
    again, _ = recordings(["--record"], ["one two", "three"], tmp_path / "you")
    assert [r.text for r in again] == ["one two", "three"]


def test_a_silent_microphone_is_reported(microphone, monkeypatch, tmp_path):
    monkeypatch.setattr(FakeStream, "samples", np.zeros(RATE, np.float32))
    with pytest.raises(InputError, match="silent"):
        recordings(["--record"], ["one"], tmp_path)
    assert not list(tmp_path.glob("*.wav"))


def test_without_the_library_the_remedy_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(InputError, match="pip install sounddevice"):
        recordings(["--record"], ["one"], tmp_path)


def test_files_and_folders_have_their_texts_next_to_them(tmp_path):
    for name in "b", "a":
        save_audio(tmp_path / f"{name}.flac", FakeStream.samples, RATE)
        (tmp_path / f"{name}.txt").write_text(f"Say  {name}\n")
    found, is_you = recordings([str(tmp_path)], [], tmp_path)
    assert is_you
    assert [r.text for r in found] == ["say a", "say b"]
    (tmp_path / "b.txt").unlink()
    with pytest.raises(InputError, match="neither a sound file nor a folder"):
        recordings([str(tmp_path / "c")], [], tmp_path)
    with pytest.raises(InputError, match=r"b\.txt"):
        recordings([str(tmp_path / "b.flac")], [], tmp_path)
