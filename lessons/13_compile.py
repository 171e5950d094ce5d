# %% [markdown]
# # 13. Where does the time go, and what does Numba do about it?
# So far everything was NumPy, and we never looked at the clock. Let us do that now, for
# a whole training step, operation by operation, with the reference backend and with the
# fast one.
#
# *You build* CTC's forward pass as plain loops, compiled to machine code, with several
# utterances in parallel. *You need* lesson 5 (the lattice) and lesson 8 (batches).

# %%
import cProfile
import pstats
from timeit import repeat

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads  # noqa: F401

from minids import ops
from minids.lesson import check, show, yours
from minids.lesson.compiled import compiled, in_python
from minids.lesson.figures.times import bars
from minids.text import BLANK
from minids.training.bench import bench

reference, cpu = ops.load("reference"), ops.load("cpu")


def step_times(backend):
    """{operation: seconds} of one training step, the better of two."""
    runs = [bench(backend, 256, batch=16, frames=60, steps=1).parts for _ in range(2)]
    return {name: min(run[name] for run in runs) for name in runs[0]}


plain, fast = step_times(reference), step_times(cpu)
names = sorted(plain, key=plain.get, reverse=True)
rows = {"reference": [1e3 * plain[name] for name in names]}
rows["cpu"] = [1e3 * fast[name] for name in names]
show(bars(names, rows, "milliseconds"), title="One training step, on this machine")
gain = {name: plain[name] / fast[name] for name in names}
most, least = max(gain, key=gain.get), min(gain, key=gain.get)
print(f"cpu: {most} {gain[most]:.2g} times as fast, {least} {gain[least]:.2g} times")

# %% [markdown]
# These are the times of the machine that ran this lesson. They differ from machine to
# machine and from run to run, because other programs disturb them. So no sentence below
# depends on them: the program prints what it has measured.
#
# Both backends compute the same sums. The second one uses **Numba**, which compiles
# Python, and BLAS, the library for products of matrices. NumPy passes large products to
# BLAS, too, so in `affine` and `birnn` Numba can save only what surrounds the products
# (the bias, the clip, temporary arrays); and for little work, starting several threads
# may cost more than they save. We look at `ctc`, which contains no large product. Where
# does plain NumPy spend the time?

# %%
rng = np.random.default_rng(12)


def random_batch(T, B, K, U):
    """log_probs (T, B, K), lengths (B,), labels (B, U), label_lengths (B,)."""
    log_probs = reference.log_softmax_forward(rng.normal(size=(T, B, K)))
    texts = T - np.arange(B) % 3, rng.integers(1, K, (B, U)), U - np.arange(B) % 2
    return log_probs, *(numbers.astype(np.int32) for numbers in texts)


batch = random_batch(T=150, B=16, K=29, U=30)
profile = cProfile.Profile()
profile.runcall(reference.ctc, *batch)
stats = pstats.Stats(profile).stats  # {(file, line, name): (_, calls, own seconds, …)}
print(f"{sum(row[1] for row in stats.values()):,} function calls; the most expensive:")
for (_, _, name), row in sorted(stats.items(), key=lambda item: -item[1][2])[:4]:
    print(f"  {row[1]:7,} calls of {name.strip('<>'):40} {1e3 * row[2]:6.0f} ms")

# %% [markdown]
# Each frame of each utterance needs a few calls, each for a row of S = 61 numbers. Is
# that enough work for a call? Let us measure what `np.logaddexp` costs *per number*:


# %%
def seconds(function, *arguments):
    """The shortest of five runs after a first one: others can only make it slower."""
    function(*arguments)
    return min(repeat(lambda: function(*arguments), number=1, repeat=5))


sizes = [1, 10, 61, 1000, 100_000]
price = [1e9 * seconds(np.logaddexp, np.zeros(n), np.zeros(n)) / n for n in sizes]
row, labels = {"np.logaddexp": price}, [f"{n:,} at once" for n in sizes]
show(bars(labels, row, "nanoseconds per number"), title="The price per number")
print(f"one number alone costs {price[0] / price[-1]:.0f} times as much as in an array")

# %% [markdown]
# Every call has a fixed cost: NumPy looks up names, types and shapes and allocates the
# result. In a large array this cost is spread over many numbers, in a row of the
# lattice it is not. And we cannot process several rows at once, because each frame
# needs the previous one.
#
# ## Loops
# So let us avoid the calls and write loops over single numbers. Numba compiles them to
# machine code. It infers the type of every variable from the types of the arguments,
# and compiles the function once for each combination of them:


# %%
@njit
def log_add(a, b):
    """log(exp a + exp b); -inf stands for log 0."""
    if b > a:
        a, b = b, a
    return a if b == -np.inf else a + np.log1p(np.exp(b - a))


print(f"a quarter plus a half is {np.exp(log_add(np.log(0.25), np.log(0.5))):.4f}")
log_add(np.float32(0), np.float32(-1))
print("compiled for:", *log_add.nopython_signatures, sep="\n  ")

# %% [markdown]
# Now it is your turn: lesson 5's recursion over the lattice $l'$ of $S$ states:
#
# $$\alpha_t(s) = y_t(l'_s) \left[ \alpha_{t-1}(s) + \alpha_{t-1}(s-1)
#   + \alpha_{t-1}(s-2) \right]$$
#
# The last term is there only if $l'_s$ is not a blank and differs from $l'_{s-2}$. In
# the first frame only the first two states are possible (an empty text has only one).
# Use logarithms: a sum is `log_add`, a product is `+`.
#
# Be careful: **compiled code does not check indices.** Beyond the end of an array it
# reads whatever is in memory there, and -1 is the last element, as in Python. So the
# check first runs your function as Python, then compiled. (It adds `@njit` itself.)
#
# **Exercise 13.1** Two loops over single numbers, without slices.


# %%
def forward_loops(log_y, states):
    """log α (T, S) for log_y (T, K) and the letters of the lattice, states (S,).

    About 12 lines.
    """
    raise NotImplementedError


forward_loops = check("13.1", forward_loops)

# %%
lattice, forward_variables = yours("lattice", "forward_variables")
log_y, states = batch[0][:, 0], np.asarray(lattice(batch[2][0].tolist()))
forms = {
    "loops, Python": seconds(in_python(forward_loops), log_y, states),
    "rows, NumPy": seconds(forward_variables, log_y, states),
    "loops, Numba": seconds(compiled(forward_loops), log_y, states),  # by njit, once
}
row = {"forward": [1e6 * s for s in forms.values()]}
show(bars([*forms], row, "microseconds"), title="The same recursion, three times")
python, rows, numba = forms.values()
print(f"times as fast as rows: Python {rows / python:.2g}, Numba {rows / numba:.2g}")

# %% [markdown]
# Single numbers are the slowest thing to give to Python, and the easiest to give to a
# compiler.
#
# ## In parallel
# Utterances do not depend on each other, so every core can take some of them. `prange`
# is a `range` whose turns run in several threads, in any order. All threads use the
# same memory. This is safe as long as **no turn writes where another turn reads or
# writes**: each needs its own arrays, made inside the loop, and its own element of the
# result. Everything else is a **data race**: the result depends on who comes first.
# Often it looks right for a thousand runs. The check runs the turns one by one, from
# the last to the first, and watches what each of them changes.
#
# **Exercise 13.2** The losses of a batch. In the loop, use `fast_lattice` and
# `fast_forward`, your loops compiled.

# %%
fast_forward = compiled(forward_loops)


@njit
def fast_lattice(label):
    states = np.full(2 * len(label) + 1, BLANK)
    for u, letter in enumerate(label):  # Numba compiles a slice in two more seconds
        states[2 * u + 1] = letter
    return states


def batch_losses(log_probs, lengths, labels, label_lengths):
    """-log p(text) (B,) in a loop over `prange(B)`; no text is empty.

    log_probs (T, B, K), lengths (B,), labels (B, U), label_lengths (B,).
    About 6 lines.
    """
    raise NotImplementedError


batch_losses = check("13.2", batch_losses)

# %%
parallel = compiled(batch_losses, parallel=True)  # njit(parallel=True)
forms = {"reference, with gradient": seconds(reference.ctc, *batch)}
for cores in sorted({1, get_num_threads()}):
    set_num_threads(cores)
    forms[f"your loops, cores: {cores}"] = seconds(parallel, *batch)
in_float32 = batch[0].astype(np.float32), *batch[1:]
forms["the package, with gradient"] = seconds(cpu.ctc, *in_float32)
row = {"ctc": [1e3 * s for s in forms.values()]}
show(bars([*forms], row, "milliseconds per batch"), title="CTC for 16 utterances")
_, one, *several, _ = forms.values()
print(
    f"{get_num_threads()} cores: {one / (several or [one])[0]:.2g} times as fast as one"
)

# %% [markdown]
# How does the package do it? Read `minids/ops/cpu/ctc.py`. It computes in float32, so
# that one vector instruction handles 8 or 16 states. To make that possible its inner
# loop has no `if` (a forbidden skip adds log 0), and `exp` and `log` are short
# polynomials. The results must agree:

# %%
exact, approximate = reference.ctc(*batch), cpu.ctc(*in_float32)
loss_error = abs(approximate[0] / exact[0] - 1).max()
gradient_error = abs(approximate[1] - exact[1]).max()
print(
    f"relative error of losses {loss_error:.0e}, gradients off by {gradient_error:.0e}"
)

# %% [markdown]
# ## How much does it help?
# A part takes the share $p$ of the time. If it becomes $f$ times as fast, the whole
# becomes $1 / (1 - p + p/f)$ times as fast, and never more than $1 / (1 - p)$ times
# (**Amdahl's law**).

# %%
for name in names[:4]:
    p, f = plain[name] / sum(plain.values()), gain[name]
    whole = 1 / (1 - p + p / f)
    print(f"{name:16} {p:4.0%} of the time, {f:4.1f} times: the step {whole:.2f} times")

# %% [markdown]
# So measure *before* you optimize anything, and measure again afterwards. `minids bench
# --hidden 2048` measures a network of the paper's size: the wider the layers, the
# larger the share of the products.
#
# **What we have now** Loops at the speed of the machine, on all cores, and a rule for
# how much that gains in total.
#
# **Next question** What does it take to train a recognizer that people can use?
