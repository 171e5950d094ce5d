"""Spans of a sound file that are decoded one after the other, and helpers to find them."""

from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

SCAN_BYTES = 1 << 20  # read at a time in a search


class Span(NamedTuple):
    """A complete sound file: `prefix`, then the bytes from `start` to `end` of the original file."""

    prefix: bytes
    start: int
    end: int


@dataclass
class Contents:
    """`spans` to decode one after the other (empty: the file as it is).

    `missing` is the fraction of the data that the header states and the file lacks; `stated` is the fraction
    of the data in the file that the header states. `damage` is why libsndfile must not read it.
    """

    spans: list[Span] = field(default_factory=list)
    missing: float = 0.0
    stated: float = 1.0
    damage: str = ""


def read_range(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def find_bytes(file: BinaryIO, pattern: bytes, start: int, end: int, block: int = SCAN_BYTES) -> int:
    """Position of the pattern between start and end, or -1."""
    while start < end:
        offset = read_range(file, start, min(end, start + block + len(pattern) - 1)).find(pattern)
        if offset >= 0:
            return start + offset
        start += block
    return -1


def patched(file: BinaryIO, end: int, at: int, value: bytes) -> bytes:
    """The first `end` bytes of the file with `value` written at position `at`."""
    head = bytearray(read_range(file, 0, end))
    head[at : at + len(value)] = value
    return bytes(head)


def concatenated(file: BinaryIO, start: int, end: int) -> list[Span]:
    """The recordings that follow each other from `start` on; each is decoded with its own header."""
    magic = read_range(file, start, start + 4)
    starts = [start]
    position = start + 4
    while (position := find_bytes(file, magic, position, end)) >= 0:
        same = slice(4, 8) if magic == b"fLaC" else slice(8, 12)  # the type of the first block, or the form
        if read_range(file, position, position + 12)[same] == read_range(file, start, start + 12)[same]:
            starts.append(position)
        position += 4
    return [Span(b"", a, b) for a, b in zip(starts, [*starts[1:], end], strict=True)]
