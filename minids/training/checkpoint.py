"""A run's folder: `last.safetensors` to go on from, `best.safetensors` to use, `metrics.jsonl` to look at."""

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write
from minids.training.settings import Settings
from minids.weights import Saved, load_weights

FREE = ("epochs", "checkpoint_minutes", "cache", "gemm")  # what may change when a run goes on
FILES = ("last.safetensors", "best.safetensors", "metrics.jsonl", "training.png")


@dataclass
class Progress:
    """Where a run is, and the sums of the epoch so far; all of it is in the checkpoint."""

    epoch: int = 0  # whole epochs done
    batch: int = 0  # batches done of the present one
    best: list[float] | None = None  # the fewest errors so far on the dev set: words, letters, loss
    best_epoch: int = 0
    loss: float = 0.0
    utterances: int = 0
    frames: int = 0
    norms: list[float] = field(default_factory=list)
    seconds: float = 0.0  # of this epoch, kills not counted
    trained: float = 0.0  # of the whole run
    rows: list[dict[str, Any]] = field(default_factory=list)  # the metrics of the epochs done
    skipped: list[tuple[int, str]] = field(default_factory=list)  # utterances of the training set, and why

    def next_epoch(self) -> None:
        self.epoch, self.batch, self.norms = self.epoch + 1, 0, []
        self.loss, self.utterances, self.frames, self.seconds = 0.0, 0, 0, 0.0


class RunFolder:
    """The files of one training run.

    Each is replaced whole, so a kill at any moment leaves the one before.
    """

    def __init__(self, path: Path):
        self.path = path
        self.last, self.best, self.metrics, self.picture = (path / name for name in FILES)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder, clear it of what a kill left half-written, and hold it.

        A new folder goes again when there is no checkpoint in it at the end.

        Raises InputError when another training is writing here. The lock ends with the process, however it
        ends.
        """
        import fcntl

        lock = self.path / "lock"
        try:
            new = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            file = open(lock, "w")  # noqa: SIM115
        except OSError as error:
            raise InputError(f"cannot write to {self.path}: {reason(error)}; choose another --run") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(
                    f"another training is running in {self.path}; choose another --run"
                ) from None
            for name in FILES:
                for half in self.path.glob(f".{name}.*.tmp"):
                    half.unlink(missing_ok=True)
            try:
                yield
            finally:
                if new and not self.last.exists():
                    with suppress(OSError):
                        lock.unlink()
                        self.path.rmdir()

    def resume(self, settings: Settings, backend: str) -> Saved | None:
        """The checkpoint, or None in a new folder.

        Raises InputError when it was made with other settings or data.
        """
        if not self.last.exists():
            return None
        saved = load_weights(self.last, backend)
        if "velocity" not in saved.state or saved.state["velocity"].shape != saved.model.flat_params.shape:
            raise InputError(f"{self.last} is a model, not a checkpoint; choose another --run")
        before = saved.notes.get("settings", {})
        for section, values in identity(settings).items():
            for key, value in values.items():
                old = before.get(section, {}).get(key)
                if old == value or key in FREE:
                    continue
                change = f"[{section}] {key} = {old!r}, {settings.source} now says {value!r}"
                if section == "checksums":
                    change = f"another {settings.path(key)}"
                raise InputError(
                    f"{self.path} was begun with {change};"
                    " change it back to go on, or choose another --run to begin anew"
                )
        return saved

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        with atomic_write(self.metrics) as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows).encode())


def identity(settings: Settings) -> dict[str, Any]:
    """What must not change under a run: its settings, and the manifests' contents."""
    checksums = {name: zlib.crc32(_read(settings.path(name))) for name in ("train", "dev")}
    return settings.to_dict() | {"checksums": checksums}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the manifest {path}: {reason(error)}; check [data] in the settings"
        ) from error


def folder_for(settings: Settings) -> Path:
    """Where a run goes when nobody says: runs/NAME for NAME.toml."""
    return Path("runs") / os.path.splitext(settings.source.name)[0]
