# %% [markdown]
# # 1. What is in a sound?
# Somebody says "two five" into a microphone. What does the computer receive, and where
# in it are the words?
#
# *You build* the input of Deep Speech in four functions: frames, power spectra, filter
# banks and their normalization. *You need* Python and a little NumPy, nothing else.

# %%
import numpy as np

from minids import Features, load_audio
from minids.features import hann
from minids.lesson import check, data, listen, show
from minids.lesson.figures import sound

wave, rate = load_audio(data("two_five.flac"))
size, hop = rate * 20 // 1000, rate * 10 // 1000  # samples in 20 and in 10 ms
listen(data("two_five.flac"))
show(sound.zoom(wave, rate, start=0.51), title="A sound at three magnifications")

# %% [markdown]
# ## A sound is an array of numbers
# A microphone measures the air pressure many times a second. Each measurement is a
# **sample**; the number of samples per second is the **sampling rate**, here 16 000 Hz
# (hertz: times per second). `wave` is an array of numbers between -1 and 1, and no
# number in it is a letter.
#
# Look at the middle row, though. A pattern repeats every 11 ms: this is the pitch of
# the voice, about 90 Hz. Within each period there are faster oscillations, the
# resonances of the mouth. **Their frequencies make one vowel sound different from
# another.** So for every moment we want to know how strong each frequency is.
#
# ## Cut the sound into frames
# Within 20 ms the mouth hardly moves. So we cut the sound into **frames**: pieces of
# 20 ms, a new one every 10 ms (the **hop**). Neighbors overlap by half, so whatever
# lies at the edge of one frame is in the middle of another. With $N$ samples, frames of
# $n$ samples and a hop of $h$ samples, the number of *complete* frames is, rounded
# down,
#
# $$ T_0 = \left\lfloor \frac{N - n}{h} \right\rfloor + 1 $$
#
# **Exercise 1.1** Cut a sound into its complete frames. For example, ten samples 0 …
# 9 in frames of 4 with a hop of 2 are 0123, 2345, 4567, 6789. (Write your code instead
# of the function's last line, and run the file again. What is right is kept in
# `mine.py`, and later lessons run on it; until then they run on our answer.)


# %%
def frames(wave, size, hop):
    """The complete frames of `size` samples, an array (T0, size).  About 1 line."""
    raise NotImplementedError


frames = check("1.1", frames)

# %% [markdown]
# ## The power of each frequency
# How much of a wave with *p periods per frame* is in a frame? Multiply the frame by
# such a wave, sample by sample, and add up the products. If both oscillate together,
# the products are positive and the sum is large; otherwise they cancel. Do this with a
# cosine *and* a sine, because the wave in the sound may be at any point of its period
# when the frame starts; then square both sums and add them. For the samples
# $s_0 \ldots s_{n-1}$ of one frame:
#
# $$\begin{split}
# a_p &= \sum_{i=0}^{n-1} s_i \cos\frac{2\pi p i}{n} \\
# b_p &= \sum_{i=0}^{n-1} s_i \sin\frac{2\pi p i}{n} \\
# x_p &= a_p^2 + b_p^2 \end{split}$$
#
# This is the **discrete Fourier transform**; $p$ is the number of the **frequency bin**
# and $x_p$ its **power**. All $x_p$ of a frame are its **power spectrum**; for frame
# $t$ the paper (*Deep Speech*, Hannun et al. 2014) writes $x_{t,p}$ in §2. The steps
# below show a frame of 16 samples that contains 2 periods of one wave and, weaker, 5 of
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
# to 8000 Hz, half the sampling rate.
#
# **Exercise 1.2** Compute the power spectrum of each frame, from the sums above or with
# `np.fft.rfft`, which returns the complex numbers $X_p = a_p - b_p \sqrt{-1}$ of each
# row. The power is $|X_p|^2$.


# %%
def power_spectrum(x):
    """|X_p|² of frames x (T0, n): an array (T0, n/2 + 1).  About 1 line."""
    raise NotImplementedError


power_spectrum = check("1.2", power_spectrum)

# %% [markdown]
# ## Fade each frame in and out
# A frame starts and ends abruptly, and the sound does not. 440 Hz has 8.8 periods in
# 20 ms; the sudden end after 8.8 periods is itself a sound, with power at all
# frequencies. This is **spectral leakage** (red). So each frame is first multiplied by
# numbers that fade it in and out, the **Hann window** $w_i = c\,\sin^2(\pi i/n)$ (blue;
# $c$ is chosen such that $\sum w_i^2 = 1$), and the leakage is nearly gone.


# %%
tone = np.sin(2 * np.pi * 440 * np.arange(size) / rate)
both = power_spectrum(np.array([tone / np.sqrt(size), tone * hann(size)]))
show(sound.leakage(*np.log(both + 1e-7), rate), title="440 Hz without and with window")

# %% [markdown]
# ## Take the logarithm
# The strongest bin of a vowel has a hundred thousand times the power of a typical one,
# and both matter. Hearing responds to *ratios* of power, so we take the logarithm, of
# the power + 1e-7, because silence may have the power 0. And the samples are first
# scaled to the power 1, however near the microphone was. One log power spectrum per
# frame is a **spectrogram**:

# %%
samples = (wave - wave.mean()) / wave.std()  # mean 0, mean square (power) 1
power = power_spectrum(frames(samples, size, hop) * hann(size))  # (T0, n/2+1)
print(f"strongest bin: {power.max() / np.median(power):,.0f} times the median power")
log_power = np.log(power + 1e-7)
moments = (16, 22, 40, 46, 58, 80)
show(
    [sound.spectrum_step(samples, rate, size, hop, log_power, t) for t in moments],
    [f"Frame {t}: its samples and its log power spectrum" for t in moments],
    title="From the samples of a frame to its place in the spectrogram",
)
listen(data("two_five.flac"), log_probs=sound.TWO_FIVE)

# %% [markdown]
# Read the spectrogram from left to right, and listen to it:
#
# | seconds | you see | you hear |
# |---|---|---|
# | 0.16 | a burst, all high | **t**: the tongue lets go, air hisses |
# | 0.20 | bars, the second one falling | **wo**: a vowel, resonances of the mouth |
# | 0.37 | a faint cloud, high up | **f**: teeth on lip |
# | 0.44 | bars part: one climbs to 2 kHz | **i**: the mouth moves from "a" to "ee" |
# | 0.77 | all but the lowest fade | **ve**: almost only the voice is left |
#
# Why 20 milliseconds? A short frame shows *when* something happens but blurs the
# frequencies; a long frame shows the frequencies but blurs the time:

# %%
lengths, pictures = (5, 10, 20, 40, 80), []
for ms in lengths:
    n = rate * ms // 1000
    x = np.log(power_spectrum(frames(samples, n, hop // 2) * hann(n)) + 1e-7)
    pictures.append(sound.spectrogram(x, rate, n, hop // 2, f"frames of {ms} ms"))
captions = [f"{ms} ms: one bin every {1000 / ms:g} Hz" for ms in lengths]
show(pictures, captions, title="Short and long frames")

# %% [markdown]
# At 5 ms each period of the voice is a vertical stripe, but the bars are blurred. At
# 80 ms the stripes are horizontal, the multiples of the pitch, and the t has dissolved.
# 20 ms is a compromise.
#
# ## Fewer numbers: filter banks
# In English the exact pitch does not change what was said, so neighboring bins can be
# added up. A **filter bank** is a set of overlapping **bands**, here triangles of equal
# width: band $j$ (from 1 to $B$) counts bin $p$ with the weight $w_{j,p}$, which is
# 1 at the center of the band and falls to 0 at the centers of its neighbors. The
# centers divide the range from bin 0 to the last bin, $n/2$, into $B + 1$ equal parts:
#
# $$ w_{j,p} = \max\!\left(0,\ 1 - \left| \frac{p\,(B + 1)}{n/2} - j \right|\right) $$
#
# The paper uses 80 such bands "and an energy term" (§5.1), the sum of the squares of
# the windowed samples. It follows from the power spectrum (Parseval's theorem):
#
# $$ \sum_i s_i^2 = \frac{1}{n} \Big( x_0 + 2 \sum_{p=1}^{n/2-1} x_p + x_{n/2} \Big) $$

# %%
show(sound.filter_bank(power[46], 8, rate), title="Frame 46 in 8 bands")

# %% [markdown]
# **Exercise 1.3** Compute the **features** of each frame: the logarithms of the powers
# in `bands` bands and, last, of the energy. Add 1e-7 to each before its logarithm.


# %%
def filter_banks(power, bands):
    """Power spectra (T0, n/2 + 1) -> log powers (T0, bands + 1).  About 6 lines."""
    raise NotImplementedError


filter_banks = check("1.3", filter_banks)

# %% [markdown]
# ## The same words through another microphone
# A microphone, a wall or a throat multiplies the power at each frequency by some
# factor, the same in every frame. After the logarithm a factor is an *added constant*;
# so if we subtract from each feature its mean over time, it is gone! Dividing by the
# standard deviation, too, puts most numbers between -2 and 2, a range good for
# training. Both together are called **normalization**.
#
# **Exercise 1.4** Normalize each feature over the frames of one recording. Divide by at
# least 0.05: a feature that never changes has a standard deviation of 0.


# %%
def normalize(x):
    """Log powers (T0, F) -> mean 0 and standard deviation 1 per feature.  2 lines."""
    raise NotImplementedError


normalize = check("1.4", normalize)

# %%
muffled = np.convolve(samples, 0.9 ** np.arange(100))[: len(samples)]  # as by a wall
muffled /= muffled.std()
sounds = {"original": samples, "muffled": muffled}
listen(None, rate, versions=sounds, by="microphone", title="two five")
after = power_spectrum(frames(muffled, size, hop) * hann(size))
before, after = filter_banks(power, 80), filter_banks(after, 80)
pairs = [(before, after), (normalize(before), normalize(after))]
pictures = [sound.feature_pair(*pair, rate, ("original", "muffled")) for pair in pairs]
captions = [f"mean difference {abs(a - b).mean():.2f}" for a, b in pairs]
show(pictures, captions, title="Log powers of both sounds, then the same normalized")

x = normalize(before)  # (T0, F)
package = Features(rate, bands=80, normalize="utterance", floor_db=-70)(wave)
print(f"{len(wave)} samples -> {len(x)} frames of {len(x[0])} features")
print(f"largest difference from the package: {abs(x - package).max():.0e}")

# %% [markdown]
# These are *your* features, the input of every network in these lessons, and the same
# as those of `minids/features.py` at -70 dB, 1e-7; its default suits noise: 1e-4.
#
# The mean over what, though? That of one short recording also contains *what* was said.
# The paper takes all recordings of one **speaker** (§5.1): over many sentences the
# words average out, and what is left in the mean is the voice and the microphone. In
# §5.2 it takes all training data at once; voices then stay as different as they are.
#
# **What we have now** A second of sound was 16 000 numbers in which we could see no
# word. Now it is a hundred frames of 81 features, with a hissing t and a vowel. Try
# your own voice: `wave, rate = load_audio("me.wav", 16000)`.
#
# **Next question** A hundred frames go in each second. What should come out? A text is
# shorter than its sound, and nobody tells us which frame belongs to which letter.
