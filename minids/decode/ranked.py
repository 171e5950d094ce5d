"""The last beam of a search as texts."""

import math

import numpy as np
from numba import njit

from minids.decode.entry import WORDS, end
from minids.decode.tree import depth, place_of_parent, write_labels
from minids.text import BLANK


@njit(cache=True, nogil=True)
def ranked(beam, nodes, rules, tables, trie, n_best):
    """The last beam as texts, best first: scores, log_prob, lm (n,), labels (n, longest), lengths (n,).

    By words a text with a space at its end is the same as the one without, and their masses are added. A
    lexicon's last word must be whole; where that is so of no prefix, the best comes without its last letters.
    """
    n = len(beam)
    lm, scores, cut = np.empty(n), np.empty(n), np.zeros(n, np.int32)
    for i in range(n):
        if rules.mode >= WORDS and rules.space != BLANK and beam[i].last == rules.space:
            cut[i] = 1
            parent = place_of_parent(beam[i], nodes)
            if parent >= 0:
                beam[parent].log_prob = _add(beam[parent].log_prob, beam[i].log_prob)
                beam[i].log_prob = -math.inf
    for i in range(n):
        lm[i], scores[i] = end(beam[i], beam[i].letters > 0, rules, tables, trie)
    if n > 0 and scores.max() == -math.inf:
        n_best = 1
        for i in range(n):
            cut[i] = beam[i].letters + (beam[i].words > 0)
            lm[i], scores[i] = end(beam[i], False, rules, tables, trie)
    order = np.argsort(-scores)[:n_best]
    order = order[scores[order] > -math.inf]

    log_prob, lengths = np.empty(len(order)), np.empty(len(order), np.int32)
    for j in range(len(order)):
        log_prob[j] = beam[order[j]].log_prob
        lengths[j] = depth(nodes, beam[order[j]].node) - cut[order[j]]
    labels = np.zeros((len(order), lengths.max() if len(order) else 0), np.int32)
    for j in range(len(order)):
        write_labels(nodes, beam[order[j]].node, cut[order[j]], labels[j, : lengths[j]])
    return scores[order], log_prob, lm[order], labels, lengths


@njit(cache=True)
def _add(a, b):
    """log(exp a + exp b) of two that are not both log 0."""
    return max(a, b) + math.log1p(math.exp(-abs(a - b)))
