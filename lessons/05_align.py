# %% [markdown]
# # 5. How many ways can a sound say "cat"?
# A recording of "cat" has perhaps fifty frames, and its text has three letters. Nobody
# has marked which frames belong to the c. How can a network learn from such a pair?
#
# *You build* the probability of a text: the sum over all the ways to spread it over the
# frames. This is the forward half of CTC, *connectionist temporal classification*
# (Graves et al. 2006). *You need* lesson 2 (blank, collapse).

# %%
import math
from itertools import product

import numpy as np

from minids import Recognizer, ctc_loss, load_audio
from minids.lesson import check, data, listen, live, show, yours
from minids.lesson.figures.lattice import alignments
from minids.lesson.figures.lattice import lattice as draw_lattice

collapse = yours("collapse")
CAT, BLANK = [1, 2, 3], 0  # "cat" in the alphabet "–cat"
paths = [p for p in product(range(4), repeat=5) if list(collapse(np.array(p))) == CAT]
counts = [1, 2, 3, 5, 8, 14, 21, 28]
show(
    [alignments(paths, np.array([0, 1, 0, 2, 0, 3, 0]), "–cat", n) for n in counts],
    captions=[
        f"{n} of 28 alignments; each node counts those through it" for n in counts
    ],
    title="All alignments of 'cat' merge into one lattice",
)

# %% [markdown]
# An **alignment** of a text is a path, one output per frame, that collapses to the text
# (merge repeats, then remove blanks). In five frames "cat" has 28 alignments. Go to
# Start, and add one after the other: 28 paths with 140 outputs, but only 17 different
# nodes. All paths that have reached the a in frame 3 can continue in the same ways, no
# matter how they got there. This graph is the **lattice**.
#
# ## The rows: states
# Each row of the lattice is a **state**: how much of the text has been output. It is
# not the same as a character. The blank before the c and the blank after it are the
# same output, but after the second one the c is done. So the states are the letters,
# with a blank before, between and after them: – c – a – t –. A text of U letters has S
# = 2U + 1 states, and the letters are the states 1, 3, 5 … if we count from 0. (An
# empty text, for a recording of silence, has one state: the blank.)
#
# **Exercise 5.1** The states of a label (a text as numbers), each as its character.


# %%
def lattice(label):
    """(2U + 1,) array: blank, l_1, …, l_U, blank; the blank is 0.  About 3 lines."""
    raise NotImplementedError


lattice = check("5.1", lattice)

# %% [markdown]
# ## The edges: moves
# From one frame to the next a path can
#
# 1. **stay** in its state: the same output again, which will be merged;
# 2. **advance** to the next state;
# 3. **skip** the next state and move on by two.
#
# The third move is the subtle one. From a letter to the next letter, it skips the blank
# between them, which may be left out. From a blank to the next blank, it would skip a
# letter, which may not. And between two *equal* letters the blank may not be left out,
# either: "oo" without a blank between the two would be merged into one o. Nothing else
# distinguishes "too" from "to".
#
# A path starts in one of the first two states, and ends in one of the last two.
#
# **Exercise 5.2** Which states can be reached by a skip?


# %%
def skips(states):
    """(S,) bool: whether each state can be reached by a skip.  About 3 lines."""
    raise NotImplementedError


skips = check("5.2", skips)

# %%
for word, label in ("cat", [1, 2, 3]), ("too", [1, 2, 2]), ("tot", [1, 2, 1]):
    states, signs = lattice(label), ["–", *dict.fromkeys(word)]
    stars = ["*" * bool(skip) for skip in skips(states)]
    row = [signs[k] + star for k, star in zip(states, stars, strict=True)]
    print(f"{word}:", *row, "  (* can be reached by a skip)")

# %% [markdown]
# ## Count without listing
# The number of ways to a node is the sum of those to its predecessors:
#
# $$ n_t(s) = n_{t-1}(s) + n_{t-1}(s-1)
#   + n_{t-1}(s-2)\ \text{if } s \text{ allows a skip} $$
#
# In the first frame there is one way to state 0 and one to state 1 (which an empty text
# does not have). Go on frame by frame. This is **dynamic programming**: it computes a
# sum over all paths without listing them. (Mind s − 1 if s is 0: in Python the index −1
# is the last element.)
#
# **Exercise 5.3** The number of ways to each node, with your `skips`.


# %%
def count_ways(states, T):
    """n (T, S): the number of ways to be in state s at frame t.  About 7 lines."""
    raise NotImplementedError


count_ways = check("5.3", count_ways)

# %%
states = lattice(CAT)
n = count_ways(states, 5)
show(
    [draw_lattice(n, states, "–cat", now=t, total="21 + 7\n= 28") for t in range(5)],
    captions=[
        f"Frame {t + 1}: each node is the sum of its predecessors" for t in range(5)
    ],
    title="Counting frame by frame",
)
for T in 5, 10, 50, 100:
    ways = int(count_ways(states, T)[-1, -2:].sum())
    print(
        f"'cat' in {T:3} frames: {ways:13,} alignments, {7 * T:3} numbers in the table"
    )

# %% [markdown]
# (If no two neighbors are equal, there is a formula: $\binom{T+U}{T-U}$ alignments.)
#
# ## From counts to probabilities
# Not all paths are equally likely. The network computes, for each frame, the
# probability $y_t(k)$ of each character (lesson 2: $\hat y_{t,k}$). The probability of
# a path $\pi$ is the product over its frames, and that of a text $\ell$, given the
# sound x, is the sum over its paths:
#
# $$ p(\ell \mid x) =
#   \sum_{\pi\ \text{collapses to}\ \ell} \ \prod_{t=1}^{T} y_t(\pi_t) $$
#
# The same lattice computes it if each node is multiplied by $y_t$ of its character
# $\ell'_s$. The results are Graves' **forward variables**:
#
# $$ \alpha_t(s) = y_t(\ell'_s)\,[\alpha_{t-1}(s) + \alpha_{t-1}(s-1)
#   + \alpha_{t-1}(s-2)\ \text{if allowed}] $$
#
# Here is the lattice of "hi" in four frames, with α in its nodes. Below it are the
# probabilities, one bar for each frame and character. Point at a node to see its sum.
# For example, frame 3, state i: the predecessors add up to 0.24 + 0.42 + 0.07 = 0.73, y
# is 0.6 for i, and 0.6 · 0.73 = 0.438. The last two nodes add up to p(hi) = 0.478. Then
# drag a bar, or type another word. (β and γ are explained in lesson 6.)

# %%
HI = [1, 2]
y = np.array([[1, 7, 2], [6, 3, 1], [2, 2, 6], [5, 1, 4]]) / 10  # (T, K), – h i
live.lattice("hi", frames=4, y=y)

# %% [markdown]
# ## Logarithms

# %%
print("0.5 ** 1000 =", 0.5**1000, "   0.5 ** 2000 =", 0.5**2000)

# %% [markdown]
# This shows a problem: a product of 2000 probabilities **underflows** to 0. So the
# table holds log α. Products become sums, and a sum becomes `np.logaddexp(a, b)`, which
# computes $\log(e^a + e^b)$ without overflow or underflow. The logarithm of 0 is
# `-np.inf`, a valid argument.
#
# **Exercise 5.4** The forward variables, as logarithms. Start from your `count_ways`.


# %%
def forward_variables(log_y, states):
    """log α (T, S) of log_y (T, K): all ways to be in s at frame t.  About 9 lines."""
    raise NotImplementedError


forward_variables = check("5.4", forward_variables)

# %%
states = lattice(HI)
alpha = np.exp(forward_variables(np.log(y), states))  # (T, S)
factors, total = y[:, states], f"p(hi)\n= {alpha[-1, -2:].sum():.3f}"
show(
    [draw_lattice(alpha, states, "–hi", t, False, factors, total) for t in range(4)],
    captions=[f"Frame {t + 1}: the sum of the predecessors, times y" for t in range(4)],
    title="The forward variables, frame by frame",
)

# %% [markdown]
# ## The loss
# Training increases the probability of the correct text. The **CTC loss** is its
# negative logarithm (the last two states, S − 2 and S − 1, can be the end; an empty
# text has only one):
#
# $$ L = -\log\,[\alpha_T(S-1) + \alpha_T(S-2)] $$
#
# A text that does not fit has p = 0 and loss inf: if T < U, or if a repeated letter has
# no frame for the blank. "hh" in two frames is impossible. (Type it into the lattice
# above.) Now one real recording and several texts. The last column is
# [`ctc_loss`](../minids/ops/reference/ctc.py) of the package, which computes the same
# loss for a whole batch:


# %%
def log_prob(log_y, label):
    """log p(label|x), from the last two states of the last frame."""
    return np.logaddexp.reduce(forward_variables(log_y, lattice(label))[-1, -2:])


recognizer = Recognizer.load(data("digits.safetensors"))
samples, _ = load_audio(data("two_five.flac"), recognizer.features.rate)
log_y = recognizer.log_probs(samples).astype(float)  # (T, K)
T = len(log_y)
print("text        alignments     loss  of ctc_loss")
for text in "two five", "two nine", "to five", "five two", "two":
    label = recognizer.alphabet.encode(text)
    one = log_y[:, None], [T], [label], [len(label)]  # a batch of one recording
    (loss,), _ = ctc_loss(*one, backend="reference")
    ways, yours_ = math.comb(T + len(label), T - len(label)), -log_prob(log_y, label)
    print(f"{text:9} {ways:12.0e} {yours_:8.2f} {loss:12.2f}")
listen(data("two_five.flac"), log_probs=log_y, alphabet=recognizer.alphabet)

# %% [markdown]
# The text that was said has by far the smallest loss. (All have more alignments than
# anyone could list.) "to five" comes next: it leaves out one letter, which is not
# heard. "five two" has the same letters in another order, and no path that goes from
# left to right can make up for that.
#
# **What we have now**: the probability of a text, the sum over all its alignments,
# computed in T · S steps, and a loss that is small if the network is right. Nobody had
# to mark where the c was.
#
# **Next question**: the loss is too high. Which frames are responsible, and what should
# they have said? (Lesson 6.)
