"""From sound to characters: samples, frames, power spectra, the spectrogram, features, probabilities."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minids.decode.greedy import greedy
from minids.features import frames, hann, linear_bands
from minids.plot import ACCENT, FAINT, INK, PALETTE, SIGNAL, is_narrow, subplots, two_widths
from minids.plot.recognition import character_color, probability_curves, waveform
from minids.text import Alphabet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOR_RANGE = 5, 99.8  # percentiles of a spectrogram's values
# What is heard in two_five.flac: sound, start and end in seconds.
TWO_FIVE = [("t", 0.16, 0.2), ("wo", 0.2, 0.35), ("f", 0.37, 0.44), ("i", 0.44, 0.77), ("ve", 0.77, 0.87)]


@two_widths
def zoom(samples: np.ndarray, rate: int, start: float, count: int = 16) -> "Figure":
    """A recording (N,) at three scales: all of it, 20 ms from `start` s on, and `count` samples."""
    figure, (recording, window, values) = subplots(9, 5.6, nrows=3)
    first, n, count = round(start * rate), round(0.02 * rate), min(count, 8) if is_narrow() else count
    _wave(recording, samples, rate)
    recording.axvspan(start, start + 0.02, color=ACCENT, alpha=0.5, linewidth=0)
    recording.set_title(f"{len(samples)} numbers, {len(samples) / rate:.2f} seconds", fontsize=10)

    window.plot(np.arange(n) * 1000 / rate, samples[first : first + n], color=SIGNAL, linewidth=1.2)
    window.axvspan(0, count * 1000 / rate, color=ACCENT, alpha=0.3, linewidth=0)
    window.set_title(f"the 20 ms marked above: {n} numbers", fontsize=10)
    window.set(xlabel="milliseconds", xlim=(0, 20))

    shown = samples[first : first + count]
    values.stem(np.arange(count), shown, linefmt=SIGNAL, markerfmt="o", basefmt=" ")
    limit = abs(shown).max() or 1
    for i, x in enumerate(shown):
        values.annotate(
            f"{x:.2f}".replace("0.", ".").replace("-", "−"),
            (i, x),
            (0, 7 if x >= 0 else -7),
            textcoords="offset points",
            ha="center",
            va="bottom" if x >= 0 else "top",
            fontsize=9,
            color=INK,
        )
    values.axhline(0, color=FAINT, linewidth=0.8)
    values.set_title(f"the first {count} of them, as stored in the array", fontsize=10)
    values.axis("off")
    values.set(xlim=(-0.7, count - 0.3), ylim=(-1.6 * limit, 1.6 * limit))
    return figure


@two_widths
def dft_bin(x: np.ndarray, p: int) -> "Figure":
    """The power of bin p of x (n,): its products with a cosine and a sine of p periods, summed and squared.

    The bars at the bottom are the powers of bins 0 … p, on axes for all n/2 + 1 bins.
    """
    n, i = len(x), np.arange(len(x))
    fine = np.linspace(0, n, 200)
    powers = abs(np.fft.rfft(x)) ** 2
    figure, axes = subplots(9, 6.4, nrows=4, height_ratios=[1.2, 1, 1, 1.2])
    periods = f"{p} period{'s' * (p != 1)}"
    axes[0].plot(fine, np.cos(2 * np.pi * p * fine / n), color=ACCENT, linewidth=1, alpha=0.7)
    axes[0].plot(fine, np.sin(2 * np.pi * p * fine / n), color=PALETTE[2], linewidth=1, alpha=0.7)
    axes[0].plot(i, x, "o-", color=SIGNAL, linewidth=1, markersize=5)
    space = "\n" if is_narrow() else " "
    words = f"x (dots), and {periods} of{space}the cosine (red) and the sine (green)"
    axes[0].set_title(words, fontsize=10)

    sums = []
    waves = ("cosine", ACCENT, np.cos), ("sine", PALETTE[2], np.sin)
    for row, (name, color, wave) in enumerate(waves, start=1):
        product = x * wave(2 * np.pi * p * i / n)
        sums.append(product.sum())
        axes[row].bar(i, product, color=color, alpha=0.6, width=0.7)
        axes[row].set_title(f"x · {name}: the sum of the bars is {_number(sums[-1])}", fontsize=10)
    limit = 1.1 * max(1, abs(x).max())
    for row_axes in axes[:3]:
        row_axes.axhline(0, color=FAINT, linewidth=0.8)
        row_axes.set(xlim=(-0.6, n - 0.4), ylim=(-limit, limit), xticks=[], yticks=[])

    axes[3].bar(np.arange(p + 1), powers[: p + 1], color=SIGNAL, alpha=0.6, width=0.7)
    for bin, power in enumerate(powers[: p + 1]):
        axes[3].text(bin, power, _number(power), ha="center", va="bottom", fontsize=9, color=INK)
    axes[3].set(xlim=(-0.6, len(powers) - 0.4), ylim=(0, 1.25 * powers.max()), yticks=[])
    axes[3].set_xticks(np.arange(len(powers)))
    power = f"{_number(sums[0])}² + {_number(sums[1])}² = {_number(powers[p])}"
    axes[3].set_title(f"power of bin {p}: {power}", fontsize=10)
    return figure


@two_widths
def leakage(tone: np.ndarray, windowed: np.ndarray, rate: int) -> "Figure":
    """Log power spectra (n/2 + 1,) of a tone: of a piece cut out of it, and of the piece times a window."""
    figure, axes = subplots(9, 3)
    frequency = np.arange(len(tone)) * rate / (2 * (len(tone) - 1))
    axes.plot(frequency, tone, color=ACCENT, label="cut out")
    axes.plot(frequency, windowed, color=SIGNAL, label="faded in and out")
    axes.legend(frameon=False, labelcolor=INK, loc="upper center")  # visible on a phone
    axes.set(xlabel="frequency (Hz)", ylabel="log power", xlim=(0, 4000))
    return figure


@two_widths
def spectrum_step(
    samples: np.ndarray, rate: int, size: int, hop: int, log_powers: np.ndarray, t: int
) -> "Figure":
    """From samples (N,) to frame t of the spectrogram: where it is, its samples, and their spectrum.

    log_powers (T0, size/2 + 1) are of frames of `size` samples, one every `hop`; frames 0 … t are drawn.
    """
    if is_narrow():
        figure, (wave, frame, image, spectrum) = subplots(9, 8, nrows=4, height_ratios=[1, 1, 1.5, 1.5])
    else:
        figure, ((wave, frame), (image, spectrum)) = subplots(
            9, 5, nrows=2, ncols=2, width_ratios=[2.2, 1], height_ratios=[1, 1.5]
        )
    start = t * hop / rate
    _wave(wave, samples, rate)
    wave.axvspan(start, start + size / rate, color=ACCENT, alpha=0.5, linewidth=0)
    wave.set_title(f"frame {t}: samples {t * hop} … {t * hop + size - 1}", fontsize=10)

    x, ms = frames(samples, size, hop)[t], np.arange(size) * 1000 / rate
    limit = 1.05 * abs(samples).max()
    frame.plot(ms, x, color=FAINT, linewidth=1)
    frame.plot(ms, x * hann(size) / hann(size).max(), color=ACCENT, linewidth=1.2)
    frame.set(ylim=(-limit, limit), xlim=(0, ms[-1]), yticks=[], xlabel="milliseconds")
    frame.set_title("its samples, faded in and out", fontsize=10)

    visible = np.where(np.arange(len(log_powers))[:, None] <= t, log_powers, np.nan)
    low, high = np.percentile(log_powers, COLOR_RANGE)
    _image(image, visible, rate / 2, (size - hop) / 2 / rate, hop / rate, low, high)
    image.set_xlim(wave.get_xlim())
    image.set_title(f"the log power spectra of frames 0 … {t}", fontsize=10)

    frequency = np.arange(log_powers.shape[1]) * rate / size / 1000
    spectrum.plot(log_powers[t], frequency, color=ACCENT, linewidth=1.2)
    spectrum.set(xlim=(log_powers.min(), log_powers.max()), ylim=(0, rate / 2000), xlabel="log power")
    spectrum.set_title(f"that of frame {t}", fontsize=10)
    return figure


@two_widths
def spectrogram(log_powers: np.ndarray, rate: int, size: int, hop: int, title: str) -> "Figure":
    """The lower half of log_powers (T0, size/2 + 1), of frames of `size` samples, one every `hop`."""
    figure, axes = subplots(9, 3)
    low, high = np.percentile(log_powers, COLOR_RANGE)
    _image(axes, log_powers[:, : size // 4 + 1], rate / 4, (size - hop) / 2 / rate, hop / rate, low, high)
    axes.set(xlim=(0, (len(log_powers) * hop + size - hop) / rate))
    axes.set_title(title, fontsize=10)
    return figure


@two_widths
def filter_bank(power: np.ndarray, bands: int, rate: int) -> "Figure":
    """A power spectrum (n/2 + 1,), the weights of `bands` bands, and the log power in each of them."""
    figure, (spectrum, weights, sums) = subplots(9, 5, nrows=3)
    bank = linear_bands(bands, 2 * (len(power) - 1))[:, :-1]  # (n/2 + 1, bands)
    hertz = np.linspace(0, rate / 2000, len(power))
    spectrum.fill_between(hertz, np.log(power + 1e-7), np.log(1e-7), color=FAINT, alpha=0.4, linewidth=0)
    spectrum.set_title(f"log power in {len(power)} bins", fontsize=10)
    centers = np.arange(1, bands + 1) * rate / 2000 / (bands + 1)
    for j, center in enumerate(centers):
        color = PALETTE[j % len(PALETTE)]
        weights.plot(hertz, bank[:, j], color=color, linewidth=1.4)
        sums.bar(
            center,
            np.log(power @ bank[:, j] + 1e-7) - np.log(1e-7),
            0.6 * centers[0],
            np.log(1e-7),
            color=color,
        )
    weights.set_title(f"weights of the bins in {bands} bands", fontsize=10)
    sums.set_title("log power in each band", fontsize=10)
    for axes in spectrum, weights, sums:
        axes.set(xlim=(0, rate / 2000))
    sums.set_ylim(spectrum.get_ylim())
    sums.set_xlabel("frequency (kHz)")
    return figure


@two_widths
def feature_pair(first: np.ndarray, second: np.ndarray, rate: int, names: tuple[str, str]) -> "Figure":
    """The features (T0, F) of two sounds, one above the other in the same colors."""
    figure, rows = subplots(9, 4.6, nrows=2, sharex=True)
    low, high = np.percentile([first, second], COLOR_RANGE)
    for axes, features, name in zip(rows, (first, second), names, strict=True):
        _image(axes, features[:, :-1], rate / 2, 0.005, 0.01, low, high)
        axes.set_title(name, fontsize=10)
    rows[0].set_xlabel("")
    return figure


@two_widths
def features_and_probabilities(
    frames: np.ndarray, log_probs: np.ndarray, alphabet: Alphabet, frame_seconds: float, rate: int
) -> "Figure":
    """Features (T0, F) above the probability of each character.

    log_probs (T, K) have a frame every `frame_seconds`. The blank is gray. Every other character has a color
    and labels its peaks on the best path.
    """
    figure, (image, curves) = subplots(9, 4.6, nrows=2, sharex=True, height_ratios=[1, 1.4])
    low, high = np.percentile(frames, COLOR_RANGE)
    _image(image, frames, rate / 2, 0, frame_seconds * len(log_probs) / len(frames), low, high)
    image.set_xlabel("")
    probabilities(curves, log_probs, alphabet, frame_seconds)
    return figure


def probabilities(axes: "Axes", log_probs: np.ndarray, alphabet: Alphabet, frame_seconds: float) -> None:
    """The labeled curves of log_probs (T, K), which have a frame every `frame_seconds`."""
    probability_curves(axes, log_probs, frame_seconds)
    time = (np.arange(len(log_probs)) + 0.5) * frame_seconds
    path = greedy(log_probs)
    middles = [time[first : last + 1].mean() for first, last in path.frames]
    places = stagger(middles, path.peaks, len(log_probs) * frame_seconds)
    for k, middle, (height, level) in zip(path.labels, middles, places, strict=True):
        character = alphabet.decode([k]).replace(" ", "␣")
        axes.annotate(
            character,
            (middle, height),
            (0, 3 + 12 * level + 6 * (character == "␣")),  # the upper half of ␣ is empty
            textcoords="offset points",
            ha="center",
            color=character_color(k),
            fontsize=13,
            weight="bold",
        )
    axes.set(
        xlabel="time (s); gray: the blank",
        ylabel="probability",
        xlim=(0, len(log_probs) * frame_seconds),
        ylim=(0, 1.4),
        yticks=[0, 0.5, 1],
    )


def stagger(positions: Sequence[float], peaks: Sequence[float], width: float) -> list[tuple[float, int]]:
    """Where the letters of peaks at increasing positions on an axis of `width` do not overlap.

    For each letter: the height above which it is drawn, and how many letters (0 to 2) lie between.
    """
    letter_width = (0.065 if is_narrow() else 0.025) * width
    places: list[tuple[float, int]] = []
    for i, (position, peak) in enumerate(zip(positions, peaks, strict=True)):
        near = i and position - positions[i - 1] < letter_width
        level = (places[-1][1] + 1) % 3 if near else 0
        places.append((max(peak, places[-1][0]) if level else peak, level))
    return places


def _wave(axes: "Axes", samples: np.ndarray, rate: int) -> None:
    waveform(axes, samples, rate)
    limit = 1.05 * abs(samples).max()
    axes.set(xlim=(0, len(samples) / rate), ylim=(-limit, limit), xlabel="seconds", yticks=[])


def _image(
    axes: "Axes", log_powers: np.ndarray, highest: float, start: float, frame_seconds: float, low, high
) -> None:
    """An image of log_powers, a frame every `frame_seconds` from `start` on, from 0 to `highest` Hz.

    In an SVG it has one pixel for each value; the browser enlarges them.
    """
    axes.imshow(
        log_powers.T,
        origin="lower",
        aspect="auto",
        interpolation="none",
        extent=(start, start + len(log_powers) * frame_seconds, 0, highest / 1000),
        cmap="magma",
        vmin=low,
        vmax=high,
    )
    axes.set(xlabel="seconds", ylabel="frequency (kHz)")


def _number(x: float) -> str:
    return f"{x + 0.0:.1f}".replace("-0.0", "0.0").replace("-", "−")
