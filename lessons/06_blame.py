# %% [markdown]
# # 6. Which frame is to blame?
# The network heard "two five" and gave that text a small probability. Ninety-six frames had a
# say in it. Which of them should change their mind, and to what?
#
# *You build* the other half of CTC: the backward variables and the gradient. *You need* lesson 5.

# %%
from itertools import product

import numpy as np

from minids import DeepSpeech, Recognizer, ctc_loss, load_audio
from minids.gradcheck import numerical_gradient
from minids.lesson import data, exercise, show
from minids.lesson.figures.blame import account, blame
from minids.lesson.figures.lattice import lattice as draw_lattice
from minids.model import ModelSettings
from minids.ops.reference import ctc, log_softmax_forward
from minids.ops.reference.ctc import forward_variables, lattice, skips
from minids.text import collapse

HI = [1, 2]  # in the alphabet "–hi"; lesson 5's four frames
y = np.array([[1, 7, 2], [6, 3, 1], [2, 2, 6], [5, 1, 4]]) / 10  # (T, K)
_, dlogits = ctc(np.log(y)[:, None], [4], np.array([HI]), [2])
show(
    account(y, y - dlogits[:, 0], "–hi"),
    captions=["What each frame says, what it should say for 'hi', and the gradient"],
)

# %% [markdown]
# This is where we are going. At the left the network's odds, frame by frame. In the middle what
# they should be, given that the text is "hi": the h early, the i late. At the right the
# difference: **blue must become more, red less**. The middle table is the whole secret. Nobody
# wrote it down; it is counted out of the lattice.
#
# ## How likely is it that the path goes through here?
# Lesson 5's α counts how a path can get to a node. What it can do from there on to the end is
# the same story told backwards, the **backward variables**:
#
# $$ \beta_t(s) = \sum_{r} y_{t+1}(\ell'_r)\, \beta_{t+1}(r) $$
#
# over r = s, s + 1, and s + 2 if that may be skipped to. In the last frame β is 1 in the last two states,
# where a path may end, and 0 elsewhere.
#
# (Graves lets β contain $y_t$, as α does, and divides by it later. We leave it out: then
# α · β counts every frame once. Mixing the two conventions is the classic mistake.)

# %%
states = lattice(HI)
print("states of 'hi':", states, "  may be skipped to:", skips(states).astype(int))


# %%
def rest_by_enumeration(y, label):
    """The honest way: all paths of the frames left, behind one path to the state. (T, S)"""
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
        yield f"exp(β) of {label} in {T} frames", got, rest_by_enumeration(y, label)
    log_y = np.log(rng.dirichlet(np.ones(4), 2000))
    alpha = forward_variables(log_y, lattice([1, 2, 3]))
    both = alpha + backward_variables(log_y, lattice([1, 2, 3]))
    through = np.logaddexp.reduce(both, axis=1)  # (T,)
    yield "log Σ αβ in each of 2000 frames", through, np.full(2000, through[-1])


@exercise(
    "6.1",
    check_backward_variables,
    hints=[
        "beta[T-1, -2:] = 0 (a logarithm), all else -np.inf; then t from T - 2 down to 0.",
        "Once per frame: onward = log_y[t + 1, states] + beta[t + 1]. Then stay, go on, skip.",
        "The skip: beta[t, :-2] = np.logaddexp(beta[t, :-2], np.where(skips(states)[2:],"
        " onward[2:], -np.inf)).",
    ],
)
def backward_variables(log_y, states):
    """log β (T, S) of log_y (T, K): all ways on from state s after frame t.  About 9 lines."""
    raise NotImplementedError


# %%
alpha = np.exp(forward_variables(np.log(y), states))  # (T, S)
beta = np.exp(backward_variables(np.log(y), states))  # (T, S)
show(
    [draw_lattice(beta, states, "–hi", now=t, backward=True) for t in (3, 2, 1, 0)],
    captions=[f"β of frame {t + 1}: what its arrows lead to" for t in (3, 2, 1, 0)],
    title="The lattice fills from the end",
)

# %% [markdown]
# Ways to a node times ways from it: all paths **through** it. Every path passes every frame
# once, so each column adds up to the same number, p(hi). (The exercise's last check.)

# %%
for t, through in enumerate(alpha * beta):
    terms = " + ".join(f"{p:.3f}" for p in through)
    print(f"frame {t + 1}:  Σ α β = {terms} = {through.sum():.3f}")

# %% [markdown]
# Divide by that number, and a column is a distribution: given that "hi" was said, where is the
# path at time t?
#
# $$ \gamma_t(s) = \frac{\alpha_t(s)\, \beta_t(s)}{p(\ell \mid x)} $$

# %%
gamma = alpha * beta / alpha[-1, -2:].sum()  # (T, S)
show(draw_lattice(gamma, states, "–hi"), captions=["γ: each column adds up to 1"])

# %% [markdown]
# ## From the posterior to the gradient
# How does p change when $\log y_t(k)$ grows a little? Exactly the paths that have k at t grow
# with it, and their share of p is the sum of γ over the states that are k:
#
# $$ \frac{\partial L}{\partial \log y_t(k)} = -\sum_{s:\ \ell'_s = k} \gamma_t(s) $$
#
# The network does not choose y freely, though. It gives logits u, and $y = \text{softmax}(u)$.
# A logit raises its own character and lowers all others in proportion to y, and γ adds up to 1,
# so what remains is beautifully short:
#
# $$ \frac{\partial L}{\partial u_t(k)} = y_t(k) - \sum_{s:\ \ell'_s = k} \gamma_t(s) $$
#
# **What you said, minus what you should have said.** Each row adds up to 0: a frame can only
# move its odds from one character to another.


# %%
def honest_loss(logits, paths):
    """-log of the sum over the alignments `paths` (n, T), each written out."""
    log_y = log_softmax_forward(logits)
    return -np.logaddexp.reduce(log_y[np.arange(len(logits)), paths].sum(axis=1))


def check_ctc_gradient():
    rng = np.random.default_rng(7)
    for label, T in (HI, 4), ([1, 1], 5), ([1, 2, 1], 5), ([], 3):
        logits = rng.normal(size=(T, 3))
        paths = np.array([p for p in product(range(3), repeat=T) if collapse(p) == label])
        slopes = numerical_gradient(lambda x=logits, p=paths: honest_loss(x, p), logits)
        gradient = ctc_gradient(log_softmax_forward(logits), label)
        yield f"{label} in {T} frames, against central differences", gradient, slopes
    log_y = log_softmax_forward(rng.normal(size=(2000, 3)))
    gradient = ctc_gradient(log_y, HI)
    yield "the sums of 2000 rows", gradient.sum(axis=1), np.zeros(2000)
    gradient = ctc_gradient(log_y[:2], [1, 1])
    yield "'hh' in 2 frames: impossible, so nobody is to blame", gradient, np.zeros((2, 3))


@exercise(
    "6.2",
    check_ctc_gradient,
    rtol=1e-6,
    atol=1e-8,
    hints=[
        "log γ = α + β - log p, with log p = np.logaddexp.reduce(alpha[-1, -2:]).",
        "Start with np.exp(log_y) and take gamma[:, s] from column states[s], state by state:"
        " with fancy indexing a character that occurs twice would count once.",
        "If log p is -np.inf return np.zeros_like(log_y).",
    ],
)
def ctc_gradient(log_y, label):
    """dL/du (T, K) of log_y (T, K), log-probabilities, and a label.  About 9 lines."""
    raise NotImplementedError


# %% [markdown]
# A label that is impossible has loss inf. A careless gradient is then inf - inf, which is NaN,
# and one such recording in a million poisons every weight. In minids it is 0, and the recording
# is counted and named.
#
# ## Watch it sharpen
# Now a real network, tiny and new, on three recordings. (How a network takes a step is lesson
# 7's; here only the gradient counts.) We look at "two five" while it learns.

# %%
names = ["two five", "seven", "three one four"]
recognizer = Recognizer.load(data("digits.safetensors"))  # for its features and alphabet only
heard, alphabet = [], recognizer.alphabet
for name in names:
    samples, _ = load_audio(data(name.replace(" ", "_") + ".flac"), recognizer.features.rate)
    heard.append(recognizer.features(samples))  # (T0, F)
lengths = np.array([len(x) for x in heard], np.int32)
label_lengths = np.array([len(name) for name in names], np.int32)
frames = np.zeros((lengths.max(), 3, heard[0].shape[1]), np.float32)  # (T0, B, F)
labels = np.zeros((3, label_lengths.max()), np.int32)
for b, name in enumerate(names):
    frames[: lengths[b], b] = heard[b]
    labels[b, : len(name)] = alphabet.encode(name)

# %%
label = labels[0, : label_lengths[0]]
letters = "–" + "".join(alphabet.symbols).replace(" ", "␣")
model = DeepSpeech(ModelSettings(frames.shape[2], len(alphabet), 64, 5, dropout=0.0), seed=2)
velocity, steps, captions = np.zeros_like(model.flat_params), [], []
for i in range(151):
    if i in (0, 5, 8, 10, 12, 20, 40, 60, 80, 90, 100, 150):
        log_y, _ = model.forward(frames, lengths)  # (T, B, K)
        losses, dlogits = ctc_loss(log_y, lengths, labels, label_lengths)
        T = lengths[0]
        text = alphabet.decode(collapse(log_y[:T, 0].argmax(axis=1)))
        captions.append(f"After {i} steps: loss {losses[0]:.1f}, it reads '{text}'")
        steps.append(blame(log_y[:T, 0], dlogits[:T, 0], label, letters))
    model.loss_and_grad(frames, lengths, labels, label_lengths)
    scale = min(1.0, 5 / model.ops.norm(model.flat_grads))
    model.ops.nesterov(model.flat_params, model.flat_grads, velocity, 0.002, 0.9, scale)
show(steps, captions=captions, title="The gradient sharpens from a staircase to spikes")

# %% [markdown]
# Step through slowly; Graves drew the same in 2006.
#
# - **0 steps.** All odds are even, and the gradient is a staircase: the text laid along the
#   frames in every possible way. It knows the order of the letters, nothing of the sound.
# - **5 to 20.** Blank is half of all states, so blank is what everyone is asked for. The network
#   says nothing but blank. Do not despair: every CTC training begins like this.
# - **40.** The sound speaks: at two places, where somebody talks, letters are wanted.
# - **60 to 100.** One frame begins to say t; then the paths through that frame weigh more, so γ
#   is sharper there, so the gradient asks for more. The letters become **spikes** between blanks.
# - **150.** Nothing is to blame any more: what it says is what it should say.
#
# Nobody told the network when the t was. It found out, because the lattice lets each frame be
# blamed in proportion.

# %% [markdown]
# **What we have now**: for every frame and character, how much more or less it should be said.
# That is all of CTC: [a hundred lines](../minids/ops/reference/ctc.py), and in them nothing that
# you have not built.
#
# **Next question**: this gradient enters the network at its top. Can a whole network learn a
# word from it? (Lesson 7.)
