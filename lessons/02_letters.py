# %% [markdown]
# # 2. What should a network say, 100 times a second?
# A hundred frames of sound go in each second, and a text should come out. But a text is
# shorter than its sound, and nobody knows which frame belongs to which letter.
#
# *You build* what surrounds the network: its input with context, its output, and the
# way its output becomes a text. *You need* lesson 1 (frames and the spectrogram).
#
# This is the goal: a small network, already trained, transcribes a voice that was not
# in its training data. Above are its input features, below the probability of each
# letter at each moment. Can you read the text?

# %%
import re
from itertools import product

import numpy as np

from minids import DeepSpeech, Recognizer, load_audio
from minids.decode.greedy import greedy_text
from minids.lesson import collapse_field, data, exercise, listen, show
from minids.lesson.figures import sound
from minids.lesson.figures.collapse import collapse as draw_collapse

network = Recognizer.load(data("digits.safetensors"))
wave, rate = load_audio(data("three_one_four.flac"), network.features.rate)
frames = network.features(wave)  # (T, F): lesson 1
log_probs = network.log_probs(wave)  # (T, K): this lesson
alphabet = network.alphabet
picture = sound.features_and_probabilities(frames, log_probs, alphabet, network.frame_seconds, rate)
show(picture, title="Input and output of a network, 100 times a second")
listen(data("three_one_four.flac"))

# %% [markdown]
# ## Input: each frame with its context
# 20 ms are too short to recognize a letter: a **t** is a silence and *then* a burst. So
# the input of the network at frame $t$ is the frame and $C$ neighbors on each side, its
# **context**, concatenated into one long vector:
#
# $$ x_t = [\,f_{t-C} \; \ldots \; f_t \; \ldots \; f_{t+C}\,] $$
#
# The paper tries $C$ of 5, 7 and 9 (§2). Before the first and after the last frame,
# zeros take the place of the missing ones. With $C = 1$ and two features per frame:
#
#     f = 1 2      x =  0 0  1 2  3 4
#         3 4           1 2  3 4  5 6
#         5 6           3 4  5 6  0 0
#
# (Consecutive inputs are nearly the same, so a network may use only every second $x_t$,
# which halves all the work that follows. This is called **striding**, §3.3.)


# %%
def check_with_context():
    for T, F, C in (3, 2, 1), (6, 3, 2), (4, 1, 0), (2, 2, 3):
        f = np.arange(1.0, T * F + 1).reshape(T, F)
        rows = []
        for t in range(T):
            neighbors = range(t - C, t + C + 1)
            parts = [f[s] if 0 <= s < T else np.zeros(F) for s in neighbors]
            rows.append(np.concatenate(parts))
        yield f"{T} frames of {F} features, C = {C}", with_context(f, C), np.array(rows)


@exercise("2.1", check_with_context)
def with_context(f, C):
    """Frames f (T, F), each with C neighbors on each side: (T, (2C + 1) F).  About 2 lines."""
    raise NotImplementedError


# %%
C = network.model.settings.context
x = with_context(frames, C)
print(f"{frames.shape} with {C} neighbors on each side: {x.shape}")
print(f"weights of the first layer, W1: {network.model.params['W1'].shape}  (lesson 3)")

# %% [markdown]
# ## Output: a probability for each character
# For each frame the last layer computes $K$ numbers of any size and sign, one for each
# character, the **logits** $z_{t,k}$. The **softmax** turns them into probabilities:
# positive numbers that add up to 1 (§2):
#
# $$ \hat y_{t,k} = P(c_t = k \mid x) = \frac{e^{z_{t,k}}}{\sum_j e^{z_{t,j}}} $$
#
# For example, $z = (0, \ln 2, \ln 5)$ gives $(1, 2, 5)/8$. One pitfall: $e^{1000}$
# overflows to infinity. But adding a constant to all logits of a frame changes nothing
# (check it in the formula), so first subtract their maximum.


# %%
def check_softmax():
    counts = np.array([[1.0, 2, 5], [1, 1, 2], [4, 4, 8]])  # e^z, by choice
    expected = counts / [[8], [4], [16]]
    yield "softmax(log of [1 2 5], [1 1 2], [4 4 8])", softmax(np.log(counts)), expected
    yield "the same + 1000: e^z overflows", softmax(np.log(counts) + 1000), expected
    offsets = np.array([[0.0], [1000.0], [-1000.0]])
    got = softmax(np.log(counts) + offsets)
    yield "one frame + 1000, one - 1000", got, expected
    got = softmax(np.array([[0.0, 0.0, 3000.0]]))
    yield "one logit is 3000", got, np.array([[0.0, 0.0, 1.0]])


@exercise("2.2", check_softmax, rtol=1e-6)
def softmax(z):
    """Logits (T, K) -> probabilities (T, K) whose rows add up to 1.  About 2 lines."""
    raise NotImplementedError


# %% [markdown]
# These are the characters of this network, and its output in a few frames of "three".
# The network of the paper has 29: a … z, space, apostrophe, blank.

# %%
characters = list("-" + "".join(alphabet.symbols).replace(" ", "_"))  # -: the blank
probs = softmax(log_probs)  # log-probabilities are valid logits: their e^z add up to 1
print(len(characters), "characters:", *characters)
for t in range(16, 26):
    top = probs[t].argsort()[::-1][:3]
    print(f"{t * 10:4} ms ", *(f"  {characters[k]} {probs[t, k]:.3f}" for k in top))

# %% [markdown]
# ## The blank
# What is `-`? It is the **blank**, an extra output that means "no new character in this
# frame". It comes from CTC, *connectionist temporal classification* (Graves et al.
# 2006), which lessons 5 and 6 explain. Without it the network would have to name a
# letter in every frame, and could not write the two e's of "three". Do not confuse the
# blank with the *space*, a character of the text like any letter, which separates words.
# Nor is it *silence*: the network outputs blanks in the middle of a long vowel, too.
#
# A sequence of outputs, one per frame, is a **path**. It becomes a text in two steps,
# always in this order: **merge repeats, then remove blanks.** The paths of a text are
# also called its **alignments**.

# %%
path = "tthrree-eee-"
captions = [
    "One output per frame, 12 frames.",
    "Repeats are merged. The blank keeps two e's apart.",
    "The blanks are removed.",
    "The rest is the text.",
]
show([draw_collapse(path, step) for step in range(4)], captions, title="A path collapses")

# %% [markdown]
# Type a path of your own. Can you find one that looks like "three" but collapses to
# "thre"? What is the shortest path for "three"? (Five frames are not enough.)

# %%
collapse_field("--ffi-vvv-e-")

# %% [markdown]
# In code, characters are numbers and 0 is the blank. `[1, 1, 0, 1, 2, 2, 0]` becomes
# `[1, 1, 2]`. The check compares your function with a regular expression on all
# $3^6 = 729$ paths of six frames over blank, a and b.


# %%
def check_collapse():
    for path in product(range(3), repeat=6):
        typed = "".join("-ab"[k] for k in path)
        text = re.sub(r"(.)\1*", r"\1", typed).replace("-", "")
        expected = ["-ab".index(c) for c in text]
        yield f"collapse of {typed}", list(collapse(np.array(path))), expected


@exercise("2.3", check_collapse)
def collapse(path):
    """path (T,), an array -> a list: merge repeats, then remove 0.  1 to 6 lines."""
    raise NotImplementedError


# %% [markdown]
# ## Greedy decoding
# Turning the output into a text is called **decoding**. The simplest method is
# **greedy**: take the most probable character of every frame, and collapse the path.
# These three lines complete a speech recognizer:

# %%
best = log_probs.argmax(axis=1)  # (T,)
print("".join(characters[k] for k in best))
print("you:   ", alphabet.decode(collapse(best)))
print("minids:", greedy_text(log_probs, alphabet))

# %% [markdown]
# Look at the path again. Each letter lasts two or three frames and most frames are
# blank; many letters come a little before or after their sound. Nobody told the network
# where to put them: only the *collapsed* text has to be right.
#
# All three recordings, each word with its start and end in seconds:

# %%
for name in "seven", "two_five", "three_one_four":
    transcript = network.transcribe(data(f"{name}.flac"))
    times = ", ".join(f"{w.text} {w.start:.2f}-{w.end:.2f}" for w in transcript.words)
    print(f"{name:15} {transcript.text:15} {times}")

# %% [markdown]
# And a network that has *not* been trained? The same layers with random weights:

# %%
untrained = DeepSpeech(network.model.settings, seed=0)
output, _ = untrained.forward(frames[:, None], np.array([len(frames)]))  # (T, 1, K)
print(f"its text: {greedy_text(output[:, 0], alphabet)!r}")
highest = np.exp(output.max())
print(f"highest probability {highest:.2f}; chance is {1 / len(characters):.2f}")

# %% [markdown]
# **In the package** `context_forward` and `log_softmax_forward` in `minids/ops/reference/`. With
# a **stride** of 2 only every second frame is kept, which halves the work (§3.3).
#
# **What we have now** All of a speech recognizer except the network: frames with their
# context go in, probabilities come out, greedy decoding gives the text.
#
# **Next question** The trained and the untrained network differ in 76 000 numbers, the
# weights. How are they chosen? We start with a few of them. (Lesson 3: how does one
# layer learn?)
