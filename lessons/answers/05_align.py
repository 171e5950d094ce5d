"""Lesson 5, answered. WRONG holds what people write first; the lesson's checks tell each from right."""

import numpy as np

from minids.ops.reference.ctc import forward_variables, skips

__all__ = ["WRONG", "count_ways", "forward_variables"]


def count_ways(states, T):
    n = np.zeros((T, len(states)), int)
    n[0, :2] = 1
    for t in range(1, T):
        n[t] = n[t - 1]
        n[t, 1:] += n[t - 1, :-1]
        n[t, 2:] += np.where(skips(states)[2:], n[t - 1, :-2], 0)
    return n


def count(states, T, begin=2, stay=True, skip=skips):
    n = np.zeros((T, len(states)), int)
    n[0, :begin] = 1
    for t in range(1, T):
        n[t] = n[t - 1] if stay else 0
        n[t, 1:] += n[t - 1, :-1]
        n[t, 2:] += np.where(skip(states)[2:], n[t - 1, :-2], 0)
    return n


def never_skips(states, T):
    """Every blank is passed through."""
    return count(states, T, skip=lambda states: np.zeros(len(states), bool))


def skips_everything(states, T):
    """Letters are skipped, too."""
    return count(states, T, skip=lambda states: np.ones(len(states), bool))


def skips_between_equal_letters(states, T):
    """ "oo" without the blank between, which collapses to "o"."""
    return count(states, T, skip=lambda states: states != 0)


def begins_in_the_blank(states, T):
    """The first letter cannot be said in the first frame."""
    return count(states, T, begin=1)


def begins_anywhere(states, T):
    """A path may begin in the middle of the text."""
    return count(states, T, begin=len(states))


def never_stays(states, T):
    """A letter lasts one frame only."""
    return count(states, T, stay=False)


def adds_in_place(states, T):
    """One row, overwritten from the left: a path goes on twice in one frame."""
    n, row, skip = np.zeros((T, len(states)), int), np.zeros(len(states), int), skips(states)
    row[:2] = 1
    for t in range(T):
        for s in range(1, len(states)) if t else ():
            row[s] += row[s - 1] + (row[s - 2] if skip[s] else 0)
        n[t] = row
    return n


def forward(log_y, states, begin=2, skip=skips, add=np.logaddexp, late=0):
    T, S = len(log_y), len(states)
    alpha = np.full((T, S), -np.inf)
    alpha[0, :begin] = log_y[0, states[:begin]]
    for t in range(1, T):
        alpha[t] = alpha[t - 1]
        alpha[t, 1:] = add(alpha[t, 1:], alpha[t - 1, :-1])
        alpha[t, 2:] = add(alpha[t, 2:], np.where(skip(states)[2:], alpha[t - 1, :-2], -np.inf))
        alpha[t] += log_y[t - late, states]
    return alpha


def takes_the_best_way(log_y, states):
    """The greatest instead of the sum: Viterbi's path, not the text's probability."""
    return forward(log_y, states, add=np.maximum)


def adds_logarithms(log_y, states):
    """+ where logaddexp belongs: the ways are multiplied."""
    return forward(log_y, states, add=np.add)


def loses_the_blank_between_equal_letters(log_y, states):
    """Skips it."""
    return forward(log_y, states, skip=lambda states: states != 0)


def never_skips_a_blank(log_y, states):
    """Demands a blank between any two letters."""
    return forward(log_y, states, skip=lambda states: np.zeros(len(states), bool))


def waits_for_a_blank(log_y, states):
    """Begins in state 0 only."""
    return forward(log_y, states, begin=1)


def reads_the_frame_before(log_y, states):
    """y_{t-1} for y_t."""
    return forward(log_y, states, late=1)


def underflows(log_y, states):
    """Right, but in probabilities: 0 after some hundred frames."""
    with np.errstate(divide="ignore", under="ignore"):
        y, skip = np.exp(log_y), skips(states)
        alpha = np.zeros((len(y), len(states)))
        alpha[0, :2] = y[0, states[:2]]
        for t in range(1, len(y)):
            alpha[t] = alpha[t - 1]
            alpha[t, 1:] += alpha[t - 1, :-1]
            alpha[t, 2:] += np.where(skip[2:], alpha[t - 1, :-2], 0)
            alpha[t] *= y[t, states]
        return np.log(alpha)


WRONG = {
    "count_ways": [
        never_skips,
        skips_everything,
        skips_between_equal_letters,
        begins_in_the_blank,
        begins_anywhere,
        never_stays,
        adds_in_place,
    ],
    "forward_variables": [
        takes_the_best_way,
        adds_logarithms,
        loses_the_blank_between_equal_letters,
        never_skips_a_blank,
        waits_for_a_blank,
        reads_the_frame_before,
        underflows,
    ],
}
