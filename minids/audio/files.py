"""Sound files: read any file as mono at the rate of the model, write WAV and FLAC.

`read_sound` alone decides whether a problem of a recording is an error (InputError), a note, or ignored;
`load_audio` turns its notes into warnings, `minids data doctor` into findings.
"""

import io
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minids._utils.errors import InputError
from minids._utils.files import atomic_write
from minids._utils.warning import warn
from minids.audio.processing import check_number, check_rate, check_samples
from minids.audio.reading import AudioInfo, Note, Source, decode, opened, source_name

# fmt: off
SOUND_SUFFIXES = frozenset((  # of recordings in a folder; ffmpeg reads those of the last line
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".aif", ".aiff", ".aifc", ".au",
    ".snd", ".caf", ".w64", ".rf64", ".sph", ".nist", ".voc", ".avr", ".htk", ".iff", ".8svx", ".svx",
    ".mat", ".paf", ".pvf", ".wve", ".xi", ".ircam", ".sf",
    ".m4a", ".m4b", ".aac", ".adts", ".webm", ".mka", ".wma", ".amr", ".ac3", ".ape", ".wv", ".tta",
))
# fmt: on
MAX_SECONDS = 4 * 3600.0  # default limit for a recording
MAX_SAMPLES = 1 << 28  # of a recording in memory: 1 GB


class AudioWarning(UserWarning):
    """A recording that is usable, but not as its header or its rate suggest."""


class TooLongError(InputError):
    """A recording is longer than the limit."""

    def __init__(self, message: str, seconds: float):
        super().__init__(message)
        self.seconds = seconds


@dataclass
class Sound:
    """A recording: mono samples (N,) float32, their rate, and the rate and channels of the file."""

    samples: np.ndarray
    rate: int
    info: AudioInfo
    notes: list[Note] = field(default_factory=list)


def audio_info(source: Source) -> AudioInfo:
    """Duration, rate and channels. InputError if the file is missing or not sound."""
    return read_info(source).info


def read_info(source: Source) -> Sound:
    """As `read_sound`, without decoding: no samples, and only the notes on the header."""
    with opened(source) as recording:
        return Sound(np.zeros(0, np.float32), recording.info.rate, recording.info, recording.notes)


def load_audio(
    source: Source,
    rate: int | None = None,
    start: float = 0.0,
    end: float | None = None,
    channel: int | None = None,
    max_seconds: float = MAX_SECONDS,
) -> tuple[np.ndarray, int]:
    """A sound file as (samples (N,) float32, rate): the mean of its channels, resampled if `rate` is given.

    Reads what libsndfile reads (WAV, FLAC, Ogg, MP3, AIFF, NIST Sphere, ...) and, where the program ffmpeg is
    installed, M4A, MP4, WebM, AAC and others. `source` is a path, the content as bytes, or a binary stream.
    `start` and `end` (seconds) select a part, `channel` (from 0) one channel. Channels that cancel each other
    are not mixed: the strongest is used, with an AudioWarning. Other AudioWarnings: a header that
    states less than the file has (all of it is read), and a rate of the file below `rate`.

    Raises InputError for a file that is missing, empty, not sound, shorter than its header states or longer
    than `max_seconds`, or that has no samples or values that are not finite.
    """
    sound = read_sound(source, rate, start, end, channel, max_seconds)
    for note in sound.notes:
        warn(f"{source_name(source)}: {note.message}", AudioWarning)
    return sound.samples, sound.rate


def read_sound(
    source: Source,
    rate: int | None = None,
    start: float = 0.0,
    end: float | None = None,
    channel: int | None = None,
    max_seconds: float = MAX_SECONDS,
) -> Sound:
    """As `load_audio`, with the notes in the result instead of warnings."""
    rate = None if rate is None else check_rate("rate", rate)
    stop = math.inf if end is None else check_number("end", end)
    if not 0 <= check_number("start", start) < stop:
        part = f"the part from {start} to {end} s is empty"
        raise InputError(f"{source_name(source)}: {part}; start must be before end")
    with opened(source) as recording:
        info, name = recording.info, recording.name
        if channel is not None and (isinstance(channel, bool) or channel not in range(info.channels)):
            raise InputError(f"{name}: no channel {channel}; choose from 0 to {info.channels - 1}")
        available, wanted = info.duration - start, stop - start
        if not info.duration > 0:
            raise InputError(f"{name}: the file has no samples; remove it")
        if available <= 0 or (end is not None and wanted > available + max(0.1, 0.01 * wanted)):
            until = "the end" if end is None else f"{end:.2f} s"
            part = f"the part is {start:.2f} to {until}"
            raise InputError(f"{name}: has {info.duration:.2f} s, {part}; correct the manifest")
        seconds = min(available, wanted)
        if seconds > max_seconds:
            raise TooLongError(
                f"{name}: lasts {seconds:.1f} s, the limit is {max_seconds:.1f} s; cut it into parts", seconds
            )
        target = rate or info.rate
        if seconds * target > MAX_SAMPLES:
            raise InputError(f"{name}: {seconds:.0f} s need too much memory; cut it into parts")
        notes = list(recording.notes)
        samples, cancels = decode(recording, target, start, end, channel)
        if cancels is not None:
            notes.append(Note("channels", f"the channels cancel each other; only channel {cancels} is used"))
            samples, _ = decode(recording, target, start, end, cancels)
    if not len(samples):
        raise InputError(f"{name}: the file has no samples; remove it")
    if rate is not None and info.rate < rate:
        message = f"{info.rate} Hz is below the model's {rate} Hz: nothing above {info.rate // 2} Hz is in it"
        notes.append(Note("low rate", message))
    return Sound(samples, target, info, notes)


def save_audio(path: str | Path, samples: np.ndarray, rate: int) -> None:
    """Write samples (N,) as 16-bit WAV or FLAC, by the suffix of the path, atomically.

    Samples beyond full scale are clipped. Raises InputError for another suffix, for samples that are not
    finite, for a rate that the format does not support, or if the path cannot be written.
    """
    import soundfile

    suffix = Path(path).suffix.lower()
    if suffix not in (".wav", ".flac"):
        raise InputError(f"cannot write {path}: the name must end in .wav or .flac")
    samples = check_samples(samples)
    encoded = io.BytesIO()
    try:
        if rate != int(rate):
            raise ValueError
        soundfile.write(encoded, samples, int(rate), format=suffix[1:])
    except (soundfile.SoundFileError, ValueError, OverflowError) as error:
        raise InputError(f"cannot write {path}: {suffix} does not support {rate} Hz") from error
    with atomic_write(path) as file:
        file.write(encoded.getbuffer())
