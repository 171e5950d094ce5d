"""ARPA files read: the common form of n-gram models, log10 in the file, natural logarithms in memory.

    \\data\\
    ngram 1=4                        how many n-grams of each order
    ngram 2=2

    \\1-grams:
    -1.2 <TAB> hello <TAB> -0.3      log10 p(w | h), the words hw, log10 of the back-off weight of hw
    ...
    \\end\\
"""

import gzip
import re
import warnings
import zlib
from pathlib import Path

import numpy as np

from minids._utils.errors import InputError, reason
from minids._utils.files import open_file
from minids.lm import arpa_parser
from minids.lm.arpa_parser import Grams, Vocabulary
from minids.lm.ngram import NGram
from minids.lm.scorer import empty_slots
from minids.lm.vocabulary import SPECIAL

BLOCK = 1 << 20  # bytes read at once
LONGEST = 1 << 20  # bytes of a line
ABSENT = -100.0  # log10 p(<unk>) where a model has none, as KenLM takes it
FIRST = 1000  # lines that may stand before \\data\\
ROOM = 1 << 16  # n-grams there is room for at first: a header may promise anything
GZIP = b"\x1f\x8b"

_REMEDY = "make the file anew, with `minids lm train` or what wrote it"
_WRONG = {
    arpa_parser.NUMBER: "does not begin with a finite logarithm",
    arpa_parser.POSITIVE: "has a probability greater than 1",
    arpa_parser.FIELDS: "is not a logarithm, {order} word(s) and at most a back-off weight",
    arpa_parser.BACKOFF: "has a back-off weight, which those of the highest order cannot have",
    arpa_parser.TWICE: "holds a word for the second time",
    arpa_parser.WORD: "has a word that is not among the 1-grams",
}


class ArpaWarning(UserWarning):
    """A model that can be used but is not whole."""


class Lines:
    """A file as buffers of whole lines: `buffer[at:end]` is at hand, `number` lines lie before it."""

    def __init__(self, path: str | Path, file):
        self.path, self.file = path, file
        self.bytes = bytearray(LONGEST + BLOCK + 1)
        self.buffer = np.frombuffer(self.bytes, np.uint8)
        self.at = self.end = self.filled = self.number = 0

    def fill(self) -> bool:
        """The next buffer; False at the end of the file."""
        rest = self.filled - self.at
        self.bytes[:rest] = self.bytes[self.at : self.filled]
        self.at, self.end, self.filled = 0, 0, rest
        while not self.end:
            begin = self.filled
            self.filled += self.file.readinto(memoryview(self.bytes)[begin : begin + BLOCK])
            if self.filled == begin:
                if begin and self.bytes[begin - 1] != ord("\n"):  # the last line of a file need not end
                    self.bytes[begin] = ord("\n")
                    self.filled += 1
                self.end = self.filled
                return self.end > 0
            self.end = self.bytes.rfind(b"\n", begin, self.filled) + 1
            if not self.end and self.filled > LONGEST:
                raise self.wrong("is longer than a megabyte: this is no ARPA file")
        return True

    def next(self) -> str:
        """The next line that is not blank, without the space around it; "" at the end of the file."""
        while self.at < self.end or self.fill():
            line = self.here()
            self.at = self.bytes.index(b"\n", self.at) + 1
            self.number += 1
            if line:
                return line
        return ""

    def here(self) -> str:
        line = self.bytes[self.at : self.bytes.index(b"\n", self.at)]
        return line.decode("utf-8", "replace").strip("\0\t\r ")

    def wrong(self, what: str, number: int | None = None) -> InputError:
        return InputError(f"{self.path}, line {number or self.number + 1} {what}; {_REMEDY}")


def read_arpa(path: str | Path) -> NGram:
    """Read what lmplz, KenLM, SRILM, IRSTLM or `write_arpa` wrote, plain or gzip.

    -inf is taken as SRILM's -99, and a model without <unk> gets one of probability 10^-100, with a warning.
    Raises InputError naming the file and line of what is wrong.
    """
    try:
        with open_file(path) as file:
            packed = file.read(2) == GZIP
            file.seek(0)
            if packed:
                with gzip.open(file) as unpacked:
                    return _read(Lines(path, unpacked))
            return _read(Lines(path, file))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give a language model") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {reason(error)}; copy it again or {_REMEDY}") from error


def _read(lines: Lines) -> NGram:
    counts, line = _header(lines)
    starts = np.cumsum([0, 1])
    context, word = [np.zeros(1, np.int32)], [np.full(1, -1, np.int32)]  # a list of the orders, from 0
    log_probs, backoff = [np.zeros(1, np.float32)], [np.zeros(1, np.float32)]
    tables: list[np.ndarray] = []  # of each order from 2
    for order, count in enumerate(counts, start=1):
        if line != f"\\{order}-grams:":
            raise lines.wrong(f"should be \\{order}-grams:, not {_short(line)}", lines.number)
        highest = order == len(counts)
        if order == 1:
            vocabulary, grams = _words(lines, count, highest)
            words = _decoded(lines, vocabulary, grams)
            context.append(np.zeros(len(words), np.int32))
        else:
            grams = _grams(lines, order, count, highest, vocabulary)
            context.append(_contexts(lines, tables, grams))
            tables.append(_table(lines, int(starts[-1]), context[-1], grams))
        word.append(grams.words[:, -1].copy())
        log_probs.append(grams.log_prob)
        backoff.append(grams.backoff)
        starts = np.append(starts, starts[-1] + len(word[-1]))
        line = lines.next()
    if line != "\\end\\":
        raise lines.wrong(f"should be \\end\\, not {_short(line)}", lines.number)
    if lines.next():
        raise lines.wrong("stands after \\end\\", lines.number)
    return NGram(words, starts, *(np.concatenate(column) for column in (context, word, log_probs, backoff)))


def _header(lines: Lines) -> tuple[list[int], str]:
    """How many n-grams of each order, and the first line after that."""
    while (line := lines.next()) != "\\data\\":
        if line.startswith("mmap lm"):
            raise InputError(f"{lines.path} is KenLM's binary form; give the ARPA file it was made from")
        if not line or lines.number > FIRST:
            raise InputError(f"{lines.path}: no line \\data\\, so this is no language model; {_REMEDY}")
    counts: list[int] = []
    while match := re.fullmatch(r"ngram\s+([0-9]{1,3})\s*=\s*([0-9]{1,18})", line := lines.next()):
        if int(match[1]) != len(counts) + 1:
            raise lines.wrong(f"should be the number of {len(counts) + 1}-grams", lines.number)
        counts.append(int(match[2]))
    if not counts:
        raise lines.wrong("should be `ngram 1=` and the number of words", lines.number)
    return counts, line


def _words(lines: Lines, declared: int, highest: bool) -> tuple[Vocabulary, Grams]:
    """The section of the 1-grams."""
    room = min(declared, ROOM) + len(SPECIAL)
    vocabulary, grams = _vocabulary(room, 8 * room), _empty(room, 1)
    for number, name in enumerate(SPECIAL):
        arpa_parser.add_word(vocabulary, number, np.frombuffer(bytearray(f"{name}\n".encode()), np.uint8), 0)
    known, end = len(SPECIAL), arpa_parser.MORE
    while end in (arpa_parser.MORE, arpa_parser.FULL):
        if end == arpa_parser.FULL:
            room *= 2
            grams, vocabulary = _grown(grams, room), _larger(vocabulary, known, room)
        elif lines.at == lines.end and not lines.fill():
            break
        end, lines.at, lines.number, known = arpa_parser.read_words(
            lines.buffer, lines.at, lines.end, lines.number, known, highest, vocabulary, grams
        )
    seen = int(np.count_nonzero(grams.line[:known]))
    _check(lines, end, 1, declared, seen)
    for name, line in zip(SPECIAL[1:], grams.line[1:], strict=False):
        if line == 0:
            raise InputError(f"{lines.path}: no {name} among the 1-grams; {_REMEDY}")
    if grams.line[0] == 0:
        warnings.warn(f"{lines.path} has no <unk>: unknown words get log10 p = -100", ArpaWarning, 5)
        grams.log_prob[0] = ABSENT * arpa_parser.LN10
    return vocabulary, Grams(*(column[:known] for column in grams))


def _grams(lines: Lines, order: int, declared: int, highest: bool, vocabulary: Vocabulary) -> Grams:
    """The section of the n-grams of an order from 2."""
    grams = _empty(min(declared, ROOM), order)
    made, end = 0, arpa_parser.MORE
    while end in (arpa_parser.MORE, arpa_parser.FULL):
        if end == arpa_parser.FULL:
            if made >= declared:
                break
            grams = _grown(grams, min(declared, 2 * made))
        elif lines.at == lines.end and not lines.fill():
            break
        end, lines.at, lines.number, made = arpa_parser.read_grams(
            lines.buffer, lines.at, lines.end, lines.number, made, highest, vocabulary, grams
        )
    _check(lines, end, order, declared, made)
    return Grams(*(column[:made] for column in grams))


def _check(lines: Lines, end: int, order: int, declared: int, made: int) -> None:
    if end in _WRONG:
        raise lines.wrong(f"({_short(lines.here())}) {_WRONG[end].format(order=order)}")
    if end == arpa_parser.MORE and made < declared:
        raise lines.wrong(f"is missing: the file is cut off among its {order}-grams")
    if end == arpa_parser.FULL:
        raise lines.wrong(f"is one {order}-gram more than the {declared} that the header promised")
    if made != declared:
        raise lines.wrong(f"ends the {order}-grams after {made}, but the header promised {declared}")


def _contexts(lines: Lines, tables: list[np.ndarray], grams: Grams) -> np.ndarray:
    """The ids of the n-grams without their last words."""
    context = grams.words[:, 0] + np.int32(1)
    for slots, word in zip(tables, grams.words.T[1:-1], strict=True):
        place = arpa_parser.follow(slots, context, word)
        if place >= 0:
            what = "has a context (all its words but the last) that is not among the shorter n-grams"
            raise lines.wrong(what, int(grams.line[place]))
    return context


def _table(lines: Lines, first: int, context: np.ndarray, grams: Grams) -> np.ndarray:
    """(context, word) -> id, for n-grams whose ids begin at `first`."""
    slots = empty_slots(len(context))
    place = arpa_parser.insert(slots, first, context, grams.words[:, -1])
    if place >= 0:
        raise lines.wrong("holds an n-gram for the second time", int(grams.line[place]))
    return slots


def _decoded(lines: Lines, vocabulary: Vocabulary, grams: Grams) -> list[str]:
    count = len(grams.line)
    pool = vocabulary.pool[: vocabulary.begins[count]].tobytes()
    try:
        return pool.decode().split("\n")[:-1]
    except UnicodeDecodeError as error:
        word = np.searchsorted(vocabulary.begins[: count + 1], error.start, "right") - 1
        raise lines.wrong("has a word that is not UTF-8; convert it", int(grams.line[word])) from None


def _vocabulary(words: int, size: int) -> Vocabulary:
    """With room for so many words of altogether so many bytes."""
    slots = np.zeros(1 << (3 * words // 2).bit_length(), arpa_parser.WORD_SLOT)
    return Vocabulary(slots, np.zeros(size, np.uint8), np.zeros(words + 1, np.int64))


def _larger(vocabulary: Vocabulary, known: int, words: int) -> Vocabulary:
    pool, begins = vocabulary.pool, vocabulary.begins
    larger = _vocabulary(words, 2 * len(pool) + LONGEST)
    arpa_parser.copy_words(vocabulary.slots, larger.slots)
    larger.pool[: len(pool)] = pool
    larger.begins[: known + 1] = begins[: known + 1]
    return larger


def _empty(count: int, order: int) -> Grams:
    return Grams(
        np.zeros((count, order), np.int32),
        np.zeros(count, np.float32),
        np.zeros(count, np.float32),
        np.zeros(count, np.int64),
    )


def _grown(grams: Grams, count: int) -> Grams:
    larger = _empty(count, grams.words.shape[1])
    for old, new in zip(grams, larger, strict=True):
        new[: len(old)] = old
    return larger


def _short(line: str) -> str:
    if not line:
        return "the end of the file"
    line = line if len(line) <= 60 else f"{line[:60]}…"
    return f"'{line}'" if line.replace("\t", "").isprintable() else ascii(line)
