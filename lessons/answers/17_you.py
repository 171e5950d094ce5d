"""The answers to lesson 17, common mistakes, and other right answers."""

import numpy as np


def trim(x, rate):
    n = rate // 50  # samples in 20 ms
    power = x[: len(x) // n * n].reshape(-1, n).var(axis=1)
    loud = np.flatnonzero(power > power.max() / 100)
    if not len(loud):
        return x
    start = max(0, loud[0] - 5)
    end = min(loud[-1] + 6, len(power))
    return x[start * n : end * n]


def new_output_layer(W, b, old, new):
    W_new, b_new = np.zeros((len(new) + 1, W.shape[1])), np.zeros(len(new) + 1)
    W_new[0], b_new[0] = W[0], b[0]
    for k, character in enumerate(new, start=1):
        if character in old:
            row = old.index(character) + 1
            W_new[k], b_new[k] = W[row], b[row]
    return W_new, b_new


def cut(x, rate, loudness=np.var, share=0.01, margin=5, extra=1):
    """`trim` with other rules."""
    n = rate // 50
    values = loudness(x[: len(x) // n * n].reshape(-1, n), axis=1)
    loud = np.flatnonzero(values > share * values.max())
    return (
        x[max(0, loud[0] - margin) * n : (loud[-1] + margin + extra) * n]
        if len(loud)
        else x
    )


def has_no_margin(x, rate):
    """The blocks around the sound are cut off, and with them soft beginnings and endings."""
    return cut(x, rate, margin=0)


def forgets_the_last_block(x, rate):
    """A slice ends before its end: the last of the five blocks is missing."""
    return cut(x, rate, extra=0)


def counts_the_offset(x, rate):
    """The mean square instead of the variance: a constant offset is not silence."""
    return cut(x, rate, loudness=lambda blocks, axis: (blocks**2).mean(axis=axis))


def compares_amplitudes(x, rate):
    """The standard deviation is compared, not the power: a hundredth of it is 40 dB."""
    return cut(x, rate, loudness=np.std)


def has_a_lower_threshold(x, rate):
    """Blocks are loud from a five-hundredth of the power on, not from a hundredth."""
    return cut(x, rate, share=0.002)


def has_a_higher_threshold(x, rate):
    """Blocks are loud from a twentieth of the power on: soft beginnings are cut off."""
    return cut(x, rate, share=0.05)


def compares_ranges(x, rate):
    """The difference of maximum and minimum is compared, not the power: one click is loud."""
    return cut(x, rate, loudness=np.ptp, share=0.1)


def fails_in_silence(x, rate):
    """A recording without a loud block has no first one."""
    n = rate // 50
    power = x[: len(x) // n * n].reshape(-1, n).var(axis=1)
    loud = np.flatnonzero(power > power.max() / 100)
    return x[max(0, loud[0] - 5) * n : (loud[-1] + 6) * n]


def removes_pauses(x, rate):
    """All quiet blocks are removed, also pauses between words."""
    n = rate // 50
    blocks = x[: len(x) // n * n].reshape(-1, n)
    power = blocks.var(axis=1)
    return blocks[power > power.max() / 100].ravel()


def wraps_around(x, rate):
    """A start before the recording is negative, and counts from its end."""
    n = rate // 50
    power = x[: len(x) // n * n].reshape(-1, n).var(axis=1)
    loud = np.flatnonzero(power > power.max() / 100)
    return x[(loud[0] - 5) * n : (loud[-1] + 6) * n]


def trims_the_start_only(x, rate):
    """The silence at the end remains."""
    n = rate // 50
    power = x[: len(x) // n * n].reshape(-1, n).var(axis=1)
    return x[max(0, np.flatnonzero(power > power.max() / 100)[0] - 5) * n :]


def confuses_blocks_and_samples(x, rate):
    """Numbers of blocks are used as numbers of samples."""
    n = rate // 50
    power = x[: len(x) // n * n].reshape(-1, n).var(axis=1)
    loud = np.flatnonzero(power > power.max() / 100)
    return x[max(0, loud[0] - 5) : loud[-1] + 6]


def returns_the_limits(x, rate):
    """Start and end instead of the samples between them."""
    n = rate // 50
    power = x[: len(x) // n * n].reshape(-1, n).var(axis=1)
    loud = np.flatnonzero(power > power.max() / 100)
    return np.array([max(0, loud[0] - 5) * n, (loud[-1] + 6) * n])


def trim_with_loops(x, rate):
    """Block by block, from both ends."""
    n = int(0.02 * rate)
    blocks = [x[i : i + n] for i in range(0, len(x) - n + 1, n)]
    powers = [float(np.mean((block - block.mean()) ** 2)) for block in blocks]
    first = last = None
    if max(powers) == 0:
        return list(x)
    for i, power in enumerate(powers):
        if power > 0.01 * max(powers):
            first, last = i if first is None else first, i
    return [
        sample for block in blocks[max(first - 5, 0) : last + 6] for sample in block
    ]


def trim_with_argmax(x, rate):
    """argmax of a bool finds the first True; the rest after the last whole block may stay."""
    n = rate // 50
    power = np.array([np.var(x[i * n : (i + 1) * n]) for i in range(len(x) // n)])
    loud = power > power.max() / 100
    if not loud.any():
        return x
    start, end = loud.argmax() - 5, len(loud) - loud[::-1].argmax() + 5
    return x[max(start, 0) * n : end * n]


def forgets_the_blank(W, b, old, new):
    """Row 0 is not copied: the blank has to be learned again."""
    W_new, b_new = new_output_layer(W, b, old, new)
    W_new[0], b_new[0] = 0, 0
    return W_new, b_new


def counts_from_zero(W, b, old, new):
    """Row k is taken for character k of the string; but row 0 is the blank."""
    W_new, b_new = np.zeros((len(new) + 1, W.shape[1])), np.zeros(len(new) + 1)
    for k, character in enumerate(new):
        if character in old:
            W_new[k], b_new[k] = W[old.index(character)], b[old.index(character)]
    return W_new, b_new


def copies_by_position(W, b, old, new):
    """The first rows are copied, whatever their characters are."""
    n = min(len(old), len(new)) + 1
    W_new, b_new = np.zeros((len(new) + 1, W.shape[1])), np.zeros(len(new) + 1)
    W_new[:n], b_new[:n] = W[:n], b[:n]
    return W_new, b_new


def keeps_the_order_of_the_old(W, b, old, new):
    """Common characters keep their old places, which other characters now have."""
    W_new, b_new = np.zeros((len(new) + 1, W.shape[1])), np.zeros(len(new) + 1)
    rows = [0] + [old.index(c) + 1 for c in old if c in new]
    W_new[: len(rows)], b_new[: len(rows)] = W[rows], b[rows]
    return W_new, b_new


def forgets_the_biases(W, b, old, new):
    """The weights are copied, the biases are not."""
    W_new, b_new = new_output_layer(W, b, old, new)
    return W_new, 0 * b_new


def starts_again(W, b, old, new):
    """All rows start at 0, also those of known characters."""
    W_new, b_new = new_output_layer(W, b, old, new)
    return 0 * W_new, 0 * b_new


def appends_only(W, b, old, new):
    """Rows are appended for new characters; those of characters that are gone remain."""
    added = [c for c in new if c not in old]
    return np.vstack([W, np.zeros((len(added), W.shape[1]))]), np.append(
        b, np.zeros(len(added))
    )


def returns_the_weights_only(W, b, old, new):
    """Only W is returned, without b."""
    return new_output_layer(W, b, old, new)[0]


def layer_by_indexing(W, b, old, new):
    """A row of zeros at the end, for all new characters."""
    rows = [0] + [old.find(c) + 1 if c in old else len(old) + 1 for c in new]
    return np.vstack([W, 0 * W[:1]])[rows], np.append(b, 0)[rows]


def layer_by_dictionary(W, b, old, new):
    """Lists of rows."""
    rows = {character: (W[k], b[k]) for k, character in enumerate(["blank", *old])}
    unknown = np.zeros(W.shape[1]), 0.0
    pairs = [rows.get(character, unknown) for character in ["blank", *new]]
    return np.array([w for w, _ in pairs]), np.array([bias for _, bias in pairs])


HINTS = {
    "trim": [
        "With n samples in a block, x[: len(x) // n * n].reshape(-1, n) has a row per whole block.",
        "np.flatnonzero(power > power.max() / 100) lists the loud blocks, in order.",
        "return x[max(0, loud[0] - 5) * n : (loud[-1] + 6) * n]; a slice may reach past the end, not before the start.",
    ],
    "new_output_layer": [
        "Start with zeros of shapes (len(new) + 1, H) and (len(new) + 1,), and copy row 0.",
        "The character new[k - 1] had the row old.index(new[k - 1]) + 1, if it is in old.",
        "for k, c in enumerate(new, start=1): if c in old: W_new[k], b_new[k] = W[old.index(c) + 1], b[old.index(c) + 1]",
    ],
}

WRONG = {
    "trim": [
        has_no_margin,
        forgets_the_last_block,
        counts_the_offset,
        compares_amplitudes,
        has_a_lower_threshold,
        has_a_higher_threshold,
        compares_ranges,
        fails_in_silence,
        removes_pauses,
        wraps_around,
        trims_the_start_only,
        confuses_blocks_and_samples,
        returns_the_limits,
    ],
    "new_output_layer": [
        forgets_the_blank,
        counts_from_zero,
        copies_by_position,
        keeps_the_order_of_the_old,
        forgets_the_biases,
        starts_again,
        appends_only,
        returns_the_weights_only,
    ],
}

RIGHT = {
    "trim": [trim_with_loops, trim_with_argmax],
    "new_output_layer": [layer_by_indexing, layer_by_dictionary],
}
