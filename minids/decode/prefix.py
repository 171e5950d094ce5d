"""A prefix of the beam search, and what each symbol adds to its language model score, compiled.

The rules are those of `minids.decode.lexicon.Language`. `tables` are those of the language model. A "gain" is
the factor exp(α lm + β words + hot words) that a symbol contributes. It only decides which prefixes stay in
the beam; bounds keep products of several gains above 0.
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
        (
            "lm_score",
            "f8",
        ),  # α lm_log_prob + β words + hot_score + what a hot word has earned that is not complete
        ("lm_log_prob", "f8"),  # of complete words, and of an incomplete one that no known word begins with
        ("word_log_prob", "f8"),  # what the last word would add if it ended here; NaN: not computed yet
        ("space_gain", "f8"),  # exp(α word_log_prob + β), computed with it
        ("unk_log_prob", "f8"),  # log P(<unk> | state); NaN: not computed yet
        ("unk_gain", "f8"),  # exp(α unk_log_prob), computed with it
        ("hot_score", "f8"),  # the weights of complete hot words
        ("node", "i4"),  # in the tree of prefixes
        ("last", "i4"),  # its last symbol; for the empty prefix, the blank
        ("row", "i4"),  # its position in the beam one frame ago; -1: it was not there
        ("state", "i4"),  # of the language model before the current word
        ("next_state", "i4"),  # after the current word, computed with word_log_prob
        ("trie_node", "i4"),  # of the current word; -1: no known word begins like this
        ("hot_node", "i4"),  # the same among the hot words
        ("letters", "i4"),  # of the current word
        ("words", "i4"),  # complete ones
    ],
    align=True,
)


class SearchConfig(NamedTuple):
    """The settings of a search.

    `space` is the letter, and `space_symbol` the symbol, that ends words; where there is none, the blank.
    `pieces`: how many words a symbol may begin, if symbols are word pieces. `hot_root`: the node in the trie
    of hot words where words begin; -1 without hot words, whose largest weight is `max_hot`.
    `extra_spaces`: a space at the start of a text, or after another, counts as a blank (see reference.py).
    """

    mode: int
    pieces: int
    space: int
    space_symbol: int
    hot_root: int
    max_hot: float
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
def begin_word(prefix, state, hot_root):
    prefix.state, prefix.trie_node, prefix.hot_node, prefix.letters = state, 0, hot_root, 0
    prefix.unk_log_prob = prefix.word_log_prob = math.nan


@njit(forceinline=True)  # its many arguments cost more than its code
def append_symbol(prefix, symbol, config, tables, words):
    """Append a symbol to the text of a prefix and add what it contributes to the language model's score."""
    if config.pieces == 0:
        append_letter(prefix, symbol, config, tables, words)
    else:
        for letter in words.letters[symbol]:
            if letter >= 0 and (letter != config.space or prefix.letters > 0):
                append_letter(prefix, letter, config, tables, words)
    prefix.last = symbol


@njit(forceinline=True)  # its many arguments cost more than its code
def append_letter(prefix, letter, config, tables, words):
    """The lm_score becomes -inf where the letter may not stand."""
    lm, state, complete = 0.0, prefix.state, 0
    if config.mode == LanguageMode.CHARACTERS:
        lm, state = character_log_prob(prefix, letter, config, tables, words)
    if prefix.hot_node >= 0:
        prefix.lm_score -= words.hot[prefix.hot_node].begun
    if letter == config.space:
        complete = int(prefix.letters > 0)
        if complete == 0 and config.mode >= LanguageMode.WORDS:
            lm = -math.inf
        elif complete > 0 and config.mode != LanguageMode.CHARACTERS:
            lm, state = word_log_prob(prefix, config, tables, words), prefix.next_state
        if complete > 0 and prefix.hot_node >= 0:
            prefix.hot_score += words.hot[prefix.hot_node].weight
            prefix.lm_score += words.hot[prefix.hot_node].weight
        begin_word(prefix, state, config.hot_root)
    else:
        known = is_known(prefix)
        if prefix.trie_node >= 0 and config.mode >= LanguageMode.WORDS:
            prefix.trie_node = find_child(words.trie, prefix.trie_node, letter)
        if prefix.hot_node >= 0:
            prefix.hot_node = find_child(words.hot, prefix.hot_node, letter)
            if prefix.hot_node >= 0:
                prefix.lm_score += words.hot[prefix.hot_node].begun
        if not known:
            lm = -config.oov_symbol_cost
        elif not is_known(prefix):
            lm = -math.inf
            if config.mode == LanguageMode.WORDS:
                lm = unk_log_prob(prefix, config, tables) - config.oov_symbol_cost * (prefix.letters + 1)
        prefix.state = state
        prefix.letters += 1
        prefix.word_log_prob = math.nan
    prefix.lm_log_prob += lm
    prefix.words += complete
    prefix.lm_score += config.alpha * lm + config.beta * complete if lm > -math.inf else lm


@njit()
def is_known(prefix):
    """Whether a known word or a hot word begins like the current one."""
    return prefix.trie_node >= 0 or prefix.hot_node >= 0


@njit()
def symbol_gain(prefix, symbol, config, tables, words, copy):
    """The gain of any symbol; 0 where it may not stand. `copy` (1,) is overwritten."""
    if prefix.letters > 0 and config.mode >= LanguageMode.WORDS:
        word_log_prob(prefix, config, tables, words)  # kept for other symbols and the next frames
    copy[0] = prefix
    append_symbol(copy[0], symbol, config, tables, words)
    return gain(copy[0].lm_score - prefix.lm_score)


@njit()
def character_log_prob(prefix, symbol, config, tables, words):
    """log p(symbol | state), and the state after it."""
    child = find_child(words.trie, 0, symbol)
    log_prob, state = score(tables, prefix.state, words.trie[child].word if child >= 0 else UNKNOWN)
    return log_prob - (config.oov_symbol_cost if child < 0 else 0.0), state


@njit()
def character_gain(prefix, symbol, config, tables, words):
    log_gain = config.alpha * character_log_prob(prefix, symbol, config, tables, words)[0]
    return gain(log_gain + config.beta if symbol == config.space and prefix.letters > 0 else log_gain)


@njit()
def unk_log_prob(prefix, config, tables):
    """log P(<unk> | state)."""
    if math.isnan(prefix.unk_log_prob):
        prefix.unk_log_prob = score(tables, prefix.state, UNKNOWN)[0]
        prefix.unk_gain = gain(config.alpha * prefix.unk_log_prob)
    return prefix.unk_log_prob


@njit()
def word_log_prob(prefix, config, tables, words):
    """log p of the word that ends here, minus what was charged already; -inf where no word may end."""
    if math.isnan(prefix.word_log_prob):
        number = words.trie[prefix.trie_node].word if prefix.trie_node >= 0 else -1
        is_hot = prefix.hot_node >= 0 and words.hot[prefix.hot_node].word >= 0
        prefix.word_log_prob, prefix.next_state = score(tables, prefix.state, max(number, UNKNOWN))
        if not is_known(prefix):
            prefix.word_log_prob = 0
        elif is_hot:
            pass
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
def space_gain(prefix, config, tables, words):
    """The gain of a space after a word that is not hot; 0 where none is allowed."""
    if prefix.letters == 0:
        return 1.0 if config.mode == LanguageMode.OPEN else 0.0
    if config.mode == LanguageMode.OPEN or prefix.trie_node < 0:
        return math.exp(config.beta)
    word_log_prob(prefix, config, tables, words)
    return prefix.space_gain


@njit()
def end_score(prefix, complete, config, tables, words):
    """log P_lm of the finished text with </s>, and its score; `complete`: its last letters are a word."""
    word, state, hot = 0.0, prefix.state, prefix.hot_score
    if complete and config.mode != LanguageMode.CHARACTERS:
        word, state = word_log_prob(prefix, config, tables, words), prefix.next_state
    if complete and prefix.hot_node >= 0:
        hot += words.hot[prefix.hot_node].weight
    if word == -math.inf:
        return word, word
    lm = prefix.lm_log_prob + word + score(tables, state, END)[0]
    return lm, prefix.log_prob + config.alpha * lm + config.beta * (prefix.words + complete) + hot
