"""Words and their ids: a text is split at white space and each word looked up, in Numba.

A word is what stands between white space, in NFC, as it is written. A line is a sentence; a line without
words is none.
"""

from typing import NamedTuple

import numpy as np

from minids._utils.errors import InputError
from minids.lm import njit
from minids.lm._hash_table import FNV_BASIS, first_probe, fnv1a, grow, rehash
from minids.lm.text_source import Block

UNKNOWN, BEGIN, END = range(3)
SPECIAL = ("<unk>", "<s>", "</s>")

# The classes of bytes: part of a word, a space, the end of a line, or a control character, which no text has.
LETTER, _SPACE, _NEWLINE, CONTROL = range(4)
BYTE_CLASS = np.zeros(256, np.uint8)
BYTE_CLASS[:32] = BYTE_CLASS[127] = CONTROL
BYTE_CLASS[[9, 11, 12, 13, 32]] = _SPACE
BYTE_CLASS[10] = _NEWLINE
_LONG = np.uint64(1 << 63)  # in the hashes of words of eight or more bytes


class WordTable(NamedTuple):
    """The words as Numba finds them."""

    letters: np.ndarray  # uint8: each word and a space after it; word w ends before ends[w]
    ends: np.ndarray  # int64
    hashes: np.ndarray  # uint64
    slots: np.ndarray  # int64, see _hash_table.py


class Vocabulary:
    """The words of a text, with ids in order of appearance after <unk>, <s> and </s>.

    `closed`: no more words are added; any other word is <unk>.
    """

    def __init__(self) -> None:
        self.size = 0
        self.closed = False
        self._in_line = False  # whether the unfinished line has words
        self.table = WordTable(
            np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(2, np.int64)
        )
        for word in SPECIAL:
            data = np.frombuffer(word.encode(), np.uint8)
            self._reserve(len(data))
            end, code = read_word(data, 0)
            _, self.size = word_id(data, 0, end, np.uint64(code), self.table, self.size, False)

    def ids(self, block: Block) -> np.ndarray:
        """The next block of a text as word ids (n,) int32: <s>, w1 … wm, </s> of each line that has words."""
        if not block.data or BYTE_CLASS[block.data[-1]] == LETTER:
            raise ValueError("a block ends with white space")
        ids = np.empty(len(block.data) * 3 // 2 + 3, np.int32)  # "a\n" is two bytes and three ids
        if not self.closed:
            self._reserve(len(block.data))
        n, self.size, self._in_line, bad = _word_ids(
            np.frombuffer(block.data, np.uint8), self.table, self.size, self.closed, self._in_line, ids
        )
        if bad >= 0:
            line = block.line + 1 + block.data.count(b"\n", 0, bad)
            raise InputError(f"{block.name}, line {line}: {_describe_byte(block.data[bad:])}")
        return ids[:n]

    def words(self) -> list[str]:
        """All words, in the order of their ids."""
        used = self.table.ends[self.size - 1]
        return self.table.letters[: used - 1].tobytes().decode().split(" ")

    def _reserve(self, size: int) -> None:
        """Make space for the words that `size` bytes of text can hold."""
        letters, ends, hashes, slots = self.table
        used, capacity = ends[self.size - 1] if self.size else 0, self.size + size // 2 + 1
        slots = rehash(slots, hashes[: self.size], capacity)
        self.table = WordTable(
            grow(letters, used + size + 1), grow(ends, capacity), grow(hashes, capacity), slots
        )


def _describe_byte(data: bytes) -> str:
    """What is wrong with the first byte of `data`, or with the word that it begins, for an error message."""
    if data[0] < 32 or data[0] == 127:
        return f"the control character {data[:1].decode()!a}; is this a text?"
    return f"the word {data.split(maxsplit=1)[0].decode()}; remove it, every line is a sentence already"


@njit(nogil=True)
def _word_ids(data, table, size, closed, in_line, ids):
    """-> ids written, words known, whether the last line is unfinished, where a forbidden byte is (or -1)."""
    n = i = 0
    while i < len(data):
        byte_class = BYTE_CLASS[data[i]]
        if byte_class == CONTROL:
            return n, size, in_line, i
        if byte_class == LETTER:
            start = i
            i, code = read_word(data, start)  # a block ends with white space
            word, size = word_id(data, start, i, code, table, size, closed)
            if word in (BEGIN, END):
                return n, size, in_line, start
            if not in_line:
                ids[n] = BEGIN
                n += 1
                in_line = True
            ids[n] = word
            n += 1
        if in_line and data[i] == 10:
            ids[n] = END
            n += 1
            in_line = False
        i += byte_class != LETTER
    return n, size, in_line, -1


@njit(nogil=True)
def read_word(data, i):
    """-> where the word that begins at data[i] ends, and its hash: a word of up to seven bytes itself."""
    start, letters, code = i, np.uint64(0), FNV_BASIS
    while i < len(data) and BYTE_CLASS[data[i]] == LETTER:
        letters = letters << np.uint64(8) | np.uint64(data[i])
        code = fnv1a(code, data[i])
        i += 1
    return i, letters if i - start < 8 else code | _LONG


@njit(nogil=True)
def find_word(data, start, end, code, table):
    """The id of the word data[start:end] with the hash `code`, or -1 - the free slot where it belongs."""
    letters, ends, hashes, slots = table
    slot, tag = first_probe(code, slots)
    while slots[slot] != 0:
        word = (slots[slot] & 0xFFFFFFFF) - 1
        if slots[slot] >> 32 == tag and hashes[word] == code:
            if code < _LONG:
                return word
            first = ends[word - 1] if word else 0
            equal = ends[word] - first == end - start + 1
            for i in range(end - start if equal else 0):
                equal = equal and letters[first + i] == data[start + i]
            if equal:
                return word
        slot = (slot + 1) & (len(slots) - 1)
    return -1 - slot


@njit(nogil=True)
def word_id(data, start, end, code, table, size, closed):
    """-> the id of the word, which is added if it is new; how many words are known now."""
    word = find_word(data, start, end, code, table)
    if word >= 0:
        return word, size
    if closed:
        return UNKNOWN, size
    letters, ends, hashes, slots = table
    used = ends[size - 1] if size else 0
    for i in range(start, end):
        letters[used + i - start] = data[i]
    letters[used + end - start] = 32
    ends[size], hashes[size] = used + end - start + 1, code
    slots[-1 - word] = first_probe(code, slots)[1] << 32 | (size + 1)
    return size, size + 1
