"""Interpolated modified Kneser-Ney smoothing (Chen & Goodman 1998), for all n-grams of an order at once.

minids/lm/reference.py is the readable version. With c the adjusted counts of minids/lm/count.py, for a word w
and a history h, where h' is h without its first word:

    p(w | h) = (c(hw) - D(c(hw))) / Σ_v c(hv)  +  γ(h) p(w | h')
    γ(h)     = Σ_v D(c(hv)) / Σ_v c(hv)

    D(k) = k - (k+1) Y t_{k+1} / t_k  for k = 1, 2 and for all k ≥ 3 as for 3;    Y = t1 / (t1 + 2 t2)

t_k is the number of n-grams of the order that have the adjusted count k. The discounts take probability from
the words seen after h; γ gives it to all words in proportion to the shorter history. The empty history gives
it to all words equally: 1 / (V-1), where V counts <unk>, <s> and </s>, and <s> is never predicted.

A word that was never seen after h has the second term only: γ(h) is the back-off weight of the model.

KenLM's lmplz gives the same numbers, with two exceptions. It counts an empty line as a sentence; here it
is ignored. And it counts the last n-gram of each order by occurrences instead of c when it estimates t_k;
this is measurable only for texts of a few hundred words.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from minids._utils.errors import InputError
from minids._utils.warning import warn
from minids.lm import njit
from minids.lm.arrays import NGramArrays
from minids.lm.column import Column, blocks
from minids.lm.count import Counts, OrderCounts, count_ngrams
from minids.lm.text_source import ProgressCallback, TextSource
from minids.lm.vocabulary import BEGIN

MAX_ORDER = 16
DEFAULT_DISCOUNTS = (0.0, 0.5, 1.0, 1.5)  # D(0) … D(3) where they cannot be estimated


class DiscountWarning(UserWarning):
    """Discounts cannot be estimated from a text; the default ones are used."""


def train(
    source: TextSource,
    order: int = 5,
    prune: Sequence[int] = (),
    vocabulary: int | TextSource | None = None,
    progress: ProgressCallback | None = None,
) -> NGramArrays:
    """The model of a text.

    source, vocabulary and progress: see `minids.lm.count.count_ngrams`. prune = (0, 0, 1): an n-gram that
    occurs prune[n-1] times or fewer is left out, and γ gets its probability; the last number also holds for
    all higher orders, and unigrams are never pruned. Warns where discounts cannot be estimated
    (DiscountWarning). Raises InputError for an order outside 1 to 16, an empty vocabulary, thresholds that
    decrease or do not begin with 0.

    Most n-grams are in temporary files meanwhile, together about as large as the ARPA file of the model, in
    the folder that TMPDIR names or `tempfile.gettempdir` finds. Raises InputError if it has no space.
    """
    order = _integer(order, "order")
    if not 1 <= order <= MAX_ORDER:
        raise InputError(f"order {order}; give 1 (single words) to {MAX_ORDER}, usually 3 to 5")
    if isinstance(vocabulary, int | float | np.number):
        vocabulary = _integer(vocabulary, "vocabulary")
        if vocabulary < 1:
            raise InputError(f"a vocabulary of {vocabulary} words; give how many to know, 1 or more")
    thresholds = _thresholds(prune, order)
    return smooth(count_ngrams(source, order, vocabulary, progress), thresholds)


def _integer(value: object, name: str) -> int:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise InputError(f"{name}: {value!r} is not a whole number")
    return int(value)


def _thresholds(prune: Sequence[int], order: int) -> list[int]:
    if isinstance(prune, str) or not isinstance(prune, Iterable):
        raise InputError(f"prune is a list of numbers such as 0, 0, 1, not {prune!r}")
    thresholds = [_integer(number, "prune") for number in prune] or [0]
    if thresholds[0] != 0 or thresholds != sorted(thresholds) or len(thresholds) > order:
        text = ", ".join(map(str, thresholds))
        raise InputError(
            f"prune {text}: give at most {order} numbers (one for each order), the first 0, in ascending"
            " order, such as 0, 0, 1"
        )
    return thresholds + thresholds[-1:] * (order - len(thresholds))


def smooth(counts: Counts, thresholds: Sequence[int]) -> NGramArrays:
    """The model of counts; thresholds[n-1] is that of order n."""
    starts, columns = _smooth(counts.orders, thresholds)
    return NGramArrays(counts.words, starts, *(column.array() for column in columns))


def _smooth(orders: Sequence[OrderCounts], thresholds: Sequence[int]) -> tuple[np.ndarray, list[Column]]:
    """The arrays of the model, from `starts` on. In memory are those of two orders."""
    kept = _kept(orders, thresholds)
    D = _all_discounts(orders)

    # The empty history: its γ goes to all words but <s> equally.
    c = orders[0].adjusted.array()  # (V,)
    total = c.sum()
    gamma = D[0][np.minimum(c, 3)].sum() / total
    p = (c - D[0][np.minimum(c, 3)]) / total + gamma / (len(c) - 1)
    p[BEGIN] = 1.0  # has no meaning; other programs write it so

    starts = [0, 1, 1 + len(p)]
    all_contexts, all_words = Column(np.int32, np.zeros(1 + len(p))), Column(np.int32, np.arange(-1, len(p)))
    log_probs, backoff = Column(np.float32, np.append(0, np.log(p))), Column(np.float32, np.zeros(1))
    for n, grams in enumerate(orders[1:], start=1):
        total, gamma = np.zeros(len(p)), np.zeros(len(p))  # of every history
        for context, c, keep in blocks(grams.context, grams.adjusted, kept[n]):
            _add_at(total, context, c.astype(float))
            # Pruned n-grams free all of c.
            _add_at(gamma, context, np.where(keep, D[n][np.minimum(c, 3)], c))
        np.divide(gamma, total, out=gamma, where=total > 0)
        gamma[total == 0] = 1
        keep = kept[n - 1].array()
        backoff.append(np.log(gamma[keep]))
        ids = np.cumsum(keep, dtype=np.int32) + np.int32(starts[n] - 1)  # of histories, in the model
        longer = Column(float)
        for context, word, suffix, c, keep in blocks(*grams, kept[n]):
            discounted = c - D[n][np.minimum(c, 3)]
            block = discounted / total[context] + gamma[context] * p[suffix]
            longer.append(block)
            all_contexts.append(ids[context[keep]])
            all_words.append(word[keep])
            log_probs.append(np.log(block[keep]))
        p = longer.array()
        starts.append(len(all_words))
    backoff.append(np.zeros(starts[-1] - starts[-2]))
    return np.array(starts), [all_contexts, all_words, log_probs, backoff]


@njit(nogil=True)
def _add_at(sums, index, values):
    for i in range(len(index)):
        sums[index[i]] += values[i]


def _kept(orders: Sequence[OrderCounts], thresholds: Sequence[int]) -> list[Column]:
    """Whether each n-gram is kept. It occurs as often as all that it ends do, or, at the beginning of a
    sentence, as its count says.
    """
    kept = [Column(bool, np.ones(len(grams.word))) for grams in orders]
    sums = np.zeros(1)
    for n in range(len(orders) - 1, 0, -1) if any(thresholds) else ():
        occurrences = np.where(sums > 0, sums, orders[n].adjusted.array())
        kept[n] = Column(bool, occurrences > thresholds[n])
        sums = np.zeros(len(orders[n - 1].word))
        _add_at(sums, orders[n].suffix.array(), occurrences)
    return kept


def _all_discounts(orders: Sequence[OrderCounts]) -> list[np.ndarray]:
    estimates = [discounts(grams.adjusted.array()) for grams in orders]
    missing = [n for n, D in enumerate(estimates, start=1) if D is None]
    if missing:
        names = ", ".join(map(str, missing))
        warn(
            f"cannot estimate the discounts of order {names}, so the defaults 0.5, 1 and 1.5 are used:"
            " usual for a small or very regular text, and harmless",
            DiscountWarning,
        )
    return [np.array(DEFAULT_DISCOUNTS if D is None else D) for D in estimates]


def discounts(counts: np.ndarray) -> tuple[float, ...] | None:
    """D(0) … D(3), estimated from the adjusted counts of an order; None where undefined or out of range."""
    t = np.bincount(counts[counts <= 4], minlength=5)
    if not t[1:4].all():
        return None
    Y = t[1] / (t[1] + 2 * t[2])
    D = (0.0, *(k - (k + 1) * Y * t[k + 1] / t[k] for k in (1, 2, 3)))
    return D if all(0 < D[k] <= k for k in (1, 2, 3)) else None
