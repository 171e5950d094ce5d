"""Global and shared memory. Every access is checked against those of other threads."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minids.cuda_simulator.errors import Misaligned, OutOfBounds, Race, Uninitialized
from minids.cuda_simulator.options import Access

if TYPE_CHECKING:
    from minids.cuda_simulator.scheduler import Launch, Thread


class Timestamp(NamedTuple):
    """A thread, and the number of grid barriers, block barriers and warp barriers that it has passed.

    The warp barriers are counted from the last block barrier.
    """

    thread: "Thread"
    grid: int
    block: int
    warp: int

    def before(self, other: "Timestamp") -> bool:
        """True if a barrier, or the order within one thread, puts this access before the other."""
        a, b = self.thread, other.thread
        if a is b:
            return True
        if a.block is not b.block:
            return self.grid < other.grid
        return self.block < other.block or (a.warp == b.warp and self.warp < other.warp)

    def __str__(self) -> str:
        return str(self.thread)


class UnderWay(Timestamp):
    """The time of a copy that its thread has not waited for yet: it comes before no other access."""

    def before(self, other: Timestamp) -> bool:
        return False

    def __str__(self) -> str:
        return f"a copy that {self.thread} has not waited for"


class Memory:
    """An array in shared or global memory as a kernel sees it. It remembers which threads accessed what."""

    def __init__(self, array: np.ndarray, name: str, launch: "Launch", shared: bool = False):
        self.shape, self.ndim, self.size, self.dtype = array.shape, array.ndim, array.size, array.dtype
        self._flat, self._name, self._launch, self._shared = array.reshape(-1), name, launch, shared
        self._address = array.__array_interface__["data"][0]  # views of one buffer share their elements

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index):
        position, launch = self._position(index), self._launch
        address, now = self._address + position * self.dtype.itemsize, launch.thread.timestamp
        written = launch.written.get(address)
        if written is None:
            if self._shared:
                raise Uninitialized(f"{self._element(index)} is read before any thread has written it")
        elif not written.before(now):
            raise Race(f"{self._element(index)} is read by {now.thread} and written by {written}")
        launch.read.setdefault(address, {})[now.thread] = now
        if launch.trace is not None:
            self._record(index, position, "read")
        return self._flat[position]

    def __setitem__(self, index, value) -> None:
        self._flat[self._write(index)] = value

    def _write(self, index) -> int:
        """The position of an element that the running thread may write. Raises Race."""
        position, launch = self._position(index), self._launch
        address, now = self._address + position * self.dtype.itemsize, launch.thread.timestamp
        written = launch.written.get(address)
        if written is not None and not written.before(now):
            raise Race(f"{self._element(index)} is written by {now.thread} and by {written}")
        for read in launch.read.pop(address, {}).values():
            if not read.before(now):
                raise Race(f"{self._element(index)} is written by {now.thread} and read by {read.thread}")
        launch.written[address] = now
        if launch.trace is not None:
            self._record(index, position, "write")
        return position

    def load4(self, index: int) -> tuple:
        """Four adjacent elements of a flat array, read by one instruction. Raises Misaligned."""
        self.check_alignment(index)
        values = self[index], self[index + 1], self[index + 2], self[index + 3]
        self._join_accesses()
        return values

    def store4(self, index: int, values: tuple) -> None:
        """Write four adjacent elements of a flat array by one instruction. Raises Misaligned."""
        self.check_alignment(index)
        self[index], self[index + 1], self[index + 2], self[index + 3] = values
        self._join_accesses()

    def copy_async(self, index: int, source: "Memory", start: int, valid: int, count: int) -> None:
        """Start to copy one or four elements of a flat array, or zeros if `valid` is not positive.

        Until the thread has waited for the copy, every access of its target is a race.
        """
        values: tuple = (0.0,) * count
        if valid > 0:
            values = source.load4(start) if count == 4 else (source[start],)
        if count == 4:
            self.check_alignment(index)
        copy = [(self, self._write(index + n), value) for n, value in enumerate(values)]
        if count == 4:
            self._join_accesses()
        launch = self._launch
        launch.thread.copies[-1] += copy
        for _, position, _ in copy:
            launch.written[self._address + position * self.dtype.itemsize] = UnderWay(
                *launch.thread.timestamp
            )

    def complete_copy(self, position: int, value) -> None:
        """The running thread has waited for a copy."""
        launch = self._launch
        launch.written[self._address + position * self.dtype.itemsize] = launch.thread.timestamp
        self._flat[position] = value

    def check_alignment(self, index: int) -> None:
        """Raises Misaligned unless the element is at a multiple of 16 bytes."""
        start = 0 if self._shared else self._address  # shared memory is aligned on a GPU
        if (start + index * self.dtype.itemsize) % 16:
            raise Misaligned(f"{self._element(index)} is not at a multiple of 16 bytes")

    def _join_accesses(self) -> None:
        """Note in the trace that the last four accesses are one instruction."""
        trace = self._launch.trace
        if trace is not None:
            trace[-3:] = [access._replace(part=part) for part, access in enumerate(trace[-3:], 1)]

    def _position(self, index) -> int:
        index = index if type(index) is tuple else (index,)
        if len(index) != self.ndim:
            raise TypeError(f"{self._name} has {self.ndim} dimensions: index each of them with an integer")
        position = 0
        for i, size in zip(index, self.shape, strict=True):
            if not 0 <= i < size:
                raise OutOfBounds(f"{self._element(index)} is outside the shape {self.shape}")
            position = position * size + int(i)
        return position

    def _element(self, index) -> str:
        index = index if type(index) is tuple else (index,)
        return f"{self._name}[{', '.join(str(i) for i in index)}]"

    def _record(self, index, position: int, kind: str) -> None:
        thread = self._launch.thread
        index = tuple(int(i) for i in (index if type(index) is tuple else (index,)))
        word = position * self.dtype.itemsize // 4
        where = thread.block.index, thread.index, self._name, index
        access = Access(*where, kind, thread.timestamp.block, thread.number, self._shared, word)
        self._launch.trace.append(access)  # type: ignore[union-attr]


class DeviceArray:
    """An array on the GPU as the host sees it: it can be sliced, reshaped and copied, but not read."""

    def __init__(self, array: np.ndarray):
        self._array = array
        self.shape, self.dtype, self.ndim, self.size = array.shape, array.dtype, array.ndim, array.size
        self.nbytes, self.strides = array.nbytes, array.strides
        self.__cuda_array_interface__ = array.__array_interface__

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index) -> "DeviceArray":
        view = self._array[index]
        if not isinstance(view, np.ndarray):
            raise TypeError("reading a single element waits for the GPU: use to_host")
        return DeviceArray(view)

    def __array__(self, *_, **__):
        raise TypeError("this array is on the GPU: use to_host")

    def is_c_contiguous(self) -> bool:
        return self._array.flags.c_contiguous

    def reshape(self, *shape) -> "DeviceArray":
        if not self.is_c_contiguous():
            raise ValueError("only contiguous arrays can be reshaped")
        return DeviceArray(self._array.reshape(*shape))

    def copy_to_host(self, ary: np.ndarray | None = None, stream: Any = 0) -> np.ndarray:
        if ary is None:
            return self._array.copy()
        ary[...] = self._array
        return ary

    def copy_to_device(self, ary, stream: Any = 0) -> None:
        np.copyto(self._array, ary._array if isinstance(ary, DeviceArray) else ary, casting="no")


def poisoned(shape, dtype) -> np.ndarray:
    """A new array, filled with NaN, or with the smallest integer of its type."""
    dtype = np.dtype(dtype)
    return np.full(shape, np.nan if dtype.kind == "f" else np.iinfo(dtype).min, dtype)
