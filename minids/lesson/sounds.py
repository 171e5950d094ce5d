"""Sounds of the lessons: many voices that say digits, and noise made from them. All of them are synthetic."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from minids.data.manifest import Utterance
from minids.lesson import folder

RATE = 16_000


class Recording(NamedTuple):
    """What a voice says, and its samples (N,) at 16 kHz."""

    voice: str
    text: str
    samples: np.ndarray


def digits(split: str, max_seconds: float = np.inf) -> list[Recording]:
    """The recordings of examples/deepspeech: voices to "train", and others to "test"."""
    recordings = from_table(*_files(split))
    return [recording for recording in recordings if len(recording.samples) <= max_seconds * RATE]


def utterances(split: str) -> list[Utterance]:
    """The recordings of `digits` for a manifest, as parts of one file."""
    table, sound = _files(split)
    return [
        Utterance(sound.absolute(), text, (end - start) / RATE, voice, start=start / RATE, end=end / RATE)
        for start, end, voice, text in _rows(table)
    ]


def from_table(table: Path, sound: Path) -> list[Recording]:
    """The recordings in one sound file; the table has start and end (samples), voice and text of each."""
    import soundfile

    samples, _ = soundfile.read(sound, dtype="float32")
    return [Recording(voice, text, samples[start:end]) for start, end, voice, text in _rows(table)]


def _files(split: str) -> tuple[Path, Path]:
    return folder.example(f"deepspeech/{split}.tsv"), folder.example(f"deepspeech/{split}.ogg")


def _rows(table: Path) -> list[tuple[int, int, str, str]]:
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()[1:]]
    return [(int(start), int(end), voice, text) for start, end, voice, text in rows]


def hiss(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Noise whose power falls with frequency, by a random exponent: (N,)."""
    spectrum = np.fft.rfft(rng.normal(size=round(seconds * RATE)))
    spectrum *= np.maximum(np.arange(len(spectrum)), 100.0) ** -rng.uniform(0, 1.2)
    samples = np.fft.irfft(spectrum, round(seconds * RATE))
    return 0.1 * samples / samples.std()


def crowd(rng: np.random.Generator, seconds: float, voices: list[np.ndarray], people: int = 12) -> np.ndarray:
    """The murmur of a crowd: voices (N,), reversed so that nobody says a word, at random pitches. (N,)"""
    total = np.zeros(round(seconds * RATE))
    for _ in range(people):
        voice = voices[int(rng.integers(len(voices)))][::-1]
        speed = rng.uniform(0.75, 1.3)
        voice = np.interp(np.arange(0, len(voice) - 1, speed), np.arange(len(voice)), voice)
        voice = np.resize(np.roll(voice, int(rng.integers(len(voice)))), len(total))
        total += voice / voice.std() * 10 ** (rng.uniform(-6, 6) / 20)
    return 0.1 * total / total.std()
