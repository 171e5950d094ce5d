"""The answers to lesson 6, and common mistakes."""

import numpy as np

from minids.lesson.folder import answer

lattice, skips, forward_variables = map(
    answer, ("lattice", "skips", "forward_variables")
)


def backward_variables(log_y, states):
    T, S, skip = len(log_y), len(states), skips(states)
    beta = np.full((T, S), -np.inf)
    beta[-1, -2:] = 0
    for t in reversed(range(T - 1)):
        following = log_y[t + 1, states] + beta[t + 1]
        beta[t] = following
        beta[t, :-1] = np.logaddexp(beta[t, :-1], following[1:])
        skipped = np.where(skip[2:], following[2:], -np.inf)
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
        beta[t, :-2] = add(
            beta[t, :-2], np.where(skip(states)[2:], following[2:], -np.inf)
        )
    return beta


def must_end_in_a_blank(log_y, states):
    """Ends in the last blank only; a path can also end in the last letter."""
    return backward(log_y, states, ends=1)


def ends_anywhere(log_y, states):
    """Sets β to 1 in every state of the last frame; a path cannot end in the middle of the text."""
    return backward(log_y, states, ends=len(states))


def uses_the_current_frame(log_y, states):
    """Multiplies with y of frame t instead of t + 1; α contains that already."""
    return backward(log_y, states, frame=0)


def contains_the_current_frame(log_y, states):
    """Computes the β of Graves, which contains y of frame t; here α alone contains it."""
    return backward(log_y, states) + log_y[:, states]


def never_skips(log_y, states):
    """Never skips: every blank would have to be visited."""
    return backward(log_y, states, skip=lambda states: np.zeros(len(states), bool))


def asks_for_the_wrong_state(log_y, states):
    """Asks whether s allows a skip; the state that is skipped to, s + 2, must allow it."""
    return backward(log_y, states, skip=lambda states: np.roll(skips(states), 2))


def skips_to_unseen_letters_only(log_y, states):
    """Forbids every letter that occurs earlier in the text; only the letter before matters."""

    def new(states):
        return np.array([k not in (0, *states[:s]) for s, k in enumerate(states)])

    return backward(log_y, states, skip=new)


def takes_the_maximum(log_y, states):
    """Takes the maximum of the successors instead of their sum."""
    return backward(log_y, states, add=np.maximum)


def wraps_around(log_y, states):
    """Goes on from the last state to the first: np.roll, or an index modulo S, wraps around."""
    T, S, skip = len(log_y), len(states), skips(states)
    beta = np.full((T, S), -np.inf)
    beta[-1, -2:] = 0
    for t in reversed(range(T - 1)):
        following = beta[t + 1] + log_y[t + 1, states]
        skipped = np.roll(np.where(skip, following, -np.inf), -2)
        beta[t] = np.logaddexp.reduce([following, np.roll(following, -1), skipped])
    return beta


def reads_past_the_first_state(log_y, states):
    """Takes the predecessors s − 1 and s − 2, as in α; a path goes on to s + 1 and s + 2."""
    T, S, skip = len(log_y), len(states), skips(states)
    beta = np.full((T, S), -np.inf)
    beta[-1, -2:] = 0
    for t in reversed(range(T - 1)):
        following = beta[t + 1] + log_y[t + 1, states]
        beta[t] = following
        beta[t, 1:] = np.logaddexp(beta[t, 1:], following[:-1])
        skipped = np.where(skip[2:], following[:-2], -np.inf)
        beta[t, 2:] = np.logaddexp(beta[t, 2:], skipped)
    return beta


def multiplies_with_y_of_its_own_state(log_y, states):
    """Multiplies the sum with y of state s; each term has the y of its own state r."""
    T, S, skip = len(log_y), len(states), skips(states)
    beta = np.full((T, S), -np.inf)
    beta[-1, -2:] = 0
    for t in reversed(range(T - 1)):
        beta[t] = beta[t + 1]
        beta[t, :-1] = np.logaddexp(beta[t, :-1], beta[t + 1, 1:])
        skipped = np.where(skip[2:], beta[t + 1, 2:], -np.inf)
        beta[t, :-2] = np.logaddexp(beta[t, :-2], skipped)
        beta[t] += log_y[t + 1, states]
    return beta


def loops_to_the_last_frame(log_y, states):
    """Starts the loop at the last frame, t = T − 1; its successor, β of index −1 or 0, is not there yet."""
    return np.full((len(log_y), len(states)), -np.inf)


def loops_forward(log_y, states):
    """Runs forward in time, so that β of t + 1 is not there yet."""
    beta = backward(log_y, states)
    beta[:-1] = -np.inf
    if len(beta) > 1:
        beta[-2] = backward(log_y, states)[-2]
    return beta


def stops_before_the_first_frame(log_y, states):
    """Ends the loop at t = 1: range(T - 2, 0, -1) leaves out 0."""
    beta = backward(log_y, states)
    if len(beta) > 1:
        beta[0] = -np.inf
    return beta


def begins_with_0_as_a_probability(log_y, states):
    """Fills the table with 0; of the logarithm of 0, −inf, that is the opposite: 0 is the logarithm of 1."""
    return np.logaddexp(backward(log_y, states), 0)


def forgets_the_logarithm(log_y, states):
    """Returns β, not log β."""
    return np.exp(backward(log_y, states))


def adds_logarithms(log_y, states):
    """Adds logarithms with + instead of logaddexp: that multiplies the probabilities."""
    return backward(log_y, states, add=np.add)


def skips_between_repeats(log_y, states):
    """Skips between two equal letters, which would merge."""
    return backward(log_y, states, skip=lambda states: np.asarray(states) != 0)


def adds_a_small_number(log_y, states):
    """Adds 1e-30 to each probability, so that no logarithm is −inf: small ones are lost."""
    return backward(np.log(np.exp(log_y) + 1e-30), states)


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
    """Counts one of the states with the same character, as gradient[:, states] -= gamma does; they add up."""
    gamma, states = posterior(log_y, label)
    gradient = np.exp(log_y)
    gradient[:, states] -= gamma
    return gradient


@zero_if_impossible
def has_the_sign_of_the_probability(log_y, label):
    """Returns γ − y, the gradient of log p; the loss is −log p."""
    return -ctc_gradient(log_y, label)


@zero_if_impossible
def forgets_the_softmax(log_y, label):
    """Forgets the softmax, and returns −γ, the gradient with respect to log y."""
    return ctc_gradient(log_y, label) - np.exp(log_y)


@zero_if_impossible
def forgets_to_divide_by_p(log_y, label):
    """Forgets to divide αβ by p."""
    gamma, states = posterior(log_y, label)
    alpha = forward_variables(log_y, states)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= gamma[:, s] * np.exp(np.logaddexp.reduce(alpha[-1, -2:]))
    return gradient


@zero_if_impossible
def ignores_later_frames(log_y, label):
    """Uses α alone, normalized in each frame: later frames must count, too."""
    states = lattice(label)
    alpha = forward_variables(log_y, states)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= np.exp(alpha[:, s] - np.logaddexp.reduce(alpha, axis=1))
    return gradient


def is_nan_if_impossible(log_y, label):
    """Computes inf − inf if the text is impossible."""
    with np.errstate(invalid="ignore"):
        gamma, states = posterior(log_y, label)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= gamma[:, s]
    return gradient


@zero_if_impossible
def returns_the_desired_output(log_y, label):
    """Returns γ, the desired output, without the difference from y."""
    return np.exp(log_y) - ctc_gradient(log_y, label)


@zero_if_impossible
def subtracts_from_log_y(log_y, label):
    """Subtracts γ from log y instead of y."""
    return ctc_gradient(log_y, label) - np.exp(log_y) + log_y


@zero_if_impossible
def normalizes_by_p_of_one_end(log_y, label):
    """Takes the last state for p; a path can also end in the last letter."""
    states = lattice(label)
    alpha, beta = forward_variables(log_y, states), backward_variables(log_y, states)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= np.exp(alpha[:, s] + beta[:, s] - alpha[-1, -1])
    return gradient


def needs_two_end_states(log_y, label):
    """Reads two end states, of which an empty text has only one."""
    states = lattice(label)
    alpha, beta = forward_variables(log_y, states), backward_variables(log_y, states)
    log_p = np.logaddexp(alpha[-1, -1], alpha[-1, -2])
    if log_p == -np.inf:
        return np.zeros_like(log_y)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= np.exp(alpha[:, s] + beta[:, s] - log_p)
    return gradient


@zero_if_impossible
def of_the_best_path(log_y, label):
    """Takes the most probable alignment for the only one: γ is 1 on it, 0 elsewhere."""
    gamma, states = posterior(log_y, label)
    desired = np.eye(log_y.shape[1])[states[gamma.argmax(axis=1)]]
    return np.exp(log_y) - desired


@zero_if_impossible
def weights_by_y_again(log_y, label):
    """Multiplies γ by y: the derivative is with respect to log y, whose y is already in α."""
    gamma, states = posterior(log_y, label)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= gamma[:, s] * np.exp(log_y[:, k])
    return gradient


@zero_if_impossible
def gradient_of_p(log_y, label):
    """Computes the gradient of p, not of −log p: 1/p is missing, and the sign."""
    log_p = np.logaddexp.reduce(forward_variables(log_y, lattice(label))[-1, -2:])
    return -ctc_gradient(log_y, label) * np.exp(log_p)


@zero_if_impossible
def divides_by_the_frames(log_y, label):
    """Divides by the number of frames; the loss is a sum over them, not a mean."""
    return ctc_gradient(log_y, label) / len(log_y)


@zero_if_impossible
def underflows_in_p(log_y, label):
    """Computes α β / p with probabilities, which underflow to 0 in long recordings."""
    states = lattice(label)
    alpha = np.exp(forward_variables(log_y, states))
    beta = np.exp(backward_variables(log_y, states))
    gradient, p = np.exp(log_y), alpha[-1, -2:].sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        for s, k in enumerate(states):
            gradient[:, k] -= alpha[:, s] * beta[:, s] / p
    return gradient


def is_y_if_impossible(log_y, label):
    """Sets γ to 0 if the text is impossible, so that y is left as its gradient."""
    log_p = np.logaddexp.reduce(forward_variables(log_y, lattice(label))[-1, -2:])
    return ctc_gradient(log_y, label) if log_p > -np.inf else np.exp(log_y)


@zero_if_impossible
def normalizes_by_the_last_letter(log_y, label):
    """Takes the last letter for p, alpha[-1, -2]; a path can also end in the blank after it."""
    states = lattice(label)
    alpha, beta = forward_variables(log_y, states), backward_variables(log_y, states)
    gradient = np.exp(log_y)
    for s, k in enumerate(states):
        gradient[:, k] -= np.exp(alpha[:, s] + beta[:, s] - alpha[-1, -2:][0])
    return gradient


# Other styles, which are right.


def backward_in_loops(log_y, states):
    T, S, skip = len(log_y), len(states), skips(states)
    beta = [[-np.inf] * S for _ in range(T)]
    for s in range(max(0, S - 2), S):
        beta[T - 1][s] = 0.0
    for t in range(T - 2, -1, -1):
        for s in range(S):
            for r in range(s, min(s + 3, S)):
                if r < s + 2 or skip[r]:
                    onward = log_y[t + 1][states[r]] + beta[t + 1][r]
                    beta[t][s] = np.logaddexp(beta[t][s], onward)
    return np.array(beta)


def backward_by_reversal(log_y, states):
    states, T = np.asarray(states), len(log_y)
    reversed_alpha = forward_variables(log_y[::-1], states[::-1])[::-1, ::-1]
    return (
        reversed_alpha - log_y[np.arange(T)[:, None], states]
    )  # without the frame's own y


def backward_in_float32(log_y, states):
    return backward_variables(log_y, states).astype(np.float32)


def gradient_by_one_hot(log_y, label):
    states = lattice(label)
    log_gamma = forward_variables(log_y, states) + backward_variables(
        log_y, states
    )  # before p
    log_p = np.logaddexp.reduce(log_gamma, axis=1, keepdims=True)
    if not np.isfinite(log_p).all():
        return np.zeros(log_y.shape)
    return np.exp(log_y) - np.exp(log_gamma - log_p) @ np.eye(log_y.shape[1])[states]


def gradient_by_add_at(log_y, label):
    states = lattice(label)
    alpha, beta = forward_variables(log_y, states), backward_variables(log_y, states)
    log_p = np.logaddexp(*alpha[-1, -2:]) if len(states) > 1 else alpha[-1, -1]
    gamma = np.zeros(log_y.shape)
    if log_p == -np.inf:
        return gamma
    np.add.at(gamma, (slice(None), states), np.exp(alpha + beta - log_p))
    return np.exp(log_y) - gamma


def gradient_in_loops(log_y, label):
    states = lattice(label)
    alpha, beta = forward_variables(log_y, states), backward_variables(log_y, states)
    p = np.logaddexp.reduce(alpha[-1, -2:])
    rows = []
    for t in range(len(log_y)):
        row = [0.0] * log_y.shape[1]
        if p > -np.inf:
            for k in range(len(row)):
                through = [
                    np.exp(alpha[t, s] + beta[t, s] - p)
                    for s in range(len(states))
                    if states[s] == k
                ]
                row[k] = np.exp(log_y[t, k]) - sum(through)
        rows.append(row)
    return np.array(rows)


def gradient_in_float32(log_y, label):
    return ctc_gradient(log_y.astype(np.float32), label).astype(np.float32)


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
        wraps_around,
        reads_past_the_first_state,
        multiplies_with_y_of_its_own_state,
        loops_to_the_last_frame,
        loops_forward,
        stops_before_the_first_frame,
        begins_with_0_as_a_probability,
        forgets_the_logarithm,
        adds_logarithms,
        skips_between_repeats,
        adds_a_small_number,
    ],
    "ctc_gradient": [
        counts_a_letter_once,
        has_the_sign_of_the_probability,
        forgets_the_softmax,
        forgets_to_divide_by_p,
        ignores_later_frames,
        is_nan_if_impossible,
        returns_the_desired_output,
        subtracts_from_log_y,
        normalizes_by_p_of_one_end,
        needs_two_end_states,
        of_the_best_path,
        weights_by_y_again,
        gradient_of_p,
        divides_by_the_frames,
        underflows_in_p,
        is_y_if_impossible,
        normalizes_by_the_last_letter,
    ],
}

RIGHT = {
    "backward_variables": [
        backward_in_loops,
        backward_by_reversal,
        backward_in_float32,
    ],
    "ctc_gradient": [
        gradient_by_one_hot,
        gradient_by_add_at,
        gradient_in_loops,
        gradient_in_float32,
    ],
}
