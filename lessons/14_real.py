# %% [markdown]
# # 14. Does it work for voices it never heard?
# So far your networks have learned a few recordings by heart. Now train one for real:
# hundreds of recordings, 28 voices, from random weights. Then measure honestly what it
# has learned.
#
# *You build* what a training needs besides its mathematics: a fair split of the
# recordings, the choice of the best weights, a learning rate that falls. *You need*
# lessons 1 to 12.

# %%
import subprocess
import sys
from pathlib import Path

import numpy as np

from minids import DeepSpeech, Features, Recognizer
from minids.data.manifest import write_manifest
from minids.features import hann
from minids.lesson import check, folder, listen, show, yours
from minids.lesson.figures.progress import collection, progress
from minids.lesson.sounds import RATE, digits, hiss, utterances
from minids.lesson.threads import one_thread
from minids.model import ModelSettings
from minids.ops.common import hash_key
from minids.text import Alphabet
from minids.weights import SavedModel, save_model

one_thread()  # fastest for a network as small as this
recordings, test = digits("train"), digits("test")  # other voices in the test
picture = collection({"for training": recordings, "for the test": test})
show(picture, captions=["Each dot is a recording, each row a voice."])

# %% [markdown]
# ## Recordings and their manifest
# Training starts with a **manifest**, a file with one line per recording: where it is,
# what is said, and who says it. Ours are digits spoken by a synthesizer with many
# voices; each is a part of one long file. The commands of minids read this, too:

# %%
OUT = Path("out/lessons/real")
OUT.mkdir(parents=True, exist_ok=True)
for name in "train", "test":
    write_manifest(OUT / f"{name}.jsonl", utterances(name))
print((OUT / "train.jsonl").read_text().splitlines()[0])

# %% [markdown]
# ## Three sets
# The **training set** is what the network learns from. How well it does *there* says
# nothing about other recordings. So all decisions, such as when to stop, are based on a
# second one, the **development set**; and since they are biased in its favor, the final
# error rate is measured on a third, the **test set**, once.
#
# No recording may be in two of them. Nor may a *speaker*: a recognizer is for people it
# has never heard, so it must be judged by such people.
#
# **Exercise 14.1** Given the speaker of each recording, hold out `count` speakers, with
# all their recordings, for development. Which ones, you decide; the same in each run.


# %%
def split_by_speaker(speakers, count):
    """N names -> (train, dev): indices; `count` speakers are in dev.  About 4 lines."""
    raise NotImplementedError


split_by_speaker = check("14.1", split_by_speaker)

# %%
train, dev = split_by_speaker([recording.voice for recording in recordings], 4)
train, dev = [recordings[i] for i in train], [recordings[i] for i in dev]
known = train[::12]  # held out, too, but of voices that the network trains with
train = [recording for i, recording in enumerate(train) if i % 12]
sets = {"train": train, "known voices": known, "dev": dev, "test": test}

# %% [markdown]
# ## Keep the best weights
# The error rate on the development set falls at first, and may rise later, when the
# network starts to memorize its training data. This is **overfitting**. So measure it
# after every epoch, store the weights, and in the end take those of the epoch with the
# lowest rate (of several, the earliest). A rate that could not be computed is NaN, and
# must not win.
#
# **Exercise 14.2** Which epoch was the best?


# %%
def best_epoch(error_rates):
    """The number, from 0, of the first epoch with the lowest error rate.  1 line."""
    raise NotImplementedError


best_epoch = check("14.2", best_epoch)

# %% [markdown]
# ## Reduce the learning rate
# Large steps make fast progress, small ones are needed to reach a minimum. So the paper
# divides the learning rate "by a constant factor" after each epoch (§5). With a factor
# of 2, three epochs have 1, 1/2, 1/4 of the first rate. This is called **annealing**.
#
# **Exercise 14.3** The learning rate of an epoch.


# %%
def learning_rate(first, lr_decay, epoch):
    """The learning rate after `epoch` completed epochs.  1 line."""
    raise NotImplementedError


learning_rate = check("14.3", learning_rate)

# %% [markdown]
# ## Train
# Your functions of ten lessons meet here. Only the layers and CTC are the package's,
# compiled, because much sound has to pass through them; in lesson 16 they are yours.

# %%
frames, power_spectrum, filter_banks = yours("frames", "power_spectrum", "filter_banks")
normalize, pad, by_length = yours("normalize", "pad", "by_length")
nesterov, clip_by_norm = yours("nesterov", "clip_by_norm")
collapse, word_error_rate = yours("collapse", "word_error_rate")
alphabet, window = Alphabet(" efghinorstuvwxz"), hann(320)  # the letters of zero … nine


def features(x):
    """Samples (N,) -> (T0, 41): lesson 1."""
    x = (x - x.mean()) / x.std()
    return normalize(filter_banks(power_spectrum(frames(x, 320, 160) * window), 40))


def batches(members, size):
    """Batches of similar length: texts, and the arguments of `loss_and_grad`."""
    inputs = [features(x) for _, _, x in members]
    for indices in by_length(np.array([len(x) for x in inputs]), size):
        texts = [members[i].text for i in indices]
        x, lengths = pad([inputs[i] for i in indices])
        labels, sizes = pad([alphabet.encode(text)[:, None] for text in texts])
        labels = labels[:, :, 0].T.astype(np.int32)  # (B, U)
        yield texts, (np.asarray(x, np.float32), lengths, labels, sizes)


def error_rate(prepared):
    """The word error rate of the best paths."""
    references, hypotheses = [], []
    for texts, (x, lengths, *_) in prepared:
        log_probs, lengths = model.forward(x, lengths)
        for b, T in enumerate(lengths):
            path = log_probs[:T, b].argmax(axis=1)
            hypotheses.append(alphabet.decode(collapse(path)))
        references += texts
    return word_error_rate(references, hypotheses)


prepared = {}
for name, members in sets.items():
    print(f"features of {len(members):3} recordings: {name}")
    prepared[name] = list(batches(members, 8))

# %%
EPOCHS, rng = 12, np.random.default_rng(14)
settings = ModelSettings(
    41, len(alphabet), hidden=128, context=5, stride=3, dropout=0.1
)
model, losses = DeepSpeech(settings, seed=0), []
velocity, weights = np.zeros_like(model.flat_params), [model.flat_params.copy()]
rates = {name: [error_rate(prepared[name])] for name in ("known voices", "dev")}
for epoch in range(EPOCHS):
    loss, rate = 0.0, learning_rate(0.004, 1.08, epoch)
    momentum = min(0.95, 0.9 + 0.01 * epoch)
    for k in rng.permutation(len(prepared["train"])):  # a new order in each epoch
        texts, batch = prepared["train"][k]
        keys = hash_key(epoch, k, np.arange(len(texts)))  # of dropout
        loss += model.loss_and_grad(*batch, keys).sum() / len(train)
        gradient = clip_by_norm(model.flat_grads / len(texts), 10)
        nesterov(model.flat_params, gradient, velocity, rate, momentum)
    losses.append(loss)
    weights.append(model.flat_params.copy())
    for name, values in rates.items():
        values.append(error_rate(prepared[name]))
    print(f"epoch {epoch + 1:2}: loss {loss:4.1f}, WER of dev {rates['dev'][-1]:.0%}")
best = best_epoch(rates["dev"])
model.flat_params[:] = weights[best]
show(progress(losses, rates, best), captions=[f"The weights of epoch {best} are kept."])

# %% [markdown]
# ## What has it really learned?
# Now the test set, for the first time. And before you believe a number, ask what it is
# the error rate *of*:

# %%
hisses = [0.2 * hiss(rng, len(x) / RATE) for _, _, x in test]
noisy = [
    r._replace(samples=r.samples + noise) for r, noise in zip(test, hisses, strict=True)
]
prepared["test, in hiss"] = list(batches(noisy, 8))
prepared["train"] = prepared["train"][::4]
for name in "train", "known voices", "dev", "test", "test, in hiss":
    print(f"{name:14} word error rate {error_rate(prepared[name]):4.0%}")

# %% [markdown]
# The *training* recordings are read best: that number measures memory.
# *Known voices* are not easier than new ones, since two dozen voices are enough variety
# for digits; with a handful of speakers this is the gap to watch. The *test* set gives
# the error rate for digits in quiet, by synthetic voices; in *hiss* it is several times
# as high, since no training recording had any (lesson 9). An error rate without its
# test set says nothing. Hear what was wrong:

# %%
own = Features(bands=40, normalize="utterance", floor_db=-70)
saved = SavedModel(model, own, alphabet, {}, {})
recognizer = Recognizer(saved)  # `Features` computes what you do
versions = {}
for _, text, x in test[:8]:
    heard = recognizer.transcribe(x).text
    name = f"“{text}”" if heard == text else f"“{heard}” for “{text}”"
    versions[name] = x, recognizer.log_probs(x)
listen(None, RATE, alphabet=alphabet, versions=versions, by="recording")

# %% [markdown]
# ## Your own data
# The commands of minids do the same; they also resume, report and check data
# (`minids/data/doctor.py`):
#
#     minids data doctor mine.jsonl         checks the recordings and texts
#     minids train mine.toml                examples/an4.toml explains the settings
#     minids report runs/mine               a page with curves, errors and sounds
#     minids evaluate test.jsonl --model runs/mine/best.safetensors
#
# The network that you have just trained is such a model, too:

# %%
save_model(OUT / "digits.safetensors", saved)
print(f"minids evaluate {OUT / 'test.jsonl'} --model {OUT / 'digits.safetensors'}")

# %% [markdown]
# In a checkout, `python lessons/14_real.py --full` trains on real speech if
# `MINIDS_DATA` is a folder with the AN4 corpus and noise: half an hour of speech, 11
# minutes on two cores, a word error rate of 9 %, with a language model 6 %.

# %%
if "--full" in sys.argv:
    settings_file = folder.example("an4.toml")
    subprocess.run([sys.executable, "-m", "minids", "train", settings_file], check=True)

# %% [markdown]
# **What we have now** A recognizer for voices it has never heard, and an honest number.
#
# **Next question** What did recognizers look like before all of this, and why did
# anyone give them up? (Lesson 15.)
