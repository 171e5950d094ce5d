"""How far a reader has come: progress.json beside his lessons, and the hints that he has been given."""

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
    """Note the state of an exercise in `folder`; return the next hint for a new attempt that is wrong.

    Each new attempt moves on by one hint; running the same one again repeats the hint.
    """
    try:
        attempt = crc32(inspect.getsource(function).encode())
    except (OSError, TypeError):  # typed into a terminal, or no function
        attempt = 0
    known = load(folder)
    entry = known.get(number, {"hints": 0})
    if state == "wrong" and attempt != entry.get("attempt"):
        entry["hints"] += 1
    entry |= {"state": state, "attempt": attempt}
    _save(folder, known | {number: entry})
    return hints[min(entry["hints"], len(hints)) - 1] if state == "wrong" and hints else None


def next_hint(folder: Path, number: str, hints: Sequence[str]) -> tuple[int, str]:
    """One hint more than has been given: its number and its words. After the last, the last again."""
    known = load(folder)
    entry = known.get(number, {"state": "open", "hints": 0})
    entry["hints"] = min(entry["hints"] + 1, len(hints))
    _save(folder, known | {number: entry})
    return entry["hints"], hints[entry["hints"] - 1]


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """By exercise: its state, "open", "wrong" or "right", the hints given, a checksum of the last attempt."""
    try:
        known = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or spoilt: begin anew
        return {}
    return (
        {number: entry for number, entry in known.items() if _sound(entry)} if isinstance(known, dict) else {}
    )


def _sound(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("state") in STATES and isinstance(entry.get("hints"), int)


def _save(folder: Path, known: dict[str, dict[str, Any]]) -> None:
    with suppress(InputError), atomic_write(folder / FILE) as file:  # a folder that cannot be written forgets
        file.write(json.dumps(known, indent=1, ensure_ascii=False).encode())
