# %% [markdown]
# # 6. Which frame is to blame?
# The network gave the text "two five" a small probability. Its output in each of 96 frames
# contributed to that. In which frames should the output change, and how?
#
# *You build* the other half of CTC: the backward variables and the gradient. *You need* lesson 5.

# %%
from functools import partial
from itertools import product

import numpy as np

from minids import DeepSpeech, Recognizer, load_audio
from minids.gradcheck import numerical_gradient
from minids.lesson import data, exercise, show
from minids.lesson.figures.blame import blame, gradient_tables
from minids.lesson.figures.lattice import lattice as draw_lattice
from minids.model import ModelSettings
from minids.ops.reference import ctc, log_softmax_forward
from minids.ops.reference.ctc import forward_variables, lattice, skips
from minids.text import collapse

HI = [1, 2]  # in the alphabet "–hi"; the four frames of lesson 5
y = np.array([[1, 7, 2], [6, 3, 1], [2, 2, 6], [5, 1, 4]]) / 10  # (T, K)
_, dlogits = ctc(np.log(y)[:, None], [4], np.array([HI]), [2])
show(
    gradient_tables(y, y - dlogits[:, 0], "–hi"),
    captions=["The output of the network, the desired output for 'hi', and the gradient"],
)

# %% [markdown]
# This is the goal. On the left is the output of the network, the probabilities in each frame. In
# the middle is the desired output, given that the text is "hi": the h early, the i late. On the
# right is the difference, the gradient: **blue should increase, red should decrease**. Nobody
# labeled the frames; the middle table is computed from the lattice.
#
# ## The probability that a path passes through a node
# The α of lesson 5 covers the ways from the start *to* a node. The ways *from* a node to the end
# are computed in the same manner, backward in time. These are the **backward variables**:
#
# $$ \beta_t(s) = \sum_{r} y_{t+1}(\ell'_r)\, \beta_{t+1}(r) $$
#
# where r is s, s + 1, and s + 2 if r allows a skip. In the last frame β is 1 in the last two
# states, where a path can end, and 0 elsewhere.
#
# (In Graves' definition β contains $y_t$, as α does, so α · β must be divided by it. Here β does
# not, and α · β contains every frame exactly once. Do not mix the two conventions.)

# %%
states = lattice(HI)
print("states of 'hi':", states, "  allow a skip:", skips(states).astype(int))


# %%
def by_enumeration(y, label):
    """β from all continuations of one path to each state: a table (T, S)."""
    T, K = y.shape
    states = lattice(label)
    table = np.zeros((T, len(states)))
    for t, s in np.ndindex(*table.shape):
        for rest in product(range(K), repeat=T - 1 - t):
            if collapse([*states[: s + 1], *rest]) == label:
                table[t, s] += np.prod(y[range(t + 1, T), rest])
    return table


def check_backward_variables():
    rng = np.random.default_rng(6)
    for label, T in (HI, 4), ([1, 2, 1], 5), ([2, 1, 1], 5), ([], 3):
        y = rng.dirichlet(np.ones(3), T)  # (T, K)
        got = np.exp(backward_variables(np.log(y), lattice(label)))
        yield f"exp(log β) of {label} in {T} frames", got, by_enumeration(y, label)
    log_y = np.log(rng.dirichlet(np.ones(4), 2000))
    alpha = forward_variables(log_y, lattice([1, 2, 3]))
    both = alpha + backward_variables(log_y, lattice([1, 2, 3]))
    total = np.logaddexp.reduce(both, axis=1)  # (T,)
    yield "log Σ αβ in each of 2000 frames", total, np.full(2000, total[-1])


@exercise("6.1", check_backward_variables)
def backward_variables(log_y, states):
    """log β (T, S) of log_y (T, K): all ways from s at t to the end.  About 9 lines."""
    raise NotImplementedError


# %%
alpha = np.exp(forward_variables(np.log(y), states))  # (T, S)
beta = np.exp(backward_variables(np.log(y), states))  # (T, S)
show(
    [draw_lattice(beta, states, "–hi", now=t, backward=True) for t in (3, 2, 1, 0)],
    captions=[f"β of frame {t + 1}: the sum of its successors" for t in (3, 2, 1, 0)],
    title="The backward variables, frame by frame",
)

# %% [markdown]
# The ways to a node times the ways from it: that is the probability of all paths **through** it.
# Every path passes through one node per frame, so each column adds up to the same number, p(hi).

# %%
for t, products in enumerate(alpha * beta):
    terms = " + ".join(f"{p:.3f}" for p in products)
    print(f"frame {t + 1}:  Σ α β = {terms} = {products.sum():.3f}")

# %% [markdown]
# Divided by this number, a column is a distribution: the probability of each state at time t,
# given that the text is "hi". It is called the **posterior** (or occupancy):
#
# $$ \gamma_t(s) = \frac{\alpha_t(s)\, \beta_t(s)}{p(\ell \mid x)} $$

# %%
gamma = alpha * beta / alpha[-1, -2:].sum()  # (T, S)
show(draw_lattice(gamma, states, "–hi"), captions=["γ: each column adds up to 1"])

# %% [markdown]
# ## From the posterior to the gradient
# If $\log y_t(k)$ increases a little, exactly the paths whose output at t is k get more probable.
# Their share of p is the sum of γ over the states with the character k; call it $\gamma_t(k)$:
#
# $$ \frac{\partial L}{\partial \log y_t(k)} = -\gamma_t(k),
#    \qquad \gamma_t(k) = \sum_{s:\ \ell'_s = k} \gamma_t(s) $$
#
# But y is the softmax of the logits u, and a logit affects all characters of its frame. The
# derivative of the log-softmax is $\partial \log y_j / \partial u_k = \delta_{jk} - y_k$ (where
# $\delta_{jk}$ is 1 if j = k, else 0). With the chain rule, and $\sum_j \gamma_t(j) = 1$,
#
# $$ \frac{\partial L}{\partial u_t(k)} = \sum_j -\gamma_t(j)\,(\delta_{jk} - y_t(k))
#    = y_t(k) - \gamma_t(k) $$
#
# **The output minus the desired output.** Each row of it adds up to 0.


# %%
def loss_by_enumeration(logits, paths):
    """-log of the sum over the alignments `paths` (n, T)."""
    log_y = log_softmax_forward(logits)
    return -np.logaddexp.reduce(log_y[np.arange(len(logits)), paths].sum(axis=1))


def check_ctc_gradient():
    rng = np.random.default_rng(7)
    for label, T in (HI, 4), ([1, 1], 5), ([1, 2, 1], 5), ([], 3):
        logits = rng.normal(size=(T, 3))
        paths = np.array([p for p in product(range(3), repeat=T) if collapse(p) == label])
        loss = partial(loss_by_enumeration, logits, paths)
        expected = numerical_gradient(loss, logits)
        gradient = ctc_gradient(log_softmax_forward(logits), label)
        yield f"{label} in {T} frames, against central differences", gradient, expected
    log_y = log_softmax_forward(rng.normal(size=(2000, 3)))
    gradient = ctc_gradient(log_y, HI)
    yield "the sums of 2000 rows", gradient.sum(axis=1), np.zeros(2000)
    gradient = ctc_gradient(log_y[:2], [1, 1])
    yield "'hh' in 2 frames, impossible: gradient 0", gradient, np.zeros((2, 3))


@exercise("6.2", check_ctc_gradient, rtol=1e-6, atol=1e-8)
def ctc_gradient(log_y, label):
    """dL/du (T, K) of log_y (T, K), log-probabilities, and a label.  About 9 lines."""
    raise NotImplementedError


# %% [markdown]
# An impossible text has loss inf. Without a special case its gradient is NaN (inf - inf), and one
# such recording in a million would turn all weights into NaN. Here its gradient is 0; minids also
# reports these recordings.
#
# ## The gradient during training
# Now train a small network on three recordings, with your gradient. (How it takes a step is the
# subject of lesson 7.) The pictures show the output and the gradient for "two five".

# %%
names = ["two five", "seven", "three one four"]
recognizer = Recognizer.load(data("digits.safetensors"))  # only for its features and alphabet
alphabet, features = recognizer.alphabet, []
for name in names:
    samples, _ = load_audio(data(name.replace(" ", "_") + ".flac"), recognizer.features.rate)
    features.append(recognizer.features(samples))  # (T0, F)
lengths = np.array([len(x) for x in features], np.int32)
labels = [alphabet.encode(name).tolist() for name in names]
frames = np.zeros((lengths.max(), 3, features[0].shape[1]), np.float32)  # (T0, B, F)
for b, x in enumerate(features):
    frames[: len(x), b] = x

# %%
characters = "–" + "".join(alphabet.symbols).replace(" ", "␣")
model = DeepSpeech(ModelSettings(frames.shape[2], len(alphabet), 64, 5, dropout=0.0), seed=2)
velocity, pictures, captions = np.zeros_like(model.flat_params), [], []
for i in range(151):
    log_y, _ = model.forward(frames, lengths)  # (T, B, K)
    dlogits = np.zeros_like(log_y)
    for b, T in enumerate(lengths):
        dlogits[:T, b] = ctc_gradient(log_y[:T, b], labels[b])  # yours
    if i in (0, 5, 8, 10, 12, 20, 40, 60, 80, 90, 100, 150):
        T = lengths[0]
        text = alphabet.decode(collapse(log_y[:T, 0].argmax(axis=1)))
        captions.append(f"After {i} steps the text is '{text}'.")
        pictures.append(blame(log_y[:T, 0], dlogits[:T, 0], labels[0], characters))
    model.backward(dlogits)
    scale = min(1.0, 5 / model.ops.norm(model.flat_grads))
    model.ops.nesterov(model.flat_params, model.flat_grads, velocity, 0.002, 0.9, scale)
show(pictures, captions=captions, title="The output and its gradient during training")

# %% [markdown]
# Step through slowly; Graves drew the same in 2006.
#
# - **0 steps.** All characters have the same probability, so the gradient shows all alignments at
#   once: it knows the order of the letters, but nothing about the sound.
# - **5 to 20.** Half of all states are blanks, so the gradient asks for blanks everywhere, and the
#   output is all blank. Every CTC training starts like this.
# - **40.** Letters are wanted in two places, where there is speech.
# - **60 to 100.** A frame starts to output t; paths through it gain weight, so γ gets sharper
#   there, and the gradient stronger. The letters become **spikes** between blanks.
# - **150.** The gradient is nearly 0: the output is the desired output.
#
# **What we have now**: for every frame and character, how much more or less probable it should
# be. That is all of CTC: [a hundred lines](../minids/ops/reference/ctc.py), and you have written
# each of its parts.
#
# **Next question**: this gradient enters the network at its output. Can a whole network learn a
# word from it? (Lesson 7.)
