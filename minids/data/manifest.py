"""Manifests: JSON Lines files with one utterance per line.

    {"path": "wav/a.flac", "duration": 1.25, "text": "go forward", "speaker": "fash", "gender": "f"}

`path` (relative to the manifest's folder, or absolute) and `text` are required, `duration` (seconds) and
`speaker` are optional. `start` and `end`, or `offset` and `duration`, in seconds, select a part of a
recording, `channel` (from 0) one of its channels. Other fields are kept in `extra`. The file is UTF-8; a
byte-order mark, CRLF line ends and empty lines are ignored. Texts are normalized to NFC, in which "가" is
always one character.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write, open_file

if TYPE_CHECKING:
    import numpy as np

MAX_LINE_BYTES = 1_000_000  # a file without line ends must not fill the memory
MAX_SECONDS = 1e6  # eleven days; a larger number is not a duration
MAX_CHANNELS = 1024
DURATION_DIGITS = 4  # after the point
FIELDS = frozenset(("path", "text", "duration", "speaker", "start", "end", "offset", "channel"))
MAX_RECORDING_SECONDS = 4 * 3600.0  # default limit of `load_audio`
EXAMPLE_LINE = '{"path": "a.wav", "text": "hello"}'


@dataclass(frozen=True, slots=True)
class Utterance:
    """A recording and its text."""

    path: Path  # absolute
    text: str  # NFC
    duration: float  # seconds, of the part; 0 if the manifest has none and the file cannot be read
    speaker: str | None = None
    line: int = 0  # of the manifest, from 1
    extra: dict[str, Any] = field(default_factory=dict)
    source: Path = Path()  # the manifest
    start: float = 0.0  # seconds; the part of the recording that the text belongs to
    end: float | None = None  # None: the end of the recording
    channel: int | None = None  # None: the mean of the channels

    @property
    def location(self) -> str:
        """`manifest:line`, for messages."""
        return f"{self.source}:{self.line}"

    @property
    def is_part(self) -> bool:
        """Whether the text belongs to a part of the recording only."""
        return bool(self.start) or self.end is not None

    @property
    def name(self) -> str:
        """The path, with the part and the channel if these are given, for messages and results."""
        name = str(self.path)
        if self.is_part:
            name += f" [{self.start:g} s to {'the end' if self.end is None else f'{self.end:g} s'}]"
        return name if self.channel is None else f"{name} [channel {self.channel}]"

    def load_audio(
        self, rate: int | None = None, max_seconds: float = MAX_RECORDING_SECONDS
    ) -> "tuple[np.ndarray, int]":
        """The utterance's samples (N,) and their rate; see `minids.load_audio`."""
        from minids.audio import load_audio

        return load_audio(self.path, rate, self.start, self.end, self.channel, max_seconds)


class InvalidLine(InputError):
    """A line that is not an utterance; the message is `manifest:line: problem; remedy`."""

    def __init__(self, source: Path, line: int, problem: str):
        super().__init__(f"{source}:{line}: {problem}")
        self.line = line
        self.problem = problem


def read_manifest(path: str | Path) -> list[Utterance]:
    """The utterances of a manifest in order. A missing duration is read from the header of the recording.

    Raises InputError naming the manifest and the line if a line is invalid, or if there is no line.
    Recordings are opened only for a missing duration; problems with them appear when they are loaded.
    """
    utterances = []
    for utterance in scan(path):
        if isinstance(utterance, InvalidLine):
            raise utterance
        utterances.append(utterance)
    if not utterances:
        raise InputError(f"{path}: the manifest has no utterances; write lines such as {EXAMPLE_LINE}")
    return utterances


def scan(path: str | Path, measure: bool = True) -> Iterator[Utterance | InvalidLine]:
    """Each line of a manifest, as an utterance or as an InvalidLine.

    A missing duration is read from the recording; without `measure` it is 0, and no recording is opened.

    Raises InputError if the manifest itself cannot be read.
    """
    source = Path(path)
    folder = Path(os.path.realpath(source.parent))  # Path.resolve raises RuntimeError for a loop of links
    try:
        with open_file(source) as file:
            for number, raw in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                if raw.isspace() or not raw:
                    continue
                try:
                    yield _utterance(raw, number, source, folder, measure)
                except _Problem as problem:
                    yield InvalidLine(source, number, str(problem))
    except OSError as error:
        raise InputError(f"cannot read the manifest {path}: {reason(error)}; check the path") from error


class _Problem(InputError):
    """What is wrong with a line, and how to fix it."""


def _utterance(raw: bytes, number: int, source: Path, folder: Path, measure: bool) -> Utterance:
    from minids.audio import audio_info

    if len(raw) == MAX_LINE_BYTES:
        raise _Problem(f"longer than {MAX_LINE_BYTES:,} bytes; write one line for each utterance")
    try:
        fields = json.loads(raw.decode("utf-8").rstrip())  # an error at its end is in this line
    except UnicodeDecodeError as error:
        raise _Problem(f"byte {error.start + 1} is not UTF-8; save the manifest as UTF-8") from None
    except json.JSONDecodeError as error:
        raise _Problem(
            f"not JSON ({error.msg}, column {error.colno}); write it like {EXAMPLE_LINE}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise _Problem(f"not JSON ({reason(error)}); write it like {EXAMPLE_LINE}") from None
    if not isinstance(fields, dict):
        raise _Problem(f"not a JSON object; write it like {EXAMPLE_LINE}")
    name = _string(fields, "path")
    if not name or "\0" in name:
        raise _Problem('"path" is not a file name; write the path of the recording, relative to the manifest')
    text = normalize("NFC", _string(fields, "text"))
    speaker = fields.pop("speaker", None)
    if isinstance(speaker, int) and not isinstance(speaker, bool):
        speaker = str(speaker)
    if speaker is not None:
        if not isinstance(speaker, str):
            raise _Problem('"speaker" is not a string; put the speaker\'s name in quotes')
        speaker = sys.intern(speaker)  # one string per speaker, not per line
    # normpath is slow, and a manifest may have 300,000 lines; only `..` needs it.
    recording = Path(os.path.normpath(folder / name)) if ".." in name else folder / name
    start, end, duration = parse_part(fields)
    channel = fields.pop("channel", None)
    if channel is not None and (isinstance(channel, bool) or channel not in range(MAX_CHANNELS)):
        raise _Problem('"channel" is not a number of a channel; count from 0, or remove the field')
    if duration is None:
        duration = 0.0
        with suppress(InputError):
            if measure:
                duration = max(0.0, audio_info(recording).duration - start)
    extra = {sys.intern(key): value for key, value in fields.items()}
    channel = None if channel is None else int(channel)
    return Utterance(recording, text, duration, speaker, number, extra, source, start, end, channel)


def parse_part(fields: dict[str, Any]) -> tuple[float, float | None, float | None]:
    """Start, end (None: that of the recording) and duration (None: unknown), removed from the fields.

    Raises InputError without a location for values that are not a part.
    """
    values = {name: _seconds(fields, name) for name in ("start", "offset", "end", "duration")}
    start, offset, end, duration = values.values()
    if start is not None and offset is not None and start != offset:
        raise _Problem('"start" and "offset" differ; keep one of them')
    begins = start if start is not None else offset
    if end is not None:
        begins = begins or 0.0
        if end <= begins:
            raise _Problem(f'"end" = {end:g} is not after the start, {begins:g} s; correct it')
        # Batches are sorted by duration: without the noise of the difference, as those of whole files.
        return begins, end, round(round(end - begins, 9), DURATION_DIGITS)
    if begins is None:
        return 0.0, None, duration
    if duration == 0:
        raise _Problem('"duration" of a part is 0; correct it')
    return begins, None if duration is None else begins + duration, duration


def _string(fields: dict[str, Any], key: str) -> str:
    if key not in fields:
        raise _Problem(f'no "{key}"; write the line like {EXAMPLE_LINE}')
    value = fields.pop(key)
    if not isinstance(value, str):
        raise _Problem(f'"{key}" is not a string; write the line like {EXAMPLE_LINE}')
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Problem(f'"{key}" has half a character (a lone surrogate); write it as UTF-8') from None
    return value


def _seconds(fields: dict[str, Any], key: str) -> float | None:
    value = fields.pop(key, None)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_SECONDS:
        return float(value)
    raise _Problem(f'"{key}" is not a number of seconds; correct it or remove the field')


def write_manifest(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write a manifest atomically, with paths relative to its folder. InputError if it cannot be written."""
    path = Path(path)
    folder = os.path.realpath(path.parent)
    with atomic_write(path) as file:
        for utterance in utterances:
            fields: dict[str, Any] = {
                "path": _relative(utterance.path, folder),
                "duration": round(utterance.duration, DURATION_DIGITS),
                "text": utterance.text,
            }
            if utterance.is_part and utterance.end is None:
                del fields["duration"]  # "start" and "duration" would fix the end
            part = {"start": utterance.start if utterance.is_part else None, "end": utterance.end}
            optional = part | {"channel": utterance.channel, "speaker": utterance.speaker}
            fields |= {name: value for name, value in optional.items() if value is not None}
            extra = {name: value for name, value in utterance.extra.items() if name not in FIELDS}
            line = json.dumps(fields | extra, ensure_ascii=False)
            try:
                file.write(line.encode() + b"\n")
            except UnicodeEncodeError:
                raise InputError(f"{line!a}: the file name is not UTF-8; rename the file") from None


def _relative(recording: Path, folder: str) -> str:
    path = os.path.join(_relative_folder(str(recording.parent), folder), recording.name)
    return path.replace(os.sep, "/").removeprefix("./")


@lru_cache(maxsize=1024)
def _relative_folder(target: str, folder: str) -> str:
    """Path from `folder` to `target`, symbolic links resolved: `..` is the parent of a link's target."""
    return os.path.relpath(os.path.realpath(target), folder)
