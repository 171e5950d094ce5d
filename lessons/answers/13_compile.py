"""The answers to lesson 12, and common mistakes."""

import numpy as np
from numba import njit, prange

from minids.text import BLANK


@njit
def log_add(a, b):
    if b > a:
        a, b = b, a
    return a if b == -np.inf else a + np.log1p(np.exp(b - a))


def forward(log_y, states):
    T, S = len(log_y), len(states)
    alpha = np.empty((T, S))
    for t in range(T):
        for s in range(S):
            if t == 0:
                paths = 0.0 if s < 2 else -np.inf
            else:
                paths = alpha[t - 1, s]
                if s > 0:
                    paths = log_add(paths, alpha[t - 1, s - 1])
                if s > 1 and states[s] != BLANK and states[s] != states[s - 2]:
                    paths = log_add(paths, alpha[t - 1, s - 2])
            alpha[t, s] = log_y[t, states[s]] + paths
    return alpha


fast_forward = njit(forward)


@njit
def fast_lattice(label):
    states = np.full(2 * len(label) + 1, BLANK)
    for u, letter in enumerate(label):
        states[2 * u + 1] = letter
    return states


def losses(log_probs, lengths, labels, label_lengths):
    B = log_probs.shape[1]
    result = np.empty(B)
    for b in prange(B):
        states = fast_lattice(labels[b, : label_lengths[b]])
        alpha = fast_forward(log_probs[: lengths[b], b], states)
        result[b] = -log_add(alpha[-1, -1], alpha[-1, -2])
    return result


fast_losses = njit(losses)


def variant(
    log_y, states, may_skip=lambda here, before: here not in (BLANK, before), first=(0, 1), wrap=False
):
    """A forward pass with one wrong rule."""
    alpha = np.full((len(log_y), len(states)), -np.inf)
    for s in first or range(len(states)):
        alpha[0, s] = log_y[0, states[s]]
    for t in range(1, len(log_y)):
        for s in range(len(states)):
            paths = alpha[t - 1, s]
            if s > 0 or wrap:
                paths = log_add(paths, alpha[t - 1, s - 1])
            if s > 1 and may_skip(states[s], states[s - 2]):
                paths = log_add(paths, alpha[t - 1, s - 2])
            alpha[t, s] = log_y[t, states[s]] + paths
    return alpha


def skips_between_equal_letters(log_y, states):
    """Between two equal letters there must be a blank; otherwise "ll" becomes "l"."""
    return variant(log_y, states, may_skip=lambda here, before: here != BLANK)


def skips_letters(log_y, states):
    """A skip from blank to blank would lose the letter between them."""
    return variant(log_y, states, may_skip=lambda here, before: here == BLANK or here != before)


def never_skips(log_y, states):
    """Between two different letters the blank is optional."""
    return variant(log_y, states, may_skip=lambda here, before: False)


def reads_index_minus_one(log_y, states):
    """alpha[t - 1, -1] is the last state, not log 0."""
    return variant(log_y, states, wrap=True)


def begins_anywhere(log_y, states):
    """If the first frame can be in any state, the beginning of the text may be missing."""
    return variant(log_y, states, first=None)


def begins_in_the_blank(log_y, states):
    """An alignment may also begin with the first letter."""
    return variant(log_y, states, first=(0,))


def begins_in_two_states(log_y, states):
    """An empty text has only one state; compiled, this writes beyond the end of a row."""
    alpha = np.full((len(log_y), len(states)), -np.inf)
    alpha[0, 0], alpha[0, 1] = log_y[0, states[0]], log_y[0, states[1]]
    alpha[1:] = forward(log_y, states)[1:]
    return alpha


def reads_the_same_frame(log_y, states):
    """Reads the neighbors in this frame instead of the previous one."""
    alpha = np.full((len(log_y), len(states)), -np.inf)
    for t in range(len(log_y)):
        for s in range(len(states)):
            paths = 0.0 if t == 0 and s < 2 else -np.inf if t == 0 else alpha[t - 1, s]
            if t > 0 and s > 0:
                paths = log_add(paths, alpha[t, s - 1])
            if t > 0 and s > 1 and states[s] not in (BLANK, states[s - 2]):
                paths = log_add(paths, alpha[t, s - 2])
            alpha[t, s] = log_y[t, states[s]] + paths
    return alpha


def probabilities(log_y, states):
    """Logarithms only at the end: after some hundred frames every product is 0."""
    p = np.exp(forward(log_y, states))
    return np.where(p > 0, np.log(np.maximum(p, 1e-320)), -np.inf)


def not_for_numba(log_y, states):
    """Right in Python, but Numba does not support logaddexp.reduce."""
    alpha = fast_forward(log_y, states)
    np.logaddexp.reduce(alpha[-1])
    return alpha


def reads_the_padding(log_probs, lengths, labels, label_lengths):
    """Treats every utterance as if it were as long as the longest."""
    return fast_losses(log_probs, np.full_like(lengths, len(log_probs)), labels, label_lengths)


def reads_the_padding_of_the_labels(log_probs, lengths, labels, label_lengths):
    """Treats every text as if it were as long as the longest."""
    return fast_losses(log_probs, lengths, labels, np.full_like(label_lengths, labels.shape[1]))


def one_end_only(log_probs, lengths, labels, label_lengths):
    """An alignment may end in the last letter, not only in the blank after it."""
    result = np.empty(len(lengths))
    for b in prange(len(lengths)):
        states = fast_lattice(labels[b, : label_lengths[b]])
        result[b] = -fast_forward(log_probs[: lengths[b], b], states)[-1, -1]
    return result


def sum_of_the_batch(log_probs, lengths, labels, label_lengths):
    """The sum over the batch instead of one loss per utterance."""
    return fast_losses(log_probs, lengths, labels, label_lengths).sum()


def not_parallel(log_probs, lengths, labels, label_lengths):
    """range instead of prange: right, but on one core."""
    result = np.empty(len(lengths))
    for b in range(len(lengths)):
        states = fast_lattice(labels[b, : label_lengths[b]])
        alpha = fast_forward(log_probs[: lengths[b], b], states)
        result[b] = -log_add(alpha[-1, -1], alpha[-1, -2])
    return result


def mean_over_frames(log_probs, lengths, labels, label_lengths):
    """Divided by the length, so a long utterance counts no more than a short one."""
    return fast_losses(log_probs, lengths, labels, label_lengths) / lengths


def log_likelihood(log_probs, lengths, labels, label_lengths):
    """The sign: a loss is -log p."""
    return -fast_losses(log_probs, lengths, labels, label_lengths)


def shares_a_buffer(log_probs, lengths, labels, label_lengths):
    """All turns write to one array `ends`: with several threads they overwrite each other's numbers."""
    B = log_probs.shape[1]
    result, ends = np.empty(B), np.empty(2)
    for b in prange(B):
        states = fast_lattice(labels[b, : label_lengths[b]])
        alpha = fast_forward(log_probs[: lengths[b], b], states)
        ends[:] = alpha[-1, -2:]
        result[b] = -log_add(ends[0], ends[1])
    return result


def appends(log_probs, lengths, labels, label_lengths):
    """Turns of a prange run in any order, so the results are in any order, too."""
    result = []
    for b in prange(log_probs.shape[1]):
        states = fast_lattice(labels[b, : label_lengths[b]])
        alpha = fast_forward(log_probs[: lengths[b], b], states)
        result.append(-log_add(alpha[-1, -1], alpha[-1, -2]))
    return np.array(result)


HINTS = {
    "forward": [
        "For each t and each s: paths = …, and then alpha[t, s] = log_y[t, states[s]] + paths.",
        "In frame 0, paths is 0.0 (log 1) for s < 2, else -np.inf. Later it starts as alpha[t - 1, s].",
        "if s > 0: paths = log_add(paths, alpha[t - 1, s - 1]); if s > 1 and states[s] != BLANK and …",
    ],
    "losses": [
        "result = np.empty(B); turn b of the loop writes result[b] and nothing else.",
        "The part of one utterance: log_probs[: lengths[b], b] and labels[b, : label_lengths[b]].",
        "alpha = fast_forward(…, fast_lattice(…)); result[b] = -log_add(alpha[-1, -1], alpha[-1, -2])",
    ],
}

WRONG = {
    "forward": [
        skips_between_equal_letters,
        skips_letters,
        never_skips,
        reads_index_minus_one,
        begins_anywhere,
        begins_in_the_blank,
        begins_in_two_states,
        reads_the_same_frame,
        probabilities,
        not_for_numba,
    ],
    "losses": [
        reads_the_padding,
        reads_the_padding_of_the_labels,
        one_end_only,
        sum_of_the_batch,
        not_parallel,
        mean_over_frames,
        log_likelihood,
        shares_a_buffer,
        appends,
    ],
}
