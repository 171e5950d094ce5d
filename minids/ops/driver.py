"""Is there a GPU to compute on? Asked without importing any CUDA package."""

import ctypes
import importlib.util
import os

from minids.errors import InputError


def found() -> bool:
    """True where an NVIDIA driver answers and sees at least one GPU."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def simulated() -> bool:
    """True where kernels run in the simulator: MINIDS_SIM=1."""
    return os.environ.get("MINIDS_SIM") == "1"


def require() -> None:
    """Raises InputError where there is neither a GPU nor the simulator, or a package is missing."""
    if simulated():
        _require("greenlet", "the simulator of a GPU", "greenlet")
        return
    if not found():
        raise InputError("no NVIDIA driver answers on this machine; use --backend cpu")
    _require("numba_cuda", "the backend cuda", "'minids[cuda]'")


def _require(module: str, purpose: str, package: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise InputError(f"{purpose} needs a package: pip install {package}")
