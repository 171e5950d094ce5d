"""A smaller model of a model: leave out the n-grams that say hardly more than their back-off (Stolcke 1998).

Without the n-gram hw the model would answer p'(w | h) = α' p(w | h'), where h' is h without its first word
and α' the back-off weight of h that makes its probabilities sum to 1 again:

    α(h) = (1 - Σ_v p(v | h)) / (1 - Σ_v p(v | h'))      v the words that h keeps
    D    = p(h) { p(w | h) [log p(w | h) - log p'(w | h)] + (1 - Σ_v p(v | h)) [log α - log α'] }

D is the relative entropy of the two models, e^D - 1 the change of perplexity. Each n-gram is judged as if it
alone were left out, p(h) is the model's own probability of the words of h.
"""

import numpy as np

from minids._utils.errors import InputError
from minids.lm.ngram import NGram
from minids.lm.vocabulary import BEGIN, END

_NONE_LEFT = 1e-9  # a probability below which rounding of its float32 terms decides


def prune(model: NGram, threshold: float) -> NGram:
    """The model without the n-grams whose loss alone changes its perplexity by less than `threshold` (1e-8).

    Unigrams stay, and so does every n-gram with which one that stays begins or ends. Raises InputError for a
    threshold that is not a number above 0.
    """
    if not threshold > 0:
        raise InputError(f"threshold {threshold}; give a small number above 0, such as 1e-8")
    log_p, suffix = model.log_probs.astype(np.float64), _suffixes(model)
    log_lower = _log_lower(model, suffix, log_p)
    log_joint = log_p.copy()  # of all words of an n-gram
    log_joint[1 + BEGIN] = log_p[1 + END]  # there are as many beginnings as ends
    for n in range(2, model.order + 1):
        i = _of_order(model, n)
        log_joint[i] += log_joint[model.context[i]]

    stays = np.zeros(len(log_p), bool)
    stays[: model.starts[2]] = True
    for n in range(model.order, 1, -1):
        i = _of_order(model, n)
        h, p, lower = model.context[i], np.exp(log_p[i]), np.exp(log_lower[i])
        left, left_lower = _left(model, n, p)[h], _left(model, n, lower)[h]
        log_alpha = np.log((left + p) / (left_lower + lower))
        change = p * (log_p[i] - log_lower[i] - log_alpha) + left * (np.log(left / left_lower) - log_alpha)
        stays[i] |= np.expm1(np.exp(log_joint[h]) * change) >= threshold
        kept = np.flatnonzero(stays[i]) + model.starts[n]
        stays[model.context[kept]] = stays[suffix[kept]] = True
    return _only(model, stays)


def _only(model: NGram, stays: np.ndarray) -> NGram:
    """The model of these n-grams alone, its back-off weights such that probabilities sum to 1."""
    number = np.cumsum(stays, dtype=np.int32)  # of those that stay, up to this id
    new = number - np.int32(1)  # id -> the id it will have
    small = NGram(
        model.words,
        np.append(0, number[model.starts[1:] - 1]),
        new[model.context[stays]],
        model.word[stays],
        model.log_probs[stays],
        np.zeros(stays.sum(), np.float32),
    )
    suffix, log_p = _suffixes(small), small.log_probs.astype(np.float64)
    for n in range(2, small.order + 1):
        p, lower = np.exp(log_p), np.exp(_log_lower(small, suffix, log_p))
        h, i = _of_order(small, n - 1), _of_order(small, n)
        small.backoff[h] = np.log(_left(small, n, p[i])[h] / _left(small, n, lower[i])[h])
    return small


def _of_order(model: NGram, n: int) -> slice:
    return slice(int(model.starts[n]), int(model.starts[n + 1]))


def _left(model: NGram, n: int, p: np.ndarray) -> np.ndarray:
    """1 - Σ p over the n-grams of order n with the same context, of every context; p is of that order's."""
    left = 1 - np.bincount(model.context[_of_order(model, n)], p, len(model.context))
    return np.maximum(left, _NONE_LEFT)


def _suffixes(model: NGram) -> np.ndarray:
    """The id of the longest end of each n-gram, itself excepted, that is in the model.

    One word shorter, except in models that other programs have pruned.
    """
    keys = (
        model.context.astype(np.int64) << 32 | model.word
    )  # of the n-gram without words -1, which sorts first
    order = np.argsort(keys)
    ordered = keys[order]
    suffix = np.zeros(len(keys), np.int32)
    for n in range(2, model.order + 1):
        i = np.arange(model.starts[n], model.starts[n + 1])
        history = model.context[i]
        while len(i):
            history = suffix[history]
            key = history.astype(np.int64) << 32 | model.word[i]
            at = np.minimum(np.searchsorted(ordered, key), len(keys) - 1)
            found = ordered[at] == key
            suffix[i[found]] = order[at[found]]
            i, history = i[~found], history[~found]
    return suffix


def _log_lower(model: NGram, suffix: np.ndarray, log_p: np.ndarray) -> np.ndarray:
    """log p(w | h') of every n-gram hw of two words or more: its suffix's, and the back-offs on the way."""
    history = suffix[model.context]
    log_lower = log_p[suffix]
    while (off := history != model.context[suffix]).any():
        log_lower += np.where(off, model.backoff[history], 0)
        history = np.where(off, suffix[history], history)
    return log_lower
