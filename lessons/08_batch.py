# %% [markdown]
# # 8. How do we learn from thousands at once?
# Lesson 7 learned one recording by heart. A recognizer has to learn from thousands, and
# one at a time would take weeks. So every step of a real training takes a whole
# **batch** of recordings, all of different lengths, through the network at once.
#
# *You build* batches: their padding, their grouping, and the recurrence and the loss of
# a batch. *You need* lesson 4 (recurrence), 5 and 6 (CTC) and 7 (steps).

# %%
import timeit
from time import process_time

import numpy as np

from minids import DeepSpeech, load_audio
from minids.decode.greedy import greedy_text
from minids.lesson import check, data, show, yours
from minids.lesson.figures.batch import dropped, padded, rectangles
from minids.lesson.threads import one_thread
from minids.model import ModelSettings
from minids.weights import load_model

one_thread()  # fastest for networks as small as these
rng = np.random.default_rng(8)
durations = rng.gamma(4, 70, 48).astype(int) + 50  # frames of 48 recordings
order = np.argsort(durations)
groupings = {
    "All recordings in one batch: blue is sound, red is padding": [range(48)],
    "Six batches in the order of the files": np.arange(48).reshape(6, 8),
    "Sorted by length, then cut into six batches": order.reshape(6, 8),
    "Twelve smaller batches: less padding, smaller products": order.reshape(12, 4),
}
pictures = [rectangles(durations, groups) for groups in groupings.values()]
show(pictures, [*groupings], title="Each batch is a rectangle")

# %% [markdown]
# ## Why batches?
# The feed-forward layers multiply all frames of a recording at once. The recurrence
# cannot: frame by frame it multiplies a matrix by one *vector*, and reads each weight
# from memory for a single multiplication. With B recordings the vector becomes a matrix
# of B columns: each weight is read once, and used B times. Your `recur`, 256 units:

# %%
recur, birnn = yours("recur", "birnn")
z, Wr = rng.normal(size=(20, 64, 256)), rng.normal(0, 0.03, (256, 256))
for B in 1, 8, 64:
    s = timeit.repeat(lambda B=B: recur(z[:, :B], Wr), timer=process_time, number=5)
    print(f"B = {B:2}: {min(s) / B * 1e4:4.1f} µs for a frame of each recording")

# %% [markdown]
# ## Padding
# The frames of a batch are one array of shape (T0, B, F): time first, so that all
# recordings at time t are one contiguous matrix. It is as long as the longest
# recording; shorter ones are filled up with zeros, the **padding**. The array `lengths`
# says where each recording ends.
#
# **Exercise 8.1** Put B recordings into one array.


# %%
def pad(utterances):
    """B arrays (T0, F) -> frames (longest T0, B, F), lengths (B,).  About 5 lines."""
    raise NotImplementedError


pad = check("8.1", pad)

# %%
counting = [10.0 * (b + 1) + np.arange(T0)[:, None] for b, T0 in enumerate((5, 2, 4))]
batch, lengths = pad(counting)
show(padded(batch[:, :, 0], lengths), captions=["Three recordings; padding is red."])

# %% [markdown]
# ## Similar lengths together
# Padding takes as much time as sound. The remedy (§3.1) is in the first picture: **sort
# by length**, then cut the list into batches, so that a batch has recordings of similar
# length. The order of the *batches* is then shuffled in each **epoch** (one pass
# over all recordings), or the network would see all short recordings first.
#
# **Exercise 8.2** Group recordings by length, the shortest first. If their number is
# not a multiple of the batch size, the last batch is smaller; nothing may get lost.


# %%
def by_length(lengths, batch_size):
    """lengths (N,) -> a list of batches, each a list of indices.  About 2 lines."""
    raise NotImplementedError


by_length = check("8.2", by_length)

# %%
for batch_size in 1, 4, 8, 16, 48:
    batches = [list(batch) for batch in by_length(durations, batch_size)]
    work = sum(max(durations[batch]) * len(batch) for batch in batches)
    padding = 1 - durations.sum() / work
    print(f"{len(batches):2} batches of {batch_size:2}: {padding:3.0%} is padding")

# %% [markdown]
# ## The recurrence of a batch
# The feed-forward layers treat every frame alone; what they compute in the padding is
# useless, but harmless. The recurrence (lesson 4) carries a state from frame to frame,
# so padding can harm it. The forward direction is safe: it meets the padding *after*
# the last frame. But the backward direction must start at the last frame of each
# recording. See what happens if it starts in the padding, where $z_t$ is the bias $b_4$
# (here all z are 1, and $W_r$ is ½):

# %%
z, half, lengths = np.ones((5, 3, 1)), np.full((1, 1), 0.5), np.array([5, 2, 4])
inside = np.arange(5)[:, None] < lengths  # (T, B)
right, wrong = np.zeros((5, 3)), recur(z[::-1], half)[::-1, :, 0]
for b, T in enumerate(lengths):  # each recording alone
    right[:T, b] = recur(z[:T, b : b + 1][::-1], half)[::-1, 0, 0]
captions = ["Wrong: starts in the padding", "Right: starts at each end"]
pictures = [padded(np.round(values, 2), lengths) for values in (wrong, right)]
show(pictures, captions, title="hb of a batch")

# %% [markdown]
# So the states are **masked**: wherever $t$ is not below the length of a recording, its
# state is set to 0. Then the backward direction arrives at each last frame with a state
# of 0, as if nothing had been before. Caution: `state * mask` is not enough. The
# padding may hold anything (memory is used again), and NaN times 0 is NaN. Use
# `np.where`.
#
# **Exercise 8.3** Both directions over a batch. The check fills the padding with NaN.


# %%
def birnn_in_batch(z, Wr_f, Wr_b, lengths):
    """h = hf + hb (T, B, H), as in 4.2, but 0 past the lengths (B,).  About 9 lines."""
    raise NotImplementedError


birnn_in_batch = check("8.3", birnn_in_batch)

# %% [markdown]
# The backward pass gets its mask for free: where h is 0, the slope $g'$ is 0, so no
# gradient leaves the padding. Your `recur_backward` needs no change:

# %%
recur_backward, ctc_gradient = yours("recur_backward", "ctc_gradient")
(z, dh), Wr = rng.normal(2, 2, (2, 5, 3, 4)), rng.normal(0, 0.5, (4, 4))
hf = np.where(inside[:, :, None], recur(z, Wr), 0)
_, dWr = recur_backward(dh, hf, Wr)
for b, T in enumerate(lengths):
    dWr -= recur_backward(dh[:T, [b]], hf[:T, [b]], Wr)[1]
print(f"dWr of the batch minus those of its recordings: at most {abs(dWr).max():.0e}")

# %% [markdown]
# ## Its loss
# CTC, too, must end where each recording ends: the loss takes $\alpha$ at the last
# frame of *this* recording (lesson 5), and in the padding the gradient is 0.
#
# **Exercise 8.4** The losses of a batch and their gradients, with your functions of
# lessons 5 and 6. A text may be empty; one that no path can spell has loss inf.

# %%
lattice, forward_variables = yours("lattice", "forward_variables")


def ctc_in_batch(log_y, lengths, labels):
    """log_y (T, B, K), B labels -> losses (B,), dlogits (T, B, K).  About 7 lines."""
    raise NotImplementedError


ctc_in_batch = check("8.4", ctc_in_batch)

# %% [markdown]
# ## A batch is a sum
# Now train on three recordings at once, with your padding, loss and step.

# %%
nesterov, clip_by_norm = yours("nesterov", "clip_by_norm")
names = ["two_five", "seven", "three_one_four"]
saved = load_model(data("digits.safetensors"))
alphabet, features = saved.alphabet, saved.features
utterances = [features(load_audio(data(f"{name}.flac"))[0]) for name in names]  # 16 kHz
labels = [alphabet.encode(name.replace("_", " ")) for name in names]


def loss_and_gradient(network, members):
    """The sum of the losses of some recordings, its gradient, and their outputs."""
    x, lengths = pad([utterances[b] for b in members])
    log_y, lengths = network.forward(x.astype(network.dtype), lengths)
    losses, dlogits = ctc_in_batch(log_y, lengths, [labels[b] for b in members])
    network.backward(dlogits)
    outputs = [log_y[:T, b] for b, T in enumerate(lengths)]
    return np.sum(losses), network.flat_grads.copy(), outputs


settings = ModelSettings(features.size, len(alphabet), 64, 5, stride=2, dropout=0)
network = DeepSpeech(settings, seed=4)
velocity = np.zeros_like(network.flat_params)
for step in range(101):
    loss, gradient, outputs = loss_and_gradient(network, range(3))
    if step % 20 == 0:
        texts = " | ".join(greedy_text(log_y, alphabet) for log_y in outputs)
        print(f"step {step:3}, mean loss {loss / 3:6.2f}: {texts}")
    nesterov(network.flat_params, clip_by_norm(gradient / 3, 5), velocity, 0.006, 0.9)

# %% [markdown]
# The gradient of a sum is the sum of the gradients, so a batch can be *split*. In
# **data parallelism** (§3.1) each of n GPUs has a copy of the weights and a share of
# the batch, its **shard**. Each computes the gradient of its shard, these are added up
# and the sum is sent to all (an **all-reduce**), and all take the same step, so that
# the copies stay equal. Similar lengths help again: nobody waits. Three shards:

# %%
exact = DeepSpeech(settings, seed=4, backend="reference", dtype="float64")
loss, whole, _ = loss_and_gradient(exact, range(3))
shards = [loss_and_gradient(exact, [b]) for b in range(3)]
print("losses", *(f"{part:.3f}" for part, *_ in shards), f"add up to {loss:.3f}")
error = abs(sum(gradient for _, gradient, _ in shards) - whole).max() / abs(whole).max()
print(f"the gradients add up, too, with a relative error of {error:.0e}")

# %% [markdown]
# ## Striding
# Neighboring inputs $x_t$ share most of their context. With a **stride** of 2 the
# network computes only every second one (§3.3): no frame is lost, since each is in the
# context of its neighbors, but all the work is halved. The limit is the text: U letters
# need at least U outputs, and one more between two equal letters.

# %%
for stride in 1, 2, 4, 8:
    T = -(-len(utterances[2]) // stride)
    chance = np.full((T, 1, 17), -np.log(17))  # all 17 characters are equally probable
    losses, _ = ctc_in_batch(chance, np.array([T]), [labels[2]])
    print(f"{stride = }: {T:3} outputs for {names[2]}, loss of chance {losses[0]:5.1f}")

# %% [markdown]
# ## Dropout
# The next danger is memorizing. **Dropout** sets a fraction p of the units, one in ten
# or twenty (§2.1), to 0, others in every step. So no unit can rely on a certain other
# one; each has to be useful by itself. The rest are divided by 1 - p: then the next
# layer gets the same sum on average, and recognition, which drops nothing, needs no
# correction. The recurrence has none: what it loses is lost for all later frames.

# %%
steps = [np.where(rng.random((8, 5)) < 0.1, 0, 1 / 0.9) for _ in range(5000)]  # (T, H)
show([dropped(h) for h in steps[:2]], ["One step", "The next"], "Dropout, p = 0.1")
print(f"mean over 5000 steps: {np.mean(steps):.3f}")

# %% [markdown]
# **In the package** `minids/data/batches.py`, `training/parallel.py` and `GradientSum`.
#
# **What we have now** A step over any number of recordings, on one processor or many.
#
# **Next question** Thousands of quiet recordings do not prepare for a kitchen. How does
# one hear in a crowd? (Lesson 9.)
