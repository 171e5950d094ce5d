"""Every kernel, as it is compiled for use: what the compiler's budget and the tests of barriers go through.

A file of kernels ends in `KERNELS`, {name: Registered(...)}.
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NamedTuple

from minids.ops import cuda as operations


class Registered(NamedTuple):
    """A kernel, the Numba types of its arguments, the most registers a thread of it may need, and the least
    GPU that it is made for: 75 is Turing, 80 Ampere, 90 Hopper."""

    kernel: Any
    arguments: tuple
    registers: int
    least: int = 75


def registered() -> Iterator[tuple[str, Registered]]:
    """All kernels: ("norm.squares", Registered(...))."""
    for module in iter_modules(operations.__path__):
        if module.name not in ("simulator", "offline", "kept"):
            kernels = getattr(import_module(f"{operations.__name__}.{module.name}"), "KERNELS", {})
            yield from ((f"{module.name}.{name}", entry) for name, entry in kernels.items())
