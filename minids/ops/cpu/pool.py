"""One pool of threads for all operations: Numba's. SciPy's BLAS is called from it, single-threaded.

Two pools that wait for each other by spinning would cost up to half of the machine, so SciPy's BLAS is
limited to one thread while an operation runs. Operations are serialized within a process, because not every
threading layer of Numba is thread-safe, and one operation already uses all cores.
"""

import inspect
import os
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import numba
import numpy as np
from numba import get_num_threads

from minids._utils.errors import InputError, reason
from minids.ops.cpu.blas import njit, warm_up

__all__ = ["check_lengths", "get_num_threads", "njit", "on_all_cores"]

# A waiting thread of GNU's OpenMP spins so many times, some tens of microseconds, and then sleeps. By default
# it spins for long: on a busy machine it holds the core that the last working thread needs, and a step takes
# ten times as long. If it slept at once, a small step would take twice as long.
SPIN_COUNT = "20000"

_DTYPES = (np.dtype(np.float32), np.dtype(np.int32), np.dtype(np.uint32))


class _Pool:
    """The state of the pool in this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.started = False
        self.blas: list[Any] = []  # the libraries to limit
        self.lost_in_fork = False

    def start(self) -> None:
        """Start Numba's threads, look up BLAS."""
        from threadpoolctl import ThreadpoolController

        unset = "GOMP_SPINCOUNT" not in os.environ
        if unset:
            os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT  # read once, when the library is loaded
        try:
            get_num_threads()  # loads the threading layer
        except ValueError as error:  # tbb, for example, if it is not installed
            raise InputError(
                f"Numba starts no threads ({reason(error)}); unset NUMBA_THREADING_LAYER"
            ) from error
        finally:
            if unset:
                del os.environ["GOMP_SPINCOUNT"]
        warm_up()
        libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        # Wheels of NumPy have a library of their own. Without wheels, NumPy and SciPy share one.
        self.blas = [library for library in libraries if "numpy" not in library.filepath] or libraries
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.after_fork)
        self.started = True

    def after_fork(self) -> None:
        """The child has no threads but its own, and GNU's OpenMP aborts when it is asked for them."""
        self.lock = threading.RLock()
        self.lost_in_fork = numba.threading_layer() == "omp"


_pool = _Pool()


def on_all_cores(operation: Callable) -> Callable:
    """An operation that runs alone in the pool, with one thread to a BLAS call.

    Raises ValueError for arrays that compiled code would misread: of another type, not contiguous, or outputs
    that are read-only; RuntimeError in a process that was forked after the pool had started, unless the
    threading layer survives that.
    """
    parameters = inspect.signature(operation).parameters
    names = list(parameters)
    outputs = {name for name in names if parameters[name].default is None} | {"params", "velocity"}

    @wraps(operation)
    def run(*args: Any, **kwargs: Any) -> Any:
        for name, argument in (*zip(names, args, strict=False), *kwargs.items()):
            if isinstance(argument, np.ndarray):
                _check_array(name, argument, name in outputs)
        if _pool.lost_in_fork:
            raise RuntimeError(
                "this process was forked after its parent had used minids, which OpenMP does not survive;"
                " start processes with multiprocessing.get_context('spawn')"
            )
        with _pool.lock:
            if not _pool.started:
                _pool.start()
            limits = [library.get_num_threads() for library in _pool.blas]
            for library in _pool.blas:
                _set_threads(library, 1)
            try:
                return operation(*args, **kwargs)
            finally:
                for library, limit in zip(_pool.blas, limits, strict=True):
                    _set_threads(library, limit)

    return run


def _set_threads(library: Any, n: int) -> None:
    # threadpoolctl from 3.7 on ignores set_num_threads of all threads but one. We hold the lock of the pool.
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n)


def _check_array(name: str, array: np.ndarray, is_output: bool) -> None:
    if array.dtype not in _DTYPES:
        raise ValueError(f"{name} has the type {array.dtype}; cpu operations take float32, int32 and uint32")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous; see numpy.ascontiguousarray")
    if is_output and not array.flags.writeable:
        raise ValueError(f"{name} is read-only, and a result would be written there")


def check_lengths(name: str, lengths: np.ndarray, high: int) -> None:
    """Raises ValueError unless all lengths are from 0 to high."""
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= high:
        raise ValueError(f"{name} must be from 0 to {high}, not {lengths.tolist()}")
