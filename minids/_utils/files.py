"""Read and write files safely: atomic writes to a temporary file, flushed to disk, then renamed."""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from minids._utils.errors import InputError, reason


def open_file(path: str | Path) -> BinaryIO:
    """`open(path, "rb")` for regular files only: opening a pipe could wait forever.

    Raises OSError for anything else, and for a name that no file can have.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(errno.EINVAL, "not a file", str(path))
        return open(path, "rb")
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, str(error), str(path)) from error


def check_writable(path: str | Path) -> None:
    """Raises InputError where `atomic_write` could not write. For a check before long work."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; give a file name")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: no folder {path.parent}; create it first")


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` when the block ends, and is discarded when the block raises.

    A kill at any moment leaves the old file or the new one, both complete. File system errors (no such
    folder, no space) become an InputError that names `path`.
    """
    path = Path(path)
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp creates private files
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise InputError(f"cannot write {path}: {reason(error)}; choose a folder you can write to") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
