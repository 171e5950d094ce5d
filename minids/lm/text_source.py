"""Text of any size, read in blocks: files, plain or compressed, manifests, standard input, lines in memory.

A line is a sentence. Only one block of the text is in memory at a time, however long its lines.
"""

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple
from unicodedata import is_normalized, normalize

from minids._utils.errors import InputError, reason
from minids._utils.files import open_file

BLOCK_SIZE = 1 << 20  # bytes; also the longest word, since blocks are cut between words
BOM = b"\xef\xbb\xbf"
READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
TextSource = str | Path | Iterable[str | Path | BinaryIO]
ProgressCallback = Callable[[int], object]  # called with the number of bytes just read

_SPECIAL = re.compile(rb"(?<!\S)<(?:unk|/?s)>(?!\S)", re.IGNORECASE)  # ARPA files of some programs have <UNK>
_UNICODE_SPACE = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


class Block(NamedTuple):
    """Complete words of a text: UTF-8 in NFC, with ASCII white space only; <UNK>, <S>, </S> in lower case."""

    data: bytes
    name: str  # of the file, for messages
    line: int  # lines of the file before this block
    size: int  # bytes read for the block, for progress


def read_blocks(source: TextSource) -> Iterator[Block]:
    """The blocks of a text: the path of a file, or an iterable of lines (str), files (Path) and open binary
    files.

    Files are UTF-8, plain or compressed (gzip, bzip2, xz: recognized by content). A `.jsonl` file is a
    manifest; its texts are read. The end of a file ends its last line. Raises InputError for a file that
    cannot be read or is not text.
    """
    if isinstance(source, bytes | bytearray) or not isinstance(source, str | Path | Iterable):
        raise InputError(f"a text is a path or lines, not {type(source).__name__}")
    items = [Path(source)] if isinstance(source, str | Path) else source
    for is_line, group in groupby(items, lambda item: isinstance(item, str)):
        if is_line:
            yield from _split(_resize(_encode(group)), "the text")
            continue
        for item in group:
            if not isinstance(item, Path):
                if not hasattr(item, "read"):
                    raise InputError(f"a text is lines, paths and binary files, not {type(item).__name__}")
                name = str(getattr(item, "name", "the text"))
                yield from _split(_read_file(item, name), name)  # type: ignore[arg-type]
            elif ".jsonl" in item.suffixes[-2:-1]:
                raise InputError(f"{item} is a compressed manifest; decompress it first")
            elif item.suffix == ".jsonl":
                yield from _split(_resize(_read_manifest(item)), str(item))
            else:
                yield from _split(_read_path(item), str(item))


def decompressed(file: BinaryIO) -> IO[bytes]:
    """The content of an open file, decompressed if it is gzip, bzip2 or xz, which its first bytes tell."""
    if not hasattr(file, "peek"):
        file = io.BufferedReader(file)  # type: ignore[type-var, assignment]
    magic = file.peek(10)[:10]  # type: ignore[attr-defined]
    if magic[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if magic[:3] == b"BZh" and magic[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"):
        return bz2.BZ2File(file)  # type: ignore[return-value]
    if magic[:6] == b"\xfd7zXZ\0":
        return lzma.LZMAFile(file)  # type: ignore[return-value]
    return file


def read_lines(source: TextSource) -> Iterator[str]:
    """The lines of a text without their ends. Raises InputError for a line longer than a block."""
    rest = ""
    for block in read_blocks(source):
        *lines, rest = (rest + block.data.decode()).split("\n")
        yield from lines
        if len(rest) > BLOCK_SIZE:
            raise InputError(
                f"{block.name}: a line of over {BLOCK_SIZE:,} characters; give each sentence its own line"
            )


def _read_path(path: Path) -> Iterator[bytes]:
    try:
        with open_file(path) as file:
            yield from _read_file(file, path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}; check the path and the file") from error


def _read_file(file: BinaryIO, name: object) -> Iterator[bytes]:
    try:
        content = decompressed(file)
        piece = content.read(BLOCK_SIZE).removeprefix(BOM)
        if piece.lstrip().startswith(b"\\data\\"):
            raise InputError(f"{name} is an ARPA file, a language model; give the text for training")
        while piece:
            yield piece
            piece = content.read(BLOCK_SIZE)
    except READ_ERRORS as error:
        raise InputError(f"cannot read {name}: {reason(error)}; check the path and the file") from error


def _read_manifest(path: Path) -> Iterator[bytes]:
    from minids.data.manifest import InvalidLine, scan

    line = 1
    for utterance in scan(path, measure=False):
        if isinstance(utterance, InvalidLine):
            raise utterance
        yield b"\n" * (utterance.line - line) + utterance.text.replace("\n", " ").encode()
        line = utterance.line


def _encode(lines: Iterable) -> Iterator[bytes]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.removesuffix("\n").encode() + b"\n"
        except UnicodeEncodeError:
            raise InputError(f"the text, line {number}: half a character (a lone surrogate)") from None


def _resize(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join short pieces and cut long ones: none is longer than a block."""
    waiting: list[bytes] = []
    length = 0
    for piece in chain(pieces, [b""]):
        waiting.append(piece)
        length += len(piece)
        if length > BLOCK_SIZE // 2 or not piece:
            data = b"".join(waiting)
            yield from (data[i : i + BLOCK_SIZE] for i in range(0, length, BLOCK_SIZE))
            waiting, length = [], 0


def _split(pieces: Iterable[bytes], name: str) -> Iterator[Block]:
    """Pieces of a text as blocks that end between words."""
    rest, line = b"", 0
    for piece in pieces:
        data = rest + piece
        end = 1 + max(data.rfind(b"\n"), data.rfind(b" "))
        rest = data[end:]
        if end:
            yield _block(data[:end], name, line, len(piece))
            line += data.count(b"\n", 0, end)
        if len(rest) > BLOCK_SIZE:
            raise InputError(f"{name}, line {line + 1}: a word of over {BLOCK_SIZE:,} bytes; is this a text?")
    yield _block(rest + b"\n", name, line, 0)


def _block(data: bytes, name: str, line: int, size: int) -> Block:
    if b"<" in data:
        data = _SPECIAL.sub(lambda match: match[0].lower(), data)
    if data.isascii():
        return Block(data, name, line, size)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line += 1 + data.count(b"\n", 0, error.start)
        raise InputError(f"{name}, line {line}: not UTF-8; save the text as UTF-8") from None
    if not is_normalized("NFC", text):
        text = normalize("NFC", text)
    return Block(_UNICODE_SPACE.sub(" ", text).encode(), name, line, size)
