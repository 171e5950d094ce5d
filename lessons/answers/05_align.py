"""The answers to lesson 5, and common mistakes."""

import numpy as np


def skips(states):
    skip = np.zeros(len(states), bool)
    skip[2:] = (states[2:] != 0) & (states[2:] != states[:-2])
    return skip


def count_ways(states, T):
    n = np.zeros((T, len(states)), int)
    n[0, :2] = 1
    for t in range(1, T):
        n[t] = n[t - 1]
        n[t, 1:] += n[t - 1, :-1]
        n[t, 2:] += np.where(skips(states)[2:], n[t - 1, :-2], 0)
    return n


def forward_variables(log_y, states):
    T, S = len(log_y), len(states)
    alpha = np.full((T, S), -np.inf)
    alpha[0, :2] = log_y[0, states[:2]]
    for t in range(1, T):
        alpha[t] = alpha[t - 1]
        alpha[t, 1:] = np.logaddexp(alpha[t, 1:], alpha[t - 1, :-1])
        skipped = np.where(skips(states)[2:], alpha[t - 1, :-2], -np.inf)
        alpha[t, 2:] = np.logaddexp(alpha[t, 2:], skipped)
        alpha[t] += log_y[t, states]
    return alpha


def skips_to_blanks(states):
    """Every state but the first two: letters would be skipped, too."""
    return np.arange(len(states)) > 1


def skips_between_repeats(states):
    """Also between two equal letters, which would merge."""
    return (states != 0) & (np.arange(len(states)) > 1)


def skips_to_the_first_letter(states):
    """Also the first letter, which has no letter before it."""
    return (states != 0) & (states != np.roll(states, 2))


def compares_neighbors(states):
    """Compares with the state before, which is always a blank."""
    return (states != 0) & (states != np.roll(states, 1)) & (np.arange(len(states)) > 1)


def skips_to_unseen_letters_only(states):
    """Not to any letter that occurs earlier in the text; only the letter before matters."""
    return np.array([s > 1 and k not in (0, *states[:s]) for s, k in enumerate(states)], bool)


def count(states, T, start=2, stay=True, skip=skips):
    n = np.zeros((T, len(states)), int)
    n[0, :start] = 1
    for t in range(1, T):
        n[t] = n[t - 1] if stay else 0
        n[t, 1:] += n[t - 1, :-1]
        n[t, 2:] += np.where(skip(states)[2:], n[t - 1, :-2], 0)
    return n


def never_skips(states, T):
    """Every blank is visited."""
    return count(states, T, skip=lambda states: np.zeros(len(states), bool))


def skips_everything(states, T):
    """Letters are skipped, too."""
    return count(states, T, skip=lambda states: np.ones(len(states), bool))


def skips_between_equal_letters(states, T):
    """Two equal letters without a blank, which would merge."""
    return count(states, T, skip=lambda states: states != 0)


def starts_with_a_blank(states, T):
    """The first frame cannot be the first letter."""
    return count(states, T, start=1)


def starts_anywhere(states, T):
    """A path may start in the middle of the text."""
    return count(states, T, start=len(states))


def never_stays(states, T):
    """A letter lasts one frame only."""
    return count(states, T, stay=False)


def adds_in_place(states, T):
    """One row, overwritten from the left: a path can advance several times in one frame."""
    n, row, skip = np.zeros((T, len(states)), int), np.zeros(len(states), int), skips(states)
    row[:2] = 1
    for t in range(T):
        for s in range(1, len(states)) if t else ():
            row[s] += row[s - 1] + (row[s - 2] if skip[s] else 0)
        n[t] = row
    return n


def forward(log_y, states, start=2, skip=skips, add=np.logaddexp, delay=0):
    T, S = len(log_y), len(states)
    alpha = np.full((T, S), -np.inf)
    alpha[0, :start] = log_y[0, states[:start]]
    for t in range(1, T):
        alpha[t] = alpha[t - 1]
        alpha[t, 1:] = add(alpha[t, 1:], alpha[t - 1, :-1])
        alpha[t, 2:] = add(alpha[t, 2:], np.where(skip(states)[2:], alpha[t - 1, :-2], -np.inf))
        alpha[t] += log_y[t - delay, states]
    return alpha


def takes_the_maximum(log_y, states):
    """The maximum instead of the sum: the probability of the best path (Viterbi), not of the text."""
    return forward(log_y, states, add=np.maximum)


def adds_logarithms(log_y, states):
    """+ instead of logaddexp: the probabilities are multiplied."""
    return forward(log_y, states, add=np.add)


def skips_the_blank_between_repeats(log_y, states):
    """Two equal letters without a blank, which would merge."""
    return forward(log_y, states, skip=lambda states: states != 0)


def never_skips_a_blank(log_y, states):
    """Requires a blank between any two letters."""
    return forward(log_y, states, skip=lambda states: np.zeros(len(states), bool))


def requires_a_blank_first(log_y, states):
    """Starts in state 0 only."""
    return forward(log_y, states, start=1)


def uses_the_previous_frame(log_y, states):
    """y_{t-1} instead of y_t."""
    return forward(log_y, states, delay=1)


def underflows(log_y, states):
    """Correct, but with probabilities, which underflow to 0."""
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


HINTS = {
    "skips": [
        "State s is reached by a skip from s - 2. Neither of the first two can be.",
        "It must be a letter, and differ from states[s - 2].",
        "skip[2:] = (states[2:] != BLANK) & (states[2:] != states[:-2])",
    ],
    "count_ways": [
        "Row t needs only row t - 1; start with n[0, :2] = 1.",
        "n[t, 1:] += n[t-1, :-1], and n[t, 2:] += n[t-1, :-2] where a skip is allowed.",
        "n[t, 2:] += np.where(skips(states)[2:], n[t-1, :-2], 0)",
    ],
    "forward_variables": [
        "As count_ways: + becomes np.logaddexp, 0 becomes -np.inf, log_y[t, states] is added.",
        "alpha = np.full((T, S), -np.inf); alpha[0, :2] = log_y[0, states[:2]].",
        "For skips: skipped = np.where(skips(states)[2:], alpha[t-1, :-2], -np.inf), then alpha[t,"
        " 2:] = np.logaddexp(alpha[t, 2:], skipped).",
    ],
}

WRONG = {
    "skips": [
        skips_to_blanks,
        skips_between_repeats,
        skips_to_the_first_letter,
        compares_neighbors,
        skips_to_unseen_letters_only,
    ],
    "count_ways": [
        never_skips,
        skips_everything,
        skips_between_equal_letters,
        starts_with_a_blank,
        starts_anywhere,
        never_stays,
        adds_in_place,
    ],
    "forward_variables": [
        takes_the_maximum,
        adds_logarithms,
        skips_the_blank_between_repeats,
        never_skips_a_blank,
        requires_a_blank_first,
        uses_the_previous_frame,
        underflows,
    ],
}
