"""Checks of lesson 21: each against the plain sum, one product at a time."""

import numpy as np

from minids.lesson import exercise
from minids.lesson.folder import answer

with_context, fourier, toom_cook = (
    answer("with_context"),
    answer("fourier"),
    answer("toom_cook"),
)


def plain_sum(x, w, outputs):
    """Σ_j w_j x_{t+j} for t = 0 … outputs - 1: x (N,), w (J,)."""
    return np.array(
        [sum(w[j] * x[t + j] for j in range(len(w))) for t in range(outputs)]
    )


@exercise("21.1", rtol=1e-5, atol=1e-5)
def check_sum_of_taps(sum_of_taps):
    x, W = np.array([[1.0], [2], [4], [8]]), np.array([[[10.0], [1]]])
    yield (
        "x = 1 2 4 8, W = 10 1, one unit",
        sum_of_taps(x, W),
        np.array([[12.0], [24], [48]]),
    )

    rng = np.random.default_rng(1)
    x, W = rng.normal(size=(9, 4)), rng.normal(size=(5, 3, 4))
    one = np.array(
        [
            [sum(W[h, j] @ x[t + j] for j in range(3)) for h in range(5)]
            for t in range(7)
        ]
    )
    yield "x (9, 4), W (5, 3, 4)", sum_of_taps(x, W), one
    yield "as many taps as frames", sum_of_taps(x[:3], W), one[:1]

    padded = np.pad(x, ((1, 1), (0, 0)))
    layer = with_context(x, 1) @ W.reshape(5, 12).T
    yield (
        "frames with a zero at both ends: layer 1 of lesson 2's stacked frames",
        sum_of_taps(padded, W),
        layer,
    )


def checks_of(matrices, shapes, what, rng):
    """Their shapes, and S (A x ⊙ G w) for some x and w. `shapes`: {name: (shape, its reason)}."""
    yield f"{what}: the number of matrices", len(matrices), 3
    for (name, (shape, reason)), matrix in zip(shapes.items(), matrices, strict=True):
        got = np.shape(matrix)
        yield (
            f"{what}: {name}",
            str(got),
            str(shape),
            f"expected shape {shape}, got {got}: {reason}",
        )
    A, G, S = matrices
    for _ in range(5):
        x, w = (rng.integers(-5, 6, matrix.shape[1]).astype(float) for matrix in (A, G))
        numbers = ", ".join(
            f"{name} = {np.array2string(v, threshold=8)}"
            for name, v in (("x", x), ("w", w))
        )
        yield (
            f"{what}: S (A x ⊙ G w) for {numbers}",
            S @ ((A @ x) * (G @ w)),
            plain_sum(x, w, len(S)),
        )


@exercise("21.2", rtol=1e-6, atol=1e-6)
def check_toom_cook(toom_cook):
    rng = np.random.default_rng(2)
    for points, M, J in (
        ([0, 1, np.inf], 2, 2),
        ([0, 1, -1, 2, -2], 2, 4),
        ([0, 1, -1, 2, np.inf], 3, 3),
    ):
        N = len(points)
        shapes = {
            "A": ((N, N), "a row for each point, a column for each frame"),
            "G": ((N, J), "a row for each point, a column for each tap"),
            "S": ((M, N), "a row for each output, a column for each point"),
        }
        yield from checks_of(
            toom_cook(points, M, J), shapes, f"points {points}, M = {M}, J = {J}", rng
        )
    A, G, S = toom_cook(np.exp(2j * np.pi * np.arange(8) / 8), 6, 3)
    x, w = rng.normal(size=8), rng.normal(size=3)
    yield (
        "8 points on a circle",
        np.asarray(S @ ((A @ x) * (G @ w))).real,
        plain_sum(x, w, 6),
    )


@exercise("21.3", rtol=1e-4, atol=1e-4)  # float32 is as good
def check_fourier(fourier):
    rng = np.random.default_rng(3)
    for N, J in (4, 2), (8, 3), (10, 1), (64, 19):
        P, M = 3 * N // 2 - 1, N - J + 1
        shapes = {
            "A": (
                (P, N),
                f"P = 3N/2 - 1 = {P} products, three for each k of 1 … N/2 - 1",
            ),
            "G": ((P, J), "a column for each tap"),
            "S": ((M, P), f"of the N outputs, M = N - J + 1 = {M} do not wrap around"),
        }
        matrices = fourier(N, J)
        names = " and ".join(
            name
            for name, matrix in zip("AGS", matrices, strict=False)
            if np.iscomplexobj(matrix)
        )
        yield f"N = {N}, J = {J}", names, "", f"{names} must be real"
        yield from checks_of(matrices, shapes, f"N = {N}, J = {J}", rng)


@exercise("21.4", rtol=1e-4, atol=1e-4)
def check_fast_gradient(fast_gradient):
    rng = np.random.default_rng(4)
    for frames, J, name, matrices in (
        (3, 2, "Toom-Cook, one block", toom_cook([0, 1, np.inf], 2, 2)),
        (9, 2, "Toom-Cook, four blocks", toom_cook([0, 1, np.inf], 2, 2)),
        (26, 3, "Fourier, four blocks", fourier(8, 3)),
        (21, 3, "Fourier, the last block not full", fourier(8, 3)),
        (5, 3, "Fourier, less than a block", fourier(8, 3)),
    ):
        x, dz = rng.normal(size=(frames, 2)), rng.normal(size=(frames - J + 1, 4))
        dW = np.array(
            [
                [sum(d[h] * x[t + j] for t, d in enumerate(dz)) for j in range(J)]
                for h in range(4)
            ]
        )
        yield f"{name}: x {x.shape}, dz {dz.shape}", fast_gradient(x, dz, *matrices), dW
