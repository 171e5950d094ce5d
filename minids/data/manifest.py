"""Manifests: JSON Lines files with one utterance per line.

    {"path": "wav/a.flac", "duration": 1.25, "text": "go forward", "speaker": "fash", "gender": "f"}

`path` (relative to the manifest's folder, or absolute) and `text` are required, `duration` (seconds) and
`speaker` are optional; other fields are kept in `extra`. The file is UTF-8; a byte-order mark, CRLF line ends
and empty lines are ignored. Texts are normalized to NFC, in which "가" is always one character.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from unicodedata import normalize

from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write, open_file

MAX_LINE_BYTES = 1_000_000  # a file without line ends must not fill the memory
MAX_SECONDS = 1e6  # eleven days; a larger number is not a duration
EXAMPLE_LINE = '{"path": "a.wav", "text": "hello"}'


@dataclass(frozen=True, slots=True)
class Utterance:
    """A recording and its text."""

    path: Path  # absolute
    text: str  # NFC
    duration: float  # seconds; 0 if the manifest has none and the file cannot be read
    speaker: str | None = None
    line: int = 0  # of the manifest, from 1
    extra: dict[str, Any] = field(default_factory=dict)
    source: Path = Path()  # the manifest

    @property
    def location(self) -> str:
        """`manifest:line`, for messages."""
        return f"{self.source}:{self.line}"


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
        raise InputError(
            f"{path}: the manifest has no utterances; write a line such as {EXAMPLE_LINE} for each"
        )
    return utterances


def scan(path: str | Path) -> Iterator[Utterance | InvalidLine]:
    """Each line of a manifest, as an utterance or as an InvalidLine.

    Raises InputError if the manifest itself cannot be read.
    """
    source = Path(path)
    folder = source.parent.resolve()
    try:
        with open_file(source) as file:
            for number, raw in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                if raw.isspace() or not raw:
                    continue
                try:
                    yield _utterance(raw, number, source, folder)
                except _Problem as problem:
                    yield InvalidLine(source, number, str(problem))
    except OSError as error:
        raise InputError(f"cannot read the manifest {path}: {reason(error)}; check the path") from error


class _Problem(Exception):
    """What is wrong with a line, and how to fix it."""


def _utterance(raw: bytes, number: int, source: Path, folder: Path) -> Utterance:
    if len(raw) == MAX_LINE_BYTES:
        raise _Problem(f"longer than {MAX_LINE_BYTES:,} bytes; write one line for each utterance")
    try:
        fields = json.loads(
            raw.decode("utf-8").rstrip()
        )  # else errors at its end name a column of the next line
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
    seconds = fields.pop("duration", None)
    duration = _header_duration(recording) if seconds is None else _seconds(seconds)
    extra = {sys.intern(key): value for key, value in fields.items()}
    return Utterance(recording, text, duration, speaker, number, extra, source)


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


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_SECONDS:
        return float(value)
    raise _Problem('"duration" is not a number of seconds; correct it or remove the field')


def _header_duration(recording: Path) -> float:
    from minids.audio import audio_info

    try:
        return audio_info(recording).duration
    except InputError:
        return 0.0


def write_manifest(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write a manifest atomically, with paths relative to its folder. InputError if it cannot be written."""
    path = Path(path)
    folder = os.path.realpath(path.parent)
    with atomic_write(path) as file:
        for utterance in utterances:
            fields: dict[str, Any] = {
                "path": _relative(utterance.path, folder),
                "duration": round(utterance.duration, 4),
                "text": utterance.text,
            }
            if utterance.speaker is not None:
                fields["speaker"] = utterance.speaker
            extra = {name: value for name, value in utterance.extra.items() if name not in fields}
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
