# %% [markdown]
# # 6. Which frame is to blame?
# The network gave the text "two five" a small probability. Its output in each of 96
# frames contributed to that. In which frames should the output change, and how?
#
# *You build* the other half of CTC: the backward variables and the gradient. *You need*
# lesson 5; your functions from there are used here.

# %%
import numpy as np

from minids import DeepSpeech, Recognizer, ctc_loss, load_audio
from minids.lesson import check, data, listen, live, show, yours
from minids.lesson.figures.blame import blame, gradient_tables
from minids.lesson.figures.lattice import lattice as draw_lattice
from minids.lesson.threads import one_thread
from minids.model import ModelSettings

one_thread()  # fastest for such small matrix products
collapse, lattice, skips, forward_variables = yours(
    "collapse", "lattice", "skips", "forward_variables"
)
HI = [1, 2]  # in the alphabet "–hi"; the four frames of lesson 5
y = np.array([[1, 7, 2], [6, 3, 1], [2, 2, 6], [5, 1, 4]]) / 10  # (T, K)
_, dlogits = ctc_loss(np.log(y)[:, None], [4], [HI], [2], backend="reference")
show(
    gradient_tables(y, y - dlogits[:, 0], "–hi"),
    captions=[
        "The output of the network, the desired output for 'hi', and the gradient"
    ],
)

# %% [markdown]
# This is the goal. First is the output of the network, the probabilities in each frame.
# Then the desired output, given that the text is "hi": the h early, the i late. The
# last table is their difference, the gradient: **blue should increase, red should
# decrease**. Nobody labeled the frames; the desired output is computed from the
# lattice.
#
# ## The ways from a node to the end
# The α of lesson 5 covers the ways from the start *to* a node. The ways *from* a node
# to the end are computed in the same manner, backward in time. These are the **backward
# variables**:
#
# $$ \beta_t(s) = \sum_{r} y_{t+1}(\ell'_r)\, \beta_{t+1}(r) $$
#
# where r is s, s + 1, and s + 2 if r allows a skip. In the last frame β is 1 in the
# last two states, where a path can end, and 0 elsewhere. (An empty text has only one.)
#
# (In Graves' definition β contains $y_t$, as α does, so α · β must be divided by it.
# Here β does not, and α · β contains every frame exactly once. Do not mix the two.)
#
# **Exercise 6.1** The backward variables, as logarithms, with your `skips`.


# %%
def backward_variables(log_y, states):
    """log β (T, S) of log_y (T, K): all ways from s at t to the end.  About 9 lines."""
    raise NotImplementedError


backward_variables = check("6.1", backward_variables)

# %%
states = lattice(HI)
alpha = np.exp(forward_variables(np.log(y), states))  # (T, S)
beta = np.exp(backward_variables(np.log(y), states))  # (T, S)
show(
    [draw_lattice(beta, states, "–hi", now=t, backward=True) for t in (3, 2, 1, 0)],
    captions=[f"β of frame {t + 1}: the sum of its successors" for t in (3, 2, 1, 0)],
    title="The backward variables, frame by frame",
)

# %% [markdown]
# ## The probability that a path passes through a node
# The ways to a node times the ways from it: that is the probability of all paths
# **through** it. Every path passes through one node per frame, so each column adds up
# to the same number, p(hi).

# %%
for t, products in enumerate(alpha * beta):
    terms = " + ".join(f"{p:.3f}" for p in products)
    print(f"frame {t + 1}:  Σ α β = {terms} = {products.sum():.3f}")

# %% [markdown]
# Divided by this number, a column is a distribution: the probability of each state at
# time t, given that the text is "hi". It is called the **posterior** (or occupancy):
#
# $$ \gamma_t(s) = \frac{\alpha_t(s)\, \beta_t(s)}{p(\ell \mid x)} $$
#
# Here γ is in the nodes, and the thickness of each edge is the probability of that
# move. In the bars, a line marks γ of the character, which is what the output should
# be. Drag a bar toward its line, or away from it: all other lines move, too, since a
# path that gains weight in one frame gains it in all. Then press "learn".

# %%
live.lattice("hi", frames=4, y=y, nodes="gamma")

# %% [markdown]
# ## From the posterior to the gradient
# Let $\log y_t(k)$ increase a little. Exactly the paths whose output at t is k get more
# probable, each in proportion to its probability: the derivative of a product
# $e^{\log y_1 + \log y_2 + \ldots}$ with respect to one of the logarithms is the
# product itself. Together these paths have the probability
# $\sum \alpha_t(s) \beta_t(s)$ over the states with the character k. So, with
# $L = -\log p$,
#
# $$ \frac{\partial L}{\partial \log y_t(k)}
#   = -\frac{1}{p} \sum_{s:\ \ell'_s = k} \alpha_t(s)\, \beta_t(s) = -\gamma_t(k),
#   \qquad \gamma_t(k) = \sum_{s:\ \ell'_s = k} \gamma_t(s) $$
#
# Note the sum: one character can have several states, the blank always does.
#
# But the network does not choose the y of a frame one by one. They are the softmax of
# its **logits** u, and add up to 1: a logit that increases raises the probability of
# its own character and lowers that of all others. With
# $\log y_j = u_j - \log \sum_i e^{u_i}$ (we omit t),
#
# $$ \frac{\partial \log y_j}{\partial u_k} = \delta_{jk} - y_k, \qquad
#   \delta_{jk} = \begin{cases} 1 & j = k \\ 0 & \text{else} \end{cases} $$
#
# and by the chain rule, which adds up the effects on all characters j,
#
# $$\begin{split} \frac{\partial L}{\partial u_k}
#   &= \sum_j \frac{\partial L}{\partial \log y_j}
#      \frac{\partial \log y_j}{\partial u_k}
#    = \sum_j (-\gamma_j)(\delta_{jk} - y_k) \\
#   &= -\gamma_k + y_k \sum_j \gamma_j = y_k - \gamma_k \end{split}$$
#
# since the γ of a frame add up to 1. **What the network said, minus what it should have
# said.** The same holds if each frame has a correct label, with γ = 1 for that label;
# here γ spreads it over all alignments.
#
# An impossible text has p = 0 and loss inf. Without a special case its gradient is NaN
# (0 / 0, or inf − inf), and one such recording in a million would turn all weights into
# NaN. Let its gradient be 0; minids also reports these recordings.
#
# **Exercise 6.2** The gradient with respect to the logits, for one recording. The text
# may be impossible, or empty: then its only state is the blank.


# %%
def ctc_gradient(log_y, label):
    """dL/du (T, K) of log_y (T, K), log-probabilities, and a label.  About 9 lines."""
    raise NotImplementedError


ctc_gradient = check("6.2", ctc_gradient)

# %% [markdown]
# ## The gradient during training
# Now train a small network on three recordings, with your gradient. (How it takes a
# step is the subject of lesson 7.) The pictures show the output and the gradient for
# "two five".

# %%
names = ["two five", "seven", "three one four"]
recognizer = Recognizer.load(data("digits.safetensors"))  # for its features
alphabet, features = recognizer.alphabet, []
for name in names:
    file = data(name.replace(" ", "_") + ".flac")
    samples, _ = load_audio(file, recognizer.features.rate)
    features.append(recognizer.features(samples))  # (T0, F)
lengths = np.array([len(x) for x in features], np.int32)
labels = [alphabet.encode(name).tolist() for name in names]
x = np.zeros((lengths.max(), 3, features[0].shape[1]), np.float32)  # (T0, B, F)
for b, rows in enumerate(features):
    x[: len(rows), b] = rows

# %%
characters = "–" + "".join(alphabet.symbols).replace(" ", "␣")
settings = ModelSettings(x.shape[2], len(alphabet), hidden=64, context=5, dropout=0.0)
model = DeepSpeech(settings, seed=2)
velocity, pictures, captions, versions = np.zeros_like(model.flat_params), [], [], {}
for i in range(151):
    log_y, _ = model.forward(x, lengths)  # (T, B, K)
    dlogits = np.zeros_like(log_y)
    for b, T in enumerate(lengths):
        dlogits[:T, b] = ctc_gradient(log_y[:T, b], labels[b])  # yours
    first = log_y[: lengths[0], 0].copy()  # of "two five"
    if i in (0, 5, 8, 10, 12, 20, 40, 60, 80, 90, 100, 150):
        text = alphabet.decode(collapse(first.argmax(axis=1)))
        captions.append(f"After {i} steps the text is '{text}'.")
        pictures.append(blame(first, dlogits[: lengths[0], 0], labels[0], characters))
    if i in (40, 80, 90, 100, 150):
        versions[f"{i} steps"] = None, first
    model.backward(dlogits)
    scale = min(1.0, 5 / model.ops.norm(model.flat_grads))
    model.ops.nesterov(model.flat_params, model.flat_grads, velocity, 0.002, 0.9, scale)
title = "The output and its gradient during training"
show(pictures, captions, title, opens_at=8)  # after 80 steps
listen(data("two_five.flac"), alphabet=alphabet, versions=versions, by="training")

# %% [markdown]
# Go to Start, and step through slowly; Graves drew the same in 2006.
#
# - **0 steps.** All characters have the same probability, so the gradient shows all
#   alignments at once: it knows the order of the letters, but nothing about the sound.
# - **5 to 20.** Half of all states are blanks, so the gradient asks for blanks
#   everywhere, and the output is all blank. Every CTC training starts like this.
# - **40.** Letters are wanted in two places, where there is speech.
# - **60 to 100.** A frame starts to output t; paths through it gain weight, so γ gets
#   sharper there, and the gradient stronger. The letters become **spikes** between
#   blanks.
# - **150.** The gradient is nearly 0: the output is the desired output.
#
# **In the package**: the hundred lines of `minids/ops/reference/ctc.py`, and you have
# written each of their parts.
#
# **What we have now**: for every frame and character, how much more or less probable it
# should be. That is all of CTC.
#
# **Next question**: this gradient enters the network at its output. Can a whole network
# learn a word from it? (Lesson 7.)
