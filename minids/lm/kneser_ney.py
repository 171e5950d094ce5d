"""Interpolated modified Kneser-Ney smoothing (Chen & Goodman 1998), all n-grams of an order at once.

minids/lm/reference.py is the readable version. With c the adjusted counts of minids/lm/count.py, for a
word w and a history h, h' being h without its first word:

    p(w | h) = (c(hw) - D(c(hw))) / Σ_v c(hv)  +  γ(h) p(w | h')
    γ(h)     = Σ_v D(c(hv)) / Σ_v c(hv)

    D(k) = k - (k+1) Y t_{k+1} / t_k  for k = 1, 2 and for all k ≥ 3 as for 3;    Y = t1 / (t1 + 2 t2)

t_k being how many n-grams of the order have the adjusted count k. What the discounts take from the words seen
after h, γ hands to all words by way of the shorter history, and the shortest to all alike: 1 / (V-1), V being
the words with <unk>, <s> and </s>, of which <s> is never predicted.

A word that was never seen after h has the second term alone: γ(h) is the back-off weight of the model.

KenLM's lmplz gives the same numbers, with two exceptions. It takes an empty line for a sentence, here it is
none. And of the very last n-gram of each order its t_k count the occurrences instead of c, which in a text of
a few hundred words can be seen in the discounts.
"""

import warnings
from collections.abc import Sequence

import numpy as np

from minids._utils.errors import InputError
from minids.lm.count import Counts, Grams, count
from minids.lm.vocabulary import BEGIN, Progress, Source

LONGEST = 16  # words of an n-gram
FALLBACK = (0.0, 0.5, 1.0, 1.5)  # D(0) … D(3) where a text is too small, or too regular, to tell them


class DiscountWarning(UserWarning):
    """A text from which discounts cannot be estimated; others stand in."""


def train(
    source: Source,
    order: int = 5,
    prune: Sequence[int] = (),
    vocabulary: int | Source | None = None,
    progress: Progress | None = None,
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A text -> the arguments of `NGram`: words, starts, context, word, log_prob, backoff.

    source, vocabulary and progress are those of `minids.lm.count.count`. prune = (0, 0, 1): an n-gram that
    occurs prune[n-1] times or fewer is left out, and what it had goes to γ; the last number stands for the
    higher orders too, unigrams stay. Warns of discounts that the text cannot tell (DiscountWarning). Raises
    InputError for an order beyond 1 to 16, a vocabulary of no words, thresholds that fall or do not begin
    with 0.
    """
    if not 1 <= order <= LONGEST:
        raise InputError(
            f"a model of order {order}; 1 (single words) to {LONGEST} can be made, 3 to 5 are usual"
        )
    if isinstance(vocabulary, int) and vocabulary < 1:
        raise InputError(f"a vocabulary of {vocabulary} words; give how many to know, 1 or more")
    thresholds = _thresholds(prune, order)
    return smooth(count(source, order, vocabulary, progress), thresholds)


def _thresholds(prune: Sequence[int], order: int) -> list[int]:
    given = [*prune] or [0]
    if given[0] != 0 or given != sorted(given) or len(given) > order:
        text = ", ".join(map(str, given))
        raise InputError(
            f"prune {text}: give at most {order} numbers (one an order), the first 0, none less than the one"
            " before, such as 0, 0, 1"
        )
    return given + given[-1:] * (order - len(given))


def smooth(
    counts: Counts, thresholds: Sequence[int]
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts -> the arguments of `NGram`."""
    orders = counts.orders
    kept = [np.ones(len(orders[0].adjusted), bool)]
    if any(thresholds):
        kept += [raw > most for raw, most in zip(_raw(orders)[1:], thresholds[1:], strict=True)]
    else:
        kept += [np.ones(len(grams.adjusted), bool) for grams in orders[1:]]
    D = _all_discounts(orders)

    # The empty history: its γ goes to all words but <s> alike.
    c = orders[0].adjusted  # (V,)
    total = c.sum()
    gamma = D[0][np.minimum(c, 3)].sum() / total
    p = (c - D[0][np.minimum(c, 3)]) / total + gamma / (len(c) - 1)
    p[BEGIN] = 1.0  # of no meaning: the models of other programs have it so

    i, f = np.int32, np.float32
    starts = [0, 1]
    number = np.arange(len(c), dtype=i)  # number[g]: of its order, the how manieth kept one is g
    columns = [(np.zeros(1, i), np.full(1, -1, i), np.zeros(1, f))]
    columns += [(np.zeros(len(c), i), number, np.log(p).astype(f))]
    backoff = [np.zeros(1, f)]
    for n, grams in enumerate(orders[1:], start=1):
        keep, c = kept[n], grams.adjusted
        shortened = D[n][np.minimum(c, 3)]
        total = np.bincount(grams.context, c, len(p))  # Σ_v c(hv), of every h
        freed = np.bincount(
            grams.context, np.where(keep, shortened, c), len(p)
        )  # pruned n-grams free all of c
        gamma = np.divide(freed, total, out=np.ones(len(p)), where=total > 0)
        p = (c - shortened) / total[grams.context] + gamma[grams.context] * p[grams.suffix]
        backoff.append(np.log(gamma[kept[n - 1]]).astype(f))
        starts.append(starts[-1] + len(backoff[-1]))
        context = i(starts[n]) + number[grams.context[keep]]
        columns.append((context, grams.word[keep], np.log(p[keep]).astype(f)))
        number = np.cumsum(keep, dtype=i) - i(1)
    backoff.append(np.zeros(kept[-1].sum(), f))
    starts.append(starts[-1] + len(backoff[-1]))
    context, word, log_prob = (np.concatenate(column) for column in zip(*columns, strict=True))
    return counts.words, np.array(starts), context, word, log_prob, np.concatenate(backoff)


def _raw(orders: Sequence[Grams]) -> list[np.ndarray]:
    """How often each n-gram occurs: as often as with any word before it, or as counted if <s> begins it."""
    raw = [orders[-1].adjusted]
    for longer, grams in zip(orders[:0:-1], orders[-2::-1], strict=True):
        within = np.bincount(longer.suffix, raw[0], len(grams.adjusted))
        raw.insert(0, np.where(within > 0, within, grams.adjusted))
    return raw


def _all_discounts(orders: Sequence[Grams]) -> list[np.ndarray]:
    found = [discounts(grams.adjusted) for grams in orders]
    without = [n for n, D in enumerate(found, start=1) if D is None]
    if without:
        names = ", ".join(map(str, without))
        warnings.warn(
            f"too few or too even n-grams of order {names} to estimate discounts; 0.5, 1 and 1.5 stand in:"
            " usual for a small or very regular text, and harmless",
            DiscountWarning,
            5,  # whoever calls NGram.train
        )
    return [np.array(FALLBACK if D is None else D) for D in found]


def discounts(counts: np.ndarray) -> tuple[float, ...] | None:
    """D(0) … D(3), estimated from the adjusted counts of an order; None where undefined or out of range."""
    t = np.bincount(counts[counts <= 4], minlength=5)
    if not t[1:4].all():
        return None
    Y = t[1] / (t[1] + 2 * t[2])
    D = (0.0, *(k - (k + 1) * Y * t[k + 1] / t[k] for k in (1, 2, 3)))
    return D if all(0 < D[k] <= k for k in (1, 2, 3)) else None
