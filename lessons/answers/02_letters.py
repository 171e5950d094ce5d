"""The answers to lesson 2, common mistakes, and other styles that are right as well."""

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


# Exercise 2.1: mistakes


def wraps_around(x, C):
    """np.roll: before the first frame comes the last."""
    return np.hstack([np.roll(x, C - i, axis=0) for i in range(2 * C + 1)])


def rolls_the_other_way(x, C):
    """np.roll, the newest frame first; and after the last frame comes the first."""
    return np.hstack([np.roll(x, i - C, axis=0) for i in range(2 * C, -1, -1)][::-1])


def looks_back_only(x, C):
    """The context is 2C frames before t and none after it."""
    padded = np.pad(x, ((2 * C, 0), (0, 0)))
    return np.hstack([padded[i : i + len(x)] for i in range(2 * C + 1)])


def repeats_the_edge(x, C):
    """Copies of the first and the last frame instead of zeros."""
    padded = np.pad(x, ((C, C), (0, 0)), mode="edge")
    return np.hstack([padded[i : i + len(x)] for i in range(2 * C + 1)])


def newest_first(x, C):
    """The context runs from t + C down to t - C, the newest frame first."""
    padded = np.pad(x, ((C, C), (0, 0)))
    return np.hstack([padded[2 * C - i : 2 * C - i + len(x)] for i in range(2 * C + 1)])


def mixes_frames_and_features(x, C):
    """All frames of the first feature, then all of the second."""
    T, F = x.shape
    return with_context(x, C).reshape(T, 2 * C + 1, F).transpose(0, 2, 1).reshape(T, -1)


def returns_a_list(x, C):
    """A list of rows is not an array of shape (T, (2C + 1) F)."""
    return list(with_context(x, C))


def ends_at_minus_c(x, C):
    """A slice that ends at -C: without context, C = 0, it is empty."""
    T, F = x.shape
    padded = np.zeros((T + 2 * C, F))
    padded[C:-C] = x
    return np.hstack([padded[i : i + T] for i in range(2 * C + 1)])


def has_one_neighbor_too_few(x, C):
    """From t - C to t + C - 1: `range` excludes its end."""
    padded = np.pad(x, ((C, C), (0, 0)))
    return np.array([padded[t : t + 2 * C].ravel() for t in range(len(x))])


def pads_the_features(x, C):
    """Zeros are added to the features of each frame, not before and after the frames."""
    padded = np.pad(x, C)
    return np.array([padded[t : t + 2 * C + 1].ravel() for t in range(len(x))])


def keeps_the_neighbors_apart(x, C):
    """An array (T, 2C + 1, F): the neighbors are not concatenated."""
    padded = np.pad(x, ((C, C), (0, 0)))
    return np.array([padded[t : t + 2 * C + 1] for t in range(len(x))])


def keeps_whole_numbers_of_features(x, C):
    """The array for the result has integers, so everything after the point is lost."""
    return with_context(x, C).astype(int)


def only_complete_contexts(x, C):
    """The first and the last C frames, which lack neighbors, are left out."""
    return np.array([x[t - C : t + C + 1].ravel() for t in range(C, len(x) - C)])


# other styles


def context_by_columns(f, C):
    """All frames, shifted by 0 … 2C, side by side."""
    T = len(f)
    padded = np.concatenate([np.zeros((C, f.shape[1])), f, np.zeros((C, f.shape[1]))])
    return np.hstack([padded[i : i + T] for i in range(2 * C + 1)])


def context_by_loops(f, C):
    """Frame by frame, neighbor by neighbor, with a test for the edges."""
    T, F = f.shape
    x = np.zeros((T, (2 * C + 1) * F))
    for t in range(T):
        for i in range(2 * C + 1):
            s = t - C + i
            if 0 <= s < T:
                x[t, i * F : (i + 1) * F] = f[s]
    return x


def context_as_a_view(f, C):
    """A sliding window over the padded frames."""
    padded = np.pad(f, ((C, C), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * C + 1, axis=0)
    return windows.transpose(0, 2, 1).reshape(len(f), -1)


def context_in_float32(f, C):
    """Single precision, from a flat array: the context of a frame is one slice of it."""
    F = f.shape[1]
    flat = np.pad(f.astype(np.float32).ravel(), C * F)
    return np.stack([flat[t * F : (t + 2 * C + 1) * F] for t in range(len(f))])


# Exercise 2.2: mistakes


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
    """The mean is subtracted: the maximum may be 2000 above it, and still overflow."""
    with np.errstate(all="ignore"):
        e = np.exp(z - z.mean(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)


def normalizes_over_time(z):
    """Columns add up to 1 instead of rows."""
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


def forgets_keepdims(z):
    """.max and .sum without keepdims: the result (T,) is taken for a row of K numbers."""
    e = np.exp(z - z.max(axis=-1))
    return e / e.sum(axis=-1)


def forgets_to_divide(z):
    """The division by the sum is missing: the largest is always 1."""
    return np.exp(z - z.max(axis=-1, keepdims=True))


def changes_the_logits(z):
    """Subtracts the maximum in place: the caller's array is changed, too."""
    z -= z.max(axis=-1, keepdims=True)
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def subtracts_in_place_and_adds_again(z):
    """The caller's logits are rounded when the maximum is added again."""
    largest = z.max(axis=-1, keepdims=True)
    z -= largest
    e = np.exp(z)
    z += largest
    return e / e.sum(axis=-1, keepdims=True)


def exponentials_in_place(z):
    """exp(…, out=z): the caller's logits are gone."""
    z -= z.max(axis=-1, keepdims=True)
    np.exp(z, out=z)
    return z / z.sum(axis=-1, keepdims=True)


def limits_the_logits(z):
    """Logits above 700 become 700, so differences between them are lost."""
    e = np.exp(np.minimum(z, 700))
    with np.errstate(all="ignore"):
        return e / e.sum(axis=-1, keepdims=True)


def takes_the_sigmoid(z):
    """1 / (1 + e^-z) of each logit by itself: rows do not add up to 1."""
    with np.errstate(all="ignore"):
        return 1 / (1 + np.exp(-z))


def uses_powers_of_two(z):
    """2^z instead of e^z."""
    y = 2 ** (z - z.max(axis=-1, keepdims=True))
    return y / y.sum(axis=-1, keepdims=True)


def returns_logarithms(z):
    """The logarithms of the probabilities."""
    with np.errstate(all="ignore"):
        return np.log(softmax(z))


def divides_by_the_total(z):
    """The sum over all frames: all rows together add up to 1."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum()


# other styles


def softmax_by_loops(z):
    """Row by row, number by number."""
    from math import exp

    result = np.zeros(z.shape)
    for t, row in enumerate(z):
        powers = [exp(v - max(row)) for v in row]
        for k, power in enumerate(powers):
            result[t, k] = power / sum(powers)
    return result


def softmax_of_differences(z):
    """1 / Σ_j e^(z_j - z_k): only differences of logits occur."""
    with np.errstate(over="ignore"):
        return 1 / np.exp(z[:, None, :] - z[:, :, None]).sum(axis=-1)


def softmax_by_logarithms(z):
    """e^(z - log Σ e^z), with np.logaddexp."""
    return np.exp(z - np.logaddexp.reduce(z, axis=-1, keepdims=True))


def softmax_in_float32(z):
    """Single precision from the start."""
    z = np.asarray(z, np.float32)
    e = np.exp((z.T - z.max(axis=1)).T)
    return (e.T / e.sum(axis=1)).T


# Exercise 2.3: mistakes


def removes_blanks_first(path):
    """Blanks are removed before repeats are merged: nothing keeps two equal letters apart."""
    return [k for k, _ in groupby(k for k in path if k)]


def only_removes_blanks(path):
    """Only blanks are removed: repeats stay."""
    return [k for k in path if k]


def only_merges(path):
    """Only repeats are merged: blanks stay."""
    return [k for k, _ in groupby(path)]


def keeps_each_letter_once(path):
    """A letter cannot occur again later in the text."""
    return [k for k in dict.fromkeys(path) if k]


def forgets_the_first(path):
    """Compares pairs of frames, so the first frame is never added."""
    return [k for before, k in pairwise(path) if k not in (0, before)]


def adds_a_list_to_an_array(path):
    """[0] + an array adds 0 to each element: every frame is compared with itself."""
    pairs = zip([0] + path, path, strict=True)  # noqa: RUF005
    return [k for previous, k in pairs if k not in (0, previous)]


def forgets_the_blanks_between(path):
    """The previous letter instead of the previous frame: a blank between two a's has no effect."""
    text, previous = [], 0
    for k in path:
        if k not in (0, previous):
            text.append(k)
            previous = k
    return text


def compares_with_the_text(path):
    """The last letter of the text so far instead of the previous frame."""
    text = []
    for k in path:
        if k and (not text or text[-1] != k):
            text.append(k)
    return text


def compares_with_the_last_frame(path):
    """path[t - 1] at t = 0 is the last frame, which is not before the first."""
    return [path[t] for t in range(len(path)) if path[t] not in (0, path[t - 1])]


def removes_items_of_the_path(path):
    """path.pop(0) takes items from the caller's path; an array has no pop."""
    text, previous = [], 0
    while len(path):
        k = path.pop(0)
        if k not in (0, previous):
            text.append(k)
        previous = k
    return text


def sets_repeats_to_blank(path):
    """The right text, but the repeats in the caller's path have become blanks."""
    repeats = np.append(False, path[1:] == path[:-1])
    path[repeats] = 0
    return [k for k in path if k]


def continues_the_last_text(path, text=[]):  # noqa: B006
    """A list as the default value is made once: each text is appended to those before."""
    previous = 0
    for k in path:
        if k not in (0, previous):
            text.append(k)
        previous = k
    return text


def repeats_the_first(path):
    """The first frame is added even if it is a blank."""
    return [path[0]] + [k for before, k in pairwise(path) if k not in (0, before)]


def reads_single_digits(path):
    """Characters as digits in a string: 12 becomes 1 and 2."""
    digits = "".join(str(k) for k in collapse(path))
    return [int(digit) for digit in digits]


def yields_the_characters(path):
    """A generator, which can be read only once, instead of a list."""
    previous = 0
    for k in path:
        if k not in (0, previous):
            yield k
        previous = k


# other styles


def collapse_by_groups(path):
    """groupby merges equal neighbors."""
    return [k for k, _ in groupby(path) if k != 0]


def collapse_as_an_array(path):
    """Two conditions on the whole path; the result is an array."""
    path = np.asarray(path)
    changed = np.concatenate([[True], path[1:] != path[:-1]])
    return path[changed & (path != 0)]


def collapse_by_pairs(path):
    """Each frame with the one before; before the first there is a blank."""
    path = list(path)
    return [
        int(k) for before, k in zip([0, *path], path, strict=False) if k and k != before
    ]


def collapse_backward(path):
    """From the end: a character counts unless the frame before has it, too."""
    text = []
    for t in range(len(path) - 1, -1, -1):
        if path[t] != 0 and (t == 0 or path[t - 1] != path[t]):
            text.insert(0, path[t])
    return tuple(text)


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
        rolls_the_other_way,
        returns_a_list,
        looks_back_only,
        repeats_the_edge,
        newest_first,
        mixes_frames_and_features,
        ends_at_minus_c,
        has_one_neighbor_too_few,
        pads_the_features,
        keeps_the_neighbors_apart,
        keeps_whole_numbers_of_features,
        only_complete_contexts,
    ],
    "softmax": [
        overflows,
        subtracts_one_maximum,
        subtracts_the_mean,
        normalizes_over_time,
        forgets_to_divide,
        forgets_keepdims,
        changes_the_logits,
        subtracts_in_place_and_adds_again,
        exponentials_in_place,
        limits_the_logits,
        takes_the_sigmoid,
        uses_powers_of_two,
        returns_logarithms,
        divides_by_the_total,
    ],
    "collapse": [
        removes_blanks_first,
        only_removes_blanks,
        only_merges,
        keeps_each_letter_once,
        forgets_the_first,
        adds_a_list_to_an_array,
        forgets_the_blanks_between,
        compares_with_the_text,
        compares_with_the_last_frame,
        removes_items_of_the_path,
        sets_repeats_to_blank,
        continues_the_last_text,
        repeats_the_first,
        reads_single_digits,
        yields_the_characters,
    ],
}

RIGHT = {
    "with_context": [
        context_by_columns,
        context_by_loops,
        context_as_a_view,
        context_in_float32,
    ],
    "softmax": [
        softmax_by_loops,
        softmax_of_differences,
        softmax_by_logarithms,
        softmax_in_float32,
    ],
    "collapse": [
        collapse_by_groups,
        collapse_as_an_array,
        collapse_by_pairs,
        collapse_backward,
    ],
}
