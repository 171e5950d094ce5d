"""The n-gram lines of an ARPA file, parsed in Numba from bytes to arrays (see arpa_reader.py).

A line has a logarithm, the words, and possibly a back-off weight, separated by bytes up to the space. The
buffers hold complete lines only, so that every scan ends at a newline.
"""

from typing import NamedTuple

import numpy as np

from minids.lm import njit
from minids.lm._hash_table import FNV_BASIS, PREFETCH_DISTANCE, fnv1a, prefetch
from minids.lm._scorer import find, first_in_line
from minids.lm.arrays import LN10, MAX_LOG10, MAX_ROUNDING

WORD_SLOT = np.dtype([("hash", np.uint64), ("id", np.int64)])  # a free slot has the hash 0
# How a parse ends: at the end of the buffer, at a line that begins with a backslash, with the arrays full, or
# at a line with an error.
MORE, SECTION, FULL, NOT_A_NUMBER, POSITIVE, FIELDS, BACKOFF, DUPLICATE, UNKNOWN_WORD = range(9)

LOG10_ZERO = -99.0  # log10 of a probability of 0, by SRILM's convention
_POWERS = 10.0 ** np.arange(23)
_NEWLINE, _SPACE, _BACKSLASH = 10, 32, 92


class WordTable(NamedTuple):
    """The words: their ids by a 64-bit hash, which stands for the word, and their letters."""

    slots: np.ndarray  # WORD_SLOT: a hash table of load factor 2/3 at most; its size is a power of two
    letters: np.ndarray  # uint8, with a newline after each word
    begins: np.ndarray  # int64: where word w begins in the letters; begins[words] is where the next will


class Section(NamedTuple):
    """The n-grams of one order, in the order of their lines (unigrams: by word id), in natural logarithms."""

    words: np.ndarray  # int32 (count, order)
    log_prob: np.ndarray  # float32
    backoff: np.ndarray  # float32
    line: np.ndarray  # int64: the line of each; 0 for a word not seen yet


@njit(nogil=True)
def _next_line(buffer, at, end, line):
    """Where the next line that is not blank has its first character, and the number of lines before it."""
    while at < end:
        at = _skip(buffer, at)
        if buffer[at] != _NEWLINE:
            break
        at += 1
        line += 1
    return at, line


@njit(nogil=True)
def read_words(buffer, at, end, line, count, highest, table, section):
    """Parse the 1-gram lines of buffer[at:end], after `line` lines and `count` words.

    Returns how the parse ended, where, and the numbers of lines and words now.
    """
    slots, letters, begins = table
    while True:
        start, line = _next_line(buffer, at, end, line)
        if start >= end:
            return MORE, start, line, count
        status, value, at = _log_prob(buffer, start)
        if status != MORE:
            return status, start, line, count
        first = _skip(buffer, at)
        code, at = _word(buffer, first)
        if at == first:
            return FIELDS, start, line, count
        status, weight, after = _backoff(buffer, at, highest)
        if status != MORE:
            return status, start, line, count
        slot = _find_word(slots, code)
        if slot >= 0:
            word = slots[slot].id
            if section.line[word] != 0:
                return DUPLICATE, start, line, count
        else:
            if count == len(section.line) or begins[count] + at - first >= len(letters):
                return FULL, start, line, count
            word = add_word(table, count, buffer, first)
            count += 1
        line += 1
        section.words[word] = word
        section.log_prob[word] = value * LN10
        section.backoff[word] = weight * LN10
        section.line[word] = line
        at = after


@njit(nogil=True)
def read_grams(buffer, at, end, line, count, highest, table, section):
    """The same for n-grams of two words or more."""
    slots = table.slots
    capacity, order = section.words.shape
    while True:
        start, line = _next_line(buffer, at, end, line)
        if start >= end:
            return MORE, start, line, count
        status, value, at = _log_prob(buffer, start)
        if status != MORE:
            return status, start, line, count
        if count == capacity:
            return FULL, start, line, count
        for n in range(order):
            first = _skip(buffer, at)
            code, at = _word(buffer, first)
            if at == first:
                return FIELDS, start, line, count
            slot = _find_word(slots, code)
            if slot < 0:
                return UNKNOWN_WORD, start, line, count
            section.words[count, n] = slots[slot].id
        status, weight, at = _backoff(buffer, at, highest)
        if status != MORE:
            return status, start, line, count
        line += 1
        section.log_prob[count] = value * LN10
        section.backoff[count] = weight * LN10
        section.line[count] = line
        count += 1


@njit(nogil=True)
def resolve_contexts(slots, context, word):
    """Replace contexts by the ids of the n-grams (context, word).

    Returns the index of the first n-gram that is not in the table, or -1.
    """
    count = len(context)
    for i in range(count):
        ahead = min(i + PREFETCH_DISTANCE, count - 1)
        prefetch(slots, first_in_line(context[ahead], word[ahead], len(slots)))  # type: ignore[call-arg]
        slot = find(slots, context[i], word[i])
        if slot < 0:
            return i
        context[i] = slots[slot].next
    return -1


@njit(nogil=True)
def insert(slots, first, context, word):
    """Insert n-grams (context, word), whose ids begin at `first`, into an empty table of sufficient size.

    Returns the index of the first duplicate, or -1.
    """
    count = len(word)
    for i in range(count):
        ahead = min(i + PREFETCH_DISTANCE, count - 1)
        prefetch(slots, first_in_line(context[ahead], word[ahead], len(slots)))  # type: ignore[call-arg]
        slot = -1 - find(slots, context[i], word[i])
        if slot < 0:
            return i
        slots[slot].key = np.int64(context[i]) << 32 | np.int64(word[i])
        slots[slot].next = first + i
    return -1


@njit(nogil=True)
def add_word(table, word, buffer, first):
    """Insert the word at buffer[first], which is new, with the next id `word`."""
    slots, letters, begins = table
    code, last = _word(buffer, first)
    slot = -1 - _find_word(slots, code)
    slots[slot].hash = code
    slots[slot].id = word
    end = begins[word]
    for i in range(first, last):
        letters[end] = buffer[i]
        end += 1
    letters[end] = _NEWLINE
    begins[word + 1] = end + 1
    return word


@njit(nogil=True)
def copy_words(slots, larger):
    for i in range(len(slots)):
        if slots[i].hash != 0:
            larger[-1 - _find_word(larger, slots[i].hash)] = slots[i]


@njit(nogil=True)
def _find_word(slots, code):
    """The slot of a word, or -1 - the free slot where it can be inserted."""
    mask = len(slots) - 1
    slot = np.int64(code >> np.uint64(32)) & mask
    while slots[slot].hash != code:
        if slots[slot].hash == 0:
            return -1 - slot
        slot = (slot + 1) & mask
    return slot


@njit(nogil=True)
def _skip(buffer, at):
    """Where the next field or the newline is."""
    while buffer[at] <= _SPACE and buffer[at] != _NEWLINE:
        at += 1
    return at


@njit(nogil=True)
def _word(buffer, at):
    """The hash of the word that begins here, and where it ends. <UNK>, <S>, </S> become lower case."""
    if buffer[at] == 60:
        _lower_special(buffer, at)
    code = FNV_BASIS
    while buffer[at] > _SPACE:
        code = fnv1a(code, buffer[at])
        at += 1
    return code | np.uint64(1), at


@njit(nogil=True)
def _lower_special(buffer, at):
    last = at + 1
    while buffer[last] > _SPACE:
        last += 1
    name = buffer[at + 1 : last - 1]
    if buffer[last - 1] != 62:
        return
    if len(name) and name[0] == 47:
        name = name[1:]
        if len(name) != 1:
            return
    if (len(name) == 1 and name[0] == 83) or (
        len(name) == 3 and name[0] == 85 and name[1] == 78 and name[2] == 75
    ):
        for i in range(len(name)):
            name[i] += 32


@njit(nogil=True)
def _log_prob(buffer, at):
    """MORE and the logarithm at the start of a line, or the error; and where it ends."""
    if buffer[at] == _BACKSLASH:
        return SECTION, 0.0, at
    value, at = _number(buffer, at)
    if not abs(value) < MAX_LOG10:
        return NOT_A_NUMBER, value, at
    return POSITIVE if value > MAX_ROUNDING else MORE, min(value, 0.0), at


@njit(nogil=True)
def _backoff(buffer, at, highest):
    """MORE and the optional back-off weight of a line, or the error; and where the next line begins."""
    value = 0.0
    at = _skip(buffer, at)
    if buffer[at] != _NEWLINE:
        value, at = _number(buffer, at)
        at = _skip(buffer, at)
    if buffer[at] != _NEWLINE or not abs(value) < MAX_LOG10:
        return FIELDS, value, at
    return BACKOFF if highest and value != 0 else MORE, value, at + 1


@njit(nogil=True)
def _number(buffer, at):
    """The decimal number here and where it ends; NaN for anything else, LOG10_ZERO for -inf."""
    sign = 1.0
    if buffer[at] == 45 or buffer[at] == 43:
        sign = 44.0 - buffer[at]
        at += 1
    if sign < 0 and buffer[at] | 32 == 105 and buffer[at + 1] | 32 == 110 and buffer[at + 2] | 32 == 102:
        if buffer[at + 3] <= _SPACE:
            return LOG10_ZERO, at + 3
        return np.nan, at
    mantissa = 0  # of the first eighteen digits
    scale = 0
    has_digits = False
    point = False
    while True:
        c = buffer[at]
        if 48 <= c <= 57:
            has_digits = True
            if mantissa < 10**17:
                mantissa = 10 * mantissa + (c - 48)
                scale -= point
            else:
                scale += not point
        elif c == 46 and not point:
            point = True
        else:
            break
        at += 1
    if not has_digits:
        return np.nan, at
    if buffer[at] | 32 == 101:
        at += 1
        negative = buffer[at] == 45
        if negative or buffer[at] == 43:
            at += 1
        exponent = 0
        if not 48 <= buffer[at] <= 57:
            return np.nan, at
        while 48 <= buffer[at] <= 57:
            exponent = min(10 * exponent + (buffer[at] - 48), 10000)
            at += 1
        scale += -exponent if negative else exponent
    if buffer[at] > _SPACE:
        return np.nan, at
    value = float(mantissa)
    while scale > 0 and value != 0 and value < MAX_LOG10:
        value *= _POWERS[min(scale, 22)]
        scale -= min(scale, 22)
    while scale < 0 and value != 0:
        value /= _POWERS[min(-scale, 22)]
        scale += min(-scale, 22)
    return sign * value, at
