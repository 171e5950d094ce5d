# %% [markdown]
# # 8. How do we learn from thousands, in noise?
# One word at a time is a slow way to learn a language, and a quiet room is a bad place to learn
# to listen. Real training takes many recordings at once, and spoils each of them on purpose.
#
# *You build* batches of recordings of uneven length, and speech in noise. *You need* lesson 7.

# %%
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from minids import DeepSpeech, Recognizer, cer, ctc_loss, load_audio
from minids.audio import shift
from minids.data.noise import Noise
from minids.decode.greedy import greedy_text
from minids.lesson import data, exercise, show
from minids.lesson.figures.batch import dropped, padded, rectangles, superposition
from minids.model import ModelSettings
from minids.ops.common import Dropout, key
from minids.ops.reference import affine_forward
from minids.recognizer import average

rng = np.random.default_rng(8)
durations = np.clip(rng.gamma(4, 70, 48), 60, None).astype(int)  # frames of 48 recordings
by_length = np.argsort(durations)
cuts = {
    "All recordings in one rectangle: blue is sound, red is padding": [range(48)],
    "Six batches in the order of the folder": np.arange(48).reshape(6, 8),
    "Sorted by length, then cut into six batches": by_length.reshape(6, 8),
    "Twelve smaller batches: less padding, but less to do at once": by_length.reshape(12, 4),
}
show([rectangles(durations, groups) for groups in cuts.values()], [*cuts], title="A batch is a rectangle")

# %% [markdown]
# ## A batch is a rectangle
# A matrix times one column hardly warms a processor up; times sixteen columns it takes little
# longer. So B recordings go through side by side, and $h_t$ is a (B, H) matrix.
# But they are not equally long. The rest is **padding**, and it costs as much as sound.
# The remedy (§3.1): **sort by length**, then cut, and the red goes away. The *order of the
# batches* is drawn anew each epoch, or all short recordings would come first.


# %%
def check_pad():
    rng = np.random.default_rng(81)
    utterances = [rng.normal(size=(T0, 3)) for T0 in (2, 5, 4)]  # (T0, F) each
    frames, lengths = pad(utterances)
    yield "the lengths", lengths, np.array([2, 5, 4])
    truth = np.zeros((5, 3, 3))
    for b, utterance in enumerate(utterances):
        for t, frame in enumerate(utterance):
            truth[t, b] = frame
    yield "the frames (T0, B, F)", frames, truth
    model = DeepSpeech(ModelSettings(3, 3, 6, 1, dropout=0.0), 8, "reference", "float64")
    labels, label_lengths = np.array([[1, 2], [1, 0], [2, 2]]), np.array([2, 1, 2])  # of –ab
    together = model.loss_and_grad(frames, lengths, labels, label_lengths)
    gradient, alone, total = model.flat_grads.copy(), [], np.zeros_like(model.flat_grads)
    for b, x in enumerate(utterances):
        one = labels[b : b + 1], label_lengths[b : b + 1]
        alone.append(model.loss_and_grad(x[:, None], lengths[b : b + 1], *one)[0])
        total += model.flat_grads
    yield "the losses, together against one by one", together, np.array(alone)
    yield "the gradient, together against the sum", gradient, total


@exercise(
    "8.1",
    check_pad,
    hints=[
        "Time comes first: np.zeros((longest, B, F)), and frames[:T0, b] is utterance b.",
        "lengths = np.array([len(x) for x in utterances], np.int32)"
        " and for b, x in enumerate(utterances): frames[: len(x), b] = x",
    ],
)
def pad(utterances):
    """B arrays (T0, F) -> frames (longest T0, B, F) and lengths (B,).  About 5 lines."""
    raise NotImplementedError


# %%
counting = [10.0 * (b + 1) + np.arange(T0)[:, None] for b, T0 in enumerate((5, 2, 4))]
frames, lengths = pad(counting)
show(padded(frames[:, :, 0], lengths), captions=["Three recordings as one batch, one feature"])

# %% [markdown]
# The checks went further: losses and gradients are those of the recordings one by one. So
# context, recurrence, CTC and gradients must all end where *each* recording ends.
#
# ## Noise
# The paper's answer to noise is not a filter, but more training data, made by adding (§4.1):
#
# $$ \hat{x} = x + \xi_1 + \xi_2 + \dots $$
#
# How loud? That is told in decibels, by the **signal-to-noise ratio** of powers P:
#
# $$\begin{split} \text{SNR} &= 10 \log_{10} \frac{P(x)}{P(g\,\xi)} \\
#   g &= \sqrt{\frac{P(x)}{P(\xi)\, 10^{\text{SNR}/10}}} \end{split}$$
#
# Power is `np.var`, for a constant offset is not heard. At 0 dB both are equally loud, at 20 dB
# the noise has a hundredth of the power.


# %%
def check_mix():
    rng = np.random.default_rng(82)
    speech = 0.1 * rng.normal(size=4000) + 0.05
    for snr_db, N, offset in (10, 4000, 0), (0, 4000, 0), (-5, 1500, 0), (20, 9000, 3):
        noise = rng.normal(size=N) + offset
        mixed = mix(speech, noise, snr_db)
        what, added = f"{N} samples of noise over 4000 at {snr_db} dB", mixed - speech
        yield f"{what}: the SNR", 10 * np.log10(np.var(speech) / np.var(added)), snr_db
        alike = np.corrcoef(added, np.resize(noise, 4000))[0, 1]
        yield f"{what}: how like the noise is what was added", alike, 1.0
    yield "silent noise adds nothing", mix(speech, np.zeros(10), 5), speech


@exercise(
    "8.2",
    check_mix,
    rtol=1e-4,
    atol=1e-6,
    hints=[
        "noise = np.resize(noise, len(speech)) repeats or cuts, as needed. Do it first.",
        "gain = np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10))",
        "Ask for np.var(noise) == 0 before you divide by it.",
    ],
)
def mix(speech, noise, snr_db):
    """speech + g noise at that SNR; noise is repeated or cut to fit.  About 5 lines."""
    raise NotImplementedError


# %% [markdown]
# ## Which noise?
# Put one recording of a street under everything, and the network soon knows it by heart: deaf in
# any other street. So the paper *sums* many *short clips* (§4.1). In minids every $\xi$ is a chain
# of clips of 2 s, drawn anew for each recording and epoch: no noise comes twice. And a clip whose
# power per frequency band is far from that of real noise is **rejected**: it would teach nothing.
# Our streets are hiss, each of its own color; and somebody has whistled:


# %%
def street(rng, seconds):
    """Hiss of a color of its own: high frequencies are weaker, by a power that is drawn."""
    spectrum = np.fft.rfft(rng.normal(size=seconds * rate))
    spectrum *= np.maximum(np.arange(len(spectrum)), 100) ** -rng.uniform(0, 1.2)
    hiss = np.fft.irfft(spectrum)
    return 0.1 * hiss / hiss.std()


recognizer = Recognizer.load(data("digits.safetensors"))  # it has learned in quiet
rate, alphabet = recognizer.features.rate, recognizer.alphabet
tracks = {f"street_{i}": street(np.random.default_rng([8, i]), 8) for i in range(12)}
tracks["whistle"] = 0.1 * np.sin(2 * np.pi * 1700 * np.arange(4 * rate) / rate)
with TemporaryDirectory() as folder:
    for name, samples in tracks.items():
        soundfile.write(f"{folder}/{name}.wav", samples, rate)
    noise, chain = Noise([folder], rate, layers=3), Noise([folder], rate, layers=1)
print(f"{len(noise.clips)} clips; rejected:", *{clip.path.stem for clip in noise.rejected})

names = ["two five", "seven", "three one four"]
sounds = [load_audio(data(name.replace(" ", "_") + ".flac"), rate)[0] for name in names]
x, ratios = sounds[0], (20, 15, 10, 5, 0)
chains = [chain.track(len(x), rng) for _ in range(3)]  # ξ_1, ξ_2, ξ_3
mixtures = [mix(x, sum(chains), snr) for snr in ratios]
said = [greedy_text(recognizer.log_probs(mixed), alphabet) for mixed in mixtures]
captions = [f"{snr} dB: it hears '{text}'" for snr, text in zip(ratios, said, strict=True)]
show([superposition(x, chains, mixed, rate) for mixed in mixtures], captions, title="Speech in noise")

# %% [markdown]
# (In ξ₂ one clip fades into another.) Two copies now go on learning: in one street, and in sums.

# %%
texts, label_lengths = pad([alphabet.encode(name)[:, None] for name in names * 4])
labels = texts[:, :, 0].T.astype(np.int32)  # (B, U)


def learned(track, seed=8):
    """The recognizer after 16 steps, each with the recordings four times over, in track(N, rng)."""
    pupil, rng = Recognizer.load(data("digits.safetensors")), np.random.default_rng(seed)
    model, velocity = pupil.model, np.zeros_like(pupil.model.flat_params)
    for i in range(16):
        noisy = [mix(x, track(len(x), rng), rng.uniform(0, 20)) for x in sounds * 4]
        frames, lengths = pad([pupil.features(x) for x in noisy])
        batch = frames.astype(np.float32), lengths, labels, label_lengths
        model.loss_and_grad(*batch, key(seed, i, np.arange(12)))  # the key is for dropout, see below
        scale = min(1 / 12, 15 / model.ops.norm(model.flat_grads))  # the mean of 12; the limit
        model.ops.nesterov(model.flat_params, model.flat_grads, velocity, 0.002, 0.9, scale)
    return pupil


def wrong(pupil, noises):
    """The share of letters that are wrong (CER), each recording in each noise, at 5 dB."""
    heard = [pupil.log_probs(mix(x, each, 5)) for x in sounds for each in noises]
    said = [greedy_text(log_probs, alphabet) for log_probs in heard]
    return cer([name for name in names for _ in noises], said).rate


track = tracks["street_1"]
fresh = [street(np.random.default_rng([9, i]), 2) for i in range(8)]  # nobody has heard these
one, sums = learned(lambda N, _: track[:N]), learned(noise.track)
table = [
    f"{name:13} wrong in that track: {wrong(pupil, [track]):4.0%}, in new noise: {wrong(pupil, fresh):4.0%}"
    for name, pupil in {"quiet": recognizer, "one track": one, "sums of clips": sums}.items()
]
print(*table, sep="\n")

# %% [markdown]
# The second knows its track by heart; the third is better where nobody has been. (The recordings
# both may know by heart. For how people speak *up* in noise, §4.2, see `minids.data.augment.spectral_tilt`.)
#
# ## Dropout, that can be repeated
# One more way to spoil things on purpose: in each step 5 to 10 % of the units of the feed-forward
# layers fall silent (§2.1), so that none can be relied upon. Never the recurrent ones: their
# silence would echo. The others are divided by 1 - p, so that sums keep their size. Which units?
# A hash of a **key** (seed, epoch, recording), frame and unit decides: the same in a resumed run.

# %%
layer = np.ones((8, 1, 5)), np.eye(5), np.zeros(5), True  # five units that say 1, eight frames
kept = [affine_forward(*layer, Dropout(0.1, key(8, epoch, np.arange(1)))) for epoch in (0, 1)]
show([dropped(h[:, 0]) for h in kept], captions=["Epoch 0", "Epoch 1"])

# %% [markdown]
# ## More ears than one
# When the network is used, the *probabilities* of several hearings can be averaged (§2.1):
# **jitter** moves the recording by 5 ms, half a hop, either way, so that frames begin elsewhere;
# an **ensemble** asks several networks (the paper: 4 and 6). `Recognizer.load([one, other],
# jitter=True)` does both. The loss in new noise, of the last pupil and a twin with other noise:

# %%
twin = learned(noise.track, seed=9)
losses = {"one": [], "twin": [], "one, jitter": [], "one and twin": []}
for b, mixed in ((b, mix(sounds[b], each, 5)) for b in range(3) for each in fresh):
    y, other = sums.log_probs(mixed), twin.log_probs(mixed)
    moved = [sums.log_probs(shift(mixed, rate, ms)) for ms in (-5, 5)]
    for name, ears in zip(losses, ([y], [other], [y, *moved], [y, other]), strict=True):
        label = labels[b : b + 1], label_lengths[b : b + 1]
        losses[name].append(ctc_loss(average(ears)[:, None], [len(y)], *label)[0])
print(", ".join(f"{name}: {np.mean(each):.2f}" for name, each in losses.items()))

# %% [markdown]
# Two networks err in different places: the pair is about as good as the better one, and nobody
# need know which that is. Jitter does little for our small one. Measure, each time.
#
# **What we have now**: batches that waste little and change nothing, noise that nobody can learn
# by heart, and a network that was made to suffer in training so that it need not later.
#
# **Next question**: we read the best character of each frame. Is that the best text? (Lesson 9.)
