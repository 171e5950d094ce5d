# %% [markdown]
# # 4. How does a frame know its neighbors?
# The th of "three" and the f of "four" are nearly the same noise: listen, which is
# which? How the next vowel starts tells them apart. And the e of "five" is silent: it
# is written only because of the rest of the word.
#
# *You build* the recurrence of Deep Speech, forward and backward in time; with it your
# functions are a complete network. *You need* lesson 3: a layer, the clipped ReLU, and
# how gradients pass backward through them.

# %%
import numpy as np

from minids import load_audio
from minids.features import hann
from minids.lesson import check, data, listen, show, yours
from minids.lesson.figures.unrolled import gradient_norms, unrolled
from minids.ops import reference
from minids.weights import load_model

wave, rate = load_audio(data("three_one_four.flac"))
noises = {"first": wave[1600:3000], "second": wave[9900:11200]}
versions = {name: x / abs(x).max() for name, x in noises.items()}
listen(None, rate, versions=versions, by="noise", title="th or f?")

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
# The first three layers see each frame with its context of $C$ frames on each side
# (lesson 2). The fourth is **recurrent** and has no such limit: to its input it adds
# *its own output at the previous frame*, the **state**, times a matrix of weights. A
# second recurrence runs in the other direction (§2):
#
# $$\begin{split}
# z_t &= W_4 h^{(3)}_t + b_4 \\
# h^f_t &= g(z_t + W_r^f \, h^f_{t-1}), \quad t = 1 \ldots T \\
# h^b_t &= g(z_t + W_r^b \, h^b_{t+1}), \quad t = T \ldots 1 \\
# h_t &= h^f_t + h^b_t \end{split}$$
#
# with the clipped ReLU $g$ of lesson 3, and a state of 0 before the first and after the
# last frame. Both directions use the same $z$, and they are *added*, where many other
# networks concatenate them.
#
# **Exercise 4.1** Start with one direction. `z` has $B$ recordings at once,
# `(T, B, H)`, and a state is `(B, H)`: rows again, as in lesson 3, so $W_r h$ is
# `state @ Wr.T`.


# %%
def recur(z, Wr):
    """h_t = g(z_t + Wr h_{t-1}); z and h (T, B, H), Wr (H, H).  About 5 lines."""
    raise NotImplementedError


recur = check("4.1", recur)

# %% [markdown]
# **Exercise 4.2** The other direction needs no new loop. Reverse the frames
# (`z[::-1]`), and take care of the order of the result.


# %%
def birnn(z, Wr_f, Wr_b):
    """h = hf + hb, (T, B, H), with your recur.  About 1 line."""
    raise NotImplementedError


birnn = check("4.2", birnn)

# %% [markdown]
# ## Backpropagation through time
# Suppose that the loss increases with $h_4$, and depends on nothing else. Which earlier
# numbers have an effect on it? Gradients pass along all arrows, in the opposite
# direction:

# %%
show(
    [unrolled(z, 0.5, 0.5, step, dh) for step in range(10)],
    captions=[
        "dh comes from the layer above: 1 for the last h, 0 for the others.",
        "A sum passes its gradient to both terms: dh is 1 for the last state of hf.",
        "The previous state entered with the weight 0.5, so its gradient is 0.5.",
        "And the one before, half of that.",
        "Here g is flat, so the gradient is 0.",
        "The other direction: no state depends on the first hb, so its gradient is 0,",
        "nor on the second,",
        "nor on the third.",
        "hb at the last frame depends on nothing but the last frame.",
        "Both directions use the same z, so their gradients are added.",
    ],
    title="Backpropagation through time",
)

# %% [markdown]
# **Unrolled** over time, the recurrence is a network with one layer per frame, all with
# the same weights. So your functions of lesson 3 apply: first back through $g$, then
# through the weights to the previous frame. For $h^f$, from the last frame to the
# first, with $\delta_{T+1} = 0$:
#
# $$\begin{split} dz_t = \delta_t &= (dh_t + W_r^T \delta_{t+1}) \cdot g'_t \\
#   dW_r &= \sum_{t=2}^{T} \delta_t \, h_{t-1}^T \end{split}$$
#
# The gradient from above ($dh_t$) and the one from the next frame
# ($W_r^T \delta_{t+1}$) are added *before* they pass through $g$. The weights are
# shared by all frames, so their gradient is a sum over frames (and over the recordings,
# as before).
#
# **Exercise 4.3** Compute `dz` and `dWr` of one direction. You can call
# `clipped_relu_backward(dh, h)` and `linear_backward(dz, x, W)`, or write it all out.

# %%
clipped_relu_backward = yours("clipped_relu_backward")
linear_backward = yours("linear_backward")


def recur_backward(dh, h, Wr):
    """dz (T, B, H), dWr (H, H) of recur; dh, h (T, B, H).  About 8 lines."""
    raise NotImplementedError


recur_backward = check("4.3", recur_backward)

# %% [markdown]
# ## The whole network
# Two more layers follow: the fifth is like the first three, the sixth gives the logits.
# Nothing is left that you have not written. Here is the network, from the sound to the
# text, with the weights of lesson 2 and your functions of four lessons:

# %%
frames, power_spectrum, filter_banks = yours("frames", "power_spectrum", "filter_banks")
with_context, softmax, collapse = yours("with_context", "softmax", "collapse")
saved = load_model(data("digits.safetensors"))
p = saved.model.params


def layers_1_to_3(wave):
    """z of the recurrent layer, (T, 1, H)."""
    samples = (wave - wave.mean()) / wave.std()
    log_powers = filter_banks(power_spectrum(frames(samples, 320, 160) * hann(320)), 40)
    h = (log_powers - saved.features.mean) / saved.features.std
    h = with_context(h, saved.model.settings.context)[:, None]
    for n in 1, 2, 3:
        h = np.clip(h @ p[f"W{n}"].T + p[f"b{n}"], 0, 20)
    return h @ p["W4"].T + p["b4"]


def layers_5_and_6(h):
    """Probabilities (T, K) from h of the recurrent layer."""
    h = np.clip(h @ p["W5"].T + p["b5"], 0, 20)
    return softmax((h @ p["W6"].T + p["b6"])[:, 0])


wave, rate = load_audio(data("two_five.flac"))
z = layers_1_to_3(wave)
y = layers_5_and_6(birnn(z, p["Wr_f"], p["Wr_b"]))
print("your network:", saved.alphabet.decode(collapse(y.argmax(axis=1))))
listen(wave, rate, log_probs=np.log(y), alphabet=saved.alphabet)
y = layers_5_and_6(birnn(z, 0 * p["Wr_f"], 0 * p["Wr_b"]))
print("without recurrence:", saved.alphabet.decode(collapse(y.argmax(axis=1))))

# %% [markdown]
# With all $W_r = 0$ it reads only the beginnings of the words: the rest needs memory.
#
# ## In a batch
# Recordings that are computed together have different lengths, and are **padded** to
# the longest. $h^b$ must then start at the last frame of *each* recording, not in the
# padding. The package's function, `birnn_forward`, has an argument `lengths` for this.
# Here the padding is NaN, so that any use of it would show (in lesson 8 you write such
# masks):

# %%
rng = np.random.default_rng(7)
z, (Wr_f, Wr_b) = rng.normal(size=(6, 2, 3)), rng.normal(size=(2, 3, 3))
alone = birnn(z[:4, 1:], Wr_f, Wr_b)
z[4:, 1] = np.nan
h, _, _ = reference.birnn_forward(z, Wr_f, Wr_b, lengths=np.array([6, 4]))
print("recording 1 alone and in a batch differ by", abs(h[:4, 1:] - alone).max())

# %% [markdown]
# ## How far does it reach?
# Each frame further back multiplies the gradient by $W_r^T$ once more. Repeated
# multiplication by less than 1 leads to 0, by more than 1 to infinity. Here are
# 64 units with random weights of standard deviation $1/\sqrt{64}$ times 0.5, 1.4 and 3,
# and the network above on "five":


# %%
def relative_norms(z, Wr, t):
    """Norms of the gradients of h_t to z_t, z_t-1, … z_0, relative to the first."""
    h, dh = recur(z, Wr), np.zeros_like(z)
    dh[t] = np.random.default_rng(8).normal(size=z.shape[1:])
    dz, _ = recur_backward(dh, h, Wr)
    norms = np.linalg.norm(dz[t::-1, 0], axis=1)
    return norms / norms[0]


z, W = rng.normal(size=(41, 1, 64)), rng.normal(size=(64, 64)) / np.sqrt(64)
norms = {f"× {scale}": relative_norms(z, scale * W, 40) for scale in (0.5, 1.4, 3.0)}
norms["trained"] = relative_norms(layers_1_to_3(wave), p["Wr_f"], 70)[:41]
caption = (
    "Small weights: it vanishes. Large: it explodes. Trained: a tenth in 10 frames"
)
show(gradient_norms(norms), captions=[caption])

# %% [markdown]
# At × 0.5, the size at which training starts, frames 10 steps away do not matter: the
# gradient **vanishes**. At × 3 it **explodes**, and training becomes unstable (lesson
# 7 has a remedy). In between, at $\sqrt 2$, it keeps its size: $g$ is flat for half of
# the units, which halves the squared norm. The clipping limits the states, but not the
# gradients. The authors of the paper chose this simple recurrence on purpose: an LSTM
# (*long short-term memory*), which was designed against vanishing gradients, computes
# and stores several times as much per step.
#
# **In the package**: `rnn_forward` and `rnn_backward` in
# `minids/ops/reference/birnn.py`.
#
# **What we have now**: all layers of the network, and their gradients, also through
# time. (The first noise was the th, the second the f.)
#
# **Next question**: the network has an output a hundred times a second, and "two five"
# has eight characters. Which frame should output which?
