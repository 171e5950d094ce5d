"""How launches run, and what is recorded about them: context managers for tests and lessons."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Access(NamedTuple):
    """One access of an array by a thread. `epoch` counts the barriers that the block has passed."""

    block: tuple[int, ...]
    thread: tuple[int, ...]
    array: str
    element: tuple[int, ...]
    kind: str  # "read" or "write"
    epoch: int
    number: int = 0  # of the thread in its block; threads 0 … 31 are a warp, and so on
    shared: bool = False  # whether the array is in shared memory
    word: int = 0  # the position in the array, in words of four bytes
    part: int = 0  # 1, 2, 3: accessed by the same instruction as the number before it, see vector_io


class Site(NamedTuple):
    """The source line of a barrier or shuffle."""

    file: str
    line: int


class Options:
    """The options of the next launches, set by the context managers below."""

    thread_order: str = "forward"
    seed: int = 0
    removed_barrier: Site | None = None
    trace: list[Access] | None = None
    barriers: set[Site] | None = None
    launches: set[tuple] | None = None


@contextmanager
def _option(name: str, value: Any) -> Iterator[Any]:
    before = getattr(Options, name)
    setattr(Options, name, value)
    try:
        yield value
    finally:
        setattr(Options, name, before)


@contextmanager
def thread_order(name: str, seed: int = 0) -> Iterator[None]:
    """Run threads and blocks "forward", in "reverse", or in "random" order, drawn again at every barrier."""
    with _option("thread_order", name), _option("seed", seed):
        yield


def remove_barrier(site: Site):
    """Remove one barrier from its kernel."""
    return _option("removed_barrier", site)


def trace():
    """`with trace() as accesses:` a list of all accesses of shared and global memory, in order."""
    return _option("trace", [])


def barriers():
    """`with barriers() as sites:` the set of all barriers of warps, blocks and grids that threads pass."""
    return _option("barriers", set())


def launches():
    """`with launches() as kernels:` the set of all kernels that are launched, as (name, Numba types)."""
    return _option("launches", set())
