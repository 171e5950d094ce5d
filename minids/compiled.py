"""Numba keeps what it compiled beside the source. It notices a change of a function's own file, not of those
whose functions and constants were compiled into it."""

from collections.abc import Iterable
from pathlib import Path


def forget_stale(folder: Path, lenders: Iterable[Path]) -> None:
    """Remove from a folder's cache what is older than one of the files that lend to it."""
    changed = max(lender.stat().st_mtime for lender in lenders)
    for index in folder.glob("__pycache__/*.nbi"):
        if index.stat().st_mtime < changed:
            index.unlink(missing_ok=True)
