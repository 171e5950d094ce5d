"""Our answers to lesson 15, other right ones, and common mistakes."""

import numpy as np

from minids.lesson.folder import answer

skips = answer("skips")


def viterbi(log_y, states):
    T, S = len(log_y), len(states)
    v = np.full((T, S), -np.inf)  # the best path to s in frame t
    came_from = np.zeros((T, S), int)
    v[0, :2] = log_y[0, states[:2]]
    for t in range(1, T):
        for s in range(S):
            before = [s] if s == 0 else [s, s - 1]
            if s > 1 and states[s] != 0 and states[s] != states[s - 2]:
                before.append(s - 2)
            came_from[t, s] = max(before, key=lambda r: v[t - 1, r])
            v[t, s] = log_y[t, states[s]] + v[t - 1, came_from[t, s]]
    path = np.zeros(T, int)
    path[-1] = S - 1 if S == 1 or v[-1, -1] > v[-1, -2] else S - 2
    for t in range(T - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path


def variant(
    log_y, states, skip=skips, first=2, last=2, weigh=lambda v: v, back=None, rows=None
):
    """A Viterbi alignment with one other rule."""
    T, S, allowed = len(log_y), len(states), skip(states)
    v = np.full((T, S), -np.inf)
    came_from = np.zeros((T, S), int)
    v[0, :first] = log_y[0, states[:first]]
    for t in range(1, T):
        for s in range(S):
            before = [s, *([s - 1] if s > 0 else []), *([s - 2] if allowed[s] else [])]
            came_from[t, s] = max(before, key=lambda r: weigh(v[t - 1, r]))
            v[t, s] = (
                log_y[rows(t) if rows else t, states[s]] + v[t - 1, came_from[t, s]]
            )
    s = S - last + int(np.argmax(v[-1, -last:])) if last <= S else S - 1
    path = [s]
    for t in range(T - 1, 0, -1):
        s = came_from[t, s] if back is None else back(came_from, t, s)
        path.append(s)
    return np.array(path[::-1])


def best_state_of_each_frame(log_y, states):
    """Takes the most probable state of each frame by itself, so the states need not form a path."""
    return log_y[:, states].argmax(axis=1)


def greedily(log_y, states):
    """Goes forward from state to state, each time to the most probable next one, and may not arrive."""
    s = int(np.argmax(log_y[0, states[:2]]))
    path = [s]
    for t in range(1, len(log_y)):
        after = [
            r
            for r in (s, s + 1, s + 2)
            if r < len(states) and (r < s + 2 or skips(states)[r])
        ]
        s = max(after, key=lambda r: log_y[t, states[r]])
        path.append(s)
    return np.array(path)


def best_state_of_the_sums(log_y, states):
    """Takes the state with the greatest γ in each frame: all paths together, not the best one."""
    alpha = answer("forward_variables")(log_y, states)
    beta = answer("backward_variables")(log_y, states)
    return (alpha + beta).argmax(axis=1)


def best_state_of_the_forward_pass(log_y, states):
    """Takes the best state of each frame in the forward pass, without going back from the end."""
    alpha = np.full((len(log_y), len(states)), -np.inf)
    alpha[0, :2] = log_y[0, states[:2]]
    for t in range(1, len(log_y)):
        for s in range(len(states)):
            before = [
                s,
                *([s - 1] if s > 0 else []),
                *([s - 2] if skips(states)[s] else []),
            ]
            alpha[t, s] = log_y[t, states[s]] + max(alpha[t - 1, r] for r in before)
    return alpha.argmax(axis=1)


def skips_between_equal_letters(log_y, states):
    """Skips between two equal letters, which would merge."""
    return variant(
        log_y, states, skip=lambda states: (np.arange(len(states)) > 1) & (states != 0)
    )


def skips_letters(log_y, states):
    """Skips from blank to blank, past a letter."""
    return variant(log_y, states, skip=lambda states: np.arange(len(states)) > 1)


def never_skips(log_y, states):
    """Never skips a blank."""
    return variant(log_y, states, skip=lambda states: np.zeros(len(states), bool))


def starts_in_the_blank(log_y, states):
    """Starts in the blank only; a path can also start in the first letter."""
    return variant(log_y, states, first=1)


def starts_anywhere(log_y, states):
    """Starts in any state, so the beginning of the text may be missing."""
    return variant(log_y, states, first=len(states))


def ends_in_the_blank(log_y, states):
    """Ends in the last blank only; a path can also end in the last letter."""
    return variant(log_y, states, last=1)


def ends_anywhere(log_y, states):
    """Ends in any state, so the end of the text may be missing."""
    return variant(log_y, states, last=len(states))


def backward(log_y, states):
    """Returns the path from its end to its start."""
    return viterbi(log_y, states)[::-1]


def characters(log_y, states):
    """Returns the characters of the states instead of the states."""
    return np.asarray(states)[viterbi(log_y, states)]


def backpointers_of_the_wrong_frame(log_y, states):
    """Follows the backpointers of the frame before: one frame too early."""
    return variant(log_y, states, back=lambda came_from, t, s: came_from[t - 1, s])


def minimum(log_y, states):
    """Takes the least probable predecessor."""
    return variant(log_y, states, weigh=lambda v: -v if v > -np.inf else -np.inf)


def uses_the_frame_before(log_y, states):
    """Adds the probability of frame t - 1 instead of t."""
    return variant(log_y, states, rows=lambda t: t - 1)


def as_floats(log_y, states):
    """Fills np.zeros(T), an array of floats, which cannot be indices."""
    return viterbi(log_y, states).astype(float)


def in_a_byte(log_y, states):
    """Returns the states as int8, which ends at 127."""
    return viterbi(log_y, states).astype(np.int8)


def reads_index_minus_one(log_y, states):
    """Asks state s - 1 for s = 0, too: index -1 is the last state."""
    T, S, allowed = len(log_y), len(states), skips(states)
    v, came_from = np.full((T, S), -np.inf), np.zeros((T, S), int)
    v[0, :2] = log_y[0, states[:2]]
    for t in range(1, T):
        for s in range(S):
            before = [s, s - 1, *([s - 2] if allowed[s] else [])]
            came_from[t, s] = max(before, key=lambda r: v[t - 1, r])
            v[t, s] = log_y[t, states[s]] + v[t - 1, came_from[t, s]]
    path = [S - 1 if S == 1 or v[-1, -1] > v[-1, -2] else S - 2]
    for t in range(T - 1, 0, -1):
        path.append(came_from[t, path[-1]])
    return np.array(path[::-1]) % S


def multiplies(log_y, states):
    """Multiplies the logarithms instead of adding them."""
    T, S, allowed = len(log_y), len(states), skips(states)
    v, came_from = np.full((T, S), -np.inf), np.zeros((T, S), int)
    v[0, :2] = log_y[0, states[:2]]
    for t in range(1, T):
        for s in range(S):
            before = [s, *([s - 1] if s > 0 else []), *([s - 2] if allowed[s] else [])]
            came_from[t, s] = max(before, key=lambda r: v[t - 1, r])
            v[t, s] = log_y[t, states[s]] * v[t - 1, came_from[t, s]]
    path = [S - 1 if S == 1 or v[-1, -1] > v[-1, -2] else S - 2]
    for t in range(T - 1, 0, -1):
        path.append(came_from[t, path[-1]])
    return np.array(path[::-1])


def one_frame_short(log_y, states):
    """Forgets the state of the first frame."""
    return viterbi(log_y, states)[1:]


def with_rows(log_y, states):
    """Row by row, three candidates stacked; skips of lesson 5."""
    T, S, allowed = len(log_y), len(states), skips(states)
    v = np.concatenate([log_y[0, states[:2]], np.full(max(S - 2, 0), -np.inf)])[:S]
    steps = []
    for t in range(1, T):
        one = np.concatenate([[-np.inf], v[:-1]])
        two = np.where(
            allowed, np.concatenate([[-np.inf, -np.inf], v[:-2]])[:S], -np.inf
        )
        candidates = np.stack([v, one, two])  # (3, S)
        steps.append(candidates.argmax(axis=0))
        v = candidates.max(axis=0) + log_y[t, states]
    s = S - 1 if S == 1 or v[S - 1] >= v[S - 2] else S - 2
    path = [s]
    for step in reversed(steps):
        s = s - int(step[s])
        path.insert(0, s)
    return np.array(path)


def with_whole_paths(log_y, states):
    """Keeps the whole path to each state instead of backpointers, and returns a list."""
    best = {0: (log_y[0][states[0]], [0])}
    if len(states) > 1:
        best[1] = (log_y[0][states[1]], [1])
    for y in log_y[1:]:
        new = {}
        for s, k in enumerate(states):
            before = [s, s - 1]
            if s > 1 and k and k != states[s - 2]:
                before.append(s - 2)
            known = [best[r] for r in before if r in best]
            if known:
                score, path = max(known)
                new[s] = (score + y[k], [*path, s])
        best = new
    return max(best[s] for s in (len(states) - 2, len(states) - 1) if s in best)[1]


def from_right_to_left(log_y, states):
    """The same recursion from the last frame to the first, then forward along its pointers."""
    T, S, allowed = len(log_y), len(states), skips(states)
    w = np.full((T, S), -np.inf)
    w[-1, -2:] = log_y[-1, states[-2:]]
    following = np.zeros((T, S), int)
    for t in range(T - 2, -1, -1):
        for s in range(S):
            after = [
                r for r in (s, s + 1, s + 2) if r < S and (r < s + 2 or allowed[r])
            ]
            following[t, s] = after[int(np.argmax([w[t + 1, r] for r in after]))]
            w[t, s] = log_y[t, states[s]] + w[t + 1, following[t, s]]
    path = [int(np.argmax(w[0, :2]))]
    for t in range(T - 1):
        path.append(int(following[t, path[-1]]))
    return np.array(path, dtype=np.int32)


HINTS = {
    "viterbi": [
        "start from your forward_variables: a maximum in the place of np.logaddexp, and a second array"
        " for the state that it came from",
        "for each t and s: the list of possible predecessors is [s, s - 1] (not below 0), and s - 2 if"
        " the skip is allowed; the best of them is max(before, key=lambda r: v[t - 1, r])",
        "path[-1] is the better of S - 1 and S - 2; then, for t = T - 1 … 1:"
        " path[t - 1] = came_from[t, path[t]]",
    ],
}

WRONG = {
    "viterbi": [
        best_state_of_each_frame,
        greedily,
        best_state_of_the_sums,
        best_state_of_the_forward_pass,
        skips_between_equal_letters,
        skips_letters,
        never_skips,
        starts_in_the_blank,
        starts_anywhere,
        ends_in_the_blank,
        ends_anywhere,
        backward,
        characters,
        backpointers_of_the_wrong_frame,
        minimum,
        uses_the_frame_before,
        as_floats,
        in_a_byte,
        reads_index_minus_one,
        multiplies,
        one_frame_short,
    ],
}

RIGHT = {"viterbi": [with_rows, with_whole_paths, from_right_to_left]}
