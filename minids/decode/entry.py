"""An entry of the beam: a prefix, the mass of its alignments, and where it stands among the words."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from minids.lm.scorer import score
from minids.lm.vocabulary import END, UNKNOWN
from minids.text import BLANK

OPEN, CHARACTERS, WORDS, CLOSED = range(4)  # all texts; all, by a model of characters; of words; a lexicon's

ENTRY = np.dtype(
    [
        ("log_prob", "f8"),  # log (p_b + p_nb)
        ("blank", "f8"),  # p_b's share of it
        ("letter", "f8"),  # p_nb's share
        ("worth", "f8"),  # α lm + β words
        ("lm", "f8"),  # log P_lm of what is finished, or is no known word's beginning
        ("scale", "f8"),  # what it had a frame ago in what it has now
        ("ending", "f8"),  # what the word would add to lm if it ended here, NaN until somebody asks
        ("space_gain", "f8"),  # exp(α ending + β), once `ending` is known
        ("unknown", "f8"),  # log P(<unk>|state), NaN until somebody asks
        ("unknown_gain", "f8"),  # exp(α unknown), once that is known
        ("node", "i4"),
        ("last", "i4"),  # its last symbol; the blank, of the empty prefix
        ("row", "i4"),  # of its children a frame ago; -1 when it was not in the beam
        ("state", "i4"),  # of the language model before the word that is being spelled
        ("after", "i4"),  # and behind it, once `ending` is known
        ("trie", "i4"),  # where that word is in the trie; -1 when no known word begins so
        ("letters", "i4"),  # of that word
        ("words", "i4"),  # before it
    ],
    align=True,
)


class Rules(NamedTuple):
    """What a search goes by. `space` ends words; it is the blank in an alphabet without one."""

    mode: int
    space: int
    alpha: float
    beta: float
    letter_cost: float
    token_min_logp: float
    beam_prune_logp: float


@njit(cache=True)
def begin(entry, tables):
    """The empty prefix: all mass on it, before the first word of a sentence."""
    entry.log_prob, entry.blank, entry.letter, entry.worth, entry.lm, entry.scale = 0, 1, 0, 0, 0, 1
    entry.node, entry.last, entry.row, entry.words = 0, BLANK, -1, 0
    _new_word(entry, tables.begin)


@njit(cache=True)
def _new_word(entry, state):
    entry.state, entry.trie, entry.letters = state, 0, 0
    entry.unknown = entry.ending = math.nan


@njit(cache=True)
def hold(entry, blank, letter, row):
    """A frame in which the prefix did not grow: its p_b and p_nb now, in what it had before."""
    mass = blank + letter
    entry.log_prob += math.log(mass) if mass > 0 else -math.inf
    entry.scale = 1 / mass if mass > 0 else 0
    entry.blank, entry.letter = blank * entry.scale, letter * entry.scale
    entry.row = row


@njit(cache=True)
def extend(entry, symbol, blank, letter, rules, tables, trie):
    """An entry becomes its child: p_b and p_nb of that, in what the parent had before the frame."""
    mass = blank + letter
    entry.log_prob += math.log(mass)
    entry.blank, entry.letter, entry.row = blank / mass, letter / mass, -1
    lm, words = 0.0, 0
    if rules.mode == CHARACTERS:
        lm, entry.state = character(entry, symbol, rules, tables, trie)
        words = int(symbol == rules.space and entry.letters > 0)
        entry.letters = 0 if symbol == rules.space else entry.letters + 1
    elif symbol == rules.space:
        state = entry.state
        if entry.letters > 0:
            lm, words, state = ending(entry, rules, tables, trie), 1, entry.after
        _new_word(entry, state)
    else:
        if entry.trie < 0:
            lm = -rules.letter_cost
        elif rules.mode != OPEN:
            entry.trie = find_child(trie, entry.trie, symbol)
            if entry.trie < 0:
                lm = unknown(entry, rules, tables) - rules.letter_cost * (entry.letters + 1)
        entry.letters += 1
        entry.ending = math.nan
    entry.lm += lm
    entry.words += words
    entry.worth += rules.alpha * lm + rules.beta * words
    entry.last = symbol


@njit(cache=True)
def character(entry, symbol, rules, tables, trie):
    """log p(symbol|state), and the state behind it."""
    child = find_child(trie, 0, symbol)
    log_prob, state = score(tables, entry.state, trie.word[child] if child >= 0 else UNKNOWN)
    return log_prob - (rules.letter_cost if child < 0 else 0.0), state


@njit(cache=True)
def character_gain(entry, symbol, rules, tables, trie):
    """exp(α lm + β words) that a symbol adds."""
    gain = rules.alpha * character(entry, symbol, rules, tables, trie)[0]
    return math.exp(gain + rules.beta if symbol == rules.space and entry.letters > 0 else gain)


@njit(cache=True)
def unknown(entry, rules, tables):
    """log P(<unk>|state)."""
    if math.isnan(entry.unknown):
        entry.unknown = score(tables, entry.state, UNKNOWN)[0]
        entry.unknown_gain = math.exp(rules.alpha * entry.unknown)
    return entry.unknown


@njit(cache=True)
def ending(entry, rules, tables, trie):
    """log p of the word that ends here, as far as it is not charged yet; -inf where none may."""
    if math.isnan(entry.ending):
        number = trie.word[entry.trie] if entry.trie >= 0 else -1
        entry.ending, entry.after = score(tables, entry.state, max(number, UNKNOWN))
        if entry.trie < 0:
            entry.ending = 0
        elif number < 0 and rules.mode == CLOSED:
            entry.ending = -math.inf
        elif number <= UNKNOWN:
            entry.ending -= rules.letter_cost * entry.letters
        gain = rules.alpha * entry.ending + rules.beta if entry.ending > -math.inf else -math.inf
        entry.space_gain = math.exp(gain)
    return entry.ending


@njit(cache=True)
def space_gain(entry, rules, tables, trie):
    """exp(α lm + β words) that a space adds; 0 where it is not allowed."""
    if entry.letters == 0:
        return 1.0 if rules.mode == OPEN else 0.0
    if rules.mode == OPEN or entry.trie < 0:
        return math.exp(rules.beta)
    ending(entry, rules, tables, trie)
    return entry.space_gain


@njit(cache=True)
def end(entry, in_word, rules, tables, trie):
    """log P_lm of an entry's text with its end, and its score; `in_word`: its last letters are a word."""
    last, state = 0.0, entry.state
    if in_word and rules.mode != CHARACTERS:
        last, state = ending(entry, rules, tables, trie), entry.after
    if last == -math.inf:
        return last, last
    lm = entry.lm + last + score(tables, state, END)[0]
    return lm, entry.log_prob + rules.alpha * lm + rules.beta * (entry.words + in_word)


@njit(cache=True)
def find_child(trie, node, symbol):
    """The node behind a symbol, or -1."""
    low, last = trie.first[node], trie.first[node + 1]
    high = last
    while low < high:
        middle = (low + high) // 2
        if trie.symbol[middle] < symbol:
            low = middle + 1
        else:
            high = middle
    return low if low < last and trie.symbol[low] == symbol else -1
