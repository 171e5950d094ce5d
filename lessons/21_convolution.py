# %% [markdown]
# # 21. Can a layer compute the same with a fifth of the multiplications?
# Half of the work of a network with 512 units is in layer 1, which sees 19 frames.
#
# *You build* layer 1 as a convolution, the matrices of two fast convolutions, and the
# gradient through them. *You need* lessons 1 to 3, and complex numbers.

# %%
from timeit import repeat

import numpy as np

from minids.lesson import check, show
from minids.lesson.figures.convolution import curves, orbits
from minids.lesson.figures.times import bars

J, F, H = 19, 161, 512  # frames that layer 1 sees, features of a frame, units
rng = np.random.default_rng(21)
layers = ["layer 1", "2", "3", "4, recurrent", "5", "6"]
work = {"": [J * F * H, H * H, H * H, 3 * H * H, H * H, 29 * H]}
show(bars(layers, work, "multiplications"), title="The work of each layer per frame")

# %% [markdown]
# ## A convolution in time
# With $C = 9$ frames on each side (lesson 2), the weights of layer 1 are $J = 2C + 1$
# matrices side by side, $W = [W_0 \ldots W_{J-1}]$, one for each frame it sees:
#
# $$ z_t = \sum_{j=0}^{J-1} W_j \, x_{t+j} $$
#
# where $x$, $R$ frames, begins and ends with $C$ of zeros: a **convolution** in time
# with $J$ **taps**; strictly, a *correlation*: a convolution has $x_{t-j}$.
#
# **Exercise 21.1** Compute this sum, without stacking any frames.


# %%
def sum_of_taps(x, W):
    """z (R - J + 1, H) of frames x (R, F) and W (H, J, F).  About 2 lines."""
    raise NotImplementedError


sum_of_taps = check("21.1", sum_of_taps)

# %% [markdown]
# ## Three products instead of four
# Take one feature, one unit and two taps. Two outputs are four products, or three:
#
# $$\begin{split}
# z_0 &= w_0 x_0 + w_1 x_1 = p + q \\ z_1 &= w_0 x_1 + w_1 x_2 = q - r \\
# p &= w_0 (x_0 - x_1) \\ q &= (w_0 + w_1)\, x_1 \\ r &= w_1 (x_1 - x_2)
# \end{split}$$
#
# This saves a product and costs additions, a good trade in a layer: $x_0 - x_1$ is
# computed once *for all units*, $w_0 + w_1$ once *for all frames*. Only the products
# are for every pair of a feature and a unit. In general, $M$ outputs of $J$ taps see
# $N = M + J - 1$ inputs, and with $P$ products
#
# $$ z = S \, (A x \odot G w) $$
#
# with fixed matrices $A$ (P, N), $G$ (P, J), $S$ (M, P); $\odot$ is element by element.

# %%
A = np.array([[1, -1, 0], [0, 1, 0], [0, 1, -1]])
G = np.array([[1, 0], [1, 1], [0, 1]])
S = np.array([[1, 1, 0], [0, 1, -1]])
x, w = np.array([5, 2, 3]), np.array([10, 1])
print("four products:", w @ x[:2], w @ x[1:], "  three:", *S @ (A @ x * (G @ w)))

# %% [markdown]
# ## Polynomials and points
# Multiply two polynomials, $w(v) = w_0 + w_1 v + \ldots$ with $J$ coefficients and
# $u(v)$ with $M$. Term by term that is $J M$ products. But the result has only $N = J +
# M - 1$ coefficients, so **its values at N points determine it**, and the value of a
# product is the product of the values: N products! With the **Vandermonde matrix**
# $V_n$ (N, n), whose row for the point $v$ is $1, v \ldots v^{n-1}$, and $V = V_N$, the
# coefficients of the result are
#
# $$ V^{-1} (V_J w \odot V_M u) $$
#
# This is a matrix times $u$, with $w_j$ in column $m$ and row $m + j$. Our sum has it
# in row $m$ and column $m + j$: it is the *transposed* matrix times $x$. So
#
# $$ z = V_M^T \, (V^{-T} x \odot V_J w) $$
#
# where $V^{-T}$ is $V^{-1}$ transposed. This is a **Toom-Cook** convolution; in neural
# networks it is often named after Winograd. At the point ∞ the value of a polynomial is
# its last coefficient. (0, 1 and ∞ give the three products above, up to a sign.)
#
# **Exercise 21.2** The matrices for $N = M + J - 1$ points. (`np.linalg.inv` inverts.)


# %%
def vandermonde(points, n):
    """V_n (N, n), the first n powers of N points."""
    V = np.array(points)[:, None] ** np.arange(n)
    V[np.isinf(points)] = np.arange(n) == n - 1
    return V


def toom_cook(points, M, J):
    """A (N, N), G (N, J), S (M, N).  About 2 lines."""
    raise NotImplementedError


toom_cook = check("21.2", toom_cook)

# %% [markdown]
# But a network computes in float32, with seven digits. How many survive if $J = M$?


# %%
def error(A, G, S):
    """The relative error of S (A x ⊙ G w) in float32, for random x and w."""
    x, w = rng.normal(size=(A.shape[1], 500)), rng.normal(size=(G.shape[1], 500))
    exact = sum(w[j] * x[j : j + len(S)] for j in range(len(w)))
    single = np.complex64 if np.iscomplexobj(A) else np.float32
    A, G, S, x, w = (array.astype(single) for array in (A, G, S, x, w))
    return np.linalg.norm(S @ (A @ x * (G @ w)) - exact) / np.linalg.norm(exact)


small = [0, 1, -1, np.inf, 2, -2, 1 / 2, -1 / 2, 3, -3, 1 / 3, -1 / 3, 4, -4, 1 / 4]
circle = {N: np.exp(2j * np.pi / N * np.arange(N)) for N in range(3, 17)}
errors = {"0, 1, −1, ∞, 2, −2, ½, −½ …": [], "on a circle": []}
for M in range(2, 9):
    for points, row in zip((small, circle[2 * M - 1]), errors.values(), strict=True):
        row.append(error(*toom_cook(points[: 2 * M - 1], M, M)))
captions = (
    "Powers of 1.15 (red) grow, those of −0.8 vanish, those on the circle stay.",
    "Four more small numbers cost about a digit; points on a circle, none.",
)
lost = curves(range(3, 16, 2), errors, "number of points", "relative error")
show([orbits([1.15, -0.8, circle[16][1]], 17), lost], captions, "Two sets of points")

# %% [markdown]
# 19 taps need 20 points or more. The sums then have huge terms that cancel. Other real
# points are a little better, but for all of them the error grows exponentially.
#
# ## Lesson 1 returns
# The powers of $e^{i\theta}$ are $e^{i\theta j} = \cos \theta j + i \sin \theta j$.
# So, up to a factor 1/N, $A x$ is the **Fourier transform** of lesson 1! Two things
# turn its N complex products into few real ones.
#
# 1. x and w are real, so the values at $\theta = 2 \pi k / N$ and $-\theta$ are
#    conjugates: $k = 1 \ldots N/2 - 1$ is enough, with *twice* the real part. Only $k =
#    0$ and $k = N/2$, the points 1 and -1, have no partner; they are real.
# 2. A complex product $(a + ib)(c + id)$ takes *three* real ones:
#
# $$\begin{split}
# p &= (a + b)\, c \\ q &= a\, (d - c) \\ r &= b\, (c + d) \\
# e &= ac - bd = p - r \\ f &= ad + bc = p + q \end{split}$$
#
# So $P = 2 + 3 (N/2 - 1) = 3N/2 - 1$. With $y_0, y_{N/2}$ from ±1, $n < N$ and $j < J$,
#
# $$\begin{split}
# a &= \sum_n x_n \cos \theta n \\ b &= - \sum_n x_n \sin \theta n \\
# c &= \sum_j w_j \cos \theta j \\ d &= \sum_j w_j \sin \theta j \\
# z_t &= \frac{1}{N} \big( y_0 + (-1)^t y_{N/2} \big) \\ & + \frac{2}{N}
#   \sum_{k=1}^{N/2-1} \big( e \cos \theta t - f \sin \theta t \big) \end{split}$$
#
# Mind the sign: with a minus in $d$, $w_j$ would meet $x_{t-j}$. And for a Fourier
# transform, frame 0 follows frame N - 1, so only $M = N - J + 1$ outputs are right.
#
# **Exercise 21.3** The three matrices, with the P products in any order.


# %%
def fourier(N, J):
    """Real A (P, N), G (P, J) and S (M, P), for an even N.  About 8 lines."""
    raise NotImplementedError


fourier = check("21.3", fourier)
print(f"19 taps, 46 outputs: relative error {error(*fourier(64, J)):.0e}")

# %% [markdown]
# Toom-Cook takes N products, this nearly 1.5 N, but it keeps float32's digits.
#
# ## How many frames at once?
# A recording is cut into **blocks** of N frames, a new one every M. Short blocks are
# mostly overlap, long ones have large transforms. (The weights are transformed once for
# 12,800 frames, a batch.)

# %%
N = np.arange(24, 129, 4)
M, P = N - J + 1, 3 * N // 2 - 1
products = P * F * H / M
transforms = P * N * F / M + P * H + P * J * F * H / 12_800
counts = {"all": products + transforms, "products": products, "transforms": transforms}
counts["plain sum"] = np.full(len(N), J * F * H)
picture = curves(N, counts, "N, frames in a block", "multiplications", best=True)
show(picture, title="The work of layer 1 per frame, for blocks of N frames")
print(f"the plain sum takes {J * F * H / min(counts['all']):.1f} times as many")


def blocks(x, size, hop):
    """`size` rows of x from every hop-th one, (K, size, columns); at the end zeros."""
    K = 1 + max(0, -(-(len(x) - size) // hop))
    x = np.pad(x, ((0, (K - 1) * hop + size - len(x)), (0, 0)))
    return np.array([x[k * hop : k * hop + size] for k in range(K)])


def fast_layer(x, W, A, G, S):
    """sum_of_taps(x, W), in blocks."""
    frames = A @ blocks(x, A.shape[1], len(S))  # A x (K, P, F)
    weights = np.tensordot(G, W, (1, 1))  # G w (P, H, F)
    products = frames.swapaxes(0, 1) @ weights.swapaxes(1, 2)  # (P, K, H)
    z = S @ products.swapaxes(0, 1)  # (K, M, H)
    return z.reshape(-1, len(W))[: len(x) - W.shape[1] + 1]


x = rng.normal(size=(1000, F)).astype(np.float32)
W = rng.normal(size=(H, J, F)).astype(np.float32)
matrices = [array.astype(np.float32) for array in fourier(64, J)]
plain, fast = sum_of_taps(x, W), fast_layer(x, W, *matrices)
print(f"relative error {np.linalg.norm(fast - plain) / np.linalg.norm(plain):.0e}")
seconds = min(repeat(lambda: sum_of_taps(x, W), number=1, repeat=5))
seconds /= min(repeat(lambda: fast_layer(x, W, *matrices), number=1, repeat=5))
print(f"on this machine {seconds:.1f} times as fast")

# %% [markdown]
# ## The gradient
# Backward is forward read upwards (lesson 3): the gradient $dz$ goes through $S^T$, is
# multiplied by $A x$, the other factor of the products, and goes through $G^T$:
#
# $$ dw = G^T \, (S^T dz \odot A x) $$
#
# **Exercise 21.4** The gradient of W. Add up the products of all blocks *before* $G^T$.
# (`blocks` cuts dz, too.)


# %%
def fast_gradient(x, dz, A, G, S):
    """dW (H, J, F) of frames x (R, F) and dz (R - J + 1, H).  About 4 lines."""
    raise NotImplementedError


fast_gradient = check("21.4", fast_gradient)

dW = fast_gradient(x, plain, *matrices)
exact = np.stack([plain.T @ x[j : j + len(plain)] for j in range(J)], axis=1)
print(f"relative error {np.linalg.norm(dW - exact) / np.linalg.norm(exact):.0e}")

# %% [markdown]
# Now read the real one, `minids/ops/cpu/convolution.py`: a few units at a time go
# through all steps, so that their products stay in the cache.
#
# **What we have now** The same layer with a sixth of the multiplications (a fifth if
# narrower), and the reason why the points are on a circle.
#
# **Next question**: it is yours. You have all of a recognizer, to the last product.
