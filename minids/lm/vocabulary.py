"""Text to word numbers: files and lines come through in blocks, words are cut and looked up by Numba.

A word is what stands between white space, in NFC, as it is written; a line is a sentence, and a line without
words is none. Of the text only one block is ever in memory, however long its lines.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import NamedTuple
from unicodedata import is_normalized, normalize

import numpy as np
from numba import njit

from minids._utils.errors import InputError, reason
from minids._utils.files import open_file
from minids.lm.hash_table import BASIS, fnv, grown, home, roomy

UNKNOWN, BEGIN, END = range(3)
SPECIAL = ("<unk>", "<s>", "</s>")
BLOCK = 1 << 20  # bytes; also the longest word, since blocks are cut between words
Source = str | Path | Iterable[str | Path]
Progress = Callable[[int], object]

_OTHER_SPACE = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


class Block(NamedTuple):
    """Whole words of a text: UTF-8 in NFC, its only white space ASCII."""

    data: bytes
    name: str  # of the file
    line: int  # lines of it before this block
    size: int  # bytes read for it, for progress


def blocks(source: Source) -> Iterator[Block]:
    """The text of a source: the path of a file, or an iterable of lines (str) and files (Path).

    Files are plain or gzipped UTF-8; a `.jsonl` is a manifest, whose texts are taken. The end of a file is a
    line's end. Raises InputError for what cannot be read or is no text.
    """
    items = [Path(source)] if isinstance(source, str | Path) else source
    for kind, group in groupby(items, type):
        if kind is str:
            yield from _cut(_gathered(_lines(group)), "the text")
            continue
        for path in map(Path, group):
            pieces = _gathered(_manifest(path)) if path.suffix == ".jsonl" else _file(path)
            yield from _cut(pieces, str(path))


def _file(path: Path) -> Iterator[bytes]:
    try:
        with open_file(path) as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file = gzip.GzipFile(fileobj=raw) if zipped else raw
            piece = file.read(BLOCK).removeprefix(b"\xef\xbb\xbf")
            while piece:
                yield piece
                piece = file.read(BLOCK)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read {path}: {reason(error)}; check the path and the file") from error


def _manifest(path: Path) -> Iterator[bytes]:
    from minids.data.manifest import InvalidLine, scan

    line = 1
    for utterance in scan(path):
        if isinstance(utterance, InvalidLine):
            raise utterance
        yield b"\n" * (utterance.line - line) + utterance.text.replace("\n", " ").encode()
        line = utterance.line


def _lines(lines: Iterable) -> Iterator[bytes]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.removesuffix("\n").encode() + b"\n"
        except UnicodeEncodeError:
            raise InputError(f"the text, line {number}: half a character (a lone surrogate)") from None


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Short pieces together, long ones cut: none is longer than a block."""
    waiting: list[bytes] = []
    length = 0
    for piece in chain(pieces, [b""]):
        waiting.append(piece)
        length += len(piece)
        if length > BLOCK // 2 or not piece:
            data = b"".join(waiting)
            yield from (data[i : i + BLOCK] for i in range(0, length, BLOCK))
            waiting, length = [], 0


def _cut(pieces: Iterable[bytes], name: str) -> Iterator[Block]:
    """Pieces of a text as blocks that end between words."""
    rest, line = b"", 0
    for piece in pieces:
        data = rest + piece
        end = 1 + max(data.rfind(b"\n"), data.rfind(b" "))
        rest = data[end:]
        if end:
            yield _block(data[:end], name, line, len(piece))
            line += data.count(b"\n", 0, end)
        if len(rest) > BLOCK:
            raise InputError(f"{name}, line {line + 1}: a word of over {BLOCK:,} bytes; is this a text?")
    yield _block(rest + b"\n", name, line, 0)


def _block(data: bytes, name: str, line: int, size: int) -> Block:
    if data.isascii():
        return Block(data, name, line, size)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line += 1 + data.count(b"\n", 0, error.start)
        raise InputError(f"{name}, line {line}: not UTF-8; save the text as UTF-8") from None
    if not is_normalized("NFC", text):
        text = normalize("NFC", text)
    return Block(_OTHER_SPACE.sub(" ", text).encode(), name, line, size)


class Store(NamedTuple):
    """Words as Numba finds them."""

    letters: np.ndarray  # uint8: word w and a space behind it end before ends[w]
    ends: np.ndarray  # int64
    hashes: np.ndarray  # uint64
    table: np.ndarray  # int64, see `insert`


class Words:
    """The words of a text, numbered as they come, behind <unk>, <s>, </s>.

    `closed`: no more are learned; another word is <unk>.
    """

    def __init__(self) -> None:
        self.size = 0
        self.closed = False
        self._begun = False  # whether the line that goes on had words already
        self._store = Store(
            np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(2, np.int64)
        )
        for word in SPECIAL:
            data = np.frombuffer(word.encode(), np.uint8)
            self._make_room(len(data))
            _, self.size = _number(data, 0, len(data), self._store, self.size, False)

    def numbers(self, block: Block) -> np.ndarray:
        """The next block as numbers (n,) int32: <s>, w1 … wm, </s> of each line that has words."""
        numbers = np.empty(len(block.data) * 3 // 2 + 3, np.int32)  # "a\n" is two bytes, and three numbers
        self._make_room(len(block.data))
        n, self.size, self._begun, bad = _numbers(
            np.frombuffer(block.data, np.uint8), self._store, self.size, self.closed, self._begun, numbers
        )
        if bad >= 0:
            line = block.line + 1 + block.data.count(b"\n", 0, bad)
            raise InputError(f"{block.name}, line {line}: {_complaint(block.data[bad:])}")
        return numbers[:n]

    def list(self) -> list[str]:
        """All words, by number."""
        used = self._store.ends[self.size - 1]
        return self._store.letters[: used - 1].tobytes().decode().split(" ")

    def _make_room(self, size: int) -> None:
        """For the words that so many bytes of text may hold."""
        letters, ends, hashes, table = self._store
        used, most = ends[self.size - 1] if self.size else 0, self.size + size // 2 + 1
        table = roomy(table, hashes, self.size, most)
        self._store = Store(grown(letters, used + size + 1), grown(ends, most), grown(hashes, most), table)


def _complaint(data: bytes) -> str:
    if data[0] < 32 or data[0] == 127:
        return f"the control character {data[:1].decode()!a}; is this a text?"
    return f"the word {data.split(maxsplit=1)[0].decode()}; take it out, a line is a sentence as it is"


# What ASCII bytes are: part of a word, a space, a line's end, or a control character, which no text has.
_LETTER, _SPACE, _LINE, _CONTROL = range(4)
_KIND = np.zeros(256, np.uint8)
_KIND[:32] = _KIND[127] = _CONTROL
_KIND[[9, 11, 12, 13, 32]] = _SPACE
_KIND[10] = _LINE


@njit(cache=True, nogil=True)
def _numbers(data, store, size, closed, begun, numbers):
    """-> numbers written, words known, whether the last line goes on, where a forbidden byte is (or -1)."""
    n = i = 0
    while i < len(data):
        kind = _KIND[data[i]]
        if kind == _CONTROL:
            return n, size, begun, i
        if kind == _LETTER:
            start = i
            while _KIND[data[i]] == _LETTER:  # a block ends with white space
                i += 1
            word, size = _number(data, start, i, store, size, closed)
            if word in (BEGIN, END):
                return n, size, begun, start
            if not begun:
                numbers[n] = BEGIN
                n += 1
                begun = True
            numbers[n] = word
            n += 1
        if begun and data[i] == 10:
            numbers[n] = END
            n += 1
            begun = False
        i += kind != _LETTER
    return n, size, begun, -1


@njit(cache=True, nogil=True)
def _number(data, start, end, store, size, closed):
    """-> the number of the word data[start:end], how many words are known now."""
    letters, ends, hashes, table = store
    code = BASIS
    for i in range(start, end):
        code = fnv(code, data[i])
    slot, tag = home(code, table)
    while table[slot] != 0:
        if table[slot] >> 32 == tag:
            word = (table[slot] & 0xFFFFFFFF) - 1
            first = ends[word - 1] if word else 0
            same = hashes[word] == code and ends[word] - first == end - start + 1
            for i in range(end - start if same else 0):
                same = same and letters[first + i] == data[start + i]
            if same:
                return word, size
        slot = (slot + 1) & (len(table) - 1)
    if closed:
        return UNKNOWN, size
    used = ends[size - 1] if size else 0
    for i in range(start, end):
        letters[used + i - start] = data[i]
    letters[used + end - start] = 32
    ends[size], hashes[size] = used + end - start + 1, code
    table[slot] = tag << 32 | (size + 1)
    return size, size + 1
