"""Checks of lesson 13: as Python first, then compiled."""

from itertools import groupby, product

import numpy as np

from minids.lesson import exercise
from minids.lesson.compiled import check_compiled
from minids.ops.reference.ctc import ctc, forward_variables, lattice


def random_log_probs(T, B, K, seed=12):
    y = np.random.default_rng(seed).normal(size=(T, B, K))
    return y - np.logaddexp.reduce(y, axis=2, keepdims=True)  # (T, B, K)


def all_paths(log_y, label):
    """log p(label) by its definition: a sum over every path that collapses to it."""
    T, K = log_y.shape
    paths = [
        path
        for path in product(range(K), repeat=T)
        if [k for k, _ in groupby(path) if k] == list(label)
    ]
    return np.logaddexp.reduce([log_y[np.arange(T), path].sum() for path in paths])


@exercise("13.1", pure=False, keep=False, seconds=60)
def check_forward_loops(forward_loops):
    cases = {}
    for T, label in (4, [1]), (5, [1, 2]), (5, [2, 2]), (3, []), (800, [1, 1, 2, 1]):
        log_y, states = random_log_probs(T, 1, 3)[:, 0], lattice(label)
        if T < 10:
            got = np.logaddexp.reduce(np.asarray(forward_loops(log_y, states))[-1, -2:])
            yield f"log p of {label} in {T} frames", got, all_paths(log_y, label)
        cases[f"T = {T}, states {states.tolist()}"] = (
            (log_y, states),
            forward_variables(log_y, states),
        )
    yield from check_compiled(forward_loops, cases)


@exercise("13.2", pure=False, keep=False, seconds=60)
def check_batch_losses(batch_losses):
    cases = {}
    rng = np.random.default_rng(13)
    for T, B, K, U in (7, 2, 3, 2), (9, 5, 4, 3):
        lengths, label_lengths = T - np.arange(B) % 3, U - np.arange(B) % 2
        texts = lengths, rng.integers(1, K, (B, U)), label_lengths
        batch = (
            random_log_probs(T, B, K),
            *(numbers.astype(np.int32) for numbers in texts),
        )
        cases[f"lengths {lengths.tolist()}"] = batch, ctc(*batch)[0]
    yield from check_compiled(batch_losses, cases, parallel=True)
