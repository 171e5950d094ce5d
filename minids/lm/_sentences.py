"""The log probabilities of sentences and texts, many words at a time.

`minids.lm._scorer.score` needs the state after a word to look up the next one, so it waits for memory once or
more for each word. Here all words' bigrams are looked up, then all their trigrams, and so on: most lookups
do not depend on each other, and the memory that they need is fetched ahead.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numba import carray, typeof, types
from numba.extending import intrinsic

from minids.lm import njit
from minids.lm._hash_table import first_probe, prefetch
from minids.lm._scorer import SLOT, STATE, UNIGRAM, Tables, find, first_in_line, follower_bit, score
from minids.lm.vocabulary import (
    BEGIN,
    BYTE_CLASS,
    CONTROL,
    END,
    UNKNOWN,
    Vocabulary,
    WordTable,
    find_word,
    read_word,
)

CHUNK = 256  # words whose n-grams are looked up together


class TextTotals(NamedTuple):
    """The totals of a text; its tokens are words and sentence ends."""

    log_prob: float = 0.0
    oov_log_prob: float = 0.0
    tokens: int = 0
    oov: int = 0
    sentences: int = 0


@njit(nogil=True)
def score_text(tables, words, state, totals):
    """The state and the totals after the next words of a text, each sentence of which begins with <s>."""
    log_prob, oov_log_prob, tokens, oov, sentences = totals
    log_probs = np.empty(CHUNK)
    for first in range(0, len(words), CHUNK):
        chunk = words[first : first + CHUNK]
        state = score_words(tables, chunk, state, log_probs)
        for i, word in enumerate(chunk):
            if word != BEGIN:
                log_prob += log_probs[i]
                tokens += 1
                sentences += word == END
            if word == UNKNOWN:
                oov_log_prob += log_probs[i]
                oov += 1
    return state, TextTotals(log_prob, oov_log_prob, tokens, oov, sentences)


@njit(nogil=True)
def score_words(tables, words, state, log_probs):
    """log_probs[i] ← log p(words[i] | state, words before it); the state after the last word.

    <s> has no probability; the words after it follow the state `tables.begin`.
    """
    slots, unigrams, states, starts, begin, callback = tables
    n = len(words)
    if callback != 0 or n == 0:
        for i, word in enumerate(words):
            log_probs[i], after = score(tables, state, word)
            state = begin if word == BEGIN else np.int64(after)
        return state
    # contexts[i + 1]: the context of `length` words that ends with word i, or 0 if the model has none
    contexts = np.empty(n + 1, np.int32)
    for i, word in enumerate(words):
        log_probs[i], contexts[i + 1] = unigrams[word].log_prob, unigrams[word].next
        if i + 1 < n:
            _fetch(slots, states, contexts[i + 1], words[i + 1])
    after = np.int64(contexts[n])
    for length in range(1, len(starts) - 2):
        first, end = starts[length], starts[length + 1]  # the ids of such contexts
        context = state
        while context >= end:
            context = np.int64(states[context].suffix)
        context = context if context >= first else 0
        found = state >= end
        for i in range(n):
            following, longer = np.int64(contexts[i + 1]), np.int64(0)
            if context != 0 and words[i] != BEGIN:
                slot = -1
                if states[context].followers & follower_bit(words[i]) != 0:
                    slot = find(slots, context, words[i])
                if slot >= 0:
                    log_probs[i] = slots[slot].log_prob
                    if slots[slot].next >= end:  # otherwise it is a shorter context
                        longer, found = np.int64(slots[slot].next), True
                        if i + 1 < n:
                            _fetch(slots, states, longer, words[i + 1])
                else:
                    log_probs[i] += states[context].backoff
            contexts[i + 1], context = longer, following
        after = np.int64(contexts[n]) or after
        if not found:
            break
    return after


@njit(nogil=True)
def _fetch(slots, states, context, word):
    """Fetch from memory what the lookup of a word after a context needs."""
    prefetch(states, np.int64(context))  # type: ignore[call-arg]
    prefetch(slots, first_in_line(context, word, len(slots)))  # type: ignore[call-arg]


def sentence_scorer(tables: Tables, vocabulary: Vocabulary) -> Callable[..., float]:
    """`_sentence_log_prob` as a function of (text, bos, eos); the arguments must outlive it.

    For each call Numba would look up the types of all arguments, which costs more than a short sentence.
    """
    if not vocabulary.closed:
        raise ValueError("the arrays of a vocabulary that is not closed move")
    arrays = [*tables[:4], *vocabulary.table]
    pairs = [(array.ctypes.data, len(array)) for array in arrays]
    model = np.array([*pairs, (tables.begin, tables.callback)], np.int64)
    compiled = _sentence_log_prob.compile((typeof(model), typeof(b""), types.boolean, types.boolean))
    return partial(compiled, model)


@njit(nogil=True)
def _sentence_log_prob(model, text, bos, eos):
    """The log probability of a sentence (UTF-8 in NFC, ASCII white space between its words).

    NaN if a word is <s> or </s>, or has a control character. `model`: addresses and lengths of all arrays.
    """
    tables = Tables(
        _array(model[0], SLOT),
        _array(model[1], UNIGRAM),
        _array(model[2], STATE),
        _array(model[3], np.int64),
        model[8, 0],
        model[8, 1],
    )
    table = WordTable(
        _array(model[4], np.uint8),
        _array(model[5], np.int64),
        _array(model[6], np.uint64),
        _array(model[7], np.int64),
    )
    spans = np.empty((len(text) // 2 + 1, 2), np.int64)
    hashes = np.empty(len(spans), np.uint64)
    n = i = 0
    while i < len(text):
        start = i
        i, hashes[n] = read_word(text, start)
        if i > start:
            spans[n, 0], spans[n, 1] = start, i
            prefetch(table.slots, first_probe(hashes[n], table.slots)[0])  # type: ignore[call-arg]
            n += 1
        elif BYTE_CLASS[text[i]] == CONTROL:
            return np.nan
        else:
            i += 1
    words = np.empty(n + 1, np.int32)
    for i in range(n):
        words[i] = max(UNKNOWN, find_word(text, spans[i, 0], spans[i, 1], hashes[i], table))
        if words[i] in (BEGIN, END):
            return np.nan
    if eos:
        words[n] = END
        n += 1
    log_probs = np.empty(n)
    score_words(tables, words[:n], tables.begin if bos else 0, log_probs)
    return log_probs.sum()


@intrinsic
def _pointer(typing, address):
    """An address as a pointer."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(address), generate


@njit(nogil=True)
def _array(pair, dtype):
    """The array of an (address, length)."""
    return carray(_pointer(pair[0]), pair[1], dtype)  # type: ignore[call-arg]
