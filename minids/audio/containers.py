"""Where the samples of a sound file really are: its header compared with its content.

libsndfile reads as many samples as the header states, so a wrong header hides the rest of a recording. This
module finds the true end of the data in chunked formats (WAV, RF64, AIFF, SVX, CAF, W64), AU, NIST Sphere,
FLAC, Ogg and MP3. `inspect` returns the spans of the file to decode, with corrected headers where needed.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from minids.audio.ffmpeg import media_type
from minids.audio.mpeg import id3_end, inspect_mpeg, mpeg_frame, starts_within_a_frame
from minids.audio.spans import MAX_CANDIDATES, SCAN_BYTES, Contents, Span, concatenated, patched, read_range
from minids.audio.streams import inspect_flac, inspect_ogg

# fmt: off
KNOWN_CHUNKS = frozenset((  # after the data, whatever their sizes
    b"LIST", b"id3 ", b"ID3 ", b"bext", b"cue ", b"smpl", b"iXML", b"fact", b"JUNK",
    b"junk", b"PAD ", b"_PMX", b"cart", b"afsp", b"inst", b"plst", b"labl", b"adtl",
    b"acid", b"strc", b"PEAK", b"MARK", b"ANNO", b"APPL", b"COMT", b"NAME", b"AUTH",
    b"(c) ", b"CHAN", b"info", b"strg", b"mark", b"uuid", b"free", b"axml", b"chna",
))
# fmt: on
MAX_PADDING = 256  # bytes after the data that are not samples, whatever they are
MIN_PLACEHOLDER = 10**9  # bytes; programs that write to a pipe state a huge size: 0x7FFFF000, 2000000000, ...


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


def content_start(file: BinaryIO) -> int:
    """Where the sound file starts: after an ID3 tag, which libsndfile expects before MPEG audio only."""
    if read_range(file, 0, 3) != b"ID3":
        return 0
    start = id3_end(file, 0)
    magic = read_range(file, start, start + 4)
    return start if magic in (b"OggS", b"fLaC", *(layout.magic for layout in LAYOUTS)) else 0


def inspect(file: BinaryIO, size: int) -> Contents:
    """Compare the header of a sound file of `size` bytes with its content. Other formats are left as is."""
    head = read_range(file, 0, 64)
    try:
        if head[:4] == b"OggS":
            return inspect_ogg(file, size)
        if head[:4] == b"fLaC":
            return inspect_flac(file, size)
        if head[:7] == b"NIST_1A":
            return _inspect_sphere(file, size)
        if head[:4] in (b".snd", b"dns."):
            return _inspect_au(head, size)
        if head[:3] == b"ID3" or mpeg_frame(head):
            return inspect_mpeg(file, size)
        for layout in LAYOUTS:
            form = head[layout.form_at : layout.form_at + len(layout.forms[0])]
            if head.startswith(layout.magic) and form in layout.forms:
                return _inspect_chunks(file, size, layout)
        if not media_type(head) and starts_within_a_frame(file, size):
            return inspect_mpeg(file, size)
    except (struct.error, IndexError, OverflowError, ZeroDivisionError):
        pass  # a broken header, which libsndfile reports
    return Contents()


def _chunks(file: BinaryIO, start: int, end: int, layout: Layout) -> Iterator[Chunk]:
    width = struct.calcsize(layout.size_format)
    for _ in range(MAX_CANDIDATES):
        if start + layout.name_bytes + width > end:
            return
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
        if chunk.name[:4] in KNOWN_CHUNKS:
            return True
        if not all(32 <= byte < 127 for byte in chunk.name[:4]) or chunk.size < 0:
            break
        position = chunk.data_at + chunk.size
        if position > end + 1:
            return False
    return end - position < MAX_PADDING or not any(
        read_range(file, position, min(end, position + SCAN_BYTES))
    )


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
        (stated,) = struct.unpack(size_format, read_range(file, size_at, size_at + 8))
    available = size - chunk.data_at
    whole = struct.pack(size_format, available + layout.size_includes)
    corrected = Span(patched(file, chunk.data_at, size_at, whole), chunk.data_at, size)
    if stated > available:
        return Contents.compared([corrected], 0 if stated >= MIN_PLACEHOLDER else stated, available)
    if stated <= 0 < available and not _are_chunks(file, chunk.data_at, size, layout):
        return Contents([corrected])
    end = chunk.data_at + stated
    following = read_range(file, end + stated % layout.align, end + stated % layout.align + 64)
    form = following[layout.form_at :][: len(layout.forms[0])]
    if following.startswith(layout.magic) and form not in layout.forms:
        return Contents([Span(b"", 0, end)])  # libsndfile takes it for another recording
    if following.startswith(layout.magic):
        start = end + stated % layout.align
        return Contents([Span(b"", 0, start), *concatenated(file, start, size)])
    if end < size and not _are_chunks(file, end + -end % layout.align, size, layout):
        return Contents.compared([corrected], stated, available)
    if layout.magic == b"riff" and end < size:  # libsndfile reads the chunks after the data as samples
        return Contents([Span(b"", 0, end)])
    return Contents()


def _inspect_au(head: bytes, size: int) -> Contents:
    order = ">" if head[:4] == b".snd" else "<"
    start, stated = struct.unpack(order + "II", head[4:12])
    available = size - start
    if not 24 <= start <= size or start > len(head):
        return Contents()
    corrected = Span(head[:8] + struct.pack(order + "I", available) + head[12:start], start, size)
    if stated > available and stated >= MIN_PLACEHOLDER:
        stated = 0
    return Contents() if stated == available else Contents.compared([corrected], stated, available)


def _inspect_sphere(file: BinaryIO, size: int) -> Contents:
    """libsndfile reads NIST Sphere to the end of the file; the header tells whether some of it is missing."""
    header = read_range(file, 0, 1024).decode("latin-1")
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
    if stated >= MIN_PLACEHOLDER or 0 <= available - stated <= MAX_PADDING:
        return Contents()
    return Contents.compared([], stated, available)
