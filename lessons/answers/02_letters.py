"""Our answers to lesson 2, and the usual mistakes."""

from itertools import groupby, pairwise

import numpy as np

from minids.ops.reference import context_forward, log_softmax_forward
from minids.text import collapse

__all__ = ["WRONG", "collapse", "softmax", "with_context"]


def with_context(x, C):
    return context_forward(x[:, None], np.array([len(x)]), C, 1)[:, 0]


def softmax(z):
    return np.exp(log_softmax_forward(z))


def goes_round(x, C):
    """Before the beginning comes the end: np.roll."""
    return np.hstack([np.roll(x, C - i, axis=0) for i in range(2 * C + 1)])


def looks_back_only(x, C):
    """The 2C frames before t, none after it."""
    padded = np.pad(x, ((2 * C, 0), (0, 0)))
    return np.hstack([padded[i : i + len(x)] for i in range(2 * C + 1)])


def repeats_the_edge(x, C):
    """Beyond the ends stand copies of the first and the last frame."""
    padded = np.pad(x, ((C, C), (0, 0)), mode="edge")
    return np.hstack([padded[i : i + len(x)] for i in range(2 * C + 1)])


def newest_first(x, C):
    """From t + C down to t - C."""
    padded = np.pad(x, ((C, C), (0, 0)))
    return np.hstack([padded[2 * C - i : 2 * C - i + len(x)] for i in range(2 * C + 1)])


def mixes_frames_and_features(x, C):
    """All times of the first feature, then all of the second."""
    T, F = x.shape
    return with_context(x, C).reshape(T, 2 * C + 1, F).transpose(0, 2, 1).reshape(T, -1)


def overflows(z):
    """exp(1000) is infinite, and infinity / infinity is no number."""
    with np.errstate(all="ignore"):
        return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def takes_one_maximum_of_all(z):
    """A frame far below the loudest has only zeros left, and 0 / 0 is no number."""
    e = np.exp(z - z.max())
    with np.errstate(all="ignore"):
        return e / e.sum(axis=-1, keepdims=True)


def takes_off_the_mean(z):
    """The greatest may still be 2000 above it, and overflow."""
    with np.errstate(all="ignore"):
        e = np.exp(z - z.mean(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)


def normalizes_over_time(z):
    """Every character adds up to 1, instead of every frame."""
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


def forgets_to_divide(z):
    """The greatest is 1, whatever the others are."""
    return np.exp(z - z.max(axis=-1, keepdims=True))


def drops_blanks_first(path):
    """Then nothing is left to keep two equal letters apart."""
    return [k for k, _ in groupby(k for k in path if k)]


def only_drops_blanks(path):
    """What repeats, stays."""
    return [k for k in path if k]


def only_merges(path):
    """The blanks stay."""
    return [k for k, _ in groupby(path)]


def keeps_each_letter_once(path):
    """A letter that was seen before never comes again."""
    return [k for k in dict.fromkeys(path) if k]


def forgets_the_first(path):
    """Compares with the frame before, which the first has not."""
    return [k for before, k in pairwise(path) if k not in (0, before)]


WRONG = {
    "with_context": [
        goes_round,
        looks_back_only,
        repeats_the_edge,
        newest_first,
        mixes_frames_and_features,
    ],
    "softmax": [
        overflows,
        takes_one_maximum_of_all,
        takes_off_the_mean,
        normalizes_over_time,
        forgets_to_divide,
    ],
    "collapse": [
        drops_blanks_first,
        only_drops_blanks,
        only_merges,
        keeps_each_letter_once,
        forgets_the_first,
    ],
}
