"""A GPU to practise on: the simulator takes its place, so that a lesson runs alike on every machine.

    _, y = run(clip, 2, 4, z, room(6))              # 2 blocks of 4 threads each
    with traced() as accesses: ...                  # who read and wrote what

Importing this sets MINIDS_SIM=1. Kernels that are right here run unchanged on a GPU.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minids import ops
from minids._utils.errors import InputError
from minids.ops import driver

if "minids.ops.cuda" in sys.modules and not driver.simulated():
    raise InputError("this Python already computes on a GPU; these lessons need one started anew")
os.environ["MINIDS_SIM"] = "1"  # before the kernels are imported: they find the simulator in Numba's place
grid = ops.load("cuda")  # InputError with the remedy where greenlet is missing

from numba import cuda, float32, int32  # noqa: E402

from minids.cuda_simulator import (  # noqa: E402
    Kernel,
    KernelError,
    barriers,
    launches,
    order,
    traced,
    without,
)
from minids.ops.cuda.launch import launch  # noqa: E402

__all__ = [
    "KernelError",
    "at_work",
    "barriers",
    "cuda",
    "far_reads",
    "float32",
    "grid",
    "in_any_order",
    "int32",
    "launches",
    "room",
    "run",
    "traced",
    "without",
]


def run(kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> list[np.ndarray]:
    """kernel(*arguments) by `blocks` blocks of `threads` threads each, numbers or tuples (x, y).

    Arrays are copied to the GPU, as float32 or int32; returns their copies as the kernel left them. `kernel`
    stands under `@cuda.jit`, or is put there. Raises KernelError for what a GPU would do in silence.
    """
    if not isinstance(kernel, Kernel):
        kernel = cuda.jit(kernel)
    there = [grid.arrays.from_host(a) if isinstance(a, np.ndarray) else a for a in arguments]
    launch(kernel, blocks, threads, *there)
    given = zip(there, arguments, strict=True)
    return [grid.arrays.to_host(a) for a, argument in given if isinstance(argument, np.ndarray)]


def in_any_order(kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> list[np.ndarray]:
    """What `run` leaves in the last array: with threads forward, in reverse and in random order."""
    results = []
    for name in ("forward", "reverse", "random"):
        with order(name, seed=1):
            results.append(run(kernel, blocks, threads, *arguments)[-1])
    return results


def far_reads(kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> int:
    """How often the threads of this launch read from the arrays they are given: from far memory."""
    return sum(a.kind == "read" for a in _far(kernel, blocks, threads, *arguments))


def at_work(array: str, kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> int:
    """How many threads of this launch read from `array`, one of those they are given, or write there."""
    accesses = _far(kernel, blocks, threads, *arguments)
    return len({(a.block, a.thread) for a in accesses if a.array == array})


def _far(kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> list:
    """What the threads do with the arrays they are given."""
    code = getattr(kernel, "py_func", kernel).__code__
    with traced() as accesses:
        run(kernel, blocks, threads, *arguments)
    return [a for a in accesses if a.array in code.co_varnames[: code.co_argcount]]


def room(*shape: int) -> np.ndarray:
    """An array for a kernel to fill: NaN, so that what nobody writes is seen."""
    return np.full(shape, np.nan, np.float32)
