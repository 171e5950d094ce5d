"""The reader's progress, in progress.json next to the lessons: states of exercises and hints shown."""

import inspect
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from zlib import crc32

from minids._utils.errors import InputError
from minids._utils.files import atomic_write

FILE = "progress.json"
STATES = ("open", "wrong", "right")


def record(number: str, state: str, function: Callable, folder: Path, hints: Sequence[str]) -> str | None:
    """Record the state of an exercise in `folder`; return one of the `hints` if the attempt is wrong.

    Each new attempt gets the next hint; running the same attempt again repeats its hint. An attempt without
    `hints` leaves the number of hints shown as it is.
    """
    try:
        attempt = crc32(inspect.getsource(function).encode())
    except (OSError, TypeError):  # typed into a terminal, or not a function
        attempt = 0
    entries = load(folder)
    entry = entries.get(number, {"hints": 0})
    if state == "wrong" and attempt != entry.get("attempt"):
        entry["hints"] = max(entry["hints"], min(entry["hints"] + 1, len(hints)))
    entry |= {"state": state, "attempt": attempt}
    _save(folder, entries | {number: entry})
    shown = min(entry["hints"], len(hints))
    return hints[shown - 1] if state == "wrong" and shown > 0 else None


def next_hint(folder: Path, number: str, hints: Sequence[str]) -> tuple[int, str]:
    """The next hint for an exercise, with its number counted from 1; the last hint is repeated."""
    entries = load(folder)
    entry = entries.get(number, {"state": "open", "hints": 0})
    entry["hints"] = min(entry["hints"] + 1, len(hints))
    _save(folder, entries | {number: entry})
    return entry["hints"], hints[entry["hints"] - 1]


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """For each exercise its `state`, the number of `hints` shown and a checksum of the last `attempt`."""
    try:
        entries = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no such file, or damaged: start without progress
        return {}
    if not isinstance(entries, dict):
        return {}
    return {number: entry for number, entry in entries.items() if _is_valid(entry)}


def _is_valid(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("state") in STATES and isinstance(entry.get("hints"), int)


def _save(folder: Path, entries: dict[str, dict[str, Any]]) -> None:
    with suppress(InputError), atomic_write(folder / FILE) as file:  # a read-only folder keeps no progress
        file.write(json.dumps(entries, indent=1, ensure_ascii=False).encode())
