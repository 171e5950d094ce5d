"""What a run writes after every step: steps.jsonl, and the events of TensorBoard."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
        with _explained(self.path), self.path.open("a+b") as file:
            if self.is_new:
                file.seek(0)
                file.truncate(sum(map(len, islice(file, self.steps))))
                self.is_new = False
            file.write(to_json(dict(row)).encode() + b"\n")
        self.show("step", row, row["step"])

    def show(self, group: str, row: Mapping[str, Any], step: int) -> None:
        """Add the numbers of `row` to TensorBoard."""
        if not self.tensorboard:
            return
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.proto.summary_pb2 import Summary

        folder = self.path.with_name("tensorboard")
        values = [
            Summary.Value(tag=f"{group}/{name}", simple_value=value)
            for name, value in row.items()
            if name not in ("step", "epoch")
        ]
        with _explained(folder):
            if not self.events:
                folder.mkdir(exist_ok=True)
                # The name of the file is the time in seconds, and a run may resume within one.
                self.events = EventsWriter(str(folder / "events"), f".{self.steps}")
                start = SessionLog(status=SessionLog.START)  # hides events from this step on
                self.events.write_event(Event(step=self.steps + 1, session_log=start))
            event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
            self.events.write_event(event)
            self.events.flush()

    def close(self) -> None:
        with _explained(self.path):
            if self.events:
                self.events.close()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {reason(error)}; make room, and resume") from error
