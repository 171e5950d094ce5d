# %% [markdown]
# # 9. How does one hear in a crowd?
# A network that learned from quiet recordings fails at the first party, where you can
# follow one voice among twenty. The paper's remedy is not a filter that removes noise,
# but training data that contain it (§4.1).
#
# *You build* speech in noise, a test of which noise is good enough, and the average of
# several opinions. *You need* lessons 1, 7 and 8.

# %%
import numpy as np

from minids import Recognizer, cer, load_audio
from minids.data.augment import spectral_tilt
from minids.decode.greedy import greedy_text
from minids.lesson import check, data, listen, show, yours
from minids.lesson.figures.noise import profiles, superposition
from minids.lesson.sounds import RATE, crowd, digits, hiss
from minids.lesson.threads import one_thread
from minids.ops.common import hash_key


def seeded(*seed):
    return np.random.default_rng(seed)


one_thread()  # fastest for a network as small as this
network = Recognizer.load(data("digits.safetensors"))  # trained without noise
alphabet = network.alphabet
people = [recording.samples for recording in digits("train")[:60]]
speech, _ = load_audio(data("three_one_four.flac"), RATE)
seconds = len(speech) / RATE
murmur = [crowd(seeded(9, i), seconds, people, 4) for i in range(3)]  # ξ₁, ξ₂, ξ₃
picture = superposition(speech, murmur, speech + 0.2 * sum(murmur), RATE)
show(picture, captions=["“three one four”, x, and three small crowds: their sum."])

# %% [markdown]
# ## Signal and noise
# Noise ξ adds to speech, $\hat{x} = x + \xi_1 + \xi_2 + \dots$ (§4.1). How loud it is,
# relative to the speech, is the **signal-to-noise ratio** (SNR), a ratio of powers P in
# decibels. For a given SNR the noise must be multiplied by the gain g:
#
# $$\begin{split} \text{SNR} &= 10 \log_{10} \frac{P(x)}{P(g\,\xi)} \\
#   g &= \sqrt{\frac{P(x)}{P(\xi)\, 10^{\text{SNR}/10}}} \end{split}$$
#
# P is `np.var`, since a constant offset is not audible. At 0 dB speech and noise have
# the same power, at 20 dB the noise has a hundredth of it.
#
# **Exercise 9.1** Add noise at an SNR. Repeat the noise or cut it to the length of the
# speech before you measure its power; noise without power adds nothing.


# %%
def mix(speech, noise, snr_db):
    """speech (N,) + g noise at that SNR; noise has any length.  About 5 lines."""
    raise NotImplementedError


mix = check("9.1", mix)

# %% [markdown]
# A crowd at seven ratios: twelve voices, played backward so that nobody says a word.
# Move the slider. At 5 dB, are you better than the network?

# %%
versions = {}
for snr_db in 30, 20, 15, 10, 5, 0, -5:
    noisy = mix(speech, crowd(seeded(9), seconds, people), snr_db)
    log_probs = network.log_probs(noisy)
    versions[f"{snr_db} dB"] = noisy, log_probs
    print(f"{snr_db:3} dB: “{greedy_text(log_probs, alphabet)}”")
listen(speech, RATE, alphabet=alphabet, versions=versions, by="noise")

# %% [markdown]
# ## Which noise?
# To learn 5000 hours of speech in noise one would need 5000 hours of noise. If instead
# ten hours are used again and again, the network memorizes and subtracts them, and
# fails in any other noise. So the paper *adds up* several tracks of *short clips*
# (§4.1): n clips give about n³/6 sums of three, each with random starts and volumes.


# %%
def sum_of_clips(clips, N, rng):
    """ξ₁ + ξ₂ + ξ₃ (N,), each a sequence of random clips of equal length."""
    total, size = np.zeros(N), len(clips[0])
    for _ in range(3):
        chosen = rng.integers(len(clips), size=N // size + 2)
        track = np.concatenate([clips[i] for i in chosen])[rng.integers(size) :]
        total += track[:N] * 10 ** (rng.uniform(-6, 6) / 20)
    return total


# %% [markdown]
# Clips come from anywhere, and not all resemble the noise of real life. The authors
# **rejected** clips whose average power in the frequency bands differed significantly
# from that of real noisy recordings (§4.1). Say that a clip differs if in *any* band
# its power is more than `limit` standard deviations above or below the mean; both are
# taken over the real recordings, for each band.
#
# **Exercise 9.2** Which clips are rejected?


# %%
def rejected(clips, real, limit):
    """Powers in dB, clips (M, bands), real (R, bands) -> (M,) bool.  About 2 lines."""
    raise NotImplementedError


rejected = check("9.2", rejected)

# %% [markdown]
# Our clips are twelve tracks of hiss, each with its own spectrum, cut into four, and a
# whistle and a hum. (Other hisses and crowds stand for "real noisy recordings", since
# nothing real ships with the lessons.) Lesson 1 measures the power in 24 bands.

# %%
frames, power_spectrum, filter_banks = yours("frames", "power_spectrum", "filter_banks")


def profile(x):
    """The mean power of x in 24 bands, in dB; the volume does not matter."""
    power = power_spectrum(frames(x / x.std(), 320, 160))
    return 4.34 * filter_banks(power, 24)[:, :-1].mean(axis=0)


tracks = [hiss(seeded(8, i), 8) for i in range(12)]
clips = [clip for track in tracks for clip in np.split(track, 4)]  # of 2 s
turns = 2 * np.pi * np.arange(2 * RATE) / RATE
clips += [np.sin(1700 * turns), np.sin(100 * turns)]  # whistle, hum
real = [profile(hiss(seeded(7, i), 2)) for i in range(20)]
real = np.array([*real, *(profile(crowd(seeded(7, i), 2, people)) for i in range(20))])
powers = np.array([profile(clip) for clip in clips])
bad = np.array(rejected(powers, real, 5))
captions = [f"{bad.sum()} of {len(clips)} clips are rejected (red): whistle and hum"]
show(profiles(powers, bad, real, 5, RATE / 2), captions)
clips = [clip for clip, is_bad in zip(clips, bad, strict=True) if not is_bad]

# %% [markdown]
# ## One track against sums
# Now train this network on, with 60 batches of 12 recordings in noise of 0 to 20 dB:
# once with one track as the noise, once with sums of clips. The test is fair: voices
# that were in no training data, in hiss that was in no training data, at 5 dB.

# %%
pad, clip_by_norm, nesterov = yours("pad", "clip_by_norm", "nesterov")
train = digits("train", max_seconds=2)


def continue_training(make_noise, seed):
    """The recognizer after 60 more steps in noise."""
    trained, rng = Recognizer.load(data("digits.safetensors")), seeded(seed)
    model, velocity = trained.model, np.zeros_like(trained.model.flat_params)
    for step in range(60):
        batch, texts = [], []
        for i in rng.integers(len(train), size=12):
            _, text, x = train[i]
            x = mix(x, make_noise(len(x), rng), rng.uniform(0, 20))
            batch.append(trained.features(x))
            texts.append(alphabet.encode(text)[:, None])
        (x, lengths), (labels, sizes) = pad(batch), pad(texts)
        labels = labels[:, :, 0].T.astype(np.int32)  # (B, U)
        keys = hash_key(seed, step, np.arange(12))  # of dropout
        model.loss_and_grad(x.astype(np.float32), lengths, labels, sizes, keys)
        gradient = clip_by_norm(model.flat_grads / 12, 15)
        nesterov(model.flat_params, gradient, velocity, 0.001, 0.9)
    return trained


networks = {"no noise": network}
networks["one track"] = continue_training(lambda N, rng: np.resize(tracks[1], N), 8)
networks["sums"] = continue_training(lambda N, rng: sum_of_clips(clips, N, rng), 8)

# %%
test, rng = digits("test", max_seconds=2)[:40], seeded(6)
noisy = {
    "the track": [mix(x, tracks[1], 5) for _, _, x in test],
    "new hiss": [mix(x, hiss(rng, 2), 5) for _, _, x in test],
    "a crowd": [mix(x, crowd(rng, 2, people), 5) for _, _, x in test],
}


def error_rate(recognize, place):
    """The character error rate of 40 recordings in some place."""
    texts = [greedy_text(recognize(x), alphabet) for x in noisy[place]]
    return cer([text for _, text, _ in test], texts).rate


print("character error rate in " + "".join(f"{place:>11}" for place in noisy))
for name, trained in networks.items():
    rates = [error_rate(trained.log_probs, place) for place in noisy]
    print(f"trained with {name:11}" + "".join(f"{rate:11.0%}" for rate in rates))

# %% [markdown]
# The second network knows its track by heart, but in new hiss it is no better than the
# one that never heard noise. The third is worse in that track and far better in new
# hiss: it has learned what hiss is. In a crowd none has gained much, since none trained
# with one: a network learns what is in its data.
#
# People also *speak* differently in noise: louder, higher and clearer, the **Lombard
# effect**. Noise added to calm speech misses it, so the authors played noise into the
# headphones of the people they recorded (§4.2). Roughly, it tilts the spectrum upward:

# %%
tilts = {f"{tilt} dB": spectral_tilt(speech, RATE, tilt) for tilt in (0, 3, 6)}
listen(speech, RATE, versions=tilts, by="tilt per octave")

# %% [markdown]
# ## Several opinions
# Networks that learned separately make different errors. The paper averages, frame by
# frame, the outputs of several networks, an **ensemble**, and those for the recording
# shifted by 5 ms, half a hop, to either side, which it calls **jitter** (§2.1).
# Averaged are *probabilities*; our networks return their logarithms, as small as -1000:
#
# $$ \log \bar y = \log \frac{1}{n} \sum_{i=1}^{n} e^{\log y_i} $$
#
# **Exercise 9.3** Average n outputs. Caution: $e^{-1000}$ is 0 in floating point.


# %%
def average(log_probs):
    """n outputs (T, K) -> the logarithm of their mean probability, (T, K).  1 line."""
    raise NotImplementedError


average = check("9.3", average)

# %%
first, second = networks["one track"], networks["sums"]
opinions = {
    "one track": first.log_probs,
    "sums": second.log_probs,
    "average": lambda x: average([first.log_probs(x), second.log_probs(x)]),
}
for name, recognize in opinions.items():
    print(f"{name:9} {error_rate(recognize, 'new hiss'):4.0%} of the characters wrong")
x = noisy["new hiss"][2]
versions = {name: (None, recognize(x)) for name, recognize in opinions.items()}
listen(x, RATE, alphabet=alphabet, versions=versions, by="network")

# %% [markdown]
# An average needs equally good members; here one is often sure of wrong letters. The
# paper's best result is from an ensemble of four networks of the same kind (§5.1).
#
# **In the package** `minids/data/noise.py`; `Recognizer.load([one, two], jitter=True)`
# in `minids/recognizer.py`.
#
# **What we have now** Training in noise that never repeats, and several opinions.
#
# **Next question** We take the best character of each frame. Is the result the best
# *text*? (Lesson 10.)
