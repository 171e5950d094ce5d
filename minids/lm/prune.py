"""Entropy pruning: remove the n-grams that hardly change the model (Stolcke 1998).

Without the n-gram hw the model gives p'(w | h) = α' p(w | h'), where h' is h without its first word and α'
the back-off weight of h with which its probabilities sum to 1 again:

    α(h) = (1 - Σ_v p(v | h)) / (1 - Σ_v p(v | h'))      v: the words that h keeps
    D    = p(h) { p(w | h) [log p(w | h) - log p'(w | h)] + (1 - Σ_v p(v | h)) [log α - log α'] }

D is the relative entropy of the two models, e^D - 1 the relative change of perplexity. Each n-gram is judged
as if it were the only one removed; p(h) is the probability that the model gives to the words of h.
"""

import numpy as np

from minids._utils.errors import InputError
from minids.lm.arrays import NGramArrays
from minids.lm.ngram import NGram
from minids.lm.vocabulary import BEGIN, END

_MIN_REMAINING = 1e-9  # a smaller probability is rounding error of its float32 terms


def prune(model: NGram, threshold: float) -> NGram:
    """The model without the n-grams whose removal changes its perplexity by less than `threshold` (1e-8).

    The change is relative. Unigrams are kept, and so is every n-gram with which a kept one begins or ends.
    Raises InputError for a threshold that is not a number above 0.
    """
    if not isinstance(threshold, int | float | np.number) or not threshold > 0:
        raise InputError(f"threshold {threshold}; give a small number above 0, such as 1e-8")
    arrays = model.arrays
    suffix = _suffixes(arrays)
    log_joint = arrays.log_probs.astype(float)  # log p of all words of an n-gram
    log_joint[1 + BEGIN] = log_joint[1 + END]  # <s> is as frequent as </s>
    for n in range(2, arrays.order + 1):
        i = _of_order(arrays, n)
        log_joint[i] += log_joint[arrays.context[i]]

    keep = np.zeros(len(log_joint), bool)
    keep[: arrays.starts[2]] = True
    for n in range(arrays.order, 1, -1):
        i = _of_order(arrays, n)
        log_p, log_lower = arrays.log_probs[i].astype(float), _log_lower(arrays, suffix, n)
        p, lower = np.exp(log_p), np.exp(log_lower)
        h = arrays.context[i] - arrays.starts[n - 1]
        rest, rest_lower = _remaining_mass(arrays, n, p)[h], _remaining_mass(arrays, n, lower)[h]
        log_alpha = np.log((rest + p) / (rest_lower + lower))
        change = p * (log_p - log_lower - log_alpha) + rest * (np.log(rest / rest_lower) - log_alpha)
        keep[i] |= np.expm1(np.exp(log_joint[arrays.context[i]]) * change) >= threshold
        kept = np.flatnonzero(keep[i]) + arrays.starts[n]
        keep[arrays.context[kept]] = keep[suffix[kept]] = True
    return NGram(*_restrict(arrays, keep))


def _restrict(arrays: NGramArrays, keep: np.ndarray) -> NGramArrays:
    """The model of these n-grams, with back-off weights such that probabilities sum to 1."""
    count = np.cumsum(keep, dtype=np.int32)  # kept n-grams up to an id
    new_id = count - np.int32(1)
    small = NGramArrays(
        arrays.words,
        np.append(0, count[arrays.starts[1:] - 1]),
        new_id[arrays.context[keep]],
        arrays.word[keep],
        arrays.log_probs[keep],
        np.zeros(keep.sum(), np.float32),
    )
    suffix = _suffixes(small)
    for n in range(2, small.order + 1):
        p = np.exp(small.log_probs[_of_order(small, n)].astype(float))
        lower = np.exp(_log_lower(small, suffix, n))
        small.backoff[_of_order(small, n - 1)] = np.log(
            _remaining_mass(small, n, p) / _remaining_mass(small, n, lower)
        )
    return small


def _of_order(arrays: NGramArrays, n: int) -> slice:
    return slice(int(arrays.starts[n]), int(arrays.starts[n + 1]))


def _remaining_mass(arrays: NGramArrays, n: int, p: np.ndarray) -> np.ndarray:
    """1 - Σ p over the n-grams of order n with the same context, for every n-gram of order n-1."""
    first, end = arrays.starts[n - 1], arrays.starts[n]
    rest = 1 - np.bincount(arrays.context[_of_order(arrays, n)] - first, p, end - first)
    return np.maximum(rest, _MIN_REMAINING)


def _suffixes(arrays: NGramArrays) -> np.ndarray:
    """The id of the longest proper suffix of each n-gram that is in the model.

    It is one word shorter, except in models that other programs have pruned.
    """
    keys = (
        arrays.context.astype(np.int64) << 32 | arrays.word
    )  # that of the empty n-gram, word -1, sorts first
    order = np.argsort(keys)
    keys = keys[order]
    suffix = np.zeros(len(keys), np.int32)
    for n in range(2, arrays.order + 1):
        i = np.arange(arrays.starts[n], arrays.starts[n + 1])
        history = arrays.context[i]
        while len(i):
            history = suffix[history]
            key = history.astype(np.int64) << 32 | arrays.word[i]
            index = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
            known = keys[index] == key
            suffix[i[known]] = order[index[known]]
            i, history = i[~known], history[~known]
    return suffix


def _log_lower(arrays: NGramArrays, suffix: np.ndarray, n: int) -> np.ndarray:
    """log p(w | h') for every n-gram hw of order n: its suffix's, and back-off weights."""
    i = _of_order(arrays, n)
    history, context = suffix[arrays.context[i]], arrays.context[suffix[i]]
    log_lower = arrays.log_probs[suffix[i]].astype(float)
    while (shorter := history != context).any():
        log_lower += np.where(shorter, arrays.backoff[history], 0)
        history = np.where(shorter, suffix[history], history)
    return log_lower
