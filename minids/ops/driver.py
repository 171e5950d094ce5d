"""Whether there is a GPU to compute on, without importing a CUDA package."""

import ctypes
import importlib.util
import os

from minids._utils.errors import InputError

MIN_CAPABILITY = 7, 5  # Turing: the oldest architecture that CUDA 13 compiles for
MIN_CUDA = 13000  # 13.0, in the driver's numbers: the version of the compiled code


def has_gpu() -> bool:
    """Whether an NVIDIA driver responds and sees at least one GPU."""
    try:
        driver = _library()
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def version() -> int:
    """The newest CUDA that the driver runs: 13010 is 13.1."""
    value = ctypes.c_int(0)
    _library().cuDriverGetVersion(ctypes.byref(value))
    return value.value


def capability() -> tuple[int, int]:
    """The compute capability of the GPU that this thread has selected, or else of the first one.

    For example (9, 0), which is Hopper. Call it only if `has_gpu()`.
    """
    driver, values, device = _library(), [ctypes.c_int(0), ctypes.c_int(0)], ctypes.c_int(0)
    driver.cuCtxGetDevice(ctypes.byref(device))  # leaves 0 if none is selected
    for value, attribute in zip(values, (75, 76), strict=True):  # compute capability, major and minor
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return values[0].value, values[1].value


def simulated() -> bool:
    """Whether kernels run in the simulator: MINIDS_SIM=1."""
    return os.environ.get("MINIDS_SIM") == "1"


def require() -> None:
    """Raises InputError if there is neither a supported GPU nor the simulator, or if a package is missing."""
    if simulated():
        _require("greenlet", "the simulator of a GPU", "greenlet")
        return
    if not has_gpu():
        raise InputError("no NVIDIA driver answers on this machine; use --backend cpu")
    if version() < MIN_CUDA:
        raise InputError("the NVIDIA driver is too old: install 580 or newer, or use --backend cpu")
    if capability() < MIN_CAPABILITY:
        gpu, minimum = (".".join(map(str, numbers)) for numbers in (capability(), MIN_CAPABILITY))
        raise InputError(f"this GPU's compute capability is {gpu}, {minimum} is needed; use --backend cpu")
    _require("numba_cuda", "the backend cuda", "'minids[cuda]'")


def _library() -> ctypes.CDLL:
    return ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")


def _require(module: str, purpose: str, package: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise InputError(f"{purpose} needs a package: pip install {package}")
