"""What the GPU at hand can hold."""

from functools import cache
from typing import NamedTuple

from numba import cuda

from minids.ops import driver


class Limits(NamedTuple):
    """Its multiprocessors; the bytes of shared memory that a block may ask for; whether a whole grid may wait
    for itself."""

    multiprocessors: int
    shared: int
    cooperative: bool


@cache
def limits() -> Limits:
    if driver.simulated():
        from minids import cuda_simulator

        return Limits(cuda_simulator.RESIDENT, 48 * 1024, True)
    gpu = cuda.get_current_device()
    return Limits(
        gpu.MULTIPROCESSOR_COUNT, gpu.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, bool(gpu.COOPERATIVE_LAUNCH)
    )
