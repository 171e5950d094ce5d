"""Checks of lesson 5, against the definition: all paths, collapsed."""

import math
from itertools import pairwise, product

import numpy as np

from minids.lesson import exercise
from minids.text import BLANK, collapse

LABELS = [1, 2, 3], [1, 2, 2], [1, 2, 1], [3, 3, 3], [2], []


def states_of(label):
    """The states as the definition has them: blank, letter, blank, letter, …, blank."""
    return np.array([BLANK, *(state for k in label for state in (k, BLANK))])


def by_enumeration(y, label):
    """All K^t paths of t frames, each weighted with the product of its y: a table (T, S)."""
    T, K = y.shape
    table = np.zeros((T, 2 * len(label) + 1))
    for t in range(T):
        for path in product(range(K), repeat=t + 1):
            prefix = collapse(path)  # with the last output, this determines the state
            if prefix == label[: len(prefix)]:
                s = 2 * len(prefix) - (path[-1] != BLANK)
                table[t, s] += np.prod(y[range(t + 1), path])
    return table


@exercise("5.1")
def check_lattice(lattice):
    for label in LABELS:
        yield f"lattice({label})", lattice(label), states_of(label)
    kind, words = (
        np.asarray(lattice([1, 2])).dtype.kind,
        "they are not integers, so they cannot be indices",
    )
    yield "the states of lattice([1, 2])", kind in "iu", True, words
    label = np.array([4, 1], np.int32)
    yield "lattice of an array, [4, 1]", lattice(label), states_of(label)


@exercise("5.2", lists=True)
def check_skips(skips):
    for word, label in zip(("cat", "too", "tot", "ooo", "o", ""), LABELS, strict=True):
        skippable = [False, *(a != b for a, b in pairwise(label))]
        expected = [False, *(skip for letter in skippable for skip in (letter, False))]
        got = skips(states_of(label))
        yield (
            f"skips of the states of '{word}'",
            got,
            np.array(expected[: 2 * len(label) + 1]),
        )


@exercise("5.3", lists=True)
def check_count_ways(count_ways):
    for label, T in (
        ([1, 2, 3], 5),
        ([1, 1], 4),
        ([1, 2, 1], 5),
        ([1, 1, 2], 1),
        ([], 3),
    ):
        expected = by_enumeration(np.ones((T, 4)), label)
        yield (
            f"count_ways(lattice({label}), {T})",
            count_ways(states_of(label), T),
            expected,
        )
    total = sum(count_ways(states_of([1, 2, 3]), 30)[-1][-2:])
    yield (
        "the number of alignments of 'cat' in 30 frames",
        total,
        math.comb(30 + 3, 30 - 3),
    )


@exercise("5.4", rtol=1e-5, atol=1e-7)
def check_forward_variables(forward_variables):
    def log_prob(log_y, label):
        return np.logaddexp.reduce(forward_variables(log_y, states_of(label))[-1][-2:])

    rng = np.random.default_rng(5)
    for label, T in (
        ([1, 2], 4),
        ([1, 1], 5),
        ([2, 1, 1], 5),
        ([1, 2, 1], 5),
        ([1], 1),
        ([], 3),
    ):
        y = rng.dirichlet(np.ones(3), T)  # (T, K), every row sums to 1
        got = np.exp(forward_variables(np.log(y), states_of(label)))
        yield f"exp(log α) of {label} in {T} frames", got, by_enumeration(y, label)
    texts = [list(text) for U in range(6) for text in product((1, 2), repeat=U)]
    y = rng.dirichlet(np.ones(3), 5)
    total = sum(np.exp(log_prob(np.log(y), text)) for text in texts)
    yield "the sum of the probabilities of all texts", total, 1.0
    yield (
        "log p of 'hh' in 2 frames, impossible",
        log_prob(np.log(y[:2]), [1, 1]),
        -np.inf,
    )
    uniform = np.full((2000, 4), -math.log(4))
    expected = math.log(math.comb(2003, 1997)) - 2000 * math.log(4)
    yield (
        "log p of 'cat' in 2000 frames, y = 1/4",
        log_prob(uniform, [1, 2, 3]),
        expected,
    )
