"""Where arrays live: on the GPU."""

import numpy as np
from numba import cuda

_KINDS = {"f": np.float32, "i": np.int32, "u": np.uint32}


def empty(shape: tuple[int, ...], dtype):
    """A new device array. What it holds is left over from others; in the simulator it is NaN."""
    return cuda.device_array(shape, dtype)


def from_host(array: np.ndarray):
    """A copy on the device: contiguous, float32, int32 or uint32."""
    return cuda.to_device(np.ascontiguousarray(array, _KINDS[array.dtype.kind]))


def to_host(array) -> np.ndarray:
    """A copy in NumPy. Waits until the GPU has computed it."""
    return array.copy_to_host()


def synchronize() -> None:
    """Wait until the GPU has done all that it was given."""
    cuda.synchronize()
