"""What surrounds every call of the backend: the right GPU, one operation at a time, errors in one line.

Threads may share a backend. Their operations take turns on the default stream of its GPU, which keeps the
launches of one operation together. Each thread may have any GPU selected: Numba remembers that per thread. A
forked process cannot use the GPU of its parent.
"""

import inspect
import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

import numpy as np

from minids._utils.errors import InputError, reason
from minids.ops import diagnosis
from minids.ops.cuda.device import cuda

_locks: defaultdict[int, Any] = defaultdict(threading.RLock)  # by device
_INTEGERS = {"lengths", "labels", "label_lengths"}
_COMPILER_ERRORS = {"NvvmSupportError", "NvrtcSupportError", "DynamicLibNotFoundError"}
_COMPILER_ERRORS |= {"CudaSupportError", "nvvmError", "nvJitLinkError"}


def operation(function: Callable, device: int) -> Callable:
    """An operation of the backend. Raises ValueError for arguments that its kernels would misread."""
    names = list(inspect.signature(function).parameters)

    def checked(*arguments: Any, **options: Any) -> Any:
        for name, value in (*zip(names, arguments, strict=False), *options.items()):
            if name == "dropout" and value:
                _check_array("dropout.keys", value.keys, np.uint32)
            elif hasattr(value, "shape") and hasattr(value, "dtype") and value.shape:
                _check_array(name, value, np.int32 if name in _INTEGERS else np.float32)
        return function(*arguments, **options)

    return guarded(checked, device, exclusive=True)


def _check_array(name: str, array: Any, dtype: Any) -> None:
    if not hasattr(array, "__cuda_array_interface__"):
        raise ValueError(f"{name} is not on the GPU; see arrays.from_host")
    if array.dtype != dtype:
        raise ValueError(f"{name} has the type {array.dtype}, not {np.dtype(dtype)}")
    if not array.is_c_contiguous():
        raise ValueError(f"{name} must be C-contiguous")


def guarded(function: Callable, device: int, exclusive: bool) -> Callable:
    """`function` on this GPU; `exclusive` functions wait for each other.

    Raises MemoryError if the GPU has too little memory, InputError for other errors of the driver,
    RuntimeError in a forked process.
    """
    process = os.getpid()
    lock: AbstractContextManager = _locks[device] if exclusive else nullcontext()

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        if os.getpid() != process:
            raise RuntimeError(
                "a forked process cannot use the GPU of its parent;"
                " use the start method spawn, see multiprocessing.set_start_method"
            )
        try:
            with lock, cuda.gpus[device]:
                return function(*arguments, **options)
        except (InputError, MemoryError):
            raise
        except Exception as error:
            explained = explain(error)
            if explained is None:
                raise
            raise explained from error

    return call


def explain(error: Exception) -> Exception | None:
    """The error of the driver or of the compiler in one line; None for any other error."""
    if type(error).__name__ in _COMPILER_ERRORS:
        kit = diagnosis.toolkit() or diagnosis.NEWER
        return InputError(f"kernels cannot be compiled ({reason(error)}); pip install 'minids[{kit.extra}]'")
    found = re.search(r"CUDA_ERROR_(\w+)", str(error))
    if found is None:
        return None
    if (name := found[1]) == "OUT_OF_MEMORY":
        return MemoryError("the GPU does not have enough free memory")
    if name in diagnosis.ADVICE:
        return InputError(f"the NVIDIA driver reports {name}: {diagnosis.ADVICE[name]}")
    return InputError(
        f"the GPU reports {name}, and this process cannot use it any more; start again, and if it happens"
        " again, run minids check --backend cuda"
    )
