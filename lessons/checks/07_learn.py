"""Checks of lesson 7: statistics of many weights, and exact solutions."""

import numpy as np

from minids.lesson import exercise


@exercise("7.1", rtol=0, atol=0.12)  # at least four standard errors of each statistic
def check_initial_weights(initial_weights):
    rng = np.random.default_rng(70)
    for H, n in (3000, 100), (100, 3000), (50, 200):
        W = np.asarray(initial_weights((H, n), rng))
        shape = str(W.shape)
        yield f"the shape of initial_weights(({H}, {n}), rng)", shape, f"({H}, {n})"
        yield f"{H} × {n} weights: their mean times √{n}", W.mean() * np.sqrt(n), 0.0
        variance = W.var() * n
        yield f"{H} × {n} weights: their variance times {n}", variance, 1.0
        if H * n == 300_000:
            words = f"their variance times {n} is {variance:.4f}, not 1"
            precise = abs(variance - 1) < 0.015  # 5.8 standard errors of normal weights
            yield f"{H} × {n} weights, more precisely", precise, True, words
        if H == 3000:
            yield "the variance of W x for x = (1, …, 1)", W.sum(axis=1).var(), 1.0
        if n == 3000:
            yield "the variance of xᵀ W, times n / H", W.sum(axis=0).var() * n / H, 1.0
    for n in 1, 4:
        many = [initial_weights((3, n), rng) for _ in range(4000)]
        variance = n * np.var(many)
        yield f"4000 times 3 × {n} weights: their variance times {n}", variance, 1.0
    first, second = (np.asarray(initial_weights((4, 4), rng)) for _ in range(2))
    words = "they give the same weights; draw with the rng that is passed"
    yield "two calls with one rng", np.array_equal(first, second), False, words
    seeds = np.random.default_rng(7), np.random.default_rng(7)
    first, second = (np.asarray(initial_weights((4, 4), seeded)) for seeded in seeds)
    words = "they give different weights; draw with the rng that is passed"
    yield "two calls with equal seeds", np.array_equal(first, second), True, words


def exact_path(curvature, rate, momentum, steps=12):
    """θ_n of Nesterov's method for ½ curvature θ², from θ = 1 and v = 0: (steps + 1,).

    θ_{n+1} = q (1 + μ) θ_n - q μ θ_{n-1} with q = 1 - rate · curvature. The solution of such a recurrence is a
    sum of powers r^n, where r are the roots of r² - q (1 + μ) r + q μ.
    """
    q = 1 - rate * curvature
    r = np.roots([1, -q * (1 + momentum), q * momentum]).astype(complex)
    factors = np.linalg.solve([[1, 1], r], [1, q])  # θ_0 = 1, θ_1 = q
    return np.real(np.sum(factors * r ** np.arange(steps + 1)[:, None], axis=1))


@exercise("7.2", rtol=1e-5, atol=1e-7, pure=False)
def check_nesterov(nesterov):
    curvature = np.array([[1.0, 25, 3], [0.2, 7, 12]])  # of L = ½ Σ curvature θ²
    for rate, momentum in (0.03, 0.9), (0.05, 0.99), (0.02, 0.0):
        params, velocity, path = np.ones((2, 3)), np.zeros((2, 3)), [np.ones((2, 3))]
        for _ in range(12):
            grads = curvature * params
            before = grads.copy()
            nesterov(params, grads, velocity, rate, momentum)
            yield "grads after a step", grads, before, "they must not change"
            path.append(params.copy())
        paths = [exact_path(c, rate, momentum) for c in curvature.flat]
        theta = np.stack(paths, axis=1).reshape(-1, 2, 3)
        v = np.diff(theta, axis=0, prepend=1)  # v_n = θ_n - θ_{n-1}
        what = f"θ + μv for 12 steps, ε = {rate}, μ = {momentum}"
        yield what, np.array(path), theta + momentum * v
        yield f"the velocity after them, ε = {rate}, μ = {momentum}", velocity, v[-1]
    params, velocity = np.array([1.0, -2.0]), np.array([0.5, 0.0])
    nesterov(params, np.array([4.0, 1.0]), velocity, 0.1, 0.5)
    yield "params with one axis", params, np.array([0.525, -2.15])
    yield "velocity with one axis", velocity, np.array([-0.15, -0.1])


@exercise("7.3", rtol=1e-5)
def check_clip_by_norm(clip_by_norm):
    long, short = np.array([3.0, -4, 12]), np.array([0.3, -0.4, 1.2])  # norms 13, 1.3
    yield "norm 13, limit 2.6", clip_by_norm(long, 2.6), np.array([0.6, -0.8, 2.4])
    yield "norm 1.3, limit 2.6: unchanged", clip_by_norm(short, 2.6), short
    yield "norm 13, limit 20: unchanged", clip_by_norm(long, 20), long
    yield "norm 13, limit inf: unchanged", clip_by_norm(long, np.inf), long
    table = np.array([[2.0, -4, 4], [4, 4, -2], [2, 4, 4], [-4, 0, 3]])  # √133 ≈ 11.53
    expected = table / np.sqrt(133)
    yield "a table of norm √133, limit 1", clip_by_norm(table, 1.0), expected
    yield "a table of norm √133, limit 12: unchanged", clip_by_norm(table, 12), table
    yield "norm 0", clip_by_norm(np.zeros(3), 2.6), np.zeros(3)
