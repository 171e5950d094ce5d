# %% [markdown]
# # 1. What is in a sound?
# Somebody says "two five" into a microphone. What does the computer receive, and where
# in it are the words?
#
# *You build* the input of Deep Speech: frames, a Fourier transform, a spectrogram.
# *You need* Python and a little NumPy, nothing else.

# %%
import numpy as np

from minids import Features, load_audio
from minids.features import FLOOR, hann, normalize_power
from minids.lesson import data, exercise, listen, show
from minids.lesson.figures import sound

wave, rate = load_audio(data("two_five.flac"))
listen(data("two_five.flac"))
show(sound.zoom(wave, rate, start=0.51), title="A sound at three magnifications")

# %% [markdown]
# ## A sound is an array of numbers
# A microphone measures the air pressure many times a second. Each measurement is a
# **sample**; the number of samples per second is the **sampling rate**, 16 000 Hz here.
# `wave` is an array of numbers between -1 and 1, and no number in it is a letter.
#
# Look at the middle row, though. A pattern repeats every 11 ms: this is the pitch of
# the voice, about 90 Hz. Within each period there are faster oscillations, the
# resonances of the mouth. **Their frequencies make one vowel sound different from
# another.** So for every moment we want to know how strong each frequency is.

# %%
print(wave.shape, wave.dtype, rate)
print(wave[8160:8170])

# %% [markdown]
# ## Cut the sound into frames
# A vowel lasts perhaps a tenth of a second, and within 20 ms the mouth hardly moves. So
# we cut the sound into **frames**: pieces of 20 ms, a new one every 10 ms (the **hop**).
# Frames overlap by half, so that whatever lies at the edge of one frame is in the
# middle of another.
#
# With $N$ samples, frames of $n$ samples and a hop of $h$ samples, the number of
# *complete* frames is
#
# $$ T_0 = \left\lfloor \frac{N - n}{h} \right\rfloor + 1 $$
#
# For example, ten samples 0 … 9, frames of 4 and a hop of 2: 0123, 2345, 4567, 6789.
# That is four frames. The check compares your function with the definition, sample by
# sample.


# %%
def check_frames():
    for count, size, hop in (10, 4, 2), (10, 5, 3), (9, 3, 3), (4, 4, 2), (100, 7, 1):
        x = np.arange(count) ** 2.0
        starts = [s for s in range(0, count, hop) if s + size <= count]
        expected = np.array([[x[s + i] for i in range(size)] for s in starts])
        yield f"frames(x, {size}, {hop}) of {count} samples", frames(x, size, hop), expected


@exercise("1.1", check_frames)
def frames(wave, size, hop):
    """The complete frames of `size` samples, an array (T0, size).  About 1 line."""
    raise NotImplementedError


# %%
size, hop = rate * 20 // 1000, rate * 10 // 1000
x = frames(wave, size, hop)  # (T0, n)
print(f"{len(wave)} samples -> {x.shape[0]} frames of {x.shape[1]} samples")

# %% [markdown]
# ## The Fourier transform
# How much of a wave with *p periods per frame* is in a frame? Multiply the frame by
# such a wave, sample by sample, and add up the products. If both oscillate together,
# positive meets positive and negative meets negative, and the sum is large; otherwise
# the products cancel. Do this with a cosine *and* a sine, because the wave in the sound
# may be at any point of its period when the frame starts; then square both sums and add
# them. For the samples $s_0 \ldots s_{n-1}$ of one frame:
#
# $$\begin{split}
# a_p &= \sum_{i=0}^{n-1} s_i \cos\frac{2\pi p i}{n} \\
# b_p &= \sum_{i=0}^{n-1} s_i \sin\frac{2\pi p i}{n} \\
# x_p &= a_p^2 + b_p^2 \end{split}$$
#
# This is the **discrete Fourier transform**; $p$ is the number of the **frequency bin**,
# and $x_p$ its power. For frame $t$ the paper writes $x_{t,p}$ (§2). The steps below
# show a frame of 16 samples that contains 2 periods of one wave and, weaker, 5 of
# another. Which bins find them?

# %%
i = np.arange(16)
mixture = np.cos(2 * np.pi * 2 * i / 16) + 0.5 * np.sin(2 * np.pi * 5 * i / 16 + 0.6)
show(
    [sound.dft_bin(mixture, p) for p in range(9)],
    [f"Bin {p}: how much of {p} periods is in the dots?" for p in range(9)],
    title="The nine frequency bins of 16 samples",
)

# %% [markdown]
# Why stop at $n/2$ periods? At these samples, faster waves look exactly like slower
# ones (this is called **aliasing**). So $n$ samples give $n/2 + 1$ bins. Bin $p$ stands
# for $p \cdot \mathrm{rate} / n$ hertz: with frames of 20 ms, one bin every 50 Hz, up
# to 8000 Hz.
#
# NumPy computes all bins at once: for every frame, `np.fft.rfft` returns the complex
# numbers $X_p = a_p - b_p \sqrt{-1}$, and $x_p = |X_p|^2$. The check uses three facts:
# the sums above; pure tones, whose power must be largest in the bin of their frequency;
# and Parseval's theorem, that the samples and the spectrum have the same total power.


# %%
def check_power_spectrum():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 8))  # 3 frames of 8 samples
    angle = 2 * np.pi * np.outer(np.arange(8), np.arange(5)) / 8  # (8 samples, 5 bins)
    expected = (x @ np.cos(angle)) ** 2 + (x @ np.sin(angle)) ** 2  # (3, 5)
    yield "3 frames of 8 samples", power_spectrum(x), expected

    seconds = np.arange(320) / 16000
    for hertz, bin in (440, 9), (1000, 20), (3000, 60):
        tone = np.sin(2 * np.pi * hertz * seconds)[None]  # (1, 320)
        yield f"strongest bin of {hertz} Hz", int(power_spectrum(tone)[0].argmax()), bin

    weights = [1, 2, 2, 2, 1]  # bins 1 to 3 also stand for their mirror images, 7 to 5
    total = power_spectrum(x) @ weights / 8
    yield "Parseval: Σ power / n = Σ x²", total, (x**2).sum(axis=1)


@exercise("1.2", check_power_spectrum, rtol=1e-5)
def power_spectrum(x):
    """|X_p|² of frames x (T0, n): an array (T0, n/2 + 1).  About 1 line."""
    raise NotImplementedError


# %% [markdown]
# ## Fade each frame in and out
# A frame starts and ends abruptly, and the sound does not. 440 Hz has 8.8 periods in
# 20 ms; the sudden end after 8.8 periods is itself a sound, with power at all
# frequencies. This is **spectral leakage** (red). So before the transform each frame is
# multiplied by a **window function** that fades it in and out. Hann's is
# $w_i \propto \sin^2(\pi i/n)$ (blue): the peak gets a little wider, and the leakage is
# nearly gone.

# %%
tone = np.sin(2 * np.pi * 440 * np.arange(size) / rate)[None]
plain, faded = power_spectrum(tone / np.sqrt(size)), power_spectrum(tone * hann(size))
show(
    sound.leakage(np.log(plain[0] + FLOOR), np.log(faded[0] + FLOOR), rate),
    title="The spectrum of 440 Hz, without and with a Hann window",
)

# %% [markdown]
# ## Take the logarithm
# The strongest bin of a vowel has a hundred thousand times the power of a typical one,
# and both matter. Hearing responds to *ratios* of power, so we take the logarithm.
# (`FLOOR` is added to avoid log 0.) And `normalize_power` scales every recording to the same
# loudness: what was said does not depend on how near the microphone was. The result,
# one spectrum per frame, is a **spectrogram**:

# %%
power = power_spectrum(frames(normalize_power(wave), size, hop) * hann(size))  # (T0, n/2+1)
print(f"strongest bin: {power.max() / np.median(power):,.0f} times the median power")
log_power = np.log(power + FLOOR)
events = {5: "silence", 16: "the burst of t", 22: "a vowel starts", 30: "it turns into oo"}
events |= {36: "a short silence", 40: "the faint noise of f", 46: "the vowel of five"}
events |= {58: "it glides", 70: "and glides on", 80: "v: only the voice", 95: "silence"}
show(
    [sound.spectrum_step(normalize_power(wave), rate, size, hop, log_power, t) for t in events],
    [f"Frame {t} becomes column {t}: {event}." for t, event in events.items()],
    title="From a frame to its spectrum to a column of the spectrogram",
)

# %% [markdown]
# Read it from left to right:
#
# | seconds | you see | you hear |
# |---|---|---|
# | 0.16 | a burst, all high | **t**: the tongue lets go, air hisses |
# | 0.20 | bars, the second one falling | **wo**: a vowel, resonances of the mouth |
# | 0.37 | a faint cloud, high up | **f**: teeth on lip |
# | 0.44 | bars part: one climbs to 2 kHz | **i**: the mouth moves from "a" to "ee" |
# | 0.77 | all but the lowest fade | **ve**: almost only the voice is left |
#
# ## Why 20 milliseconds?
# A short frame shows *when* something happens but blurs the frequencies; a long frame
# shows the frequencies but blurs the time. No frame length gives both. Compare:

# %%
lengths = (2, 5, 10, 20, 40, 80)
pictures = []
for ms in lengths:
    n = rate * ms // 1000
    x = np.log(power_spectrum(frames(normalize_power(wave), n, hop // 2) * hann(n)) + FLOOR)
    pictures.append(sound.spectrogram(x, rate, n, hop // 2, f"frames of {ms} ms"))
captions = [f"{ms} ms: one bin every {1000 / ms:g} Hz" for ms in lengths]
show(pictures, captions, title="Short and long frames")

# %% [markdown]
# At 5 ms each period of the voice is a vertical stripe, but the bars are blurred. At
# 80 ms the stripes are horizontal, the multiples of the pitch, and the t has dissolved.
# 20 ms is a compromise.
#
# ## The features of Deep Speech
# The network gets fewer numbers per frame than a spectrogram has. A **filter bank** adds
# up the power of neighboring bins in **bands**, before the logarithm. The paper has "80
# linearly spaced log filter banks and an energy term" (§5.1): 80 bands of equal width,
# and the log of the total power. These **features** are then **normalized**: for each
# of them, subtract its mean and divide by its standard deviation, so that most numbers
# lie between -2 and 2. The mean can be that of the recording, of all training data
# (§5.2), or of all recordings of one *speaker*, which makes different voices more alike
# (§5.1). `Features` does all this, and with `kind="spectrogram"` it computes what you
# have written:

# %%
package = Features(rate, kind="spectrogram").log_powers(wave)
difference = abs(np.exp(package) - np.exp(log_power)).max() / power.max()
print(f"largest difference of powers (float32 has 7 digits): {difference:.1e} of the strongest")
features = Features(rate, bands=40, normalize="utterance")
x = features(wave)
print(f"{x.shape[0]} frames of {x.shape[1]} features, {x.min():.1f} … {x.max():.1f}")

# %% [markdown]
# **In the package** `Features` in `minids/features.py`: `frames`, `power_spectrum`, filter banks,
# and `Features.fit` for the mean and deviation of a whole training set (§5.2).
#
# **What we have now** A second of sound was 16 000 numbers in which we could see no
# word. Now it is 100 columns, and we can see a hissing t and a vowel in them. Try your
# own voice, a second or more: use `wave, rate = load_audio("me.wav", 16000)` in the
# first cell, and run the lesson again.
#
# **Next question** A hundred frames go in each second. What should come out? A text is
# shorter than its sound, and nobody tells us which frame belongs to which letter.
# (Lesson 2: what should a network say, 100 times a second?)
