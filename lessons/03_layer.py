# %% [markdown]
# # 3. How does one layer learn?
# The network of lesson 2 was full of numbers that somebody must have found. How?
# You turn each one a little, and see whether the mistake grows or shrinks.
# There is a way to do that for all of them at once.
#
# *You build* the backward pass of a layer, and the test that proves it right.
# *You need* nothing but some calculus: the chain rule.

# %%
import numpy as np

import minids
from minids import gradcheck
from minids.lesson import data, exercise, show
from minids.lesson.figures.layer import STEPS, guesses, kinks, layer, step_sizes
from minids.ops import reference
from minids.ops.reference import affine_forward, log_softmax_forward

x, b, wanted = np.array([2.0, 1, -1]), np.array([0.5, 1]), np.array([1.0, 1])
W = np.array([[1.5, -1, 0.5], [-1, 0.5, 2]])
show(
    [layer(x, W, b, wanted, upto=step) for step in STEPS],
    captions=[
        "Three numbers come in. On the lines the weights W, at the boxes the biases b.",
        "z1 = 1.5·2 − 1·1 + 0.5·(−1) + 0.5 = 2, and z2 likewise.",
        "g cuts off what is below 0, and above 20. The second unit says 0.",
        "The loss L = ½ (h1 − 1)² + ½ (h2 − 1)²: how far it is from what we want.",
        "Now upwards. If h1 grows by a little, L grows by h1 − 1 = 1 times that.",
        "Through g: z1 moves h1 one for one. z2 moves nothing: g is flat there.",
        "Each weight: the gradient below it times the number above it.",
        "Each input: the gradients below, each times its weight. And so on upwards.",
    ],
    title="Numbers flow down, gradients flow up",
)

# %% [markdown]
# In red, under each number: *how much L grows when this number grows by a little*, its
# **gradient**. Step through it, and check one or two by hand. It is all there is to it.
#
# A layer of the paper (§2), with weights $W$ and biases $b$, is
#
# $$\begin{split} h &= g(W x + b) \\ g(z) &= \min\{\max\{0, z\}, 20\} \end{split}$$
#
# Without $g$, two layers would be no more than one: a product of matrices is a matrix.
# The upper bound keeps the numbers in reach when, in lesson 4, a layer feeds itself.
#
# ## Turn every knob
# First gradients the stupid way. Move one number up by a little $h$ (a step, not the
# layer's output) and down by $h$, and look at what $L$ does:
#
# $$\frac{\partial L}{\partial \theta_i} \approx
#   \frac{L(\theta_i + h) - L(\theta_i - h)}{2h}$$
#
# That is slow, two evaluations for each number, but it knows nothing of any formula.
# So it can *judge* our formulas. Calculus tells whether it works itself.


# %%
def check_numerical():
    v = np.array([[0.5, -1.0], [2.0, 0.1]])
    known = {
        "Σ v²": (lambda: (v**2).sum(), 2 * v),
        "Σ sin v": (lambda: np.sin(v).sum(), np.cos(v)),
        "v₀₀ v₁₁": (lambda: v[0, 0] * v[1, 1], np.array([[0.1, 0], [0, 0.5]])),
    }
    before = v.copy()
    for name, (loss, slope) in known.items():
        yield f"the gradient of {name}", numerical_gradient(loss, v), slope
        yield f"v after the gradient of {name}, put back", v, before


@exercise(
    "3.1",
    check_numerical,
    [
        "np.ndindex(value.shape) goes through all the places of an array of any shape.",
        "At each: remember the number, set it to here + h, call loss(); so with here - h.",
        "value[i] = here + h; above = loss(); …; gradient[i] = (above - below) / (2 * h)",
    ],
    rtol=1e-7,
    atol=1e-8,
)
def numerical_gradient(loss, value, h=1e-5):
    """The slope of loss() to each number of `value`, moved in place and back.  8 lines."""
    raise NotImplementedError


# %% [markdown]
# ## Up through the clip
# `dh` stands for $\partial L / \partial h$, in the shape of `h`. The chain rule says
#
# $$dz = dh \cdot g'(z)$$
#
# $$g'(z) = \begin{cases} 1 & 0 < z < 20 \\ 0 & \text{else} \end{cases}$$
#
# A gate: it lets the gradient through, or not. And we need not keep $z$:
# look at $h$, it is strictly between 0 and 20 just when $z$ is.

# %%
rng = np.random.default_rng(3)


def check_clip():
    for z in np.array([-7, -0.1, 0.1, 3, 19.9, 20.1]), rng.uniform(-10, 30, (4, 3, 5)):
        h, dh = np.clip(z, 0, 20), rng.normal(size=z.shape)

        def loss(z=z, dh=dh):  # grows by dh with each h
            return (np.clip(z, 0, 20) * dh).sum()

        yield f"z {z.shape}", clip_backward(dh.copy(), h), gradcheck.numerical_gradient(loss, z)


@exercise("3.2", check_clip, ["Where is g flat?", "(0 < h) & (h < 20)"], rtol=1e-7, atol=1e-8)
def clip_backward(dh, h):
    """dz, in the shape of dh; h = g(z).  About 1 line."""
    raise NotImplementedError


# %% [markdown]
# ## Up through the weights
# A weight $W_{ij}$ touches only $z_i$, and there it stands before $x_j$. An input $x_j$ reaches
# every $z_i$, each through its weight. And a bias is a weight whose input is 1:
#
# $$dW = dz \, x^T, \ \ db = dz, \ \ dx = W^T dz$$
#
# In a network `x` is `(T, B, D)`: $T$ frames of $B$ recordings, all through the same weights.
# A weight moves $L$ in $T \cdot B$ places, and its gradient is their **sum**.
# With rows instead of columns the forward pass reads `z = x @ W.T + b`.


# %%
def check_affine_backward():
    for T, B, D, H in (1, 1, 3, 2), (4, 3, 5, 2), (6, 2, 4, 4):
        shapes = (T, B, D), (H, D), (H,), (T, B, H)
        x, W, b, dz = (rng.normal(size=shape) for shape in shapes)

        def loss(x=x, W=W, b=b, dz=dz):  # grows by dz with each z
            return ((x @ W.T + b) * dz).sum()

        truth = [gradcheck.numerical_gradient(loss, value) for value in (x, W, b)]
        yield f"dx, dW, db of T={T} B={B} D={D} H={H}", affine_backward(dz, x, W), truth


@exercise(
    "3.3",
    check_affine_backward,
    [
        "A gradient has the shape of its number: that tells what to transpose.",
        "dz.reshape(-1, H) is one list of T·B rows; x likewise.",
        "dW = (rows of dz).T @ rows of x;  db = dz.sum(axis=(0, 1));  dx = dz @ W",
    ],
    rtol=1e-7,
    atol=1e-8,
)
def affine_backward(dz, x, W):
    """dx, dW, db of z = x Wᵀ + b, in the shapes of x, W, b.  About 4 lines."""
    raise NotImplementedError


# %% [markdown]
# The package does both at once, `affine_backward(dy, x, W, y, clip=True)`: read it in
# `minids/ops/reference/affine.py`, you have just written it. On the picture's numbers:

# %%
row = x.reshape(1, 1, 3)  # (T, B, D)
h = affine_forward(row, W, b, clip=True)
dx, dW, db = reference.affine_backward(h - wanted, row, W, h, clip=True)
print("h ", h.ravel(), "\ndx", dx.ravel(), "\ndW", dW.tolist(), "\ndb", db)

# %% [markdown]
# ## How small is a small step?
# Mathematics says: let $h$ go to 0. A computer has 16 digits. Below we check a layer
# with the softmax of lesson 2 behind it, for $L = -\log \hat y_k$, with steps of all sizes.

# %%
row, target = rng.normal(size=(1, 1, 4)), 2
(weights, direction), bias = rng.normal(size=(2, 5, 4)), np.full(5, 2.0)


def L(s):
    """The loss when the weights have gone s steps in some direction."""
    y = affine_forward(row, weights + s * direction, bias, clip=True)
    return -log_softmax_forward(y)[0, 0, target]


y = affine_forward(row, weights, bias, clip=True)
dy = np.exp(log_softmax_forward(y)) - np.eye(5)[target]  # lesson 6 tells why
exact = (reference.affine_backward(dy, row, weights, y, clip=True)[1] * direction).sum()
sizes = 10.0 ** np.arange(-13, 0.1, 0.5)
up = np.array([(L(h) - L(0)) / h for h in sizes])
both = np.array([(L(h) - L(-h)) / (2 * h) for h in sizes])
errors = {"up only": abs(up / exact - 1), "up and down": abs(both / exact - 1)}
show(step_sizes(sizes, errors), captions=["Up and down has the deeper valley."])

# %% [markdown]
# On the right the curve of $L$ shows: the error shrinks like $h^2$ (going up only: like $h$).
# On the left two nearly equal numbers are subtracted, and what is left of 16 digits is
# divided by $h$: the error *grows* like $1/h$. Around $10^{-5}$ we get ten digits. So a right
# gradient agrees to $10^{-7}$ easily, and one that is off by a percent is **wrong**, not rough.
#
# One trap is left. A difference across a kink of $g$ measures a slope that is nowhere:

# %%
steps = {h: f"Blue the slope, red what a step of {h} measures." for h in (3, 1, 0.3, 0.1)}
show([kinks(h) for h in steps], captions=[*steps.values()], title="A step across a kink")

# %% [markdown]
# With $h = 10^{-5}$ few numbers lie near enough to a kink, but among a million some do. Who
# checks gradients keeps away from kinks. `minids check` does, for the whole network. (Its
# dropout is lesson 8's.)

# %%
for check in gradcheck.check_affine():
    print(f"{check.name:32} error {check.error:.0e} {'right' if check.passed else 'WRONG'}")

# %% [markdown]
# ## Now let it learn
# A job for one layer: hear a frame of "two five", 80 log bands and the energy (lesson 1),
# guess the next. Loss: ½ Σ (guess − what came)², mean over frames. First all weights are 0. Then:
#
# $$W \leftarrow W - \varepsilon \, dW, \qquad b \leftarrow b - \varepsilon \, db$$

# %%
samples, rate = minids.load_audio(data("two_five.flac"))
frames = minids.Features().raw(samples)
frames = (frames - frames.min()).astype(float)  # 0 … 15: what h can say
heard = ((frames - frames.mean(axis=0)) / frames.std(axis=0))[:-1, None]  # (T, 1, F)
came = frames[1:, None]  # (T, 1, F)
W, b, kept = np.zeros((81, 81)), np.full(81, 5.0), {}
for step in range(301):
    guess = affine_forward(heard, W, b, clip=True)
    if step in (0, 3, 10, 30, 100, 300):
        kept[step] = guess[:, 0], 0.5 * ((guess - came) ** 2).sum() / len(came)
    dy = (guess - came) / len(came)
    _, dW, db = reference.affine_backward(dy, heard, W, guess, clip=True)
    W, b = W - 0.05 * dW, b - 0.05 * db
same = 0.5 * ((frames[1:] - frames[:-1]) ** 2).sum() / len(came)
print(f"guessing 'the same again' would cost {same:.0f}")
told = [f"After {step} steps the loss is {loss:.0f}." for step, (_, loss) in kept.items()]
pictures = [guesses(came[:, 0], *each) for each in kept.values()]
show(pictures, captions=told, title="One layer learns to guess the next frame")

# %% [markdown]
# Nobody told it what speech is. 6642 numbers took 300 small steps each, and the guess looks
# like the words. (It knows this one recording by heart, not more: that is lesson 8's worry.)
#
# **What we have now**: a layer, its gradients in four lines, and a judge that knows no formula.
#
# **Next question**: this layer sees one frame. How does a frame know its neighbors?
