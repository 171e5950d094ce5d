"""The reader's progress, in progress.json next to the lessons: states of exercises and hints shown.

It also has the checksums of the lessons that were copied, which tell those that the reader has changed.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError
from minids._utils.files import atomic_write, locked_folder

FILE = "progress.json"
STATES = ("open", "wrong", "right")
_COPIES = "copies"  # the key of the checksums


def record(key: str, state: str, folder: Path) -> None:
    """Record the state of the exercise of this key in `folder`."""
    with _changing(folder) as entries:
        entries[key] = entries.get(key, {"hints": 0}) | {"state": state}


def next_hint(folder: Path, key: str, hints: Sequence[str]) -> tuple[int, str]:
    """The next hint for an exercise, with its number counted from 1; the last hint is repeated."""
    with _changing(folder) as entries:
        entry = entries.setdefault(key, {"state": "open", "hints": 0})
        count = entry["hints"] = min(entry["hints"] + 1, len(hints))
    return count, hints[count - 1]


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """For the key of each exercise its `state` and the number of `hints` shown."""
    return {key: entry for key, entry in _read(folder).items() if key != _COPIES}


def copies(folder: Path) -> dict[str, int]:
    """The checksums of the lessons as they were copied, by file name."""
    return _read(folder).get(_COPIES, {})


def record_copies(folder: Path, checksums: dict[str, int]) -> None:
    """Record the checksums of lessons that were copied."""
    with _changing(folder) as entries:
        entries[_COPIES] = entries.get(_COPIES, {}) | checksums


@contextmanager
def _changing(folder: Path) -> Iterator[dict[str, Any]]:
    """The entries, which are saved when the block ends. A folder that cannot be written keeps no progress."""
    with locked_folder(folder):
        entries = _read(folder)
        yield entries
        with suppress(InputError), atomic_write(folder / FILE) as file:
            file.write(json.dumps(entries, indent=1, ensure_ascii=False).encode())


def _read(folder: Path) -> dict[str, Any]:
    """The valid entries of the file."""
    try:
        entries = json.loads((folder / FILE).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):  # no such file, or damaged: start without progress
        return {}
    if not isinstance(entries, dict):
        return {}
    return {key: entry for key, entry in entries.items() if isinstance(entry, dict) and _is_valid(key, entry)}


def _is_valid(key: str, entry: dict[str, Any]) -> bool:
    if key == _COPIES:
        return all(isinstance(checksum, int) for checksum in entry.values())
    return entry.get("state") in STATES and isinstance(entry.get("hints"), int)
