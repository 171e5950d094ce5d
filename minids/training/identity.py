"""What a resumed run must have in common with its start: settings, manifests, recordings."""

import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError, reason
from minids._utils.strict_json import to_json
from minids.data.manifest import Utterance
from minids.training.settings import Settings

# A resumed run may change these.
CHANGEABLE_SETTINGS = "epochs", "minutes", "patience", "checkpoint_minutes", "cache", "gemm", "tensorboard"
# Only these show that a recording of the same size was replaced, but copying a corpus changes them too.
TIMES = "modification times"


def run_identity(settings: Settings, recordings: Mapping[str, Iterable[Path]]) -> dict[str, Any]:
    """The notes of a run: settings, and checksums of the manifests and of the recordings' sizes and times.

    `recordings` has the files of each data set by name.
    """
    status = {name: [_status(path) for path in paths] for name, paths in recordings.items()}
    data = {
        "manifests": {name: zlib.crc32(_read(settings.path(name))) for name in ("train", "dev")},
        "recordings": {name: _crc([size for size, _ in files]) for name, files in status.items()},
        TIMES: {name: _crc([time for _, time in files]) for name, files in status.items()},
    }
    return {"settings": settings.to_dict(), "data": data}


def check_identity(
    identity: dict[str, Any], start: dict[str, Any], settings: Settings, run: Path
) -> list[str]:
    """Compare the identity of a resumed run with the notes of its start. Returns what may have changed.

    Raises InputError for settings and data that have changed.
    """
    notes, sections = [], identity["settings"] | identity["data"]
    # [train] first: with another init, other sections differ too.
    for section, values in sorted(sections.items(), key=lambda item: item[0] != "train"):
        old_values = (start.get("settings", {}) | start.get("data", {})).get(section, {})
        for key, value in values.items():
            old = old_values.get(key)
            if old == value or key in CHANGEABLE_SETTINGS:
                continue
            if section == TIMES:
                notes.append(
                    f"note: the modification times of {key} recordings have changed: are they still the same?"
                )
                continue
            change = f"[{section}] {key} = {old!r}, but {settings.source} has {value!r}"
            if section == "manifests":
                change = f"another {settings.path(key)}"
            if section == "recordings":
                change = f"other {key} recordings: some have another size or are missing"
            raise InputError(
                f"{run} was started with {change};"
                " undo the change to resume, or choose another --run for a new training"
            )
        for key in old_values.keys() - values.keys():
            raise InputError(
                f"{run} was started with [{section}] {key}, which this version of minids does not know;"
                " resume it with the version that started it, or choose another --run"
            )
    return notes


def overlap(train: Iterable[Utterance], dev: Iterable[Utterance]) -> int:
    """The number of dev utterances that are also training utterances: the same part of the same file."""
    training = {_part(u) for u in train}
    return sum(_part(u) in training for u in dev)


def _part(utterance: Utterance) -> tuple:
    try:
        status = os.stat(utterance.path)
        file: Any = (status.st_dev, status.st_ino)  # links have other paths
    except (OSError, ValueError):
        file = utterance.path
    return file, utterance.start, utterance.end, utterance.channel


def _status(path: Path) -> tuple[int, int]:
    """Size and modification time (ns); -1 and 0 for a missing file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return -1, 0
    return status.st_size, status.st_mtime_ns


def _crc(values: list[int]) -> int:
    return zlib.crc32(to_json(values).encode())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the manifest {path}: {reason(error)}; check [data] in the settings"
        ) from error
