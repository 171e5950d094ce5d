"""A limit on the time that a reader's function takes, which also says where it was when time ran out."""

import ctypes
import linecache
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 6


class TimeLimitError(BaseException):
    """Raised in the code that takes too long. No `except Exception` in that code stops it."""


def run_with_limit(seconds: float, call: Callable[[], T], file: str = "") -> T:
    """call(), or a TimeoutError after `seconds` that names the line of `file` that was running.

    Time is that of the processor, so that a busy machine stops nobody; code that waits has PATIENCE times as
    long. Works in any thread, on any platform. A single long call of a library, such as NumPy, ends first:
    the error is raised at the next line of Python.
    """
    thread = threading.get_ident()
    finished = threading.Event()
    lock = threading.Lock()
    place: list[str] = []

    def watch() -> None:
        start, start_cpu, pause = time.monotonic(), time.process_time(), seconds
        while not finished.wait(pause):
            patient = time.monotonic() - start < PATIENCE * seconds
            if patient and time.process_time() - start_cpu < seconds:
                pause = 0.2 * seconds
                continue
            with lock:
                if not finished.is_set():
                    place.append(_running_line(thread, file))
                    _raise_in(thread, TimeLimitError)
            pause = 1.0  # a bare `except:` in a loop catches even this: raise it again

    def finish() -> None:
        with lock:
            finished.set()
            if place:  # raised, but perhaps not arrived yet; needlessly, this call makes cProfile hang
                _raise_in(thread, None)

    try:
        try:
            threading.Thread(target=watch, daemon=True).start()
            return call()
        finally:
            finish()
    except TimeLimitError:
        finish()
        raise TimeoutError(f"no result after {seconds:g} seconds{place[0] if place else ''}") from None


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(error) if error else None
    )


def _running_line(thread: int, file: str) -> str:
    linecache.checkcache(file)  # the file may have changed since an earlier message
    frame = sys._current_frames().get(thread)
    while frame:
        code: CodeType = frame.f_code
        if code.co_filename == file:
            line = linecache.getline(file, frame.f_lineno).strip()
            return f"; line {frame.f_lineno} was running{f': {line}' if line else ''}"
        frame = frame.f_back
    return ""
