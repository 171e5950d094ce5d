"""Manifests: one utterance per line, as JSON.

    {"path": "wav/a.flac", "duration": 1.25, "text": "go forward", "speaker": "fash", "gender": "f"}

`path` (relative to the manifest's folder, or absolute) and `text` are needed, `duration` (seconds) and
`speaker` may be left out; any other field is kept in `extra`. The file is UTF-8; a byte-order mark, CRLF line
ends and empty lines are read past. Texts are folded to NFC: "가" is one character however it was typed.
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

LONGEST_LINE = 1_000_000  # bytes; a file without line ends must not fill the memory
LONGEST = 1e6  # seconds, eleven days; what claims more is no duration
EXAMPLE = '{"path": "a.wav", "text": "hello"}'


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording and what is said in it."""

    path: Path  # absolute
    text: str  # NFC
    duration: float  # seconds; 0 where the manifest has none and the file cannot be read
    speaker: str | None = None
    line: int = 0  # of the manifest, from 1
    extra: dict[str, Any] = field(default_factory=dict)
    source: Path = Path()  # the manifest

    @property
    def where(self) -> str:
        """`manifest:line`, for messages."""
        return f"{self.source}:{self.line}"


class BrokenLine(InputError):
    """A line that is no utterance: `manifest:line: problem; remedy`."""

    def __init__(self, source: Path, line: int, problem: str):
        super().__init__(f"{source}:{line}: {problem}")
        self.line = line
        self.problem = problem


def read_manifest(path: str | Path) -> list[Utterance]:
    """The utterances of a manifest, in its order. A missing duration is read from the recording's header.

    Raises InputError naming the manifest and the line when a line cannot be understood, or when there is
    none. Recordings are not opened (except for a missing duration): whoever loads a bad one meets its error.
    """
    utterances = []
    for utterance in scan(path):
        if isinstance(utterance, BrokenLine):
            raise utterance
        utterances.append(utterance)
    if not utterances:
        raise InputError(f"{path}: no utterances in this manifest; write one line such as {EXAMPLE} for each")
    return utterances


def scan(path: str | Path) -> Iterator[Utterance | BrokenLine]:
    """The lines of a manifest one by one: each an utterance, or what is wrong with it.

    Raises InputError when the manifest itself cannot be read.
    """
    source = Path(path)
    folder = source.parent.resolve()
    try:
        with open_file(source) as file:
            for number, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                if raw.isspace() or not raw:
                    continue
                try:
                    yield _utterance(raw, number, source, folder)
                except _Problem as problem:
                    yield BrokenLine(source, number, str(problem))
    except OSError as error:
        raise InputError(f"cannot read the manifest {path}: {reason(error)}; check the path") from error


class _Problem(Exception):
    """What is wrong with a line, and the remedy."""


def _utterance(raw: bytes, number: int, source: Path, folder: Path) -> Utterance:
    if len(raw) == LONGEST_LINE:
        raise _Problem(f"longer than {LONGEST_LINE:,} bytes; write one line for each utterance")
    try:
        fields = json.loads(raw.decode("utf-8").rstrip())  # or its end would be column 1 of a line after it
    except UnicodeDecodeError as error:
        raise _Problem(f"byte {error.start + 1} is not UTF-8; save the manifest as UTF-8") from None
    except json.JSONDecodeError as error:
        raise _Problem(f"not JSON ({error.msg}, column {error.colno}); write it like {EXAMPLE}") from None
    except (ValueError, RecursionError) as error:
        raise _Problem(f"not JSON ({reason(error)}); write it like {EXAMPLE}") from None
    if not isinstance(fields, dict):
        raise _Problem(f"not a JSON object; write it like {EXAMPLE}")
    name = _string(fields, "path")
    if not name or "\0" in name:
        raise _Problem('"path" names no file; give the path of the recording, relative to the manifest')
    text = normalize("NFC", _string(fields, "text"))
    speaker = fields.pop("speaker", None)
    if isinstance(speaker, int) and not isinstance(speaker, bool):
        speaker = str(speaker)
    if speaker is not None:
        if not isinstance(speaker, str):
            raise _Problem('"speaker" is not a string; put the speaker\'s name in quotes')
        speaker = sys.intern(speaker)  # one string per speaker, not per line
    # Only `..` needs the slow way; a path is built for each of perhaps 300,000 lines.
    recording = Path(os.path.normpath(folder / name)) if ".." in name else folder / name
    seconds = fields.pop("duration", None)
    duration = _header_duration(recording) if seconds is None else _seconds(seconds)
    extra = {sys.intern(key): value for key, value in fields.items()}
    return Utterance(recording, text, duration, speaker, number, extra, source)


def _string(fields: dict[str, Any], key: str) -> str:
    if key not in fields:
        raise _Problem(f'no "{key}"; write the line like {EXAMPLE}')
    value = fields.pop(key)
    if not isinstance(value, str):
        raise _Problem(f'"{key}" is not a string; write the line like {EXAMPLE}')
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Problem(f'"{key}" holds half a character (a lone surrogate); write it as UTF-8') from None
    return value


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST:
        return float(value)
    raise _Problem('"duration" is not a number of seconds; correct it, or leave the field out')


def _header_duration(recording: Path) -> float:
    from minids.audio import audio_info

    try:
        return audio_info(recording).duration
    except InputError:
        return 0.0


def write_manifest(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write a manifest, whole or not at all; the recordings' paths become relative to its folder.

    Raises InputError when it cannot be written.
    """
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
            others = {name: value for name, value in utterance.extra.items() if name not in fields}
            line = json.dumps(fields | others, ensure_ascii=False)
            try:
                file.write(line.encode() + b"\n")
            except UnicodeEncodeError:
                raise InputError(f"{line!a}: the name of this recording is not UTF-8; rename it") from None


def _relative(recording: Path, folder: str) -> str:
    return (
        os.path.join(_way(str(recording.parent), folder), recording.name)
        .replace(os.sep, "/")
        .removeprefix("./")
    )


@lru_cache(maxsize=1024)
def _way(target: str, folder: str) -> str:
    """From `folder` to `target`; symbolic links are followed, since `..` steps out of where a link leads."""
    return os.path.relpath(os.path.realpath(target), folder)
