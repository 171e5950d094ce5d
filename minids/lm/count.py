"""The distinct n-grams of a text and their counts, in one pass.

A sentence is <s> w1 … wm </s>. For each of its words the n-gram that ends there is found, order by order,
from the n-gram one word shorter that ends at the previous word: (its id, this word) is a key of a hash table.
Only one block of the text is in memory; what grows with the text are the tables of distinct n-grams, 30 to 50
bytes for each.

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
from minids.lm.text_source import ProgressCallback, TextSource, read_blocks
from minids.lm.vocabulary import BEGIN, END, SPECIAL, Vocabulary


class OrderCounts(NamedTuple):
    """The distinct n-grams of one order, in order of appearance; an n-gram's id is its index."""

    context: np.ndarray  # int32: the id, one order lower, of its first n-1 words
    word: np.ndarray  # int32: its last word
    suffix: np.ndarray  # int32: the id, one order lower, of its last n-1 words
    adjusted: np.ndarray  # int32: the adjusted count


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
    unigrams = np.zeros(len(SPECIAL), np.int32)
    counters = [_OrderCounter(n == order) for n in range(2, order + 1)]
    last = np.full(
        order, -1, np.int32
    )  # for each order, the n-gram that ends at the last word of the block before
    for block in read_blocks(source):
        word_ids = words.ids(block)
        unigrams = grow(unigrams, words.size)
        if order == 1:
            unigrams[: words.size] += np.bincount(word_ids, minlength=words.size).astype(np.int32)
        ids, lower_counts = np.append(last[:1], word_ids), unigrams
        for n, counter in enumerate(counters, start=1):
            last[n - 1] = ids[-1]
            ids = counter.add(ids, word_ids, last[n], lower_counts)
            lower_counts = counter.counts
        last[order - 1] = ids[-1]
        if progress:
            progress(block.size)
    if not unigrams[END]:
        raise InputError("the text has no words; give one with a sentence on each line")
    unigrams[BEGIN] = 0  # no word precedes it, and it is never predicted
    zeros = np.zeros(words.size, np.int32)
    first = OrderCounts(zeros, np.arange(words.size, dtype=np.int32), zeros, unigrams[: words.size])
    return Counts(words.words(), [first, *(counter.result() for counter in counters)])


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


class _OrderCounter:
    """The n-grams of one order while they are counted."""

    def __init__(self, highest: bool):
        self.size = 0
        self.keys = np.zeros(0, np.int64)  # context << 32 | word
        self.suffix = np.zeros(0, np.int32)
        self.counts = np.zeros(0, np.int32)
        self.slots = np.zeros(2, np.int64)
        self.highest = highest

    def add(
        self, lower_ids: np.ndarray, word_ids: np.ndarray, last: int, lower_counts: np.ndarray
    ) -> np.ndarray:
        """The ids of the n-grams that end at each word (words + 1,) int32, or -1 for none; `last` comes
        first.

        lower_ids are those of the n-grams one word shorter, in the same form; lower_counts their counts.
        """
        capacity = self.size + len(word_ids)
        self.slots = rehash(self.slots, self.keys[: self.size], capacity)
        self.keys = grow(self.keys, capacity)
        self.suffix = grow(self.suffix, capacity)
        self.counts = grow(self.counts, capacity)
        ids = np.empty_like(lower_ids)
        ids[0] = last
        self.size = _add(
            ids,
            lower_ids,
            word_ids,
            self.keys,
            self.suffix,
            self.counts,
            self.slots,
            self.size,
            self.highest,
            lower_counts,
        )
        return ids

    def result(self) -> OrderCounts:
        keys = self.keys[: self.size]
        context, word = (keys >> 32).astype(np.int32), keys.astype(np.int32)
        return OrderCounts(context, word, self.suffix[: self.size], self.counts[: self.size])


@njit(nogil=True)
def _add(ids, lower_ids, word_ids, keys, suffix, counts, slots, size, highest, lower_counts):
    """-> how many n-grams there are now."""
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
            suffix[ngram] = lower_ids[i + 1]
            counts[ngram] = 0
            lower_counts[lower_ids[i + 1]] += 1  # one more word precedes the suffix
        if highest or ids[i] < 0:  # no n-gram ends at the previous word: this one begins with <s>
            counts[ngram] += 1
        ids[i + 1] = ngram
    return size
