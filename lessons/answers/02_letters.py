"""The answers to lesson 2, and common mistakes."""

from itertools import groupby, pairwise

import numpy as np


def with_context(f, C):
    padded = np.pad(f, ((C, C), (0, 0)))
    return np.array([padded[t : t + 2 * C + 1].ravel() for t in range(len(f))])


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def collapse(path):
    text, previous = [], 0
    for k in path:
        if k not in (0, previous):
            text.append(k)
        previous = k
    return text


def wraps_around(x, C):
    """np.roll: before the first frame comes the last."""
    return np.hstack([np.roll(x, C - i, axis=0) for i in range(2 * C + 1)])


def looks_back_only(x, C):
    """2C frames before t, none after it."""
    padded = np.pad(x, ((2 * C, 0), (0, 0)))
    return np.hstack([padded[i : i + len(x)] for i in range(2 * C + 1)])


def repeats_the_edge(x, C):
    """Copies of the first and the last frame instead of zeros."""
    padded = np.pad(x, ((C, C), (0, 0)), mode="edge")
    return np.hstack([padded[i : i + len(x)] for i in range(2 * C + 1)])


def newest_first(x, C):
    """From t + C down to t - C."""
    padded = np.pad(x, ((C, C), (0, 0)))
    return np.hstack([padded[2 * C - i : 2 * C - i + len(x)] for i in range(2 * C + 1)])


def mixes_frames_and_features(x, C):
    """All frames of the first feature, then all of the second."""
    T, F = x.shape
    return with_context(x, C).reshape(T, 2 * C + 1, F).transpose(0, 2, 1).reshape(T, -1)


def returns_a_list(x, C):
    """A list of rows is not an array of shape (T, (2C + 1) F)."""
    return list(with_context(x, C))


def overflows(z):
    """exp(1000) is infinite, and infinity / infinity is NaN."""
    with np.errstate(all="ignore"):
        return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def subtracts_one_maximum(z):
    """The maximum of all frames: a frame far below it has only zeros left, and 0 / 0 is NaN."""
    e = np.exp(z - z.max())
    with np.errstate(all="ignore"):
        return e / e.sum(axis=-1, keepdims=True)


def subtracts_the_mean(z):
    """The maximum may be 2000 above the mean, and still overflow."""
    with np.errstate(all="ignore"):
        e = np.exp(z - z.mean(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)


def normalizes_over_time(z):
    """Columns add up to 1 instead of rows."""
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


def forgets_to_divide(z):
    """The maximum is 1, whatever the others are."""
    return np.exp(z - z.max(axis=-1, keepdims=True))


def changes_the_logits(z):
    """Subtracts the maximum in place: the caller's array is changed, too."""
    z -= z.max(axis=-1, keepdims=True)
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def removes_blanks_first(path):
    """Then nothing keeps two equal letters apart."""
    return [k for k, _ in groupby(k for k in path if k)]


def only_removes_blanks(path):
    """Repeats stay."""
    return [k for k in path if k]


def only_merges(path):
    """Blanks stay."""
    return [k for k, _ in groupby(path)]


def keeps_each_letter_once(path):
    """A letter cannot occur again later in the text."""
    return [k for k in dict.fromkeys(path) if k]


def forgets_the_first(path):
    """Compares pairs of frames, so the first frame is never added."""
    return [k for before, k in pairwise(path) if k not in (0, before)]


def adds_a_list_to_an_array(path):
    """[0] + an array adds 0 to each element: every frame is compared with itself."""
    return [k for previous, k in zip([0] + path, path, strict=True) if k not in (0, previous)]  # noqa: RUF005


HINTS = {
    "with_context": [
        "np.pad(f, ((C, C), (0, 0))) adds C frames of zeros before and after.",
        "In the padded array, frame t and its neighbors are the rows t … t + 2C.",
        "np.array([padded[t : t + 2 * C + 1].ravel() for t in range(len(f))])",
    ],
    "softmax": [
        "Each row is a frame: use .max and .sum with axis=-1 and keepdims=True.",
        "e = np.exp(z - z.max(axis=-1, keepdims=True))",
        "return e / e.sum(axis=-1, keepdims=True)",
    ],
    "collapse": [
        "A frame adds a character if it is not blank and differs from the frame before.",
        "Keep the previous frame in a variable, and update it at blanks, too.",
        "Loop: `if k not in (0, previous): text.append(k)`, then `previous = k`.",
    ],
}

WRONG = {
    "with_context": [
        wraps_around,
        returns_a_list,
        looks_back_only,
        repeats_the_edge,
        newest_first,
        mixes_frames_and_features,
    ],
    "softmax": [
        overflows,
        subtracts_one_maximum,
        subtracts_the_mean,
        normalizes_over_time,
        forgets_to_divide,
        changes_the_logits,
    ],
    "collapse": [
        removes_blanks_first,
        only_removes_blanks,
        only_merges,
        keeps_each_letter_once,
        forgets_the_first,
        adds_a_list_to_an_array,
    ],
}
