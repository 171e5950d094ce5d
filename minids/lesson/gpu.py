"""A GPU for the lessons: always the simulator, so that they run alike on every machine.

    _, y = run(clip, 2, 4, z, empty(6))             # 2 blocks of 4 threads each
    with trace() as accesses: ...                   # which thread read and wrote what
    cost(clip, 2, 4, z, empty(6))                   # what that would cost on a GPU

Importing this module selects the simulator for the whole process (MINIDS_SIM=1). A kernel that is correct
here runs unchanged on a GPU. Without greenlet, on which the simulator runs, the import ends the program with
one line that says so.
"""

import inspect
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minids import ops
from minids._utils.errors import InputError
from minids.ops import driver

if "minids.ops.cuda.device" in sys.modules and not driver.simulated():
    raise InputError("this Python process already uses a GPU; restart it to use the simulator")
os.environ["MINIDS_SIM"] = "1"
try:
    backend = ops.load("cuda")
except InputError as error:
    raise SystemExit(f"The GPU lessons cannot run here: {error}") from None

from numba import float32, int32  # noqa: F401  # for the kernels of the lessons

from minids import cuda_simulator
from minids.cuda_simulator import (
    Cost,
    Kernel,
    KernelError,
    barriers,
    cuda,
    launches,  # noqa: F401  # for the lessons
    remove_barrier,
    thread_order,
    trace,
)
from minids.ops.cuda.launch import launch

ORDERS = {"forward": "threads in order", "reverse": "threads in reverse", "random": "threads at random"}


class Unwritten(KernelError):
    """A kernel did not write an element that it should write, or wrote one that it should not."""


class Undefined(KernelError):
    """A kernel computed NaN: local arrays and new arrays in memory contain it until they are written."""


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


def report(kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> None:
    """Run a kernel and print its last argument, or what the simulator has found."""
    try:
        result: Any = run(kernel, blocks, threads, *arguments)[-1]
    except KernelError as error:
        notes = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
        result = f"{type(error).__name__}: {error}{notes}"
    print(f"{kernel.__name__}: {result}")


def cost(kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> Cost:
    """far_reads, loads and wavefronts of a launch, see `minids.cuda_simulator.cost`."""
    with trace() as accesses:
        run(kernel, blocks, threads, *arguments)
    return cuda_simulator.cost(accesses)


def without_each_barrier(kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> list[str]:
    """What the simulator finds when one barrier of a kernel is removed, for each barrier in turn."""
    with barriers() as sites:
        run(kernel, blocks, threads, *arguments)
    found = []
    for site in sorted(sites):
        try:
            with remove_barrier(site):
                run(kernel, blocks, threads, *arguments)
            found.append("no error")
        except KernelError as error:
            found.append(f"{type(error).__name__}, {error}")
    return found


def source(kernel: Callable) -> str:
    """The source code of a kernel."""
    return inspect.getsource(getattr(kernel, "py_func", kernel))


def empty(*shape: int) -> np.ndarray:
    """An array for a kernel to fill. It contains NaN, which shows the elements that no thread wrote."""
    return np.full(shape, np.nan, np.float32)


def whose(function: Callable) -> str:
    """ "your", or "our" for an answer of ours."""
    return "our" if function.__module__.startswith("minids_answers") else "your"


# For the checks of exercises: what they yield


def in_every_order(
    expected: np.ndarray, kernel: Callable, blocks: Any, threads: Any, *arguments: Any
) -> tuple[list, dict]:
    """got, expected: the last argument after the kernel has run with threads in order, in reverse, at random.

    Raises Unwritten if the kernel does not write exactly the elements that are not NaN in `expected`, and
    Undefined if it writes NaN.
    """
    results = []
    if len(_parameters(kernel)) != len(arguments):
        raise TypeError(f"{kernel.__name__} must take {len(arguments)} arguments, as in the lesson")
    name = _parameters(kernel)[-1]
    for order in ORDERS:
        with thread_order(order, seed=1):
            *_, result = run(kernel, blocks, threads, *arguments)
        for index in np.argwhere(np.isnan(result) & ~np.isnan(expected)).tolist():
            accesses, _ = _far_accesses(kernel, blocks, threads, *arguments)
            if not any((a.array, a.kind, [*a.element]) == (name, "write", index) for a in accesses):
                raise Unwritten(f"{name}{index} is not written by any thread")
            raise Undefined(f"{name}{index} is NaN: it was computed from an array that was never filled")
        for index in np.argwhere(~np.isnan(result) & np.isnan(expected)).tolist():
            raise Unwritten(f"{name}{index} must not be written")
        results.append(result)
    return results, dict.fromkeys(ORDERS.values(), expected)


def few_far_reads(enough: int, advice: str, *launched: Any) -> tuple[str, int, int, str]:
    """A check that a launch reads at most `enough` numbers from global memory."""
    accesses, names = _far_accesses(*launched)
    reads = Counter((a.array, a.element) for a in accesses if a.kind == "read")
    (array, element), times = max(reads.items(), key=lambda item: item[1], default=(("", ()), 0))
    words = (
        f"{reads.total()}, where {enough} are enough, and {array}{[*element]} alone is read {times} times;"
        f" {advice}"
    )
    inputs = " and ".join(names[:-1])
    return f"far reads (reads of {inputs}, in global memory)", max(reads.total(), enough), enough, words


def many_threads(argument: int, enough: int, *launched: Any) -> tuple[str, int, int, str]:
    """A check that at least `enough` threads of a launch access an argument, given by its position."""
    accesses, names = _far_accesses(*launched)
    busy = len({(a.block, a.thread) for a in accesses if a.array == names[argument]})
    words = f"{busy} access {names[argument]}, where {enough} could; share the work among the threads"
    return "threads at work", min(busy, enough), enough, words


def _far_accesses(kernel: Callable, blocks: Any, threads: Any, *arguments: Any) -> tuple[list, Sequence[str]]:
    """All accesses of global memory, and the names of the arguments."""
    with trace() as accesses:
        run(kernel, blocks, threads, *arguments)
    return [a for a in accesses if not a.shared], _parameters(kernel)


def _parameters(kernel: Callable) -> Sequence[str]:
    code = getattr(getattr(kernel, "py_func", kernel), "__code__", None)
    if code is None:
        raise TypeError(f"expected a function, got {kernel!r}")
    return code.co_varnames[: code.co_argcount]
