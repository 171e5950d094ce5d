"""Sounds for the tests of audio, and files of them in every format that libsndfile writes."""

import io

import numpy as np
import soundfile

RATE = 16_000


def tone(hz: float, seconds: float, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def power_db(x: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(x, dtype=np.float64)))


def encode(samples: np.ndarray, kind: str, subtype: str = "PCM_16", rate: int = RATE, **options) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype, **options)
    return file.getvalue()


def every_format(samples: np.ndarray, rate: int) -> dict[tuple[str, str], bytes]:
    """(format, subtype) -> file, for all that libsndfile can write to a stream."""
    files = {}
    for kind in sorted(set(soundfile.available_formats()) - {"RAW", "SD2", "SDS"}):
        for subtype in soundfile.available_subtypes(kind):
            try:
                files[kind, subtype] = encode(samples, kind, subtype, rate)
            except soundfile.SoundFileError:
                continue
    return files
