"""How often which words follow each other: the distinct n-grams of a text and their counts.

One pass. A sentence is <s> w1 … wm </s>. At each of its words the n-gram that ends there is found, order by
order, from the n-gram one shorter that ends at the word before: (its number, this word) is a key of a hash
table. Only a block of the text is ever in memory; what grows with it are the tables of distinct n-grams,
some 30 to 50 bytes for each.

What is counted is what Kneser-Ney smoothing asks for, the *adjusted* count of an n-gram g:

    c(g) = how often g occurs             of the highest order, and where g begins with <s>
         = how many words come before g   of lower orders: |{v : vg occurs}|

so that "francisco", frequent but only ever after "san", is no likely word after others.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numba import njit

from minids._utils.errors import InputError
from minids.lm.hash_table import AHEAD, grown, home, prefetch, roomy
from minids.lm.vocabulary import BEGIN, END, SPECIAL, Progress, Source, Words, blocks


class Grams(NamedTuple):
    """The distinct n-grams of one order, as they first came."""

    context: np.ndarray  # int32: the number, one order lower, of its first n-1 words
    word: np.ndarray  # int32: its last word
    suffix: np.ndarray  # int32: the number, one order lower, of its last n-1 words
    adjusted: np.ndarray  # int32: the adjusted count


class Counts(NamedTuple):
    """orders[0] is of the words: context and suffix 0, word the number of each itself."""

    words: list[str]
    orders: list[Grams]


def count(
    source: Source, order: int, vocabulary: int | Source | None = None, progress: Progress | None = None
) -> Counts:
    """The n-grams of orders 1 to `order` of a text (see `minids.lm.vocabulary.blocks` for what that may be).

    vocabulary: all words of another source, or that many of the most frequent (then the text is read twice);
    every other word is <unk>. The text may itself say <unk>; it may not say <s> or </s>. progress(bytes) is
    called as the text is read. Raises InputError for a text that cannot be read, or has no words.
    """
    words = Words() if vocabulary is None else _known(source, vocabulary, progress)
    unigrams = np.zeros(len(SPECIAL), np.int32)
    longer = [_Order(n == order) for n in range(2, order + 1)]
    last = np.full(order, -1, np.int32)  # of each order, the n-gram that ended with the block before
    for block in blocks(source):
        numbers = words.numbers(block)
        unigrams = grown(unigrams, words.size)
        if order == 1:
            unigrams[: words.size] += np.bincount(numbers, minlength=words.size).astype(np.int32)
        ids, shorter = np.append(last[:1], numbers), unigrams
        for n, grams in enumerate(longer, start=1):
            last[n - 1] = ids[-1]
            ids = grams.extend(ids, numbers, last[n], shorter)
            shorter = grams.counts
        last[order - 1] = ids[-1]
        if progress:
            progress(block.size)
    if not unigrams[END]:
        raise InputError("the text has no words; give one with a sentence on each line")
    unigrams[BEGIN] = 0  # nothing comes before it, and it is predicted nowhere
    return Counts(words.list(), [_unigrams(unigrams[: words.size]), *(grams.result() for grams in longer)])


def _known(source: Source, vocabulary: int | Source, progress: Progress | None) -> Words:
    """The words that shall be known, and no others."""
    if isinstance(vocabulary, int) and isinstance(source, Iterator):
        raise InputError("to find the most frequent words the text is read twice; give a list or a file")
    every = Words()
    counts = np.zeros(0, np.int64)
    for block in blocks(source if isinstance(vocabulary, int) else vocabulary):
        numbers = every.numbers(block)
        if isinstance(vocabulary, int):
            counts = np.append(counts, np.zeros(every.size - len(counts), np.int64))
            counts += np.bincount(numbers, minlength=every.size)
            if progress:
                progress(block.size)
    if isinstance(vocabulary, int):
        names = every.list()
        frequent = np.argsort(-counts[END + 1 :], kind="stable")[:vocabulary] + END + 1
        return _known(source, [names[w] for w in frequent], None)
    every.closed = True
    return every


def _unigrams(counts: np.ndarray) -> Grams:
    nothing = np.zeros(len(counts), np.int32)
    return Grams(nothing, np.arange(len(counts), dtype=np.int32), nothing, counts)


class _Order:
    """The n-grams of one order while they are collected."""

    def __init__(self, highest: bool):
        self.size = 0
        self.keys = np.zeros(0, np.int64)  # context << 32 | word
        self.suffix = np.zeros(0, np.int32)
        self.counts = np.zeros(0, np.int32)
        self.table = np.zeros(2, np.int64)
        self.highest = highest

    def extend(self, ids: np.ndarray, numbers: np.ndarray, last: int, shorter: np.ndarray) -> np.ndarray:
        """The n-gram that ends at each word, and before all at the word before the block: (words + 1,) int32.

        ids are those one order shorter, in the same form; `shorter` their counts. -1 is none.
        """
        most = self.size + len(numbers)
        self.table = roomy(self.table, self.keys, self.size, most)
        self.keys = grown(self.keys, most)
        self.suffix = grown(self.suffix, most)
        self.counts = grown(self.counts, most)
        longer = np.empty_like(ids)
        longer[0] = last
        self.size = _extend(
            ids,
            numbers,
            self.keys,
            self.suffix,
            self.counts,
            self.table,
            self.size,
            self.highest,
            shorter,
            longer,
        )
        return longer

    def result(self) -> Grams:
        keys = self.keys[: self.size]
        context, word = (keys >> 32).astype(np.int32), keys.astype(np.int32)
        return Grams(context, word, self.suffix[: self.size], self.counts[: self.size])


@njit(cache=True, nogil=True)
def _extend(ids, numbers, keys, suffix, counts, table, size, highest, shorter, longer):
    """-> how many n-grams there are now."""
    for i in range(len(numbers)):
        if i + AHEAD < len(numbers):
            soon = np.int64(ids[i + AHEAD]) << 32 | np.int64(numbers[i + AHEAD])
            prefetch(table, home(soon, table)[0])  # type: ignore[call-arg]
        context, word = np.int64(ids[i]), np.int64(numbers[i])
        if context < 0 or word == BEGIN:  # the n-gram would begin before its sentence
            longer[i + 1] = -1
            continue
        key = context << 32 | word
        slot, tag = home(key, table)
        found = np.int64(-1)
        while table[slot] != 0 and found < 0:
            if table[slot] >> 32 == tag and keys[(table[slot] & 0xFFFFFFFF) - 1] == key:
                found = (table[slot] & 0xFFFFFFFF) - 1
            slot = (slot + 1) & (len(table) - 1)
        if found < 0:
            found = size
            size += 1
            table[slot] = tag << 32 | size
            keys[found] = key
            suffix[found] = ids[i + 1]
            counts[found] = 0
            shorter[ids[i + 1]] += 1  # one more word comes before the suffix
        if highest or longer[i] < 0:  # at the word before there was none: this one begins with <s>
            counts[found] += 1
        longer[i + 1] = found
    return size
