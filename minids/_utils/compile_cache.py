"""Numba functions with a cache on disk that notices changes of everything they are compiled from."""

import hashlib
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError

_PACKAGE = Path(__file__).parents[1]


def cached_njit(*sources: str) -> Callable[..., Any]:
    """numba.njit with a cache on disk that belongs to the text of `sources`, files or folders of minids.

        njit = cached_njit("ops/cpu", "text.py")

        @njit(parallel=True)
        def kernel(x): ...

    Numba itself notices changes of a function's own file only, not those of the functions and constants that
    were compiled into it. Where no folder can be written (a read-only installation without a home folder),
    functions are compiled in every process. The cache holds pickles, which run when they are loaded:
    NUMBA_CACHE_DIR must not name a folder that others can write to.

    Raises InputError where NUMBA_DISABLE_JIT is set: Python's integers do not wrap around as hashes must.
    """

    def njit(**options: Any) -> Callable[[Callable], Any]:
        import numba

        if numba.config.DISABLE_JIT:
            raise InputError("NUMBA_DISABLE_JIT is set, but minids needs compiled code; unset it")

        def compiler(function: Callable) -> Any:
            dispatcher = numba.njit(**options)(function)
            try:
                dispatcher.enable_caching()
            except RuntimeError:  # "no locator available": nowhere to write
                warn_without_cache()
            else:
                file = dispatcher._cache._cache_file
                file._source_stamp = (file._source_stamp, source_digest(sources))
                # A file that is damaged, or names classes that have moved since, is compiled again.
                file._load_index = _default_on_error(file._load_index, {})
                file._load_data = _default_on_error(file._load_data, None)
            return dispatcher

        return compiler

    return njit


@cache
def warn_without_cache() -> None:
    warnings.warn(
        "compiled code cannot be stored, so every process compiles for up to a minute;"
        " set NUMBA_CACHE_DIR to a folder that only you can write to",
        stacklevel=2,
    )


def _default_on_error(load: Callable[..., Any], default: Any) -> Callable[..., Any]:
    def run(*args: Any) -> Any:
        try:
            return load(*args)
        except Exception:
            return default

    return run


@cache
def source_digest(sources: tuple[str, ...]) -> str:
    """A hash of the text of all sources."""
    digest = hashlib.sha256()
    for source in sources:
        path = _PACKAGE / source
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            with suppress(OSError):  # installed without sources: nobody edits them
                digest.update(file.read_bytes())
    return digest.hexdigest()
