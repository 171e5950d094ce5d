"""Ctrl-C and SIGTERM: training ends after the step and saves it. A second signal ends it at once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Stopped(Exception):
    """The signal of this number has come."""

    def __init__(self, number: int):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """Yield a function that returns the number of a signal that has come, or 0.

    Only the main thread receives signals. One that the process ignores stays ignored.
    """
    received = 0
    previous: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def receive(number: int, frame: object) -> None:
        nonlocal received
        received = number
        restore()
        with suppress(OSError):  # not through sys.stderr, which this may interrupt
            os.write(2, b"\nsaving after this step; repeat to stop at once\n")

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, receive)
    try:
        yield lambda: received
    finally:
        restore()
