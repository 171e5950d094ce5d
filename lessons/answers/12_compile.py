"""Our answers to lesson 12, and the usual mistakes."""

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
                ways = 0.0 if s < 2 else -np.inf
            else:
                ways = alpha[t - 1, s]
                if s > 0:
                    ways = log_add(ways, alpha[t - 1, s - 1])
                if s > 1 and states[s] != BLANK and states[s] != states[s - 2]:
                    ways = log_add(ways, alpha[t - 1, s - 2])
            alpha[t, s] = log_y[t, states[s]] + ways
    return alpha


quick_forward = njit(forward)


@njit
def quick_lattice(label):
    states = np.full(2 * len(label) + 1, BLANK)
    for u, letter in enumerate(label):
        states[2 * u + 1] = letter
    return states


def losses(log_probs, lengths, labels, label_lengths):
    B = log_probs.shape[1]
    result = np.empty(B)
    for b in prange(B):
        states = quick_lattice(labels[b, : label_lengths[b]])
        alpha = quick_forward(log_probs[: lengths[b], b], states)
        result[b] = -log_add(alpha[-1, -1], alpha[-1, -2])
    return result


quick_losses = njit(losses)


def walk(log_y, states, may_skip=lambda here, before: here not in (BLANK, before), first=(0, 1), wrap=False):
    """A forward pass with a mistake in one of its rules."""
    alpha = np.full((len(log_y), len(states)), -np.inf)
    for s in first or range(len(states)):
        alpha[0, s] = log_y[0, states[s]]
    for t in range(1, len(log_y)):
        for s in range(len(states)):
            ways = alpha[t - 1, s]
            if s > 0 or wrap:
                ways = log_add(ways, alpha[t - 1, s - 1])
            if s > 1 and may_skip(states[s], states[s - 2]):
                ways = log_add(ways, alpha[t - 1, s - 2])
            alpha[t, s] = log_y[t, states[s]] + ways
    return alpha


def skips_between_equal_letters(log_y, states):
    """From a letter to the same letter there must be a blank: "ll" would become "l"."""
    return walk(log_y, states, may_skip=lambda here, before: here != BLANK)


def skips_letters(log_y, states):
    """From blank to blank over a letter: that letter would be lost."""
    return walk(log_y, states, may_skip=lambda here, before: here == BLANK or here != before)


def never_skips(log_y, states):
    """Between two different letters no blank is needed."""
    return walk(log_y, states, may_skip=lambda here, before: False)


def wraps_around(log_y, states):
    """alpha[t - 1, -1] is the last state, not log 0."""
    return walk(log_y, states, wrap=True)


def begins_anywhere(log_y, states):
    """The first frame in any state: the beginning of the text may be missing."""
    return walk(log_y, states, first=None)


def begins_in_the_blank(log_y, states):
    """A text may begin with its first letter, too."""
    return walk(log_y, states, first=(0,))


def begins_in_two_states(log_y, states):
    """An empty text has one state: compiled, this writes past the end of a row."""
    alpha = np.full((len(log_y), len(states)), -np.inf)
    alpha[0, 0], alpha[0, 1] = log_y[0, states[0]], log_y[0, states[1]]
    alpha[1:] = forward(log_y, states)[1:]
    return alpha


def from_left_to_right(log_y, states):
    """The neighbors' numbers of this frame instead of the last."""
    alpha = np.full((len(log_y), len(states)), -np.inf)
    for t in range(len(log_y)):
        for s in range(len(states)):
            ways = 0.0 if t == 0 and s < 2 else -np.inf if t == 0 else alpha[t - 1, s]
            if t > 0 and s > 0:
                ways = log_add(ways, alpha[t, s - 1])
            if t > 0 and s > 1 and states[s] not in (BLANK, states[s - 2]):
                ways = log_add(ways, alpha[t, s - 2])
            alpha[t, s] = log_y[t, states[s]] + ways
    return alpha


def probabilities(log_y, states):
    """Without logarithms, log at the end: after some hundred frames all is 0."""
    kept = np.exp(forward(log_y, states))
    return np.where(kept > 0, np.log(np.maximum(kept, 1e-320)), -np.inf)


def not_for_numba(log_y, states):
    """Right in Python, but Numba knows no logaddexp.reduce."""
    alpha = quick_forward(log_y, states)
    np.logaddexp.reduce(alpha[-1])
    return alpha


def reads_the_padding(log_probs, lengths, labels, label_lengths):
    """Every utterance as long as the longest."""
    return quick_losses(log_probs, np.full_like(lengths, len(log_probs)), labels, label_lengths)


def spells_the_padding(log_probs, lengths, labels, label_lengths):
    """Every text as long as the longest."""
    return quick_losses(log_probs, lengths, labels, np.full_like(label_lengths, labels.shape[1]))


def one_end_only(log_probs, lengths, labels, label_lengths):
    """The last letter is an end as well as the blank after it."""
    result = np.empty(len(lengths))
    for b in prange(len(lengths)):
        states = quick_lattice(labels[b, : label_lengths[b]])
        result[b] = -quick_forward(log_probs[: lengths[b], b], states)[-1, -1]
    return result


def one_number(log_probs, lengths, labels, label_lengths):
    """The sum over the batch instead of a loss for each."""
    return quick_losses(log_probs, lengths, labels, label_lengths).sum()


def not_parallel(log_probs, lengths, labels, label_lengths):
    """range instead of prange: right, on one core."""
    result = np.empty(len(lengths))
    for b in range(len(lengths)):
        states = quick_lattice(labels[b, : label_lengths[b]])
        alpha = quick_forward(log_probs[: lengths[b], b], states)
        result[b] = -log_add(alpha[-1, -1], alpha[-1, -2])
    return result


def for_each_frame(log_probs, lengths, labels, label_lengths):
    """Divided by the length: a long utterance would count no more than a short one."""
    return quick_losses(log_probs, lengths, labels, label_lengths) / lengths


def log_likelihood(log_probs, lengths, labels, label_lengths):
    """The sign: a loss is -log p."""
    return -quick_losses(log_probs, lengths, labels, label_lengths)


WRONG = {
    "forward": [
        skips_between_equal_letters,
        skips_letters,
        never_skips,
        wraps_around,
        begins_anywhere,
        begins_in_the_blank,
        begins_in_two_states,
        from_left_to_right,
        probabilities,
        not_for_numba,
    ],
    "losses": [
        reads_the_padding,
        spells_the_padding,
        one_end_only,
        one_number,
        not_parallel,
        for_each_frame,
        log_likelihood,
    ],
}
