"""What surrounds every call of the backend: the right GPU, one operation at a time, errors in one line.

Threads may share a backend. Their operations take turns on the default stream of its GPU, which keeps the
launches of one operation together. Each thread may have any GPU selected: Numba remembers that per thread.
"""

import re
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

from minids._utils.errors import InputError, reason
from minids.ops.cuda.device import cuda

_locks: defaultdict[int, Any] = defaultdict(threading.RLock)  # by device
_SETUP_ERRORS = {"CudaSupportError", "NvvmSupportError", "NvrtcSupportError", "DynamicLibNotFoundError"}


def guarded(function: Callable, device: int, exclusive: bool) -> Callable:
    """`function` on this GPU; `exclusive` functions wait for each other.

    Raises MemoryError if the GPU has too little memory, InputError for other errors of the driver.
    """
    lock: AbstractContextManager = _locks[device] if exclusive else nullcontext()

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
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
    """The error of the driver or of Numba's setup in one line; None for any other error."""
    if type(error).__name__ in _SETUP_ERRORS:
        return InputError(
            f"the GPU cannot be used ({reason(error)}); pip install 'minids[cuda]', or use --backend cpu"
        )
    name = re.search(r"CUDA_ERROR_(\w+)", str(error))
    if name is None:
        return None
    if name[1] == "OUT_OF_MEMORY":
        return MemoryError("the GPU does not have enough free memory")
    return InputError(
        f"the GPU reports {name[1]}, and this process cannot use it any more; start again, and if it happens"
        " again, run minids check --backend cuda"
    )
