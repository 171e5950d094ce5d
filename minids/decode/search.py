"""The search of plain.py on flat arrays: all alignments of all prefixes, a frame at a time.

What makes it fast, while the sums stay those of the plain one:

- A prefix is a node of a tree that only grows; an entry of the beam is a record that knows its node. A longer
  prefix is reached from its parent alone, so to merge equal texts is to look whether that node is in the beam.
- A prefix's mass is kept as its logarithm, the masses of its children that are not in the beam (`ghosts`: what
  the plain search calls discarded) as multiples of their parent's. So a frame costs a multiplication and an
  addition for each child, and a logarithm only for each prefix that stays.
- Whether a child is likely enough for the beam is asked before what its words cost: the language model is asked
  once for each prefix that a space might follow, and only when one might.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from minids.decode.lexicon import END, UNKNOWN, Trie
from minids.lm.query import Tables, score
from minids.text import BLANK


OPEN, WORDS, CLOSED = 0, 1, 2  # all texts; known and unknown words; a lexicon's words alone
PARENT, SYMBOL, CHILD, SIBLING, PLACE = range(5)  # of a node; its place in the beam, or -1

ENTRY = np.dtype(
    [
        ("log_prob", "f8"),  # log (p_b + p_nb)
        ("blank", "f8"),  # p_b's share of it
        ("letter", "f8"),  # p_nb's share
        ("worth", "f8"),  # α lm + β words
        ("lm", "f8"),  # log P_lm of what is finished, or is no known word's beginning
        ("scale", "f8"),  # from what it had a frame ago, in which its ghosts are counted, to what it has now
        ("unknown", "f8"),  # log P(<unk>|state), NaN until somebody asks
        ("ending", "f8"),  # what the word would add to lm if it ended here, NaN until somebody asks
        ("node", "i4"),
        ("last", "i4"),  # its last symbol; the blank, of the empty prefix
        ("row", "i4"),  # of its ghosts; -1 when it has none
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
    symbol_threshold: float
    beam_threshold: float


@njit(cache=True, nogil=True)
def search(y, rules, tables, trie, width):
    """Probabilities (T, K) -> (entries of the last beam, nodes): what `ranked` makes texts of."""
    T, K = y.shape
    beam, following = np.empty(width, ENTRY), np.empty(width, ENTRY)
    dropped, dropouts = np.empty(width, ENTRY), 0
    ghosts, older = np.empty((width, K, 2)), np.empty((width, K, 2))  # p_b and p_nb
    symbols, column, older_column = np.empty(K, np.int32), np.full(K, -1, np.int32), np.full(K, -1, np.int32)
    keys, scratch, child = np.empty(width * K), np.empty(width * K), np.empty(width * K, np.int32)
    stays = np.empty((width, 2))
    nodes = np.full((1024, 5), -1, np.int32)
    n, node_count = 1, 1
    _begin(beam[0], tables)
    nodes[0, PLACE] = 0
    for t in range(T):
        m = _worth_looking_at(y[t], rules.symbol_threshold, symbols, column)
        _stay(y[t], beam[:n], nodes, column, stays)
        _haunt(y[t], beam[:n], symbols[:m], older_column, older, ghosts)
        _haunt_dropped(y[t], beam[:n], dropped[:dropouts], nodes, column, ghosts)
        _lay_members(beam[:n], nodes, column, ghosts)
        count = _candidates(beam[:n], stays, symbols[:m], ghosts, rules, tables, trie, width, keys, child)
        cut = keys[:count].max() * math.exp(-rules.beam_threshold)
        if count > width:
            scratch[:count] = keys[:count]
            cut = max(cut, kth_largest(scratch[:count], width))
        ties = width  # how many of those at the cut still fit in
        for i in range(count):
            ties -= keys[i] > cut
        if node_count + width > len(nodes):
            grown = np.full((2 * (node_count + width), 5), -1, np.int32)
            grown[:node_count] = nodes[:node_count]
            nodes = grown
        for i in range(n):
            nodes[beam[i].node, PLACE] = -1
        size, dropouts = 0, 0
        for i in range(count):
            if keys[i] < cut or (keys[i] == cut and ties <= 0) or keys[i] == 0:
                if i < n:
                    dropped[dropouts] = beam[i]
                    _hold(dropped[dropouts], stays[i], i)
                    dropouts += 1
                continue
            ties -= keys[i] == cut
            if i < n:
                following[size] = beam[i]
                _hold(following[size], stays[i], i)
            else:
                parent, k = child[i] // m, child[i] % m
                following[size] = beam[parent]
                _extend(following[size], symbols[k], ghosts[parent, k], rules, tables, trie)
                node_count = _find_node(nodes, node_count, following[size])
            nodes[following[size].node, PLACE] = size
            size += 1
        beam, following, n = following, beam, size
        ghosts, older = older, ghosts
        column, older_column = older_column, column
    return beam[:n].copy(), nodes[:node_count].copy()


@njit(cache=True, nogil=True)
def ranked(beam, nodes, rules, tables, trie, n_best):
    """The last beam as texts, best first: scores, log_prob, lm (n,), labels (n, longest), lengths (n,).

    By words a text with a space at its end is the same text as without; a lexicon's last word must be whole, and
    is cut off where no prefix of the beam has a whole one.
    """
    n = len(beam)
    lm, worth, cut = np.empty(n), np.full(n, -math.inf), np.zeros(n, np.int32)
    for i in range(n):
        nodes[beam[i].node, PLACE] = i
    for i in range(n):
        if rules.mode != OPEN and beam[i].last == rules.space and beam[i].words > 0:
            cut[i] = 1
            place = nodes[nodes[beam[i].node, PARENT], PLACE]
            if place >= 0:
                beam[place].log_prob = _add(beam[place].log_prob, beam[i].log_prob)
                beam[i].log_prob = -math.inf
    for i in range(n):
        lm[i], worth[i] = _end(beam[i], beam[i].letters > 0, rules, tables, trie)
    if worth.max() == -math.inf:
        n_best = 1
        for i in range(n):
            cut[i] = beam[i].letters + (beam[i].words > 0)
            lm[i], worth[i] = _end(beam[i], False, rules, tables, trie)
    order = np.argsort(-worth)[:n_best]
    order = order[worth[order] > -math.inf]
    log_prob, lengths = np.empty(len(order)), np.empty(len(order), np.int32)
    for j in range(len(order)):
        log_prob[j] = beam[order[j]].log_prob
        lengths[j] = _depth(nodes, beam[order[j]].node) - cut[order[j]]
    labels = np.zeros((len(order), lengths.max() if len(order) else 0), np.int32)
    for j in range(len(order)):
        node = beam[order[j]].node
        for _ in range(cut[order[j]]):
            node = nodes[node, PARENT]
        for u in range(lengths[j] - 1, -1, -1):
            labels[j, u] = nodes[node, SYMBOL]
            node = nodes[node, PARENT]
    return worth[order], log_prob, lm[order], labels, lengths


@njit(cache=True)
def _end(entry, word, rules, tables, trie):
    """log P_lm of an entry's text with its end, and its score; `word`: whether its last letters are one."""
    ending = _ending(entry, rules, tables, trie) if word else 0.0
    if ending == -math.inf:
        return ending, ending
    lm = entry.lm + ending + score(tables, entry.after if word else entry.state, END)[0]
    return lm, entry.log_prob + rules.alpha * lm + rules.beta * (entry.words + word)


@njit(cache=True)
def _add(a, b):
    """log(exp a + exp b)."""
    highest = max(a, b)
    return (
        highest + math.log(math.exp(a - highest) + math.exp(b - highest)) if highest > -math.inf else highest
    )


@njit(cache=True)
def _depth(nodes, node):
    depth = 0
    while nodes[node, PARENT] >= 0:
        node, depth = nodes[node, PARENT], depth + 1
    return depth


@njit(cache=True)
def _begin(entry, tables):
    """The empty prefix: all mass on it, before the first word of a sentence."""
    entry.log_prob, entry.blank, entry.letter, entry.worth, entry.lm, entry.scale = 0, 1, 0, 0, 0, 1
    entry.node, entry.last, entry.row, entry.words = 0, BLANK, -1, 0
    _new_word(entry, tables.begin)


@njit(cache=True)
def _new_word(entry, state):
    entry.state, entry.trie, entry.letters = state, 0, 0
    entry.unknown = entry.ending = math.nan


@njit(cache=True)
def _worth_looking_at(y_t, threshold, symbols, column):
    """The symbols, but for the blank, that this frame may add to a prefix, and of each its place among them."""
    least = y_t.max() * math.exp(-threshold)
    m = 0
    for c in range(len(y_t)):
        column[c] = -1
        if c != BLANK and y_t[c] > 0 and y_t[c] >= least:
            symbols[m], column[c] = c, m
            m += 1
    return m


@njit(cache=True)
def _stay(y_t, beam, nodes, column, stays):
    """p_b and p_nb of the prefixes of the beam after this frame, in what each had before it.

    p_b = y(blank) (p_b + p_nb);  p_nb = y(last) p_nb, and what the parent brings when it is in the beam, too.
    """
    for i in range(len(beam)):
        entry = beam[i]
        stays[i, 0] = y_t[BLANK]
        stays[i, 1] = y_t[entry.last] * entry.letter
        parent = nodes[entry.node, PARENT]
        place = nodes[parent, PLACE] if parent >= 0 else -1
        if place >= 0 and column[entry.last] >= 0:
            mass = beam[place].blank if beam[place].last == entry.last else 1.0
            stays[i, 1] += y_t[entry.last] * mass * math.exp(beam[place].log_prob - entry.log_prob)


@njit(cache=True)
def _haunt(y_t, beam, symbols, older_column, older, ghosts):
    """p_b and p_nb of every child of the beam's prefixes after this frame, in what its parent had before it.

    p_b = y(blank) (p_b + p_nb);  p_nb = y(c) p_nb + y(c) (1, or p_b of the parent when c repeats its last).
    """
    blank = y_t[BLANK]
    for i in range(len(beam)):
        row, scale = beam[i].row, beam[i].scale
        for k in range(len(symbols)):
            y_c, old = y_t[symbols[k]], older_column[symbols[k]]
            fresh = y_c * beam[i].blank if symbols[k] == beam[i].last else y_c
            if row >= 0 and old >= 0:
                ghosts[i, k, 0] = blank * scale * (older[row, old, 0] + older[row, old, 1])
                ghosts[i, k, 1] = y_c * scale * older[row, old, 1] + fresh
            else:
                ghosts[i, k, 0], ghosts[i, k, 1] = 0, fresh


@njit(cache=True)
def _haunt_dropped(y_t, beam, dropped, nodes, column, ghosts):
    """A prefix that the frame before dropped, and whose parent stayed, is from now on a ghost of that."""
    for i in range(len(dropped)):
        ghost = dropped[i]
        parent = nodes[ghost.node, PARENT]
        place, k = nodes[parent, PLACE] if parent >= 0 else -1, column[ghost.last]
        if place >= 0 and k >= 0:
            ratio = math.exp(ghost.log_prob - beam[place].log_prob)
            ghosts[place, k, 0] += y_t[BLANK] * ratio
            ghosts[place, k, 1] += y_t[ghost.last] * ghost.letter * ratio


@njit(cache=True)
def _lay_members(beam, nodes, column, ghosts):
    """A child that is in the beam is no ghost: `_stay` has counted it."""
    for i in range(len(beam)):
        parent = nodes[beam[i].node, PARENT]
        place, k = nodes[parent, PLACE] if parent >= 0 else -1, column[beam[i].last]
        if place >= 0 and k >= 0:
            ghosts[place, k] = 0


@njit(cache=True)
def _candidates(beam, stays, symbols, ghosts, rules, tables, trie, width, keys, child):
    """How good, relative to the best before, each prefix of the beam is now (the first keys), and each child.

    Of the children only those that might get into the next beam; child holds row × symbols + column of each.
    """
    n, m = len(beam), len(symbols)
    top = -math.inf
    for i in range(n):
        top = max(top, beam[i].log_prob + beam[i].worth)
    best, least = 0.0, math.inf
    for i in range(n):
        keys[i] = math.exp(beam[i].log_prob + beam[i].worth - top) * (stays[i, 0] + stays[i, 1])
        best, least = max(best, keys[i]), min(least, keys[i])
    cut = best * math.exp(-rules.beam_threshold)
    if n == width:  # as many are better already
        cut = max(cut, least)
    bonus = math.exp(max(rules.beta, 0.0))
    count = n
    for i in range(n):
        entry = beam[i]
        unit = math.exp(entry.log_prob + entry.worth - top)
        for k in range(m):
            key = unit * (ghosts[i, k, 0] + ghosts[i, k, 1])
            if key * bonus <= cut:
                continue
            key *= _gain(entry, symbols[k], rules, tables, trie)
            if key > cut:
                keys[count], child[count] = key, i * m + k
                count += 1
    return count


@njit(cache=True)
def _gain(entry, symbol, rules, tables, trie):
    """exp(α lm + β words) that a symbol adds to a prefix; 0 where it is not allowed."""
    if symbol == rules.space:
        if entry.letters == 0:
            return 1.0 if rules.mode == OPEN else 0.0
        ending = _ending(entry, rules, tables, trie)
        return math.exp(rules.alpha * ending + rules.beta) if ending > -math.inf else 0.0
    if rules.mode == OPEN:
        return 1.0
    if entry.trie < 0:
        return math.exp(-rules.alpha * rules.letter_cost)
    if find_child(trie, entry.trie, symbol) >= 0:
        return 1.0
    if rules.mode == CLOSED:
        return 0.0
    return math.exp(rules.alpha * (_unknown(entry, tables) - rules.letter_cost * (entry.letters + 1)))


@njit(cache=True)
def _unknown(entry, tables):
    if math.isnan(entry.unknown):
        entry.unknown = score(tables, entry.state, UNKNOWN)[0]
    return entry.unknown


@njit(cache=True)
def _ending(entry, rules, tables, trie):
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
    return entry.ending


@njit(cache=True)
def _hold(entry, stay, row):
    """An entry after a frame in which it did not grow."""
    mass = stay[0] + stay[1]
    entry.log_prob += math.log(mass) if mass > 0 else -math.inf
    entry.scale = 1 / mass if mass > 0 else 0
    entry.blank, entry.letter = stay[0] * entry.scale, stay[1] * entry.scale
    entry.row = row


@njit(cache=True)
def _extend(entry, symbol, ghost, rules, tables, trie):
    """An entry turned into its child, of which `ghost` is p_b and p_nb."""
    mass = ghost[0] + ghost[1]
    entry.log_prob += math.log(mass)
    entry.blank, entry.letter, entry.row = ghost[0] / mass, ghost[1] / mass, -1
    lm, words = 0.0, 0
    if symbol == rules.space:
        if entry.letters > 0:
            lm, words = _ending(entry, rules, tables, trie), 1
        _new_word(entry, entry.after if entry.letters > 0 else entry.state)
    else:
        if entry.trie >= 0 and rules.mode != OPEN:
            entry.trie = find_child(trie, entry.trie, symbol)
            if entry.trie < 0:
                lm = _unknown(entry, tables) - rules.letter_cost * (entry.letters + 1)
        elif rules.mode != OPEN:
            lm = -rules.letter_cost
        entry.letters += 1
        entry.ending = math.nan
    entry.lm += lm
    entry.words += words
    entry.worth += rules.alpha * lm + rules.beta * words
    entry.last = symbol


@njit(cache=True)
def _find_node(nodes, count, entry):
    """Move an entry to its node's child of its last symbol, which is made if there is none; the number of nodes."""
    parent = entry.node
    node = nodes[parent, CHILD]
    while node >= 0 and nodes[node, SYMBOL] != entry.last:
        node = nodes[node, SIBLING]
    if node < 0:
        node, count = count, count + 1
        nodes[node, PARENT], nodes[node, SYMBOL] = parent, entry.last
        nodes[node, SIBLING], nodes[parent, CHILD] = nodes[parent, CHILD], node
    entry.node = node
    return count


@njit(cache=True)
def find_child(trie, node, symbol):
    """The node behind a symbol, or -1."""
    low, high = trie.first[node], trie.first[node + 1]
    while low < high:
        middle = (low + high) // 2
        if trie.symbol[middle] < symbol:
            low = middle + 1
        else:
            high = middle
    return low if low < trie.first[node + 1] and trie.symbol[low] == symbol else -1


@njit(cache=True)
def kth_largest(values, k):
    """The k-th largest (k ≥ 1) by Hoare's selection; `values` are put into another order."""
    low, high = 0, len(values) - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    return values[k - 1]
