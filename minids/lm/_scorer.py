"""Fast queries: an n-gram model as tables from which Numba reads p(word | history).

    p(w | h) = p'(w | h)                      if the n-gram hw is in the model
             = backoff(h) p(w | suffix(h))    otherwise; suffix(h) is h without its first word

in natural logarithms. A history is represented by a *state*: the id of its longest suffix that is the context
of an n-gram or has a back-off weight. State 0, the empty one, uses the unigrams. Histories with the same
state give the same probabilities to all that follows, so a decoder may merge them.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minids.lm import njit
from minids.lm._hash_table import FACTOR, PREFETCH_DISTANCE, hash64, prefetch
from minids.lm.arrays import NGramArrays

# A cache line holds four slots. The key is (context id << 32 | word), exactly; 0 marks a free slot, since no
# n-gram of two words has the empty context.
SLOT = np.dtype([("key", np.int64), ("log_prob", np.float32), ("next", np.int32)])
UNIGRAM = np.dtype([("log_prob", np.float32), ("next", np.int32)])
STATE = np.dtype([("backoff", np.float32), ("suffix", np.int32), ("followers", np.uint64)])

_HALF = np.uint64(32)
_SLOTS_PER_LINE = 4


class Tables(NamedTuple):
    """The memory that `score` reads: 21 bytes for each n-gram of two words or more, 16 for each n-gram below
    the highest order, 8 for each word.
    """

    slots: np.ndarray  # SLOT: a hash table, three quarters full, of (context, word) -> log_prob, next state
    unigrams: np.ndarray  # UNIGRAM (V,)
    states: np.ndarray  # STATE (starts[N],)
    starts: np.ndarray  # int64: a context of n words has an id from starts[n] to starts[n + 1]
    begin: int  # the state after <s>
    callback: int = 0  # the address of a function that answers instead, see `_ask`


@intrinsic
def _ask(typing, address, state, word):
    """log p(word | state) and the next state from a C function, whose int64 has the float32 in its lower half
    and the int32 in its upper half.
    """

    def generate(context, builder, signature, arguments):
        long, half = ir.IntType(64), ir.IntType(32)
        kind = ir.FunctionType(long, [long, long]).as_pointer()
        both = builder.call(builder.inttoptr(arguments[0], kind), arguments[1:])
        log_prob = builder.bitcast(builder.trunc(both, half), ir.FloatType())
        after = builder.trunc(builder.lshr(both, long(32)), half)
        return context.make_tuple(builder, signature.return_type, (log_prob, after))

    return types.Tuple((types.float32, types.int32))(types.int64, types.int64, types.int64), generate


@njit(nogil=True)
def score(tables, state, word):
    """log p(word | state) and the next state. Unknown words are word 0, <unk>."""
    slots, unigrams, states, _, _, callback = tables
    if callback != 0:
        log_prob, after = _ask(callback, np.int64(state), np.int64(word))  # type: ignore[call-arg]
        return np.float64(log_prob), after
    bit = follower_bit(word)
    total = 0.0
    while state != 0:
        entry = states[state]
        if entry.followers & bit != 0:
            slot = find(slots, state, word)
            if slot >= 0:
                return total + slots[slot].log_prob, slots[slot].next
        total += entry.backoff
        state = entry.suffix
    return total + unigrams[word].log_prob, unigrams[word].next


def make_tables(arrays: NGramArrays) -> Tables:
    """The tables of a model, whose arrays must be valid (see `minids.lm.arrays.validated`)."""
    words, starts, context, word, log_probs, backoff = arrays
    first = int(starts[2])  # the id of the first n-gram of two words
    tables = Tables(
        empty_slots(len(context) - first),
        np.zeros(len(words), UNIGRAM),
        np.zeros(int(starts[-2]), STATE),
        starts,
        0,
    )
    _fill(tables, first, context, word, log_probs, backoff)
    return tables._replace(begin=int(tables.unigrams[1]["next"]))


def empty_slots(count: int) -> np.ndarray:
    """A hash table for `count` n-grams: a third more slots, in complete cache lines."""
    size = _SLOTS_PER_LINE * (count // 3 + 1)
    slots = np.zeros(size + _SLOTS_PER_LINE - 1, SLOT)
    offset = -slots.ctypes.data % 64 // SLOT.itemsize  # malloc aligns to 16 bytes
    return slots[offset : offset + size]


@njit(nogil=True)
def find(slots, context, word):
    """The slot of an n-gram, or -1 - the free slot where it can be inserted."""
    key = np.int64(context) << 32 | np.int64(word)
    slot = first_in_line(context, word, len(slots))
    while slots[slot].key != key:
        if slots[slot].key == 0:
            return -1 - slot
        slot += 1
        if slot == len(slots):
            slot = 0
    return slot


@njit(nogil=True)
def first_in_line(context, word, size):
    """The first slot of the cache line where the search for an n-gram starts."""
    code = hash64(np.int64(context) << 32 | np.int64(word))
    return np.int64((code >> _HALF) * np.uint64(size >> 2) >> _HALF) << 2


@njit(nogil=True)
def follower_bit(word):
    """The bit of `followers` that stands for a word, and for a 64th of all words. Most contexts have few
    followers, so for most other words the bit alone shows that the n-gram is not in the model.
    """
    return np.uint64(1) << (np.uint64(word) * FACTOR >> np.uint64(58))


@njit(nogil=True)
def _fill(tables, first, context, word, log_probs, backoff):
    """N-grams are inserted in order of length. When hw is inserted, its suffix is already in the tables, as
    the state after suffix(h) and w.
    """
    slots, unigrams, states, _, _, _ = tables
    below = len(states)  # the n-grams of the highest order are never states
    matters = np.zeros(below, np.bool_)
    for i in range(1, below):
        matters[i] = backoff[i] != 0
        states[i].backoff = backoff[i]
    for i in range(first, len(context)):
        matters[context[i]] = True
        states[context[i]].followers |= follower_bit(word[i])
    for i in range(1, first):
        unigrams[i - 1].log_prob = log_probs[i]
        unigrams[i - 1].next = i if i < below and matters[i] else 0
    for i in range(first, len(context)):
        ahead = min(i + 2 * PREFETCH_DISTANCE, len(context) - 1)
        prefetch(states, np.int64(context[ahead]))  # type: ignore[call-arg]
        ahead = min(i + PREFETCH_DISTANCE, len(context) - 1)
        prefetch(slots, first_in_line(context[ahead], word[ahead], len(slots)))  # type: ignore[call-arg]
        suffix = states[context[ahead]].suffix
        prefetch(slots, first_in_line(suffix, word[ahead], len(slots)))  # type: ignore[call-arg]
        _, suffix = score(tables, states[context[i]].suffix, word[i])
        if i < below:
            states[i].suffix = suffix
        slot = find(slots, context[i], word[i])
        if slot < 0:
            slot = -1 - slot
        slots[slot].key = np.int64(context[i]) << 32 | np.int64(word[i])
        slots[slot].log_prob = log_probs[i]
        slots[slot].next = i if i < below and matters[i] else suffix
