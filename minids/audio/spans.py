"""Spans of a sound file that are decoded one after the other, and helpers to find them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import BinaryIO, NamedTuple

SCAN_BYTES = 1 << 20  # read at a time in a search
MAX_SPANS = 1000  # recordings in one file
MAX_CANDIDATES = 100_000  # places in a file that are looked at, of each kind
MAX_HEADER_BYTES = 1 << 24  # in front of the samples


class Span(NamedTuple):
    """A complete sound file: `prefix`, then the bytes from `start` to `end` of the original file."""

    prefix: bytes
    start: int
    end: int


@dataclass
class Contents:
    """`spans` to decode one after the other (empty: the file as it is).

    `missing` is the fraction of the data that the header states and the file lacks; `stated` is the fraction
    of the data in the file that the header states.
    """

    spans: list[Span] = field(default_factory=list)
    missing: float = 0.0
    stated: float = 1.0

    @classmethod
    def compared(cls, spans: list[Span], stated: int, available: int) -> "Contents":
        """Of a file with other than the stated bytes or samples; 0 states nothing."""
        if stated > available:
            return cls(spans, missing=(stated - available) / stated)
        return cls(spans, stated=stated / available if 0 < stated < available else 1.0)


def read_range(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def find_bytes(file: BinaryIO, pattern: bytes, start: int, end: int, block: int = SCAN_BYTES) -> int:
    """Position of the pattern between start and end, or -1."""
    return next(find_all(file, pattern, start, end, block), -1)


def find_all(file: BinaryIO, pattern: bytes, start: int, end: int, block: int = SCAN_BYTES) -> Iterator[int]:
    """All positions of the pattern between start and end."""
    while start < end:
        content = read_range(file, start, min(end, start + block + len(pattern) - 1))
        offset = -1
        while (offset := content.find(pattern, offset + 1)) >= 0:
            yield start + offset
        start += block


def patched(file: BinaryIO, end: int, at: int, value: bytes) -> bytes:
    """The first `end` bytes of the file with `value` written at position `at`. OverflowError if too many."""
    if end > MAX_HEADER_BYTES:
        raise OverflowError
    head = bytearray(read_range(file, 0, end))
    head[at : at + len(value)] = value
    return bytes(head)


def concatenated(file: BinaryIO, start: int, end: int) -> list[Span]:
    """The recordings that follow each other from `start` on; each is decoded with its own header."""
    magic = read_range(file, start, start + 4)
    starts = [start]
    same = slice(4, 8) if magic == b"fLaC" else slice(8, 12)  # the type of the first block, or the form
    expected = read_range(file, start, start + 12)[same]
    for position in islice(find_all(file, magic, start + 4, end), MAX_CANDIDATES):
        if read_range(file, position, position + 12)[same] == expected:
            starts.append(position)
    return [Span(b"", a, b) for a, b in pairwise([*starts, end])]
