"""Where arrays live: on the GPU."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numba import cuda

from minids.ops import driver
from minids.ops.cuda.launch import machine

on_host = False

_KINDS = {"f": np.float32, "i": np.int32, "u": np.uint32}


def empty(shape: tuple[int, ...], dtype):
    """A new device array. What it holds is left over from others; in the simulator it is NaN.

    Raises MemoryError when the GPU has no room for it.
    """
    with _room("the GPU has no {:.2f} GB left", shape, dtype):
        return cuda.device_array(shape, dtype)


@contextmanager
def _room(complaint: str, shape: tuple[int, ...], dtype) -> Iterator[None]:
    """Raises MemoryError where the driver says that there is none."""
    try:
        yield
    except Exception as error:
        if "OUT_OF_MEMORY" not in str(error):
            raise
        size = np.dtype(dtype).itemsize * math.prod(shape)
        raise MemoryError(complaint.format(size / 1e9)) from error


def from_host(array: np.ndarray):
    """A copy on the device: contiguous, float32, int32 or uint32."""
    return copy(array, empty(array.shape, _KINDS[array.dtype.kind]))


def copy(array: np.ndarray, out):
    """A host's array into a device array of its shape; returns the latter."""
    out.copy_to_device(np.ascontiguousarray(array, out.dtype))
    return out


class AsyncCopier:
    """Copies a batch's frames to the GPU while it computes on those before.

    From memory of the host that stays where it is (pinned), over a stream that waits for no other. Two places
    take turns, one to compute from and one to fill, so that nothing is allocated once they are large enough.
    """

    def __init__(self) -> None:
        self._stream = machine.free_stream()
        self._places: list[Any] = [None, None]

    def __call__(self, array: np.ndarray):
        """The array on the GPU, there when this returns; the last but one is overwritten."""
        place = self._places.pop(0)
        if place is None or place[0].size < array.size:
            place = _pinned((array.size,), np.float32), empty((array.size,), np.float32)
        self._places.append(place)
        pinned, ours = place[0][: array.size], place[1][: array.size]
        pinned[...] = array.reshape(-1)
        ours.copy_to_device(pinned, stream=self._stream)
        self._stream.synchronize()
        return ours.reshape(array.shape)


def _pinned(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An array in the host's memory that the GPU reads by itself. Raises MemoryError."""
    with _room("the host has no {:.2f} GB left that may be held for the GPU", shape, dtype):
        return cuda.pinned_array(shape, dtype)


def to_host(array) -> np.ndarray:
    """A copy in NumPy. Waits until the GPU has computed it."""
    return array.copy_to_host()


def synchronize() -> None:
    """Wait until the GPU has done all that it was given."""
    cuda.synchronize()


def available() -> int | None:
    """Bytes of the GPU's memory that are free; None in the simulator."""
    if driver.simulated():
        return None
    context = cuda.current_context()
    context.deallocations.clear()  # what was let go of, and Numba still holds
    return context.get_memory_info().free
