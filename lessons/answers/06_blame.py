"""The answers to lesson 6, and common mistakes."""

import numpy as np

from minids.ops.reference.ctc import forward_variables, lattice, skips


def backward_variables(log_y, states):
    T, S = len(log_y), len(states)
    beta = np.full((T, S), -np.inf)
    beta[-1, -2:] = 0
    for t in reversed(range(T - 1)):
        following = log_y[t + 1, states] + beta[t + 1]
        beta[t] = following
        beta[t, :-1] = np.logaddexp(beta[t, :-1], following[1:])
        skipped = np.where(skips(states)[2:], following[2:], -np.inf)
        beta[t, :-2] = np.logaddexp(beta[t, :-2], skipped)
    return beta


def ctc_gradient(log_y, label):
    states = lattice(label)
    alpha, beta = forward_variables(log_y, states), backward_variables(log_y, states)
    log_p = np.logaddexp.reduce(alpha[-1, -2:])
    if log_p == -np.inf:
        return np.zeros_like(log_y)
    gamma, gradient = np.exp(alpha + beta - log_p), np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= gamma[:, s]
    return gradient


def backward(log_y, states, ends=2, skip=skips, frame=1, add=np.logaddexp):
    T, S = len(log_y), len(states)
    beta = np.full((T, S), -np.inf)
    beta[-1, -ends:] = 0
    for t in reversed(range(T - 1)):
        following = beta[t + 1] + log_y[t + frame, states]
        beta[t] = following
        beta[t, :-1] = add(beta[t, :-1], following[1:])
        beta[t, :-2] = add(beta[t, :-2], np.where(skip(states)[2:], following[2:], -np.inf))
    return beta


def must_end_in_a_blank(log_y, states):
    """A path cannot end in the last letter."""
    return backward(log_y, states, ends=1)


def ends_anywhere(log_y, states):
    """β is 1 in every state of the last frame."""
    return backward(log_y, states, ends=len(states))


def uses_the_current_frame(log_y, states):
    """y_t instead of y_{t+1}: α contains y_t already."""
    return backward(log_y, states, frame=0)


def contains_the_current_frame(log_y, states):
    """Graves' β, which contains y_t."""
    return backward(log_y, states) + log_y[:, states]


def never_skips(log_y, states):
    """Every blank is visited."""
    return backward(log_y, states, skip=lambda states: np.zeros(len(states), bool))


def asks_for_the_wrong_state(log_y, states):
    """Whether s allows a skip, not s + 2."""
    return backward(log_y, states, skip=lambda states: np.roll(skips(states), 2))


def skips_to_unseen_letters_only(log_y, states):
    """Not to any letter that occurs earlier in the text; only the letter before matters."""

    def new(states):
        return np.array([k not in (0, *states[:s]) for s, k in enumerate(states)])

    return backward(log_y, states, skip=new)


def takes_the_maximum(log_y, states):
    """The maximum instead of the sum."""
    return backward(log_y, states, add=np.maximum)


def posterior(log_y, label):
    states = lattice(label)
    alpha, beta = forward_variables(log_y, states), backward_variables(log_y, states)
    return np.exp(alpha + beta - np.logaddexp.reduce(alpha[-1, -2:])), states


def zero_if_impossible(gradient):
    """The gradient, with zeros for impossible texts, which are not the mistake here."""

    def with_zeros(log_y, label):
        log_p = np.logaddexp.reduce(forward_variables(log_y, lattice(label))[-1, -2:])
        return gradient(log_y, label) if log_p > -np.inf else np.zeros_like(log_y)

    with_zeros.__name__, with_zeros.__doc__ = gradient.__name__, gradient.__doc__
    return with_zeros


@zero_if_impossible
def counts_a_letter_once(log_y, label):
    """gradient[:, states] -= gamma: NumPy applies one of the states with the same character."""
    gamma, states = posterior(log_y, label)
    gradient = np.exp(log_y)
    gradient[:, states] -= gamma
    return gradient


@zero_if_impossible
def has_the_sign_of_the_probability(log_y, label):
    """The gradient of log p, not of the loss."""
    return -ctc_gradient(log_y, label)


@zero_if_impossible
def forgets_the_softmax(log_y, label):
    """The gradient with respect to log y instead of the logits."""
    return ctc_gradient(log_y, label) - np.exp(log_y)


@zero_if_impossible
def forgets_to_divide_by_p(log_y, label):
    """αβ instead of γ."""
    gamma, states = posterior(log_y, label)
    alpha = forward_variables(log_y, states)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= gamma[:, s] * np.exp(np.logaddexp.reduce(alpha[-1, -2:]))
    return gradient


@zero_if_impossible
def ignores_later_frames(log_y, label):
    """α instead of αβ, normalized in each frame."""
    states = lattice(label)
    alpha = forward_variables(log_y, states)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= np.exp(alpha[:, s] - np.logaddexp.reduce(alpha, axis=1))
    return gradient


def is_nan_if_impossible(log_y, label):
    """inf - inf."""
    with np.errstate(invalid="ignore"):
        gamma, states = posterior(log_y, label)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= gamma[:, s]
    return gradient


HINTS = {
    "backward_variables": [
        "beta[T-1, -2:] = 0 (a logarithm), all else -np.inf; then t from T - 2 down to 0.",
        "Let following = log_y[t + 1, states] + beta[t + 1]; then stay, advance, skip.",
        "The skip: beta[t, :-2] = np.logaddexp(beta[t, :-2], np.where(skips(states)[2:],"
        " following[2:], -np.inf)).",
    ],
    "ctc_gradient": [
        "log γ = α + β - log p, with log p = np.logaddexp.reduce(alpha[-1, -2:]).",
        "Start with np.exp(log_y), and for each state s subtract gamma[:, s] from column states[s]."
        " (Indexing with all states at once counts repeated characters once.)",
        "If log p is -np.inf return np.zeros_like(log_y).",
    ],
}

WRONG = {
    "backward_variables": [
        must_end_in_a_blank,
        ends_anywhere,
        uses_the_current_frame,
        contains_the_current_frame,
        never_skips,
        asks_for_the_wrong_state,
        skips_to_unseen_letters_only,
        takes_the_maximum,
    ],
    "ctc_gradient": [
        counts_a_letter_once,
        has_the_sign_of_the_probability,
        forgets_the_softmax,
        forgets_to_divide_by_p,
        ignores_later_frames,
        is_nan_if_impossible,
    ],
}
