"""What a run writes after every step: steps.jsonl, and the events of TensorBoard."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from minids._utils.errors import InputError, reason
from minids._utils.strict_json import to_json


class StepLog:
    """Appends to `path` and, with `tensorboard`, to the events in the folder of that name beside it.

    `steps` is how many the checkpoint knows: later lines are cut when the first new one is written.
    Raises InputError where a file cannot be written, and without the package for TensorBoard.
    """

    def __init__(self, path: Path, steps: int, tensorboard: bool):
        self.path, self.steps = path, steps
        self.file: IO[bytes] | None = None
        self.events: Any = None
        if tensorboard:
            try:
                from tensorboardX import SummaryWriter
            except ImportError:
                raise InputError(
                    "tensorboard = true needs a package; pip install 'minids[tensorboard]'"
                ) from None
            folder, first = str(path.with_name("tensorboard")), steps + 1 if steps else None
            # The name of its file is the time in seconds, and a run can resume within one.
            self.events = SummaryWriter(folder, purge_step=first, filename_suffix=f".{steps}")

    def write(self, row: Mapping[str, Any]) -> None:
        """Write the line of a step; its "step" counts from 1."""
        try:
            if self.file is None:
                self.file = self.path.open("a+b")
                self.file.truncate(_length(self.file, self.steps))
            self.file.write(to_json(dict(row)).encode() + b"\n")
            self.file.flush()
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {reason(error)}; make room, and resume") from error
        self.show("step", row, row["step"])

    def show(self, group: str, row: Mapping[str, Any], step: int) -> None:
        """Add the numbers of `row` to TensorBoard."""
        for name, value in row.items() if self.events else ():
            if isinstance(value, int | float) and name not in ("step", "epoch"):
                self.events.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Write what is buffered."""
        for file in (self.file, self.events):
            if file:
                file.close()


def _length(file: IO[bytes], steps: int) -> int:
    """The bytes of the first lines that are complete and of steps up to `steps`."""
    length = 0
    file.seek(0)
    for line in file:
        try:
            if not line.endswith(b"\n") or not 1 <= json.loads(line)["step"] <= steps:
                break
        except (ValueError, TypeError, LookupError):
            break
        length += len(line)
    return length
