# %% [markdown]
# # 14. What cannot be parallel, and what can?
# A layer is a crowd: every number of it can be computed at once. But CTC's lattice and the
# recurrence walk through time, each frame from the one before. No crowd can hurry the past.
#
# *You build* CTC's forward pass as a GPU kernel: threads abreast, a barrier a frame.
# *You need* lesson 5 (the lattice) and lesson 13 (threads; `pip install greenlet`).

# %%
import numpy as np

import minids
from minids.lesson import data, exercise, gpu, show
from minids.lesson.figures.times import bars
from minids.lesson.figures.wavefront import shifts, wavefront
from minids.lesson.gpu import KernelError, cuda, float32, room, run, traced
from minids.model import DeepSpeech, ModelSettings
from minids.ops import reference
from minids.ops.cuda.ctc import log_sum  # noqa: F401
from minids.ops.reference.birnn import forward as one_way
from minids.ops.reference.ctc import forward_variables, lattice
from minids.text import BLANK  # noqa: F401

H, B, T, S = 2048, 32, 400, 121  # a network as wide as the paper's, 32 utterances of 8 seconds
operations = {
    "affine: frames, utterances, units": (T * B * H, 1),
    "recurrence: utterances, units, directions": (B * H * 2, T),
    "ctc: utterances, states": (B * S, 2 * T),
}
at_once, in_a_row = zip(*operations.values(), strict=True)
show(
    bars([*operations], {"numbers at once": at_once, "steps in a row": in_a_row}, "count"),
    captions=["What a crowd of threads can share, and how often all of it must wait."],
)

# %% [markdown]
# Counted, not timed, for 32 utterances of 400 frames and 60 letters, H = 2048. Steps in a row
# stay as many as they are, however many threads there are. What a GPU can do is make each
# step wide, and the waiting between two steps short.
#
# ## The recurrence, abreast
#
# $$h_t = g(z_t + W_r h_{t-1}), \qquad g(z) = \min\{\max\{0, z\}, 20\}$$
#
# Utterances know nothing of each other: a **block for each**. Nor do the units of one frame: a
# **thread for each**. The state they all read lies in the block's shared memory, and between two
# frames stand two barriers. Could one be spared? We take each out, and see:

# %%
UNITS, ZERO, CLIP = 4, np.float32(0), np.float32(20)


@cuda.jit
def recur(z, Wr, lengths, h):
    """Block b, thread u: unit u of utterance b through all its frames.  z, h (T, B, UNITS)."""
    state = cuda.shared.array(UNITS, float32)
    b, u = cuda.blockIdx.x, cuda.threadIdx.x
    state[u] = ZERO
    cuda.syncthreads()
    for t in range(lengths[b]):
        total = z[t, b, u]
        for k in range(UNITS):
            total += Wr[u, k] * state[k]
        cuda.syncthreads()  # all have read the old state
        state[u] = h[t, b, u] = min(max(total, ZERO), CLIP)
        cuda.syncthreads()  # all have written the new one


rng = np.random.default_rng(14)
z, lengths = rng.normal(2, 1, (5, 3, UNITS)), np.array([5, 2, 4])
Wr, Wr_b = rng.normal(size=(2, UNITS, UNITS))
with gpu.barriers() as sites:
    h = run(recur, 3, UNITS, z, Wr, lengths, room(*z.shape))[-1]
truth = reference.birnn_forward(z, Wr, Wr, lengths)[1]  # hf, 0 past the ends
print("equal to the reference:", np.allclose(np.nan_to_num(h), truth, rtol=1e-5))
for n, site in enumerate(sorted(sites)):
    try:
        with gpu.without(site):
            run(recur, 3, UNITS, z, Wr, lengths, room(*z.shape))
        print(f"without barrier {n}: nothing noticed")
    except KernelError as error:
        print(f"without barrier {n}: {type(error).__name__}, {error}")

# %% [markdown]
# No. On a GPU a missing barrier is worse than an error: most of the time the numbers come
# out right. The simulator notes who touched what since the last barrier, so it finds a
# **race** even when it did no harm this time.
#
# ## Now the lattice
# Lesson 5's recursion, and who computes it: block $b$ has utterance $b$, thread $s$ has state $s$.
#
# $$\alpha_t(s) = y_t(l'_s) \left[ \alpha_{t-1}(s) + \alpha_{t-1}(s-1)
#   + \alpha_{t-1}(s-2) \right]$$
#
# the last only into a letter that differs from the letter before. Of a frame, all states
# at once; a barrier; the next frame. Everything in logarithms: `log_sum(a, b, c)` adds
# three, and $\log 0$ is the finite `LOG0`, because $\infty - \infty$ is no number.
#
# Some texts are short, and some threads have no state; some blocks end early. That is no
# trouble, as long as *all threads of one block* meet at each barrier.

# %%
LOG0 = np.float32(-1e30)


def crowd(texts, lengths, K=4, T=8):
    """log_probs (T, B, K), lengths, states (B, S) and how many there are (B,), for these texts."""
    log_probs = reference.log_softmax_forward(rng.normal(0, 1.5, (T, len(texts), K)))
    rows = [lattice(text) for text in texts]
    sizes = np.array([len(row) for row in rows])
    states = np.array([np.pad(row, (0, sizes.max() - len(row))) for row in rows])
    return log_probs, np.array(lengths), states, sizes


def true_alpha(log_probs, lengths, states, sizes):
    """α from the reference, (B, T, S), NaN outside the lattices."""
    alpha = room(*states.shape[:1], len(log_probs), states.shape[1])
    for b, (T, S) in enumerate(zip(lengths, sizes, strict=True)):
        alpha[b, :T, :S] = np.exp(forward_variables(log_probs[:T, b], states[b, :S]))
    return alpha


def check_walk():
    for texts, lengths in (
        ([[1, 2]], [4]),
        ([[1, 2, 2], [3], []], [8, 5, 2]),
        ([[3, 3, 3], [1, 2, 3], [2, 2]], [6, 8, 1]),
    ):
        batch = crowd(texts, lengths)
        truth = true_alpha(*batch)
        start = walk, len(texts), truth.shape[2], *batch, room(*truth.shape)
        got = [np.exp(alpha) for alpha in gpu.in_any_order(*start)]
        yield f"α of {texts} in {lengths} frames", got, [truth] * 3
        yield "threads at work", gpu.at_work("alpha", *start), batch[3].sum()


@exercise(
    "14.1",
    check_walk,
    pure=False,
    rtol=1e-4,
    atol=1e-7,
    hints=[
        "b, s = cuda.blockIdx.x, cuda.threadIdx.x; for t in range(lengths[b]): …; cuda.syncthreads()",
        "The barrier is for all: `if s < sizes[b]:` stands around the work, never around the barrier.",
        "In frame 0 ways is ZERO for s < 2, else LOG0. Later: log_sum(alpha[b, t - 1, s], step, skip).",
        "step = alpha[b, t - 1, s - 1] if s > 0 else LOG0; skip likewise, if s > 1 and the letters allow it.",
    ],
)
def walk(log_probs, lengths, states, sizes, alpha):
    """log α into alpha (B, T, S), of utterance b its lengths[b] frames and sizes[b] states only.

    log_probs (T, B, K), states (B, S): l'. B blocks of S threads. About 15 lines.
    """
    raise NotImplementedError


# %%
batch = crowd([[1, 2, 2], [1], []], [8, 6, 3])  # "see", "s", and silence
with traced() as accesses:
    alpha = run(walk, 3, 7, *batch, room(3, 8, 7))[-1]
ours = [a for a in accesses if a.array == "alpha"]
see = [a for a in ours if a.block[0] == 0]
show(
    [wavefront(see, alpha[0], "–s–e–e–", upto=t) for t in range(8)],
    captions=[f"Frame {t}: log α of all states at once, each thread its own." for t in range(8)],
    title="A block walks the lattice of “see”",
)
show(shifts(ours, 3, 7), title="Who works between which barriers")

# %% [markdown]
# The arrows are the kernel's own reads, the columns stand still at the dashed lines until
# all have come. In the second picture is what it costs: threads without a state, blocks
# that have long ended. Batches of equal length (lesson 8) waste less here, too.
#
# On a real recording, with the small network of lesson 2:

# %%
ear = minids.Recognizer.load(data("digits.safetensors"))
log_probs = ear.log_probs(minids.load_audio(data("two_five.flac"))[0])[:, None]  # (T, B = 1, K)
label = np.array([ear.alphabet.encode("two five")], np.int32)
T, (_, *batch) = len(log_probs), crowd(label, [len(log_probs)])
alpha = run(walk, 1, batch[-1][0], log_probs, *batch, room(1, T, batch[-1][0]))[-1]
loss = reference.ctc(log_probs, batch[0], label, np.array([label.size]))[0][0]
print(f"{T} frames: loss {-np.logaddexp(*alpha[0, -1, -2:]):.4f}, the reference {loss:.4f}")

# %% [markdown]
# Read `minids/ops/cuda/ctc.py` now: the same walk, with four turns more. Two rows in shared memory
# stand for the whole of α; a thread has several states of a long text; it asks for its next
# emission before it computes this one; and β is no other walk: reversed in time and text,
# a lattice is a lattice.
#
# The recurrence needs more room: at H = 2048, $W_r$ is 16 MB, and a block has 0.2. So there
# (`minids/ops/cuda/birnn_kernels.py`) a block owns some *units*, keeps their rows of $W_r$ in its shared
# memory for all frames, and the barrier between two frames is one of the whole grid.
#
# ## What the paper does about it
# It cannot make steps parallel either. It makes them **wide**: many utterances in a batch, so that
# the step $W_r h_{t-1}$ becomes a product of matrices (§3.1). It makes them **fewer**: every second
# frame, half the steps (§3.3). And it takes more machines. They can share the **utterances**: each
# computes the gradients of its own, all add them up, and all make the same step (§3.1).
#
# Two can even share the **time**, each has half of the frames (§3.2). How, if every frame waits for
# the one before? There are two directions! Each machine begins with the one that begins in its
# half. In the middle they exchange a state, the only one the other lacks, and swap directions:
#
#     first half    hf_1 → … → hf_m ──╮ ╭─▶ hb_m → … → hb_1
#                                      ╳
#     second half   hb_T → … → hb_m+1 ─╯ ╰─▶ hf_m+1 → … → hf_T

# %%
m, nothing = 3, np.zeros(z.shape[1:])  # z (T, B, H), lengths, Wr, Wr_b: those of `recur`
(f1, b1), (f2, b2) = np.empty((2, *z[:m].shape)), np.empty((2, *z[m:].shape))
one_way(z[:m], Wr, lengths, f1, nothing)  # and at the same time, on the other machine:
one_way(z[m:], Wr_b, lengths - m, b2, nothing, reverse=True)
one_way(z[:m], Wr_b, lengths, b1, b2[0], reverse=True)  # and again at the same time:
one_way(z[m:], Wr, lengths - m, f2, f1[-1])
halves, h = np.concatenate([f1 + b1, f2 + b2]), reference.birnn_forward(z, Wr, Wr_b, lengths)[0]
print("both halves are the whole:", np.array_equal(halves, h))

# %% [markdown]
# One state goes each way, however long the sound; the gradients come back likewise. Read
# `minids/training/parallel.py`: `mpiexec -n 2 minids train mine.toml` shares every batch, and with
# `--split-time` the time.
#
# ## A training step
# `--backend cuda` is all that changes: `minids train mine.toml --backend cuda`. Here is one
# batch through a tiny network and back, in the simulator, beside the reference:

# %%
frames, lengths = rng.normal(size=(6, 2, 3)).astype(np.float32), np.array([6, 4], np.int32)
labels, label_lengths = np.array([[1, 2], [3, 0]], np.int32), np.array([2, 1], np.int32)
tiny, grads = ModelSettings(inputs=3, characters=4, hidden=8, context=1, dropout=0), {}
for backend in "reference", "cuda":
    model = DeepSpeech(tiny, backend=backend)
    with gpu.launches() as kernels:
        losses = model.loss_and_grad(frames, lengths, labels, label_lengths)
    grads[backend] = model.ops.arrays.to_host(model.flat_grads)
    print(f"{backend:10} losses {losses}")
print(f"gradients differ by {abs(grads['cuda'] - grads['reference']).max():.0e}")
print("kernels:", *sorted({name for name, _ in kernels}))

# %% [markdown]
# With `norm` and `nesterov` that is all a GPU does in training. How fast? We do not know, and
# make up nothing: these kernels have been proved in the simulator, each barrier taken out to see
# it missed, and compiled for three kinds of GPU. **They have not run on one** as this is written.
# If you have one: `minids check --backend cuda`, then `python -m benchmarks.gpu --json gpu.json`.
#
# **What we have now**: the network in three forms: to be read, quick, and ten thousand abreast.
#
# **Next question**: three clean little recordings. What about your own voice, in a noisy room?
