# %% [markdown]
# # 1. What is in a sound?
# Somebody says "two five" into a microphone. What does the computer get, and where in
# it are the words?
#
# *You build* the picture of sound that Deep Speech listens to: windows, a Fourier
# transform, a spectrogram. *You need* Python and a little NumPy, nothing more. This is
# the door: come in.

# %%
import numpy as np

from minids import Features, load_audio
from minids.features import FLOOR, hann, level
from minids.lesson import data, exercise, listen, show
from minids.plot import sound

wave, rate = load_audio(data("two_five.flac"))
listen(data("two_five.flac"))
show(sound.numbers(wave, rate, at=0.51), title="A sound, from nearer and nearer")

# %% [markdown]
# ## A sound is a list of numbers
# A microphone measures how far the air pushes its membrane, 16 000 times a second here.
# That is all: `wave` is an array of numbers between -1 and 1, and no number in it is a
# letter.
#
# Yet look at the middle row. Something comes back every 11 ms: the voice's pitch, about
# 90 Hz. And after each jolt something rings, faster. **What rings how fast makes one
# vowel sound unlike another.** So we want to know, for every moment: how much of which
# frequency is there?

# %%
print(wave.shape, wave.dtype, rate)
print(wave[8160:8170])

# %% [markdown]
# ## Look at a little at a time
# A vowel lasts perhaps a tenth of a second. In 20 ms a mouth hardly moves, so within 20
# ms the sound is one thing. Deep Speech looks through a **window of 20 ms**, and moves
# it on by **10 ms**, so that each moment is seen twice, once nearer the middle.
# (Reviews of the paper often say 10 and 5. The 5 ms exist, but are something else: at
# test time the sound is shifted by them, §2.1.)
#
# With $N$ samples, windows of $n$ and a step of $h$, how many *whole* windows fit?
# Call it $T_0$, the number of columns that our picture of the sound will have:
#
# $$ T_0 = \left\lfloor \frac{N - n}{h} \right\rfloor + 1 $$
#
# Ten samples 0 … 9, windows of 4, a new one every 2: 0123, 2345, 4567, 6789. Four
# windows. Now you. The check compares with the definition, sample by sample.


# %%
def check_frames():
    for count, size, step in (10, 4, 2), (10, 5, 3), (9, 3, 3), (4, 4, 2), (100, 7, 1):
        x = np.arange(count) ** 2.0
        starts = [s for s in range(0, count, step) if s + size <= count]
        by_hand = np.array([[x[s + i] for i in range(size)] for s in starts])
        yield f"frames of {count} samples, {size}, {step}", frames(x, size, step), by_hand


@exercise(
    "1.1",
    check_frames,
    hints=[
        "Window t starts at sample t * step. Where does the last whole one start?",
        "range(0, len(wave) - size + 1, step) are all the starts: mind the + 1.",
        "np.array([wave[s : s + size] for s in range(…)]), with that range.",
    ],
)
def frames(wave, size, step):
    """Windows of `size` samples, one every `step`: (T0, size).  About 1 line."""
    raise NotImplementedError


# %%
size, step = rate * 20 // 1000, rate * 10 // 1000
windows = frames(wave, size, step)  # (T0, n)
print(f"{len(wave)} samples -> {windows.shape[0]} windows of {windows.shape[1]}")

# %% [markdown]
# ## Ask the window a question
# "How much of *p swings* is in you?" To ask it, multiply the window by a wave that
# swings $p$ times, and add up. If both swing together, plus meets plus and minus meets
# minus, and the sum is large. If not, the products cancel. Ask with a cosine *and* a
# sine, or you miss what starts at another moment; square both answers and add them.
# Of the samples $s_0 \ldots s_{n-1}$ of one window:
#
# $$\begin{split}
# a_p &= \sum_{i=0}^{n-1} s_i \cos\frac{2\pi p i}{n} \\
# b_p &= \sum_{i=0}^{n-1} s_i \sin\frac{2\pi p i}{n} \\
# x_p &= a_p^2 + b_p^2 \end{split}$$
#
# For window $t$ this is the paper's $x_{t,p}$: the power of the $p$-th frequency bin in
# frame $t$ (§2). Step through: 16 samples, in which 2 swings and, weaker, 5 are hidden.
# Which bins find them?

# %%
i = np.arange(16)
hidden = np.cos(2 * np.pi * 2 * i / 16) + 0.5 * np.sin(2 * np.pi * 5 * i / 16 + 0.6)
show(
    [sound.question(hidden, p) for p in range(9)],
    [f"Bin {p}: how much of {p} swings is in the dots?" for p in range(9)],
    title="A wave of 16 samples is asked nine questions",
)

# %% [markdown]
# Why stop at $n/2$ swings? Faster ones look, at these samples, just like slower ones.
# So $n$ samples give $n/2 + 1$ bins, and bin $p$ stands for $p \cdot \mathrm{rate} / n$
# hertz: with our 20 ms, one bin every 50 Hz, up to 8000 Hz.
#
# NumPy asks all questions at once: `np.fft.rfft` makes of every window the complex
# numbers $X_p = a_p - b_p \sqrt{-1}$, and $x_p = |X_p|^2$. The check knows three truths:
# the sums above, pure tones that must peak in their bin, and Parseval's theorem, that
# no power gets lost.


# %%
def check_power_spectrum():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 8))  # 3 windows of 8 samples
    angle = 2 * np.pi * np.outer(np.arange(8), np.arange(5)) / 8  # (8 samples, 5 bins)
    by_hand = (x @ np.cos(angle)) ** 2 + (x @ np.sin(angle)) ** 2  # (3, 5)
    yield "3 windows of 8 samples", power_spectrum(x), by_hand

    seconds = np.arange(320) / 16000
    for hertz, bin in (440, 9), (1000, 20), (3000, 60):
        tone = np.sin(2 * np.pi * hertz * seconds)[None]  # (1, 320)
        yield f"loudest bin of {hertz} Hz", int(power_spectrum(tone)[0].argmax()), bin

    power = power_spectrum(x)
    twice = [1, 2, 2, 2, 1]  # a bin inside stands for two of the full 8
    yield "Parseval: Σ power / n = Σ x²", power @ twice / 8, (x**2).sum(axis=1)


@exercise(
    "1.2",
    check_power_spectrum,
    hints=[
        "np.fft.rfft(x) works along the last axis, which is the one you want.",
        "The squared length of a complex X is X.real**2 + X.imag**2, or abs(X)**2.",
        "return abs(np.fft.rfft(x)) ** 2",
    ],
)
def power_spectrum(x):
    """|X_p|² of windows (T0, n): (T0, n/2 + 1).  About 1 line."""
    raise NotImplementedError


# %% [markdown]
# ## Cut softly
# A window has edges, and the edges are not in the sound. 440 Hz swing 8.8 times in 20
# ms, and the cut at 8.8 looks to the transform like a jolt, which has a bit of every
# frequency (red). So we fade every window in and out before we ask, with Hann's
# $w_i \sim \sin^2(\pi i/n)$ (blue). The peak grows a little wider; the false
# frequencies are gone.

# %%
tone = np.sin(2 * np.pi * 440 * np.arange(size) / rate)[None]
cut, faded = power_spectrum(tone / np.sqrt(size)), power_spectrum(tone * hann(size))
show(
    sound.leak(np.log(cut[0] + FLOOR), np.log(faded[0] + FLOOR), rate),
    title="440 Hz, cut out of the sound or faded in and out",
)

# %% [markdown]
# ## And listen the way an ear does
# The loudest bin of a vowel holds a hundred thousand times the power of a usual one,
# and both matter. An ear counts *ratios*, so we take the logarithm. (`FLOOR` keeps it
# from log 0.) And `level` makes every recording equally loud, for it matters *what* is
# said, not how near the microphone was. All of the sound is a picture then:

# %%
heard = power_spectrum(frames(level(wave), size, step) * hann(size))  # (T0, n/2+1)
print(f"the loudest bin: {heard.max() / np.median(heard):,.0f} times the usual power")
log_powers = np.log(heard + FLOOR)
at = {5: "silence", 16: "the t lets go", 22: "a vowel begins", 30: "it turns into oo"}
at |= {36: "a short silence", 40: "f hisses faintly", 46: "the vowel of five begins"}
at |= {58: "it glides", 70: "and glides", 80: "v: the voice alone", 95: "silence again"}
show(
    [sound.hearing(level(wave), rate, size, step, log_powers, t) for t in at],
    [f"Window {t} becomes column {t}: {what}." for t, what in at.items()],
    title="From a window to its spectrum to a column",
)

# %% [markdown]
# Read it from left to right; it is easier than it looks.
#
# | seconds | you see | you hear |
# |---|---|---|
# | 0.16 | a burst, all high | **t**: the tongue lets go, air hisses |
# | 0.20 | bars, the second one sinking | **wo**: a vowel, which rings in the mouth |
# | 0.37 | a faint cloud, high up | **f**: teeth on lip |
# | 0.44 | bars part: one climbs to 2 kHz | **i**: the mouth moves from "a" to "ee" |
# | 0.77 | all but the lowest fade | **ve**: almost only the voice is left |
#
# ## Why 20 milliseconds?
# You cannot know *when* and *how high* at once. A short window tells when and smears
# the frequencies; a long one tells the frequencies and smears the time. Try them all.

# %%
lengths = (2, 5, 10, 20, 40, 80)
pictures = []
for ms in lengths:
    n = rate * ms // 1000
    x = np.log(power_spectrum(frames(level(wave), n, step // 2) * hann(n)) + FLOOR)
    pictures.append(sound.spectrogram(x, rate, n, step // 2, f"windows of {ms} ms"))
captions = [f"{ms} ms: bins of {1000 / ms:g} Hz" for ms in lengths]
show(pictures, captions, title="Long or short windows?")

# %% [markdown]
# At 5 ms each jolt of the voice is a stripe, but the bars are fog. At 80 ms the stripes
# lie down: those are the multiples of the pitch, and the t has dissolved. 20 ms sits
# between.
#
# ## What the package does
# `Features` does what you have just done, and three things more: it groups the bins
# into bands of equal width ("linearly spaced", §5.1), adds the energy of the window as
# one more number, and subtracts each band's mean and divides by its deviation, so that
# the network gets numbers of about -2 … 2. (Mean of what? Of the recording, of all data,
# §5.2, or of all that this *speaker* says, and voices become more alike, §5.1.) With the
# bands left out, it computes exactly your spectrogram:

# %%
theirs = Features(rate, kind="spectrogram").raw(wave)
apart = abs(log_powers - theirs).max()
print(f"yours and the package's, which has 7 digits, are {apart:.1e} apart")
features = Features(rate, bands=40, normalize="utterance")
x = features(wave)
print(f"{x.shape[0]} frames of {x.shape[1]} numbers, {x.min():.1f} … {x.max():.1f}")

# %% [markdown]
# **What we have now** A second of sound was 16 000 numbers that meant nothing to us.
# Now it is 100 columns, and we can see a hissing t and a singing vowel in them. Try
# your own voice, a second or more: `wave, rate = load_audio("me.wav", 16000)` in the
# first cell, and run it all again.
#
# **Next question** A hundred columns a second come in. What should go out? A text is
# not as long as its sound, and nobody tells us which column belongs to which letter.
# (Lesson 2: what should a network say, 100 times a second?)
