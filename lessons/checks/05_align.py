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
    kind = np.asarray(lattice([1, 2])).dtype.kind
    words = "they are not integers, so they cannot be indices"
    yield "the states of lattice([1, 2])", kind in "iu", True, words
    for label in np.array([4, 1], np.int32), np.array([300, 70000]):
        yield f"lattice of an array, {label}", lattice(label), states_of(label)


@exercise("5.2", lists=True)
def check_skips(skips):
    words = "cat", "too", "tot", "ooo", "o", "", "totto", "cacao"
    for word in words:
        label = [1 + sorted(set(word)).index(letter) for letter in word]
        skippable = [False, *(a != b for a, b in pairwise(label))]
        expected = [False, *(skip for letter in skippable for skip in (letter, False))]
        expected = np.array(expected[: 2 * len(label) + 1])
        got = skips(states_of(label))
        yield f"skips of the states of '{word}'", got, expected
    kind = np.asarray(got).dtype.kind
    words = "numbers, not True and False: as an index, 1 would choose state 1"
    yield "the kind of the result", kind, "b", words


@exercise("5.3", rtol=1e-5, lists=True)
def check_count_ways(count_ways):
    cases = ([1, 2, 3], 5), ([1, 1], 4), ([1, 2, 1], 5), ([1, 1, 2], 1), ([], 3)
    for label, T in cases:
        expected = by_enumeration(np.ones((T, 4)), label)
        got = as_floats(count_ways(states_of(label), T))
        yield f"count_ways(lattice({label}), {T})", got, expected
    for T in 30, 120:
        table = as_floats(count_ways(states_of([1, 2, 3]), T))
        total = sum(table[-1][-2:])
        alignments = math.comb(T + 3, T - 3)
        yield f"the number of alignments of 'cat' in {T} frames", total, alignments


def as_floats(table):
    """Python's integers, which have no limit, as numbers that can be compared."""
    exact = np.asarray(table).dtype.kind == "O" and np.shape(table) != ()
    return np.array(table, float) if exact else table


@exercise("5.4", rtol=1e-5, atol=1e-7)
def check_forward_variables(forward_variables):
    def log_prob(log_y, label):
        return np.logaddexp.reduce(forward_variables(log_y, states_of(label))[-1][-2:])

    rng = np.random.default_rng(5)
    cases = ([1, 2], 4), ([1, 1], 5), ([2, 1, 1], 5), ([1, 2, 1], 5), ([1], 1), ([], 3)
    for label, T in cases:
        y = rng.dirichlet(np.ones(3), T)  # (T, K), every row sums to 1
        got = np.exp(forward_variables(np.log(y), states_of(label)))
        yield f"exp(log α) of {label} in {T} frames", got, by_enumeration(y, label)
    texts = [list(text) for U in range(6) for text in product((1, 2), repeat=U)]
    y = rng.dirichlet(np.ones(3), 5)
    total = sum(np.exp(log_prob(np.log(y), text)) for text in texts)
    yield "the sum of the probabilities of all texts", total, 1.0
    impossible = log_prob(np.log(y[:2]), [1, 1])
    yield "log p of 'hh' in 2 frames, impossible", impossible, -np.inf
    y = np.array([[1, 1e-40, 1e-40], [1e-40, 1, 1e-40], [1, 1e-40, 1e-40]])
    with np.errstate(divide="ignore"):
        expected = np.log(by_enumeration(y, [1, 2]))
    got = forward_variables(np.log(y), states_of([1, 2]))
    yield "log α of [1, 2] in 3 frames, most y are 1e-40", got, expected
    uniform = np.full((2000, 4), -math.log(4))
    expected = math.log(math.comb(2003, 1997)) - 2000 * math.log(4)
    got = log_prob(uniform, [1, 2, 3])
    yield "log p of 'cat' in 2000 frames, y = 1/4", got, expected
