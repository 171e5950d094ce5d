# %% [markdown]
# # 2. What should a network say, 100 times a second?
# A hundred columns of sound come in each second, and out must come a text. But a text
# is not as long as its sound, and nobody knows which column belongs to which letter.
#
# *You build* all that surrounds the network: its view of the sound, its alphabet, and
# the way its answers are read. *You need* lesson 1 (the spectrogram).
#
# Here is where we are going: a small network, already trained, listens to a voice that
# it has never met. Can you read what it heard?

# %%
import re
from itertools import product

import numpy as np

from minids import DeepSpeech, Recognizer, load_audio
from minids.decode.greedy import greedy_text
from minids.lesson import collapse_field, data, exercise, listen, show
from minids.lesson.figures.collapse import collapse as steps
from minids.plot import sound

network = Recognizer.load(data("digits.safetensors"))
wave, rate = load_audio(data("three_one_four.flac"), network.features.rate)
frames = network.features(wave)  # (T, F): lesson 1
log_probs = network.log_probs(wave)  # (T, K): this lesson
picture = sound.letters(frames, log_probs, network.alphabet, network.hop, rate)
show(picture, title="What a network hears, and what it says, 100 times a second")
listen(data("three_one_four.flac"))

# %% [markdown]
# ## What it sees: a little of before and after
# Can you tell a letter from one column of 20 ms? Hardly: a **t** is a silence and
# *then* a burst. So frame $t$ comes with $C$ neighbors on each side, glued into one
# long vector:
#
# $$ x_t = [\,f_{t-C} \; \ldots \; f_t \; \ldots \; f_{t+C}\,] $$
#
# The paper tries $C$ of 5, 7 and 9 (§2). Where there is no frame, before the first and
# after the last, stand zeros. (And since neighbors see nearly the same, it may take only
# every second of these vectors, which halves all work that follows: *striding*, §3.3.)
# With $C = 1$ and two numbers a frame:
#
#     f = 1 2      x =  0 0  1 2  3 4
#         3 4           1 2  3 4  5 6
#         5 6           3 4  5 6  0 0


# %%
def check_with_context():
    for T, F, C in (3, 2, 1), (6, 3, 2), (4, 1, 0), (2, 2, 3):
        f = np.arange(1.0, T * F + 1).reshape(T, F)
        rows = []
        for t in range(T):
            around = range(t - C, t + C + 1)
            seen = [f[s] if 0 <= s < T else np.zeros(F) for s in around]
            rows.append([number for frame in seen for number in frame])
        yield f"{T} frames of {F} numbers, C = {C}", with_context(f, C), rows


@exercise(
    "2.1",
    check_with_context,
    hints=[
        "np.pad(f, ((C, C), (0, 0))) puts C frames of zeros before and after.",
        "In that, frame t and its neighbors are the rows t … t + 2C. Now .ravel() them.",
        "np.array([padded[t : t + 2 * C + 1].ravel() for t in range(len(f))])",
    ],
)
def with_context(f, C):
    """Frames f (T, F), each with C on either side: (T, (2C + 1) F).  About 2 lines."""
    raise NotImplementedError


# %%
C = network.model.settings.context
x = with_context(frames, C)
print(f"{frames.shape} and {C} neighbors a side: {x.shape}")
print(f"the first layer's weights W1: {network.model.params['W1'].shape}  (lesson 3)")

# %% [markdown]
# ## What it says: one probability for each character
# The network's last layer gives $K$ numbers a frame, one for each character, of any
# size and sign. The **softmax** makes probabilities of them, positive and adding up to
# 1 (§2):
#
# $$ \hat y_{t,k} = P(c_t = k \mid x) = \frac{e^{z_{t,k}}}{\sum_j e^{z_{t,j}}} $$
#
# For instance $z = (0, \ln 2, \ln 5)$ gives $(1, 2, 5)/8$. One trap: $e^{1000}$ is
# infinite to a computer. But adding a constant to all $z_t$ changes nothing (try it on
# the formula), so first subtract the largest.


# %%
def check_softmax():
    counts = np.array([[1.0, 2, 5], [1, 1, 2], [4, 4, 8]])  # e^z, by choice
    shares = counts / [[8], [4], [16]]
    yield "softmax(log of [1 2 5], [1 1 2], [4 4 8])", softmax(np.log(counts)), shares
    yield "the same + 1000: e^z is too large", softmax(np.log(counts) + 1000), shares
    far = np.array([[0.0], [1000.0], [-1000.0]])
    yield "one frame + 1000, one - 1000", softmax(np.log(counts) + far), shares
    sure = np.array([[0.0, 0.0, 3000.0]])
    yield "one character is certain", softmax(sure), np.array([[0.0, 0.0, 1.0]])


@exercise(
    "2.2",
    check_softmax,
    hints=[
        "Each row (frame) by itself: .max and .sum over axis -1, with keepdims=True.",
        "e = np.exp(z - z.max(axis=-1, keepdims=True))",
        "return e / e.sum(axis=-1, keepdims=True)",
    ],
)
def softmax(z):
    """z (T, K) -> probabilities (T, K), each row adding up to 1.  About 2 lines."""
    raise NotImplementedError


# %% [markdown]
# Here are the characters of our network, and what it thinks in some frames of "three".
# The paper's has 29: a … z, space, apostrophe, blank.

# %%
characters = list("-" + "".join(network.alphabet.symbols).replace(" ", "_"))  # - is the blank
probs = softmax(log_probs)  # their logarithms are z, too: e^z adds up to 1 already
print(len(characters), "characters:", *characters)
for t in range(16, 26):
    top = probs[t].argsort()[::-1][:3]
    print(f"{t * 10:4} ms ", *(f"  {characters[k]} {probs[t, k]:.3f}" for k in top))

# %% [markdown]
# ## The blank
# What is `-`? It is Deep Speech's trick to say *nothing new*. Without it the network
# would have to name a letter 100 times a second, and could never say where one "e" of
# "three" ends and the next begins. The **blank** is no letter; it is a breath between
# letters.
#
# A sequence of answers, one for each frame, is a **path**. A path becomes a text in two
# moves, always in this order: **merge what repeats, then drop the blanks.** Step
# through:

# %%
path = "tthrree-eee-"
captions = [
    "One character a frame, 12 frames.",
    "Equal neighbors become one. The blank keeps two e's apart.",
    "Now the blanks have done their work.",
    "What is left is the text.",
]
show([steps(path, stage) for stage in range(4)], captions, title="A path collapses")

# %% [markdown]
# Type your own, and see it collapse. Can you find a path for "three" whose text comes
# out as "thre"? And the shortest path for "three"? (Not five frames!)

# %%
collapse_field("--ffi-vvv-e-")

# %% [markdown]
# Now in numbers: 0 is the blank. `[1, 1, 0, 1, 2, 2, 0]` becomes `[1, 1, 2]`. The check
# tries all $3^6 = 729$ paths of six frames over blank, a and b, against the rule in
# another language.


# %%
def check_collapse():
    for path in product(range(3), repeat=6):
        typed = "".join("-ab"[k] for k in path)
        text = re.sub(r"(.)\1*", r"\1", typed).replace("-", "")
        expected = ["-ab".index(c) for c in text]
        yield f"collapse of {typed}", list(collapse(list(path))), expected


@exercise(
    "2.3",
    check_collapse,
    hints=[
        "A frame adds a letter if it is no blank, and not as the frame before.",
        "Remember the frame before in a variable; update it at blanks, too.",
        "[k for before, k in zip([0, *path], path) if k not in (0, before)]",
    ],
)
def collapse(path):
    """Repeats merged, then blanks (0) dropped: a list.  1 to 6 lines."""
    raise NotImplementedError


# %% [markdown]
# ## Read it
# The simplest reading is **greedy**: take the most probable character of every frame,
# and collapse. That is three lines, and it is speech recognition:

# %%
best = log_probs.argmax(axis=1)  # (T,)
print("".join(characters[k] for k in best))
print("you:   ", network.alphabet.decode(collapse(best)))
print("minids:", greedy_text(log_probs, network.alphabet))

# %% [markdown]
# You have just read the speech of somebody who never spoke to this network. Look once
# more at the path: a letter lasts two or three frames and most frames are blank; and
# often a letter stands a little before or after its sound. Nobody told the network
# where to put them. Only the *collapsed* text has to be right, and that leaves it free.
#
# All three recordings, and each word with its time in seconds:

# %%
for name in "seven", "two_five", "three_one_four":
    transcript = network.transcribe(data(f"{name}.flac"))
    times = ", ".join(f"{w.text} {w.start:.2f}-{w.end:.2f}" for w in transcript.words)
    print(f"{name:15} {transcript.text:15} {times}")

# %% [markdown]
# And what does a network say that has *not* learned? The same layers, weights drawn at
# random:

# %%
newborn = DeepSpeech(network.model.settings, seed=0)
said, _ = newborn.forward(frames[:, None], np.array([len(frames)]))  # (T, 1, K)
print(f"it says {greedy_text(said[:, 0], network.alphabet)!r}")
print(f"at its surest: {np.exp(said.max()):.2f}; mere guessing: {1 / len(characters):.2f}")

# %% [markdown]
# **What we have now** All of a speech recognizer except its inside: sound goes in as
# frames with their neighbors, probabilities come out, greedy reading and a collapse
# give the text.
#
# **Next question** Between the newborn's babble and "three one four" lie 76 000
# numbers, the weights. Who chooses them? We begin with a few of them. (Lesson 3: how
# does one layer learn?)
