"""Where the samples of a sound file really are: its header compared with its content.

libsndfile reads as many samples as the header states, so a wrong header hides the rest of a recording. This
module finds the true end of the data in chunked formats (WAV, RF64, AIFF, SVX, CAF, W64), AU, NIST Sphere,
FLAC, Ogg and MP3. `inspect` returns the spans of the file to decode, with corrected headers where needed.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

SCAN_BYTES = 1 << 20  # read at a time in a search
MAX_PADDING = 256  # bytes after the data that are not samples, whatever they are
MAX_SDS_BYTES = 1 << 27  # the format is limited to 2 million samples
MAX_SKIPPED_BYTES = 1 << 20  # of damage between MPEG frames
MIN_PLACEHOLDER = 10**9  # bytes; programs that write to a pipe state a huge size: 0x7FFFF000, 2000000000, ...


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


class Chunk(NamedTuple):
    """A chunk: its name, where its size is stored, where its data start, and the stated size of the data."""

    name: bytes
    size_at: int
    data_at: int
    size: int


class Layout(NamedTuple):
    """A chunked format: magic, form and its position, first chunk, name of the data chunk, sizes."""

    magic: bytes
    forms: tuple[bytes, ...]
    form_at: int
    first: int
    data: bytes
    name_bytes: int
    size_format: str
    align: int
    size_includes: int = 0  # bytes of the chunk's header that its size includes


W64_GUID = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # the end of every chunk name in W64 but the first
LAYOUTS = (
    Layout(b"RIFF", (b"WAVE",), 8, 12, b"data", 4, "<I", 2),
    Layout(b"RIFX", (b"WAVE",), 8, 12, b"data", 4, ">I", 2),
    Layout(b"RF64", (b"WAVE",), 8, 12, b"data", 4, "<I", 2),
    Layout(b"BW64", (b"WAVE",), 8, 12, b"data", 4, "<I", 2),
    Layout(b"FORM", (b"AIFF", b"AIFC"), 8, 12, b"SSND", 4, ">I", 2),
    Layout(b"FORM", (b"8SVX", b"16SV"), 8, 12, b"BODY", 4, ">I", 2),
    Layout(b"caff", (b"\0\1",), 4, 8, b"data", 4, ">Q", 1),
    Layout(b"riff", (b"wave",), 24, 40, b"data" + W64_GUID, 16, "<Q", 8, 24),
)


def inspect(file: BinaryIO, size: int) -> Contents:
    """Compare the header of a sound file of `size` bytes with its content. Other formats are left as is."""
    head = _read(file, 0, 64)
    try:
        if head[:4] == b"OggS":
            return _inspect_ogg(file, size)
        if head[:4] == b"fLaC":
            return _inspect_flac(file, size)
        if head[:2] == b"\xf0\x7e" and head[3] == 1:
            return _inspect_sds(file, size)
        if head[:7] == b"NIST_1A":
            return _inspect_sphere(file, size)
        if head[:4] in (b".snd", b"dns."):
            return _inspect_au(head, size)
        if head[:3] == b"ID3" or _mpeg_frame(head):
            return _inspect_mpeg(file, size)
        for layout in LAYOUTS:
            form = head[layout.form_at : layout.form_at + len(layout.forms[0])]
            if head.startswith(layout.magic) and form in layout.forms:
                return _inspect_chunks(file, size, layout)
    except (struct.error, IndexError, OverflowError, ZeroDivisionError):
        pass  # a broken header, which libsndfile reports
    return Contents()


# --- Chunked formats ---


def _chunks(file: BinaryIO, start: int, end: int, layout: Layout) -> Iterator[Chunk]:
    width = struct.calcsize(layout.size_format)
    while start + layout.name_bytes + width <= end:
        file.seek(start)
        header = file.read(layout.name_bytes + width)
        (size,) = struct.unpack(layout.size_format, header[layout.name_bytes :])
        data_at = start + len(header)
        size -= layout.size_includes
        yield Chunk(header[: layout.name_bytes], start + layout.name_bytes, data_at, size)
        start = data_at + size
        start += -start % layout.align
        if size < 0:
            return


def _are_chunks(file: BinaryIO, start: int, end: int, layout: Layout) -> bool:
    """Whether the bytes are chunks (such as tags) or padding, and not samples."""
    position = start
    for chunk in _chunks(file, start, end, layout):
        if not all(32 <= byte < 127 for byte in chunk.name[:4]) or chunk.size < 0:
            break
        position = chunk.data_at + chunk.size
        if position > end + 1:
            return False
    return end - position < MAX_PADDING or not any(_read(file, position, min(end, position + SCAN_BYTES)))


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _inspect_chunks(file: BinaryIO, size: int, layout: Layout) -> Contents:
    sizes64: Chunk | None = None  # of RF64
    for chunk in _chunks(file, layout.first, size, layout):
        if chunk.name == b"ds64":
            sizes64 = chunk
        if chunk.name == layout.data:
            break
        if chunk.size < 0:
            return Contents()
    else:
        return Contents()
    stated, size_at, size_format = chunk.size, chunk.size_at, layout.size_format
    if sizes64 and stated == 0xFFFFFFFF:
        size_at, size_format = sizes64.data_at + 8, "<Q"
        (stated,) = struct.unpack(size_format, _read(file, size_at, size_at + 8))
    available = size - chunk.data_at
    whole = struct.pack(size_format, available + layout.size_includes)
    corrected = Span(_patched(file, chunk.data_at, size_at, whole), chunk.data_at, size)
    if stated >= MIN_PLACEHOLDER and stated > available:
        return Contents([corrected])
    if stated == 0 and available > 0 and not _are_chunks(file, chunk.data_at, size, layout):
        return Contents([corrected])
    if stated > available:
        return Contents([corrected], missing=(stated - available) / stated)
    end = chunk.data_at + stated
    following = _read(file, end + stated % layout.align, end + stated % layout.align + 12)
    if following.startswith(layout.magic) and len(following) == 12:
        start = end + stated % layout.align
        return Contents([Span(b"", 0, start), *_concatenated(file, start, size)])
    if end < size and not _are_chunks(file, end + -end % layout.align, size, layout):
        return Contents([corrected], stated=stated / available)
    return Contents()


def _concatenated(file: BinaryIO, start: int, end: int) -> list[Span]:
    """The recordings that follow each other from `start` on; each is decoded with its own header."""
    magic = _read(file, start, start + 4)
    starts = [start]
    position = start + 4
    while (position := _find(file, magic, position, end)) >= 0:
        same = slice(4, 8) if magic == b"fLaC" else slice(8, 12)  # the type of the first block, or the form
        if _read(file, position, position + 12)[same] == _read(file, start, start + 12)[same]:
            starts.append(position)
        position += 4
    return [Span(b"", a, b) for a, b in zip(starts, [*starts[1:], end], strict=True)]


def _find(file: BinaryIO, pattern: bytes, start: int, end: int, block: int = SCAN_BYTES) -> int:
    """Position of the pattern between start and end, or -1."""
    while start < end:
        offset = _read(file, start, min(end, start + block + len(pattern) - 1)).find(pattern)
        if offset >= 0:
            return start + offset
        start += block
    return -1


def _patched(file: BinaryIO, end: int, at: int, value: bytes) -> bytes:
    """The first `end` bytes of the file with `value` written at position `at`."""
    head = bytearray(_read(file, 0, end))
    head[at : at + len(value)] = value
    return bytes(head)


def _inspect_au(head: bytes, size: int) -> Contents:
    order = ">" if head[:4] == b".snd" else "<"
    start, stated = struct.unpack(order + "II", head[4:12])
    available = size - start
    if not 24 <= start <= size or start > len(head):
        return Contents()
    corrected = Span(head[:8] + struct.pack(order + "I", available) + head[12:start], start, size)
    if stated >= MIN_PLACEHOLDER and stated > available:
        return Contents()
    if stated > available:
        return Contents(missing=(stated - available) / stated)
    if stated < available:
        return Contents([corrected], stated=stated / available if stated else 1.0)
    return Contents()


def _inspect_sphere(file: BinaryIO, size: int) -> Contents:
    """libsndfile reads NIST Sphere to the end of the file; the header tells whether some of it is missing."""
    header = _read(file, 0, 1024).decode("latin-1")
    lines = [line.split(maxsplit=2) for line in header.splitlines()]
    fields = {words[0]: words[2] for words in lines if len(words) == 3}
    try:
        count, width, channels = (
            int(fields.get(name, default))
            for name, default in (("sample_count", "0"), ("sample_n_bytes", "2"), ("channel_count", "1"))
        )
        start = int(header.split()[1])
    except (ValueError, IndexError):
        return Contents()
    stated, available = count * width * channels, size - start
    if available < stated < MIN_PLACEHOLDER:
        return Contents(missing=(stated - available) / stated)
    return Contents(stated=stated / available if 0 < stated < available - MAX_PADDING else 1.0)


def _inspect_sds(file: BinaryIO, size: int) -> Contents:
    """libsndfile prints errors of a MIDI sample dump to stdout, so they are found before it reads it."""
    data = _read(file, 21, min(size, 21 + MAX_SDS_BYTES))
    if data[::127].strip(b"\xf0") or data[1::127].strip(b"\x7e"):
        return Contents(damage="a block of the MIDI sample dump has no start")
    return Contents()


# --- FLAC ---


def _inspect_flac(file: BinaryIO, size: int) -> Contents:
    spans = _concatenated(file, 0, size)
    if len(spans) > 1:
        return Contents(spans)
    info = _read(file, 8, 42)  # STREAMINFO
    stated = (info[13] & 0x0F) << 32 | int.from_bytes(info[14:18], "big")
    total = _flac_total(file, size, info)
    if not total or total == stated:
        return Contents()
    patched = bytes([info[13] & 0xF0 | total >> 32 & 0x0F]) + (total & 0xFFFFFFFF).to_bytes(4, "big")
    spans = [Span(_patched(file, 42, 21, patched), 42, size)]
    if total < stated:
        return Contents(spans, missing=(stated - total) / stated)
    return Contents(spans, stated=stated / total if stated else 1.0)


def _flac_total(file: BinaryIO, size: int, info: bytes) -> int:
    """The number of samples up to the last frame, from its header; 0 if there is no frame."""
    start = 4  # the first frame follows the metadata blocks
    while True:
        block = _read(file, start, start + 4)
        if len(block) < 4:
            return 0
        start += 4 + int.from_bytes(block[1:4], "big")
        if block[0] & 0x80:
            break
    first = _read(file, start, start + 4)
    smallest, largest = struct.unpack(">HH", info[:4])
    for window in (1 << 16, 1 << 20, 1 << 24):
        tail = _read(file, max(start, size - window), size)
        position = tail.rfind(first[:2])
        while position >= 0:
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


# --- Ogg ---


def _inspect_ogg(file: BinaryIO, size: int) -> Contents:
    """Chained streams are decoded one by one; a page that is cut off means that the rest is missing."""
    starts, position, in_headers = [0], 0, True
    while position + 27 <= size:
        header = _read(file, position, position + 27 + 255)
        if header[:4] != b"OggS":
            following = _find(file, b"OggS", position, size)  # damaged bytes: continue at the next page
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
    spans = [Span(b"", a, b) for a, b in zip(starts, [*starts[1:], size], strict=True)]
    return Contents(spans)


# --- MPEG audio ---

# kbit/s by [MPEG 1, MPEG 2] and layer (I, II, III)
MPEG_BITRATES = (
    (
        (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
        (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
        (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    ),
    (
        (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
        (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
        (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    ),
)
MPEG_RATES = (44_100, 48_000, 32_000)


class MpegFrame(NamedTuple):
    """A frame of MPEG audio: its length in bytes, its samples, and the position of a Xing tag in it."""

    length: int
    samples: int
    tag_at: int


def _mpeg_frame(header: bytes) -> MpegFrame | None:
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)  # version 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    bitrate, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    low = version != 3
    hz = MPEG_RATES[rate] >> (0 if version == 3 else 1 if version == 2 else 2)
    bits = 1000 * MPEG_BITRATES[low][layer - 1][bitrate - 1]
    padding = header[2] >> 1 & 1
    if layer == 1:
        return MpegFrame((12 * bits // hz + padding) * 4, 384, 0)
    samples = 576 if low and layer == 3 else 1152
    mono = header[3] >> 6 == 3
    side = (9 if mono else 17) if low else (17 if mono else 32)
    return MpegFrame(samples // 8 * bits // hz + padding, samples, 4 + side)


def _inspect_mpeg(file: BinaryIO, size: int) -> Contents:
    """Count the frames, and put a Xing tag with their number in front where there is none or a wrong one."""
    position = frames = skipped = 0
    stated: int | None = None  # by the tag of the first frame
    first, start = b"", 0  # the header and the position of the first frame with samples
    while position + 4 <= size and skipped < MAX_SKIPPED_BYTES:
        file.seek(position)
        header = file.read(4)
        frame = _mpeg_frame(header)
        if frame and first and ((header[1] ^ first[1]) & 0xFE or (header[2] ^ first[2]) & 0x0C):
            frame = None  # samples that look like a header
        if (
            frame
            and not first
            and not _mpeg_frame(_read(file, *(position + frame.length + i for i in (0, 4))))
        ):
            frame = None if position + frame.length < size else frame
        if frame is None:
            if header[:3] == b"ID3":
                lengths = _read(file, position + 6, position + 10)
                position += 10 + sum((byte & 0x7F) << 7 * (3 - i) for i, byte in enumerate(lengths))
            elif header[:3] in (b"TAG", b"APE"):
                break
            else:
                following = _find(file, b"\xff", position + 1, size, block=4096)
                skipped += following - position
                if following < 0:
                    break
                position = following
            continue
        if not first and stated is None:
            stated = _mpeg_tag(_read(file, position, position + 64), frame)
            if stated is not None:
                position += frame.length
                continue
        if not first:
            first, start = header, position
        position += frame.length
        frames += position <= size
    if not frames or not _is_layer_3(first):  # of the other layers, the number of frames cannot be stated
        return Contents()
    if stated:
        if stated > frames + 1:
            return Contents(missing=(stated - frames) / stated)
        if stated >= frames - 1:
            return Contents()
    return Contents(
        [Span(_xing_frame(first, frames), start, size)], stated=stated / frames if stated else 1.0
    )


def _is_layer_3(header: bytes) -> bool:
    return header[1] >> 1 & 3 == 1


def _mpeg_tag(frame_bytes: bytes, frame: MpegFrame) -> int | None:
    """The number of frames in a Xing, Info or VBRI tag (0 if the tag has none); None if there is no tag."""
    tag = frame_bytes[frame.tag_at :]
    if tag[:4] in (b"Xing", b"Info"):
        return int.from_bytes(tag[8:12], "big") if tag[7] & 1 else 0
    if frame_bytes[36:40] == b"VBRI":
        return int.from_bytes(frame_bytes[50:54], "big")
    return None


def _xing_frame(header: bytes, frames: int) -> bytes:
    """A frame without sound before the first frame that states the number of frames."""
    header = bytes([0xFF, header[1] | 1, 0x90 | header[2] & 0x0C, header[3]])  # no CRC, 128 or 80 kbit/s
    frame = _mpeg_frame(header)
    assert frame is not None
    tag = b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return (header.ljust(frame.tag_at, b"\0") + tag).ljust(frame.length, b"\0")
