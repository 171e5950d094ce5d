"""What the GPU can hold."""

from typing import NamedTuple

from minids.ops import driver
from minids.ops.cuda.device import cuda, per_device


class Limits(NamedTuple):
    """Number of multiprocessors, shared memory of a block in bytes, support for barriers of a whole grid."""

    multiprocessors: int
    shared_bytes: int
    cooperative: bool


@per_device
def limits() -> Limits:
    if driver.simulated():
        from minids import cuda_simulator

        return Limits(cuda_simulator.MAX_RESIDENT_BLOCKS, 48 * 1024, True)
    gpu = cuda.get_current_device()
    return Limits(
        gpu.MULTIPROCESSOR_COUNT, gpu.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, bool(gpu.COOPERATIVE_LAUNCH)
    )
