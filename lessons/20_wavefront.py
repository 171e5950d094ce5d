# %% [markdown]
# # 20. What cannot be parallel, and what can?
# In a layer all numbers can be computed at the same time. But the recurrence and CTC's
# lattice go through time, and each frame needs the one before it. No number of threads
# changes that.
#
# *You build* the recurrence with one barrier per frame, and CTC's forward pass with one
# thread per state. *You need* lesson 18 (`pip install greenlet`), and for what is
# computed lessons 4 and 5: your functions from there judge the kernels.

# %%
import numpy as np

import minids
from minids.lesson import check, data, gpu, listen, show, yours
from minids.lesson.figures.times import bars
from minids.lesson.figures.wavefront import occupancy, wavefront
from minids.lesson.gpu import cuda, empty, float32, run, trace  # noqa: F401
from minids.model import ModelSettings
from minids.ops.cuda.ctc import log_sum  # noqa: F401
from minids.ops.cuda.ladder import recurrence

recur, lattice = yours("recur", "lattice")
skips, forward_variables = yours("skips", "forward_variables")
H, B, T, S = 2048, 32, 400, 121  # the paper's width; 32 texts of 60 letters
parallel = T * B * H, B * H * 2, B * S  # frames, utterances, units, directions, states
sequential = 1, T, 2 * T
counts = {"numbers at once": parallel, "steps in a row": sequential}
show(
    bars(["layer", "recurrence", "CTC"], counts, "count"),
    title="How many numbers can be computed at once, and in how many steps",
)

# %% [markdown]
# These numbers are counted, not timed. More threads do not reduce the number of
# sequential steps. A GPU can only compute many numbers in each step, and wait little
# between two steps.
#
# ## The recurrence, one thread per unit
#
# $$h_t = g(z_t + W_r h_{t-1}), \qquad g(z) = \min\{\max\{0, z\}, 20\}$$
#
# Utterances are independent, so each gets a **block**. The units of one frame are
# independent, too, so each gets a **thread**. All threads read the previous state from
# shared memory. Here is the shortest kernel that does so:

# %%
print(gpu.source(recurrence))

rng = np.random.default_rng(20)
z, lengths = rng.normal(2, 1, (5, 3, 4)), np.array([5, 2, 4])  # 5 frames, 3 utterances
Wr, Wr_b = rng.normal(size=(2, 4, 4))
launch = 3, 4, z, Wr, lengths, np.zeros(z.shape)
h = run(recurrence, *launch)[-1]
for b, n in enumerate(lengths):
    print("equal to yours:", np.allclose(h[:n, b], recur(z[:n, b : b + 1], Wr)[:, 0]))

# %% [markdown]
# It has a barrier before the loop and two in it. Is each of them necessary? Let us
# remove each in turn and see:

# %%
for n, found in enumerate(gpu.without_each_barrier(recurrence, *launch)):
    print(f"without barrier {n}: {found}")

# %% [markdown]
# Each is. On a GPU a missing barrier raises no error, and most of the time the result
# is even correct. The simulator notes which thread has accessed what since the last
# barrier, so it finds a race even if it did no harm this time.
#
# But a barrier costs time: all wait for the slowest. The first barrier of the loop
# protects the *old* state, which is still being read, from the new one. So let them lie
# in different places: two rows of shared memory that take turns. Then no thread
# overwrites what another still reads, and one barrier is enough.
#
# **Exercise 20.1** The recurrence with two rows and one barrier per frame.

# %%
UNITS, ZERO, CLIP = 4, np.float32(0), np.float32(20)


def recurrence_in_two_rows(z, Wr, lengths, h):
    """z, h (T, B, UNITS), lengths (B,); B blocks of UNITS threads.  About 12 lines."""
    raise NotImplementedError


recurrence_in_two_rows = check("20.1", recurrence_in_two_rows)

# %% [markdown]
# Two rows that take turns are called **double buffering**. The package's product does
# the same with three slices, and the lattice will do it with its frames.
#
# For the paper's width this kernel is far too simple: $W_r$ takes 16 MB, and a block
# can have neither 2048 threads nor 16 MB of shared memory. So in
# `minids/ops/cuda/birnn_kernels.py` each block owns a few *units* of all utterances,
# and keeps their rows of $W_r$ in registers and shared memory from the first frame to
# the last. With 32 units each, 64 blocks are one direction, so both run at once on an
# H200, which has 132 multiprocessors. Between two frames all blocks of a direction wait
# for each other, but not for the other direction, as they would at CUDA's barrier of
# the whole grid. So the package has its own (`barrier.py`): `arrive` counts a block in
# global memory, and `wait` reads the count until all have arrived.
#
# ## The lattice, one thread per state
# Block b computes utterance b, and its thread s the state s (lesson 5):
#
# $$\alpha_t(s) = y_t(l'_s) \left[ \alpha_{t-1}(s) + \alpha_{t-1}(s-1)
#   + \alpha_{t-1}(s-2) \text{ if the skip is allowed} \right]$$
#
# You have written this before, so the kernel is not given letters but what follows from
# them: `log_y[b, t, s]`, the log-probability of the state's character, and `skip[b,
# s]`, which is 0 where a skip to s is allowed and `LOG0` elsewhere, to be *added*:
# adding $\log 0$ closes that way. `log_sum(a, b, c)` adds three numbers that are
# logarithms. `LOG0` is finite, because $\infty - \infty$ is not a number.
#
# What is new: some texts are short, so some threads have no state, and some blocks end
# early. That is no problem as long as *all threads of a block* reach each barrier. And
# a thread must write nothing that lies outside its lattice.
#
# **Exercise 20.2** The forward pass. Write log α to `alpha[b, t, s]`, for the
# `lengths[b]` frames and `sizes[b]` states of utterance b only.

# %%
LOG0 = np.float32(-1e30)


def walk(log_y, skip, lengths, sizes, alpha):
    """log_y, alpha (B, T, S), skip (B, S); B blocks of S threads.  About 14 lines."""
    raise NotImplementedError


walk = check("20.2", walk)


# %%
def lattices(log_probs, labels, lengths):
    """What `walk` takes, for log_probs (T, B, K): log_y (B, T, S), skip (B, S), …"""
    rows = [lattice(label) for label in labels]
    sizes = np.array([len(states) for states in rows])
    states = np.array([np.pad(row, (0, sizes.max() - len(row))) for row in rows])
    skip = np.array([np.where(skips(row), 0, LOG0) for row in states])
    log_y = np.take_along_axis(log_probs.transpose(1, 0, 2), states[:, None], axis=2)
    return log_y, skip, np.array(lengths), sizes


y = rng.dirichlet(np.ones(4), (8, 3))  # (T, B, K)
batch = lattices(np.log(y), [[1, 2, 2], [1], []], [8, 6, 3])  # "see", "s", and silence
with trace() as accesses:
    alpha = run(walk, 3, 7, *batch, empty(3, 8, 7))[-1]
in_alpha = [a for a in accesses if a.array == "alpha"]
see = [a for a in in_alpha if a.block[0] == 0]
show(
    [wavefront(see, alpha[0], "–s–e–e–", upto=t) for t in range(8)],
    captions=[f"Frame {t}: log α of all states at once" for t in range(8)],
    title="A block computes the lattice of “see”",
)
show(occupancy(in_alpha, 3, 7), title="Which threads work between which barriers")

# %% [markdown]
# The arrows are the reads of the kernel. At each dashed line all threads wait for each
# other. The second picture shows the cost: some threads have no state, and some blocks
# ended long ago. Batches of similar lengths (lesson 8) waste less on a GPU, too.
#
# Here is a recording with the network of lesson 2. Your kernel and your function of
# lesson 5 give the same loss:

# %%
recognizer = minids.Recognizer.load(data("digits.safetensors"))
log_probs = recognizer.log_probs(minids.load_audio(data("two_five.flac"))[0])  # (T, K)
label = recognizer.alphabet.encode("two five")
listen(data("two_five.flac"), log_probs=log_probs, alphabet=recognizer.alphabet)

T = len(log_probs)
batch = lattices(log_probs[:, None], [label], [T])
alpha = run(walk, 1, int(batch[-1][0]), *batch, empty(*batch[0].shape))[-1][0]
truth = forward_variables(log_probs, lattice(label))
for name, log_alpha in ("kernel", alpha), ("forward_variables", truth):
    print(f"{T} frames, {name}: loss {-np.logaddexp(*log_alpha[-1, -2:]):.4f}")

# %% [markdown]
# Now read `minids/ops/cuda/ctc.py`. It differs in four ways: two rows take turns in
# place of all of α; for a long text each thread has several states; a thread loads its
# next `log_y` before it computes; and β uses the same loop, because a lattice reversed
# is again a lattice.
#
# ## What the paper does
# The paper makes the steps **wider**: with many utterances in a batch, $W_r h_{t-1}$
# becomes a product of matrices (§3.1). It takes **fewer** of them: only every second
# frame (§3.3). And it uses more machines, which share the **utterances**: each computes
# gradients, all add them up, and all make the same update (§3.1). Two machines can even
# share the **time** (§3.2), one for each half of the frames. Each starts with the
# direction that begins in its half; in the middle they exchange states and compute the
# other direction:
#
#     first half    hf_1 → … → hf_m ──╮ ╭─▶ hb_m → … → hb_1
#                                      ╳
#     second half   hb_T → … → hb_m+1 ─╯ ╰─▶ hf_m+1 → … → hf_T


# %%
def from_state(z, Wr, before, reverse=False):
    """recur from the state `before` (B, H) on: it becomes a part of the first z."""
    z = z[::-1].copy() if reverse else z.copy()
    z[0] += before @ Wr.T
    return recur(z, Wr)[::-1] if reverse else recur(z, Wr)


m, zero = 3, np.zeros(z.shape[1:])
f1 = from_state(z[:m], Wr, zero)  # and at the same time, on the other machine:
b2 = from_state(z[m:], Wr_b, zero, reverse=True)
b1 = from_state(z[:m], Wr_b, b2[0], reverse=True)  # again at the same time:
f2 = from_state(z[m:], Wr, f1[-1])
whole = from_state(z, Wr, zero) + from_state(z, Wr_b, zero, reverse=True)
same = np.allclose(np.concatenate([f1 + b1, f2 + b2]), whole)
print("the two halves equal the whole:", same)

# %% [markdown]
# Each sends one state to the other, however long the sound is; for the gradients it is
# the same. With `mpiexec -n 2 minids train mine.toml` two processes share every batch,
# and with `--split-time` they share the time; see `minids/training/parallel.py`.
#
# ## A training step
# `minids train mine.toml --backend cuda` trains on a GPU. Here is one batch through a
# tiny network and back, in the simulator and in the reference:

# %%
x, sizes = rng.normal(size=(6, 2, 3)).astype(np.float32), np.array([6, 4], np.int32)
labels, letters = np.array([[1, 2], [3, 0]], np.int32), np.array([2, 1], np.int32)
tiny, grads = ModelSettings(inputs=3, characters=4, hidden=8, context=1, dropout=0), {}
for name in "reference", "cuda":
    model = minids.DeepSpeech(tiny, backend=name)
    with gpu.launches() as kernels:
        losses = model.loss_and_grad(x, sizes, labels, letters)
    grads[name] = model.ops.arrays.to_host(model.flat_grads)
    print(f"{name:10} losses {losses}")
print(f"gradients differ by {abs(grads['cuda'] - grads['reference']).max():.0e}")
print("kernels:", *sorted({name for name, _ in kernels}))

# %% [markdown]
# Together with `norm`, `nesterov` and, for large sums, `add_splits` these are all
# kernels of a training step. How fast are they? We do not know: they have been
# simulated, with each barrier removed to see that it is needed, compiled for GPUs from
# Volta to Blackwell, and run on a CPU as compiled, but **not yet on a GPU**. If you
# have one, try `minids check --backend cuda`, then `python -m benchmarks.gpu`.
#
# **What we have now**: the network three times: as formulas, fast on a CPU, and for a
# GPU.
#
# **Next question**: must a layer make all of its multiplications?
