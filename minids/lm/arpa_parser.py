"""The n-gram lines of an ARPA file, parsed in Numba: bytes in, arrays out (see arpa_reader.py).

A line is a logarithm, the words, and perhaps a back-off weight; bytes up to the space separate them. The
buffers hold whole lines only, so that every scan ends at a newline.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from minids.lm.hash_table import AHEAD, BASIS, fnv, prefetch
from minids.lm.scorer import find, home

WORD_SLOT = np.dtype([("hash", np.uint64), ("number", np.int64)])  # 0 is nobody's hash
# How a parse ends: the buffer is read, a line begins with a backslash, there is no room for this line, or:
# what is wrong with it.
MORE, SECTION, FULL, NUMBER, POSITIVE, FIELDS, BACKOFF, TWICE, WORD = range(9)

ROUNDING = 1e-5  # a logarithm of 1 as others write it
ZERO = -99.0  # log10 of a probability of 0, by SRILM's convention
HUGE = 1e6  # no logarithm that anybody meant
LN10 = np.log(10.0)
_POWERS = 10.0 ** np.arange(23)
_NEWLINE, _SPACE, _BACKSLASH = 10, 32, 92


class Vocabulary(NamedTuple):
    """The words: their numbers by 64 bits of hash, which is taken for the word; their bytes one after the
    other, each with a newline behind it.
    """

    slots: np.ndarray  # WORD_SLOT: a hash table, at most two thirds full, size a power of two
    pool: np.ndarray  # uint8
    begins: np.ndarray  # int64: where word w begins in the pool; begins[words] is where the next will


class Grams(NamedTuple):
    """N-grams of one order, by their place in the section (words: by their number), in natural logarithms."""

    words: np.ndarray  # int32 (count, order)
    log_prob: np.ndarray  # float32
    backoff: np.ndarray  # float32
    line: np.ndarray  # int64: where each stands; 0 of a word not yet seen


@njit(cache=True, nogil=True)
def _written_line(buffer, at, end, line):
    """Where the next line that is not blank has its first character, and how many lines stand before it."""
    while at < end:
        at = _skip(buffer, at)
        if buffer[at] != _NEWLINE:
            break
        at += 1
        line += 1
    return at, line


@njit(cache=True, nogil=True)
def read_words(buffer, at, end, line, count, highest, vocabulary, grams):
    """The 1-gram lines of buffer[at:end], `line` lines and `count` words being known before.

    Returns how it ended, where, the lines and the words then known.
    """
    _, pool, begins = vocabulary
    while True:
        start, line = _written_line(buffer, at, end, line)
        if start >= end:
            return MORE, start, line, count
        how, value, at = _log_prob(buffer, start)
        if how != MORE:
            return how, start, line, count
        first = _skip(buffer, at)
        mixed, at = _word(buffer, first)
        if at == first:
            return FIELDS, start, line, count
        how, weight, after = _backoff(buffer, at, highest)
        if how != MORE:
            return how, start, line, count
        slot = _find_word(vocabulary.slots, mixed)
        if slot >= 0:
            word = vocabulary.slots[slot].number
            if grams.line[word] != 0:
                return TWICE, start, line, count
        else:
            if count == len(grams.line) or begins[count] + at - first >= len(pool):
                return FULL, start, line, count
            word = add_word(vocabulary, count, buffer, first)
            count += 1
        line += 1
        grams.words[word] = word
        grams.log_prob[word] = value * LN10
        grams.backoff[word] = weight * LN10
        grams.line[word] = line
        at = after


@njit(cache=True, nogil=True)
def read_grams(buffer, at, end, line, count, highest, vocabulary, grams):
    """The same for n-grams of two words or more."""
    room, order = grams.words.shape
    while True:
        start, line = _written_line(buffer, at, end, line)
        if start >= end:
            return MORE, start, line, count
        how, value, at = _log_prob(buffer, start)
        if how != MORE:
            return how, start, line, count
        if count == room:
            return FULL, start, line, count
        for n in range(order):
            first = _skip(buffer, at)
            mixed, at = _word(buffer, first)
            if at == first:
                return FIELDS, start, line, count
            slot = _find_word(vocabulary.slots, mixed)
            if slot < 0:
                return WORD, start, line, count
            grams.words[count, n] = vocabulary.slots[slot].number
        how, weight, at = _backoff(buffer, at, highest)
        if how != MORE:
            return how, start, line, count
        line += 1
        grams.log_prob[count] = value * LN10
        grams.backoff[count] = weight * LN10
        grams.line[count] = line
        count += 1


@njit(cache=True, nogil=True)
def follow(slots, context, word):
    """Replaces contexts by the ids of the n-grams (context, word). Returns the place of the first that is not
    in the table, or -1.
    """
    count = len(context)
    for i in range(count):
        ahead = min(i + AHEAD, count - 1)
        prefetch(slots, home(context[ahead], word[ahead], len(slots)))  # type: ignore[call-arg]
        slot = find(slots, context[i], word[i])
        if slot < 0:
            return i
        context[i] = slots[slot].next
    return -1


@njit(cache=True, nogil=True)
def insert(slots, first, context, word):
    """Enters n-grams (context, word), whose ids begin at `first`, into an empty table with room for them.
    Returns the place of the first that is there already, or -1.
    """
    count = len(word)
    for i in range(count):
        ahead = min(i + AHEAD, count - 1)
        prefetch(slots, home(context[ahead], word[ahead], len(slots)))  # type: ignore[call-arg]
        slot = -1 - find(slots, context[i], word[i])
        if slot < 0:
            return i
        slots[slot].key = np.int64(context[i]) << 32 | np.int64(word[i])
        slots[slot].next = first + i
    return -1


@njit(cache=True, nogil=True)
def add_word(vocabulary, number, buffer, first):
    """Enters the word at buffer[first], which is not there yet, as `number`, the next."""
    slots, pool, begins = vocabulary
    mixed, last = _word(buffer, first)
    slot = -1 - _find_word(slots, mixed)
    slots[slot].hash = mixed
    slots[slot].number = number
    put = begins[number]
    for i in range(first, last):
        pool[put] = buffer[i]
        put += 1
    pool[put] = _NEWLINE
    begins[number + 1] = put + 1
    return number


@njit(cache=True, nogil=True)
def copy_words(slots, larger):
    for i in range(len(slots)):
        if slots[i].hash != 0:
            larger[-1 - _find_word(larger, slots[i].hash)] = slots[i]


@njit(cache=True, nogil=True)
def _find_word(slots, mixed):
    """The slot of a word, or -1 - the slot where it would be put."""
    mask = len(slots) - 1
    at = np.int64(mixed >> np.uint64(32)) & mask
    while slots[at].hash != mixed:
        if slots[at].hash == 0:
            return -1 - at
        at = (at + 1) & mask
    return at


@njit(cache=True, nogil=True)
def _skip(buffer, at):
    """Past what separates."""
    while buffer[at] <= _SPACE and buffer[at] != _NEWLINE:
        at += 1
    return at


@njit(cache=True, nogil=True)
def _word(buffer, at):
    """FNV-1a of the word that begins here, and where it ends. <UNK>, <S>, </S> become lower-case."""
    if buffer[at] == 60:
        _lower_special(buffer, at)
    mixed = BASIS
    while buffer[at] > _SPACE:
        mixed = fnv(mixed, buffer[at])
        at += 1
    return mixed | np.uint64(1), at


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _log_prob(buffer, at):
    """MORE and the logarithm that a line begins with, or what is there instead; and where it ends."""
    if buffer[at] == _BACKSLASH:
        return SECTION, 0.0, at
    value, at = _number(buffer, at)
    if not abs(value) < HUGE:
        return NUMBER, value, at
    return POSITIVE if value > ROUNDING else MORE, min(value, 0.0), at


@njit(cache=True, nogil=True)
def _backoff(buffer, at, highest):
    """MORE and the back-off weight that may end a line, or what is wrong; and where the next line begins."""
    value = 0.0
    at = _skip(buffer, at)
    if buffer[at] != _NEWLINE:
        value, at = _number(buffer, at)
        at = _skip(buffer, at)
    if buffer[at] != _NEWLINE or not abs(value) < HUGE:
        return FIELDS, value, at
    return BACKOFF if highest and value != 0 else MORE, value, at + 1


@njit(cache=True, nogil=True)
def _number(buffer, at):
    """The decimal number here and where it ends; NaN for anything else, ZERO for -inf."""
    sign = 1.0
    if buffer[at] == 45 or buffer[at] == 43:
        sign = 44.0 - buffer[at]
        at += 1
    if sign < 0 and buffer[at] | 32 == 105 and buffer[at + 1] | 32 == 110 and buffer[at + 2] | 32 == 102:
        if buffer[at + 3] <= _SPACE:
            return ZERO, at + 3
        return np.nan, at
    digits = 0  # their value; the first eighteen count
    scale = 0
    seen = False
    point = False
    while True:
        c = buffer[at]
        if 48 <= c <= 57:
            seen = True
            if digits < 10**17:
                digits = 10 * digits + (c - 48)
                scale -= point
            else:
                scale += not point
        elif c == 46 and not point:
            point = True
        else:
            break
        at += 1
    if not seen:
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
    value = float(digits)
    while scale > 0 and value != 0 and value < HUGE:
        value *= _POWERS[min(scale, 22)]
        scale -= min(scale, 22)
    while scale < 0 and value != 0:
        value /= _POWERS[min(-scale, 22)]
        scale += min(-scale, 22)
    return sign * value, at
