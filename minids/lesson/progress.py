"""The reader's progress, in progress.json next to the lessons: states of exercises and hints shown."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError
from minids._utils.files import atomic_write

FILE = "progress.json"
STATES = ("open", "wrong", "right")
_SECTIONS = "mine.py"  # the key of the checksums


def record(number: str, state: str, folder: Path) -> None:
    """Record the state of an exercise in `folder`."""
    entry = load(folder).get(number, {"hints": 0}) | {"state": state}
    _save(folder, number, entry)


def next_hint(folder: Path, number: str, hints: Sequence[str]) -> tuple[int, str]:
    """The next hint for an exercise, with its number counted from 1; the last hint is repeated."""
    entry = load(folder).get(number, {"state": "open", "hints": 0})
    entry["hints"] = min(entry["hints"] + 1, len(hints))
    _save(folder, number, entry)
    return entry["hints"], hints[entry["hints"] - 1]


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """For each exercise its `state` and the number of `hints` shown."""
    return {number: entry for number, entry in _read(folder).items() if _is_valid(entry)}


def checksums(folder: Path) -> dict[str, int]:
    """The checksums of the sections of mine.py as they were written, by title."""
    sums = _read(folder).get(_SECTIONS)
    return sums if isinstance(sums, dict) else {}


def save_checksums(folder: Path, sums: dict[str, int]) -> None:
    _save(folder, _SECTIONS, sums)


def _read(folder: Path) -> dict[str, Any]:
    try:
        entries = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no such file, or damaged: start without progress
        return {}
    return entries if isinstance(entries, dict) else {}


def _is_valid(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("state") in STATES and isinstance(entry.get("hints"), int)


def _save(folder: Path, key: str, value: dict[str, Any]) -> None:
    entries = {**load(folder), _SECTIONS: checksums(folder), key: value}
    with suppress(InputError), atomic_write(folder / FILE) as file:  # a read-only folder keeps no progress
        file.write(json.dumps(entries, indent=1, ensure_ascii=False).encode())
