"""FLAC and Ogg: the number of samples of a stream, and streams that follow each other in a file."""

import struct
from itertools import pairwise
from typing import BinaryIO

from minids.audio.spans import MAX_CANDIDATES, Contents, Span, concatenated, find_bytes, patched, read_range

MAX_PAGES = 2_000_000  # of an Ogg file: some three hundred hours


def inspect_flac(file: BinaryIO, size: int) -> Contents:
    spans = concatenated(file, 0, size)
    if len(spans) > 1:
        return Contents(spans)
    info = read_range(file, 8, 42)  # STREAMINFO
    stated = (info[13] & 0x0F) << 32 | int.from_bytes(info[14:18], "big")
    total = _flac_total(file, size, info)
    if not total or total == stated:
        return Contents()
    total_bytes = bytes([info[13] & 0xF0 | total >> 32 & 0x0F]) + (total & 0xFFFFFFFF).to_bytes(4, "big")
    return Contents.compared([Span(patched(file, 42, 21, total_bytes), 42, size)], stated, total)


def _flac_total(file: BinaryIO, size: int, info: bytes) -> int:
    """The number of samples up to the last frame, from its header; 0 if there is no frame."""
    start = 4  # the first frame follows the metadata blocks
    while True:
        block = read_range(file, start, start + 4)
        if len(block) < 4:
            return 0
        start += 4 + int.from_bytes(block[1:4], "big")
        if block[0] & 0x80:
            break
    first = read_range(file, start, start + 4)
    smallest, largest = struct.unpack(">HH", info[:4])
    for window in (1 << 16, 1 << 20, 1 << 24):
        tail = read_range(file, max(start, size - window), size)
        position = tail.rfind(first[:2])
        for _ in range(MAX_CANDIDATES):
            if position < 0:
                break
            header = tail[position : position + 16]
            samples = _flac_frame_end(header, first, largest if smallest == largest else 0)
            if samples:
                return samples
            position = tail.rfind(first[:2], 0, position + 1)
        if size - window <= start:
            break
    return 0


def _flac_frame_end(header: bytes, first: bytes, fixed_block: int) -> int:
    """The number of samples up to the end of the frame with this header; 0 if it is not a frame header."""
    if len(header) < 6 or (header[2] ^ first[2]) & 0x0F or (header[3] ^ first[3]) & 0x0F:
        return 0
    lead = header[4]
    extra = 0 if lead < 0x80 else 8 - (lead ^ 0xFF).bit_length() - 1
    number = lead if not extra else lead & (0x3F >> extra)
    for byte in header[5 : 5 + extra]:
        number = number << 6 | byte & 0x3F
    end = 5 + extra
    code = header[2] >> 4
    if code in (6, 7):
        block = int.from_bytes(header[end : end + code - 5], "big") + 1
        end += code - 5
    else:
        block = 192 if code == 1 else 576 << (code - 2) if code < 6 else 256 << (code - 8)
    end += {12: 1, 13: 2, 14: 2}.get(header[2] & 0x0F, 0)
    if code == 0 or end >= len(header) or _crc8(header[:end]) != header[end]:
        return 0
    if header[1] & 1:  # variable block size: the number is that of the first sample
        return number + block
    return number * (fixed_block or block) + block


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc


def inspect_ogg(file: BinaryIO, size: int) -> Contents:
    """Chained streams are decoded one by one; a page that is cut off means that the rest is missing."""
    starts, position, in_headers = [0], 0, True
    for _ in range(MAX_PAGES):
        if position + 27 > size:
            break
        header = read_range(file, position, position + 27 + 255)
        if header[:4] != b"OggS":
            following = find_bytes(file, b"OggS", position, size)  # damaged bytes: continue at the next page
            if following < 0:
                break
            position = following
            continue
        begins = bool(header[5] & 2)
        if begins and not in_headers:
            starts.append(position)
        in_headers = begins
        end = position + 27 + header[26] + sum(header[27 : 27 + header[26]])
        if end > size:
            return Contents(missing=(size - position) / size)
        position = end
    if len(starts) == 1:
        return Contents()
    return Contents([Span(b"", a, b) for a, b in pairwise([*starts, size])])
