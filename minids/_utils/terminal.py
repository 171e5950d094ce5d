"""Text for a terminal: names and texts from files must not control it, and nobody has to be listening."""

import io
import os
import re
import sys
from typing import Any, TextIO

# C0, DEL and C1 controls, line separators, bidirectional overrides, and bytes that are not UTF-8.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    """The text with control characters as escapes (ESC becomes \\x1b), on one line."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), str(text))


def protect_streams() -> None:
    """Prepare the standard streams of a command for terminals that are closed, full or gone.

    Messages that stderr cannot take are dropped. A closed stdout raises OSError when a result is
    printed. Closed file descriptors are opened on /dev/null: otherwise the next file that is opened would get
    their number, and messages of C libraries would end up in it.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if fd == 0 else os.O_WRONLY)  # takes the lowest free number
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = _ClosedStream()
    if not isinstance(sys.stderr, _OptionalStream):
        sys.stderr = _OptionalStream(sys.stderr)  # type: ignore[assignment]


class _ClosedStream(io.TextIOBase):
    """A stdout that was closed before the program started."""

    def write(self, text: str) -> int:
        raise OSError("standard output is closed")


class _OptionalStream(io.TextIOBase):
    """A stderr whose errors are ignored: nobody listens, and the work continues."""

    def __init__(self, stream: TextIO | None):
        self._stream = stream

    def write(self, text: str) -> int:
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        self._try("flush")

    def isatty(self) -> bool:
        return bool(self._try("isatty"))

    def fileno(self) -> int:
        fd = self._try("fileno")
        if fd is None:
            raise io.UnsupportedOperation("fileno")
        return fd

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    def _try(self, name: str, *arguments: Any) -> Any:
        try:
            return getattr(self._stream, name)(*arguments)
        except (OSError, ValueError, AttributeError):  # full or gone; closed; None
            return None
