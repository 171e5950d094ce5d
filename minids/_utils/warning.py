"""Warnings that show the line of the program that called minids."""

import sys
import warnings


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """`warnings.warn` at the first line outside minids, however many calls within minids lie between."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("minids."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, level)
