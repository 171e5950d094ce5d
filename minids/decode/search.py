"""The search of reference.py on flat arrays, compiled.

It computes the same sums as the reference. Three things make it fast:

- Prefixes are nodes of a tree that only grows. A prefix is reached from its parent alone, so texts are merged
  by looking up whether their node is in the beam.
- Within a frame probabilities are plain numbers relative to their prefix's own (anything below 1e-300 is 0),
  those of children outside the beam relative to their parent's. A child costs one multiplication and one
  addition per frame, and only prefixes that enter the beam take a logarithm.
- Words only lower a score, except for β. So a child is first tested without them, and the trie and the
  language model are consulted only for the few that could enter the beam.
"""

import math
from typing import NamedTuple

import numpy as np

from minids.decode import njit
from minids.decode.lexicon import LanguageMode, find_child
from minids.decode.prefix import (
    MIN_GAIN,
    PREFIX,
    append_symbol,
    begin_word,
    character_gain,
    end_score,
    gain,
    space_gain,
    symbol_gain,
    unk_log_prob,
)
from minids.text import BLANK

MAX_INT32 = 2**31 - 1
MAX_NATS = 600.0  # below the best prefix; exp of more overflows

PARENT, SYMBOL, CHILD, SIBLING, POSITION = range(5)  # columns of a node; POSITION in the beam, or -1


class Children(NamedTuple):
    """p_b and p_nb of the children of the beam's prefixes, relative to their parent's probability before.

    A row for each prefix and a last one of zeros, for prefixes that were not in the beam; a column for each
    likely symbol of the frame, and one of zeros for all others.
    """

    blank: np.ndarray  # (width + 1, K + 1)
    nonblank: np.ndarray  # (width + 1, K + 1)
    column: np.ndarray  # (K,): the column of each symbol


@njit(nogil=True)
def search(y, config, tables, words, width, scores, labels, lengths):
    """Probabilities y (T, K) -> the number of texts found; see `finalize` for the output arrays."""
    T, K = y.shape
    if width * K > MAX_INT32:
        raise MemoryError("the beam is too wide for 32-bit indices")
    beam, next_beam = np.empty(width, PREFIX), np.empty(width, PREFIX)
    dropped, dropped_count = np.empty(width, PREFIX), 0
    current, previous = _no_children(width, K), _no_children(width, K)
    child_probs, max_child_prob, stay_probs = np.empty((width, K)), np.empty(width), np.empty((width, 2))
    max_candidates = width * K + 1  # `_append` writes one more than it counts
    keys, child = np.empty(max_candidates), np.empty(max_candidates, np.int32)
    symbols = np.empty(K, np.int32)
    nodes, node_count = _grow_tree(np.full((1, 5), -1, np.int32), width), 1
    nodes[0, POSITION] = 0
    _begin(beam[0], tables, config.hot_root)
    n = 1
    for t in range(T):
        if n == 0:  # the lexicon allows none of the symbols that are possible here
            break
        m = _likely_symbols(y[t], config.token_min_logp, symbols, current.column)
        _stay_probs(y[t], beam[:n], nodes, current.column, config, stay_probs)
        _extend_probs(y[t], beam[:n], symbols[:m], previous, current, config, child_probs, max_child_prob)
        _restore_dropped(
            y[t], beam[:n], dropped[:dropped_count], nodes, current, config, child_probs, max_child_prob
        )
        _clear_members(beam[:n], nodes, current, child_probs)
        count = _candidates(
            beam[:n],
            stay_probs,
            symbols[:m],
            current.column,
            child_probs,
            max_child_prob,
            config,
            tables,
            words,
            width,
            keys,
            child,
        )
        cut = keys[:count].max() * math.exp(max(config.beam_prune_logp, -MAX_NATS))
        if count > width:
            cut = max(cut, np.partition(keys[:count], count - width)[count - width])
        ties = width  # how many candidates equal to the cut still fit
        for i in range(count):
            ties -= keys[i] > cut

        if node_count + width > len(nodes):
            nodes = _grow_tree(nodes[:node_count], width)
        for i in range(n):
            nodes[beam[i].node, POSITION] = -1
        size, dropped_count = 0, 0
        for i in range(count):
            if keys[i] > cut or (keys[i] == cut and ties > 0 and keys[i] > 0):
                ties -= keys[i] == cut
                prefix = next_beam[size]
                if i < n:
                    next_beam[size] = beam[i]
                    _set_probs(prefix, stay_probs[i, 0], stay_probs[i, 1], i)
                else:
                    row, k = child[i] // m, child[i] % m
                    next_beam[size] = beam[row]
                    _set_probs(prefix, current.blank[row, k], current.nonblank[row, k], -1)
                    append_symbol(prefix, symbols[k], config, tables, words)
                    node_count = _move_to_child(nodes, node_count, prefix)
                nodes[prefix.node, POSITION] = size
                size += 1
            elif i < n:
                dropped[dropped_count] = beam[i]
                _set_probs(dropped[dropped_count], stay_probs[i, 0], stay_probs[i, 1], i)
                dropped_count += 1
        beam, next_beam, n = next_beam, beam, size
        current, previous = previous, current
    return finalize(beam[:n], nodes, config, tables, words, scores, labels, lengths)


@njit()
def finalize(beam, nodes, config, tables, words, scores, labels, lengths):
    """The texts of the last beam, best first; the return value is their number, at most len(lengths).

    scores (n, 3) receives score, log_prob and lm_log_prob of each text, labels (n, T) and lengths (n,) its
    symbols. By words, a text with a space at its end equals the one without, and their probabilities are
    added. With a lexicon, the last word must be complete. If no text ends in a complete word, -1 is returned
    with the best one, whose last word must be removed and whose scores be recomputed.

    Nothing is returned as a new array: to make one, Numba calls Python, which a Ctrl-C would interrupt.
    """
    n = len(beam)
    lm, score, cut = np.empty(n), np.empty(n), np.zeros(n, np.int32)
    for i in range(n):
        if (
            config.mode >= LanguageMode.WORDS
            and config.space_symbol != BLANK
            and beam[i].last == config.space_symbol
        ):
            cut[i] = 1
            parent = _parent_position(beam[i], nodes)
            if parent >= 0:
                beam[parent].log_prob = np.logaddexp(beam[parent].log_prob, beam[i].log_prob)
                beam[i].log_prob = -math.inf
    for i in range(n):
        lm[i], score[i] = end_score(beam[i], beam[i].letters > 0, config, tables, words)
    complete = n == 0 or score.max() > -math.inf
    if not complete:
        for i in range(n):
            lm[i], score[i] = end_score(beam[i], False, config, tables, words)
    order = np.argsort(-score)[: len(lengths) if complete else 1]
    order = order[score[order] > -math.inf]
    for rank in range(len(order)):
        i = order[rank]
        scores[rank, 0], scores[rank, 1], scores[rank, 2] = score[i], beam[i].log_prob, lm[i]
        lengths[rank] = _write_labels(nodes, beam[i].node, cut[i], labels[rank])
    return len(order) if complete else -1


# The probabilities of a frame.


@njit()
def _begin(prefix, tables, hot_root):
    """The empty prefix has probability 1, all of it in p_b."""
    prefix.log_prob, prefix.blank, prefix.nonblank, prefix.scale = 0, 1, 0, 1
    prefix.lm_score, prefix.lm_log_prob, prefix.hot_score, prefix.words = 0, 0, 0, 0
    prefix.node, prefix.last, prefix.row = 0, BLANK, -1
    begin_word(prefix, tables.begin, hot_root)


@njit()
def _set_probs(prefix, blank, nonblank, row):
    """Update a prefix to this frame; p_b and p_nb are relative to its or its parent's probability before."""
    total = blank + nonblank
    prefix.log_prob += math.log(total) if total > 0 else -math.inf
    prefix.scale = 1 / total if total > 0 else 0
    prefix.blank, prefix.nonblank, prefix.row = blank * prefix.scale, nonblank * prefix.scale, row


@njit()
def _no_children(width, K):
    children = Children(np.empty((width + 1, K + 1)), np.empty((width + 1, K + 1)), np.full(K, K, np.int32))
    for probs in (children.blank, children.nonblank):
        probs[width] = 0
        probs[:, K] = 0
    return children


@njit()
def _likely_symbols(y_t, token_min_logp, symbols, column):
    """The symbols, without the blank, that this frame may append to a prefix, and their columns."""
    K = len(y_t)
    lowest = y_t.max() * math.exp(token_min_logp)
    m = 0
    for c in range(K):
        column[c] = K
        if c != BLANK and y_t[c] > 0 and y_t[c] >= lowest:
            symbols[m], column[c] = c, m
            m += 1
    return m


@njit()
def _ratio(prefix, other):
    """The probability of a prefix relative to another's; finite even if the other's is almost 0."""
    return math.exp(min(prefix.log_prob - other.log_prob, MAX_NATS))


@njit()
def _stay_probs(y_t, beam, nodes, column, config, stay_probs):
    """p_b and p_nb of the beam's prefixes after this frame, relative to their probability before.

    p_b = y(blank) (p_b + p_nb);  p_nb = y(last) p_nb + what a parent in the beam contributes.
    """
    for i in range(len(beam)):
        prefix = beam[i]
        stay_probs[i, 0], stay_probs[i, 1] = _repeat_probs(y_t, prefix, config)
        parent = _parent_position(prefix, nodes)
        if parent >= 0 and column[prefix.last] < len(y_t):
            extendable = beam[parent].blank if beam[parent].last == prefix.last else 1.0
            stay_probs[i, 1] += y_t[prefix.last] * extendable * _ratio(beam[parent], prefix)


@njit()
def _repeat_probs(y_t, prefix, config):
    """p_b and p_nb after a frame that does not extend the prefix, see reference.unextended."""
    if config.extra_spaces and prefix.letters == 0:
        return y_t[BLANK] + y_t[config.space_symbol], 0.0
    return y_t[BLANK], y_t[prefix.last] * prefix.nonblank


@njit()
def _extend_probs(y_t, beam, symbols, previous, current, config, child_probs, max_child_prob):
    """p_b and p_nb of all children of the beam's prefixes after this frame; `child_probs` is their sum.

    p_b = y(blank) (p_b + p_nb);  p_nb = y(c) (p_nb + 1), or y(c) (p_nb + the parent's p_b) if c repeats.
    """
    K, m = len(y_t), len(symbols)
    y_c, column_before = np.empty(m), np.empty(m, np.uint32)
    for k in range(m):
        y_c[k], column_before[k] = y_t[symbols[k]], previous.column[symbols[k]]
    for i in range(len(beam)):
        prefix = beam[i]
        blank, nonblank = current.blank[i], current.nonblank[i]
        if prefix.row < 0:
            for k in range(m):
                blank[k], nonblank[k] = 0, y_c[k]
        else:
            _advance(
                previous.blank[prefix.row],  # not in variables: views cost time here
                previous.nonblank[prefix.row],
                column_before,
                y_c,
                y_t[BLANK],
                prefix.scale,
                blank,
                nonblank,
            )
        k = current.column[prefix.last]
        if k < K:
            nonblank[k] = y_c[k] * (
                previous.nonblank[prefix.row, column_before[k]] * prefix.scale + prefix.blank
            )
        k = current.column[config.space_symbol]
        if config.extra_spaces and k < K:  # for a child that ends in a space, others count as blanks
            j = column_before[k]
            old = previous.blank[prefix.row, j] + previous.nonblank[prefix.row, j]
            blank[k], nonblank[k] = (y_t[BLANK] + y_c[k]) * old * prefix.scale, y_c[k]
        max_child_prob[i] = _add(blank, nonblank, child_probs[i, :m])


@njit(fastmath={"contract"}, error_model="numpy")
def _advance(blank_before, nonblank_before, column_before, y_c, y_blank, scale, blank, nonblank):
    for k in range(len(column_before)):
        old = nonblank_before[column_before[k]] * scale
        blank[k] = y_blank * (blank_before[column_before[k]] * scale + old)
        nonblank[k] = y_c[k] * (old + 1.0)


@njit(fastmath=True, error_model="numpy")
def _add(blank, nonblank, total):
    """p_b + p_nb of a row, and the max_child_prob of them."""
    max_child_prob = 0.0
    for k in range(len(total)):
        total[k] = blank[k] + nonblank[k]
        max_child_prob = max(max_child_prob, total[k])
    return max_child_prob


@njit()
def _restore_dropped(y_t, beam, dropped, nodes, current, config, child_probs, max_child_prob):
    """A prefix that the previous frame dropped is a child of its parent again, if the parent stayed."""
    for i in range(len(dropped)):
        prefix = dropped[i]
        parent, k = _parent_position(prefix, nodes), current.column[prefix.last]
        if parent >= 0 and k < len(y_t):
            ratio = _ratio(prefix, beam[parent])
            blank, nonblank = _repeat_probs(y_t, prefix, config)
            current.blank[parent, k] += blank * ratio
            current.nonblank[parent, k] += nonblank * ratio
            child_probs[parent, k] = current.blank[parent, k] + current.nonblank[parent, k]
            max_child_prob[parent] = max(max_child_prob[parent], child_probs[parent, k])


@njit()
def _clear_members(beam, nodes, current, child_probs):
    """A child that is in the beam itself is counted there."""
    for i in range(len(beam)):
        parent, k = _parent_position(beam[i], nodes), current.column[beam[i].last]
        if parent >= 0 and k < len(current.column):
            current.blank[parent, k] = current.nonblank[parent, k] = child_probs[parent, k] = 0


@njit()
def _candidates(
    beam, stay_probs, symbols, column, child_probs, max_child_prob, config, tables, words, width, keys, child
):
    """The candidates for the next beam: all prefixes of the beam, and the children that could enter it.

    keys receives their probability times exp(lm_score), relative to the best one before the frame; child the
    number row * len(symbols) + column of each child.
    """
    n, m, K = len(beam), len(symbols), len(column)
    top = -math.inf
    for i in range(n):
        top = max(top, beam[i].log_prob + beam[i].lm_score)
    units = np.empty(n)
    best, lowest = 0.0, math.inf
    for i in range(n):
        units[i] = math.exp(beam[i].log_prob + beam[i].lm_score - top)
        keys[i] = units[i] * (stay_probs[i, 0] + stay_probs[i, 1])
        best, lowest = max(best, keys[i]), min(lowest, keys[i])
    cut = best * math.exp(config.beam_prune_logp)
    if n == width:  # as many are better already
        cut = max(cut, lowest)

    bonus, letter_gain = math.exp(max(config.beta, 0.0)), gain(-config.alpha * config.oov_symbol_cost)
    count = n
    space = column[config.space_symbol]
    copy = np.empty(1, PREFIX)
    per_word = max(config.beta, 0.0) + config.max_hot
    max_gain = math.exp(min(per_word * max(config.pieces, 1), MAX_NATS))
    for i in range(n):
        prefix, unit, row = beam[i], units[i], child_probs[i]
        if config.pieces > 0 or prefix.hot_node >= 0:
            for k in range(m):
                key = unit * row[k]
                if key * max_gain > cut:
                    key *= symbol_gain(prefix, symbols[k], config, tables, words, copy)
                    count = _append(keys, child, count, key, cut, i * m + k)
            continue
        if unit * max_child_prob[i] * bonus <= cut:
            continue
        if config.mode == LanguageMode.CHARACTERS:
            for k in range(m):
                key = unit * row[k]
                if key * bonus > cut:
                    key *= character_gain(prefix, symbols[k], config, tables, words)
                    count = _append(keys, child, count, key, cut, i * m + k)
            continue
        if space < K:
            key = unit * row[space]
            bound = bonus
            if (
                config.mode == LanguageMode.WORDS
                and prefix.trie_node >= 0
                and words.trie[prefix.trie_node].word < 0
            ):
                bound *= max(letter_gain**prefix.letters, MIN_GAIN)  # it would end as an unknown word
            if key * bound > cut:
                key *= space_gain(prefix, config, tables, words)
                count = _append(keys, child, count, key, cut, i * m + space)
            row[space] = 0
        if config.mode == LanguageMode.OPEN or prefix.trie_node < 0:
            if config.mode != LanguageMode.OPEN:
                unit *= letter_gain
            for k in range(m):
                count = _append(keys, child, count, unit * row[k], cut, i * m + k)
            continue
        for node in range(words.trie[prefix.trie_node].first, words.trie[prefix.trie_node + 1].first):
            k = column[words.trie[node].letter]
            if k < K:
                count = _append(keys, child, count, unit * row[k], cut, i * m + k)
        if config.mode == LanguageMode.WORDS and unit * max_child_prob[i] * letter_gain > cut:
            unk_log_prob(prefix, config, tables)
            unit *= prefix.unk_gain * max(letter_gain ** (prefix.letters + 1), MIN_GAIN)
            if unit * max_child_prob[i] > cut:
                for k in range(m):
                    if unit * row[k] > cut and find_child(words.trie, prefix.trie_node, symbols[k]) < 0:
                        count = _append(keys, child, count, unit * row[k], cut, i * m + k)
    return count


@njit(inline="always")
def _append(keys, child, count, key, cut, number):
    """Append a candidate if its key is above the cut; without a branch, which would often be mispredicted."""
    keys[count], child[count] = key, number
    return count + (key > cut)


# The tree of prefixes.


@njit()
def _grow_tree(nodes, extra):
    """A copy of the nodes with twice their capacity plus 2 `extra`."""
    if 2 * (len(nodes) + extra) > MAX_INT32:
        raise MemoryError("the tree is too large for 32-bit indices")
    grown = np.full((2 * len(nodes) + 2 * extra, 5), -1, np.int32)
    grown[: len(nodes)] = nodes
    return grown


@njit()
def _parent_position(prefix, nodes):
    """The position of a prefix's parent in the beam, or -1."""
    parent = nodes[prefix.node, PARENT]
    return nodes[parent, POSITION] if parent >= 0 else -1


@njit()
def _move_to_child(nodes, count, prefix):
    """Move a prefix to its node's child along its last symbol, created if missing; return the node count."""
    parent = prefix.node
    node = nodes[parent, CHILD]
    while node >= 0 and nodes[node, SYMBOL] != prefix.last:
        node = nodes[node, SIBLING]
    if node < 0:
        node, count = count, count + 1
        nodes[node, PARENT], nodes[node, SYMBOL] = parent, prefix.last
        nodes[node, SIBLING], nodes[parent, CHILD] = nodes[parent, CHILD], node
    prefix.node = node
    return count


@njit()
def _write_labels(nodes, node, skip, labels):
    """Write the symbols of a prefix, without its last `skip`, into `labels`; return their number."""
    for _ in range(skip):
        node = nodes[node, PARENT]
    length, ancestor = 0, node
    while nodes[ancestor, PARENT] >= 0:
        ancestor, length = nodes[ancestor, PARENT], length + 1
    for u in range(length - 1, -1, -1):
        labels[u] = nodes[node, SYMBOL]
        node = nodes[node, PARENT]
    return length
