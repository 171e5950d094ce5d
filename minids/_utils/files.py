"""Read and write files safely: only regular files are opened and replaced, and writes are atomic."""

import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

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


def check_writable(path: str | Path, *inputs: str | Path) -> None:
    """Raises InputError where `atomic_write` could not write, or would replace one of the inputs."""
    for other in inputs:
        if os.path.realpath(path) == os.path.realpath(other):
            raise InputError(f"{path} is an input of this command; give another file for the output")
    try:
        _target(Path(path))
    except OSError as error:
        raise _write_error(path, error) from error


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` when the block ends, and is discarded when the block raises.

    A kill at any moment leaves the old file or the new one, both complete. A symbolic link stays, and its
    target is replaced. Pipes and character devices, such as /dev/null, are written to directly.

    Raises InputError naming `path` when it cannot be written: no folder, no space, no permission, a folder,
    socket or block device. Errors of the block itself pass unchanged.
    """
    path = Path(path)
    temporary = None
    try:
        try:
            target, mode = _target(path)
            if mode is not None and not stat.S_ISREG(mode):
                # O_NONBLOCK: a pipe without a reader fails instead of blocking.
                output = _Output(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                os.set_blocking(output.fd, True)
            else:
                # The name stays below the limit of 255 bytes, whatever the name of the file.
                prefix = os.fsdecode(os.fsencode(target.name)[:200])
                name = target.with_name(f".{prefix}.{secrets.token_hex(4)}.tmp")
                output = _Output(
                    os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
                )  # minus the umask
                temporary = name
                if mode is not None:
                    os.fchmod(output.fd, stat.S_IMODE(mode))
        except OSError as error:
            raise _write_error(path, error) from error
        try:
            with output:
                yield cast(BinaryIO, output)
                output.flush()
                if temporary:
                    output.sync()
        except OSError as error:
            if output.error:
                raise _write_error(path, output.error) from error
            raise
        if temporary:
            try:
                os.replace(temporary, target)
            except OSError as error:
                raise _write_error(path, error) from error
            temporary = None
            _sync_folder(target.parent)
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Run the block while no other process or thread runs one for the same folder. For short work only.

    The lock ends with the process. Where folders cannot be locked, as on some network drives, none is.
    """
    fd = -1
    try:
        with suppress(ImportError, OSError):
            import fcntl

            fd = os.open(folder, os.O_RDONLY)
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        if fd >= 0:
            os.close(fd)


class _Output(io.BufferedIOBase):
    """A buffered file that remembers its own OSError, to tell it from those of the code that writes."""

    def __init__(self, fd: int):
        self.fd = fd
        self.error: OSError | None = None
        self._file = os.fdopen(fd, "wb")

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def write(self, data) -> int:
        return self._call(self._file.write, data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._call(self._file.seek, offset, whence)

    def tell(self) -> int:
        return self._call(self._file.tell)

    def flush(self) -> None:
        if not self._file.closed:
            self._call(self._file.flush)

    def sync(self) -> None:
        self._call(os.fsync, self.fd)

    def close(self) -> None:
        try:
            self._call(self._file.close)
        finally:
            super().close()

    def _call(self, function, *arguments):
        try:
            return function(*arguments)
        except OSError as error:
            self.error = self.error or error
            raise


def _target(path: Path) -> tuple[Path, int | None]:
    """The file that `path` or its symbolic links point to, and its mode; None if it does not exist yet.

    Raises OSError for what cannot be written.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        if not target.parent.is_dir():
            raise OSError(errno.ENOENT, f"no folder {target.parent}") from None
        return target, None
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, str(error)) from error
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "it is a folder")
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise OSError(errno.EINVAL, "it is a device or a socket")
    if not os.access(path, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return Path(os.path.realpath(path)), mode


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Not all file systems support this."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _write_error(path: str | Path, error: OSError) -> InputError:
    advice = {errno.ENOENT: "create it first", errno.EISDIR: "give a file name"}
    return InputError(
        f"cannot write {path}: {reason(error)}; {advice.get(error.errno or 0, 'choose another file')}"
    )
