# %% [markdown]
# # 14. What cannot be parallel, and what can?
# In a layer all numbers can be computed at the same time. But CTC's lattice and the recurrence
# go through time, and each frame needs the previous one. No number of threads changes that.
#
# *You build* CTC's forward pass as a GPU kernel, with one thread per state and a barrier after
# each frame. *You need* lesson 5 (the lattice) and lesson 13 (threads; `pip install greenlet`).

# %%
import numpy as np

import minids
from minids.lesson import data, exercise, gpu, show
from minids.lesson.figures.times import bars
from minids.lesson.figures.wavefront import occupancy, wavefront
from minids.lesson.gpu import KernelError, cuda, empty, float32, run, trace
from minids.model import DeepSpeech, ModelSettings
from minids.ops import reference
from minids.ops.cuda.ctc import log_sum  # noqa: F401
from minids.ops.reference.birnn import rnn_forward
from minids.ops.reference.ctc import forward_variables, lattice
from minids.text import BLANK  # noqa: F401

H, B, T, S = 2048, 32, 400, 121  # the paper's width; 32 utterances of 8 seconds and 60 letters
operations = {
    "affine: frames, utterances, units": (T * B * H, 1),
    "recurrence: utterances, units, directions": (B * H * 2, T),
    "ctc: utterances, states": (B * S, 2 * T),
}
parallel, sequential = zip(*operations.values(), strict=True)
show(
    bars([*operations], {"numbers at once": parallel, "steps in a row": sequential}, "count"),
    captions=["How many numbers threads can compute at once, and in how many sequential steps."],
)

# %% [markdown]
# These numbers are counted, not timed. More threads do not reduce the number of sequential
# steps. A GPU can only compute many numbers in each step and wait little between two steps.
#
# ## The recurrence, one thread per unit
#
# $$h_t = g(z_t + W_r h_{t-1}), \qquad g(z) = \min\{\max\{0, z\}, 20\}$$
#
# Utterances are independent, so each gets a **block**. The units of one frame are independent,
# too, so each gets a **thread**. All threads read the previous state from shared memory, and
# each frame has two barriers. Are both necessary? Let us remove each of them and see:

# %%
UNITS, ZERO, CLIP = 4, np.float32(0), np.float32(20)


@cuda.jit
def recur(z, Wr, lengths, h):
    """Block b, thread u: unit u of utterance b in all its frames.  z, h (T, B, UNITS)."""
    state = cuda.shared.array(UNITS, float32)
    b, u = cuda.blockIdx.x, cuda.threadIdx.x
    state[u] = ZERO
    cuda.syncthreads()
    for t in range(lengths[b]):
        total = z[t, b, u]
        for k in range(UNITS):
            total += Wr[u, k] * state[k]
        cuda.syncthreads()  # all threads have read the old state
        state[u] = h[t, b, u] = min(max(total, ZERO), CLIP)
        cuda.syncthreads()  # all threads have written the new state


rng = np.random.default_rng(14)
z, lengths = rng.normal(2, 1, (5, 3, UNITS)), np.array([5, 2, 4])
Wr, Wr_b = rng.normal(size=(2, UNITS, UNITS))
with gpu.barriers() as sites:
    h = run(recur, 3, UNITS, z, Wr, lengths, empty(*z.shape))[-1]
expected = reference.birnn_forward(z, Wr, Wr, lengths)[1]  # hf, 0 after the end of an utterance
print("equal to the reference:", np.allclose(np.nan_to_num(h), expected, rtol=1e-5))
for n, site in enumerate(sorted(sites)):
    try:
        with gpu.remove_barrier(site):
            run(recur, 3, UNITS, z, Wr, lengths, empty(*z.shape))
        print(f"without barrier {n}: no error")
    except KernelError as error:
        print(f"without barrier {n}: {type(error).__name__}, {error}")

# %% [markdown]
# Each is necessary. On a GPU a missing barrier raises no error, and most of the time the result
# is even correct. The simulator records which thread has accessed what since the last barrier,
# so it finds a **race** even if it did no harm this time.
#
# ## Now the lattice
# Lesson 5's recursion. Block $b$ computes utterance $b$, and its thread $s$ computes state $s$:
#
# $$\alpha_t(s) = y_t(l'_s) \left[ \alpha_{t-1}(s) + \alpha_{t-1}(s-1)
#   + \alpha_{t-1}(s-2) \right]$$
#
# The last term is there only for a letter that differs from the letter before it. All states of
# a frame are computed at once; then comes a barrier, then the next frame. Use logarithms:
# `log_sum(a, b, c)` adds three numbers, and for $\log 0$ there is the finite `LOG0`, because
# $\infty - \infty$ is not a number.
#
# Some texts are short, so some threads have no state, and some blocks end early. This is no
# problem as long as *all threads of a block* reach every barrier.

# %%
LOG0 = np.float32(-1e30)


def random_batch(texts, lengths, K=4, T=8):
    """log_probs (T, B, K), lengths (B,), states (B, S) and how many there are (B,), for `texts`."""
    log_probs = reference.log_softmax_forward(rng.normal(0, 1.5, (T, len(texts), K)))
    rows = [lattice(text) for text in texts]
    sizes = np.array([len(row) for row in rows])
    states = np.array([np.pad(row, (0, sizes.max() - len(row))) for row in rows])
    return log_probs, np.array(lengths), states, sizes


def true_alpha(log_probs, lengths, states, sizes):
    """α from the reference, (B, T, S), NaN outside the lattices."""
    alpha = empty(*states.shape[:1], len(log_probs), states.shape[1])
    for b, (T, S) in enumerate(zip(lengths, sizes, strict=True)):
        alpha[b, :T, :S] = np.exp(forward_variables(log_probs[:T, b], states[b, :S]))
    return alpha


def check_walk():
    for texts, lengths in (
        ([[1, 2]], [4]),
        ([[1, 2, 2], [3], []], [8, 5, 2]),
        ([[3, 3, 3], [1, 2, 3], [2, 2]], [6, 8, 1]),
    ):
        batch = random_batch(texts, lengths)
        expected = true_alpha(*batch)
        launch = walk, len(texts), expected.shape[2], *batch, empty(*expected.shape)
        results = [np.exp(alpha) for alpha in gpu.run_in_every_order(*launch)]
        outside = sorted({(int(b), int(t), int(s)) for b, t, s in np.argwhere(np.isnan(expected))})
        written = [f"alpha{[*i]}" for i in outside if not np.isnan(results[0][i])]
        yield "elements outside a lattice that were written", written[:1], []
        yield f"α of {texts} in {lengths} frames", results, [expected] * 3
        yield "threads that access alpha", gpu.active_threads("alpha", *launch), batch[3].sum()


@exercise("14.1", check_walk, rtol=1e-4, atol=1e-7, pure=False)
def walk(log_probs, lengths, states, sizes, alpha):
    """Write log α to alpha (B, T, S), for lengths[b] frames and sizes[b] states of utterance b only.

    log_probs (T, B, K), states (B, S): l'. B blocks of S threads. About 15 lines.
    """
    raise NotImplementedError


# %%
batch = random_batch([[1, 2, 2], [1], []], [8, 6, 3])  # "see", "s", and silence
with trace() as accesses:
    alpha = run(walk, 3, 7, *batch, empty(3, 8, 7))[-1]
in_alpha = [a for a in accesses if a.array == "alpha"]
see = [a for a in in_alpha if a.block[0] == 0]
show(
    [wavefront(see, alpha[0], "–s–e–e–", upto=t) for t in range(8)],
    captions=[f"Frame {t}: log α of all states at once, one thread for each." for t in range(8)],
    title="A block computes the lattice of “see”",
)
show(occupancy(in_alpha, 3, 7), title="Which threads work between which barriers")

# %% [markdown]
# The arrows are the reads of the kernel. At each dashed line all threads wait for each other. The
# second picture shows the cost: some threads have no state, and some blocks ended long ago.
# Batches of similar lengths (lesson 8) waste less on a GPU, too.
#
# Here is a real recording, with the small network of lesson 2:

# %%
recognizer = minids.Recognizer.load(data("digits.safetensors"))
log_probs = recognizer.log_probs(minids.load_audio(data("two_five.flac"))[0])[:, None]  # (T, 1, K)
label = np.array([recognizer.alphabet.encode("two five")], np.int32)
T, (_, *batch) = len(log_probs), random_batch(label, [len(log_probs)])
alpha = run(walk, 1, batch[-1][0], log_probs, *batch, empty(1, T, batch[-1][0]))[-1]
loss = reference.ctc(log_probs, batch[0], label, np.array([label.size]))[0][0]
print(f"{T} frames: loss {-np.logaddexp(*alpha[0, -1, -2:]):.4f}, the reference {loss:.4f}")

# %% [markdown]
# Now read `minids/ops/cuda/ctc.py`. It differs in four ways: two rows in shared memory replace
# all of α; for a long text each thread has several states; a thread loads its next emission
# before it computes; and β uses the same loop, because a lattice reversed is again a lattice.
#
# For the recurrence at H = 2048, $W_r$ takes 16 MB, but a block has 0.2 MB. So in
# `minids/ops/cuda/birnn_kernels.py` each block owns some *units* and keeps their rows of $W_r$ in
# shared memory for all frames, and the barrier between two frames is one of the whole grid.
#
# ## What the paper does
# The paper makes the steps **wider**: with many utterances in a batch, $W_r h_{t-1}$ becomes a
# product of matrices (§3.1). It takes **fewer** of them: only every second frame (§3.3). And it
# uses more machines, which share the **utterances**: each computes gradients, all add them up,
# and all make the same update (§3.1). Two machines can even share the **time** (§3.2), one for
# each half of the frames. Each starts with the direction that begins in its half; in the middle
# they exchange states and then compute the other direction:
#
#     first half    hf_1 → … → hf_m ──╮ ╭─▶ hb_m → … → hb_1
#                                      ╳
#     second half   hb_T → … → hb_m+1 ─╯ ╰─▶ hf_m+1 → … → hf_T

# %%
m, zero = 3, np.zeros(z.shape[1:])  # z (T, B, H), lengths, Wr, Wr_b are those of `recur`
f1 = rnn_forward(z[:m], Wr, lengths, zero)  # and at the same time, on the other machine:
b2 = rnn_forward(z[m:], Wr_b, lengths - m, zero, reverse=True)
b1 = rnn_forward(z[:m], Wr_b, lengths, b2[0], reverse=True)  # again at the same time:
f2 = rnn_forward(z[m:], Wr, lengths - m, f1[-1])
halves, h = np.concatenate([f1 + b1, f2 + b2]), reference.birnn_forward(z, Wr, Wr_b, lengths)[0]
print("the two halves equal the whole:", np.array_equal(halves, h))

# %% [markdown]
# Each sends one state to the other, however long the sound is; for the gradients it is the same.
# With `mpiexec -n 2 minids train mine.toml` two processes share every batch, and with
# `--split-time` they share the time; see `minids/training/parallel.py`.
#
# ## A training step
# `minids train mine.toml --backend cuda` trains on a GPU. Here is one batch through a tiny
# network and back, in the simulator and in the reference:

# %%
frames, lengths = rng.normal(size=(6, 2, 3)).astype(np.float32), np.array([6, 4], np.int32)
labels, label_lengths = np.array([[1, 2], [3, 0]], np.int32), np.array([2, 1], np.int32)
tiny, grads = ModelSettings(inputs=3, characters=4, hidden=8, context=1, dropout=0), {}
for name in "reference", "cuda":
    model = DeepSpeech(tiny, backend=name)
    with gpu.launches() as kernels:
        losses = model.loss_and_grad(frames, lengths, labels, label_lengths)
    grads[name] = model.ops.arrays.to_host(model.flat_grads)
    print(f"{name:10} losses {losses}")
print(f"gradients differ by {abs(grads['cuda'] - grads['reference']).max():.0e}")
print("kernels:", *sorted({name for name, _ in kernels}))

# %% [markdown]
# Together with `norm` and `nesterov` these are all kernels of a training step. How fast are they?
# We do not know: so far they have been simulated, with each barrier removed to see that it is
# needed, and compiled for three kinds of GPU, but **not yet run on one**. If you have a GPU,
# try `minids check --backend cuda`, then `python -m benchmarks.gpu --json gpu.json`.
#
# **What we have now**: the network three times: as formulas, fast on a CPU, and for a GPU.
#
# **Next question**: three clean recordings are few. What about your own voice in a noisy room?
