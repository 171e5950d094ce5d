"""Checks of lesson 2."""

import re
from itertools import product

import numpy as np

from minids.lesson import exercise


@exercise("2.1")
def check_with_context(with_context):
    for T, F, C in (3, 2, 1), (6, 3, 2), (4, 1, 0), (2, 2, 3):
        f = np.arange(-0.5, T * F - 1).reshape(T, F)
        rows = []
        for t in range(T):
            neighbors = range(t - C, t + C + 1)
            parts = [f[s] if 0 <= s < T else np.zeros(F) for s in neighbors]
            rows.append(np.concatenate(parts))
        yield f"{T} frames of {F} features, C = {C}", with_context(f, C), np.array(rows)


@exercise("2.2", rtol=1e-3, atol=1e-6)  # float32 has an error of 6e-5 at logits of 1000
def check_softmax(softmax):
    counts = np.array([[1.0, 2, 5], [1, 1, 2]])  # e^z, by choice
    expected = counts / [[8], [4]]
    yield "softmax(log of [1 2 5], [1 1 2])", softmax(np.log(counts)), expected
    yield "the same + 1000: e^z overflows", softmax(np.log(counts) + 1000), expected
    offsets = np.array([[1000.0], [-1000.0]])
    yield "one frame + 1000, one - 1000", softmax(np.log(counts) + offsets), expected
    yield (
        "one logit is 3000",
        softmax(np.array([[0.0, 0.0, 3000.0]])),
        np.array([[0.0, 0.0, 1.0]]),
    )
    z = np.random.default_rng(1).normal(0, 4, (5, 7))
    yield "sums of random rows", softmax(z).sum(axis=1), np.ones(5)
    ratios = np.exp(z[:, 1:] - z[:, :-1])
    y = softmax(z)
    yield "ratios of neighbors: e^(their difference)", y[:, 1:] / y[:, :-1], ratios


@exercise("2.3")
def check_collapse(collapse):
    for path in product(range(3), repeat=6):
        typed = "".join("-ab"[k] for k in path)
        text = re.sub(r"(.)\1*", r"\1", typed).replace("-", "")
        expected = ["-ab".index(c) for c in text]
        yield f"collapse of {typed}", collapse(np.array(path)), expected
    yield (
        "collapse of 12 12 0 3 12",
        collapse(np.array([12, 12, 0, 3, 12])),
        [12, 3, 12],
    )
