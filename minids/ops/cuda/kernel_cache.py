"""Compiled kernels, kept on disk for the next start: to compile one takes a second or two.

Numba does that (`cache=True`). But it knows a kernel that was made in a function by the bytes of all that
this function gave it, and the bytes of a device function are new ones in every process: it would never find
such a kernel again. Here device functions are known by their names, and by what they were given themselves;
and all source that goes into kernels by its bytes: the time of a file says little where an installer sets it.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numba_cuda
from numba.core import event
from numba.cuda import dispatcher


class Kept(dispatcher.CUDACache):
    """The cache of one kernel: for each key, its machine code."""

    source = ""

    def _index_key(self, sig, codegen) -> tuple:
        # A user's kernel may have been given what has no name: Numba's way is for any value.
        if not self._py_func.__module__.startswith(f"{__package__}."):
            return super()._index_key(sig, codegen)
        return sig, codegen.magic_tuple(), numba_cuda.__version__, self.source, identity(self._py_func)

    def load_overload(self, sig, target_context):
        """As Numba's; when it finds nothing, whoever waits for Numba to compile is told that it will."""
        found = super().load_overload(sig, target_context)
        if found is None:
            with event.trigger_event("numba:compile"):
                pass
        return found


def identity(function) -> tuple[Any, ...]:
    """A function's name, and all that the function around it gave it."""
    given = [cell.cell_contents for cell in function.__closure__ or ()]
    parts = (identity(value.py_func) if hasattr(value, "py_func") else repr(value) for value in given)
    return function.__qualname__, *parts


def install(source: Iterable[Path]) -> None:
    """Let `@cuda.jit(cache=True)` keep kernels so, from now on: those that are made of these files."""
    Kept.source = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(source))).hexdigest()
    dispatcher.CUDACache = Kept
