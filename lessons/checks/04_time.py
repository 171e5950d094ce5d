"""Checks of lesson 4."""

import numpy as np

from minids.gradcheck import numerical_gradient
from minids.lesson import exercise
from minids.ops import reference


def by_definition(z, Wr):
    """h of one direction, number by number."""
    h = np.zeros_like(z)
    T, B, H = z.shape
    for t in range(T):
        for b in range(B):
            for i in range(H):
                recurrent = sum(Wr[i, j] * h[t - 1, b, j] for j in range(H)) if t else 0
                h[t, b, i] = min(max(0, z[t, b, i] + recurrent), 20)
    return h


@exercise("4.1", rtol=1e-5, atol=1e-5)
def check_recur(recur):
    z = np.array([-3.0, 4, 1, 2]).reshape(4, 1, 1)  # (T, B, H)
    expected = np.array([0, 4, 3, 3.5]).reshape(4, 1, 1)
    yield "hf of the picture", recur(z, np.full((1, 1), 0.5)), expected
    ones = np.ones((6, 1, 1))
    series = (2 - 0.5 ** np.arange(6)).reshape(6, 1, 1)
    yield "z = 1, W_r = 0.5: 1 + ½ + …", recur(ones, np.full((1, 1), 0.5)), series
    doubled = np.array([1.0, 3, 7, 15, 20, 20]).reshape(6, 1, 1)
    yield "z = 1, W_r = 2, clipped at 20", recur(ones, np.full((1, 1), 2.0)), doubled
    alternating = np.array([1.0, 0, 1, 0, 1, 0]).reshape(6, 1, 1)
    yield "z = 1, W_r = −1", recur(ones, np.full((1, 1), -1.0)), alternating
    pulse, expected = np.zeros((2, 3, 1, 2))
    pulse[0, 0, 1] = expected[0, 0, 1] = expected[1, 0, 0] = 3
    got = recur(pulse, np.array([[0.0, 1], [0, 0]]))
    yield "unit 1 gets the state of unit 2, not vice versa", got, expected
    rng = np.random.default_rng(4)
    z, Wr = rng.normal(0, 15, (5, 3, 4)), rng.normal(size=(4, 4))
    no_weights = np.zeros((4, 4))
    yield "W_r = 0: a layer without recurrence", recur(z, no_weights), np.clip(z, 0, 20)
    yield "5 frames of 3 recordings, 4 units", recur(z, Wr), by_definition(z, Wr)


@exercise("4.2", rtol=1e-5, atol=1e-5)
def check_birnn(birnn):
    z = np.array([-3.0, 4, 1, 2]).reshape(4, 1, 1)
    half, unit = np.full((1, 1), 0.5), np.ones((1, 1))
    expected = np.array([0, 9, 5, 5.5]).reshape(4, 1, 1)
    yield "h of the picture", birnn(z, half, half), expected
    expected = np.array([4, 11, 6, 5.5]).reshape(4, 1, 1)
    yield "W_r^f = 0.5, W_r^b = 1", birnn(z, half, unit), expected
    rng = np.random.default_rng(5)
    z, (A, B) = rng.normal(0, 15, (6, 2, 3)), rng.normal(size=(2, 3, 3))
    yield "reversed time swaps f and b", birnn(z[::-1], B, A)[::-1], birnn(z, A, B)
    yield "W_r = 0: twice the layer", birnn(z, 0 * A, 0 * B), 2 * np.clip(z, 0, 20)
    package, _, _ = reference.birnn_forward(z, A, B, lengths=np.array([6, 6]))
    yield "6 frames of 2 recordings, as in the package", birnn(z, A, B), package


@exercise("4.3", rtol=1e-4, atol=1e-4)
def check_recur_backward(recur_backward):
    picture = np.array([[0.0, 0, 0, 1], [0, 4, 3, 3.5], [0, 0.25, 0.5, 1]])
    dh, h, dz = picture.reshape(3, 4, 1, 1)
    dWr = np.array([[0.25 * 0 + 0.5 * 4 + 1 * 3]])
    yield (
        "the picture",
        recur_backward(dh, h, np.full((1, 1), 0.5)),
        {"dz": dz, "dWr": dWr},
    )

    rng = np.random.default_rng(6)
    for T, B, H, scale in (5, 2, 3, 15), (1, 2, 2, 15), (6, 2, 3, 1):
        z = rng.normal(scale / 3, scale, (T, B, H))  # 15: often above 20
        dh, Wr = rng.normal(size=(T, B, H)), rng.normal(size=(H, H))

        def loss(z=z, Wr=Wr, dh=dh):  # its gradient with respect to h is dh
            return (by_definition(z, Wr) * dh).sum()

        expected = {
            "dz": numerical_gradient(loss, z),
            "dWr": numerical_gradient(loss, Wr),
        }
        got = recur_backward(dh, by_definition(z, Wr), Wr)
        yield f"{T=} {B=} {H=}, against central differences", got, expected
