"""Compiled kernels are kept on disk, because compiling one takes a second or two.

Numba does this with `cache=True`, but it recognizes a kernel made by a factory function by the pickled
contents of its closure. A device function is pickled differently in every process, so Numba would never find
such a kernel again. Here device functions are recognized by their names and their own closures, and all
source code that goes into kernels by its bytes; file times mean little after an installation.
"""

from contextlib import suppress
from typing import Any

import numba_cuda
from numba.core import event
from numba.cuda import dispatcher

from minids._utils.compile_cache import source_digest, warn_without_cache

SOURCES = "ops/cuda", "ops/common.py", "text.py"  # of all kernels


class KernelCache(dispatcher.CUDACache):
    """The machine code of one kernel, for each set of argument types."""

    def _index_key(self, sig, codegen) -> tuple:
        return (
            sig,
            codegen.magic_tuple(),
            numba_cuda.__version__,
            source_digest(SOURCES),
            identity(self._py_func),
        )

    def load_overload(self, sig, target_context):
        """As in Numba, but a damaged file counts as not found. Triggers the event that Numba will compile."""
        try:
            overload = super().load_overload(sig, target_context)
        except Exception:  # unpickling can raise anything
            overload = None
        if overload is None:
            with event.trigger_event("numba:compile"):
                pass
        return overload

    def save_overload(self, sig, data) -> None:
        with suppress(OSError):  # a full disk, or a folder that is not writable any more
            super().save_overload(sig, data)


def enable_caching(kernel) -> None:
    """Keep the machine code of a kernel of this package. Warns once if there is no folder for it."""
    if not hasattr(kernel, "caching_enabled"):
        kernel.caching_enabled = True
        if kernel.py_func.__module__.startswith(f"{__package__}."):
            try:
                kernel._cache = KernelCache(kernel.py_func)
            except RuntimeError:  # Numba's "no locator available"
                warn_without_cache()


def identity(function) -> tuple[Any, ...]:
    """The name of a function, and the contents of its closure."""
    values = [cell.cell_contents for cell in function.__closure__ or ()]
    parts = (identity(value.py_func) if hasattr(value, "py_func") else repr(value) for value in values)
    return function.__qualname__, *parts
