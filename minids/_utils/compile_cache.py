"""Numba keeps what it compiled beside the source. It notices a change of a function's own file, not of those
whose functions and constants were compiled into it."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def remove_stale(folder: Path, lenders: Iterable[Path]) -> None:
    """Remove from a folder's cache what is older than one of the files that lend to it.

    For those who change the source, whose cache lies beside it; an installation brings new files alone.
    """
    changed = max(lender.stat().st_mtime for lender in lenders)
    for index in folder.glob("__pycache__/*.nbi"):
        with suppress(OSError):  # another process was quicker, or it is not ours to remove
            if index.stat().st_mtime < changed:
                index.unlink()
