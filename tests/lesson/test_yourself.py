"""The reader's own recordings: files, a microphone that is not one, and the voice that ships."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from minids.audio import save_audio
from minids.lesson.sounds import RATE, Recording
from minids.lesson.yourself import long_enough, recordings


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
    monkeypatch.setattr("sys.argv", ["ipykernel_launcher.py", "-f", "/tmp/kernel.json"])
    assert not recordings(sys.argv[1:], [], tmp_path)[1]
    with pytest.raises(SystemExit, match="neither a sound file nor a folder"):
        recordings(["my-recordings"], [], tmp_path)


def test_texts_are_recorded_and_kept(microphone, tmp_path):
    texts = ["one two", "three", "four"]
    found, is_you = recordings(["--record"], texts, tmp_path / "you")
    assert is_you
    assert [r.text for r in found] == texts
    assert np.allclose(found[0].samples, FakeStream.samples, atol=1e-4)
    microphone.InputStream = None  # not used again: all are there
    again, _ = recordings(["--record"], texts, tmp_path / "you")
    assert [r.text for r in again] == texts


def test_a_silent_microphone_is_reported(microphone, monkeypatch, tmp_path):
    monkeypatch.setattr(FakeStream, "samples", np.zeros(RATE, np.float32))
    with pytest.raises(SystemExit, match="silent"):
        recordings(["--record"], ["one"], tmp_path)
    assert not list(tmp_path.glob("*.wav"))


def test_without_the_library_the_remedy_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SystemExit, match="pip install sounddevice"):
        recordings(["--record"], ["one"], tmp_path)


def save(folder, *names):
    """Recordings and their texts."""
    for name in names:
        save_audio(folder / f"{name}.flac", FakeStream.samples, RATE)
        (folder / f"{name}.txt").write_text(f"Say  {name}\n")


def problem(*arguments):
    """The one line with which the lesson ends."""
    with pytest.raises(SystemExit) as stop:
        recordings([str(argument) for argument in arguments], [], arguments[0])
    assert stop.value.code.startswith("17_you.py: ")
    assert "\n" not in stop.value.code
    return stop.value.code


def test_files_and_folders_have_their_texts_next_to_them(tmp_path):
    save(tmp_path, "c", "b", "a")
    found, is_you = recordings([str(tmp_path)], [], tmp_path)
    assert is_you
    assert [r.text for r in found] == ["say a", "say b", "say c"]
    (tmp_path / "b.txt").write_text(" \n")
    assert "b.txt is empty; write what is said in b.flac" in problem(tmp_path)
    (tmp_path / "b.txt").unlink()
    assert "b.flac has no text; write what is said to" in problem(tmp_path)


@pytest.mark.parametrize(
    ("names", "said"), [("", "0 recordings in"), ("a", "1 recording in"), ("ab", "2 rec")]
)
def test_too_few_recordings_are_reported(names, said, tmp_path):
    save(tmp_path, *names)
    assert said in problem(tmp_path)
    assert "at least 3" in problem(tmp_path)


def test_one_file_is_too_few(tmp_path):
    save(tmp_path, *"abc")
    assert "1 recording in" in problem(tmp_path / "a.flac")
    files = [str(tmp_path / f"{name}.flac") for name in "abc"]
    assert len(recordings(files, [], tmp_path)[0]) == 3


def test_a_path_that_is_not_there_is_reported(tmp_path):
    assert "missing is neither a sound file nor a folder" in problem(tmp_path / "missing")


def test_a_damaged_recording_is_reported(tmp_path):
    save(tmp_path, *"abc")
    path = tmp_path / "b.flac"
    path.write_bytes(path.read_bytes()[:-2000])
    assert "b.flac" in problem(tmp_path)
    path.write_bytes(b"not sound")
    assert "b.flac" in problem(tmp_path)
    save_audio(path, FakeStream.samples[:1000], RATE)
    assert "b.flac lasts only 0.06 s; record it again" in problem(tmp_path)


def test_recordings_too_short_for_their_texts_are_left_out(capsys):
    texts = ["one", "two", "four", "a much longer text", "seeen"]
    sounds = [Recording("you", text, np.zeros(RATE // 5)) for text in texts]  # 7 frames of 30 ms
    assert [r.text for r in long_enough(sounds, 0.03)] == texts[:3]
    assert "0.20 s with sound are too short for “a much longer text”" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="fewer than 3 recordings are left"):
        long_enough(sounds[2:], 0.03)
