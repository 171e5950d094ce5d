"""Open and decode recordings: through libsndfile or ffmpeg, block by block, as one channel at any rate."""

import io
import math
import os
import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from minids._utils.errors import InputError, reason
from minids.audio import ffmpeg
from minids.audio.containers import content_start, inspect
from minids.audio.processing import MAX_RATE, resample_blocks
from minids.audio.spans import MAX_SPANS, Contents, Span, read_range

Source = str | Path | bytes | bytearray | memoryview | BinaryIO

BLOCK_SAMPLES = 1 << 18  # read at a time
MIN_RATE = 1_000  # Hz; with a lower rate the header is damaged
MAX_BYTES = 1 << 30  # of a recording from a stream, which is held in memory
MAX_SAMPLES_PER_BYTE = 10_000  # FLAC stores 5000 of silence in one
MAX_AMPLITUDE = 1e10  # full scale is 1, or 2**31 where integers were written as floats
INEXACT_SEEKING = ("OGG", "MP3")  # shifted in the last page, wrong for the first packets
SEEK_MARGIN = 255 * 5760  # samples of the longest page: 255 packets of 120 ms at 48 kHz
MAX_MISSING_SECONDS = 0.02  # a loss shorter than a window of the features does not matter
CANCELLATION = 0.1  # 10 dB: the mean of channels is this much weaker than that of unrelated channels
# libsndfile's log of a chunk that ends early: "data : 32000 (should be 19182)"
CUT_SHORT = r"^\s*(?:data|Data Size|Data size|SSND|Riff size|riff)\s*: (\d+) \(should be (\d+)\)"
UNKNOWN_LENGTH = 0x7FFF0000  # bytes; programs that write to a pipe state this or more


class Note(NamedTuple):
    """Something unusual about a recording that can be used. `kind`: "header", "channels" or "low rate"."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Duration in seconds, rate in Hz and number of channels of a sound file."""

    duration: float
    rate: int
    channels: int


@dataclass
class Recording:
    """An open recording: consecutive parts of it, each decoded by libsndfile or ffmpeg."""

    name: str
    info: AudioInfo
    parts: list["_Part"]
    notes: list[Note]


class _Part:
    """A complete sound file inside a file; `blocks` decodes it."""

    def __init__(self, name: str, file: "_SpanFile | bytes", stack: ExitStack):
        self.name, self.source, self.stack = name, file, stack
        self.file, self.position = self._open(), 0
        self.rate, self.channels, self.frames = self.file.samplerate, self.file.channels, self.file.frames

    def _open(self):  # type: ignore[no-untyped-def]
        import soundfile

        if isinstance(self.source, _SpanFile):
            self.source.seek(0)
        file = self.stack.enter_context(soundfile.SoundFile(self.source))
        self.seekable = file.seekable()
        file.seekable = lambda: False  # soundfile would seek after every block, which is inexact
        return file

    def blocks(self, first: int, last: int) -> Iterator[np.ndarray]:
        """Frames [first, last) in blocks (n, channels) float32."""
        size = max(1, BLOCK_SAMPLES // self.channels)
        if self.position != first:
            start = first
            if not self.seekable:  # GSM 6.10 and the like
                start = 0
            elif self.file.format in INEXACT_SEEKING:
                start = max(0, first - SEEK_MARGIN)
            if start:
                self.file.seek(start)
            else:  # not by seeking, which leaves an MP3 decoder in its state
                self.file = self._open()
            for position in range(start, first, size):
                self.file.read(min(size, first - position), dtype="float32")
        self.position = first
        while first < last:
            block = self.file.read(min(size, last - first), dtype="float32", always_2d=True)
            if not len(block):
                lost = (min(last, self.frames) - first) / self.rate
                if lost > MAX_MISSING_SECONDS:
                    seconds = first / self.rate
                    raise InputError(f"{self.name}: truncated at {seconds:.2f} s; copy or record it again")
                return
            yield block
            first += len(block)
            self.position = first

    @property
    def cut_short(self) -> bool:
        """Whether libsndfile's log says that a chunk is shorter than stated, in formats we do not inspect."""
        chunk = re.search(CUT_SHORT, self.file.extra_info, re.MULTILINE)
        return chunk is not None and int(chunk[2]) < int(chunk[1]) < UNKNOWN_LENGTH


class _FfmpegPart:
    """A file that ffmpeg decodes. It is decoded once to find its length."""

    def __init__(self, name: str, source: Path | BinaryIO):
        self.name, self.source = name, source
        with ffmpeg.decode(name, source) as (self.rate, self.channels, blocks):
            self.frames = sum(map(len, blocks))

    def blocks(self, first: int, last: int) -> Iterator[np.ndarray]:
        with ffmpeg.decode(self.name, self.source) as (_, _, blocks):
            position = 0
            for block in blocks:
                part = block[max(0, first - position) : max(0, last - position)]
                position += len(block)
                if len(part):
                    yield part
                if position >= last:
                    return


def decode(
    recording: Recording, rate: int, start: float, end: float | None, channel: int | None
) -> tuple[np.ndarray, int | None]:
    """Samples (N,) at `rate`, and the channel to use instead where the mean of the channels cancels."""
    blocks, powers = [np.zeros(0, np.float32)], _ChannelPowers()
    offset = 0.0  # seconds before this part of the recording
    for part in recording.parts:
        first = max(0, round((start - offset) * part.rate))
        last = part.frames if end is None else min(part.frames, round((end - offset) * part.rate))
        offset += part.frames / part.rate
        if first < last:
            with closing(_mono(recording.name, part.blocks(first, last), channel, powers)) as mono:
                blocks += resample_blocks(mono, part.rate, rate)
    return np.concatenate(blocks), powers.cancelling() if channel is None else None


def _mono(
    name: str, blocks: Iterator[np.ndarray], channel: int | None, powers: "_ChannelPowers"
) -> Generator[np.ndarray, None, None]:
    for block in blocks:  # (n, channels)
        if channel is not None and channel >= block.shape[1]:
            raise InputError(f"{name}: a part of the file has no channel {channel}; choose another")
        with np.errstate(over="ignore", invalid="ignore"):
            column = 0 if block.shape[1] == 1 else channel
            mono = block.mean(axis=1) if column is None else block[:, column]
        if not (mono.max() < MAX_AMPLITUDE and mono.min() > -MAX_AMPLITUDE):  # false for NaN
            raise InputError(f"{name}: samples are NaN, infinite or very loud; write it again as 16-bit WAV")
        if channel is None and block.shape[1] > 1:
            powers.add(block, mono)
        yield mono


class _ChannelPowers:
    """Power of each channel and of their mean, to find channels that cancel each other."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: np.ndarray | None = None  # (2, channels + 1): of the samples and of their squares

    def add(self, block: np.ndarray, mean: np.ndarray) -> None:
        columns = np.column_stack([block, mean]).astype(np.float64)  # (n, channels + 1)
        sums = np.stack([columns.sum(axis=0), np.square(columns).sum(axis=0)])
        if self.sums is None:
            self.sums = np.zeros_like(sums)
        if self.sums.shape == sums.shape:  # else a part with another number of channels
            self.count += len(columns)
            self.sums += sums

    def cancelling(self) -> int | None:
        """The strongest channel if the mean is far weaker than that of unrelated channels, else None."""
        if self.sums is None:
            return None
        mean_value, mean_square = self.sums / self.count
        powers = mean_square - np.square(mean_value)
        channels, mean = powers[:-1], powers[-1]
        unrelated = channels.sum() / len(channels) ** 2
        return int(channels.argmax()) if mean < CANCELLATION * unrelated and unrelated > 1e-12 else None


@contextmanager
def opened(source: Source) -> Iterator[Recording]:
    """The recording; every error while it is open becomes an InputError."""
    import soundfile

    name = source_name(source)
    try:
        with ExitStack() as stack:
            yield _open(source, name, stack)
    except InputError:
        raise
    except soundfile.SoundFileError as error:
        raise InputError(f"{name}: {_diagnosis(b'', error)}") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        if isinstance(error, OSError) and error.errno is None:
            raise  # not of the system: a timeout by a signal, or an error of the caller's stream
        raise InputError(f"{name!r}: {reason(error)}; check the path") from error


def _open(source: Source, name: str, stack: ExitStack) -> Recording:
    import soundfile

    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None and path.is_file():
        size = path.stat().st_size
        raw: BinaryIO = stack.enter_context(path.open("rb"))
    elif path is not None and not _is_stream(path):
        raise InputError(f"{name}: {'not a file' if path.exists() else 'no such file'}; check the path")
    else:
        raw, path = _in_memory(source, name), None
        size = len(raw.getbuffer())  # type: ignore[attr-defined]
    if not size:
        raise InputError(f"{name}: the file is empty; copy or record it again")
    if start := content_start(raw):
        raw, path = _SpanFile(raw, Span(b"", start, size)), None  # type: ignore[assignment]
        size -= start
    if other := ffmpeg.other_type(read_range(raw, 0, 64)):
        raise InputError(f"{name}: not a sound file but {other}")
    contents = inspect(raw, size)
    if len(contents.spans) > MAX_SPANS:
        raise InputError(f"{name}: more than {MAX_SPANS} recordings in one file; split it")
    raw.seek(0)
    parts: list = []
    try:
        spans = contents.spans or ([] if path else [Span(b"", 0, size)])
        parts = [_Part(name, _SpanFile(raw, span), stack) for span in spans]
        if not parts:
            parts = [_Part(name, os.fsencode(str(path)), stack)]
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: a .raw file has no header
        raw.seek(0)
        head = raw.read(64)
        if ffmpeg.media_type(head) is None or not shutil.which("ffmpeg"):
            raise InputError(f"{name}: {_diagnosis(head, error)}") from error
        parts = [_FfmpegPart(name, path or raw)]
        contents = Contents()
    for part in parts:
        if not MIN_RATE <= part.rate <= MAX_RATE:
            raise InputError(f"{name}: damaged, its header states {part.rate} Hz; copy it again")
    first, frames = parts[0], sum(part.frames for part in parts)
    duration = sum(part.frames / part.rate for part in parts)
    lost = duration * contents.missing / (1 - contents.missing) if contents.missing < 1 else math.inf
    if (
        lost > MAX_MISSING_SECONDS
        or (contents.missing and not frames)
        or (not contents.spans and isinstance(first, _Part) and first.cut_short)
    ):
        raise InputError(f"{name}: truncated at {duration:.2f} s; copy or record it again")
    if not 0 <= frames <= MAX_SAMPLES_PER_BYTE * size and isinstance(first, _Part):
        raise InputError(f"{name}: damaged, its header states {frames} samples; convert it to WAV")
    message, stated = "", duration * contents.stated
    if len(parts) > 1:
        message = f"{len(parts)} recordings in one file, {duration:.2f} s in all; all are read"
    elif duration - stated > MAX_MISSING_SECONDS:
        message = f"the header states {stated:.2f} s, the file has {duration:.2f}; all is read"
    notes = [Note("header", message)] if message else []
    return Recording(name, AudioInfo(duration, first.rate, first.channels), parts, notes)


def _is_stream(path: Path) -> bool:
    """Whether a path is standard input or a pipe of the shell. Other pipes could make us wait forever."""
    return str(path).startswith(("/dev/", "/proc/self/fd/")) and path.exists() and path.is_fifo()


def _in_memory(source: Source, name: str) -> io.BytesIO:
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if not isinstance(source, str | Path) and not hasattr(source, "read"):
        kind = type(source).__name__
        raise InputError(f"{kind} is not a sound file; give a path, bytes or a binary stream")
    with open(source, "rb") if isinstance(source, str | Path) else nullcontext(source) as stream:
        content = stream.read(MAX_BYTES + 1)
    if not isinstance(content, bytes):
        raise InputError(f"{name}: not a binary stream; open it with mode 'rb'")
    if len(content) > MAX_BYTES:
        raise InputError(f"{name}: more than {MAX_BYTES >> 30} GB; give a file")
    return io.BytesIO(content)


def source_name(source: Source) -> str:
    """The path, or what the source is."""
    if isinstance(source, str | Path):
        return str(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return f"<{len(source)} bytes>"
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<stream>"


def _diagnosis(head: bytes, error: Exception) -> str:
    """What is wrong with a file that cannot be decoded and starts like `head`, and what to do."""
    kind = ffmpeg.media_type(head)
    if kind and kind not in ("Ogg", "MPEG audio", "WAV", "AIFF"):
        return f"{kind}; install ffmpeg, or convert it: ffmpeg -i FILE FILE.wav"
    why = getattr(error, "error_string", reason(error)).removeprefix("Error : ").rstrip(".")
    return f"damaged or not a sound file ({why}); copy it again or convert it to WAV"


class _SpanFile(io.RawIOBase):
    """A span of a file as a file: its prefix, then bytes of the original."""

    def __init__(self, file: BinaryIO, span: Span):
        self.file, self.span = file, span
        self.size = len(span.prefix) + span.end - span.start
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = (0, self.position, self.size)[whence]
        self.position = max(0, origin + offset)
        return self.position

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self.size - self.position))
        prefix = self.span.prefix[self.position : self.position + count]
        view[: len(prefix)] = prefix
        if len(prefix) < count:
            start = self.span.start + self.position + len(prefix) - len(self.span.prefix)
            self.file.seek(start)
            rest = self.file.read(count - len(prefix))
            view[len(prefix) : len(prefix) + len(rest)] = rest
            count = len(prefix) + len(rest)
        self.position += count
        return count
