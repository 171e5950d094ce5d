"""`cuda` for kernels and launches: `numba.cuda`, or the simulator with MINIDS_SIM=1."""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from minids.ops import driver

if not driver.simulated():
    from numba import cuda
else:
    from minids.cuda_simulator import cuda  # type: ignore[assignment]

__all__ = ["cuda", "current_device", "per_device"]


def current_device() -> int:
    """The number of the GPU that this thread uses."""
    return 0 if driver.simulated() else cuda.get_current_device().id


def per_device(function: Callable) -> Callable:
    """As functools.cache, with results of their own for each GPU."""
    cached = cache(lambda device, *arguments: function(*arguments))

    @wraps(function)
    def call(*arguments: Any) -> Any:
        return cached(current_device(), *arguments)

    return call
