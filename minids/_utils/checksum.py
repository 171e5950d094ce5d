"""One checksum for all files: CRC-32 detects damage by a disk or a copy, and changes by accident."""

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minids._utils.files import open_file
from minids._utils.strict_json import to_json


def array_checksum(header: object, arrays: Mapping[str, np.ndarray]) -> int:
    """CRC-32 of a JSON header and of named arrays with their types and shapes, in the order of the names."""
    crc = zlib.crc32(to_json(header, sort_keys=True).encode())
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        crc = zlib.crc32(f"{name} {value.dtype.str} {value.shape}".encode(), crc)
        crc = zlib.crc32(value.reshape(-1).view(np.uint8).data, crc)
    return crc


def file_checksum(path: str | Path) -> int:
    """CRC-32 of the content of a file of any size. Raises OSError when it cannot be read."""
    crc = 0
    with open_file(path) as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc
