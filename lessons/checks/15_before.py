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
    states = [0, 1, 0, 2, 0]  # of “ab”
    for heard in "–aa–bb", "ab–ab–", "ab––ab":  # the text once, and twice
        log_y = np.where(
            np.eye(3, dtype=bool)[["–ab".index(c) for c in heard]], -0.01, -9.0
        )
        log_y += rng.normal(0, 0.001, log_y.shape)  # no two paths are equally probable
        scores = {
            path: log_y[range(6), np.take(states, path)].sum()
            for path in paths_of(states, 6)
        }
        best = max(scores, key=scores.get)
        yield (
            f"the best path of “ab” in {heard}",
            viterbi(log_y, np.array(states)),
            np.array(best),
        )
    log_y = np.log(rng.dirichlet(np.ones(4), 300))
    label = rng.integers(1, 4, 100)
    states = np.zeros(201, int)
    states[1::2] = label
    path = np.asarray(viterbi(log_y, states))
    words = f"{path.dtype}; states are indices, so they must be integers"
    yield "the type of the path", path.dtype.kind in "iu", True, words
    yield "the shape of a path of 300 frames", path.shape, (300,)
    yield "the states of a path of 300 frames are at least 0", path.min() >= 0, True
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
