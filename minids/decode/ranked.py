"""The last beam of a search as texts."""

import math

import numpy as np
from numba import njit

from minids.decode.entry import WORDS, end
from minids.decode.search import search
from minids.decode.tree import depth, place_of_parent, write_labels
from minids.text import BLANK


@njit(cache=True, nogil=True)
def ranked(y, rules, tables, trie, width, numbers, labels, lengths):
    """Probabilities (T, K) -> how many texts were found, best first, as many as `lengths` has room for.

    numbers (n, 3) receives score, log_prob and lm of each, labels (n, T) and lengths (n,) its text. By words
    a text with a space at its end is the same as the one without, and their masses are added. A lexicon's
    last word must be whole; where it is so of no prefix, the best one comes without its last letters and the
    count is -1, for its numbers are not that text's.

    What is found is written, not returned: to make arrays Numba calls Python, which a Ctrl-C would interrupt.
    """
    beam, nodes = search(y, rules, tables, trie, width)
    n = len(beam)
    lm, scores, cut = np.empty(n), np.empty(n), np.zeros(n, np.int32)
    for i in range(n):
        if rules.mode >= WORDS and rules.space != BLANK and beam[i].last == rules.space:
            cut[i] = 1
            parent = place_of_parent(beam[i], nodes)
            if parent >= 0:
                beam[parent].log_prob = np.logaddexp(beam[parent].log_prob, beam[i].log_prob)
                beam[i].log_prob = -math.inf
    for i in range(n):
        lm[i], scores[i] = end(beam[i], beam[i].letters > 0, rules, tables, trie)
    whole = n == 0 or scores.max() > -math.inf
    if not whole:
        for i in range(n):
            cut[i] = beam[i].letters + (beam[i].words > 0)
            lm[i], scores[i] = end(beam[i], False, rules, tables, trie)
    order = np.argsort(-scores)[: len(lengths) if whole else 1]
    order = order[scores[order] > -math.inf]
    for j in range(len(order)):
        i = order[j]
        numbers[j, 0], numbers[j, 1], numbers[j, 2] = scores[i], beam[i].log_prob, lm[i]
        lengths[j] = depth(nodes, beam[i].node) - cut[i]
        write_labels(nodes, beam[i].node, cut[i], labels[j, : lengths[j]])
    return len(order) if whole else -1
