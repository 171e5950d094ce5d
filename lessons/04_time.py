# %% [markdown]
# # 4. How does a frame know its neighbors?
# For 20 milliseconds an *f* and an *s* are nearly the same hiss; the vowel behind tells
# more. And the *e* of "five" cannot be heard at all: it is written because of all that came
# before.
#
# *You build* the recurrence of Deep Speech, forward and backward in time.
# *You need* lesson 3: a layer, its clip, and how gradients flow up through them.

# %%
import numpy as np

import minids
from minids import gradcheck
from minids.lesson import data, exercise, show
from minids.lesson.figures.unrolled import reach, unrolled
from minids.ops import reference
from minids.weights import load_weights

z, dh = np.array([-3.0, 4, 1, 2]), np.array([0.0, 0, 0, 1])
show(
    [unrolled(z, 0.5, 0.5, upto) for upto in range(10)],
    captions=[
        "Four frames. Each already has a number z, from the layers below.",
        "First from left to right. −3 is clipped: the first state is 0.",
        "4 and half of the state before, 0.",
        "1 and half of 4 is 3: this frame remembers the one before.",
        "2 and half of 3; of the 4, a quarter is still in there.",
        "Then from right to left, beginning anew with the last frame.",
        "1 and half of 2: this frame knows what will come.",
        "4 and half of 2.",
        "−3 and half of 5 is below 0 still.",
        "Both are added: h knows the past and the future.",
    ],
    title="One unit, unrolled over four frames",
)

# %% [markdown]
# The first three layers look at each frame and its context of $C$ frames a side (lesson 2).
# The fourth has no such border. It adds to what it sees *what it said a frame ago*, and a
# twin of it adds *what it will say a frame later* (§2):
#
# $$\begin{split}
# z_t &= W_4 h^{(3)}_t + b_4 \\
# h^f_t &= g(z_t + W_r^f \, h^f_{t-1}), \quad t = 1 \ldots T \\
# h^b_t &= g(z_t + W_r^b \, h^b_{t+1}), \quad t = T \ldots 1 \\
# h_t &= h^f_t + h^b_t \end{split}$$
#
# with the same clip $g$ and nothing before the first frame or after the last. Both
# directions share $z$, and they are *summed*. Many who rebuilt the network get these two
# wrong. Begin with one direction.


# %%
def check_recur():
    z = np.array([-3.0, 4, 1, 2]).reshape(4, 1, 1)  # (T, B, H)
    yield "the picture's hf", recur(z, np.full((1, 1), 0.5)).ravel(), np.array([0, 4, 3, 3.5])
    steady = np.ones((6, 1, 1))
    series = (2 - 0.5 ** np.arange(6)).reshape(6, 1, 1)
    yield "z = 1, W_r = 0.5: 1 + ½ + …", recur(steady, np.full((1, 1), 0.5)), series
    doubled = np.array([1.0, 3, 7, 15, 20, 20]).reshape(6, 1, 1)
    yield "z = 1, W_r = 2, up to 20", recur(steady, np.full((1, 1), 2.0)), doubled
    blinking = np.array([1.0, 0, 1, 0, 1, 0]).reshape(6, 1, 1)
    yield "z = 1, W_r = −1", recur(steady, np.full((1, 1), -1.0)), blinking
    pulse, passed = np.zeros((2, 3, 1, 2))
    pulse[0, 0, 1] = passed[0, 0, 1] = passed[1, 0, 0] = 3
    hears = np.array([[0.0, 1], [0, 0]])
    yield "unit 1 hears unit 2, not the other way round", recur(pulse, hears), passed
    many = np.random.default_rng(4).normal(0, 15, (5, 3, 4))
    yield "W_r = 0: a plain layer", recur(many, np.zeros((4, 4))), np.clip(many, 0, 20)


@exercise(
    "4.1",
    check_recur,
    [
        "Keep a state (B, H), zeros at first; each frame makes the next state of it.",
        "State and z[t] are rows, so W_r h becomes state @ Wr.T, as in lesson 3.",
        "for t in range(len(z)): state = h[t] = np.clip(z[t] + state @ Wr.T, 0, 20)",
    ],
)
def recur(z, Wr):
    """h_t = g(z_t + Wr h_{t-1}); z and h (T, B, H), Wr (H, H).  About 5 lines."""
    raise NotImplementedError


# %% [markdown]
# For the other direction you need not write it again. Play the tape backwards
# (`z[::-1]`), and mind in which order the result comes.


# %%
def check_birnn():
    z = np.array([-3.0, 4, 1, 2]).reshape(4, 1, 1)
    half, whole = np.full((1, 1), 0.5), np.ones((1, 1))
    yield "the picture's numbers", birnn(z, half, half).ravel(), np.array([0, 9, 5, 5.5])
    yield "two weights", birnn(z, half, whole).ravel(), np.array([4, 11, 6, 5.5])
    rng = np.random.default_rng(5)
    z, (A, B) = rng.normal(0, 15, (6, 2, 3)), rng.normal(size=(2, 3, 3))
    yield "reversing time swaps f and b", birnn(z[::-1], B, A)[::-1], birnn(z, A, B)
    yield "W_r = 0: twice a plain layer", birnn(z, 0 * A, 0 * B), 2 * np.clip(z, 0, 20)


@exercise(
    "4.2",
    check_birnn,
    [
        "recur runs forward. Give it time reversed.",
        "recur(z[::-1], Wr_b) has the last frame first: turn it again.",
    ],
)
def birnn(z, Wr_f, Wr_b):
    """h = hf + hb, (T, B, H), with your recur.  About 1 line."""
    raise NotImplementedError


# %% [markdown]
# ## Blame travels through time
# Say the loss would grow with $h_4$, and only with that. Which frames could have
# helped it? Gradients run along all lines, against the arrows:

# %%
show(
    [unrolled(z, 0.5, 0.5, upto, dh) for upto in range(10)],
    captions=[
        "From above comes dh: L grows by 1 with the last h, by 0 with the others.",
        "A sum hands its gradient to both: the last state of hf gets 1.",
        "The frame before touched it through the weight 0.5: it gets 0.5 of that.",
        "And the one before that, half of the half.",
        "Here g was flat: whatever comes, nothing passes.",
        "The other direction the other way: the first state of hb has no blame,",
        "nor the second,",
        "nor the third:",
        "hb at the last frame saw nothing but the last frame.",
        "Both go up from the same z, so there they add.",
    ],
    title="Back-propagation through time",
)

# %% [markdown]
# Unrolled, it is a network with a layer per frame, all layers with the same weights. So
# take lesson 3's rules: through the gate $g'$, then through the weights to the frame before.
# For $h^f$, from the last frame to the first, with $\delta_{T+1} = 0$:
#
# $$\delta_t = (dh_t + W_r^T \delta_{t+1}) \cdot g'_t = dz_t, \qquad
#   dW_r = \sum_{t=2}^{T} \delta_t \, h_{t-1}^T$$
#
# What comes from above ($dh_t$) and what comes from the future ($\delta_{t+1}$) are
# added *before* the gate. The weights are the same in every frame: their gradient is a sum.


# %%
def check_recur_backward():
    picture = np.array([[0.0, 0, 0, 1], [0, 4, 3, 3.5], [0, 0.25, 0.5, 1]])
    dh, h, dz = picture.reshape(3, 4, 1, 1)
    truth = dz, np.array([[0.25 * 0 + 0.5 * 4 + 1 * 3]])
    yield "the picture's numbers", recur_backward(dh, h, np.full((1, 1), 0.5)), truth
    rng, (T, B, H) = np.random.default_rng(6), (5, 2, 3)
    (z, dh), Wr = rng.normal(5, 15, (2, T, B, H)), rng.normal(size=(H, H))  # often above 20

    def states():
        return reference.birnn_forward(z, Wr, Wr, np.full(B, T))[1]

    def loss():
        return (states() * dh).sum()

    truth = [gradcheck.numerical_gradient(loss, value) for value in (z, Wr)]
    yield "central differences: dz, dWr", recur_backward(dh, states(), Wr), truth


@exercise(
    "4.3",
    check_recur_backward,
    [
        "Like recur, but from the last frame on, and the state is delta (B, H).",
        "delta = (dh[t] + delta @ Wr) * gate; the gate is (0 < h[t]) & (h[t] < 20).",
        "dWr: dz[1:] beside h[:-1], each as rows (T-1)·B by H; the product of lesson 3.",
    ],
    rtol=1e-7,
    atol=1e-7,
)
def recur_backward(dh, h, Wr):
    """dz (T, B, H), dWr (H, H) of recur; dh, h (T, B, H).  About 8 lines."""
    raise NotImplementedError


# %% [markdown]
# ## The package's own
# It does both directions, and it takes `lengths`: recordings in a batch are not equally
# long. $h^b$ must begin at each one's *own* last frame, not in the padding behind. Here the
# padding is NaN, the least forgiving number there is:

# %%
rng = np.random.default_rng(7)
z, (Wr_f, Wr_b) = rng.normal(size=(6, 2, 3)), rng.normal(size=(2, 3, 3))
alone = birnn(z[:4, 1:], Wr_f, Wr_b)
z[4:, 1] = np.nan
together, _, _ = reference.birnn_forward(z, Wr_f, Wr_b, lengths=np.array([6, 4]))
print("the short one, alone and in the batch:", abs(together[:4, 1:] - alone).max(), "apart")
for check in gradcheck.check_birnn():
    print(f"{check.name:12} error {check.error:.0e} {'right' if check.passed else 'WRONG'}")

# %% [markdown]
# ## How far does it reach?
# With each frame of distance the gradient is multiplied by $W_r^T$ once more, and gated. A
# number below 1, again and again, makes nothing; above 1, everything. Here are 64 units with
# random weights of deviation $1/\sqrt{64}$ times 0.5, 1.4 and 3, and the recognizer of
# lesson 2 as it hears "five":


# %%
def felt(z, Wr, t):
    """Size of the gradient of frame t's state to frames t, t-1, … 0; the first is 1."""
    T, B, H = z.shape
    _, hf, hb = reference.birnn_forward(z, Wr, Wr, np.array([T]))
    dh, delta = np.zeros_like(z), np.empty_like(z)
    dh[t] = np.random.default_rng(8).normal(size=(B, H))
    reference.birnn_backward(dh, hf, hb, Wr, Wr, np.array([T]), delta_f=delta)
    size = np.linalg.norm(delta[t::-1, 0], axis=1)
    return size / size[0]


z, W = rng.normal(size=(41, 1, 64)), rng.normal(size=(64, 64)) / np.sqrt(64)
sizes = {f"× {scale}": felt(z, scale * W, 40) for scale in (0.5, 1.4, 3.0)}
saved = load_weights(data("digits.safetensors"))
samples, _ = minids.load_audio(data("two_five.flac"), saved.features.rate)
x, p = saved.features(samples)[:, None], saved.model.params
h = reference.context_forward(x, np.array([len(x)]), saved.model.settings.context, 1)
for n in 1, 2, 3:
    h = reference.affine_forward(h, p[f"W{n}"], p[f"b{n}"], clip=True)
sizes["trained"] = felt(reference.affine_forward(h, p["W4"], p["b4"]), p["Wr_f"], 70)[:41]
show(
    reach(sizes),
    captions=["Small weights forget, large ones explode; trained, a tenth is left after ten frames."],
)

# %% [markdown]
# At × 0.5, where training starts, frames 10 steps away do not matter: the gradient
# *vanishes*. At × 3 it *explodes*, and learning jumps about (lesson 7 has a remedy). Between
# them, at $\sqrt 2$, it keeps its size: half the gates are shut, which takes half its square.
# The clip keeps the states themselves from exploding. The paper stays with this plain
# recurrence on purpose: an LSTM, which fights the vanishing with gates of its own, computes
# and stores several times as much per step.
#
# **What we have now**: all layers of the network, and their gradients, also through time.
#
# **Next question**: it speaks a hundred times a second, and "two five" has eight characters.
# Which frame should say which?
