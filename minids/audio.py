"""Sound files and samples: read any file as mono at the model's rate, write, resample, superpose, shift.

Samples are float32 in [-1, 1], one channel, shape (N,); rates are in Hz.
"""

import io
import math
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write

BLOCK = 1 << 18  # samples read at a time: a header can promise more than memory holds
RATES = range(1_000, 192_001)  # Hz; with any other the header is broken
MOST_A_BYTE = 10_000  # samples; FLAC packs 5000 of silence in one
LOUDEST = 1e10  # full scale is 1, or 2**31 where integers were written as floats
UNKNOWN_LENGTH = 0x7FFF0000  # who writes to a pipe puts the largest number he has where the length belongs
# libsndfile's log about a chunk that ends early: "data : 32000 (should be 19182)"
CUT_SHORT = r"^\s*(?:data|Data Size|Data size|SSND|Riff size|riff)\s*: (\d+) \(should be (\d+)\)"
# The resampling filter: a sinc of 32 zero crossings a side under a Kaiser window, flat up to 0.87 of the
# lower Nyquist frequency and 80 dB down from 1.03 on.
ZERO_CROSSINGS, KAISER, CUTOFF = 32, 8.0, 0.95


class AudioWarning(UserWarning):
    """A recording that can be used but will not be heard well."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What the header of a sound file says: duration in seconds, rate in Hz, number of channels."""

    duration: float
    rate: int
    channels: int


def audio_info(path: str | Path) -> AudioInfo:
    """Duration, rate and channels from the header alone. InputError if the file is missing or not sound."""
    with _opened(path) as file:
        return AudioInfo(file.frames / file.samplerate, file.samplerate, file.channels)


def load_audio(path: str | Path, rate: int | None = None) -> tuple[np.ndarray, int]:
    """A sound file as (samples (N,) float32, rate): the mean of its channels, resampled if `rate` is given.

    Reads what libsndfile reads: WAV, FLAC, Ogg, MP3, AIFF, NIST Sphere, ... A file below `rate` lacks the
    upper part of the spectrum and gives an AudioWarning. Raises InputError for a file that is missing, empty,
    not sound, shorter than its header says, or that holds no samples or numbers that are not finite.
    """
    with _opened(path) as file:
        own_rate = file.samplerate
        samples = np.concatenate([np.zeros(0, np.float32), *_mono_blocks(file)])  # (N,)
        cut_short = len(samples) < file.frames or _header_promises_more(file)
    if cut_short:
        raise InputError(f"{path}: truncated at {len(samples) / own_rate:.2f} s; copy or record it again")
    if not len(samples):
        raise InputError(f"{path}: the file holds no samples; leave it out")
    if not np.abs(samples).max() < LOUDEST:  # so that NaN does not pass
        raise InputError(f"{path}: samples are NaN, infinite or absurdly loud; write it again as 16-bit WAV")
    if rate is None or rate == own_rate:
        return samples, own_rate
    if own_rate < rate:
        warnings.warn(
            f"{path}: {own_rate} Hz is below the model's {rate} Hz: it misses all above {own_rate // 2} Hz",
            AudioWarning,
            stacklevel=2,
        )
    return resample(samples, own_rate, rate), rate


def save_audio(path: str | Path, samples: np.ndarray, rate: int) -> None:
    """Write samples (N,) as 16 bit WAV or FLAC, as the path ends; the file is whole or not there.

    What is louder than full scale is clipped. Raises InputError for another ending, for a rate that the
    format cannot have, or if the path cannot be written.
    """
    import soundfile

    ending = Path(path).suffix.lower()
    if ending not in (".wav", ".flac"):
        raise InputError(f"cannot write {path}: the name must end in .wav or .flac")
    encoded = io.BytesIO()
    try:
        soundfile.write(encoded, np.asarray(samples, np.float32), rate, format=ending[1:])
    except soundfile.SoundFileError as error:
        raise InputError(f"cannot write {path}: {rate} Hz is no rate for {ending}") from error
    with atomic_write(path) as file:
        file.write(encoded.getbuffer())


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """The same sound at another rate, ceil(N to_rate / from_rate) samples, free of images and aliases.

    up / down is the ratio of the rates in lowest terms: up - 1 zeros go between the samples, a windowed sinc
    smooths them, every down-th is kept; the polyphase form never multiplies the zeros.
    """
    from scipy.signal import resample_poly

    if from_rate == to_rate:
        return np.asarray(samples, np.float32)
    common = math.gcd(from_rate, to_rate)
    up, down = to_rate // common, from_rate // common
    return resample_poly(np.asarray(samples, np.float32), up, down, window=_lowpass(max(up, down)))


@lru_cache(4)
def _lowpass(steps: int) -> np.ndarray:
    """Filter (64 steps + 1,) float32 that passes what is below 1 / steps of its Nyquist frequency."""
    from scipy.signal import firwin

    taps = firwin(2 * ZERO_CROSSINGS * steps + 1, CUTOFF / steps, window=("kaiser", KAISER))
    return taps.astype(np.float32)


def mix(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """speech + g noise, g such that 10 log10(power(speech) / power(g noise)) = snr_db (§4.1).

    Power is the mean square about the mean, for a constant offset is not heard. The noise is repeated or cut
    to the length of the speech; silent noise adds nothing.
    """
    noise = np.resize(noise, len(speech)).astype(np.float32)  # (N,)
    power = float(np.var(noise))
    if power == 0:
        return np.array(speech, np.float32)
    gain = math.sqrt(float(np.var(speech)) / power / 10 ** (snr_db / 10))
    return (speech + np.float32(gain) * noise).astype(np.float32)


def shift(samples: np.ndarray, rate: int, ms: float) -> np.ndarray:
    """The sound `ms` milliseconds later (earlier if negative) in whole samples; as many zeros come in."""
    late = max(-len(samples), min(len(samples), round(rate * ms / 1000)))
    moved = np.zeros_like(samples)  # (N,)
    if late >= 0:
        moved[late:] = samples[: len(samples) - late]
    else:
        moved[:late] = samples[-late:]
    return moved


@contextmanager
def _opened(path: str | Path) -> Iterator:
    """A soundfile.SoundFile; whatever goes wrong while it is open is said as an InputError."""
    import soundfile

    try:
        if not Path(path).is_file():
            problem = "not a file" if Path(path).exists() else "no such file"
            raise InputError(f"{path}: {problem}; check the path")
        size = Path(path).stat().st_size
        if not size:
            raise InputError(f"{path}: the file is empty; copy or record it again")
        with soundfile.SoundFile(os.fsencode(path)) as file:  # soundfile's own way takes UTF-8 alone
            if file.samplerate not in RATES:
                raise InputError(f"{path}: damaged, its header says {file.samplerate} Hz; copy it again")
            if file.frames > MOST_A_BYTE * size:  # or all there is, of FLAC written to a pipe
                raise InputError(f"{path}: damaged, its header says {file.frames} samples; convert it to WAV")
            yield file
    except InputError:
        raise
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: a .raw file has no header
        why = getattr(error, "error_string", reason(error)).removeprefix("Error : ").rstrip(".")
        raise InputError(
            f"{path}: damaged, or no sound file ({why}); copy it again or convert it to WAV"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        raise InputError(f"{str(path)!r}: {reason(error)}; check the path") from error


def _mono_blocks(file) -> Iterator[np.ndarray]:
    size = max(1, BLOCK // file.channels)
    while len(block := file.read(size, dtype="float32", always_2d=True)):  # (n, channels)
        with np.errstate(over="ignore", invalid="ignore"):
            mono = block.mean(axis=1)
        yield mono


def _header_promises_more(file) -> bool:
    """Whether the file was longer once, where libsndfile quietly gives what is left.

    It notes a chunk cut short in its log, and an Ogg stream without its end; of a Sphere file it only counts
    the bytes, so that the header has to be asked again.
    """
    if file.format == "NIST":
        with open(file.name, "rb") as raw:
            count = re.search(rb"sample_count -i (\d{1,12})\s", raw.read(1024))
        return count is not None and int(count[1]) > file.frames
    if file.format == "OGG":
        return "lacks an end-of-stream" in file.extra_info
    chunk = re.search(CUT_SHORT, file.extra_info, re.MULTILINE)
    return chunk is not None and int(chunk[2]) < int(chunk[1]) < UNKNOWN_LENGTH
