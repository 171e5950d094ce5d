"""Checks of lesson 20: the recurrence by its formula, the lattice by all paths, with threads in three orders."""

from itertools import product

import numpy as np

from minids.lesson import exercise, gpu
from minids.lesson.folder import answer
from minids.lesson.gpu import empty, run, trace
from minids.text import collapse

UNITS, LOG0 = 4, -1e30
lattice, forward_variables = answer("lattice"), answer("forward_variables")


@exercise("20.1", rtol=1e-4, atol=1e-5, pure=False, keep=False)
def check_recurrence_in_two_rows(recurrence_in_two_rows):
    for T, lengths in (1, [1]), (5, [5, 2, 4]), (6, [0, 6]):
        rng, B = np.random.default_rng(T), len(lengths)
        z, Wr = rng.normal(2, 9, (T, B, UNITS)), rng.normal(0, 0.7, (UNITS, UNITS))
        expected = empty(*z.shape)
        for b, n in enumerate(lengths):
            h = np.zeros(UNITS)
            for t in range(n):
                expected[t, b] = h = np.clip(z[t, b] + Wr @ h, 0, 20)
        launch = (
            recurrence_in_two_rows,
            B,
            UNITS,
            z,
            Wr,
            np.array(lengths),
            empty(*z.shape),
        )
        yield f"z {z.shape}, lengths {lengths}", *gpu.in_every_order(expected, *launch)
        with trace() as accesses:
            run(*launch)
        passed, enough = max(access.epoch for access in accesses) - 1, max(lengths) + 1
        words = f"{passed} for {max(lengths)} frames; one per frame, and one before the first, is enough"
        yield "barriers that a block passes", max(passed, enough), enough, words


def random_batch(seed, labels, lengths, T=8, K=4):
    """y (T, B, K) and what `walk` takes: log_y (B, T, S), skip (B, S), lengths and sizes."""
    y = np.random.default_rng(seed).dirichlet(np.ones(K), (T, len(labels)))
    sizes = np.array([2 * len(label) + 1 for label in labels])
    log_y, skip = (
        np.full((len(labels), T, sizes.max()), LOG0),
        np.full((len(labels), sizes.max()), LOG0),
    )
    for b, label in enumerate(labels):
        states = lattice(label)
        log_y[b, :, : sizes[b]] = np.log(y[:, b, states])
        for s in range(3, sizes[b], 2):
            if states[s] != states[s - 2]:
                skip[b, s] = 0
    return y, (log_y, skip, np.array(lengths), sizes)


@exercise("20.2", rtol=1e-4, atol=1e-7, pure=False, keep=False)
def check_walk(walk):
    for seed, (labels, lengths) in enumerate(
        [
            ([[1, 2]], [4]),
            ([[1, 2, 2], [3], []], [8, 5, 2]),
            ([[3, 3, 3], [1, 2, 3], [2, 2]], [6, 8, 1]),
        ]
    ):
        y, batch = random_batch(seed, labels, lengths)
        log_alpha = empty(*batch[0].shape)
        for b, (T, S) in enumerate(zip(lengths, batch[3], strict=True)):
            forward = forward_variables(np.log(y[:T, b]), lattice(labels[b]))
            log_alpha[b, :T, :S] = np.maximum(forward, LOG0)
        launch = walk, len(labels), log_alpha.shape[2], *batch, empty(*log_alpha.shape)
        results, expected = gpu.in_every_order(log_alpha, *launch)
        alpha = {order: np.exp(numbers) for order, numbers in expected.items()}
        yield (
            f"α of {labels} in {lengths} frames",
            [np.exp(result) for result in results],
            alpha,
        )
        yield gpu.many_threads(4, int(batch[3].sum()), *launch)
    y, batch = random_batch(7, [[1, 2, 2]], [6], T=6)
    last = run(walk, 1, 7, *batch, empty(1, 6, 7))[-1][0, -1, -2:]
    paths = (
        path
        for path in product(range(4), repeat=6)
        if list(collapse(path)) == [1, 2, 2]
    )
    total = sum(np.prod(y[range(6), 0, path]) for path in paths)
    yield (
        "the probability of [1, 2, 2] in 6 frames, from all paths",
        np.exp(last).sum(),
        total,
    )
