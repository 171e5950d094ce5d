"""Connectionist temporal classification (Graves 2006): -log of a text's probability over all its alignments.

The text l = l_1 … l_U becomes the lattice l' = (blank, l_1, blank, …, l_U, blank) of S = 2U+1 states. An
alignment walks through it: in each frame it stays, goes on one state, or skips a blank between two different
letters.
"""

import numpy as np

from minids.text import BLANK


def ctc(log_probs, lengths, labels, label_lengths, losses=None, dlogits=None, room=None):
    """loss_b = -log p(l|x) and its gradient to the logits (before the softmax).

    log_probs (T, B, K), labels (B, Umax) int32, lengths and label_lengths (B,)
    -> losses (B,), dlogits (T, B, K):

        γ_t(s) = α_t(s) β_t(s) / p(l|x)        dlogits_t,k = ŷ_t,k - Σ_{s: l'_s = k} γ_t(s)

    The gradient is zero past an utterance's end. A text that no alignment of this length spells (T < U +
    adjacent repeats, or T = 0 < U) has loss inf and gradient 0. `room` (B, T, 2 Umax + 5) is for backends
    that need one.
    """
    B = log_probs.shape[1]
    losses = np.empty(B, log_probs.dtype) if losses is None else losses
    dlogits = np.empty_like(log_probs) if dlogits is None else dlogits
    for b in range(B):
        log_y = log_probs[: lengths[b], b]  # (T_b, K)
        states = lattice(labels[b, : label_lengths[b]])  # (S,)
        alpha, beta, log_p = forward_variables(log_y, states), backward_variables(log_y, states), -np.inf
        if len(log_y):
            log_p = np.logaddexp.reduce(alpha[-1, -2:])
        elif len(states) == 1:
            log_p = 0.0
        losses[b] = -log_p
        dlogits[:, b] = 0
        if np.isfinite(log_p):
            gamma = np.exp(alpha + beta - log_p)  # (T_b, S)
            dlogits[: lengths[b], b] = np.exp(log_y)
            for s, k in enumerate(states):
                dlogits[: lengths[b], b, k] -= gamma[:, s]
    return losses, dlogits


def lattice(label):
    """l' = (blank, l_1, blank, …, l_U, blank): S = 2U+1 states."""
    states = np.full(2 * len(label) + 1, BLANK)
    states[1::2] = label
    return states


def forward_variables(log_y, states):
    """log α_t(s) = log y_t(l'_s) + log[α_{t-1}(s) + α_{t-1}(s-1) + α_{t-1}(s-2) if the skip is allowed].

    The probability of all ways to be in state s after frame t. Only the first two states can begin. (T, S)
    """
    T, S = len(log_y), len(states)
    alpha = np.full((T, S), -np.inf, log_y.dtype)
    skip = skips(states)
    for t in range(T):
        if t == 0:
            ways = np.where(np.arange(S) < 2, 0.0, -np.inf)  # (S,)
        else:
            ways = np.logaddexp(alpha[t - 1], shifted(alpha[t - 1], 1))
            ways = np.logaddexp(ways, np.where(skip, shifted(alpha[t - 1], 2), -np.inf))
        alpha[t] = log_y[t, states] + ways
    return alpha


def backward_variables(log_y, states):
    """log β_t(s): all ways to go on from state s after frame t to an end, the last two states; β_T = 1 there.

    Without the emission at t, so that α_t(s) β_t(s) is the probability of all alignments through s at t.  (T,
    S)
    """
    T, S = len(log_y), len(states)
    beta = np.full((T, S), -np.inf, log_y.dtype)
    skip = skips(states)
    for t in reversed(range(T)):
        if t == T - 1:
            beta[t, -2:] = 0
        else:
            onward = log_y[t + 1, states] + beta[t + 1]  # (S,)
            ways = np.logaddexp(onward, shifted(onward, -1))
            beta[t] = np.logaddexp(ways, shifted(np.where(skip, onward, -np.inf), -2))
    return beta


def skips(states):
    """(S,) bool: letters that differ from the letter before can be entered from two states before."""
    before = np.concatenate([[BLANK, BLANK], states])[: len(states)]
    return (states != BLANK) & (states != before) & (np.arange(len(states)) > 1)


def shifted(row, by):
    """row moved `by` states up the lattice, log 0 coming in."""
    moved = np.full_like(row, -np.inf)
    if by > 0:
        moved[by:] = row[:-by]
    else:
        moved[:by] = row[-by:]
    return moved
