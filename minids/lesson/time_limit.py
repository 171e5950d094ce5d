"""Limits on the time and the memory that a reader's function takes, which also say where it was."""

import ctypes
import linecache
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

T = TypeVar("T")
PATIENCE = 6
MEMORY = 1e9  # bytes


class TimeLimitError(BaseException):
    """Raised in the code that takes too long. No `except Exception` in that code stops it."""


def run_with_limit(seconds: float, call: Callable[[], T], file: str = "") -> T:
    """call(), or a TimeoutError after `seconds` that names the line of `file` that was running.

    It is also raised when the memory of the process has grown by MEMORY, except on Windows. Time is that of
    the processor, so that a busy machine stops nobody; code that waits has PATIENCE times as long. Works in
    any thread, on any platform. A single long call of a library, such as NumPy, ends first: the error is
    raised at the next line of Python, and code that waits for ever, as input() does, must be stopped with
    Ctrl-C. While Numba compiles the error is not raised: LLVM would lose it.
    """
    thread = threading.get_ident()
    finished = threading.Event()
    lock = threading.Lock()
    message: list[str] = []

    def watch() -> None:
        start, start_cpu, start_memory = time.monotonic(), time.process_time(), _peak_memory()
        pause, tries = min(seconds, 0.25), 0
        while not finished.wait(pause):
            pause = min(0.2 * seconds, 0.25)
            memory = _peak_memory() - start_memory
            patient = time.monotonic() - start < PATIENCE * seconds
            if patient and memory < MEMORY and time.process_time() - start_cpu < seconds:
                continue
            with lock:
                frames = _frames(thread)
                if not finished.is_set() and not any(map(_is_compiler, frames)):
                    amount = f", but {memory / 1e9:.1f} GB of memory were used" * (memory >= MEMORY)
                    passed = time.monotonic() - start if amount else seconds
                    place = _running_line(frames, file)
                    message.append(f"no result after {passed:.2g} seconds{amount}{place}")
                    _raise_in(thread, TimeLimitError)
                    tries += 1
                    if tries == 3:
                        print(f"It waits{place}. Press Ctrl-C to stop it.", file=sys.stderr)
                    pause = 1.0  # a bare `except:` in a loop catches even this: raise it again

    def finish() -> None:
        with lock:
            finished.set()
            if message:  # raised, but perhaps not arrived yet; needlessly, this call makes cProfile hang
                _raise_in(thread, None)

    try:
        try:
            threading.Thread(target=watch, daemon=True).start()
            return call()
        finally:
            finish()
    except TimeLimitError as error:
        finish()
        raise TimeoutError(message[0] if message else "no result") from error


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(error) if error else None
    )


def _peak_memory() -> float:
    """The most memory that the process has had so far, in bytes; 0 if it is unknown."""
    if resource is None:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def _frames(thread: int) -> list[FrameType]:
    """What a thread is running, from the innermost call."""
    frames, frame = [], sys._current_frames().get(thread)
    while frame:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _is_compiler(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__", "").split(".")[0] in ("numba", "llvmlite")


def _running_line(frames: list[FrameType], file: str) -> str:
    linecache.checkcache(file)  # the file may have changed since an earlier message
    for frame in frames:
        if frame.f_code.co_filename == file:
            line = linecache.getline(file, frame.f_lineno).strip()
            return f"; line {frame.f_lineno} was running{f': {line}' if line else ''}"
    return ""
