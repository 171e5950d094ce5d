# %% [markdown]
# # 8. How do we learn from thousands, in noise?
# One word at a time is a slow way to learn a language, and a quiet room is a bad place to learn
# to listen. Real training takes many recordings at once, and spoils each of them on purpose.
#
# *You build* batches of recordings of uneven length, and speech in noise at any loudness.
# *You need* lesson 7 (a network that learns).

# %%
import numpy as np

from minids import DeepSpeech, Recognizer, ctc_loss, load_audio
from minids.audio import shift
from minids.batches import Batch
from minids.decode.greedy import greedy_text
from minids.draw.batch import dropped, mixture, padded, rectangles
from minids.lesson import data, exercise, show
from minids.model import ModelSettings
from minids.ops.common import Dropout, key
from minids.ops.reference import affine_forward
from minids.recognize import average
from minids.train import step

rng = np.random.default_rng(8)
durations = np.clip(rng.gamma(4, 70, 48), 60, None).astype(int)  # frames of 48 recordings
by_length = np.argsort(durations)
cuts = {
    "All recordings in one rectangle: blue is sound, red is padding": [range(48)],
    "Six batches in the order of the folder": np.arange(48).reshape(6, 8),
    "Sorted by length, then cut into six batches": by_length.reshape(6, 8),
    "Twelve smaller batches: less padding, but less to do at once": by_length.reshape(12, 4),
}
pictures = [rectangles(durations, groups) for groups in cuts.values()]
show(pictures, captions=list(cuts), title="A batch is a rectangle")

# %% [markdown]
# ## A batch is a rectangle
# A matrix times one column hardly warms a processor up; times sixteen columns it takes little
# longer. So B recordings go through side by side, and $h_t$ is a (B, H) matrix.
#
# But recordings are not equally long. The rest is **padding**, and it costs as much as sound.
# The remedy (§3.1): **sort by length**, then cut, and the red goes away. The *order of the
# batches* is drawn anew each epoch, or all short recordings would come first.


# %%
def small_network():
    """Three features, alphabet "–ab", in float64; and labels for three recordings."""
    model = DeepSpeech(ModelSettings(3, 3, 6, 1, dropout=0.0), 8, "reference", "float64")
    return model, np.array([[1, 2], [1, 0], [2, 2]]), np.array([2, 1, 2])


def check_pad():
    rng = np.random.default_rng(81)
    utterances = [rng.normal(size=(T0, 3)) for T0 in (5, 2, 4)]  # (T0, F) each
    frames, lengths = pad(utterances)
    yield "the lengths", lengths, np.array([5, 2, 4])
    truth = np.zeros((5, 3, 3))
    for b, utterance in enumerate(utterances):
        for t, frame in enumerate(utterance):
            truth[t, b] = frame
    yield "the frames (T0, B, F)", frames, truth
    model, labels, label_lengths = small_network()
    together = model.learn(frames, lengths, labels, label_lengths)
    gradient, alone, total = model.flat_grads.copy(), [], np.zeros_like(model.flat_grads)
    for b, x in enumerate(utterances):
        one = labels[b : b + 1], label_lengths[b : b + 1]
        alone.append(model.learn(x[:, None], lengths[b : b + 1], *one)[0])
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
# The checks went further: the batch's losses and gradients are those of the recordings one by
# one. That is work: the context window must see zeros behind a recording's end, the recurrence
# that runs backwards must begin at *its* last frame, CTC must end there, and no gradient may
# come from beyond. The rude proof: padding of NaN, which spoils all it touches.

# %%
model, labels, label_lengths = small_network()
frames, lengths = pad([rng.normal(size=(T0, 3)) for T0 in (5, 2, 4)])
print("padding 0:  ", model.learn(frames, lengths, labels, label_lengths))
frames[np.arange(5)[:, None] >= lengths] = np.nan
print("padding NaN:", model.learn(frames, lengths, labels, label_lengths))

# %% [markdown]
# ## Noise
# The paper's answer to noise is not a filter, but more training data, made by adding (§4.1):
#
# $$ \hat{x} = x + \xi_1 + \xi_2 + \dots $$
#
# How loud? That is told in decibels, by the **signal-to-noise ratio** of powers P:
#
# $$ \text{SNR} = 10 \log_{10} \frac{P(x)}{P(g\,\xi)}
#    \quad \Rightarrow \quad g = \sqrt{\frac{P(x)}{P(\xi)\, 10^{\text{SNR}/10}}} $$
#
# Power is `np.var`, for a constant offset is not heard. At 0 dB both are equally loud, at 20 dB
# the noise has a hundredth of the power.


# %%
def measured(speech, mixed):
    """The SNR in dB, from what was added."""
    return 10 * np.log10(np.var(speech) / np.var(mixed - speech))


def check_mix():
    rng = np.random.default_rng(82)
    speech = 0.1 * rng.normal(size=4000) + 0.05
    for snr_db, N, offset in (10, 4000, 0), (0, 4000, 0), (-5, 1500, 0), (20, 9000, 3):
        noise = rng.normal(size=N) + offset
        mixed = mix(speech, noise, snr_db)
        what = f"{N} samples of noise over 4000 at {snr_db} dB"
        yield f"{what}: the SNR", measured(speech, mixed), snr_db
        alike = np.corrcoef(mixed - speech, np.resize(noise, 4000))[0, 1]
        yield f"{what}: how like the noise is what was added", alike, 1.0
    yield "silent noise adds nothing", mix(speech, np.zeros(10), 5), speech


@exercise(
    "8.2",
    check_mix,
    rtol=1e-4,
    atol=1e-6,
    hints=[
        "np.resize(noise, len(speech)) repeats or cuts, as needed.",
        "gain = np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10))",
        "Ask for np.var(noise) == 0 before you divide by it.",
    ],
)
def mix(speech, noise, snr_db):
    """speech + g noise at that SNR; noise is repeated or cut to fit.  About 5 lines."""
    raise NotImplementedError


# %% [markdown]
# What does noise do to a network that learnt in quiet? Ours is hiss and rumble, of random strength.

# %%
recogniser = Recognizer.load(data("digits.safetensors"))
rate, alphabet = recogniser.features.rate, recogniser.alphabet
names = ["two five", "seven", "three one four"]
sounds = [load_audio(data(name.replace(" ", "_") + ".flac"), rate)[0] for name in names]


def some_noise(rng, N=20_000):
    hiss = rng.normal(size=N + 99)
    rumble = np.convolve(hiss, np.ones(100) / 10, "valid")  # its slow part, as loud
    return rng.uniform() * hiss[:N] + rng.uniform() * rumble


def heard(b, snr_db):
    """Sound b in noise that no training has, and what the recogniser hears."""
    mixed = mix(sounds[b], some_noise(np.random.default_rng([8, b])), snr_db)
    return mixed, greedy_text(recogniser.log_probs(mixed), alphabet)


ratios = [25, 20, 15, 10, 5, 0]
before = {snr: [heard(b, snr)[1] for b in range(3)] for snr in ratios}
show(
    [mixture(sounds[0], heard(0, snr)[0], rate) for snr in ratios],
    captions=[f"{snr} dB: it hears '{before[snr][0]}'" for snr in ratios],
    title="Speech in noise",
)

# %% [markdown]
# ## Learn in it
# Both exercises together: each of lesson 7's steps takes the three recordings four times, in noise
# of their own, as one padded batch. No sound comes twice: noise cannot be learnt by heart.

# %%
velocity = np.zeros_like(recogniser.model.flat_params)
label_lengths = np.array([len(name) for name in names * 4], np.int32)
labels = np.zeros((12, label_lengths.max()), np.int32)
for b, name in enumerate(names * 4):
    labels[b, : len(name)] = alphabet.encode(name)
for i in range(31):
    noisy = (mix(sound, some_noise(rng), rng.uniform(0, 25)) for sound in sounds * 4)
    frames, lengths = pad([recogniser.features(x) for x in noisy])
    batch = Batch(list(range(12)), frames.astype(np.float32), lengths, labels, label_lengths)
    step(recogniser.model, velocity, batch, key(8, i, np.arange(12)), 0.001, 0.9, 15)
for snr in ratios:
    after = [heard(b, snr)[1] for b in range(3)]
    print(f"{snr:2} dB  before: {', '.join(before[snr]):31} after: {', '.join(after)}")

# %% [markdown]
# A demonstration, no training: it may know the three recordings by heart, but the noise of the
# test it had never heard. In earnest: [minids/noise.py](../minids/noise.py).
#
# ## Dropout, that can be repeated
# One more way to spoil things on purpose: in each training step 5 to 10 % of the units of the
# feed-forward layers fall silent (§2.1), so that none can be relied upon. Never the recurrent
# ones: their silence would echo through the whole recording. The units left are divided by
# 1 - p, so that sums keep their size and nothing changes when training is over.
#
# Which units? Not those of a random generator, whose state a resumed run would have to restore.
# A hash of a **key** (seed, epoch, recording), the frame and the unit decides: the same on every
# machine, in any order, on CPU and GPU.


# %%
def spoilt(epoch):
    """Five units that say 1, in eight frames of recording 0 of this epoch: (T, H)."""
    dropout = Dropout(0.1, key(8, epoch, np.arange(1)))
    return affine_forward(np.ones((8, 1, 5)), np.eye(5), np.zeros(5), True, dropout)[:, 0]


print("the same key, the same units:", (spoilt(0) == spoilt(0)).all())
show([dropped(spoilt(epoch)) for epoch in (0, 1)], captions=["Epoch 0", "Epoch 1"])

# %% [markdown]
# ## And ±5 ms
# When the network is used, it may listen three times: to the recording as it is and moved by
# 5 ms, half a hop, either way, so that frames begin elsewhere; the probabilities are averaged
# (§2.1; `minids transcribe --jitter`). No ear notices, the loss does; the average needs less luck.

# %%
noisy, _ = heard(1, 5)
ears = [recogniser.log_probs(shift(noisy, rate, ms)) for ms in (-5, 0, 5)]
for name, log_y in zip(["-5", "0", "+5", "average"], [*ears, average(ears)], strict=True):
    (loss,), _ = ctc_loss(log_y[:, None], [len(log_y)], labels[1:2], label_lengths[1:2])
    print(f"{name:8}  loss {loss:.2f}")

# %% [markdown]
# **What we have now**: batches that waste little and change nothing, noise by the decibel, and a
# network that was made to suffer in training so that it need not later.
#
# **Next question**: so far we read the best character of each frame. Is the best path also the
# best text? (Lesson 9.)
