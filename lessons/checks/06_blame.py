"""Checks of lesson 6, against an enumeration of all paths and against central differences."""

from functools import partial
from itertools import product

import numpy as np

from minids.gradcheck import numerical_gradient
from minids.lesson import exercise
from minids.ops.reference import log_softmax_forward
from minids.ops.reference.ctc import forward_variables, lattice
from minids.text import collapse


def by_enumeration(y, label):
    """β from all continuations of one path to each state: a table (T, S)."""
    T, K = y.shape
    states = lattice(label)
    table = np.zeros((T, len(states)))
    for t, s in np.ndindex(*table.shape):
        for rest in product(range(K), repeat=T - 1 - t):
            if collapse([*states[: s + 1], *rest]) == label:
                table[t, s] += np.prod(y[range(t + 1, T), rest])
    return table


def loss_by_enumeration(logits, paths):
    """-log of the sum over the alignments `paths` (n, T)."""
    log_y = log_softmax_forward(logits)
    return -np.logaddexp.reduce(log_y[np.arange(len(logits)), paths].sum(axis=1))


@exercise("6.1", rtol=1e-5, atol=1e-7)
def check_backward_variables(backward_variables):
    rng = np.random.default_rng(6)
    for label, T in ([1, 2], 4), ([1, 2, 1], 5), ([2, 1, 1], 5), ([1], 1), ([], 3):
        y = rng.dirichlet(np.ones(3), T)  # (T, K)
        got = np.exp(backward_variables(np.log(y), lattice(label)))
        yield f"exp(log β) of {label} in {T} frames", got, by_enumeration(y, label)
    y = np.array([[1e-40, 1, 1e-40], [1, 1e-40, 1e-40], [1e-40, 1e-40, 1]])
    with np.errstate(divide="ignore"):
        expected = np.log(by_enumeration(y, [1, 2]))
    got = backward_variables(np.log(y), lattice([1, 2]))
    yield "log β of [1, 2] in 3 frames, most y are 1e-40", got, expected
    log_y = np.log(rng.dirichlet(np.ones(4), 2000))
    alpha = forward_variables(log_y, lattice([1, 2, 3]))
    both = alpha + backward_variables(log_y, lattice([1, 2, 3]))
    expected = np.full(2000, np.logaddexp.reduce(alpha[-1, -2:]))
    total = np.logaddexp.reduce(both, axis=1)  # (T,)
    yield "log Σ αβ in each of 2000 frames", total, expected


@exercise("6.2", rtol=1e-5, atol=2e-4)
def check_ctc_gradient(ctc_gradient):
    rng = np.random.default_rng(7)
    for label, T in ([1, 2], 4), ([1, 1], 5), ([1, 2, 1], 5), ([2], 1), ([], 3):
        logits = rng.normal(size=(T, 3))
        paths = [p for p in product(range(3), repeat=T) if collapse(p) == label]
        loss = partial(loss_by_enumeration, logits, np.array(paths))
        gradient = ctc_gradient(log_softmax_forward(logits), label)
        what = f"{label} in {T} frames, against central differences"
        yield what, gradient, numerical_gradient(loss, logits)
    logits = np.array([[9.0, 0, 0], [0, 9, 0], [9, 0, 0], [0, 0, 0]])
    paths = [p for p in product(range(3), repeat=4) if collapse(p) == [2, 1]]
    expected = numerical_gradient(
        partial(loss_by_enumeration, logits, np.array(paths)), logits
    )
    gradient = ctc_gradient(log_softmax_forward(logits), [2, 1])
    yield "[2, 1], which the output makes improbable", gradient, expected
    log_y = log_softmax_forward(rng.normal(size=(1000, 3)))  # p is below 1e-308
    gradient = ctc_gradient(log_y, [1, 2])
    yield "the sums of 1000 rows", np.sum(gradient, axis=1), np.zeros(1000)
    gradient = ctc_gradient(log_y[:2], [1, 1])
    words = "the text is impossible, so the gradient must be 0"
    yield "'hh' in 2 frames", gradient, np.zeros((2, 3)), words
