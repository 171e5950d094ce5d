"""The search of plain.py on flat arrays: all alignments of all prefixes, a frame at a time.

What makes it fast, while the sums stay those of the plain one:

- A prefix is a node of a tree that only grows, an entry of the beam a record that knows its node. A prefix is
  reached from its parent alone, so to merge equal texts is to look whether that node is in the beam.
- A prefix's mass is kept as its logarithm, the masses of its children that are not in the beam (`Children`;
  the plain search calls them discarded) as multiples of their parent's. So a frame costs a multiplication and
  an addition for each child, and a logarithm only for each prefix that stays.
- Words make no prefix likelier, but for β. So a child is first asked whether it is likely enough for the beam
  as it is; the trie and the language model are asked for the few that are.

Within a frame masses are plain numbers, so one of less than 1e-300 of its prefix's is none.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from minids.decode.entry import (
    CHARACTERS,
    ENTRY,
    OPEN,
    WORDS,
    begin,
    character_gain,
    extend,
    find_child,
    hold,
    space_gain,
    unknown,
)
from minids.decode.tree import PLACE, find_node, more_nodes, place_of_parent
from minids.text import BLANK

FURTHEST = 600.0  # nats under the best prefix, where any is dropped: exp of more is no float64


class Children(NamedTuple):
    """p_b and p_nb of the beam's children, one row a prefix, in what their parent had before the frame.

    A column for every symbol that the frame may add, and a last one of zeros for all others.
    """

    blank: np.ndarray  # (width, K + 1)
    letter: np.ndarray  # (width, K + 1)
    column: np.ndarray  # (K,) of a symbol


@njit(cache=True, nogil=True)
def search(y, rules, tables, trie, width):
    """Probabilities (T, K) -> (entries of the last beam, nodes): what `ranked` makes texts of."""
    T, K = y.shape
    beam, following = np.empty(width, ENTRY), np.empty(width, ENTRY)
    dropped, dropouts = np.empty(width, ENTRY), 0
    now, before = _no_children(width, K), _no_children(width, K)
    mass, most, stays = np.empty((width, K)), np.empty(width), np.empty((width, 2))
    most_keys = width * K + 1  # `_add` writes one more than there are
    keys, scratch, child = np.empty(most_keys), np.empty(most_keys), np.empty(most_keys, np.int32)
    symbols = np.empty(K, np.int32)
    nodes = more_nodes(np.full((1, 5), -1, np.int32), width)
    n, node_count = 1, 1
    begin(beam[0], tables)
    nodes[0, PLACE] = 0
    for t in range(T):
        if n == 0:  # a lexicon has no word for what is sure to have been said
            break
        m = _worth_looking_at(y[t], rules.token_min_logp, symbols, now.column)
        _stay(y[t], beam[:n], nodes, now.column, stays)
        _grow(y[t], beam[:n], symbols[:m], before, now, mass, most)
        _take_dropped(y[t], beam[:n], dropped[:dropouts], nodes, now, mass, most)
        _leave_members(beam[:n], nodes, now, mass)
        count = _candidates(
            beam[:n], stays, symbols[:m], now.column, mass, most, rules, tables, trie, width, keys, child
        )
        cut = keys[:count].max() * math.exp(-min(rules.beam_prune_logp, FURTHEST))
        if count > width:
            scratch[:count] = keys[:count]
            cut = max(cut, kth_largest(scratch[:count], width))
        ties = width  # how many of those at the cut still fit in
        for i in range(count):
            ties -= keys[i] > cut

        if node_count + width > len(nodes):
            nodes = more_nodes(nodes[:node_count], width)
        for i in range(n):
            nodes[beam[i].node, PLACE] = -1
        size, dropouts = 0, 0
        for i in range(count):
            stays_in = keys[i] > cut or (keys[i] == cut and ties > 0 and keys[i] > 0)
            if stays_in:
                ties -= keys[i] == cut
                if i < n:
                    following[size] = beam[i]
                    hold(following[size], stays[i, 0], stays[i, 1], i)
                else:
                    row, k = child[i] // m, child[i] % m
                    following[size] = beam[row]
                    extend(
                        following[size],
                        symbols[k],
                        now.blank[row, k],
                        now.letter[row, k],
                        rules,
                        tables,
                        trie,
                    )
                    node_count = find_node(nodes, node_count, following[size])
                nodes[following[size].node, PLACE] = size
                size += 1
            elif i < n:
                dropped[dropouts] = beam[i]
                hold(dropped[dropouts], stays[i, 0], stays[i, 1], i)
                dropouts += 1
        beam, following, n = following, beam, size
        now, before = before, now
    return beam[:n].copy(), nodes[:node_count].copy()


@njit(cache=True)
def _no_children(width, K):
    blank, letter = np.empty((width, K + 1)), np.empty((width, K + 1))
    return Children(blank, letter, np.full(K, K, np.int32))


@njit(cache=True)
def _worth_looking_at(y_t, threshold, symbols, column):
    """The symbols, but for the blank, that this frame may add to a prefix; of each its column."""
    K = len(y_t)
    least = y_t.max() * math.exp(-threshold)
    m = 0
    for c in range(K):
        column[c] = K
        if c != BLANK and y_t[c] > 0 and y_t[c] >= least:
            symbols[m], column[c] = c, m
            m += 1
    return m


@njit(cache=True)
def _ratio(entry, other):
    """What an entry has in what another has; finite also where one of them is next to nothing."""
    return math.exp(min(entry.log_prob - other.log_prob, FURTHEST))


@njit(cache=True)
def _stay(y_t, beam, nodes, column, stays):
    """p_b and p_nb of the beam's prefixes after this frame, in what each had before it.

    p_b = y(blank) (p_b + p_nb);  p_nb = y(last) p_nb, and what the parent brings when it is in the beam, too.
    """
    for i in range(len(beam)):
        entry = beam[i]
        stays[i, 0] = y_t[BLANK]
        stays[i, 1] = y_t[entry.last] * entry.letter
        parent = place_of_parent(entry, nodes)
        if parent >= 0 and column[entry.last] < len(y_t):
            mass = beam[parent].blank if beam[parent].last == entry.last else 1.0
            stays[i, 1] += y_t[entry.last] * mass * _ratio(beam[parent], entry)


@njit(cache=True)
def _grow(y_t, beam, symbols, before, now, mass, most):
    """p_b and p_nb of all children of the beam's prefixes after this frame.

    p_b = y(blank) (p_b + p_nb);  p_nb = y(c) p_nb + y(c) (1, or p_b of the parent when c repeats its last).
    """
    K, m = len(y_t), len(symbols)
    likely, past = np.empty(m), np.empty(m, np.uint32)
    for k in range(m):
        likely[k], past[k] = y_t[symbols[k]], before.column[symbols[k]]
    for i in range(len(beam)):
        entry = beam[i]
        blank, letter = now.blank[i], now.letter[i]
        blank[K] = letter[K] = 0
        if entry.row < 0:
            for k in range(m):
                blank[k], letter[k] = 0, likely[k]
        else:
            _age(
                before.blank[entry.row],
                before.letter[entry.row],
                past,
                likely,
                y_t[BLANK],
                entry.scale,
                blank,
                letter,
            )
        k = now.column[entry.last]
        if k < K:
            old = before.letter[entry.row, past[k]] * entry.scale if entry.row >= 0 else 0.0
            letter[k] = likely[k] * (old + entry.blank)
        most[i] = _sum(blank, letter, mass[i, :m])


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def _age(blank_before, letter_before, past, likely, y_blank, scale, blank, letter):
    for k in range(len(past)):
        old = letter_before[past[k]] * scale
        blank[k] = y_blank * (blank_before[past[k]] * scale + old)
        letter[k] = likely[k] * (old + 1.0)


@njit(cache=True, fastmath=True, error_model="numpy")
def _sum(blank, letter, mass):
    """p_b + p_nb of a row, and the greatest of it."""
    most = 0.0
    for k in range(len(mass)):
        mass[k] = blank[k] + letter[k]
        most = max(most, mass[k])
    return most


@njit(cache=True)
def _take_dropped(y_t, beam, dropped, nodes, now, mass, most):
    """A prefix that the frame before has dropped is one of its parent's children again, if that stayed."""
    for i in range(len(dropped)):
        entry = dropped[i]
        parent, k = place_of_parent(entry, nodes), now.column[entry.last]
        if parent >= 0 and k < len(y_t):
            ratio = _ratio(entry, beam[parent])
            now.blank[parent, k] += y_t[BLANK] * ratio
            now.letter[parent, k] += y_t[entry.last] * entry.letter * ratio
            mass[parent, k] = now.blank[parent, k] + now.letter[parent, k]
            most[parent] = max(most[parent], mass[parent, k])


@njit(cache=True)
def _leave_members(beam, nodes, now, mass):
    """A child that is in the beam itself is counted there."""
    for i in range(len(beam)):
        parent, k = place_of_parent(beam[i], nodes), now.column[beam[i].last]
        if parent >= 0 and k < len(now.column):
            now.blank[parent, k] = now.letter[parent, k] = mass[parent, k] = 0


@njit(cache=True)
def _candidates(beam, stays, symbols, column, mass, most, rules, tables, trie, width, keys, child):
    """How good, relative to the best before, each prefix of the beam is now (the first keys), and each child.

    Of the children only those that might get into the next beam: child holds row × symbols + column of each.
    """
    n, m, K = len(beam), len(symbols), len(column)
    top = -math.inf
    for i in range(n):
        top = max(top, beam[i].log_prob + beam[i].worth)
    units = np.empty(n)
    best, least = 0.0, math.inf
    for i in range(n):
        units[i] = math.exp(beam[i].log_prob + beam[i].worth - top)
        keys[i] = units[i] * (stays[i, 0] + stays[i, 1])
        best, least = max(best, keys[i]), min(least, keys[i])
    cut = best * math.exp(-rules.beam_prune_logp)
    if n == width:  # as many are better already
        cut = max(cut, least)

    count, bonus, letter = n, math.exp(max(rules.beta, 0.0)), math.exp(-rules.alpha * rules.letter_cost)
    space = column[rules.space]
    for i in range(n):
        entry, unit, row = beam[i], units[i], mass[i]
        if unit * most[i] * bonus <= cut:
            continue
        if rules.mode == CHARACTERS:
            for k in range(m):
                key = unit * row[k]
                if key * bonus > cut:
                    key *= character_gain(entry, symbols[k], rules, tables, trie)
                    count = _add(keys, child, count, key, cut, i * m + k)
            continue
        if space < K:
            key = unit * row[space]
            bound = bonus
            if rules.mode == WORDS and entry.trie >= 0 and trie.word[entry.trie] < 0:
                bound *= letter**entry.letters  # it would end as an unknown word
            if key * bound > cut:
                key *= space_gain(entry, rules, tables, trie)
                count = _add(keys, child, count, key, cut, i * m + space)
            row[space] = 0
        if rules.mode == OPEN or entry.trie < 0:
            if rules.mode != OPEN:
                unit *= letter
            for k in range(m):
                count = _add(keys, child, count, unit * row[k], cut, i * m + k)
            continue
        for node in range(trie.first[entry.trie], trie.first[entry.trie + 1]):
            k = column[trie.symbol[node]]
            if k < K:
                count = _add(keys, child, count, unit * row[k], cut, i * m + k)
        if rules.mode == WORDS and unit * most[i] * letter > cut:
            unknown(entry, rules, tables)
            unit *= entry.unknown_gain * letter ** (entry.letters + 1)
            if unit * most[i] > cut:
                for k in range(m):
                    if unit * row[k] > cut and find_child(trie, entry.trie, symbols[k]) < 0:
                        count = _add(keys, child, count, unit * row[k], cut, i * m + k)
    return count


@njit(cache=True, inline="always")
def _add(keys, child, count, key, cut, number):
    """Without a branch, which would be guessed wrong every other time."""
    keys[count], child[count] = key, number
    return count + (key > cut)


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
