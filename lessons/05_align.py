# %% [markdown]
# # 5. How many ways can a sound say "cat"?
# A recording of "cat" has perhaps fifty frames, and its text has three letters. Nobody has marked
# which frames belong to the c. How can a network learn from such a pair?
#
# *You build* the probability of a text: the sum over all the ways to spread it over the frames.
# This is the forward half of CTC, *connectionist temporal classification* (Graves et al. 2006).
# *You need* lesson 2 (blank, collapse).

# %%
import math
from itertools import product

import numpy as np

from minids import Recognizer, ctc_loss, load_audio
from minids.lesson import data, exercise, show
from minids.lesson.figures.lattice import alignments
from minids.lesson.figures.lattice import lattice as draw_lattice
from minids.text import BLANK, collapse

CAT = [1, 2, 3]  # in the alphabet "–cat", where 0 is the blank


def lattice(label):
    """The states of a label: (blank, l_1, blank, …, l_U, blank), an array (2U + 1,)."""
    states = np.full(2 * len(label) + 1, BLANK)
    states[1::2] = label
    return states


paths = [path for path in product(range(4), repeat=5) if collapse(path) == CAT]
counts = [1, 2, 3, 4, 5, 8, 11, 14, 18, 22, 25, 28]
show(
    [alignments(paths, lattice(CAT), "–cat", n) for n in counts],
    captions=[f"{n} of 28 alignments; each node counts those through it" for n in counts],
    title="All alignments of 'cat' merge into one lattice",
)

# %% [markdown]
# An **alignment** of a text is a path, one output per frame, that collapses to the text (merge
# repeats, then remove blanks). In five frames "cat" has 28 alignments. Step to the last picture:
# 28 paths with 140 outputs, but only 17 different nodes. All paths that have reached the a in
# frame 3 can continue in the same ways, no matter how they got there. This graph is the
# **lattice**. Its rows are the **states**: the letters, with a blank before, between and after
# them. A text of U letters has S = 2U + 1 states.
#
# From one frame to the next a path can
#
# 1. **stay** in its state;
# 2. **advance** to the next state;
# 3. **skip** a blank, from a letter to the next letter, unless both are the same: without a
#    blank between them, "oo" would collapse to "o".
#
# It starts in one of the first two states, and ends in one of the last two. First find the
# states that can be reached by a skip.


# %%
def check_skips():
    for text, label in ("cat", [1, 2, 3]), ("too", [1, 2, 2]), ("tot", [1, 2, 1]), ("", []):
        repeated = [k == previous for previous, k in zip([None, *label], label, strict=False)]
        expected = [False] * (2 * len(label) + 1)
        expected[3::2] = [not r for r in repeated[1:]]
        yield f"skips(lattice({label})), '{text}'", skips(lattice(label)), np.array(expected)


@exercise("5.1", check_skips)
def skips(states):
    """(S,) bool: whether each state can be reached by a skip.  About 3 lines."""
    raise NotImplementedError


# %% [markdown]
# ## Count without listing
# The number of ways to a node is the sum of those to its predecessors:
#
# $$ n_t(s) = n_{t-1}(s) + n_{t-1}(s-1) + n_{t-1}(s-2)\ \text{if } s \text{ allows a skip} $$
#
# In the first frame there is one way to state 0 and one to state 1. Go on frame by frame. This is
# **dynamic programming**: it computes a sum over all paths without listing them.


# %%
def by_enumeration(y, label):
    """All K^t paths of t frames, each weighted with the product of its y: a table (T, S)."""
    T, K = y.shape
    table = np.zeros((T, 2 * len(label) + 1))
    for t in range(T):
        for path in product(range(K), repeat=t + 1):
            prefix = collapse(path)  # with the last output, this determines the state
            if prefix == label[: len(prefix)]:
                s = 2 * len(prefix) - (path[-1] != BLANK)
                table[t, s] += np.prod(y[range(t + 1), path])
    return table


def check_count_ways():
    for label, T in (CAT, 5), ([1, 1], 4), ([1, 2, 1], 5), ([], 3):
        expected = by_enumeration(np.ones((T, 4)), label)
        yield f"count_ways(lattice({label}), {T})", count_ways(lattice(label), T), expected
    total = count_ways(lattice(CAT), 30)[-1, -2:].sum()
    yield "the number of alignments of 'cat' in 30 frames", total, math.comb(30 + 3, 30 - 3)


@exercise("5.2", check_count_ways)
def count_ways(states, T):
    """n (T, S): the number of ways to be in state s at frame t.  About 7 lines."""
    raise NotImplementedError


# %%
n = count_ways(lattice(CAT), 5)
show(
    [draw_lattice(n, lattice(CAT), "–cat", now=t, total="21 + 7\n= 28") for t in range(5)],
    captions=[f"Frame {t + 1}: each node is the sum of its predecessors" for t in range(5)],
    title="Counting frame by frame",
)
for T in 5, 10, 50, 100:  # if all letters differ there are (T + U choose T - U) alignments
    ways = math.comb(T + 3, T - 3)
    print(f"'cat' in {T:3} frames: {ways:13,} alignments, {7 * T:3} numbers in the table")

# %% [markdown]
# ## From counts to probabilities
# Not all paths are equally likely. The network computes, for each frame, the probability $y_t(k)$
# of each character (lesson 2: $\hat y_{t,k}$). The probability of a path $\pi$ is the product over
# its frames, and that of a text $\ell$, given the sound x, is the sum over its paths:
#
# $$ p(\ell \mid x) = \sum_{\pi\ \text{collapses to}\ \ell} \ \prod_{t=1}^{T} y_t(\pi_t) $$
#
# The same lattice computes it if each node is multiplied by $y_t$ of its character $\ell'_s$. The
# results are Graves' **forward variables**:
#
# $$ \alpha_t(s) = y_t(\ell'_s)\,[\alpha_{t-1}(s) + \alpha_{t-1}(s-1)
#   + \alpha_{t-1}(s-2)\ \text{if allowed}] $$
#
# For example, take "hi" in four frames. At frame 3, state i: the predecessors add up to 0.24 +
# 0.42 + 0.07 = 0.73, y is 0.6 for i, and 0.6 · 0.73 = 0.438. Finally p(hi) = 0.478.

# %%
HI = [1, 2]
y = np.array([[1, 7, 2], [6, 3, 1], [2, 2, 6], [5, 1, 4]]) / 10  # (T, K), – h i
alpha = by_enumeration(y, HI)  # (T, S), 120 paths
factors = y[:, lattice(HI)]  # (T, S): for each node the probability of its character
total = "p(hi)\n= 0.478"
show(
    [draw_lattice(alpha, lattice(HI), "–hi", t, False, factors, total) for t in range(4)],
    captions=[f"Frame {t + 1}: the sum of the predecessors, times y" for t in range(4)],
    title="The forward variables, frame by frame",
)
print("0.5 ** 1000 =", 0.5**1000, "   0.5 ** 2000 =", 0.5**2000)

# %% [markdown]
# ## Logarithms
# The last line shows a problem: a product of 2000 probabilities **underflows** to 0. So the table
# holds log α. Products become sums, and a sum becomes `np.logaddexp(a, b)`, which computes
# $\log(e^a + e^b)$ without overflow or underflow. Log 0 is `-np.inf`, a valid argument.


# %%
def log_prob(log_y, label):
    """log p(label|x), from the last two states of the last frame."""
    return np.logaddexp.reduce(forward_variables(log_y, lattice(label))[-1, -2:])


def check_forward_variables():
    rng = np.random.default_rng(5)
    for label, T in (HI, 4), ([1, 1], 5), ([2, 1, 1], 5), ([], 3):
        y = rng.dirichlet(np.ones(3), T)  # (T, K), every row sums to 1
        got = np.exp(forward_variables(np.log(y), lattice(label)))
        yield f"exp(log α) of {label} in {T} frames", got, by_enumeration(y, label)
    texts = [list(text) for U in range(6) for text in product((1, 2), repeat=U)]
    y = rng.dirichlet(np.ones(3), 5)
    total = sum(np.exp(log_prob(np.log(y), text)) for text in texts)
    yield "the sum of the probabilities of all texts", total, 1.0
    yield "log p of 'hh' in 2 frames, impossible", log_prob(np.log(y[:2]), [1, 1]), -np.inf
    uniform = np.full((2000, 4), -math.log(4))
    expected = math.log(math.comb(2003, 1997)) - 2000 * math.log(4)
    yield "log p of 'cat' in 2000 frames, y = 1/4", log_prob(uniform, CAT), expected


@exercise("5.3", check_forward_variables)
def forward_variables(log_y, states):
    """log α (T, S) of log_y (T, K): all ways to be in s at frame t.  About 9 lines."""
    raise NotImplementedError


# %% [markdown]
# ## The loss
# Training increases the probability of the correct text. The **CTC loss** is its negative
# logarithm (states are counted from 0, and the last two can be the end):
#
# $$ L = -\log\,[\alpha_T(S-1) + \alpha_T(S-2)] $$
#
# A text that does not fit has p = 0 and loss inf: T < U, or a repeated letter and no frame for
# the blank. "hh" in two frames is impossible. Now one recording and several texts, with
# [`ctc_loss`](../minids/ops/reference/ctc.py), which computes the same loss for a whole batch:

# %%
recognizer = Recognizer.load(data("digits.safetensors"))
samples, _ = load_audio(data("two_five.flac"), recognizer.features.rate)
log_y = recognizer.log_probs(samples)  # (T, K)
T = len(log_y)
for text in "two five", "two nine", "to five", "five two", "two":
    label = recognizer.alphabet.encode(text)
    (loss,), _ = ctc_loss(log_y[:, None], [T], [label], [len(label)])
    yours = -log_prob(log_y, label)
    ways = math.comb(T + len(label), T - len(label))
    print(f"{text:9} loss {loss:6.2f}, yours {yours:6.2f}, {ways:.0e} alignments")

# %% [markdown]
# **What we have now**: the probability of a text, the sum over more alignments than anyone could
# list, computed in T · S steps, and a loss that is small if the network is right. Nobody had to
# mark where the c was.
#
# **Next question**: the loss is too high. Which frames are responsible, and what should they
# have said? (Lesson 6.)
