"""A GPU for the lessons: always the simulator, so that they run alike on every machine.

    _, y = run(clip, 2, 4, z, empty(6))             # 2 blocks of 4 threads each
    with trace() as accesses: ...                   # which thread read and wrote what

Importing this module selects the simulator for the whole process (MINIDS_SIM=1). A kernel that is correct
here runs unchanged on a GPU.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minids import ops
from minids._utils.errors import InputError
from minids.ops import driver

if "minids.ops.cuda.device" in sys.modules and not driver.simulated():
    raise InputError("this Python process already uses a GPU; restart it to use the simulator")
os.environ["MINIDS_SIM"] = "1"
backend = ops.load("cuda")  # raises InputError if greenlet is missing

from numba import float32, int32  # noqa: E402

from minids.cuda_simulator import (  # noqa: E402
    Kernel,
    KernelError,
    barriers,
    cuda,
    launches,
    remove_barrier,
    thread_order,
    trace,
)
from minids.ops.cuda.launch import launch  # noqa: E402

__all__ = [
    "KernelError",
    "active_threads",
    "backend",
    "barriers",
    "cuda",
    "empty",
    "float32",
    "global_reads",
    "int32",
    "launches",
    "remove_barrier",
    "run",
    "run_in_every_order",
    "trace",
]


def run(kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> list[np.ndarray]:
    """Run kernel(*arguments) with `blocks` blocks of `threads` threads each, numbers or tuples (x, y).

    Arrays are copied to the GPU as float32 or int32; returns copies of them after the kernel has run.
    `kernel` may be decorated with `@cuda.jit`, but need not be. Raises KernelError for what a GPU would do
    silently.
    """
    if not isinstance(kernel, Kernel):
        kernel = cuda.jit(kernel)
    on_device = [backend.arrays.from_host(a) if isinstance(a, np.ndarray) else a for a in arguments]
    launch(kernel, blocks, threads, *on_device)
    return [backend.arrays.to_host(a) for a in on_device if not isinstance(a, (int, float, np.generic))]


def run_in_every_order(kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> list[np.ndarray]:
    """The last array after the kernel has run, with threads in forward, reverse and random order."""
    results = []
    for name in ("forward", "reverse", "random"):
        with thread_order(name, seed=1):
            results.append(run(kernel, blocks, threads, *arguments)[-1])
    return results


def global_reads(kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> int:
    """How often the threads of this launch read from the kernel's arguments, which are in global memory."""
    return sum(a.kind == "read" for a in _global_accesses(kernel, blocks, threads, *arguments))


def active_threads(array: str, kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> int:
    """How many threads of this launch access `array`, one of the kernel's arguments."""
    accesses = _global_accesses(kernel, blocks, threads, *arguments)
    return len({(a.block, a.thread) for a in accesses if a.array == array})


def _global_accesses(kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> list:
    code = getattr(kernel, "py_func", kernel).__code__
    with trace() as accesses:
        run(kernel, blocks, threads, *arguments)
    return [a for a in accesses if a.array in code.co_varnames[: code.co_argcount]]


def empty(*shape: int) -> np.ndarray:
    """An array for a kernel to fill. It contains NaN, which shows the elements that no thread wrote."""
    return np.full(shape, np.nan, np.float32)
