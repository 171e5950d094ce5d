"""Formats that libsndfile cannot read (M4A, MP4, WebM, AAC, ...): decoded by ffmpeg if installed."""

import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from minids._utils.errors import InputError

# Only these are passed to ffmpeg: playlists and the like could make it open other files or addresses.
SIGNATURES = (
    (rb"....ftyp(M4A|M4B)", "M4A (MPEG-4 audio)"),
    (rb"....(ftyp|moov|mdat)", "MP4, 3GP or QuickTime"),
    (rb"\x1aE\xdf\xa3", "WebM or Matroska"),
    (rb"\xff[\xf0\xf1\xf8\xf9]|ADIF", "AAC"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (WMA)"),
    (rb"#!AMR", "AMR"),
    (rb"MAC ", "Monkey's Audio"),
    (rb"wvpk", "WavPack"),
    (rb"TTA1", "True Audio"),
    (rb"ajkg", "Shorten"),
    (rb"FLV\x01", "Flash video"),
    (rb"RIFF....AVI ", "AVI"),
    (rb"\.RMF", "RealMedia"),
    (rb"DSD |FRM8", "DSD"),
    (rb"\x0b\x77", "AC-3"),
    (rb"G\x40[\x00-\x1f]|\x00\x00\x01\xba", "MPEG"),
    (rb"OggS", "Ogg"),
    (rb"ID3|\xff[\xe2-\xff]", "MPEG audio"),
    (rb"RIFF|RIFX|RF64", "WAV"),
    (rb"FORM", "AIFF"),
)
NOT_SOUND = (
    (rb"MThd|\xf0\x7e", "MIDI"),  # of a sample dump, libsndfile prints errors to stdout
    (rb"PK\x03\x04", "a ZIP archive; unpack it"),
    (rb"\x1f\x8b", "a gzip file; unpack it"),
    (rb"%PDF", "a PDF document"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8", "a picture"),
    (rb"\s*(<!doctype|<html|<\?xml)", "a web page or XML"),
    (rb"version https://git-lfs", "a Git LFS pointer; run `git lfs pull`"),
)


def media_type(head: bytes) -> str | None:
    """What a file that starts like `head` is, if ffmpeg may decode it."""
    return next((name for pattern, name in SIGNATURES if re.match(pattern, head, re.DOTALL)), None)


def other_type(head: bytes) -> str | None:
    """What a file that starts like `head` is, if it is known not to be sound."""
    return next((name for pattern, name in NOT_SOUND if re.match(pattern, head, re.DOTALL | re.I)), None)


@contextmanager
def decode(name: str, source: Path | BinaryIO) -> Iterator[tuple[int, int, Iterator[np.ndarray]]]:
    """(rate, channels, blocks (n, channels) float32) of a file's first audio track. InputError on failure."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise InputError(f"{name}: ffmpeg is not installed")
    address = f"file:{os.fspath(source)}" if isinstance(source, Path) else "pipe:0"
    options = ["-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-i", address, "-map", "0:a:0"]
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as copy:
        if not isinstance(source, Path):
            source.seek(0)
            shutil.copyfileobj(source, copy)  # ffmpeg seeks in it
            copy.seek(0)
        command = [program, *options, "-f", "au", "-c:a", "pcm_f32be", "-"]
        process = subprocess.Popen(command, stdin=copy, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        try:
            header = process.stdout.read(24)
            if len(header) < 24:
                raise InputError(f"{name}: ffmpeg cannot decode it ({_last_line(errors)})")
            magic, start, _, _, rate, channels = struct.unpack(">4s5I", header)
            if magic != b".snd" or not rate or not channels:
                raise InputError(f"{name}: ffmpeg writes no sound; convert it to WAV")
            process.stdout.read(start - 24)
            yield rate, channels, _blocks(process.stdout, channels)
            if process.poll() is None and process.stdout.read(1):
                return  # the reader has enough
            if process.wait() != 0:
                raise InputError(f"{name}: ffmpeg cannot decode all of it ({_last_line(errors)})")
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


def _blocks(stream: IO[bytes], channels: int) -> Iterator[np.ndarray]:
    size = 4 * channels * max(1, (1 << 18) // channels)
    while block := stream.read(size):
        whole = block[: len(block) // (4 * channels) * 4 * channels]
        yield np.frombuffer(whole, ">f4").astype(np.float32).reshape(-1, channels)


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read(10_000).decode(errors="replace").split("\n")
    text = next((line for line in reversed(lines) if line.strip()), "no audio track")
    return " ".join(text.split())
