"""The probability of a word after a history, by the million: an n-gram model as tables that Numba queries.

    p(w | h) = p'(w | h)                      where the n-gram hw is in the model
             = backoff(h) p(w | suffix(h))    where it is not; suffix(h) is h without its first word

in natural logarithms. A history is a *state*: the id of the longest suffix of it that can still matter, that
is, that is the context of some n-gram or has a back-off weight. The empty state 0 always answers, with the
unigrams. Longer histories with the same state have the same future, so a decoder may merge them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from minids.lm.hash_table import AHEAD, FACTOR, mix, prefetch

# Four slots are a cache line. The key is (context id << 32 | word), exact; 0 is no key: no n-gram of two
# words has the empty context.
SLOT = np.dtype([("key", np.int64), ("log_prob", np.float32), ("next", np.int32)])
UNIGRAM = np.dtype([("log_prob", np.float32), ("next", np.int32)])
STATE = np.dtype([("backoff", np.float32), ("suffix", np.int32), ("followers", np.uint64)])

_HALF = np.uint64(32)


class Tables(NamedTuple):
    """What `score` reads: 21 bytes for each n-gram of two words or more, 16 for each below the highest order,
    8 for each word.
    """

    slots: np.ndarray  # SLOT: a hash table, three quarters full, of (context, word) -> log_prob, next state
    unigrams: np.ndarray  # UNIGRAM (V,)
    states: np.ndarray  # STATE (starts[N],)
    begin: int  # the state after <s>


@njit(cache=True, nogil=True)
def score(tables, state, word):
    """log p(word | state) and the next state. Unknown words are word 0, <unk>."""
    slots, unigrams, states, _ = tables
    bit = _bit(word)
    total = 0.0
    while state != 0:
        here = states[state]
        if here.followers & bit != 0:
            at = find(slots, state, word)
            if at >= 0:
                return total + slots[at].log_prob, slots[at].next
        total += here.backoff
        state = here.suffix
    return total + unigrams[word].log_prob, unigrams[word].next


def make_tables(starts: np.ndarray, context, word, log_prob, backoff) -> Tables:
    """Tables of the arrays of an `NGram`."""
    longer, words = int(starts[2]), int(starts[2] - starts[1])
    tables = Tables(
        empty_slots(len(context) - longer),
        np.zeros(words, UNIGRAM),
        np.zeros(int(starts[-2]), STATE),
        0,
    )
    _fill(tables, longer, context, word, log_prob, backoff)
    return tables._replace(begin=int(tables.unigrams[1]["next"]))


def empty_slots(count: int) -> np.ndarray:
    """A hash table for `count` n-grams: a third more slots, in whole cache lines."""
    size = 4 * (count // 3 + 1)
    slots = np.zeros(size + 3, SLOT)
    ahead = -slots.ctypes.data % 64 // SLOT.itemsize  # malloc aligns to 16 bytes
    return slots[ahead : ahead + size]


@njit(cache=True, nogil=True)
def find(slots, context, word):
    """The slot of an n-gram, or -1 - the slot where it would be put."""
    key = np.int64(context) << 32 | np.int64(word)
    at = home(context, word, len(slots))
    while slots[at].key != key:
        if slots[at].key == 0:
            return -1 - at
        at += 1
        if at == len(slots):
            at = 0
    return at


@njit(cache=True, nogil=True)
def home(context, word, size):
    """The first slot of the cache line where the search for an n-gram begins."""
    mixed = mix(np.int64(context) << 32 | np.int64(word))
    return np.int64((mixed >> _HALF) * np.uint64(size >> 2) >> _HALF) << 2


@njit(cache=True, nogil=True)
def _bit(word):
    """The bit of `followers` that a word shares with a 64th of all words. Most contexts have few followers:
    most words that never follow one are known without a look at the slots.
    """
    return np.uint64(1) << (np.uint64(word) * FACTOR >> np.uint64(58))


@njit(cache=True, nogil=True)
def _fill(tables, longer, context, word, log_prob, backoff):
    """Ids ascend with the order: the suffix of hw is what the tables, as far as they are filled, say follows
    suffix(h), w.
    """
    slots, unigrams, states, _ = tables
    below = len(states)  # the n-grams of the highest order are never states
    matters = np.zeros(below, np.bool_)
    for i in range(1, below):
        matters[i] = backoff[i] != 0
        states[i].backoff = backoff[i]
    for i in range(longer, len(context)):
        matters[context[i]] = True
        states[context[i]].followers |= _bit(word[i])
    for i in range(1, longer):
        unigrams[i - 1].log_prob = log_prob[i]
        unigrams[i - 1].next = i if i < below and matters[i] else 0
    for i in range(longer, len(context)):
        ahead = min(i + 2 * AHEAD, len(context) - 1)
        prefetch(states, np.int64(context[ahead]))  # type: ignore[call-arg]
        ahead = min(i + AHEAD, len(context) - 1)
        prefetch(slots, home(context[ahead], word[ahead], len(slots)))  # type: ignore[call-arg]
        prefetch(slots, home(states[context[ahead]].suffix, word[ahead], len(slots)))  # type: ignore[call-arg]
        _, suffix = score(tables, states[context[i]].suffix, word[i])
        if i < below:
            states[i].suffix = suffix
        at = find(slots, context[i], word[i])
        if at < 0:
            at = -1 - at
        slots[at].key = np.int64(context[i]) << 32 | np.int64(word[i])
        slots[at].log_prob = log_prob[i]
        slots[at].next = i if i < below and matters[i] else suffix
