"""A CUDA you can step through: kernels run as plain Python, one thread at a time, without GPU or compiler.

With MINIDS_SIM=1 the kernels in `minids.ops.cuda` get their `cuda` from here instead of from Numba. Their
source is the same, so that you can set a breakpoint in a kernel or print from it. Each thread is a greenlet:
it runs until it has to wait for other threads (`syncthreads`, `shfl_xor_sync`, the sync of a grid), and
continues once they have all arrived. `thread_order` chooses the order in which threads run; a correct kernel
gives the same result in every order.

What a GPU does silently is an error here, a `KernelError` that names the array, the element and the threads:

    Race                two threads access one element of shared or global memory, at least one of them
                        writes, and no barrier separates the two accesses; or an asynchronous copy to it is
                        under way
    DivergentBarrier    some of the threads that a barrier waits for never reach it
    Uninitialized       shared memory is read before any thread has written to it
    OutOfBounds         an index lies outside its array; negative indices do, too
    Misaligned          four floats are accessed at once at an address that is not a multiple of 16 bytes

Local arrays and new device arrays are filled with NaN. `trace` records every memory access, `barriers` every
barrier, and `remove_barrier` removes one from its kernel: tests use this to show that each barrier is needed.
`cost` counts what a trace would cost on a GPU: reads of global memory, instructions and bank conflicts.

Kernels must index every dimension of an array with integers. Not modeled: threads of a warp that run ahead of
each other, the cost of 64-bit arithmetic, the limits of shared memory and registers. For the last two see
`minids.ops.cuda.compile_report`.
"""

from minids.cuda_simulator.api import (
    Kernel,
    Recorder,
    allow_shared,
    async_stream,
    cuda,
    enable_caching,
    make_cooperative,
)
from minids.cuda_simulator.cost import BANKS, Cost, cost, wavefronts
from minids.cuda_simulator.errors import (
    DivergentBarrier,
    KernelError,
    Misaligned,
    OutOfBounds,
    Race,
    Uninitialized,
)
from minids.cuda_simulator.memory import DeviceArray
from minids.cuda_simulator.options import (
    Access,
    Site,
    barriers,
    launches,
    remove_barrier,
    thread_order,
    trace,
)
from minids.cuda_simulator.scheduler import MAX_RESIDENT_BLOCKS

__all__ = [
    "BANKS",
    "MAX_RESIDENT_BLOCKS",
    "Access",
    "Cost",
    "DeviceArray",
    "DivergentBarrier",
    "Kernel",
    "KernelError",
    "Misaligned",
    "OutOfBounds",
    "Race",
    "Recorder",
    "Site",
    "Uninitialized",
    "allow_shared",
    "async_stream",
    "barriers",
    "cost",
    "cuda",
    "enable_caching",
    "launches",
    "make_cooperative",
    "remove_barrier",
    "thread_order",
    "trace",
    "wavefronts",
]
