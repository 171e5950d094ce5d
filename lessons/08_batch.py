# %% [markdown]
# # 8. How do we learn from thousands, in noise?
# Training on one recording at a time is slow, and a network trained on quiet recordings fails in
# noise. Real training uses many recordings at once, and adds noise to each of them.
#
# *You build* batches of recordings of different lengths, and speech in noise. *You need* lesson 7.

# %%
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from minids import DeepSpeech, Recognizer, cer, load_audio
from minids.data.noise import Noise
from minids.decode.greedy import greedy_text
from minids.lesson import data, exercise, listen, show
from minids.lesson.figures.batch import dropped, padded, rectangles, superposition
from minids.model import ModelSettings
from minids.ops.common import Dropout, hash_key
from minids.ops.reference.affine import dropout_mask

rng = np.random.default_rng(8)
durations = np.clip(rng.gamma(4, 70, 48), 60, None).astype(int)  # frames of 48 recordings
by_length = np.argsort(durations)
groupings = {
    "All recordings in one batch: blue is sound, red is padding": [range(48)],
    "Six batches in the order of the files": np.arange(48).reshape(6, 8),
    "Sorted by length, then cut into six batches": by_length.reshape(6, 8),
    "Twelve smaller batches: less padding, smaller matrix products": by_length.reshape(12, 4),
}
pictures = [rectangles(durations, groups) for groups in groupings.values()]
show(pictures, [*groupings], title="Each batch is a rectangle")

# %% [markdown]
# ## Batches
# A product of a matrix and one vector leaves most of a processor idle; with sixteen vectors it
# takes only a little longer. So a **batch** of B recordings goes through the network at once, and
# $h_t$ is a (B, H) matrix. The recordings differ in length, so the shorter ones are filled up with
# zeros. This **padding** costs as much time as sound does. The remedy (§3.1) is to **sort by
# length** before cutting the list into batches. The *order of the batches* is then shuffled in
# each **epoch** (one pass over the data), or all short recordings would come first.


# %%
def check_pad():
    rng = np.random.default_rng(81)
    for F in 2, 3:
        utterances = [rng.normal(size=(T0, F)) for T0 in (2, 5, 4)]  # (T0, F) each
        frames, lengths = pad(utterances)
        yield f"the lengths, {F=}", lengths, np.array([2, 5, 4])
        expected = np.zeros((5, 3, F))
        for b, utterance in enumerate(utterances):
            for t, frame in enumerate(utterance):
                expected[t, b] = frame
        yield f"the frames (T0, B, F), {F=}", frames, expected
    model = DeepSpeech(ModelSettings(3, 3, 6, 1, dropout=0.0), 8, "reference", "float64")
    labels, label_lengths = np.array([[1, 2], [1, 0], [2, 2]]), np.array([2, 1, 2])  # of –ab
    losses = model.loss_and_grad(frames, lengths, labels, label_lengths)
    gradient, total = model.flat_grads.copy(), np.zeros_like(model.flat_grads)
    single_losses = []
    for b, x in enumerate(utterances):
        label = labels[b : b + 1], label_lengths[b : b + 1]
        single_losses.append(model.loss_and_grad(x[:, None], lengths[b : b + 1], *label)[0])
        total += model.flat_grads
    yield "the losses of the batch, and one by one", losses, np.array(single_losses)
    yield "the gradient of the batch, and the sum of single ones", gradient, total


@exercise("8.1", check_pad, rtol=1e-4, atol=1e-6)
def pad(utterances):
    """B arrays (T0, F) -> frames (longest T0, B, F) and lengths (B,).  About 5 lines."""
    raise NotImplementedError


# %%
counting = [10.0 * (b + 1) + np.arange(T0)[:, None] for b, T0 in enumerate((5, 2, 4))]
frames, lengths = pad(counting)
show(padded(frames[:, :, 0], lengths), captions=["Three recordings as one batch, one feature"])

# %% [markdown]
# Note what else the check tests: losses and gradients are the same as for single recordings. For
# this, context, recurrence and CTC must all end where *each* recording ends.
#
# ## Noise
# The paper makes the network robust to noise not with a filter but with more training data, made
# by adding noise to clean speech (§4.1):
#
# $$ \hat{x} = x + \xi_1 + \xi_2 + \dots $$
#
# How loud the noise is, relative to the speech, is the **signal-to-noise ratio** (SNR), a ratio
# of powers P in decibels. For a given SNR the noise must be multiplied by the gain g:
#
# $$\begin{split} \text{SNR} &= 10 \log_{10} \frac{P(x)}{P(g\,\xi)} \\
#   g &= \sqrt{\frac{P(x)}{P(\xi)\, 10^{\text{SNR}/10}}} \end{split}$$
#
# Here P is `np.var`, since a constant offset is not audible. At 0 dB speech and noise have the same
# power, at 20 dB the noise has a hundredth of it.


# %%
def check_mix():
    rng = np.random.default_rng(82)
    speech = 0.1 * rng.normal(size=4000) + 0.05
    for snr_db, N, offset in (10, 4000, 0), (0, 4000, 0), (-5, 1500, 0), (20, 9000, 3):
        noise = rng.normal(size=N) + offset
        mixed = mix(speech, noise, snr_db)
        case, added = f"{N} samples of noise over 4000 at {snr_db} dB", mixed - speech
        yield f"{case}: the SNR", 10 * np.log10(np.var(speech) / np.var(added)), snr_db
        correlation = np.corrcoef(added, np.resize(noise, 4000))[0, 1]
        yield f"{case}: correlation of the noise and what was added", correlation, 1.0
        yield f"{case}: 50 times as loud", mix(50 * speech, 50 * noise, snr_db), 50 * mixed
    yield "silent noise adds nothing", mix(speech, np.zeros(10), 5), speech


@exercise("8.2", check_mix, rtol=1e-4, atol=1e-6)
def mix(speech, noise, snr_db):
    """speech + g noise at that SNR; noise is repeated or cut to fit.  About 5 lines."""
    raise NotImplementedError


# %% [markdown]
# ## Which noise?
# If the same recording of a street is added to everything, the network memorizes it, and fails in
# any other street. So the paper *adds up* several *short clips* (§4.1). In minids each $\xi$ is a
# random sequence of clips of 2 s, drawn again for every recording and epoch, so no noise repeats.
# Clips that do not resemble real noise, by the average power of each frequency band, are
# **rejected**. Here the noise is synthetic: twelve recordings of hiss with different spectra, and
# a whistle.


# %%
def hiss(rng, seconds):
    """Noise whose power falls with frequency, by a random exponent."""
    spectrum = np.fft.rfft(rng.normal(size=seconds * rate))
    spectrum *= np.maximum(np.arange(len(spectrum)), 100) ** -rng.uniform(0, 1.2)
    samples = np.fft.irfft(spectrum)
    return 0.1 * samples / samples.std()


recognizer = Recognizer.load(data("digits.safetensors"))  # trained without noise
rate, alphabet = recognizer.features.rate, recognizer.alphabet
tracks = {f"hiss_{i}": hiss(np.random.default_rng([8, i]), 8) for i in range(12)}
tracks["whistle"] = 0.1 * np.sin(2 * np.pi * 1700 * np.arange(4 * rate) / rate)
with TemporaryDirectory() as folder:
    for name, samples in tracks.items():
        soundfile.write(f"{folder}/{name}.wav", samples, rate)
    noise, chain = Noise([folder], rate, tracks=3), Noise([folder], rate, tracks=1)
print(f"{len(noise.clips)} clips; rejected:", *{clip.path.stem for clip in noise.rejected})

names = ["two five", "seven", "three one four"]
recordings = [load_audio(data(name.replace(" ", "_") + ".flac"), rate)[0] for name in names]
x, ratios = recordings[0], (20, 15, 10, 5, 0)
chains = [chain.sum_tracks(len(x), rng) for _ in range(3)]  # ξ_1, ξ_2, ξ_3
mixtures = [mix(x, sum(chains), snr) for snr in ratios]
texts = [greedy_text(recognizer.log_probs(mixed), alphabet) for mixed in mixtures]
captions = [f"{snr} dB: the text is '{text}'" for snr, text in zip(ratios, texts, strict=True)]
pictures = [superposition(x, chains, mixed, rate) for mixed in mixtures]
show(pictures, captions, title="Speech in noise")
listen(mixtures[0], rate)  # 20 dB
listen(mixtures[4], rate)  # 0 dB: for you it is easy

# %% [markdown]
# Now continue the training of this network in two ways: with one track as the noise, and with
# sums of clips.

# %%
padded_labels, label_lengths = pad([alphabet.encode(name)[:, None] for name in names * 4])
labels = padded_labels[:, :, 0].T.astype(np.int32)  # (B, U)


def continue_training(make_noise, seed=8):
    """The recognizer after 16 more steps, each with four noisy copies of each recording."""
    trained, rng = Recognizer.load(data("digits.safetensors")), np.random.default_rng(seed)
    model, velocity = trained.model, np.zeros_like(trained.model.flat_params)
    for i in range(16):
        noisy = [mix(x, make_noise(len(x), rng), rng.uniform(0, 20)) for x in recordings * 4]
        frames, lengths = pad([trained.features(x) for x in noisy])
        batch = frames.astype(np.float32), lengths, labels, label_lengths
        model.loss_and_grad(*batch, hash_key(seed, i, np.arange(12)))  # keys of dropout, see below
        scale = min(1 / 12, 15 / model.ops.norm(model.flat_grads))  # mean over 12; clipping
        model.ops.nesterov(model.flat_params, model.flat_grads, velocity, 0.002, 0.9, scale)
    return trained


def error_rate(network, noises):
    """The character error rate over each recording in each noise, at 5 dB."""
    log_probs = [network.log_probs(mix(x, noise, 5)) for x in recordings for noise in noises]
    texts = [greedy_text(y, alphabet) for y in log_probs]
    return cer([name for name in names for _ in noises], texts).rate


track = tracks["hiss_1"]
new_noises = [hiss(np.random.default_rng([9, i]), 2) for i in range(8)]  # in no training data
networks = {"no noise": recognizer, "one track": continue_training(lambda N, _: track[:N])}
networks["sums of clips"] = continue_training(noise.sum_tracks)
print("character error rate in  the track  new noise")
for name, network in networks.items():
    rates = error_rate(network, [track]), error_rate(network, new_noises)
    print(f"trained with {name:13} {rates[0]:7.0%} {rates[1]:10.0%}")

# %% [markdown]
# The second network has memorized its track; the third is better in noise that none of them was
# trained with. (The recordings are the same in training and test, so these numbers say nothing
# about new speakers.) People also *speak* differently in noise, the **Lombard effect**, so the
# authors recorded speakers who heard noise in their headphones (§4.2).
#
# ## Dropout
# **Dropout** is another defense against memorizing. In each training step a fraction p of the
# units, 5 to 10 % and chosen at random, is set to 0 (§2.1), so that the network does not depend on
# any single one. The others are divided by 1 - p, which keeps the expected sums. The recurrent
# layer has no dropout: there it would affect all later frames. In minids the choice is a hash of
# seed, epoch, recording, frame and unit, so that a resumed training repeats it exactly.

# %%
dropouts = [Dropout(0.1, hash_key(8, epoch, np.arange(1))) for epoch in (0, 1)]
h = [dropout_mask(dropout, (8, 1, 5), float) for dropout in dropouts]  # of units that are 1
show([dropped(values[:, 0]) for values in h], captions=["Epoch 0", "Epoch 1"], title="Dropout")

# %% [markdown]
# ## Several networks, several views
# At test time the paper averages *probabilities* (§2.1): of an **ensemble** of several networks,
# which make different errors, and of the recording shifted by 5 ms (half a hop) either way, called
# **jitter**. `Recognizer.load([one, another], jitter=True)` does both.
#
# **In the package**: `minids/data/` for batches, noise and augmentation (`spectral_tilt` is a rough
# substitute for the Lombard effect), `AcousticModel` and `average` in `minids/recognizer.py`.
#
# **What we have now**: batches with little padding, and training in noise that does not repeat.
#
# **Next question**: we take the best character of each frame. Is this the best text? (Lesson 9.)
