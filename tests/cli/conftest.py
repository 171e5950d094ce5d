"""The tiny lessons of tests/lesson."""

from tests.lesson.conftest import reader, run, write

__all__ = ["reader", "run", "write"]
