# %% [markdown]
# # 5. How many ways can a sound say "cat"?
# A recording of "cat" lasts fifty frames and the text has three letters. Nobody wrote down which
# frames are the c. How can a network learn from such a pair?
#
# *You build* the probability of a text: the sum over every way to lay it along the frames, which
# is the forward half of CTC. *You need* lesson 2 (blank, collapse).

# %%
import math
from itertools import product

import numpy as np

from minids import Recognizer, ctc_loss, load_audio
from minids.lesson import data, exercise, show
from minids.lesson.figures.alignments import alignments
from minids.lesson.figures.lattice import lattice as draw_lattice
from minids.ops.reference.ctc import lattice, skips
from minids.text import BLANK, collapse

CAT = [1, 2, 3]  # in the alphabet "–cat": 0 is the blank
paths = [path for path in product(range(4), repeat=5) if collapse(path) == CAT]
upto = [1, 2, 3, 4, 5, 8, 11, 14, 18, 22, 25, 28]
show(
    [alignments(paths, lattice(CAT), "–cat", n) for n in upto],
    captions=[f"{n} of 28 alignments; a node counts those that pass it" for n in upto],
    title="All alignments of 'cat' merge into one lattice",
)

# %% [markdown]
# An **alignment** is a path: one character for each frame, which collapses to the text (merge
# repeats, then drop blanks). "cat" has 28 of them in five frames. Step to the last picture: 28
# paths, 140 letters, but only 17 different nodes. Whoever has reached the a in frame 3 goes on
# in the same ways, however he came.
#
# The rows of the picture are the **states**: the letters with a blank before, between and
# after. A text of U letters has S = 2U + 1 of them.

# %%
print("states of 'cat':   ", lattice(CAT), " for –c–a–t–")
print("may be skipped to: ", skips(lattice(CAT)).astype(int))
print("states of 'too':   ", lattice([1, 2, 2]), " for –t–o–o–")
print("may be skipped to: ", skips(lattice([1, 2, 2])).astype(int))

# %% [markdown]
# From one frame to the next there are three moves:
#
# 1. **stay** in the state;
# 2. **go on** to the next state;
# 3. **skip** a blank, from a letter to the next letter. Not if both are the same: without a
#    blank between them, "oo" would collapse to "o".
#
# A path begins in one of the first two states and ends in one of the last two.
#
# ## Count them without listing them
# How many ways lead to a node? As many as lead to the nodes it can be reached from, together:
#
# $$\begin{split} n_t(s) = n_{t-1}(s) &+ n_{t-1}(s-1) \\
#   &+ n_{t-1}(s-2)\ \text{if allowed} \end{split}$$
#
# The first frame has one way into state 0 and one into state 1. Fill column after column.


# %%
def by_enumeration(y, label):
    """The honest way: all K^t paths of t frames, each worth the product of its y. (T, S)"""
    T, K = y.shape
    table = np.zeros((T, 2 * len(label) + 1))
    for t in range(T):
        for path in product(range(K), repeat=t + 1):
            spelled = collapse(path)  # so far; the last character tells the state
            if spelled == label[: len(spelled)]:
                s = 2 * len(spelled) - (path[-1] != BLANK)
                table[t, s] += np.prod(y[range(t + 1), path])
    return table


def check_count_ways():
    for label, T in (CAT, 5), ([1, 1], 4), ([1, 2, 1], 5), ([], 3):
        truth = by_enumeration(np.ones((T, 4)), label)
        yield f"count_ways(lattice({label}), {T})", count_ways(lattice(label), T), truth
    total = count_ways(lattice(CAT), 30)[-1, -2:].sum()
    yield "all the ways to say 'cat' in 30 frames", total, math.comb(30 + 3, 30 - 3)


@exercise(
    "5.1",
    check_count_ways,
    hints=[
        "Row t needs only row t - 1; begin with n[0, :2] = 1.",
        "n[t, 1:] gains n[t-1, :-1]; n[t, 2:] gains n[t-1, :-2] where a skip is allowed.",
        "n[t, 2:] += np.where(skips(states)[2:], n[t-1, :-2], 0)",
    ],
)
def count_ways(states, T):
    """n (T, S): the number of ways to be in state s after frame t.  About 7 lines."""
    raise NotImplementedError


# %%
n = count_ways(lattice(CAT), 5)
show(
    [draw_lattice(n, lattice(CAT), "–cat", now=t, total="21 + 7\n= 28") for t in range(5)],
    captions=[f"Frame {t + 1}: a node adds up what its arrows bring" for t in range(5)],
    title="Counting column by column",
)

# %% [markdown]
# If all letters differ, the ends add up to a binomial coefficient (the exercise's last check):
#
# $$ \binom{T+U}{T-U} $$
#
# It grows fast; the table does not: it has T · S numbers.

# %%
for T in 5, 10, 50, 100:
    ways = math.comb(T + 3, T - 3)
    print(f"'cat' in {T:3} frames: {ways:13,} alignments, {7 * T:3} numbers in the table")

# %% [markdown]
# ## From counting to probability
# Not all paths are equally likely. Lesson 2's network says for each frame how probable each
# character is, $y_t(k)$ (there $\hat y_{t,k}$); a path has the product over its frames; and a
# text has the sum over its paths:
#
# $$ p(\ell \mid x) = \sum_{\pi\ \text{collapses to}\ \ell} \ \prod_{t=1}^{T} y_t(\pi_t) $$
#
# Same lattice, same moves, but every way into a node is now worth $y_t$ of the node's character
# $\ell'_s$. These are the **forward variables** (Graves 2006):
#
# $$\begin{split} \alpha_t(s) = y_t(\ell'_s)\,[\alpha_{t-1}(s) &+ \alpha_{t-1}(s-1) \\
#   &+ \alpha_{t-1}(s-2)\ \text{if allowed}] \end{split}$$
#
# Take four frames, the alphabet "–hi", the text "hi". Frame 3, second letter: the ways that
# arrive are 0.24 + 0.42 + 0.07 = 0.73, the frame says i with 0.6, and 0.6 · 0.73 = 0.438. The
# two ends add up to p(hi) = 0.478, on 15 alignments.

# %%
HI = [1, 2]
y = np.array([[1, 7, 2], [6, 3, 1], [2, 2, 6], [5, 1, 4]]) / 10  # (T, K), – h i
alpha = by_enumeration(y, HI)  # (T, S), 120 paths
worth = y[:, lattice(HI)]  # (T, S): of every node its character's probability
total = "p(hi)\n= 0.478"
show(
    [draw_lattice(alpha, lattice(HI), "–hi", t, False, worth, total) for t in range(4)],
    captions=[f"Frame {t + 1}: what arrives, times the frame's odds" for t in range(4)],
    title="The lattice fills, column by column",
)

# %% [markdown]
# ## Why logarithms
# A second has a hundred frames, each one more factor below 1. Floating point gives up early:

# %%
print("0.5 ** 1000 =", 0.5**1000, "   0.5 ** 2000 =", 0.5**2000)
print("2000 * log 0.5 =", 2000 * math.log(0.5))

# %% [markdown]
# So the table holds log α. Products become sums; a sum becomes `np.logaddexp(a, b)`, which is
# $\log(e^a + e^b)$ computed so that nothing overflows or vanishes. Log 0 is `-np.inf`, and
# `logaddexp` takes it without complaint.


# %%
def log_prob(log_y, label):
    """log p(label|x): what has arrived in the last two states."""
    return np.logaddexp.reduce(forward_variables(log_y, lattice(label))[-1, -2:])


def check_forward_variables():
    rng = np.random.default_rng(5)
    for label, T in (HI, 4), ([1, 1], 5), ([2, 1, 1], 5), ([], 3):
        y = rng.dirichlet(np.ones(3), T)  # (T, K), every row sums to 1
        got = np.exp(forward_variables(np.log(y), lattice(label)))
        yield f"exp(α) of {label} in {T} frames", got, by_enumeration(y, label)
    texts = [list(text) for U in range(6) for text in product((1, 2), repeat=U)]
    y = rng.dirichlet(np.ones(3), 5)
    total = sum(np.exp(log_prob(np.log(y), text)) for text in texts)
    yield "the probabilities of all texts, added up", total, 1.0
    yield "log p of 'hh' in 2 frames, impossible", log_prob(np.log(y[:2]), [1, 1]), -np.inf
    uniform = np.full((2000, 4), -math.log(4))
    known = math.log(math.comb(2003, 1997)) - 2000 * math.log(4)
    yield "log p of 'cat' in 2000 frames of even odds", log_prob(uniform, CAT), known


@exercise(
    "5.2",
    check_forward_variables,
    hints=[
        "As count_ways: + becomes np.logaddexp, 0 becomes -np.inf, log_y[t, states] is added.",
        "alpha = np.full((T, S), -np.inf); alpha[0, :2] = log_y[0, states[:2]].",
        "The skip: skipped = np.where(skips(states)[2:], alpha[t-1, :-2], -np.inf), then"
        " alpha[t, 2:] = np.logaddexp(alpha[t, 2:], skipped).",
    ],
)
def forward_variables(log_y, states):
    """log α (T, S) of log_y (T, K): all ways to state s after frame t.  About 9 lines."""
    raise NotImplementedError


# %% [markdown]
# ## The loss
# Training makes the right text probable: CTC's loss is its negative logarithm (of the S
# states, counted from 0, the last two may end),
#
# $$ L = -\log\,[\alpha_T(S-1) + \alpha_T(S-2)] $$
#
# A text that the frames cannot spell has p = 0 and loss inf: if T < U, of course, but a doubled
# letter needs one frame more, for the blank between.

# %%
for text, label, T in ("hi", HI, 4), ("hh", [1, 1], 2), ("hh", [1, 1], 3):
    loss = -log_prob(np.log(y[:T]), label)
    print(f"'{text}' in {T} frames:  p = {np.exp(-loss):.3f}, loss {loss:.6f}")

# %% [markdown]
# Here is a trap. Two frames, each says blank with 0.6 and a with 0.4. The best path is "––",
# which has 0.36 and says nothing. But "a" has three paths, and 0.64 of the probability:

# %%
odds = np.array([[0.6, 0.4], [0.6, 0.4]])
a = np.exp(forward_variables(np.log(odds), lattice([1])))
show(draw_lattice(a, lattice([1]), "–a", total="p(a)\n= 0.64"))

# %% [markdown]
# ## On a real sound
# The lessons' small recognizer listens to somebody saying "two five". The package's own
# [`ctc_loss`](../minids/ops/reference/ctc.py) is the exercise and its gradient, for a whole
# batch. Which text has the smallest loss?

# %%
recognizer = Recognizer.load(data("digits.safetensors"))
samples, _ = load_audio(data("two_five.flac"), recognizer.features.rate)
log_y = recognizer.log_probs(samples)  # (T, K)
T = len(log_y)
for text in "two five", "two nine", "to five", "five two", "two":
    label = recognizer.alphabet.encode(text)
    (loss,), _ = ctc_loss(log_y[:, None], [T], [label], [len(label)])
    ways = math.comb(T + len(label), T - len(label))
    print(f"{text:9} loss {loss:6.2f}  p = {math.exp(-loss):7.1e}, {ways:.0e} alignments")

# %% [markdown]
# **What we have now**: the probability of a text, summed over more alignments than anyone could
# list, in T · S steps, and a loss that is small when the network is right. Nobody had to say
# when the c was.
#
# **Next question**: the loss is too high. Which frame is to blame, and what should it have
# said? (Lesson 6.)
