# %% [markdown]
# # 15. Can it learn to hear *you*?
# The network of lesson 2 reads clean recordings. Now somebody opens the window, and the
# street has a third of the voice's power. Can it learn to hear in there, and will it
# then hear in your room, too?
#
# *You build* the two brakes of training; then the package's trainer continues a stored
# network, and after that a real one. *You need* lessons 1 to 11.

# %%
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import minids
from minids import Recognizer, load_audio
from minids.audio import mix, save_audio
from minids.data.batches import Batches
from minids.data.manifest import Utterance, read_manifest, write_manifest
from minids.lesson import data, exercise, show
from minids.lesson.figures.progress import progress
from minids.metrics import Evaluation
from minids.ops.common import key
from minids.lesson.figures import sound
from minids.training.step import step
from minids.weights import load_weights, save_weights

saved = load_weights(data("digits.safetensors"))  # weights, features, alphabet
network, rate = Recognizer(saved), saved.features.rate
clean, _ = load_audio(data("two_five.flac"), rate)
noisy = mix(clean, np.random.default_rng(1).normal(size=len(clean)), snr_db=5)


def picture(samples):
    x, y = network.features(samples), network.log_probs(samples)
    return sound.features_and_probabilities(x, y, network.alphabet, network.hop, rate)


said = [network.transcribe(samples).text for samples in (clean, noisy)]
captions = [f"Clean: it hears “{said[0]}”.", f"In noise: it hears “{said[1]}”."]
show([picture(clean), picture(noisy)], captions, title="“two five”, clean and in noise")

# %% [markdown]
# ## Recordings, and a list of them
# All training begins with a **manifest**: a line for each recording, with its path and
# its text. We make one of our three texts, eight times each, each time in other noise;
# and another one, of *other* noise, to be scored on. What a network has learned from
# says nothing about what it will do for you.

# %%
TEXTS = {"seven": "seven", "two_five": "two five", "three_one_four": "three one four"}
OUT = Path("out/lessons/real")


def record(name, copies, seed, snr_db=5):
    rng, made = np.random.default_rng(seed), []
    for stem, text in TEXTS.items():
        speech, _ = load_audio(data(f"{stem}.flac"), rate)
        for copy in range(copies):
            path = OUT.absolute() / name / f"{stem}_{copy}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_audio(path, mix(speech, rng.normal(size=len(speech)), snr_db), rate)
            made.append(Utterance(path, text, len(speech) / rate))
    write_manifest(OUT / f"{name}.jsonl", made)
    return read_manifest(OUT / f"{name}.jsonl")


train, test = record("train", copies=8, seed=2), record("test", copies=4, seed=3)
print(f"{len(train)} recordings to learn from, {len(test)} to be scored on; a line:")
print((OUT / "train.jsonl").read_text().splitlines()[0])

# %% [markdown]
# ## Two brakes
# One strange recording can have a gradient a hundred times as long as the others, and a
# step along it would throw the network out of all it knows. So a gradient that is
# longer than a limit is shortened *to* it. Its direction stays:
#
# $$ g \leftarrow g \cdot \min\left(1, \frac{\text{limit}}{\lVert g \rVert}\right) $$


# %%
def check_limited():
    g = np.array([3.0, -4.0, 12.0])  # of length 13, for 9 + 16 + 144 = 169
    yield "[3 -4 12], limit 5.2: 0.4 of it", limited(g, 5.2), [1.2, -1.6, 4.8]
    yield "[3 -4 12], limit 13: all of it", limited(g, 13.0), [3, -4, 12]
    yield "[3 -4 12], limit 20: all of it", limited(g, 20.0), [3, -4, 12]
    yield "no gradient", limited(np.zeros(3), 1.0), [0, 0, 0]


@exercise(
    "15.1",
    check_limited,
    hints=[
        "The length of g is the root of the sum of its squares: np.sqrt((g**2).sum()).",
        "If that is at most `limit`, return gradient as it is: nothing is made longer.",
        "Else return gradient * (limit / norm).",
    ],
)
def limited(gradient, limit):
    """The gradient, no longer than `limit`, in its direction.  About 2 lines."""
    raise NotImplementedError


# %% [markdown]
# The other brake is pulled a little more after every epoch. The paper anneals "the
# learning rate by a constant factor" (§5): large steps to come near, small ones to
# arrive. With a factor of 2, three epochs run at 1, 1/2, 1/4 of the first rate.


# %%
def check_learning_rate():
    for first, lr_decay in (0.1, 2.0), (0.004, 1.15), (1.0, 1.0):
        rate = first
        for epoch in range(5):
            got = learning_rate(first, lr_decay, epoch)
            yield f"learning_rate({first}, {lr_decay}, {epoch})", got, rate
            rate = rate / lr_decay


@exercise(
    "15.2",
    check_learning_rate,
    hints=[
        "Epoch 0 runs at `first`. Each later one divides what the one before had.",
        "Dividing by a factor n times is dividing by the factor to the power of n.",
        "return first / lr_decay**epoch",
    ],
)
def learning_rate(first, lr_decay, epoch):
    """The learning rate after `epoch` whole epochs.  About 1 line."""
    raise NotImplementedError


# %% [markdown]
# ## Learn
# All the pieces are yours by now. `Batches` reads the manifest, makes features, pads
# and sorts (lessons 1, 8). `step` runs the network forward (3, 4), takes the CTC loss
# and its gradient (5, 6) back through all layers, applies the first brake and moves the
# weights by Nesterov's step (7). These ten lines are the heart of `minids train`:


# %%
def score(utterances):
    rows, _ = network.recognize(utterances)
    return Evaluation(rows).wer


EPOCHS = 20
model, seed = saved.model, 0
batches = Batches(train, saved.features, saved.alphabet, batch_size=8, seed=seed)
velocity = np.zeros_like(model.flat_params)
losses, errors, pictures, captions = [], [score(test).rate], [], []
for epoch in range(EPOCHS):
    of_epoch, norms = [], []
    for batch in batches.epoch(epoch):
        keys = key(seed, epoch, np.array(batch.indices))  # of the dropout
        pace = learning_rate(0.001, 1.05, epoch)
        each, norm = step(model, velocity, batch, keys, pace, momentum=0.9, limit=15)
        of_epoch.extend(each)
        norms.append(norm)
    losses.append(np.mean(of_epoch))
    errors.append(score(test).rate)
    if epoch in (0, 1, 3, 5, 9, 14, 19):
        pictures.append(picture(noisy))
        text = network.transcribe(noisy).text
        captions.append(f"Round {epoch + 1}: it hears “{text}”.")
        print(f"{captions[-1]:40} loss {losses[-1]:5.1f}, gradients to {max(norms):.0f}")

# %% [markdown]
# Here is the recording of the first picture, as the network hears it after more and
# more rounds. It was in neither of the two lists.

# %%
show(pictures, captions, title="Learning to hear in noise")
show(progress(losses, errors), title="The loss falls, and so do the errors")
print(f"word errors in noise that it never heard: {score(test).rate:.1%}")

# %% [markdown]
# ## What has it really learned?
# Be strict before you are proud. We join recordings to sentences that were not in the
# list, and listen for the *spaces*. Is it our training that lost them? The network as it
# was before hears the same, without the noise.

# %%
before = Recognizer.load(data("digits.safetensors"))
voices = {stem: load_audio(data(f"{stem}.flac"), rate)[0] for stem in TEXTS}
for first, second in ("two_five", "seven"), ("seven", "three_one_four"):
    joined = np.concatenate([voices[first], voices[second]])  # 0.2 s of pause between them
    noisier = mix(joined, np.random.default_rng(4).normal(size=len(joined)), 5)
    print(f"{TEXTS[first]} {TEXTS[second]}: it hears “{network.transcribe(noisier).text}”,")
    print(f"    and heard before, in the clean sound, “{before.transcribe(joined).text}”")

# %% [markdown]
# It never had them. In all sentences that it ever learned from, from its first day on, the
# digits were said in one breath, and a pause was the beginning or the end: no space stood
# there. It has learned exactly what was in the list. That is the whole secret of data:
# many voices, many sentences, many rooms. The paper's answer: 5000 hours of reading by
# 9600 people, and noise of its own making on top (§4).
#
# ## Your own voice
# Record a few dozen digits, as WAV or FLAC, let `record` take your paths and texts in
# place of ours, and run this lesson again. For more than digits, start from the network
# that ships with minids: `load_weights(minids.weights.SHIPPED_MODEL)` knows all letters. And
# from nothing, with a manifest like those above:
#
#     minids data doctor mine.jsonl                 what is wrong with the recordings
#     minids train mine.toml                        examples/an4.toml explains settings
#     minids report runs/mine                       a page: curves, errors, sounds
#     minids evaluate test.jsonl --model runs/mine/best.safetensors
#     minids transcribe me.wav --model runs/mine/best.safetensors
#
# `examples/own_recordings.py` does all of it for a folder of `.wav` and `.txt` files.
# What we have just trained is such a model, too:

# %%
save_weights(OUT / "noise.safetensors", saved)
print(f"minids transcribe {test[0].path} --model {OUT / 'noise.safetensors'}")
print(Recognizer.load(OUT / "noise.safetensors").transcribe(test[0].path).text)

# %% [markdown]
# ## A real one
# `python lessons/15_real.py --full`, in a checkout, trains from random weights. Where
# `MINIDS_DATA` names a folder with AN4, that is half an hour of speech: six minutes on
# two cores, about 11 % of word errors, 7 % with a language model. Elsewhere synthetic
# voices say digits (`pip install espeakng-loader`), for two minutes.

# %%
if "--full" in sys.argv:
    examples = Path(minids.__file__).parent.parent / "examples"
    training = [["-m", "minids", "train", examples / "an4.toml"]]
    if "MINIDS_DATA" not in os.environ:
        training = [
            [examples / "demo/speech.py", examples.parent / "out/demo/speech"],
            ["-m", "minids", "train", examples / "demo/demo.toml"],
        ]
    for command in training:
        subprocess.run([sys.executable, *command], check=True)

# %% [markdown]
# **What we have now** Everything. A sound, its spectrogram, a network, its gradients, a
# loss that needs no alignment, a search, a language model, threads and GPUs, and a
# recognizer that you have taught something. Nothing in it is magic any more, and
# nothing in it is hidden: `minids/` reads like these lessons.
#
# **Next question** is yours. Whose voice does nobody's recognizer know yet?
