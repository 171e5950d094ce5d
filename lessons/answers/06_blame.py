"""Lesson 6, answered. WRONG holds what people write first; the lesson's checks tell each from right."""

import numpy as np

from minids.ops.reference import ctc
from minids.ops.reference.ctc import backward_variables, forward_variables, lattice, skips

__all__ = ["WRONG", "backward_variables", "ctc_gradient"]


def ctc_gradient(log_y, label):
    _, dlogits = ctc(log_y[:, None], [len(log_y)], np.array([label], int), [len(label)])
    return dlogits[:, 0]


def backward(log_y, states, ends=2, skip=skips, emission=1, add=np.logaddexp):
    T, S = len(log_y), len(states)
    beta = np.full((T, S), -np.inf)
    beta[-1, -ends:] = 0
    for t in reversed(range(T - 1)):
        onward = beta[t + 1] + log_y[t + emission, states]
        beta[t] = onward
        beta[t, :-1] = add(beta[t, :-1], onward[1:])
        beta[t, :-2] = add(beta[t, :-2], np.where(skip(states)[2:], onward[2:], -np.inf))
    return beta


def ends_in_the_last_letter(log_y, states):
    """No blank may follow it, or nothing but."""
    return backward(log_y, states, ends=1)


def ends_anywhere(log_y, states):
    """β is 1 in every state of the last frame."""
    return backward(log_y, states, ends=len(states))


def emits_the_frame_it_leaves(log_y, states):
    """y_t for y_{t+1}: the frame counts in α, too."""
    return backward(log_y, states, emission=0)


def contains_its_own_frame(log_y, states):
    """Graves' β, with y_t in it."""
    return backward(log_y, states) + log_y[:, states]


def never_skips(log_y, states):
    """Goes through every blank."""
    return backward(log_y, states, skip=lambda states: np.zeros(len(states), bool))


def skips_by_where_it_comes_from(log_y, states):
    """Asks whether s may be skipped to, not s + 2."""
    return backward(log_y, states, skip=lambda states: np.roll(skips(states), 2))


def skips_to_new_letters_only(log_y, states):
    """Keeps from skipping to any letter that was there before, not only to an equal neighbor."""

    def new(states):
        return np.array([k not in (0, *states[:s]) for s, k in enumerate(states)])

    return backward(log_y, states, skip=new)


def takes_the_best(log_y, states):
    """The greatest instead of the sum."""
    return backward(log_y, states, add=np.maximum)


def posterior(log_y, label):
    states = lattice(label)
    alpha, beta = forward_variables(log_y, states), backward_variables(log_y, states)
    return np.exp(alpha + beta - np.logaddexp.reduce(alpha[-1, -2:])), states


def possible(gradient):
    """The gradient, and zeros where no path is: not the mistake that is meant here."""

    def careful(log_y, label):
        log_p = np.logaddexp.reduce(forward_variables(log_y, lattice(label))[-1, -2:])
        return gradient(log_y, label) if log_p > -np.inf else np.zeros_like(log_y)

    careful.__name__, careful.__doc__ = gradient.__name__, gradient.__doc__
    return careful


@possible
def counts_a_letter_once(log_y, label):
    """dlogits[:, states] -= gamma: NumPy keeps one of the states that are the same character."""
    gamma, states = posterior(log_y, label)
    gradient = np.exp(log_y)
    gradient[:, states] -= gamma
    return gradient


@possible
def has_the_sign_of_the_probability(log_y, label):
    """Climbs: the gradient of log p, not of the loss."""
    return -ctc_gradient(log_y, label)


@possible
def forgets_the_softmax(log_y, label):
    """The gradient to log y, not to the logits."""
    return ctc_gradient(log_y, label) - np.exp(log_y)


@possible
def forgets_to_divide_by_p(log_y, label):
    """αβ for γ."""
    gamma, states = posterior(log_y, label)
    alpha = forward_variables(log_y, states)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= gamma[:, s] * np.exp(np.logaddexp.reduce(alpha[-1, -2:]))
    return gradient


@possible
def looks_only_back(log_y, label):
    """α for αβ, each frame's made to add up to 1: what comes later does not count."""
    states = lattice(label)
    alpha = forward_variables(log_y, states)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= np.exp(alpha[:, s] - np.logaddexp.reduce(alpha, axis=1))
    return gradient


def is_nan_where_nothing_is_possible(log_y, label):
    """-inf - -inf."""
    with np.errstate(invalid="ignore"):
        gamma, states = posterior(log_y, label)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= gamma[:, s]
    return gradient


WRONG = {
    "backward_variables": [
        ends_in_the_last_letter,
        ends_anywhere,
        emits_the_frame_it_leaves,
        contains_its_own_frame,
        never_skips,
        skips_by_where_it_comes_from,
        skips_to_new_letters_only,
        takes_the_best,
    ],
    "ctc_gradient": [
        counts_a_letter_once,
        has_the_sign_of_the_probability,
        forgets_the_softmax,
        forgets_to_divide_by_p,
        looks_only_back,
        is_nan_where_nothing_is_possible,
    ],
}
