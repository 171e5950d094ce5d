"""Whether there is a GPU to compute on, without importing a CUDA package."""

import ctypes
import os
from typing import Any, NamedTuple

LIBRARY = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"


class GPU(NamedTuple):
    name: str
    gigabytes: float
    capability: tuple[int, int]


def has_gpu() -> bool:
    """Whether an NVIDIA driver responds and sees at least one GPU."""
    try:
        return start() == 0 and count() > 0
    except OSError:
        return False


def start() -> int:
    """Make the driver ready; 0, or the number of an error. Raises OSError if there is no driver."""
    return _library().cuInit(0)


def version() -> int:
    """The newest CUDA that the driver runs: 13010 is 13.1."""
    value = ctypes.c_int(0)
    _library().cuDriverGetVersion(ctypes.byref(value))
    return value.value


def count() -> int:
    """The number of GPUs that this process sees."""
    value = ctypes.c_int(0)
    _library().cuDeviceGetCount(ctypes.byref(value))
    return value.value


def capability() -> tuple[int, int]:
    """The compute capability of the GPU that this thread has selected, or else of the first one.

    For example (9, 0), which is Hopper. Call it only if `has_gpu()`.
    """
    device = ctypes.c_int(0)
    # Leaves 0 if none is selected. (CUDA 13 also has cuCtxGetDevice_v2, which takes another argument.)
    _library().cuCtxGetDevice(ctypes.byref(device))
    return _capability(device.value)


def gpus() -> list[GPU]:
    """All GPUs that this process sees. Call it only if `has_gpu()`."""
    driver, found = _library(), []
    for device in range(count()):
        name, size = ctypes.create_string_buffer(100), ctypes.c_size_t(0)
        driver.cuDeviceGetName(name, len(name), device)
        driver.cuDeviceTotalMem_v2(ctypes.byref(size), device)
        found.append(GPU(name.value.decode(), round(size.value / 2**30, 1), _capability(device)))
    return found


def simulated() -> bool:
    """Whether kernels run in the simulator: MINIDS_SIM=1."""
    return os.environ.get("MINIDS_SIM") == "1"


def _capability(device: int) -> tuple[int, int]:
    values = ctypes.c_int(0), ctypes.c_int(0)
    for value, attribute in zip(values, (75, 76), strict=True):  # compute capability, major and minor
        _library().cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return values[0].value, values[1].value


def _library() -> Any:
    return ctypes.CDLL(LIBRARY)
