# %% [markdown]
# # 12. Where does the time go, and what does Numba do about it?
# So far everything was NumPy, and we never looked at the clock. Let us do that now, for a whole
# training step, operation by operation, with the reference backend and with the fast one.
#
# *You build* CTC's forward pass as plain loops, compiled to machine code, with several
# utterances in parallel. *You need* lesson 5 (the lattice) and lesson 8 (batches).

# %%
import cProfile
import pstats
from functools import cache
from itertools import product
from timeit import repeat

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads  # noqa: F401 (prange: for you)

from minids import ops
from minids.lesson import exercise, show
from minids.lesson.compiled import check_compiled
from minids.lesson.figures.times import bars
from minids.ops.reference.ctc import forward_variables, lattice
from minids.text import BLANK, collapse
from minids.training.bench import bench

reference, cpu = ops.load("reference"), ops.load("cpu")
times = {b.name: bench(b, 256, batch=16, frames=60, steps=3).parts for b in (reference, cpu)}
plain, fast = times.values()
names = sorted(plain, key=plain.get, reverse=True)
rows = {backend: [1e3 * parts[name] for name in names] for backend, parts in times.items()}
show(bars(names, rows, "milliseconds, on this machine"), title="One training step")

# %% [markdown]
# Both backends compute the same sums. The second one uses Numba and BLAS, and it is not faster
# everywhere: NumPy passes the product of two large matrices (`affine`, `birnn`) to BLAS, too,
# and for little work it costs more to start several threads than they save. (Other programs
# disturb the measurement; run it twice.) We look at `ctc`, whatever its share of the step is
# on your machine: it contains no large product, so that BLAS cannot help. Where does plain NumPy
# spend the time?

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
print(f"{sum(row[1] for row in stats.values()):,} function calls; the most expensive functions:")
for (_, _, name), row in sorted(stats.items(), key=lambda item: -item[1][2])[:4]:
    print(f"  {row[1]:7,} calls of {name.strip('<>'):40} {1e3 * row[2]:6.0f} ms")

# %% [markdown]
# Each frame of each utterance needs a few calls, each for a row of S = 61 numbers. Is that
# enough work for a call? Let us measure what `np.logaddexp` costs *per number*:


# %%
def seconds(function, *arguments):
    """The shortest of five runs after a first one: other programs can only make it slower."""
    function(*arguments)
    return min(repeat(lambda: function(*arguments), number=1, repeat=5))


sizes = [1, 10, 61, 1000, 100_000]
price = [1e9 * seconds(np.logaddexp, np.zeros(n), np.zeros(n)) / n for n in sizes]
row, labels = {"np.logaddexp": price}, [f"{n:,} at once" for n in sizes]
show(bars(labels, row, "nanoseconds per number"), title="A call is cheaper for many numbers")

# %% [markdown]
# Every call has a fixed cost: NumPy looks up names, types and shapes and allocates the result.
# In a large array this cost is spread over many numbers, in a row of the lattice it is not. And
# we cannot process several rows at once, because each frame needs the previous one.
#
# ## Loops
# So let us avoid the calls and write loops over single numbers. **Numba** compiles them to
# machine code. It infers the type of every variable from the types of the arguments, and
# compiles the function once for each combination of them:


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
# Now it is your turn. This is lesson 5's recursion over the lattice $l'$ of $S = 2U + 1$ states:
#
# $$\alpha_t(s) = y_t(l'_s) \left[ \alpha_{t-1}(s) + \alpha_{t-1}(s-1)
#   + \alpha_{t-1}(s-2) \right]$$
#
# The last term is there only if $l'_s$ is not a blank and differs from $l'_{s-2}$. In the first
# frame only the first two states are possible (an empty text has only one). Use logarithms: a
# sum is `log_add`, a product is `+`.
#
# Write two loops over single numbers, without slices. And be careful: **compiled code does not
# check indices.** Beyond the end of an array it reads whatever is in memory there, and -1 is
# the last element, as in Python. So the checker first runs your function as Python, then compiled.

# %%
compiled = cache(njit)  # compiles each function only once


def all_paths(log_y, label):
    """log p(label) by its definition: a sum over every path that collapses to it."""
    T, K = log_y.shape
    paths = [path for path in product(range(K), repeat=T) if [*collapse(path)] == [*label]]
    return np.logaddexp.reduce([log_y[np.arange(T), path].sum() for path in paths])


def check_forward():
    cases = {}
    for T, label in (4, [1]), (5, [1, 2]), (5, [2, 2]), (3, []), (800, [1, 1, 2, 1]):
        case = random_batch(T, 1, 3, 1)[0][:, 0], lattice(label)
        if T < 10:
            got = np.logaddexp.reduce(forward(*case)[-1, -2:])
            yield f"log p of {label} in {T} frames", got, all_paths(case[0], label)
        cases[f"T = {T}, states {case[1].tolist()}"] = case, forward_variables(*case)
    yield from check_compiled(forward, compiled, cases)


@exercise("12.1", check_forward, pure=False)
def forward(log_y, states):
    """log α (T, S) for log_y (T, K) and the letters of the lattice, states (S,).  About 12 lines."""
    raise NotImplementedError


# %%
log_y, states = batch[0][:, 0], lattice(batch[2][0])
forms = {
    "loops, Python": seconds(forward, log_y, states),
    "rows, NumPy": seconds(forward_variables, log_y, states),
    "loops, Numba": seconds(compiled(forward), log_y, states),
}
row = {"forward": [1e6 * s for s in forms.values()]}
show(bars([*forms], row, "microseconds per utterance"), title="The same recursion, three times")

# %% [markdown]
# Single numbers are the slowest thing to give to Python, and the easiest to give to a compiler.
#
# ## In parallel
# Utterances do not depend on each other, so every core can take some of them. `prange` is a
# `range` whose turns run in several threads, in any order. All threads use the same memory.
# This is safe as long as **no turn writes where another turn reads or writes**: each needs its
# own arrays, made inside the loop, and its own element of the result.

# %%
fast_forward, parallel = compiled(forward), cache(njit(parallel=True))


@njit
def fast_lattice(label):
    states = np.full(2 * len(label) + 1, BLANK)
    for u, letter in enumerate(label):  # states[1::2] = label takes Numba two seconds to compile
        states[2 * u + 1] = letter
    return states


def check_losses():
    batches = random_batch(7, 1, 3, 2), random_batch(9, 5, 4, 3)
    cases = {f"lengths {b[1].tolist()}": (b, reference.ctc(*b)[0]) for b in batches}
    yield from check_compiled(losses, parallel, cases)


@exercise("12.2", check_losses, pure=False)
def losses(log_probs, lengths, labels, label_lengths):
    """-log p(text) (B,) in a loop over `prange(B)`; no text is empty.  About 6 lines."""
    raise NotImplementedError


# %%
forms = {"reference, with gradient": seconds(reference.ctc, *batch)}
for cores in 1, get_num_threads():
    set_num_threads(cores)
    forms[f"loops, cores: {cores}"] = seconds(parallel(losses), *batch)
forms["the package, with gradient"] = seconds(cpu.ctc, batch[0].astype(np.float32), *batch[1:])
row = {"ctc": [1e3 * s for s in forms.values()]}
show(bars([*forms], row, "milliseconds per batch of 16"), title="CTC for a batch")

# %% [markdown]
# How does the package do it? Read `minids/ops/cpu/ctc.py`. It computes in float32, so that one
# vector instruction handles 8 or 16 states. To make that possible its inner loop has no `if` (a
# forbidden skip adds log 0), and `exp` and `log` are short polynomials. The results must agree:

# %%
exact, approximate = reference.ctc(*batch), cpu.ctc(batch[0].astype(np.float32), *batch[1:])
loss_error = abs(approximate[0] / exact[0] - 1).max()
gradient_error = abs(approximate[1] - exact[1]).max()
print(f"relative error of the losses {loss_error:.0e}, error of the gradients {gradient_error:.0e}")

# %% [markdown]
# ## How much does it help?
# A part takes the share $p$ of the time. If it becomes $f$ times as fast, the whole becomes
#
# $$\frac{1}{1 - p + p/f} \text{ times as fast, and never more than } \frac{1}{1 - p} \text{ (Amdahl).}$$

# %%
for name in names[:4]:
    p, f = plain[name] / sum(plain.values()), plain[name] / fast[name]
    whole = 1 / (1 - p + p / f)
    print(f"{name:16} {p:4.0%} of the time, {f:4.1f} times as fast: the step {whole:.2f} times")

# %% [markdown]
# So measure *before* you optimize anything, and measure again afterwards. In a network of the
# paper's size (`minids bench --hidden 2048`) nearly all of the time goes into products.
#
# **What we have now**: loops at the speed of the machine, on all cores, and a rule for how much
# that gains in total.
#
# **Next question**: a processor has a few cores. What if there were ten thousand?
