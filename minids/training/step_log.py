"""What a run writes after every step: steps.jsonl, and the events of TensorBoard."""

from collections.abc import Mapping
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError, reason
from minids._utils.strict_json import to_json


class StepLog:
    """Appends to `path` after the lines of the first `steps` steps, which are all that the checkpoint knows.

    With `tensorboard` also to the events in the folder of that name beside it. Raises InputError where a file
    cannot be written, and without the package for TensorBoard.
    """

    def __init__(self, path: Path, steps: int, tensorboard: bool):
        if tensorboard and not find_spec("tensorboardX"):
            raise InputError("tensorboard = true needs: pip install 'minids[tensorboard]'")
        self.path, self.steps, self.tensorboard, self.is_new = path, steps, tensorboard, True
        self.events: Any = None

    def write(self, row: Mapping[str, Any]) -> None:
        """Write the line of a step; its "step" counts from 1."""
        try:
            with self.path.open("a+b") as file:
                if self.is_new:
                    file.seek(0)
                    file.truncate(sum(map(len, islice(file, self.steps))))
                    self.events = self._event_writer() if self.tensorboard else None
                    self.is_new = False
                file.write(to_json(dict(row)).encode() + b"\n")
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {reason(error)}; make room, and resume") from error
        self.show("step", row, row["step"])

    def show(self, group: str, row: Mapping[str, Any], step: int) -> None:
        """Add the numbers of `row` to TensorBoard."""
        for name in row.keys() - {"step", "epoch"} if self.events else ():
            self.events.add_scalar(f"{group}/{name}", float(row[name]), step)

    def _event_writer(self) -> Any:
        from tensorboardX import SummaryWriter

        # The name of its file is the time in seconds, and a run may resume within one.
        options = {"purge_step": self.steps + 1, "filename_suffix": f".{self.steps}"}
        return SummaryWriter(str(self.path.with_name("tensorboard")), **options)

    def close(self) -> None:
        if self.events:
            self.events.close()
