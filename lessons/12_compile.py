# %% [markdown]
# # 12. Where does the time go, and what does Numba do about it?
# Everything so far was NumPy, and nobody looked at the clock. Let us look now: a whole
# training step, operation by operation, in the plain package and in the fast one.
#
# *You build* CTC's forward pass as plain loops, compiled to machine code, many utterances
# side by side. *You need* lesson 5 (the lattice) and 8 (batches).

# %%
import cProfile
import pstats
from functools import cache
from itertools import product
from timeit import repeat
from warnings import catch_warnings

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads  # noqa: F401 (prange: for you)
from numba.core.errors import NumbaError, NumbaWarning

from minids.lesson import exercise, show
from minids.lesson.figures.times import bars
from minids.ops import cpu, reference
from minids.ops.reference.ctc import forward_variables, lattice
from minids.text import BLANK, collapse
from minids.training.bench import bench

times = {name: bench(name, 256, batch=16, frames=60, steps=3).parts for name in ("reference", "cpu")}
plain, fast = times.values()
names = sorted(plain, key=plain.get, reverse=True)
rows = {backend: [1e3 * parts[name] for name in names] for backend, parts in times.items()}
show(bars(names, rows, "milliseconds, on this machine"), title="One training step")

# %% [markdown]
# Both do the same sums. Blue is Numba and BLAS, and *not always shorter*: a product of two
# large matrices (`affine`, `birnn`) NumPy hands to BLAS, machine code that others have honed
# for decades, and small work may not repay the waking of several threads. (Other programs
# disturb: run it twice.) But look at `ctc`: no product in it, and so much time. Where does it go?

# %%
rng = np.random.default_rng(12)


def crowd(T, B, K, U):
    """A batch: log_probs (T, B, K), lengths (B,), labels (B, U), label_lengths (B,)."""
    log_probs = reference.log_softmax_forward(rng.normal(size=(T, B, K)))
    text = T - np.arange(B) % 3, rng.integers(1, K, (B, U)), U - np.arange(B) % 2
    return log_probs, *(numbers.astype(np.int32) for numbers in text)


batch = crowd(T=150, B=16, K=29, U=30)
profile = cProfile.Profile()
profile.runcall(reference.ctc, *batch)
stats = pstats.Stats(profile).stats  # {(file, line, name): (_, calls, own seconds, …)}
print(f"{sum(row[1] for row in stats.values()):,} calls of a function, of which the most costly:")
for (_, _, name), row in sorted(stats.items(), key=lambda item: -item[1][2])[:4]:
    print(f"  {row[1]:7,} times {name.strip('<>'):40} {1e3 * row[2]:6.0f} ms")

# %% [markdown]
# Each frame of each utterance is a handful of calls, each on a row of S = 61 numbers. Does
# such a call pay? Ask the clock what `np.logaddexp` costs *for each number*:


# %%
def seconds(function, *arguments):
    """The least of a few runs, after a first one: other programs only ever add."""
    function(*arguments)
    return min(repeat(lambda: function(*arguments), number=1, repeat=5))


sizes = [1, 10, 61, 1000, 100_000]
price = [1e9 * seconds(np.logaddexp, np.zeros(n), np.zeros(n)) / n for n in sizes]
row, at_once = {"np.logaddexp": price}, [f"{n:,} at once" for n in sizes]
show(bars(at_once, row, "nanoseconds a number"), title="The more at once, the cheaper each")

# %% [markdown]
# A call has a fixed price, for looking at names, types and shapes and for making room. Large
# arrays share that price, a row of the lattice hardly can, and it cannot be made longer: the
# next frame needs this one first.
#
# ## Loops
# So away with the calls: loops over single numbers, which **Numba** makes machine code. It infers
# the type of every variable from those of the arguments, and compiles once for each set of types:


# %%
@njit
def log_add(a, b):
    """log(exp a + exp b), and -inf stands for log 0."""
    if b > a:
        a, b = b, a
    return a if b == -np.inf else a + np.log1p(np.exp(b - a))


print(f"{np.exp(log_add(np.log(0.25), np.log(0.5))):.4f} is a quarter and a half")
log_add(np.float32(0), np.float32(-1))
print("compiled:", *log_add.nopython_signatures, sep="\n  ")

# %% [markdown]
# Now you. Lesson 5's recursion, in the letters of the lattice $l'$ with $S = 2U + 1$ states:
#
# $$\alpha_t(s) = y_t(l'_s) \left[ \alpha_{t-1}(s) + \alpha_{t-1}(s-1)
#   + \alpha_{t-1}(s-2) \right]$$
#
# the last term only if $l'_s$ is no blank and differs from $l'_{s-2}$; in the first frame only
# the first two states (an empty text has only one). Everything as logarithms, a sum is
# `log_add`, a product `+`.
#
# Write it for the machine: two loops, single numbers, no slices. And beware: **compiled code
# does not check an index**. Past the end it reads what lies there, and -1 is the last one, as
# in Python. So the checker runs your function twice, first as Python, then compiled.

# %%
compiled = cache(njit)  # one compilation for each function


def both_ways(function, compiler, cases):
    """Checks of a function on {what: (arguments, expected)}: as Python, then as Numba compiles it."""
    for what, (arguments, expected) in cases.items():
        yield what, function(*arguments), expected
    with catch_warnings(action="error", category=NumbaWarning):
        try:
            compiler(function)(*arguments)
        except (NumbaError, NumbaWarning) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            yield "does Numba compile it", lines[lines[0].startswith("Failed")], "yes"
    for what, (arguments, expected) in cases.items():
        yield f"compiled: {what}", compiler(function)(*arguments), expected


def all_paths(log_y, label):
    """log p(label) from its definition: every path that collapses to it."""
    T, K = log_y.shape
    paths = [path for path in product(range(K), repeat=T) if [*collapse(path)] == [*label]]
    return np.logaddexp.reduce([log_y[np.arange(T), path].sum() for path in paths])


def check_forward():
    cases = {}
    for T, label in (4, [1]), (5, [1, 2]), (5, [2, 2]), (3, []), (800, [1, 1, 2, 1]):
        case = crowd(T, 1, 3, 1)[0][:, 0], lattice(label)
        if T < 10:
            got = np.logaddexp.reduce(forward(*case)[-1, -2:])
            yield f"all paths to {label}", got, all_paths(case[0], label)
        cases[f"T = {T}, states {case[1].tolist()}"] = case, forward_variables(*case)
    yield from both_ways(forward, compiled, cases)


@exercise(
    "12.1",
    check_forward,
    pure=False,
    hints=[
        "For all t, for all s: ways = …, and then alpha[t, s] = log_y[t, states[s]] + ways.",
        "In frame 0 ways is 0.0 (log 1) for s < 2, else -np.inf. Later it begins as alpha[t - 1, s].",
        "if s > 0: ways = log_add(ways, alpha[t - 1, s - 1]); if s > 1 and states[s] != BLANK and …",
    ],
)
def forward(log_y, states):
    """log α (T, S) of log_y (T, K) and the lattice's letters, states (S,).  About 12 lines."""
    raise NotImplementedError


# %%
log_y, states = batch[0][:, 0], lattice(batch[2][0])
forms = {
    "loops, Python": seconds(forward, log_y, states),
    "rows, NumPy": seconds(forward_variables, log_y, states),
    "loops, Numba": seconds(compiled(forward), log_y, states),
}
row = {"forward": [1e6 * s for s in forms.values()]}
slow = "Loops are the slowest way to say it to Python, and the fastest to a compiler."
show(bars([*forms], row, "microseconds an utterance"), captions=[slow])

# %% [markdown]
# ## Many at once
# Utterances know nothing of each other. So each core may take some: `prange` is a `range`
# whose turns run at the same time, in threads, in any order. All threads see the same
# memory. That is safe as long as **no turn writes where another reads or writes**: each has
# arrays of its own, and its own place in the result.

# %%
fast_forward, parallel = compiled(forward), cache(njit(parallel=True))


@njit
def fast_lattice(label):
    states = np.full(2 * len(label) + 1, BLANK)
    for u, letter in enumerate(label):  # states[1::2] = label takes Numba two seconds to compile
        states[2 * u + 1] = letter
    return states


def check_losses():
    batches = crowd(7, 1, 3, 2), crowd(9, 5, 4, 3)
    cases = {f"lengths {one[1].tolist()}": (one, reference.ctc(*one)[0]) for one in batches}
    yield from both_ways(losses, parallel, cases)


@exercise(
    "12.2",
    check_losses,
    pure=False,
    hints=[
        "result = np.empty(B), and in turn b only result[b] is written.",
        "An utterance's own part: log_probs[: lengths[b], b] and labels[b, : label_lengths[b]].",
        "alpha = fast_forward(…, fast_lattice(…)); result[b] = -log_add(alpha[-1, -1], alpha[-1, -2])",
    ],
)
def losses(log_probs, lengths, labels, label_lengths):
    """-log p(text), no text is empty, of all (B,): a loop over `prange(B)`.  About 6 lines."""
    raise NotImplementedError


# %%
forms = {"reference, with gradient": seconds(reference.ctc, *batch)}
for cores in 1, get_num_threads():
    set_num_threads(cores)
    forms[f"loops, cores: {cores}"] = seconds(parallel(losses), *batch)
forms["the package, with gradient"] = seconds(cpu.ctc, batch[0].astype(np.float32), *batch[1:])
row = {"ctc": [1e3 * s for s in forms.values()]}
show(bars([*forms], row, "milliseconds a batch of 16"), title="The price of a loss")

# %% [markdown]
# How? Read `minids/ops/cpu/ctc.py`. It counts in float32, so that a vector instruction does 8
# or 16 states at once; for that its inner loop has no `if` (a forbidden skip adds log 0), and
# `exp` and `log` are short polynomials. What it must not do is answer differently:

# %%
exact, quick = reference.ctc(*batch), cpu.ctc(batch[0].astype(np.float32), *batch[1:])
apart = abs(quick[0] / exact[0] - 1).max(), abs(quick[1] - exact[1]).max()
print(f"losses differ by {apart[0]:.0e} of themselves, gradients by {apart[1]:.0e} of at most 1")

# %% [markdown]
# ## What is it worth?
# Making a part that takes the share $p$ of the time $f$ times as fast makes the whole
#
# $$\frac{1}{1 - p + p/f} \text{ times as fast, never more than } \frac{1}{1 - p} \text{ (Amdahl).}$$

# %%
for name in names[:4]:
    share, f = plain[name] / sum(plain.values()), plain[name] / fast[name]
    whole = 1 / (1 - share + share / f)
    print(f"{name:16} {share:4.0%} of the time, {f:4.1f} times as fast: the step {whole:.2f} times")

# %% [markdown]
# So look where the time goes *before* you write anything fast, and again afterwards. In a
# network of the paper's size (`minids bench --hidden 2048`) products are nearly everything.
#
# **What we have now**: loops at the machine's own speed, on all cores, and what it is worth.
#
# **Next question**: a processor has a few cores. What if there were ten thousand?
