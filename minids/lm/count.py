"""The distinct n-grams of a text and their counts, order by order.

A sentence is <s> w1 … wm </s>. For each of its words the n-gram that ends there is found from the n-gram one
word shorter that ends at the previous word: (its id, this word) is a key of a hash table. The text is read
once. Its word ids, the id of the n-gram at each word and the n-grams of other orders are columns on disk; in
memory is the table of one order, of up to 40 bytes for each of its n-grams.

Kneser-Ney smoothing needs the *adjusted* count of an n-gram g:

    c(g) = how often g occurs                  for the highest order, and where g begins with <s>
         = how many distinct words precede g   for lower orders: |{v : vg occurs}|

so that "francisco", which is frequent but only ever follows "san", is not a likely word after others.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minids._utils.errors import InputError
from minids.lm import njit
from minids.lm._hash_table import PREFETCH_DISTANCE, first_probe, grow, prefetch, rehash
from minids.lm.column import Column, blocks
from minids.lm.text_source import ProgressCallback, TextSource, read_blocks
from minids.lm.vocabulary import BEGIN, END, Vocabulary


class OrderCounts(NamedTuple):
    """The distinct n-grams of one order, in order of appearance; an n-gram's id is its index."""

    context: Column  # int32: the id, one order lower, of its first n-1 words
    word: Column  # int32: its last word
    suffix: Column  # int32: the id, one order lower, of its last n-1 words
    adjusted: Column  # int32: the adjusted count


class Counts(NamedTuple):
    """orders[0] are the unigrams: context and suffix 0, word the id of each itself."""

    words: list[str]
    orders: list[OrderCounts]


def count_ngrams(
    source: TextSource,
    order: int,
    vocabulary: int | TextSource | None = None,
    progress: ProgressCallback | None = None,
) -> Counts:
    """Count the n-grams of orders 1 to `order` of a text (see `minids.lm.text_source.read_blocks`).

    vocabulary: all words of another source, or that many of the most frequent words (the text is then read
    twice); every other word is <unk>. The text may contain <unk>, but not <s> or </s>. progress(bytes) is
    called as the text is read. Raises InputError for a text that cannot be read or has no words.
    """
    words = Vocabulary() if vocabulary is None else _closed_vocabulary(source, vocabulary, progress)
    word_ids = Column(np.int32)
    for block in read_blocks(source):
        word_ids.append(words.ids(block))
        if progress:
            progress(block.size)
    if not len(word_ids):
        raise InputError("the text has no words; give one with a sentence on each line")
    counts = np.zeros(words.size, np.int32)
    if order == 1:
        for (block_ids,) in blocks(word_ids):
            counts += np.bincount(block_ids, minlength=words.size).astype(np.int32)
        counts[BEGIN] = 0  # it is never predicted
    zeros = Column(np.int32, np.zeros(words.size))
    grams, orders, ids = (zeros, Column(np.int32, np.arange(words.size)), zeros), [], word_ids
    for n in range(2, order + 1):
        longer, longer_counts, ids = _count_order(word_ids, ids, counts, n == order)
        orders.append(OrderCounts(*grams, Column(np.int32, counts)))
        grams, counts = longer, longer_counts
    orders.append(OrderCounts(*grams, Column(np.int32, counts)))
    return Counts(words.words(), orders)


def _closed_vocabulary(
    source: TextSource, vocabulary: int | TextSource, progress: ProgressCallback | None
) -> Vocabulary:
    words = Vocabulary()
    if not isinstance(vocabulary, int):
        for block in read_blocks(vocabulary):
            words.ids(block)
        words.closed = True
        return words
    if not _is_rereadable(source):
        raise InputError("the text is read twice to find the most frequent words; give a list or a file")
    counts = np.zeros(0, np.int64)
    for block in read_blocks(source):
        ids = words.ids(block)
        counts = np.append(counts, np.zeros(words.size - len(counts), np.int64))
        counts += np.bincount(ids, minlength=words.size)
        if progress:
            progress(block.size)
    names = words.words()
    frequent = np.argsort(-counts[END + 1 :], kind="stable")[:vocabulary] + END + 1
    return _closed_vocabulary(source, [names[word] for word in frequent], None)


def _is_rereadable(source: object) -> bool:
    """Whether a source gives its text again when it is read again."""
    if isinstance(source, list | tuple):
        return not any(hasattr(item, "read") for item in source)
    return not isinstance(source, Iterator) and _is_rereadable(getattr(source, "source", ()))


def _count_order(
    word_ids: Column, lower_ids: Column, lower_counts: np.ndarray, highest: bool
) -> tuple[tuple[Column, Column, Column], np.ndarray, Column]:
    """The n-grams of an order: their contexts, words and suffixes, their counts, and the id of the one that
    ends at each word, or -1 for none.

    lower_ids are those of the n-grams one word shorter, and lower_counts their counts, which are completed.
    """
    size = 0
    keys, counts = np.zeros(0, np.int64), np.zeros(0, np.int32)  # key: context << 32 | word
    slots = np.zeros(2, np.int64)
    context, word, suffix, ids = (Column(np.int32) for _ in range(4))
    found = lower = np.array([-1], np.int32)  # the n-gram at the word before, then at those of a block
    for words, shorter in blocks(word_ids, lower_ids):
        first, capacity = size, size + len(words)
        slots = rehash(slots, keys[:size], capacity)
        keys, counts = grow(keys, capacity), grow(counts, capacity)
        found, lower = np.append(found[-1:], words), np.append(lower[-1:], shorter)
        suffixes = np.empty_like(words)
        size = _add(found, lower, words, keys, suffixes, counts, slots, size, highest, lower_counts)
        context.append(keys[first:size] >> 32)
        word.append(keys[first:size])
        suffix.append(suffixes[: size - first])
        ids.append(found[1:])
    return (context, word, suffix), counts[:size], ids


@njit(nogil=True)
def _add(ids, lower_ids, word_ids, keys, suffix, counts, slots, size, highest, lower_counts):
    """-> how many n-grams there are now; suffix is that of the new ones."""
    first = size
    for i in range(len(word_ids)):
        ahead = i + PREFETCH_DISTANCE
        if ahead < len(word_ids):
            key = np.int64(lower_ids[ahead]) << 32 | np.int64(word_ids[ahead])
            prefetch(slots, first_probe(key, slots)[0])  # type: ignore[call-arg]
        context, word = np.int64(lower_ids[i]), np.int64(word_ids[i])
        if context < 0 or word == BEGIN:  # the n-gram would begin before its sentence
            ids[i + 1] = -1
            continue
        key = context << 32 | word
        slot, tag = first_probe(key, slots)
        ngram = np.int64(-1)
        while slots[slot] != 0 and ngram < 0:
            if slots[slot] >> 32 == tag and keys[(slots[slot] & 0xFFFFFFFF) - 1] == key:
                ngram = (slots[slot] & 0xFFFFFFFF) - 1
            slot = (slot + 1) & (len(slots) - 1)
        if ngram < 0:
            ngram = size
            size += 1
            slots[slot] = tag << 32 | size
            keys[ngram] = key
            suffix[ngram - first] = lower_ids[i + 1]
            counts[ngram] = 0
            lower_counts[lower_ids[i + 1]] += 1  # one more word precedes the suffix
        if highest or ids[i] < 0:  # no n-gram ends at the previous word: this one begins with <s>
            counts[ngram] += 1
        ids[i + 1] = ngram
    return size
