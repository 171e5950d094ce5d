"""Connectionist temporal classification (Graves 2006): -log of a text's probability over all its alignments.

The text l = l_1 … l_U becomes the lattice l' = (blank, l_1, blank, …, l_U, blank) of S = 2U+1 states. An
alignment walks through it: in each frame it stays, goes on one state, or skips a blank between two different
letters.
"""

import numpy as np

from minids.text import BLANK


def ctc(log_probs, lengths, labels, label_lengths):
    """loss_b = -log p(l|x) and its gradient with respect to the logits (before the softmax).

    log_probs (T, B, K), labels (B, Umax) int32, lengths and label_lengths (B,)
    -> losses (B,), dlogits (T, B, K):

        γ_t(s) = α_t(s) β_t(s) / p(l|x)        dlogits_t,k = ŷ_t,k - Σ_{s: l'_s = k} γ_t(s)

    The gradient is zero past an utterance's end. A text that no alignment of this length spells (T < U +
    adjacent repeats, or T = 0 < U) has loss inf and gradient 0.
    """
    losses = np.empty(log_probs.shape[1], log_probs.dtype)  # (B,)
    dlogits = np.zeros_like(log_probs)  # (T, B, K)
    for b, T in enumerate(lengths):
        log_y = log_probs[:T, b]  # (T_b, K)
        states = lattice(labels[b, : label_lengths[b]])  # (S,)
        alpha, beta = forward_variables(log_y, states), backward_variables(log_y, states)  # (T_b, S)
        log_p = -np.inf if len(states) > 1 else 0.0  # no frames spell only the empty text
        if T:
            log_p = np.logaddexp.reduce(alpha[-1, -2:])
        losses[b] = -log_p
        if np.isfinite(log_p):
            gamma = np.exp(alpha + beta - log_p)  # (T_b, S)
            dlogits[:T, b] = np.exp(log_y)
            for s, k in enumerate(states):
                dlogits[:T, b, k] -= gamma[:, s]
    return losses, dlogits


def lattice(label):
    """l' = (blank, l_1, blank, …, l_U, blank): S = 2U+1 states."""
    states = np.full(2 * len(label) + 1, BLANK)
    states[1::2] = label
    return states


def forward_variables(log_y, states):
    """log α_t(s) = log y_t(l'_s) + log[α_{t-1}(s) + α_{t-1}(s-1) + α_{t-1}(s-2) if the skip is allowed].

    The probability of all ways to be in state s after frame t. (T, S)
    """
    T, S = len(log_y), len(states)
    alpha = np.full((T + 1, 2 + S), -np.inf, log_y.dtype)  # two columns of log 0 before the first state
    alpha[0, 1] = 0  # α_0: one step before the first blank, a skip before the first letter
    can_skip = skips(states)  # from s - 2 to s
    for t in range(T):
        stay, step, skip = alpha[t, 2:], alpha[t, 1:-1], np.where(can_skip, alpha[t, :-2], -np.inf)
        alpha[t + 1, 2:] = log_y[t, states] + np.logaddexp(np.logaddexp(stay, step), skip)
    return alpha[1:, 2:]


def backward_variables(log_y, states):
    """log β_t(s): all ways to go on from state s after frame t to an end, the last two states; β_T = 1 there.

    (T, S). Without the emission at t: α_t(s) β_t(s) is the probability of all alignments through s at t.
    """
    T, S = len(log_y), len(states)
    beta = np.full((T, S + 2), -np.inf, log_y.dtype)  # two columns of log 0 after the last state
    beta[T - 1 :, max(S - 2, 0) : S] = 0
    can_skip = np.pad(skips(states), (0, 2))[2:]  # from s to s + 2
    for t in reversed(range(T - 1)):
        onward = beta[t + 1].copy()
        onward[:S] += log_y[t + 1, states]
        stay, step, skip = onward[:-2], onward[1:-1], np.where(can_skip, onward[2:], -np.inf)
        beta[t, :S] = np.logaddexp(np.logaddexp(stay, step), skip)
    return beta[:, :S]


def skips(states):
    """(S,) bool: whether a state can be entered from two states before.

    Letters can that differ from the letter before, and the first letter, from before the first blank.
    """
    return states != np.concatenate([[BLANK, -1], states])[: len(states)]
