"""The answers to lesson 21, common mistakes, and other styles that are right as well."""

import numpy as np


def vandermonde(points, n):
    """V_n (N, n), the first n powers of N points, as in the lesson."""
    V = np.array(points)[:, None] ** np.arange(n)
    V[np.isinf(points)] = np.arange(n) == n - 1
    return V


def blocks(x, size, hop):
    """`size` rows of x from every hop-th one, as in the lesson."""
    K = 1 + max(0, -(-(len(x) - size) // hop))
    x = np.pad(x, ((0, (K - 1) * hop + size - len(x)), (0, 0)))
    return np.array([x[k * hop : k * hop + size] for k in range(K)])


def sum_of_taps(x, W):
    T = len(x) - W.shape[1] + 1
    return sum(x[j : j + T] @ W[:, j].T for j in range(W.shape[1]))


def toom_cook(points, M, J):
    V = vandermonde(points, len(points))
    return np.linalg.inv(V).T, vandermonde(points, J), vandermonde(points, M).T


def fourier(N, J):
    angle = 2 * np.pi / N * np.outer(np.arange(1, N // 2), np.arange(N))
    cos, sin = np.cos(angle), np.sin(angle)  # (N/2 - 1, N)
    ends = np.stack([np.ones(N), (-1.0) ** np.arange(N)])  # k = 0 and k = N/2
    A = np.concatenate([ends, cos - sin, cos, -sin])  # a + b, a, b
    G = np.concatenate([ends, cos, sin - cos, cos + sin])  # c, d - c, c + d
    S = np.concatenate([ends, 2 * (cos - sin), -2 * sin, -2 * cos]) / N  # of p, q, r
    return A, G[:, :J], S[:, : N - J + 1].T


def fast_gradient(x, dz, A, G, S):
    frames = A @ blocks(x, A.shape[1], len(S))  # (K, P, F)
    products = S.T @ blocks(dz, len(S), len(S))  # (K, P, H)
    dw = (products[..., None] * frames[:, :, None]).sum(axis=0)  # (P, H, F)
    return np.tensordot(dw, G, (0, 0)).swapaxes(1, 2)


# Exercise 21.1: mistakes


def reverses_the_taps(x, W):
    """A convolution, with x_{t-j}: the last tap meets the earliest frame."""
    return sum_of_taps(x, W[:, ::-1])


def omits_the_last_output(x, W):
    """R - J outputs: the formula has + 1."""
    return sum_of_taps(x, W)[:-1]


def pads_x(x, W):
    """Adds zeros behind x. They are in x already; the last output is the last that sees J frames."""
    return sum_of_taps(np.pad(x, ((0, W.shape[1] - 1), (0, 0))), W)


def wraps_around(x, W):
    """The last outputs see the first frames: np.roll leaves R outputs."""
    return sum(np.roll(x, -j, axis=0) @ W[:, j].T for j in range(W.shape[1]))


def does_not_move(x, W):
    """All taps meet the same frame: tap j needs the frames from j on."""
    T = len(x) - W.shape[1] + 1
    return sum(x[:T] @ W[:, j].T for j in range(W.shape[1]))


def one_row_per_unit(x, W):
    """Units along the first axis and frames along the second."""
    return sum_of_taps(x, W).T


def clips(x, W):
    """The clipped ReLU of the layer: here it is only the sum."""
    return np.clip(sum_of_taps(x, W), 0, 20)


# Other right answers


def window_by_window(x, W):
    """One output at a time."""
    J = W.shape[1]
    return np.array([np.tensordot(W, x[t : t + J], 2) for t in range(len(x) - J + 1)])


def sum_by_einsum(x, W):
    """All windows as a view, and einsum."""
    windows = np.lib.stride_tricks.sliding_window_view(x, W.shape[1], axis=0)
    return np.einsum("tfj,hjf->th", windows, W)


# Exercise 21.2: mistakes


def forgets_to_transpose_the_inverse(points, M, J):
    """A is the transposed inverse."""
    A, G, S = toom_cook(points, M, J)
    return A.T, G, S


def forgets_to_invert(points, M, J):
    """A is the inverse of V, transposed, not V."""
    _, G, S = toom_cook(points, M, J)
    return vandermonde(points, len(points)).T, G, S


def cuts_the_columns_of_V(points, M, J):
    """Cuts V to n columns; at infinity V_n has its 1 in its own last column: vandermonde(points, n)."""
    V = vandermonde(points, len(points))
    return np.linalg.inv(V).T, V[:, :J], V[:, :M].T


def swaps_M_and_J(points, M, J):
    """M and J are exchanged: G is for the J taps, S for the M outputs."""
    return toom_cook(points, J, M)


def multiplies_polynomials(points, M, J):
    """The product of two polynomials, all N coefficients; the sum needs the transposed matrices."""
    V = vandermonde(points, len(points))
    return vandermonde(points, M), vandermonde(points, J), np.linalg.inv(V)


def does_not_transpose_S(points, M, J):
    """S is transposed: it has a row for each output."""
    A, G, S = toom_cook(points, M, J)
    return A, G, S.T


# Other right answers


def by_solving(points, M, J):
    """A solves Vᵀ A = 1."""
    N = M + J - 1
    A = np.linalg.solve(vandermonde(points, N).T, np.eye(N))
    return A, vandermonde(points, J), np.transpose(vandermonde(points, M))


def inverse_of_the_transpose(points, M, J):
    """The inverse of the transposed matrix is the transposed inverse; in a list."""
    V_M, V_J, V = (vandermonde(points, n) for n in (M, J, len(points)))
    return [np.linalg.inv(V.T), V_J, V_M.T]


# Exercise 21.3: mistakes


def variant(
    N, J, sign=1, twice=2, ends=True, scale=None, outputs=None, taps=None, real=1
):
    """The three matrices with a mistake in them."""
    angle = 2 * np.pi / N * np.outer(np.arange(1, N // 2), np.arange(N))
    cos, sin = np.cos(angle), np.sin(angle)
    both = np.stack([np.ones(N), (-1.0) ** np.arange(N)])[: 2 if ends else 1]
    d = sign * sin
    A = np.concatenate([both, cos - sin, cos, -sin])
    G = np.concatenate([both, cos, d - cos, cos + d])
    S = np.concatenate([real * both, twice * (cos - sin), -twice * sin, -twice * cos])
    return A, G[:, : taps or J], S[:, : outputs or N - J + 1].T / (scale or N)


def convolves(N, J):
    """d has a minus, as b has: then w_j meets x_{t-j}, a convolution, around the end of the block."""
    return variant(N, J, sign=-1)


def keeps_what_wraps_around(N, J):
    """All N outputs: the last J - 1 see frames at the beginning of the block."""
    return variant(N, J, outputs=N)


def forgets_the_scale(N, J):
    """Without 1/N the outputs are N times too large."""
    return variant(N, J, scale=1)


def forgets_the_conjugates(N, J):
    """Without the factor 2 the conjugate frequencies N/2 + 1 … N - 1 are missing."""
    return variant(N, J, twice=1)


def counts_the_ends_twice(N, J):
    """k = 0 and k = N/2 have no conjugate partner: they count once."""
    return variant(N, J, real=2)


def forgets_the_last_frequency(N, J):
    """k = N/2, the point -1, is missing."""
    return variant(N, J, ends=False)


def transforms_zeros(N, J):
    """G has N columns; there are J taps, and the others would be 0."""
    return variant(N, J, taps=N)


def adds_the_sines(N, J):
    """The imaginary part is subtracted: cos θt times the real part minus sin θt times the imaginary."""
    A, G, _ = fourier(N, J)
    angle = 2 * np.pi / N * np.outer(np.arange(1, N // 2), np.arange(N - J + 1))
    cos, sin = np.cos(angle), np.sin(angle)
    ends = np.stack([np.ones(N - J + 1), (-1.0) ** np.arange(N - J + 1)])
    S = np.concatenate([ends, 2 * (cos + sin), 2 * sin, -2 * cos]) / N
    return A, G, S.T


def takes_four_products(N, J):
    """Four real products for each complex one: ac, bd, ad and bc."""
    angle = 2 * np.pi / N * np.outer(np.arange(1, N // 2), np.arange(N))
    cos, sin = np.cos(angle), np.sin(angle)
    ends = np.stack([np.ones(N), (-1.0) ** np.arange(N)])
    A = np.concatenate([ends, cos, -sin, cos, -sin])
    G = np.concatenate([ends, cos, sin, sin, cos])
    S = np.concatenate([ends, 2 * cos, -2 * cos, -2 * sin, -2 * sin]) / N
    return A, G[:, :J], S[:, : N - J + 1].T


def stays_complex(N, J):
    """The complex matrices: N products, each of them four real ones."""
    return toom_cook(np.exp(2j * np.pi / N * np.arange(N)), N - J + 1, J)


# Other right answers


def frequency_by_frequency(N, J):
    """A loop over the frequencies, with the three products side by side."""
    n, A, G, S = np.arange(N), [], [], []
    for k in range(N // 2 + 1):
        cos, sin = np.cos(2 * np.pi * k * n / N), np.sin(2 * np.pi * k * n / N)
        if k in (0, N // 2):
            A, G, S = [*A, cos], [*G, cos], [*S, cos / N]
        else:
            A += [cos - sin, cos, -sin]
            G += [cos, sin - cos, cos + sin]
            S += [(cos - sin) * 2 / N, sin * -2 / N, cos * -2 / N]
    return np.array(A), np.array(G)[:, :J], np.array(S).T[: N - J + 1]


def other_three_products(N, J):
    """ac, bd and (a + b)(c + d), whose difference from both is the imaginary part; 1/N in A."""
    z = np.exp(2j * np.pi / N * np.outer(np.arange(N // 2 + 1), np.arange(N)))
    c, d = z.real[1:-1], z.imag[1:-1]
    ends = z.real[[0, -1]]
    A = np.concatenate([ends, c, -d, c - d]) / N
    G = np.concatenate([ends, c, d, c + d])[:, :J]
    S = np.concatenate([ends, 2 * (c + d), 2 * (d - c), -2 * d])[:, : N - J + 1]
    return A, G, np.ascontiguousarray(S.T)


# Exercise 21.4: mistakes


def uses_only_the_last_block(x, dz, A, G, S):
    """The products are added up over all blocks."""
    frames = (A @ blocks(x, A.shape[1], len(S)))[-1]
    products = (S.T @ blocks(dz, len(S), len(S)))[-1]
    return np.einsum("pj,ph,pf->hjf", G, products, frames)


def takes_the_mean(x, dz, A, G, S):
    """The mean over the blocks: a gradient is a sum."""
    return fast_gradient(x, dz, A, G, S) / len(blocks(dz, len(S), len(S)))


def cuts_x_without_overlap(x, dz, A, G, S):
    """The blocks of x overlap: N frames, a new one every M."""
    N, M = A.shape[1], len(S)
    K = len(blocks(dz, M, M))
    x = np.pad(x, ((0, K * N), (0, 0)))[: K * N].reshape(K, N, -1)
    return np.einsum("pj,kph,kpf->hjf", G, S.T @ blocks(dz, M, M), A @ x)


def reverses_the_result(x, dz, A, G, S):
    """The taps in reverse order."""
    return fast_gradient(x, dz, A, G, S)[:, ::-1]


def puts_the_taps_last(x, dz, A, G, S):
    """Shape (H, F, J): the taps are the second axis, as in W."""
    return fast_gradient(x, dz, A, G, S).swapaxes(1, 2)


def puts_the_taps_first(x, dz, A, G, S):
    """Shape (J, H, F): the taps are the second axis, as in W."""
    return fast_gradient(x, dz, A, G, S).swapaxes(0, 1)


def adds_up_first(x, dz, A, G, S):
    """Adds up the blocks before it multiplies: the sum of products is not the product of sums."""
    frames = (A @ blocks(x, A.shape[1], len(S))).sum(axis=0)
    products = (S.T @ blocks(dz, len(S), len(S))).sum(axis=0)
    return np.einsum("pj,ph,pf->hjf", G, products, frames)


# Other right answers


def gradient_by_einsum(x, dz, A, G, S):
    """One einsum."""
    frames, delta = blocks(x, A.shape[1], len(S)), blocks(dz, len(S), len(S))
    return np.einsum("pj,mp,kmh,pn,knf->hjf", G, S, delta, A, frames, optimize=True)


def block_by_block(x, dz, A, G, S):
    """A loop over the blocks, a product of matrices for each p."""
    N, M, total = A.shape[1], len(S), 0
    for k in range(0, len(dz), M):
        d, f = dz[k : k + M], x[k : k + N]
        part = (S.T[:, : len(d)] @ d)[:, :, None] * (A[:, : len(f)] @ f)[:, None]
        total = total + part
    return np.array(
        [
            [
                [G[:, j] @ total[:, h, f] for f in range(x.shape[1])]
                for j in range(G.shape[1])
            ]
            for h in range(dz.shape[1])
        ]
    )


HINTS = {
    "sum_of_taps": [
        "Tap j meets the T = R - J + 1 frames x[j : j + T].",
        "For one tap: x[j : j + T] @ W[:, j].T is (T, H). Add them up.",
        "return sum(x[j : j + T] @ W[:, j].T for j in range(W.shape[1]))",
    ],
    "toom_cook": [
        "V is vandermonde(points, N), with N = len(points).",
        "S = V_M^T, G = V_J, A = V^{-T}: the inverse of V, transposed.",
        "return np.linalg.inv(V).T, vandermonde(points, J), vandermonde(points, M).T",
    ],
    "fourier": [
        "cos and sin of 2πkn/N for k = 1 … N/2 - 1 are two arrays (N/2 - 1, N): use np.outer.",
        "Each product is a row of A times a row of G: for p these are cos - sin and cos, for k = 0 ones and ones.",
        "For q: cos and sin - cos; for r: -sin and cos + sin. Then cut G to J columns.",
        "Rows of Sᵀ: ones/N, (-1)^t/N, and 2/N times cos - sin for p, -sin for q, -cos for r; M columns.",
    ],
    "fast_gradient": [
        "A @ blocks(x, N, M) is (K, P, F); S.T @ blocks(dz, M, M) is (K, P, H), with N = A.shape[1], M = len(S).",
        "For each p: add up products[k, p, h] * frames[k, p, f] over the blocks k. This is (P, H, F).",
        'The last step, and all in one: np.einsum("pj,kph,kpf->hjf", G, products, frames).',
    ],
}

WRONG = {
    "sum_of_taps": [
        reverses_the_taps,
        omits_the_last_output,
        pads_x,
        wraps_around,
        does_not_move,
        one_row_per_unit,
        clips,
    ],
    "toom_cook": [
        forgets_to_transpose_the_inverse,
        forgets_to_invert,
        cuts_the_columns_of_V,
        swaps_M_and_J,
        multiplies_polynomials,
        does_not_transpose_S,
    ],
    "fourier": [
        convolves,
        keeps_what_wraps_around,
        forgets_the_scale,
        forgets_the_conjugates,
        counts_the_ends_twice,
        forgets_the_last_frequency,
        transforms_zeros,
        adds_the_sines,
        takes_four_products,
        stays_complex,
    ],
    "fast_gradient": [
        uses_only_the_last_block,
        takes_the_mean,
        cuts_x_without_overlap,
        reverses_the_result,
        puts_the_taps_last,
        puts_the_taps_first,
        adds_up_first,
    ],
}

RIGHT = {
    "sum_of_taps": [window_by_window, sum_by_einsum],
    "toom_cook": [by_solving, inverse_of_the_transpose],
    "fourier": [frequency_by_frequency, other_three_products],
    "fast_gradient": [gradient_by_einsum, block_by_block],
}
