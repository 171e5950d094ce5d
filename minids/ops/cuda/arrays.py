"""Arrays on the GPU."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minids.ops import driver
from minids.ops.cuda.device import cuda
from minids.ops.cuda.launch import driver_api

on_host = False

_DTYPES = {"f": np.float32, "i": np.int32, "u": np.uint32}
_freeing = threading.Lock()


def empty(shape: tuple[int, ...], dtype):
    """A new device array. Its contents are undefined; in the simulator they are NaN.

    Raises MemoryError if the GPU does not have enough free memory.
    """
    with _memory_error("the GPU does not have {:.2f} GB of free memory", shape, dtype):
        _free_deleted()
        return cuda.device_array(shape, dtype)


def _free_deleted() -> None:
    """Free the memory of deleted arrays, which Numba collects: not every thread has selected a GPU."""
    if not driver.simulated():
        with _freeing:
            cuda.current_context().memory_manager.deallocations.clear()


def view(flat, start: int, shape: tuple[int, ...]):
    """As in the reference. In a thread without a GPU, slicing an array would select GPU 0."""
    return flat[start : start + math.prod(shape)].reshape(shape)


@contextmanager
def _memory_error(message: str, shape: tuple[int, ...], dtype) -> Iterator[None]:
    """Raises MemoryError where the driver reports that memory is exhausted."""
    try:
        yield
    except Exception as error:
        if "OUT_OF_MEMORY" not in str(error):
            raise
        size = np.dtype(dtype).itemsize * math.prod(shape)
        raise MemoryError(message.format(size / 1e9)) from error


def from_host(array: np.ndarray):
    """A copy on the device: contiguous, float32, int32 or uint32.

    Raises ValueError for other kinds of numbers, and for integers that do not fit into 32 bits.
    """
    if array.dtype.kind not in _DTYPES:
        raise ValueError(f"the GPU computes with real numbers and integers, not {array.dtype}")
    return copy(array, empty(array.shape, _DTYPES[array.dtype.kind]))


def copy(array: np.ndarray, out):
    """Copy a NumPy array to a device array of the same shape, and return the latter.

    Raises ValueError for another shape, and for integers that do not fit into the type of `out`.
    """
    if array.shape != out.shape:
        raise ValueError(f"an array of shape {array.shape} cannot be copied to one of shape {out.shape}")
    dtype = np.dtype(out.dtype)
    if dtype.kind in "iu" and array.size and not np.can_cast(array.dtype, dtype):
        limits = np.iinfo(dtype)
        if array.dtype.kind not in "iu" or array.min() < limits.min or array.max() > limits.max:
            raise ValueError(f"the array has values that do not fit into {dtype}")
    out.copy_to_device(np.ascontiguousarray(array, dtype))
    return out


class AsyncCopier:
    """Copies the frames of the next batch to the GPU while it computes on the current one.

    The copy goes through page-locked (pinned) host memory, on a stream of its own. Two pairs of buffers
    alternate, one to compute from and one to fill. Nothing is allocated once they are large enough.
    """

    def __init__(self) -> None:
        self._stream = driver_api.async_stream()
        self._buffers: list[Any] = [None, None]

    def __call__(self, array: np.ndarray):
        """The array on the GPU, complete when this returns. The one from two calls ago is overwritten."""
        buffers, other = self._buffers
        if buffers is None or buffers[0].size < array.size:
            buffers = self._buffers[0] = None  # free them first: memory may not suffice for both
            buffers = _pinned((array.size,), np.float32), empty((array.size,), np.float32)
        self._buffers = [other, buffers]
        pinned, on_device = (view(buffer, 0, array.shape) for buffer in buffers)
        pinned[...] = array
        on_device.copy_to_device(pinned, stream=self._stream)
        self._stream.synchronize()
        return on_device


def _pinned(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An array in page-locked host memory. Raises MemoryError."""
    with _memory_error("the host does not have {:.2f} GB of memory that can be page-locked", shape, dtype):
        return cuda.pinned_array(shape, dtype)


def to_host(array) -> np.ndarray:
    """A copy in NumPy. Waits until the GPU has computed the array."""
    return array.copy_to_host()


def synchronize() -> None:
    """Wait until the GPU has finished everything that was launched."""
    cuda.synchronize()


def available() -> int | None:
    """Bytes of free GPU memory; None in the simulator."""
    if driver.simulated():
        return None
    _free_deleted()
    return cuda.current_context().get_memory_info().free
