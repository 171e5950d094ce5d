# %% [markdown]
# # 2. What should a network say, 100 times a second?
# A hundred frames of sound go in each second, and a text should come out. But a text is
# shorter than its sound, and nobody knows which frame belongs to which letter.
#
# *You build* what surrounds the network: its input with context, its output, and the
# way its output becomes a text. *You need* lesson 1 (frames and features).
#
# This is the goal: a small network, already trained, transcribes a voice that was not
# in its training data. Above are its input features, computed by *your* functions of
# lesson 1; below is its output, the probability of each letter at each moment. Can you
# read the text?

# %%
import numpy as np

from minids import DeepSpeech, Recognizer, load_audio
from minids.decode.greedy import greedy_text
from minids.features import hann
from minids.lesson import check, collapse_field, data, listen, show, yours
from minids.lesson.figures import sound
from minids.lesson.figures.collapse import collapse as draw_collapse

frames, power_spectrum, filter_banks = yours("frames", "power_spectrum", "filter_banks")
network = Recognizer.load(data("digits.safetensors"))
alphabet = network.alphabet


def features(wave):
    """Log powers in 40 bands, normalized by mean and deviation of the training data."""
    samples = (wave - wave.mean()) / wave.std()
    log_powers = filter_banks(power_spectrum(frames(samples, 320, 160) * hann(320)), 40)
    return (log_powers - network.features.mean) / network.features.std  # (T, 41)


def log_probabilities(f, model):
    """Features (T, F) -> logarithms of the probabilities (T, K) of each character."""
    return model.forward(np.float32(f)[:, None], np.array([len(f)]))[0][:, 0]


wave, rate = load_audio(data("three_one_four.flac"))
f = features(wave)  # (T, F)
log_probs = log_probabilities(f, network.model)  # (T, K)
picture = sound.features_and_probabilities(f, log_probs, alphabet, 0.01, rate)
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
# zeros take the place of the missing ones.
#
# **Exercise 2.1** Give each frame its context. With $C = 1$ and two features per frame:
#
#     f = 1 2      x =  0 0  1 2  3 4
#         3 4           1 2  3 4  5 6
#         5 6           3 4  5 6  0 0


# %%
def with_context(f, C):
    """Frames f (T, F), each with its 2C neighbors: (T, (2C + 1) F).  About 2 lines."""
    raise NotImplementedError


with_context = check("2.1", with_context)

# %%
C = network.model.settings.context
x = with_context(f, C)
print(f"{f.shape} with {C} neighbors on each side: {x.shape}")
print(f"weights of the first layer, W1: {network.model.params['W1'].shape}  (lesson 3)")

# %% [markdown]
# Neighbors share most of their context, so is every $x_t$ needed? `x[::2]` keeps every
# second one, and all layers have half the work. This is **striding** (§3.3). Its price:
# the text must fit into the frames that are left, one per character and one more
# between equal letters, as we shall see. "three one four" needs 15 frames, and with
# strides of 2, 4 and 8 this recording has 55, 28 and 14; the last are too few. And the
# times of its characters become less exact.
#
# ## Output: a probability for each character
# For each frame the last layer computes $K$ numbers of any size and sign, one for each
# character, the **logits** $z_{t,k}$. The **softmax** turns them into probabilities,
# positive numbers that add up to 1; $c_t$ is the character at frame $t$ (§2):
#
# $$ \hat y_{t,k} = P(c_t = k \mid x) = \frac{e^{z_{t,k}}}{\sum_j e^{z_{t,j}}} $$
#
# For example, $z = (0, \ln 2, \ln 5)$ gives $(1, 2, 5)/8$.
#
# **Exercise 2.2** Compute the softmax of every frame. One pitfall: $e^{1000}$ overflows
# to infinity. But adding a constant to all logits of a frame changes nothing (check it
# in the formula), so first subtract their maximum.


# %%
def softmax(z):
    """Logits (T, K) -> probabilities (T, K) whose rows add up to 1.  About 2 lines."""
    raise NotImplementedError


softmax = check("2.2", softmax)

# %% [markdown]
# These are the characters of this network, and its output in a few frames of "three".
# The network of the paper has 29: a … z, space, apostrophe, and one more, here `-`.

# %%
characters = list("-" + "".join(alphabet.symbols).replace(" ", "_"))
probs = softmax(log_probs)  # log-probabilities are valid logits: their e^z add up to 1
print(len(characters), "characters:", *characters)
for t in range(16, 26):
    top = probs[t].argsort()[::-1][:3]
    print(f"{t * 10:4} ms ", *(f"  {characters[k]} {probs[t, k]:.3f}" for k in top))

# %% [markdown]
# ## Blank, space, silence
# What is `-`? It is the **blank**, an extra output that means "no new character in this
# frame". It comes from CTC, *connectionist temporal classification* (Graves et al.
# 2006), which lessons 5 and 6 explain. Without it the network would have to name a
# letter in every frame, and could not write the two e's of "three". Three things are
# easily confused:
#
# - **Silence** is in the *sound*: no power.
# - The **blank** is an *output*: nothing new to write.
# - The **space** (`_`) is a *character of the text*, as letters are, between two words.
#
# Here is the middle of "three one four", a column for each frame: the most probable
# character and, below it, whether the frame is loud (`#`) or silent (`.`).

# %%
best = probs.argmax(axis=1)  # (T,)
loud = power_spectrum(frames(wave, 320, 160)).sum(axis=1)  # (T,)
print("".join(characters[k] for k in best[12:74]))
print("".join("#" if power > loud.mean() / 50 else "." for power in loud[12:74]))
listen(data("three_one_four.flac"), log_probs=log_probs, alphabet=alphabet)

# %% [markdown]
# At the start there is silence, and the output is blank, not space. Later there are
# blanks in the middle of loud vowels, too: nothing new to write. And the space between
# "three" and "one" is written while the sound is loud: the speaker makes no pause
# there!
#
# ## From outputs to text
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
show(
    [draw_collapse(path, step) for step in range(4)], captions, title="A path collapses"
)

# %% [markdown]
# Type a path of your own, or click on its frames. Can you find one that looks like
# "three" but collapses to "thre"? What is the shortest path for "three"? (Five frames
# are not enough.)

# %%
collapse_field("--ffi-vvv-e-")

# %% [markdown]
# **Exercise 2.3** In code, characters are numbers and 0 is the blank. Collapse a path:
# `[1, 1, 0, 1, 2, 2, 0]` becomes `[1, 1, 2]`. (The check tries all $3^6 = 729$ paths of
# six frames over blank, a and b.)


# %%
def collapse(path):
    """path (T,), an array -> a list: merge repeats, then remove 0.  1 to 6 lines."""
    raise NotImplementedError


collapse = check("2.3", collapse)

# %% [markdown]
# ## Greedy decoding
# Turning the output into a text is called **decoding**. The simplest method is
# **greedy**: take the most probable character of every frame, and collapse the path.
# This completes a speech recognizer, of your functions and somebody's weights:

# %%
for name in "seven", "two_five", "three_one_four":
    wave, _ = load_audio(data(f"{name}.flac"))
    log_probs = log_probabilities(features(wave), network.model)
    text = alphabet.decode(collapse(log_probs.argmax(axis=1)))
    print(f"{name:15} you: {text:15} minids: {network.transcribe(wave, rate).text}")

# %% [markdown]
# Look at the path above again. Each letter lasts two or three frames and most frames
# are blank; many letters come a little before or after their sound. Nobody told the
# network where to put them: only the *collapsed* text has to be right.
#
# And a network that has *not* been trained? The same layers with random weights:

# %%
untrained = DeepSpeech(network.model.settings, seed=0)
output = log_probabilities(f, untrained)  # (T, K)
print(f"its text: {greedy_text(output, alphabet)!r}")
highest = np.exp(output.max())
print(f"highest probability {highest:.2f}; chance is {1 / len(characters):.2f}")

# %% [markdown]
# **In the package** `context_forward` and `log_softmax_forward` in
# `minids/ops/reference/`.
#
# **What we have now** All of a speech recognizer except the network: frames with their
# context go in, probabilities come out, greedy decoding gives the text.
#
# **Next question** The trained and the untrained network differ in 76 000 numbers, the
# weights. How are they chosen? We start with a few of them. (Lesson 3: how does one
# layer learn?)
