"""A list of all kernels, for the compile report and the tests of barriers.

Each file of kernels ends with `KERNELS`, {name: Registered(...)}.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

MODULES = "affine", "axpby", "birnn", "context", "ctc", "ladder", "log_softmax", "matmul", "nesterov", "norm"


class Registered(NamedTuple):
    """A kernel, the Numba types of its arguments, the most registers that a thread may need, and the oldest
    and newest architectures that use it: 70 is Volta, 75 Turing, 80 Ampere, 89 Ada, 90 Hopper, 120 Blackwell.
    """

    kernel: Any
    arguments: tuple
    max_registers: int
    min_architecture: int = 70
    max_architecture: int = 120


def registered() -> Iterator[tuple[str, Registered]]:
    """All kernels: ("norm.squares", Registered(...))."""
    for module in MODULES:
        kernels = import_module(f"minids.ops.cuda.{module}").KERNELS
        yield from ((f"{module}.{name}", entry) for name, entry in kernels.items())
