# %% [markdown]
# # 17. Can it learn to hear *you*?
# Every network so far has learned from voices of a synthesizer, and from digits in
# English. You have another voice, other words, perhaps another language, and nobody has
# recorded you for 5000 hours. Two dozen short recordings must do.
#
# *You build* what prepares your recordings, and an output layer for your alphabet; then
# a network that ships is trained on with your voice. *You need* lessons 7, 8, 12 and
# 14.

# %%
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from minids import DeepSpeech, load_audio
from minids.lesson import check, data, listen, show, yours
from minids.lesson.figures import sound
from minids.lesson.figures.progress import progress
from minids.lesson.sounds import RATE
from minids.lesson.threads import one_thread
from minids.lesson.yourself import long_enough, recordings
from minids.text import Alphabet
from minids.weights import SHIPPED_MODEL, SavedModel, load_model, save_model

one_thread()  # fastest for a network as small as this

# To record: `python 17_you.py --record` asks you for these, three of your words each.
WORDS = "zero one two three four five six seven eight nine".split()  # noqa: SIM905
rng, OUT = np.random.default_rng(17), Path("out/lessons/you")
OUT.mkdir(parents=True, exist_ok=True)
texts = [" ".join(rng.choice(WORDS, 3)) for _ in range(36)]
mine, is_you = recordings(sys.argv[1:], texts, OUT)

base = load_model(SHIPPED_MODEL if is_you else data("digits.safetensors"))
features, rate = base.features, base.features.rate


def output(saved, x):
    """Samples (N,) -> log-probabilities (T, K)."""
    frames = saved.features(x)[:, None]
    return saved.model.forward(frames, np.array([len(frames)]))[0][:, 0]


_, text, x = mine[0]
seconds = features.hop / rate * base.model.settings.stride
y = output(base, x)
picture = sound.features_and_probabilities(features(x), y, base.alphabet, seconds, rate)
show(
    picture,
    captions=[f"“{text}”, as a network hears it that does not know this voice."],
)
listen(x, RATE, log_probs=y, alphabet=base.alphabet)

# %% [markdown]
# ## Whose recordings?
# If you give none, a synthetic voice stands in for you: it speaks German, and the
# network knows English digits. To hear *yourself*, run this lesson again as a script,
#
#     python 17_you.py --record           asks for 36 texts: a microphone, ten minutes
#     python 17_you.py my-recordings      a folder: 001.wav, and its text in 001.txt, …
#
# (`--record` needs `pip install sounddevice`. Replace `WORDS` above by ten words of
# your own. In Jupyter, put `["my-recordings"]` in place of `sys.argv[1:]`.) It takes
# three recordings at least, better two dozen. For people the network to start from is
# not that of the digits, but the one that ships with minids, because it has learned
# from people.
#
# ## Trim
# Recordings from a microphone begin and end with silence, while a hand moves. Silence
# costs time, and the network has to learn that nothing is there.
#
# **Exercise 17.1** Cut it off. Divide the samples into whole blocks of 20 ms. A block
# is *loud* if its power, `np.var`, is more than a hundredth of that of the loudest
# block. Keep everything from five blocks before the first loud one to five blocks after
# the last, or as many as there are. A recording without any sound stays as it is.


# %%
def trim(x, rate):
    """Samples (N,) -> the part with sound, and a margin around it.  About 5 lines."""
    raise NotImplementedError


trim = check("17.1", trim)

# %%
trimmed = [
    recording._replace(samples=trim(recording.samples, RATE)) for recording in mine
]
trimmed = long_enough(trimmed, seconds)  # for their texts
before, after = (sum(len(r.samples) for r in part) / RATE for part in (mine, trimmed))
third = len(trimmed) // 3
train, test = trimmed[:-third], trimmed[-third:]
print(f"{before:.0f} s of sound, {after:.0f} s without silence at the ends")
print(f"{len(train)} recordings for training, {len(test)} for the test")

# %% [markdown]
# ## Another alphabet
# The network's last layer has a row of weights for each of its characters. Your texts
# may have others. The layers below have learned what sounds are like, which helps in
# any language, so they stay; and so do the rows of characters that both alphabets have,
# wherever these are now. New characters start with weights of 0: neither likely nor
# unlikely.
#
# **Exercise 17.2** The last layer for another alphabet. Row 0 is the blank, which is in
# no alphabet; `old[k - 1]` is the character of row k.


# %%
def new_output_layer(W, b, old, new):
    """W (K, H), b (K,) for the string `old` -> the same for `new`.  About 6 lines."""
    raise NotImplementedError


new_output_layer = check("17.2", new_output_layer)

# %%
old = "".join(base.alphabet.symbols)
new = old + "".join(sorted({c for r in mine for c in r.text} - set(old)))
alphabet = Alphabet(new)
settings = replace(base.model.settings, characters=len(alphabet), dropout=0.0)
start = dict(base.model.params)
start["W6"], start["b6"] = new_output_layer(start["W6"], start["b6"], old, new)
print(f"{len(old)} characters, and now also: {' '.join(new[len(old) :]) or 'none'}")

# %% [markdown]
# ## Fine-tuning
# Training that starts from weights which have learned something else is called
# **fine-tuning**. For comparison, the same training starts from random weights, too.

# %%
pad, by_length, collapse = yours("pad", "by_length", "collapse")
nesterov, clip_by_norm = yours("nesterov", "clip_by_norm")
word_error_rate = yours("word_error_rate")
EPOCHS = 60


def heard(saved, x):
    return saved.alphabet.decode(collapse(output(saved, x).argmax(axis=1))).strip()


def labels_of(text):
    return alphabet.encode(text)[:, None]  # (U, 1)


def error_rate(saved, members):
    hypotheses = [heard(saved, r.samples) for r in members]
    return word_error_rate([r.text for r in members], hypotheses)


def train_on(params=None):
    """A network trained from `params` or random weights; its losses and error rates."""
    model, rng = DeepSpeech(settings, seed=1), np.random.default_rng(1)
    if params:
        model.load_params(params)
    saved = SavedModel(model, features, alphabet, {}, {})
    inputs = [features(r.samples) for r in train]
    batches = [list(b) for b in by_length(np.array([len(x) for x in inputs]), 8)]
    velocity = np.zeros_like(model.flat_params)
    losses, rates = [], [error_rate(saved, test)]
    for _ in range(EPOCHS):
        losses.append(0.0)
        for k in rng.permutation(len(batches)):
            x, lengths = pad([inputs[i] for i in batches[k]])
            labels, sizes = pad([labels_of(train[i].text) for i in batches[k]])
            labels = labels[:, :, 0].T.astype(np.int32)  # (B, U)
            loss = model.loss_and_grad(x.astype(np.float32), lengths, labels, sizes)
            losses[-1] += loss.sum() / len(train)
            gradient = clip_by_norm(model.flat_grads / len(sizes), 10)
            nesterov(model.flat_params, gradient, velocity, 0.003, 0.9)
        rates.append(error_rate(saved, test))
        if len(losses) % 10 == 0:
            print(f"epoch {len(losses)}: loss {losses[-1]:5.1f}, WER {rates[-1]:.0%}")
    return saved, losses, rates


tuned, losses, rates = train_on(start)
_, _, from_scratch = train_on()
rates = {"fine-tuned": rates, "from random weights": from_scratch}
show(progress(losses, rates), captions=[f"{len(test)} recordings not trained on"])
for name, values in rates.items():
    print(f"{name:20} {values[0]:4.0%} of the words wrong, then {values[-1]:4.0%}")

# %% [markdown]
# From random weights so few recordings teach hardly anything: the network has to find
# out what a vowel is and what a word is, all at once. Fine-tuning starts where that is
# known. (For the German voice we tried three learning rates, which flatters the number
# a little.) Hear what it hears now, in recordings that it was not trained on:

# %%
versions = {}
for _, text, x in test[:6]:
    versions[f"“{heard(tuned, x)}”"] = x, output(tuned, x)
    print(f"{text:24} before “{heard(base, x)}”, now “{heard(tuned, x)}”")
listen(None, RATE, alphabet=alphabet, versions=versions, by="recording")

# %% [markdown]
# ## What it has forgotten
# The weights have moved, and nobody reminded them of what they knew. What does the
# network hear now in three recordings of English digits, and what did it hear before?

# %%
for name in "seven", "two_five", "three_one_four":
    x, _ = load_audio(data(f"{name}.flac"), rate)
    print(f"{name:15} before “{heard(base, x)}”, now “{heard(tuned, x)}”")
save_model(OUT / "you.safetensors", tuned)
print(f"minids transcribe me.wav --model {OUT / 'you.safetensors'}")

# %% [markdown]
# This is called **catastrophic forgetting**. To keep both, mix old recordings into the
# new ones.
#
# ## More of you
# Two dozen recordings teach a network a dozen words, not your language. Each further
# hour of your recordings helps. `minids init FOLDER`, then `minids train`, take a
# folder of any size: they fine-tune as you did if there is less than half an hour
# (`init = "shipped"` in the settings), otherwise they train from random weights. A
# language model of your sentences (lesson 11) helps, too.
#
# **What we have now** A network that has learned to hear someone: perhaps you.
#
# **Next question** For hours of recordings it takes days. What is a GPU, and what does
# it do better? (Lesson 18 begins the second book.) And yours: whose voice does no
# recognizer know yet?
