"""Columns of numbers that may be longer than memory: on disk, written and read from front to back.

The file of a column is in the folder of temporary files (TMPDIR), which should be on a disk: where it is in
memory (tmpfs), so are the columns. The file has no name, so nothing is left of it when the process ends,
whatever ends it. A short column is in memory.
"""

import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from minids._utils.errors import InputError, reason
from minids._utils.warning import warn

BLOCK_SIZE = 1 << 16  # numbers read at once
MAX_IN_MEMORY = 1 << 18  # bytes


class Column:
    """Numbers of one type. Its methods raise InputError where there is no space for them."""

    def __init__(self, dtype: type, values: Sequence | np.ndarray = ()):
        self._file: io.BytesIO | io.BufferedRandom = io.BytesIO()  # first, since __del__ closes it
        self.dtype = np.dtype(dtype)
        self._size = 0
        self.append(np.asarray(values))

    def __del__(self) -> None:
        with suppress(OSError):  # of a full disk
            self._file.close()

    def __len__(self) -> int:
        return self._size

    def append(self, values: np.ndarray) -> None:
        """Add numbers (n,) at the end, converted to the type of the column; integers wrap around."""
        if values.ndim != 1:
            raise ValueError(f"the numbers of a column have one dimension, not {values.ndim}")
        for start in range(0, len(values), BLOCK_SIZE):
            block = values[start : start + BLOCK_SIZE].astype(self.dtype, "C", copy=False)
            self._size += len(block)
            try:
                self._file.seek(0, io.SEEK_END)
                if isinstance(self._file, io.BytesIO) and self._size * self.dtype.itemsize > MAX_IN_MEMORY:
                    memory, self._file = self._file, _temporary_file()
                    self._file.write(memory.getbuffer())
                self._file.write(block.data)
            except OSError as error:
                raise _no_space(error) from error

    def array(self) -> np.ndarray:
        return self.read(0, len(self))

    def read(self, start: int, count: int) -> np.ndarray:
        values = np.empty(count, self.dtype)
        try:
            self._file.seek(start * self.dtype.itemsize)  # writes what is buffered
            complete = self._file.readinto(values.data) == values.nbytes
        except OSError as error:
            raise _no_space(error) from error
        if not complete:
            raise InputError("a temporary file was cut off while the model was trained; train it again")
        return values


def blocks(*columns: Column) -> Iterator[tuple[np.ndarray, ...]]:
    """The numbers of columns of equal size, side by side: arrays of BLOCK_SIZE; the last may be shorter."""
    for start in range(0, len(columns[0]), BLOCK_SIZE):
        count = min(BLOCK_SIZE, len(columns[0]) - start)
        yield tuple(column.read(start, count) for column in columns)


def _temporary_file() -> io.BufferedRandom:
    wanted, folder = os.environ.get("TMPDIR"), tempfile.gettempdir()
    if wanted and not (os.path.isdir(wanted) and os.access(wanted, os.W_OK | os.X_OK)):
        warn(f"cannot write to TMPDIR = {wanted}, so temporary files are in {folder}")
    return tempfile.TemporaryFile()  # type: ignore[return-value]


def _no_space(error: OSError) -> InputError:
    return InputError(
        f"cannot store the n-grams in a temporary file in {tempfile.tempdir or 'any folder'}:"
        f" {reason(error)}; set TMPDIR to a folder with more space"
    )
