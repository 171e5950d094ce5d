"""MPEG audio (MP3): counts the frames, because libsndfile estimates their number or believes a tag."""

from typing import BinaryIO, NamedTuple

from minids.audio.spans import MAX_SPANS, Contents, Span, find_all, find_bytes, read_range

MAX_PARTIAL_BYTES = 1 << 16  # of zeros or a part of a frame before the first frame
MAX_SKIPPED_BYTES = 1 << 20  # of damage between MPEG frames

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


def mpeg_frame(header: bytes) -> MpegFrame | None:
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


def _same_stream(header: bytes, first: bytes) -> bool:
    """Whether a frame has the version, layer and rate of the first frame."""
    return not ((header[1] ^ first[1]) & 0xFE or (header[2] ^ first[2]) & 0x0C)


def _is_stream(file: BinaryIO, position: int, size: int) -> bool:
    """Whether four frames of a kind follow each other from here on."""
    first = read_range(file, position, position + 4)
    for _ in range(4):
        header = read_range(file, position, position + 4)
        frame = mpeg_frame(header)
        if not frame or not _same_stream(header, first):
            return False
        position += frame.length
    return position <= size


class Stream(NamedTuple):
    """Frames of one kind: where they start and end, a header, their number, and the number in a tag."""

    tag: int  # where the tag starts, or the first frame if there is none
    start: int
    end: int
    header: bytes
    frames: int
    stated: int | None

    @property
    def span(self) -> Span:
        """The stream, with a tag of its true length in front."""
        return Span(_xing_frame(self.header, self.frames), self.start, self.end)


def inspect_mpeg(file: BinaryIO, size: int) -> Contents:
    """Count the frames, and put a Xing tag with their number in front where there is none or a wrong one."""
    streams: list[Stream] = []
    position = 0
    while position < size and len(streams) <= MAX_SPANS:
        stream = _scan(file, position, size)
        if not stream.frames:
            break
        streams.append(stream)
        position = stream.end
    if not streams:
        return Contents()
    # By its path, libsndfile takes x.mp3 for a Macintosh file if macOS has left ._x.mp3 in the folder.
    whole = Contents([Span(b"", streams[0].tag, size)])
    if not all(_is_layer_3(stream.header) for stream in streams):
        return whole  # of the other layers, the number of frames cannot be stated
    if len(streams) > 1:
        return Contents([stream.span for stream in streams])
    if stream.stated and abs(stream.stated - stream.frames) <= 1:
        return whole
    return Contents.compared([stream.span], stream.stated or 0, stream.frames)


def _scan(file: BinaryIO, position: int, size: int) -> Stream:
    """The stream from `position` on, up to frames of another kind or the end of the file."""
    frames = skipped = 0
    stated: int | None = None  # by the tag of the first frame
    first, start = b"", 0  # the header and the position of the first frame with samples
    tag = -1
    while position + 4 <= size and skipped < MAX_SKIPPED_BYTES:
        header = read_range(file, position, position + 4)
        frame = mpeg_frame(header)
        if frame and first and not _same_stream(header, first):
            if _is_stream(file, position, size):
                return Stream(tag, start, position, first, frames, stated)
            frame = None  # samples that look like a header
        if frame and not first:
            end = position + frame.length
            if end < size and not mpeg_frame(read_range(file, end, end + 4)):
                frame = None
        if frame is None:
            if header[:3] == b"ID3":
                position = id3_end(file, position)
                skipped += 10
            elif header[:3] in (b"TAG", b"APE"):
                break
            else:
                following = find_bytes(file, b"\xff", position + 1, size, block=4096)
                if following < 0:
                    break
                skipped += max(10, following - position)  # a limit of the work, too
                position = following
            continue
        if not first and stated is None:
            stated = _mpeg_tag(read_range(file, position, position + 64), frame)
            if stated is not None:
                tag = position
                position += frame.length
                continue
        if not first:
            first, start = header, position
            tag = start if stated is None else tag
        position += frame.length
        frames += position <= size
    return Stream(tag, start, size, first, frames, stated)


def starts_within_a_frame(file: BinaryIO, size: int) -> bool:
    """Whether MPEG frames follow the rest of a frame, or zeros, as in what was cut from a stream."""
    places = find_all(file, b"\xff", 0, min(size, MAX_PARTIAL_BYTES))
    return any(_is_stream(file, place, size) for place in places)


def id3_end(file: BinaryIO, position: int) -> int:
    """Where the ID3 tag at `position` ends."""
    lengths = read_range(file, position + 6, position + 10)
    return position + 10 + sum((byte & 0x7F) << 7 * (3 - i) for i, byte in enumerate(lengths))


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
    frame = mpeg_frame(header)
    assert frame is not None
    tag = b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return (header.ljust(frame.tag_at, b"\0") + tag).ljust(frame.length, b"\0")
