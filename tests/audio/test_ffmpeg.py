"""Formats that only ffmpeg reads: a stand-in for the program checks the arguments and the messages."""

import os
import stat
import sys

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.audio import audio_info, load_audio

M4A = b"\0\0\0\x20ftypM4A " + bytes(200)
KINDS = {
    b"\0\0\0\x20ftypM4A ": "M4A",
    b"\0\0\0\x20ftypisom": "MP4",
    b"\x1aE\xdf\xa3": "WebM",
    b"\xff\xf1\x50\x80": "AAC",
    b"#!AMR\n": "AMR",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "Windows Media",
}
PROGRAM = """#!{python}
import struct, sys
import numpy as np
assert sys.argv[sys.argv.index("-i") + 1].startswith(("file:/", "pipe:0"))
if {fail}:
    sys.exit("moov atom not found")
samples = (0.1 * np.random.default_rng(0).standard_normal((44100, 2))).astype(">f4")
sys.stdout.buffer.write(struct.pack(">4s5I", b".snd", 24, 0xFFFFFFFF, 6, 44100, 2) + samples.tobytes())
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a stand-in for ffmpeg first in the search path."""

    def install(fail: bool = False) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        path = folder / "ffmpeg"
        path.write_text(PROGRAM.format(python=sys.executable, fail=fail))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return install


def test_ffmpeg_decodes_what_libsndfile_cannot(program, tmp_path):
    program()
    (tmp_path / "voice.m4a").write_bytes(M4A)
    samples, rate = load_audio(tmp_path / "voice.m4a")
    expected = (0.1 * np.random.default_rng(0).standard_normal((44_100, 2))).astype(np.float32)
    np.testing.assert_allclose(samples, expected.mean(axis=1), atol=1e-7)
    assert rate == 44_100
    info = audio_info(tmp_path / "voice.m4a")
    assert (info.duration, info.rate, info.channels) == (1.0, 44_100, 2)
    part, _ = load_audio(tmp_path / "voice.m4a", start=0.25, end=0.5, channel=1)
    np.testing.assert_array_equal(part, expected[11_025:22_050, 1])
    np.testing.assert_array_equal(load_audio(M4A)[0], samples)


def test_an_error_of_ffmpeg_is_one_line(program, tmp_path):
    program(fail=True)
    (tmp_path / "voice.m4a").write_bytes(M4A)
    with pytest.raises(InputError, match=r"voice\.m4a: ffmpeg cannot decode it \(moov atom not found\)"):
        load_audio(tmp_path / "voice.m4a")


@pytest.mark.parametrize("head", KINDS)
def test_without_ffmpeg_the_message_names_the_format(tmp_path, monkeypatch, head):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "voice").write_bytes(head + bytes(500))
    with pytest.raises(InputError, match=rf"voice: {KINDS[head]}.*; install ffmpeg, or convert it"):
        load_audio(tmp_path / "voice")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04" + bytes(99), "a ZIP archive"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "a Git LFS pointer"),
        (b"MThd" + bytes(99), "MIDI"),
    ],
)
def test_files_that_are_not_sound_are_named(program, tmp_path, content, words):
    program()
    (tmp_path / "voice.mp3").write_bytes(content)
    with pytest.raises(InputError, match=f"not a sound file but {words}"):
        load_audio(tmp_path / "voice.mp3")


def test_a_playlist_is_not_given_to_ffmpeg(program, tmp_path):
    program()
    (tmp_path / "list.m3u8").write_text("#EXTM3U\nhttp://example.org/a.ts\n")
    with pytest.raises(InputError, match="damaged or not a sound file"):
        load_audio(tmp_path / "list.m3u8")
