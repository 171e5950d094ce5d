"""ARPA files, the common format of n-gram models: log10 in the file, natural logarithms in memory.

    \\data\\
    ngram 1=4                        the number of n-grams of each order
    ngram 2=2

    \\1-grams:
    -1.2 <TAB> hello <TAB> -0.3      log10 p(w | h), the words hw, log10 of the back-off weight of hw
    ...
    \\end\\
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from minids._utils.errors import InputError, reason
from minids._utils.files import open_file
from minids._utils.warning import warn
from minids.lm import _arpa_parser as arpa_parser
from minids.lm._arpa_parser import Section, WordTable
from minids.lm._scorer import empty_slots
from minids.lm.arrays import LN10, NGramArrays
from minids.lm.text_source import BOM, READ_ERRORS, decompressed
from minids.lm.vocabulary import SPECIAL

BLOCK_SIZE = 1 << 20  # bytes read at once
MAX_LINE_SIZE = 1 << 20  # bytes
MAX_PREAMBLE = 1000  # lines before \\data\\
DEFAULT_UNK_LOG10 = -100.0  # log10 p(<unk>) of a model without <unk>, as in KenLM
INITIAL_CAPACITY = 1 << 16  # words: the counts of a header cannot be trusted
NGRAMS_AT_ONCE = 1 << 16

_REMEDY = "write the file again, with `minids lm train` or the program that made it"
_ERRORS = {
    arpa_parser.NOT_A_NUMBER: "does not begin with a finite logarithm",
    arpa_parser.POSITIVE: "has a probability greater than 1",
    arpa_parser.FIELDS: "is not a logarithm, {order} word(s) and an optional back-off weight",
    arpa_parser.BACKOFF: "has a back-off weight, which n-grams of the highest order cannot have",
    arpa_parser.DUPLICATE: "repeats a word",
    arpa_parser.UNKNOWN_WORD: "has a word that is not among the 1-grams",
}


class ArpaWarning(UserWarning):
    """A model that is incomplete but usable."""


class _Columns(NamedTuple):
    """The arrays of the n-grams so far, see NGramArrays."""

    context: np.ndarray
    word: np.ndarray
    log_probs: np.ndarray
    backoff: np.ndarray

    def extend(self, context: np.ndarray, section: Section) -> None:
        """Add the n-grams of a section. Large arrays grow without a copy: the system remaps their pages."""
        values = context, section.words[:, -1], section.log_prob, section.backoff
        for column, added in zip(self, values, strict=True):
            count = len(column)
            column.resize(count + len(added), refcheck=False)
            column[count:] = added


class LineReader:
    """A file as buffers of complete lines: buffer[position:end] is unread, `number` lines come before it."""

    def __init__(self, path: str | Path, file: IO[bytes]):
        self.path, self.file = path, file
        self.bytes = bytearray(MAX_LINE_SIZE + BLOCK_SIZE + 1)
        self.buffer = np.frombuffer(self.bytes, np.uint8)
        self.position = self.end = self.filled = self.number = 0
        self.fill()
        if self.bytes.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError(f"{path} is UTF-16; save it as UTF-8")
        if self.bytes.startswith(BOM):
            self.position = len(BOM)

    def fill(self) -> bool:
        """Read the next buffer; False at the end of the file."""
        rest = self.filled - self.position
        self.bytes[:rest] = self.bytes[self.position : self.filled]
        self.position, self.end, self.filled = 0, 0, rest
        view = memoryview(self.bytes)
        while not self.end:
            start = self.filled
            self.filled += self.file.readinto(view[start : start + BLOCK_SIZE])  # type: ignore[attr-defined]
            if self.filled == start:
                if start and self.bytes[start - 1] != ord("\n"):  # the last line may lack its newline
                    self.bytes[start] = ord("\n")
                    self.filled += 1
                self.end = self.filled
                return self.end > 0
            self.end = self.bytes.rfind(b"\n", start, self.filled) + 1
            if not self.end and self.filled > MAX_LINE_SIZE:
                raise self.error("is longer than a megabyte: this is not an ARPA file")
        return True

    def next(self) -> str:
        """The next line that is not blank, without the space around it; "" at the end of the file."""
        while self.position < self.end or self.fill():
            line = self.peek()
            self.position = self.bytes.index(b"\n", self.position) + 1
            self.number += 1
            if line:
                return line
        return ""

    def peek(self) -> str:
        line = self.bytes[self.position : self.bytes.index(b"\n", self.position)]
        return line.decode("utf-8", "replace").strip("\0\t\r ")

    def error(self, problem: str, number: int | None = None) -> InputError:
        return InputError(f"{self.path}, line {number or self.number + 1} {problem}; {_REMEDY}")


def read_arpa(path: str | Path) -> NGramArrays:
    """Read an ARPA file of lmplz, KenLM, SRILM, IRSTLM or `write_arpa`, plain or gzip, bzip2 or xz.

    -inf is read as SRILM's -99; a model without <unk> gets one of probability 10^-100, with a warning. Raises
    InputError that names the file and the line of the error.
    """
    try:
        with open_file(path) as file:
            return _read(LineReader(path, decompressed(file)))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give a language model") from None
    except READ_ERRORS as error:
        raise InputError(f"{path} cannot be read: {reason(error)}; copy it again or {_REMEDY}") from error


def _read(lines: LineReader) -> NGramArrays:
    counts, line = _header(lines)
    starts = [0, 1]
    columns = _Columns(
        np.zeros(1, np.int32), np.full(1, -1, np.int32), np.zeros(1, np.float32), np.zeros(1, np.float32)
    )
    id_tables: list[np.ndarray] = []  # by order, from 2
    for order, count in enumerate(counts, start=1):
        if line != f"\\{order}-grams:":
            raise lines.error(f"should be \\{order}-grams:, not {_short(line)}", lines.number)
        highest = order == len(counts)
        if order == 1:
            table, section = _read_words(lines, count, highest)
            words = _decode(lines, table, section)
            columns.extend(np.zeros(len(words), np.int32), section)
        else:
            numbers = []  # of lines
            for context, section in _read_grams(lines, order, count, highest, table, id_tables):
                columns.extend(context, section)
                numbers.append(section.line)
            if highest:
                id_tables.clear()  # the last table only finds what is repeated
            id_tables.append(_id_table(lines, starts[-1], columns, numbers))
        starts.append(len(columns.word))
        line = lines.next()
    if line != "\\end\\":
        raise lines.error(f"should be \\end\\, not {_short(line)}", lines.number)
    if lines.next():
        raise lines.error("comes after \\end\\", lines.number)
    return NGramArrays(words, np.array(starts), *columns)


def _header(lines: LineReader) -> tuple[list[int], str]:
    """The number of n-grams of each order, and the first line after the header."""
    while (line := lines.next()) != "\\data\\":
        if not line or lines.number > MAX_PREAMBLE:
            raise InputError(f"{lines.path}: no line \\data\\, so this is not a language model; {_REMEDY}")
    counts: list[int] = []
    while match := re.fullmatch(r"ngram\s+([0-9]{1,3})\s*=\s*([0-9]{1,18})", line := lines.next()):
        if int(match[1]) != len(counts) + 1:
            raise lines.error(f"should give the number of {len(counts) + 1}-grams", lines.number)
        counts.append(int(match[2]))
    if not counts:
        raise lines.error("should be `ngram 1=` with the number of words", lines.number)
    return counts, line


def _read_words(lines: LineReader, declared: int, highest: bool) -> tuple[WordTable, Section]:
    """The section of the 1-grams."""
    capacity = min(declared, INITIAL_CAPACITY) + len(SPECIAL)
    table, section = _word_table(capacity, 8 * capacity), _empty_section(capacity, 1)
    for word, name in enumerate(SPECIAL):
        arpa_parser.add_word(table, word, np.frombuffer(bytearray(f"{name}\n".encode()), np.uint8), 0)
    count, status = len(SPECIAL), arpa_parser.MORE
    while status in (arpa_parser.MORE, arpa_parser.FULL):
        if status == arpa_parser.FULL:
            if count > declared + len(SPECIAL):
                break
            capacity *= 2
            section, table = _grow_section(section, capacity), _grow_table(table, count, capacity)
        elif lines.position == lines.end and not lines.fill():
            break
        status, lines.position, lines.number, count = arpa_parser.read_words(
            lines.buffer, lines.position, lines.end, lines.number, count, highest, table, section
        )
    _check(lines, status, 1, declared, int(np.count_nonzero(section.line[:count])))
    for name, line in zip(SPECIAL[1:], section.line[1:], strict=False):
        if line == 0:
            raise InputError(f"{lines.path}: no {name} among the 1-grams; {_REMEDY}")
    if section.line[0] == 0:
        warn(f"{lines.path} has no <unk>: unknown words get log10 p = -100", ArpaWarning)
        section.log_prob[0] = DEFAULT_UNK_LOG10 * LN10
    return table, Section(*(column[:count] for column in section))


def _read_grams(
    lines: LineReader, order: int, declared: int, highest: bool, table: WordTable, id_tables: list[np.ndarray]
) -> Iterator[tuple[np.ndarray, Section]]:
    """The n-grams of an order from 2, in pieces, with the ids of their contexts."""
    total, full = 0, True
    while full:
        section, count = _empty_section(min(declared - total, NGRAMS_AT_ONCE), order), 0
        status = arpa_parser.MORE
        while status == arpa_parser.MORE and (lines.position < lines.end or lines.fill()):
            status, lines.position, lines.number, count = arpa_parser.read_grams(
                lines.buffer, lines.position, lines.end, lines.number, count, highest, table, section
            )
        total += count
        section = Section(*(column[:count] for column in section))
        yield _context_ids(lines, id_tables, section), section
        full = status == arpa_parser.FULL and total < declared
    _check(lines, status, order, declared, total)


def _check(lines: LineReader, status: int, order: int, declared: int, count: int) -> None:
    if status in _ERRORS:
        raise lines.error(f"({_short(lines.peek())}) {_ERRORS[status].format(order=order)}")
    if status == arpa_parser.MORE and count < declared:
        raise lines.error(f"is missing: the file is cut off among its {order}-grams")
    if status == arpa_parser.FULL:
        raise lines.error(f"is one {order}-gram more than the {declared} of the header")
    if count != declared:
        raise lines.error(f"ends the {order}-grams after {count}, but the header says {declared}")


def _context_ids(lines: LineReader, id_tables: list[np.ndarray], section: Section) -> np.ndarray:
    """The ids of the n-grams without their last words."""
    context = section.words[:, 0] + np.int32(1)
    for slots, word in zip(id_tables, section.words.T[1:-1], strict=True):
        missing = arpa_parser.resolve_contexts(slots, context, word)
        if missing >= 0:
            problem = "has a context (all its words but the last) that is not among the shorter n-grams"
            raise lines.error(problem, int(section.line[missing]))
    return context


def _id_table(lines: LineReader, first: int, columns: _Columns, numbers: list[np.ndarray]) -> np.ndarray:
    """(context, word) -> id, for the n-grams from id `first`, which are on lines of these `numbers`."""
    context, word = columns.context[first:], columns.word[first:]
    slots = empty_slots(len(word))
    duplicate = arpa_parser.insert(slots, first, context, word)
    if duplicate >= 0:
        raise lines.error("repeats an n-gram", int(np.concatenate(numbers)[duplicate]))
    return slots


def _decode(lines: LineReader, table: WordTable, section: Section) -> list[str]:
    count = len(section.line)
    letters = table.letters[: table.begins[count]].tobytes()
    try:
        return letters.decode().split("\n")[:-1]
    except UnicodeDecodeError as error:
        word = np.searchsorted(table.begins[: count + 1], error.start, "right") - 1
        raise lines.error("has a word that is not UTF-8; convert it", int(section.line[word])) from None


def _word_table(capacity: int, letters: int) -> WordTable:
    """An empty table for so many words with so many letters in total."""
    slots = np.zeros(1 << (3 * capacity // 2).bit_length(), arpa_parser.WORD_SLOT)
    return WordTable(slots, np.zeros(letters, np.uint8), np.zeros(capacity + 1, np.int64))


def _grow_table(table: WordTable, count: int, capacity: int) -> WordTable:
    larger = _word_table(capacity, 2 * len(table.letters) + MAX_LINE_SIZE)
    arpa_parser.copy_words(table.slots, larger.slots)
    larger.letters[: len(table.letters)] = table.letters
    larger.begins[: count + 1] = table.begins[: count + 1]
    return larger


def _empty_section(capacity: int, order: int) -> Section:
    return Section(
        np.zeros((capacity, order), np.int32),
        np.zeros(capacity, np.float32),
        np.zeros(capacity, np.float32),
        np.zeros(capacity, np.int64),
    )


def _grow_section(section: Section, capacity: int) -> Section:
    larger = _empty_section(capacity, section.words.shape[1])
    for old, new in zip(section, larger, strict=True):
        new[: len(old)] = old
    return larger


def _short(line: str) -> str:
    if not line:
        return "the end of the file"
    line = line if len(line) <= 60 else f"{line[:60]}…"
    return f"'{line}'" if line.replace("\t", "").isprintable() else ascii(line)
