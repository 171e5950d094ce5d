"""Checks of lesson 15."""

from itertools import pairwise, product

import numpy as np

from minids.lesson import exercise


def paths_of(states, T):
    """All paths of T states: start in the first two, end in the last two, stay, go on, or skip a blank."""
    S = len(states)
    for path in product(range(S), repeat=T):
        if path[0] > 1 or path[-1] < S - 2:
            continue
        steps = pairwise(path)
        if all(
            b - a in (0, 1)
            or (b - a == 2 and states[b] != 0 and states[b] != states[a])
            for a, b in steps
        ):
            yield path


@exercise("15.1", lists=True)
def check_viterbi(viterbi):
    rng = np.random.default_rng(15)
    for name, states, T in (
        ("a", [0, 1, 0], 4),
        ("ab", [0, 1, 0, 2, 0], 5),
        ("aa", [0, 1, 0, 1, 0], 5),
        ("aa", [0, 1, 0, 1, 0], 3),
        ("", [0], 3),
        ("b", [0, 2, 0], 1),
    ):
        for _ in range(4):
            log_y = np.log(rng.dirichlet(np.ones(3), T))  # (T, K): the blank, a, b
            best = max(
                paths_of(states, T),
                key=lambda path: sum(log_y[t, states[s]] for t, s in enumerate(path)),
            )
            yield (
                f"the best path of “{name}” in {T} frames",
                viterbi(log_y, np.array(states)),
                np.array(best),
            )
    certain = np.full((6, 3), -9.0)
    for t, k in enumerate([0, 1, 1, 0, 2, 2]):
        certain[t, k] = -0.01
    got = viterbi(certain, np.array([0, 1, 0, 2, 0]))
    yield (
        "the path – a a – b b of “ab”, where it is certain",
        got,
        np.array([0, 1, 1, 2, 3, 3]),
    )
    log_y = np.log(rng.dirichlet(np.ones(4), 300))
    states = np.array([0, 1, 0, 3, 0, 2, 0, 2, 0])
    path = np.asarray(viterbi(log_y, states))
    yield "the shape of a path of 300 frames", path.shape, (300,)
    yield (
        "log P of the best path of 300 frames",
        log_y[np.arange(300), states[path]].sum(),
        best_score(log_y, states),
    )


def best_score(log_y, states):
    """The log-probability of the best path: the forward recursion with maxima, without a path."""
    v = np.full(len(states) + 2, -np.inf)  # two impossible states in front
    v[1] = 0.0
    skip = np.array(
        [s > 1 and k != 0 and k != states[s - 2] for s, k in enumerate(states)]
    )
    for y in log_y:
        skipped = np.where(skip, v[:-2], -np.inf)
        v[2:] = np.maximum(np.maximum(v[2:], v[1:-1]), skipped) + y[states]
        v[1] = -np.inf
    return v[-2:].max()
