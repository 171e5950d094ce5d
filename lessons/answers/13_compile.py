"""Our answers to lesson 13, other right ones, and common mistakes."""

import numba
import numpy as np
from numba import njit, prange
from numba import prange as each_in_a_thread

from minids.text import BLANK


@njit
def log_add(a, b):
    if b > a:
        a, b = b, a
    return a if b == -np.inf else a + np.log1p(np.exp(b - a))


def forward_loops(log_y, states):
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


fast_forward = njit(forward_loops)


@njit
def fast_lattice(label):
    states = np.full(2 * len(label) + 1, BLANK)
    for u, letter in enumerate(label):
        states[2 * u + 1] = letter
    return states


def batch_losses(log_probs, lengths, labels, label_lengths):
    B = log_probs.shape[1]
    result = np.empty(B)
    for b in prange(B):
        states = fast_lattice(labels[b, : label_lengths[b]])
        alpha = fast_forward(log_probs[: lengths[b], b], states)
        result[b] = -log_add(alpha[-1, -1], alpha[-1, -2])
    return result


def losses(log_probs, lengths, labels, label_lengths):
    """The same as Python, for the mistakes below."""
    result = np.empty(log_probs.shape[1])
    for b in range(log_probs.shape[1]):
        states = fast_lattice.py_func(labels[b, : label_lengths[b]])
        alpha = forward_loops(log_probs[: lengths[b], b], states)
        result[b] = -log_add(alpha[-1, -1], alpha[-1, -2])
    return result


def variant(
    log_y,
    states,
    may_skip=lambda here, before: here not in (BLANK, before),
    first=(0, 1),
    one=1,
    two=2,
):
    """A forward pass with one wrong rule."""
    alpha = np.full((len(log_y), len(states)), -np.inf)
    for s in first or range(len(states)):
        alpha[0, s] = log_y[0, states[s]]
    for t in range(1, len(log_y)):
        for s in range(len(states)):
            paths = alpha[t - 1, s]
            if s >= one:
                paths = log_add(paths, alpha[t - 1, s - 1])
            if s >= two and may_skip(states[s], states[s - 2]):
                paths = log_add(paths, alpha[t - 1, s - 2])
            alpha[t, s] = log_y[t, states[s]] + paths
    return alpha


def skips_between_equal_letters(log_y, states):
    """Between two equal letters there must be a blank; otherwise "ll" becomes "l"."""
    return variant(log_y, states, may_skip=lambda here, before: here != BLANK)


def skips_letters(log_y, states):
    """A skip from blank to blank would lose the letter between them."""
    return variant(
        log_y, states, may_skip=lambda here, before: here == BLANK or here != before
    )


def never_skips(log_y, states):
    """Between two different letters the blank is optional."""
    return variant(log_y, states, may_skip=lambda here, before: False)


def reads_index_minus_one(log_y, states):
    """Reads alpha[t - 1, s - 1] for s = 0, too: index -1 is the last state."""
    return variant(log_y, states, one=0)


def reads_index_minus_one_where_it_skips(log_y, states):
    """Reads alpha[t - 1, s - 2] for s < 2, too: indices -1 and -2 are the last two states."""
    return variant(log_y, states, two=0)


def reads_negative_indices(log_y, states):
    """Asks neither s > 0 nor s > 1: negative indices are the last states."""
    return variant(log_y, states, one=0, two=0)


def reads_the_last_frame(log_y, states):
    """Runs the recursion for t = 0, too, where t - 1 = -1 is the last frame."""
    first = variant(log_y, states)[0]
    alpha = np.full((len(log_y), len(states)), -np.inf)
    alpha[0] = first
    for t in range(len(log_y)):
        for s in range(len(states)):
            paths = alpha[t - 1, s]
            if s > 0:
                paths = log_add(paths, alpha[t - 1, s - 1])
            if s > 1 and states[s] not in (BLANK, states[s - 2]):
                paths = log_add(paths, alpha[t - 1, s - 2])
            alpha[t, s] = log_y[t, states[s]] + paths
    return alpha


def multiplies_by_the_probability(log_y, states):
    """Multiplies by log y instead of adding it: in logarithms a product is a sum."""
    alpha = np.full((len(log_y), len(states)), -np.inf)
    for t in range(len(log_y)):
        for s in range(len(states)):
            if t == 0:
                alpha[0, s] = log_y[0, states[s]] if s < 2 else -np.inf
                continue
            paths = alpha[t - 1, s]
            if s > 0:
                paths = log_add(paths, alpha[t - 1, s - 1])
            if s > 1 and states[s] not in (BLANK, states[s - 2]):
                paths = log_add(paths, alpha[t - 1, s - 2])
            alpha[t, s] = log_y[t, states[s]] * paths
    return alpha


def adds_the_logarithms(log_y, states):
    """Adds the logarithms of the neighbors instead of their log_add."""
    alpha = np.full((len(log_y), len(states)), -1e300)
    for t in range(len(log_y)):
        for s in range(len(states)):
            if t == 0:
                alpha[0, s] = log_y[0, states[s]] if s < 2 else -np.inf
                continue
            paths = alpha[t - 1, s]
            if s > 0:
                paths += alpha[t - 1, s - 1]
            if s > 1 and states[s] not in (BLANK, states[s - 2]):
                paths += alpha[t - 1, s - 2]
            alpha[t, s] = log_y[t, states[s]] + paths
    return alpha


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
    alpha[1:] = forward_loops(log_y, states)[1:]
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
    p = np.exp(forward_loops(log_y, states))
    return np.where(p > 0, np.log(np.maximum(p, 1e-320)), -np.inf)


def not_for_numba(log_y, states):
    """Right in Python, but Numba does not support logaddexp.reduce."""
    alpha = fast_forward(log_y, states)
    np.logaddexp.reduce(alpha[-1])
    return alpha


def reads_the_padding(log_probs, lengths, labels, label_lengths):
    """Treats every utterance as if it were as long as the longest."""
    return losses(
        log_probs, np.full_like(lengths, len(log_probs)), labels, label_lengths
    )


def reads_the_padding_of_the_labels(log_probs, lengths, labels, label_lengths):
    """Treats every text as if it were as long as the longest."""
    return losses(
        log_probs, lengths, labels, np.full_like(label_lengths, labels.shape[1])
    )


def one_end_only(log_probs, lengths, labels, label_lengths):
    """An alignment may end in the last letter, not only in the blank after it."""
    result = np.empty(len(lengths))
    for b in prange(len(lengths)):
        states = fast_lattice(labels[b, : label_lengths[b]])
        result[b] = -fast_forward(log_probs[: lengths[b], b], states)[-1, -1]
    return result


def sum_of_the_batch(log_probs, lengths, labels, label_lengths):
    """The sum over the batch instead of one loss per utterance."""
    return losses(log_probs, lengths, labels, label_lengths).sum()


def not_parallel(log_probs, lengths, labels, label_lengths):
    """range instead of prange: right, but on one core."""
    result = np.empty(len(lengths))
    for b in range(len(lengths)):
        states = fast_lattice(labels[b, : label_lengths[b]])
        alpha = fast_forward(log_probs[: lengths[b], b], states)
        result[b] = -log_add(alpha[-1, -1], alpha[-1, -2])
    return result


def not_parallel_either(log_probs, lengths, labels, label_lengths):
    """range instead of prange; Numba runs np.zeros in parallel, so it does not complain."""
    result = np.zeros(len(lengths))
    for b in range(len(lengths)):
        states = fast_lattice(labels[b, : label_lengths[b]])
        alpha = fast_forward(log_probs[: lengths[b], b], states)
        result[b] = -log_add(alpha[-1, -1], alpha[-1, -2])
    return result


def mean_over_frames(log_probs, lengths, labels, label_lengths):
    """Divided by the length, so a long utterance counts no more than a short one."""
    return losses(log_probs, lengths, labels, label_lengths) / lengths


def log_likelihood(log_probs, lengths, labels, label_lengths):
    """The sign: a loss is -log p."""
    return -losses(log_probs, lengths, labels, label_lengths)


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


def shares_a_view(log_probs, lengths, labels, label_lengths):
    """A row of an array made before the loop is still shared: all turns write to the same row."""
    B = log_probs.shape[1]
    result, scratch = np.empty(B), np.empty((1, 2))
    for b in prange(B):
        ends = scratch[0]
        states = fast_lattice(labels[b, : label_lengths[b]])
        alpha = fast_forward(log_probs[: lengths[b], b], states)
        ends[0], ends[1] = alpha[-1, -2], alpha[-1, -1]
        result[b] = -log_add(ends[0], ends[1])
    return result


@njit
def copy_ends(ends, alpha):
    ends[:] = alpha[-1, -2:]


def shares_through_a_function(log_probs, lengths, labels, label_lengths):
    """A function that fills an array made before the loop: all turns fill the same one."""
    B = log_probs.shape[1]
    result, ends = np.empty(B), np.empty(2)
    for b in prange(B):
        states = fast_lattice(labels[b, : label_lengths[b]])
        copy_ends(ends, fast_forward(log_probs[: lengths[b], b], states))
        result[b] = -log_add(ends[0], ends[1])
    return result


def shares_the_states(log_probs, lengths, labels, label_lengths):
    """One lattice for all turns, filled again in each."""
    B = log_probs.shape[1]
    result, states = np.empty(B), np.zeros(2 * labels.shape[1] + 1, np.int64)
    for b in prange(B):
        for u in range(label_lengths[b]):
            states[2 * u + 1] = labels[b, u]
        alpha = fast_forward(
            log_probs[: lengths[b], b], states[: 2 * label_lengths[b] + 1]
        )
        result[b] = -log_add(alpha[-1, -1], alpha[-1, -2])
    return result


def row_by_row(log_y, states):
    """Fills a row and copies it; -inf in advance for the first row."""
    T, S = log_y.shape[0], states.shape[0]
    alpha = np.full((T, S), -np.inf)
    alpha[0, 0] = log_y[0, states[0]]
    if S > 1:
        alpha[0, 1] = log_y[0, states[1]]
    for t in range(1, T):
        for s in range(S):
            total = alpha[t - 1, s]
            if s >= 1:
                total = log_add(total, alpha[t - 1, s - 1])
            if s >= 2 and states[s] != 0 and states[s] != states[s - 2]:
                total = log_add(alpha[t - 1, s - 2], total)
            alpha[t, s] = total + log_y[t, states[s]]
    return alpha


def state_by_state(log_y, states):
    """The loop over the states outside, that over the frames inside: a state needs only lower ones."""
    T, S = len(log_y), len(states)
    alpha = np.zeros((T, S))
    for s in range(S):
        here = states[s]
        skip = s > 1 and here != BLANK and here != states[s - 2]
        alpha[0, s] = log_y[0, here] if s < 2 else -np.inf
        for t in range(1, T):
            before = alpha[t - 1, s]
            if s > 0:
                before = log_add(before, alpha[t - 1, s - 1])
            if skip:
                before = log_add(before, alpha[t - 1, s - 2])
            alpha[t, s] = log_y[t, here] + before
    return alpha


@njit
def decorated_loops(log_y, states):
    """@njit above it."""
    alpha = np.full((len(log_y), len(states)), -np.inf)
    for s in range(min(2, len(states))):
        alpha[0, s] = log_y[0, states[s]]
    for t in range(1, len(log_y)):
        for s in range(len(states)):
            paths = alpha[t - 1, s]
            if s > 0:
                paths = log_add(paths, alpha[t - 1, s - 1])
            if s > 1 and states[s] != BLANK and states[s] != states[s - 2]:
                paths = log_add(paths, alpha[t - 1, s - 2])
            alpha[t, s] = log_y[t, states[s]] + paths
    return alpha


def without_variables(log_probs, lengths, labels, label_lengths):
    """All in few statements; zeros instead of empty, and the loop over len(lengths)."""
    result = np.zeros(len(lengths))
    for b in prange(len(lengths)):
        n = label_lengths[b]
        alpha = fast_forward(log_probs[: lengths[b], b], fast_lattice(labels[b, :n]))
        result[b] -= log_add(
            alpha[lengths[b] - 1, 2 * n], alpha[lengths[b] - 1, 2 * n - 1]
        )
    return result


@njit
def decorated(log_probs, lengths, labels, label_lengths):
    """@njit above it, as above the functions of the lesson."""
    losses = np.zeros(len(lengths))
    for b in prange(len(lengths)):
        states = fast_lattice(labels[b, : label_lengths[b]])
        a = fast_forward(log_probs[: lengths[b], b], states)
        losses[b] = -log_add(a[-1, -1], a[-1, -2])
    return losses


@njit(parallel=True)
def decorated_for_threads(log_probs, lengths, labels, label_lengths):
    """Decorated with parallel=True; prange under another name."""
    losses = np.zeros(len(lengths))
    for b in each_in_a_thread(len(lengths)):
        states = fast_lattice(labels[b, : label_lengths[b]])
        a = fast_forward(log_probs[: lengths[b], b], states)
        losses[b] = -log_add(a[-1, -1], a[-1, -2])
    return losses


def with_the_name_of_the_module(log_probs, lengths, labels, label_lengths):
    """numba.prange."""
    losses = np.zeros(len(lengths))
    for b in numba.prange(len(lengths)):
        states = fast_lattice(labels[b, : label_lengths[b]])
        a = fast_forward(log_probs[: lengths[b], b], states)
        losses[b] = -log_add(a[-1, -1], a[-1, -2])
    return losses


def with_buffers_of_its_own(log_probs, lengths, labels, label_lengths):
    """Makes arrays inside the loop, and a row of a shared one for each turn."""
    B = log_probs.shape[1]
    result, ends = np.empty(B), np.empty((B, 2))
    for b in prange(B):
        states = np.zeros(2 * label_lengths[b] + 1, np.int64)
        for u in range(label_lengths[b]):
            states[2 * u + 1] = labels[b, u]
        alpha = fast_forward(log_probs[: lengths[b], b], states)
        ends[b] = alpha[-1, -2:]
        result[b] = -log_add(ends[b, 0], ends[b, 1])
    return result


HINTS = {
    "forward_loops": [
        "For each t and each s: paths = …, and then alpha[t, s] = log_y[t, states[s]] + paths.",
        "In frame 0, paths is 0.0 (log 1) for s < 2, else -np.inf. Later it starts as alpha[t - 1, s].",
        "if s > 0: paths = log_add(paths, alpha[t - 1, s - 1]); if s > 1 and states[s] != BLANK and …",
    ],
    "batch_losses": [
        "result = np.empty(B); turn b of the loop writes result[b] and nothing else.",
        "The part of one utterance: log_probs[: lengths[b], b] and labels[b, : label_lengths[b]].",
        "alpha = fast_forward(…, fast_lattice(…)); result[b] = -log_add(alpha[-1, -1], alpha[-1, -2])",
    ],
}

WRONG = {
    "forward_loops": [
        skips_between_equal_letters,
        skips_letters,
        never_skips,
        reads_index_minus_one,
        reads_index_minus_one_where_it_skips,
        reads_negative_indices,
        reads_the_last_frame,
        multiplies_by_the_probability,
        adds_the_logarithms,
        begins_anywhere,
        begins_in_the_blank,
        begins_in_two_states,
        reads_the_same_frame,
        probabilities,
        not_for_numba,
    ],
    "batch_losses": [
        reads_the_padding,
        reads_the_padding_of_the_labels,
        one_end_only,
        sum_of_the_batch,
        not_parallel,
        not_parallel_either,
        mean_over_frames,
        log_likelihood,
        shares_a_buffer,
        shares_a_view,
        shares_through_a_function,
        shares_the_states,
        appends,
    ],
}

RIGHT = {
    "forward_loops": [row_by_row, state_by_state, decorated_loops],
    "batch_losses": [
        without_variables,
        with_buffers_of_its_own,
        decorated,
        decorated_for_threads,
        with_the_name_of_the_module,
    ],
}
