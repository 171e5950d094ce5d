"""A prefix of the beam search, and what each symbol adds to its language model score, compiled.

The rules are those of `minids.decode.lexicon.Language`. `tables` are those of the language model, `trie` has
the known words. A "gain" is the factor exp(α lm + β words) that a symbol contributes. It only decides which
prefixes stay in the beam; bounds keep products of several gains above 0.
"""

import math
from typing import NamedTuple

import numpy as np

from minids.decode import njit
from minids.decode.lexicon import LanguageMode, find_child
from minids.lm._scorer import score
from minids.lm.vocabulary import END, UNKNOWN

MAX_LOG_GAIN = 200.0
MIN_GAIN = math.exp(-MAX_LOG_GAIN)


PREFIX = np.dtype(
    [
        ("log_prob", "f8"),  # log (p_b + p_nb)
        ("blank", "f8"),  # the share of p_b in it
        ("nonblank", "f8"),  # the share of p_nb
        ("scale", "f8"),  # p_b + p_nb one frame ago, relative to now
        ("lm_score", "f8"),  # α lm_log_prob + β words
        ("lm_log_prob", "f8"),  # of complete words, and of an incomplete one that no known word begins with
        ("word_log_prob", "f8"),  # what the last word would add if it ended here; NaN: not computed yet
        ("space_gain", "f8"),  # exp(α word_log_prob + β), computed with it
        ("unk_log_prob", "f8"),  # log P(<unk> | state); NaN: not computed yet
        ("unk_gain", "f8"),  # exp(α unk_log_prob), computed with it
        ("node", "i4"),  # in the tree of prefixes
        ("last", "i4"),  # its last symbol; for the empty prefix, the blank
        ("row", "i4"),  # its position in the beam one frame ago; -1: it was not there
        ("state", "i4"),  # of the language model before the current word
        ("next_state", "i4"),  # after the current word, computed with word_log_prob
        ("trie_node", "i4"),  # of the current word; -1: no known word begins like this
        ("letters", "i4"),  # of the current word
        ("words", "i4"),  # complete ones
    ],
    align=True,
)


class SearchConfig(NamedTuple):
    """The settings of a search. `space` ends words; without one in the alphabet it is the blank.

    `extra_spaces`: a space at the start of a text, or after another, counts as a blank (see reference.py).
    """

    mode: int
    space: int
    alpha: float
    beta: float
    oov_symbol_cost: float
    token_min_logp: float
    beam_prune_logp: float
    extra_spaces: bool = False


@njit()
def gain(log_gain):
    if log_gain == -math.inf:
        return 0.0
    return math.exp(min(max(log_gain, -MAX_LOG_GAIN), MAX_LOG_GAIN))


@njit()
def begin_word(prefix, state):
    prefix.state, prefix.trie_node, prefix.letters = state, 0, 0
    prefix.unk_log_prob = prefix.word_log_prob = math.nan


@njit()
def append_symbol(prefix, symbol, config, tables, trie):
    """Append a symbol to the text of a prefix and add what it contributes to the language model's score."""
    lm, words = 0.0, 0
    if config.mode == LanguageMode.CHARACTERS:
        lm, prefix.state = character_log_prob(prefix, symbol, config, tables, trie)
        words = int(symbol == config.space and prefix.letters > 0)
        prefix.letters = 0 if symbol == config.space else prefix.letters + 1
    elif symbol == config.space:
        state = prefix.state
        if prefix.letters > 0:
            lm, words, state = word_log_prob(prefix, config, tables, trie), 1, prefix.next_state
        begin_word(prefix, state)
    else:
        if prefix.trie_node < 0:
            lm = -config.oov_symbol_cost
        elif config.mode != LanguageMode.OPEN:
            prefix.trie_node = find_child(trie, prefix.trie_node, symbol)
            if prefix.trie_node < 0:
                lm = unk_log_prob(prefix, config, tables) - config.oov_symbol_cost * (prefix.letters + 1)
        prefix.letters += 1
        prefix.word_log_prob = math.nan
    prefix.lm_log_prob += lm
    prefix.words += words
    prefix.lm_score += config.alpha * lm + config.beta * words
    prefix.last = symbol


@njit()
def character_log_prob(prefix, symbol, config, tables, trie):
    """log p(symbol | state), and the state after it."""
    child = find_child(trie, 0, symbol)
    log_prob, state = score(tables, prefix.state, trie.word[child] if child >= 0 else UNKNOWN)
    return log_prob - (config.oov_symbol_cost if child < 0 else 0.0), state


@njit()
def character_gain(prefix, symbol, config, tables, trie):
    log_gain = config.alpha * character_log_prob(prefix, symbol, config, tables, trie)[0]
    return gain(log_gain + config.beta if symbol == config.space and prefix.letters > 0 else log_gain)


@njit()
def unk_log_prob(prefix, config, tables):
    """log P(<unk> | state)."""
    if math.isnan(prefix.unk_log_prob):
        prefix.unk_log_prob = score(tables, prefix.state, UNKNOWN)[0]
        prefix.unk_gain = gain(config.alpha * prefix.unk_log_prob)
    return prefix.unk_log_prob


@njit()
def word_log_prob(prefix, config, tables, trie):
    """log p of the word that ends here, minus what was charged already; -inf where no word may end."""
    if math.isnan(prefix.word_log_prob):
        number = trie.word[prefix.trie_node] if prefix.trie_node >= 0 else -1
        prefix.word_log_prob, prefix.next_state = score(tables, prefix.state, max(number, UNKNOWN))
        if prefix.trie_node < 0:
            prefix.word_log_prob = 0
        elif number < 0 and config.mode == LanguageMode.LEXICON:
            prefix.word_log_prob = -math.inf
        elif number <= UNKNOWN:
            prefix.word_log_prob -= config.oov_symbol_cost * prefix.letters
        if prefix.word_log_prob > -math.inf:
            prefix.space_gain = gain(config.alpha * prefix.word_log_prob + config.beta)
        else:
            prefix.space_gain = 0  # also if alpha is 0
    return prefix.word_log_prob


@njit()
def space_gain(prefix, config, tables, trie):
    """The gain of a space; 0 where none is allowed."""
    if prefix.letters == 0:
        return 1.0 if config.mode == LanguageMode.OPEN else 0.0
    if config.mode == LanguageMode.OPEN or prefix.trie_node < 0:
        return math.exp(config.beta)
    word_log_prob(prefix, config, tables, trie)
    return prefix.space_gain


@njit()
def end_score(prefix, complete, config, tables, trie):
    """log P_lm of the finished text with </s>, and its score; `complete`: its last letters are a word."""
    word, state = 0.0, prefix.state
    if complete and config.mode != LanguageMode.CHARACTERS:
        word, state = word_log_prob(prefix, config, tables, trie), prefix.next_state
    if word == -math.inf:
        return word, word
    lm = prefix.lm_log_prob + word + score(tables, state, END)[0]
    return lm, prefix.log_prob + config.alpha * lm + config.beta * (prefix.words + complete)
