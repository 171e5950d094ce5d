"""The answers to lesson 5, and common mistakes."""

import numpy as np


def lattice(label):
    states = np.zeros(2 * len(label) + 1, int)  # 0 is the blank
    states[1::2] = label
    return states


def skips(states):
    states = np.asarray(states)
    skip = np.zeros(len(states), bool)
    skip[2:] = (states[2:] != 0) & (states[2:] != states[:-2])
    return skip


def count_ways(states, T):
    n, skip = np.zeros((T, len(states)), int), skips(states)
    n[0, :2] = 1
    for t in range(1, T):
        n[t] = n[t - 1]
        n[t, 1:] += n[t - 1, :-1]
        n[t, 2:] += np.where(skip[2:], n[t - 1, :-2], 0)
    return n


def forward_variables(log_y, states):
    T, S, skip = len(log_y), len(states), skips(states)
    alpha = np.full((T, S), -np.inf)
    alpha[0, :2] = log_y[0, states[:2]]
    for t in range(1, T):
        alpha[t] = alpha[t - 1]
        alpha[t, 1:] = np.logaddexp(alpha[t, 1:], alpha[t - 1, :-1])
        skipped = np.where(skip[2:], alpha[t - 1, :-2], -np.inf)
        alpha[t, 2:] = np.logaddexp(alpha[t, 2:], skipped)
        alpha[t] += log_y[t, states]
    return alpha


def lattice_without_the_ends(label):
    """Puts blanks between the letters only; they can also be first and last."""
    return lattice(label)[1:-1] if len(label) else lattice(label)


def lattice_without_the_last_blank(label):
    """Puts a blank before each letter, and forgets the one after the last."""
    return lattice(label)[:-1] if len(label) else lattice(label)


def lattice_of_the_collapsed_text(label):
    """Merges equal letters: that is for paths, and "too" is not "to"."""
    return lattice([k for i, k in enumerate(label) if i == 0 or k != label[i - 1]])


def blanks_between_repeats_only(label):
    """Puts blanks only where they are necessary, between equal letters, and at the ends."""
    states = [0]
    for i, k in enumerate(label):
        states += [0, k] if i and k == label[i - 1] else [k]
    return np.array([*states, 0])


def doubles_every_state(label):
    """Repeats each letter instead of putting a blank after it."""
    return np.array([0, *(k for k in label for _ in range(2))], int)


def lattice_of_floats(label):
    """Starts with np.zeros without a type, which has floats; they cannot be indices."""
    states = np.zeros(2 * len(label) + 1)
    states[1::2] = label
    return states


def lattice_of_small_integers(label):
    """Stores characters as int8, up to 127; an alphabet can be larger."""
    return np.array(lattice(label) % 256, np.uint8).astype(np.int8)


def lattice_with_the_label_moved(label):
    """Puts the letters on the even places, where the blanks belong: states[::2]."""
    states = np.zeros(2 * len(label) + 1, int)
    states[: 2 * len(label) : 2] = label
    return states


def lattice_in_reverse(label):
    """Has the letters in reversed order."""
    return lattice(label)[::-1].copy()


def skips_to_blanks(states):
    """Allows skips to blanks, too, which would leave out letters."""
    return np.arange(len(states)) > 1


def skips_between_repeats(states):
    """Skips between two equal letters, which would merge: compare with states[s - 2], not states[s - 1]."""
    return (states != 0) & (np.arange(len(states)) > 1)


def skips_to_the_first_letter(states):
    """Skips to the first letter, which has none before it: states[s - 2] of s = 1 is the last state, index −1."""
    return (states != 0) & (states != np.roll(states, 2))


def skips_between_repeats_only(states):
    """Has the comparison the wrong way around: only equal letters would be skipped between."""
    return (states != 0) & (states == np.roll(states, 2)) & (np.arange(len(states)) > 1)


def marks_where_a_skip_starts(states):
    """Marks the letter that a skip starts from, not the one that it reaches."""
    return np.append(skips(states)[2:], [False, False])[: len(states)]


def skips_to_unseen_letters_only(states):
    """Forbids every letter that occurs earlier in the text; only the letter before matters."""
    return np.array(
        [s > 1 and k not in (0, *states[:s]) for s, k in enumerate(states)], bool
    )


def skips_by_odd_characters(states):
    """Takes the odd *numbers* for letters; the letters are the odd *places*."""
    return skips(states) & (states % 2 == 1)


def skips_of_any_two_states(states):
    """Compares states[s] and states[s + 2] at s: where a skip starts, and at the end it wraps around."""
    return (np.roll(states, -2) != states) & (np.roll(states, -2) != 0)


def skips_as_numbers(states):
    """Returns 0 and 1, which as an index choose the states 0 and 1."""
    return skips(states).astype(int)


def count(states, T, start=2, stay=True, skip=skips):
    n = np.zeros((T, len(states)), int)
    n[0, :start] = 1
    for t in range(1, T):
        n[t] = n[t - 1] if stay else 0
        n[t, 1:] += n[t - 1, :-1]
        n[t, 2:] += np.where(skip(states)[2:], n[t - 1, :-2], 0)
    return n


def never_skips(states, T):
    """Never skips: every blank would have to be visited."""
    return count(states, T, skip=lambda states: np.zeros(len(states), bool))


def skips_everything(states, T):
    """Skips everything, letters too."""
    return count(states, T, skip=lambda states: np.ones(len(states), bool))


def skips_between_equal_letters(states, T):
    """Skips between two equal letters, which would merge."""
    return count(states, T, skip=lambda states: states != 0)


def starts_with_a_blank(states, T):
    """Starts in state 0 only; a path can also start with the first letter."""
    return count(states, T, start=1)


def starts_anywhere(states, T):
    """Starts in any state: a path cannot begin in the middle of the text."""
    return count(states, T, start=len(states))


def never_stays(states, T):
    """Never stays: a state could last one frame only."""
    return count(states, T, stay=False)


def adds_in_place(states, T):
    """Overwrites one row from the left, so that a path can advance several times in one frame."""
    n, row, skip = (
        np.zeros((T, len(states)), int),
        np.zeros(len(states), int),
        skips(states),
    )
    row[:2] = 1
    for t in range(T):
        for s in range(1, len(states)) if t else ():
            row[s] += row[s - 1] + (row[s - 2] if skip[s] else 0)
        n[t] = row
    return n


def overflows(states, T):
    """Counts in 32 bits, which hold 2 147 483 647 at most; beyond that the counts are wrong."""
    with np.errstate(over="ignore"):
        return count(states, T).astype(np.int32)


def loops_from_the_first_frame(states, T):
    """Starts the loop at t = 0, whose n[t - 1] is the last row, index −1: the ones of frame 0 are lost."""
    return 0 * count(states, T)


def counts_one_frame_more(states, T):
    """Is one frame ahead: row 0 is already the second frame."""
    return count(states, T + 1)[1:]


def starts_in_all_of_two_paths(states, T):
    """Writes n[0, 1] = 1 only: a path can also start with a blank."""
    n = count(states, T)
    return n - count(states, T, start=1) if len(states) > 1 else n


def skips_by_one_too_many(states, T):
    """Asks whether s − 2 allows a skip, not s, which is reached by it."""
    return count(states, T, skip=marks_where_a_skip_starts)


def wraps_around(states, T):
    """Reads n[t-1, s-1] also for s = 0, which is the last state: index −1 counts from the end."""
    n, skip = np.zeros((T, len(states)), int), skips(states)
    n[0, :2] = 1
    for t in range(1, T):
        for s in range(len(states)):
            n[t, s] = (
                n[t - 1, s] + n[t - 1, s - 1] + (n[t - 1, s - 2] if skip[s] else 0)
            )
    return n


def forward(log_y, states, start=2, skip=skips, add=np.logaddexp, delay=0):
    T, S = len(log_y), len(states)
    alpha = np.full((T, S), -np.inf)
    alpha[0, :start] = log_y[0, states[:start]]
    for t in range(1, T):
        alpha[t] = alpha[t - 1]
        alpha[t, 1:] = add(alpha[t, 1:], alpha[t - 1, :-1])
        alpha[t, 2:] = add(
            alpha[t, 2:], np.where(skip(states)[2:], alpha[t - 1, :-2], -np.inf)
        )
        alpha[t] += log_y[t - delay, states]
    return alpha


def takes_the_maximum(log_y, states):
    """Takes the maximum instead of the sum: that is the probability of the best path, not of the text."""
    return forward(log_y, states, add=np.maximum)


def adds_logarithms(log_y, states):
    """Adds logarithms with + instead of logaddexp: that multiplies the probabilities."""
    return forward(log_y, states, add=np.add)


def skips_the_blank_between_repeats(log_y, states):
    """Skips between two equal letters, which would merge."""
    return forward(log_y, states, skip=lambda states: states != 0)


def never_skips_a_blank(log_y, states):
    """Never skips: every blank would have to be visited."""
    return forward(log_y, states, skip=lambda states: np.zeros(len(states), bool))


def requires_a_blank_first(log_y, states):
    """Starts in state 0 only; a path can also start with the first letter."""
    return forward(log_y, states, start=1)


def uses_the_previous_frame(log_y, states):
    """Multiplies with y of the previous frame."""
    return forward(log_y, states, delay=1)


def reads_alpha_from_the_end(log_y, states):
    """Reads α of state s − 1 also for s = 0, which is the last state: index −1 counts from the end."""
    T, S, skip = len(log_y), len(states), skips(states)
    alpha = np.full((T, S), -np.inf)
    alpha[0, :2] = log_y[0, states[:2]]
    for t in range(1, T):
        for s in range(S):
            a = np.logaddexp(alpha[t - 1, s], alpha[t - 1, s - 1])
            a = np.logaddexp(a, alpha[t - 1, s - 2]) if skip[s] else a
            alpha[t, s] = a + log_y[t, states[s]]
    return alpha


def starts_with_the_first_characters(log_y, states):
    """Starts with log_y[0, :2], the first two characters, instead of those of the first two states."""
    first = log_y[0].copy()
    first[states[:2]] = log_y[0, : len(states[:2])]
    return forward(np.vstack([first, log_y[1:]]), states)


def loops_from_frame_0(log_y, states):
    """Starts the loop at t = 0, whose α of t − 1 is the last row, index −1: the start is lost."""
    return np.full((len(log_y), len(states)), -np.inf)


def forgets_the_logarithm(log_y, states):
    """Returns α, not log α."""
    return np.exp(forward(log_y, states))


def multiplies_y_twice(log_y, states):
    """Adds log y in the first frame twice: in the start, and in the loop."""
    return forward(np.vstack([2 * log_y[:1], log_y[1:]]), states)


def takes_a_small_number_for_0(log_y, states):
    """Puts a very small probability where it is 0; the logarithm of 0 is −inf."""
    return np.maximum(forward(log_y, states), np.log(1e-300))


def adds_a_small_number(log_y, states):
    """Adds 1e-30 to each probability, so that no logarithm is −inf: small ones are lost."""
    return forward(np.log(np.exp(log_y) + 1e-30), states)


def normalizes_each_frame(log_y, states):
    """Scales each frame to the sum 1 against underflow, and forgets the scales."""
    alpha = forward(log_y, states)
    total = np.logaddexp.reduce(alpha, axis=1, keepdims=True)
    return alpha - np.where(np.isfinite(total), total, 0)


def skips_from_a_repeat(log_y, states):
    """Asks whether s − 2 allows a skip, not s, which is reached by it."""
    return forward(log_y, states, skip=marks_where_a_skip_starts)


def forgets_y_in_the_first_frame(log_y, states):
    """Starts with log 1 instead of log y of the first frame."""
    return forward(np.vstack([0 * log_y[:1], log_y[1:]]), states)


def multiplies_each_predecessor_only(log_y, states):
    """Adds log y before the sum is complete, so that it counts for the stay only."""
    T, S, skip = len(log_y), len(states), skips(states)
    alpha = np.full((T, S), -np.inf)
    alpha[0, :2] = log_y[0, states[:2]]
    for t in range(1, T):
        alpha[t] = alpha[t - 1] + log_y[t, states]
        alpha[t, 1:] = np.logaddexp(alpha[t, 1:], alpha[t - 1, :-1])
        alpha[t, 2:] = np.logaddexp(
            alpha[t, 2:], np.where(skip[2:], alpha[t - 1, :-2], -np.inf)
        )
    return alpha


def counts_and_multiplies(log_y, states):
    """Multiplies the number of ways with y of the last frame: all ways are weighted alike."""
    with np.errstate(divide="ignore"):
        return np.log(count_ways(states, len(log_y))) + log_y[:, states]


def underflows(log_y, states):
    """Computes with probabilities, which underflow to 0, and takes the logarithm at the end."""
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


# Other styles, which are right.


def lattice_by_appending(label):
    states = [0]
    for k in label:
        states += [k, 0]
    return np.array(states)


def lattice_by_insertion(label):
    return np.insert(np.zeros(len(label) + 1, int), np.arange(1, len(label) + 1), label)


def lattice_by_parity(label):
    return np.array([label[s // 2] if s % 2 else 0 for s in range(2 * len(label) + 1)])


def lattice_by_way_of_floats(label):
    states = np.zeros(2 * len(label) + 1, np.float32)
    states[1::2] = label
    return states.astype(np.int32)


def skips_in_a_loop(states):
    result = []
    for s, k in enumerate(states):
        result.append(s >= 2 and k != 0 and k != states[s - 2])
    return result


def skips_by_comparison_alone(states):
    return np.append([False, False], states[2:] != states[:-2])[: len(states)]


def skips_by_comparison_of_items(states):
    return np.array(
        [bool(s > 1 and s % 2 and k != states[s - 2]) for s, k in enumerate(states)]
    )


def skips_of_letters_only(states):
    skip = np.zeros(len(states), bool)
    skip[3::2] = states[3::2] != states[1:-2:2]
    return skip


def count_in_loops(states, T):
    n = [[0] * len(states) for _ in range(T)]
    for s in range(min(2, len(states))):
        n[0][s] = 1
    for t in range(1, T):
        for s in range(len(states)):
            n[t][s] = n[t - 1][s]
            if s >= 1:
                n[t][s] += n[t - 1][s - 1]
            if s >= 2 and states[s] != 0 and states[s] != states[s - 2]:
                n[t][s] += n[t - 1][s - 2]
    return n


def count_by_matrix(states, T):
    S, skip = len(states), skips(states)
    moves = np.eye(S) + np.eye(S, k=1) + np.eye(S, k=2) * skip  # from row to column
    rows = [np.eye(S)[0] + (np.eye(S)[1] if S > 1 else 0)]
    while len(rows) < T:
        rows.append(rows[-1] @ moves)
    return np.array(rows)


def count_by_recursion(states, T):
    skip = skips(states)

    def ways(t, s):
        if s < 0:
            return 0
        if t == 0:
            return int(s < 2)
        if (t, s) not in known:
            skipped = ways(t - 1, s - 2) if skip[s] else 0
            known[t, s] = ways(t - 1, s) + ways(t - 1, s - 1) + skipped
        return known[t, s]

    known = {}
    return np.array([[ways(t, s) for s in range(len(states))] for t in range(T)])


def count_without_a_limit(states, T):
    return count(states, T).astype(object)


def count_in_float32(states, T):
    return count(states, T).astype(np.float32)


def forward_in_loops(log_y, states):
    T, S = len(log_y), len(states)
    alpha = [[-np.inf] * S for _ in range(T)]
    for t in range(T):
        for s, k in enumerate(states):
            if t == 0:
                before = 0.0 if s < 2 else -np.inf
            else:
                before = alpha[t - 1][s]
                if s >= 1:
                    before = np.logaddexp(before, alpha[t - 1][s - 1])
                if s >= 2 and k != 0 and k != states[s - 2]:
                    before = np.logaddexp(before, alpha[t - 1][s - 2])
            alpha[t][s] = log_y[t][k] + before
    return np.array(alpha)


def forward_padded(log_y, states):
    T, S = len(log_y), len(states)
    can_skip = skips(states) | (
        np.arange(S) == 1
    )  # the first letter, from before the first blank
    alpha = np.full((T + 1, S + 2), -np.inf)
    alpha[0, 1] = 0  # one step before the first blank
    for t in range(T):
        skipped = np.where(can_skip, alpha[t, :-2], -np.inf)
        before = np.logaddexp.reduce([alpha[t, 2:], alpha[t, 1:-1], skipped])
        alpha[t + 1, 2:] = log_y[t, states] + before
    return alpha[1:, 2:]


def forward_in_float32(log_y, states):
    return forward(log_y, states).astype(np.float32)


def forward_by_rescaling(log_y, states):
    y, skip = np.exp(log_y)[:, states], skips(states)
    row, scale, alpha = np.arange(len(states)) < 2, 0.0, []
    for t, factors in enumerate(y):
        if t:
            moved = row.copy()
            moved[1:] += row[:-1]
            moved[2:] += np.where(skip[2:], row[:-2], 0)
            row = moved
        row = row * factors
        with np.errstate(divide="ignore"):
            alpha.append(np.log(row) + scale)
        if row.sum() > 0:
            scale, row = scale + np.log(row.sum()), row / row.sum()
    return np.array(alpha)


HINTS = {
    "lattice": [
        "There is one more blank than there are letters: 2U + 1 states.",
        "Start with an array of zeros (the blank is 0); the letters are every second element.",
        "states[1::2] = label",
    ],
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
    "lattice": [
        lattice_without_the_ends,
        lattice_without_the_last_blank,
        lattice_of_the_collapsed_text,
        blanks_between_repeats_only,
        doubles_every_state,
        lattice_of_floats,
        lattice_of_small_integers,
        lattice_with_the_label_moved,
        lattice_in_reverse,
    ],
    "skips": [
        skips_to_blanks,
        skips_between_repeats,
        skips_to_the_first_letter,
        skips_between_repeats_only,
        marks_where_a_skip_starts,
        skips_to_unseen_letters_only,
        skips_by_odd_characters,
        skips_of_any_two_states,
        skips_as_numbers,
    ],
    "count_ways": [
        never_skips,
        skips_everything,
        skips_between_equal_letters,
        starts_with_a_blank,
        starts_anywhere,
        never_stays,
        adds_in_place,
        wraps_around,
        overflows,
        loops_from_the_first_frame,
        counts_one_frame_more,
        starts_in_all_of_two_paths,
        skips_by_one_too_many,
    ],
    "forward_variables": [
        takes_the_maximum,
        adds_logarithms,
        skips_the_blank_between_repeats,
        never_skips_a_blank,
        requires_a_blank_first,
        uses_the_previous_frame,
        reads_alpha_from_the_end,
        starts_with_the_first_characters,
        loops_from_frame_0,
        forgets_the_logarithm,
        multiplies_y_twice,
        takes_a_small_number_for_0,
        adds_a_small_number,
        normalizes_each_frame,
        skips_from_a_repeat,
        forgets_y_in_the_first_frame,
        multiplies_each_predecessor_only,
        counts_and_multiplies,
        underflows,
    ],
}

RIGHT = {
    "lattice": [
        lattice_by_appending,
        lattice_by_insertion,
        lattice_by_parity,
        lattice_by_way_of_floats,
    ],
    "skips": [
        skips_in_a_loop,
        skips_by_comparison_alone,
        skips_by_comparison_of_items,
        skips_of_letters_only,
    ],
    "count_ways": [
        count_in_loops,
        count_by_matrix,
        count_by_recursion,
        count_without_a_limit,
        count_in_float32,
    ],
    "forward_variables": [
        forward_in_loops,
        forward_padded,
        forward_in_float32,
        forward_by_rescaling,
    ],
}
