"""The folder of a run: `last.safetensors` to resume, `best.safetensors` to use, `metrics.jsonl` to read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write
from minids._utils.strict_json import to_json
from minids.ops import Backend
from minids.training.settings import Settings
from minids.weights import SavedModel, load_model

RUN_FILES = ("last.safetensors", "best.safetensors", "metrics.jsonl", "training.png", "learning_rate.png")


@dataclass
class TrainingState:
    """How far a run has come, and the sums of the current epoch. The checkpoint stores all of it."""

    epoch: int = 0  # completed epochs
    batch: int = 0  # completed batches of the current epoch
    steps: int = 0  # of all epochs
    stale_epochs: int = 0  # since the best completed one
    plateau_epochs: int = 0  # likewise, or since the learning rate was halved
    halvings: int = 0  # of the learning rate
    best_key: list[float] | None = None  # of the best epoch, see selection_key
    best_epoch: int = 0
    best_row: dict[str, Any] | None = None  # the metrics of what best.safetensors holds
    loss_sum: float = 0.0
    utterances: int = 0
    frames: int = 0
    gradient_norms: list[float] = field(default_factory=list)
    epoch_seconds: float = 0.0  # without the time between a kill and the resume
    run_seconds: float = 0.0  # since the start of the run, without times after a checkpoint that was lost
    rows: list[dict[str, Any]] = field(default_factory=list)  # the metrics of each completed epoch
    skipped: list[tuple[int, str]] = field(default_factory=list)  # training utterances and the reasons

    def next_epoch(self, row: dict[str, Any], improved: bool, plateau: int) -> None:
        """Begin the next epoch; `row` has the metrics of this one. See [train] plateau."""
        self.rows.append(row)
        self.epoch, self.batch, self.gradient_norms = self.epoch + 1, 0, []
        self.stale_epochs = 0 if improved else self.stale_epochs + 1
        self.plateau_epochs = 0 if improved else self.plateau_epochs + 1
        if plateau and self.plateau_epochs >= plateau:
            self.plateau_epochs, self.halvings = 0, self.halvings + 1
        self.loss_sum, self.utterances, self.frames, self.epoch_seconds = 0.0, 0, 0, 0.0


def _try_lock(file: IO[bytes], path: Path) -> bool:
    """Lock an open file until it is closed. False if another process locked or deleted it."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except OSError:
        return False


class RunFolder:
    """The files of one training run.

    Each is replaced atomically, so a kill at any moment leaves the previous version.
    """

    def __init__(self, path: Path):
        self.path = path
        self.last, self.best, self.metrics, self.plot, self.rate_plot = (path / name for name in RUN_FILES)
        self.steps = path / "steps.jsonl"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder, lock it for this process, and delete temporary files that a kill left behind.

        A folder created here is removed at the end if it holds no checkpoint. The lock ends with the process.

        Raises InputError when another training holds the lock or the folder is not writable.
        """
        lock = self.path / "lock"
        try:
            created = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            # Neither truncated nor through a symbolic link: the file may not be ours.
            fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            file = os.fdopen(fd, "r+b", buffering=0)
        except OSError as error:
            raise InputError(f"cannot write to {self.path}: {reason(error)}; choose another --run") from error
        with file:
            if not _try_lock(file, lock):
                raise InputError(f"another training is running in {self.path}; choose another --run")
            for name in RUN_FILES:
                for temporary in self.path.glob(f".{name}.*.tmp"):
                    temporary.unlink(missing_ok=True)
            try:
                yield
            finally:
                if created and not self.last.exists():
                    with suppress(OSError):
                        lock.unlink()
                        self.steps.unlink(missing_ok=True)
                        self.path.rmdir()

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Keep a training from starting in the folder. Raises InputError when one is running."""
        lock = self.path / "lock"
        if not lock.exists():  # no training ever ran here
            yield
            return
        with lock.open("rb") as file:
            if not _try_lock(file, lock):
                raise InputError(
                    f"a training is running in {self.path}; give --out FILE in another folder, or repeat this"
                    " when it has finished"
                )
            yield

    def load_checkpoint(self, backend: str | Backend) -> SavedModel | None:
        """The last checkpoint, or None in a new folder.

        Raises InputError for a model that is not a checkpoint, and for results without a checkpoint, which a
        new training would replace.
        """
        if not self.last.exists():
            epochs = self.metrics.read_bytes().count(b"\n") if self.metrics.exists() else 0
            if epochs > 1:  # a kill before the first checkpoint leaves one at most
                raise InputError(
                    f"{self.path} has results but no {self.last.name} to resume from; put it back, or choose"
                    " another --run"
                )
            return None
        saved = load_model(self.last, backend, require_checksum=True)
        velocity = saved.extra_tensors.get("velocity")
        if (
            velocity is None
            or velocity.shape != saved.model.flat_params.shape
            or not isinstance(saved.notes.get("progress"), dict)
        ):
            raise InputError(f"{self.last} is a model, not a checkpoint; choose another --run")
        return saved

    def write_plot(self, state: TrainingState) -> None:
        from minids.plot.training import training

        with atomic_write(self.plot) as file:
            training(state.rows or [state.best_row or {}], state.best_epoch).savefig(
                file, format="png", dpi=150
            )

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        with atomic_write(self.metrics) as file:
            file.write("".join(to_json(row) + "\n" for row in rows).encode())


def default_run_folder(settings: Settings) -> Path:
    """runs/NAME for NAME.toml, and for NAME/settings.toml."""
    name = os.path.splitext(settings.source.name)[0]
    return Path("runs") / (settings.source.absolute().parent.name if name == "settings" else name)
