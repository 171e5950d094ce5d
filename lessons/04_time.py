# %% [markdown]
# # 4. How does a frame know its neighbors?
# In 20 milliseconds an *f* and a *th* are nearly the same noise; how the next vowel starts tells
# them apart. And the *e* of "five" is silent: it is written only because of the rest of the word.
#
# *You build* the recurrence of Deep Speech, forward and backward in time.
# *You need* lesson 3: a layer, the clipped ReLU, and how gradients pass backward through them.

# %%
import numpy as np

import minids
from minids import gradcheck
from minids.lesson import data, exercise, show
from minids.lesson.figures.unrolled import gradient_norms, unrolled
from minids.ops import reference
from minids.weights import load_model

z, dh = np.array([-3.0, 4, 1, 2]), np.array([0.0, 0, 0, 1])
show(
    [unrolled(z, 0.5, 0.5, step) for step in range(10)],
    captions=[
        "Four frames. Each already has a number z, from the layers below.",
        "First from left to right. −3 is clipped: the first state is 0.",
        "4 plus half of the previous state, 0.",
        "1 plus half of 4 is 3: this frame depends on the one before.",
        "2 plus half of 3. A quarter of the 4 is still in it.",
        "Then from right to left, starting at the last frame.",
        "1 plus half of 2: this frame depends on the one after.",
        "4 plus half of 2.",
        "−3 plus half of 5 is below 0, so it is clipped.",
        "h is the sum of both: it depends on the past and the future.",
    ],
    title="One unit, unrolled over four frames",
)

# %% [markdown]
# The first three layers see each frame with its context of $C$ frames on each side (lesson 2).
# The fourth is **recurrent** and has no such limit: to its input it adds *its own output at the
# previous frame*, the **state**, times a matrix of weights. A second recurrence runs in the other
# direction (§2):
#
# $$\begin{split}
# z_t &= W_4 h^{(3)}_t + b_4 \\
# h^f_t &= g(z_t + W_r^f \, h^f_{t-1}), \quad t = 1 \ldots T \\
# h^b_t &= g(z_t + W_r^b \, h^b_{t+1}), \quad t = T \ldots 1 \\
# h_t &= h^f_t + h^b_t \end{split}$$
#
# with the clipped ReLU $g$ of lesson 3, and a state of 0 before the first and after the last
# frame. Note that both directions use the same $z$, and that they are *added*; many
# reimplementations concatenate them instead. Start with one direction.


# %%
def check_recur():
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
    z = np.random.default_rng(4).normal(0, 15, (5, 3, 4))
    yield "W_r = 0: a layer without recurrence", recur(z, np.zeros((4, 4))), np.clip(z, 0, 20)


@exercise("4.1", check_recur)
def recur(z, Wr):
    """h_t = g(z_t + Wr h_{t-1}); z and h (T, B, H), Wr (H, H).  About 5 lines."""
    raise NotImplementedError


# %% [markdown]
# The other direction needs no new loop. Reverse the frames (`z[::-1]`), and take care of the
# order of the result.


# %%
def check_birnn():
    z = np.array([-3.0, 4, 1, 2]).reshape(4, 1, 1)
    half, unit = np.full((1, 1), 0.5), np.ones((1, 1))
    yield "h of the picture", birnn(z, half, half).ravel(), np.array([0, 9, 5, 5.5])
    yield "W_r^f = 0.5, W_r^b = 1", birnn(z, half, unit).ravel(), np.array([4, 11, 6, 5.5])
    rng = np.random.default_rng(5)
    z, (A, B) = rng.normal(0, 15, (6, 2, 3)), rng.normal(size=(2, 3, 3))
    yield "reversed time swaps f and b", birnn(z[::-1], B, A)[::-1], birnn(z, A, B)
    yield "W_r = 0: twice the layer", birnn(z, 0 * A, 0 * B), 2 * np.clip(z, 0, 20)


@exercise("4.2", check_birnn)
def birnn(z, Wr_f, Wr_b):
    """h = hf + hb, (T, B, H), with your recur.  About 1 line."""
    raise NotImplementedError


# %% [markdown]
# ## Backpropagation through time
# Suppose that the loss increases with $h_4$, and depends on nothing else. Which earlier numbers
# have an effect on it? Gradients pass along all arrows, in the opposite direction:

# %%
show(
    [unrolled(z, 0.5, 0.5, step, dh) for step in range(10)],
    captions=[
        "dh comes from the layer above: 1 for the last h, 0 for the others.",
        "A sum passes its gradient to both terms: dh is 1 for the last state of hf.",
        "The previous state entered with the weight 0.5, so its gradient is 0.5.",
        "And the one before, half of that.",
        "Here g is flat, so the gradient is 0.",
        "The other direction: no later state depends on the first hb, its gradient is 0,",
        "nor on the second,",
        "nor on the third.",
        "hb at the last frame depends on nothing but the last frame.",
        "Both directions use the same z, so their gradients are added.",
    ],
    title="Backpropagation through time",
)

# %% [markdown]
# **Unrolled** over time, the recurrence is a network with one layer per frame, all with the same
# weights. So the rules of lesson 3 apply: first through $g$, then through the weights to the
# previous frame. For $h^f$, from the last frame to the first, with $\delta_{T+1} = 0$:
#
# $$\delta_t = (dh_t + W_r^T \delta_{t+1}) \cdot g'_t = dz_t, \qquad
#   dW_r = \sum_{t=2}^{T} \delta_t \, h_{t-1}^T$$
#
# The gradient from above ($dh_t$) and the one from the next frame ($W_r^T \delta_{t+1}$) are
# added *before* they pass through $g$. The weights are shared by all frames, so their gradient is
# a sum over frames.


# %%
def check_recur_backward():
    picture = np.array([[0.0, 0, 0, 1], [0, 4, 3, 3.5], [0, 0.25, 0.5, 1]])
    dh, h, expected = picture.reshape(3, 4, 1, 1)
    dz, dWr = recur_backward(dh, h, np.full((1, 1), 0.5))
    yield "dz of the picture", dz, expected
    yield "dWr of the picture", dWr, np.array([[0.25 * 0 + 0.5 * 4 + 1 * 3]])
    rng, (T, B, H) = np.random.default_rng(6), (5, 2, 3)
    (z, dh), Wr = rng.normal(5, 15, (2, T, B, H)), rng.normal(size=(H, H))  # often above 20

    def loss():
        return (recur(z, Wr) * dh).sum()

    dz, dWr = recur_backward(dh, recur(z, Wr), Wr)
    yield "dz, against central differences", dz, gradcheck.numerical_gradient(loss, z)
    yield "dWr, against central differences", dWr, gradcheck.numerical_gradient(loss, Wr)


@exercise("4.3", check_recur_backward, rtol=1e-7, atol=1e-7)
def recur_backward(dh, h, Wr):
    """dz (T, B, H), dWr (H, H) of recur; dh, h (T, B, H).  About 8 lines."""
    raise NotImplementedError


# %% [markdown]
# ## In a batch
# The function of the package, `birnn_forward`, computes both directions and has an argument
# `lengths`: the recordings of a batch have different lengths, and are **padded** to the longest.
# $h^b$ must start at the last frame of *each* recording, not in the padding. Here the padding is
# NaN, so that any use of it would show:

# %%
rng = np.random.default_rng(7)
z, (Wr_f, Wr_b) = rng.normal(size=(6, 2, 3)), rng.normal(size=(2, 3, 3))
alone = birnn(z[:4, 1:], Wr_f, Wr_b)
z[4:, 1] = np.nan
h, _, _ = reference.birnn_forward(z, Wr_f, Wr_b, lengths=np.array([6, 4]))
print("recording 1 alone and in a batch differ by", abs(h[:4, 1:] - alone).max())

# %% [markdown]
# ## How far does it reach?
# Each frame further back multiplies the gradient by $W_r^T$ once more. Repeated multiplication by
# less than 1 leads to 0, by more than 1 to infinity. Here are 64 units with random weights of
# standard deviation $1/\sqrt{64}$ times 0.5, 1.4 and 3, and the recognizer of lesson 2 on "five":


# %%
def relative_norms(z, Wr, t):
    """Norms of the gradients of h_t to z of frames t, t-1, … 0, relative to the first."""
    h, dh = recur(z, Wr), np.zeros_like(z)
    dh[t] = np.random.default_rng(8).normal(size=z.shape[1:])
    dz, _ = recur_backward(dh, h, Wr)
    norms = np.linalg.norm(dz[t::-1, 0], axis=1)
    return norms / norms[0]


z, W = rng.normal(size=(41, 1, 64)), rng.normal(size=(64, 64)) / np.sqrt(64)
norms = {f"× {scale}": relative_norms(z, scale * W, 40) for scale in (0.5, 1.4, 3.0)}
saved = load_model(data("digits.safetensors"))
samples, _ = minids.load_audio(data("two_five.flac"), saved.features.rate)
x, p = saved.features(samples)[:, None], saved.model.params
h = reference.context_forward(x, np.array([len(x)]), saved.model.settings.context, 1)
for n in 1, 2, 3:
    h = np.clip(h @ p[f"W{n}"].T + p[f"b{n}"], 0, 20)  # lesson 3
norms["trained"] = relative_norms(h @ p["W4"].T + p["b4"], p["Wr_f"], 70)[:41]
caption = "Small weights: it vanishes. Large: it explodes. Trained: a tenth after 10 frames."
show(gradient_norms(norms), captions=[caption])

# %% [markdown]
# At × 0.5, the size at which training starts, frames 10 steps away do not matter: the gradient
# **vanishes**. At × 3 it **explodes**, and training becomes unstable (lesson 7 has a remedy). In
# between, at $\sqrt 2$, it keeps its size: $g$ is flat for half of the units, which halves the
# squared norm. The clipping limits the states, but not the gradients. The authors of the paper
# chose this simple recurrence on purpose: an LSTM (*long short-term memory*), which was designed
# against vanishing gradients, computes and stores several times as much per step.
#
# **In the package**: `rnn_forward` and `rnn_backward` in `minids/ops/reference/birnn.py`.
#
# **What we have now**: all layers of the network, and their gradients, also through time.
#
# **Next question**: the network has an output a hundred times a second, and "two five" has eight
# characters. Which frame should output which?
