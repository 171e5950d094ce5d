"""Sound, and what becomes of it: samples, a window of them, its spectrum, the spectrogram, letters."""

from typing import TYPE_CHECKING

import numpy as np

from minids.decode.greedy import greedy
from minids.features import frames, hann
from minids.plot import ACCENT, FAINT, GRAY, INK, PALETTE, SIGNAL, subplots
from minids.text import BLANK, Alphabet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 400  # of a wave, as wide as a page
DARKEST, BRIGHTEST = 5, 99.8  # percentiles of a spectrogram's values
VISIBLE = 0.05  # a character that never reaches this probability is not drawn


def numbers(samples: np.ndarray, rate: int, at: float, count: int = 16) -> "Figure":
    """A recording (N,) seen from ever nearer: all of it, 20 ms at `at` seconds, and `count` samples there."""
    figure, (whole, window, few) = subplots(8, 5.6, nrows=3)
    first, n = round(at * rate), round(0.02 * rate)
    _wave(whole, samples, rate)
    whole.axvspan(at, at + 0.02, color=ACCENT, alpha=0.5, linewidth=0)
    whole.set_title(f"{len(samples)} numbers, {len(samples) / rate:.2f} seconds", fontsize=10)

    window.plot(np.arange(n) * 1000 / rate, samples[first : first + n], color=SIGNAL, linewidth=1.2)
    window.axvspan(0, count * 1000 / rate, color=ACCENT, alpha=0.3, linewidth=0)
    window.set_title(f"the 20 ms that are marked above: {n} numbers", fontsize=10)
    window.set(xlabel="milliseconds", xlim=(0, 20))

    shown = samples[first : first + count]
    few.stem(np.arange(count), shown, linefmt=SIGNAL, markerfmt="o", basefmt=" ")
    reach = abs(shown).max() or 1
    for i, x in enumerate(shown):
        up = x >= 0
        few.annotate(
            f"{x:.2f}".replace("0.", ".").replace("-", "−"),
            (i, x),
            (0, 7 if up else -7),
            textcoords="offset points",
            ha="center",
            va="bottom" if up else "top",
            fontsize=9,
            color=INK,
        )
    few.axhline(0, color=FAINT, linewidth=0.8)
    few.set_title(f"the first {count} of these, as they stand in the array", fontsize=10)
    few.axis("off")
    few.set(xlim=(-0.7, count - 0.3), ylim=(-1.6 * reach, 1.6 * reach))
    return figure


def question(x: np.ndarray, p: int) -> "Figure":
    """How much of p swings is in x (n,)?  Times cosine, times sine, summed, squared: the power of bin p.

    The bars at the foot are the powers of bins 0 … p; the axes have room for all n/2 + 1.
    """
    n, i = len(x), np.arange(len(x))
    fine = np.linspace(0, n, 200)
    powers = abs(np.fft.rfft(x)) ** 2
    figure, axes = subplots(8, 6.4, nrows=4, height_ratios=[1.2, 1, 1, 1.2])
    asked = f"{p} swing{'s' * (p != 1)}"
    axes[0].plot(fine, np.cos(2 * np.pi * p * fine / n), color=ACCENT, linewidth=1, alpha=0.7)
    axes[0].plot(fine, np.sin(2 * np.pi * p * fine / n), color=PALETTE[2], linewidth=1, alpha=0.7)
    axes[0].plot(i, x, "o-", color=SIGNAL, linewidth=1, markersize=5)
    axes[0].set_title(f"x (dots), and {asked} of the cosine (red) and the sine (green)", fontsize=10)

    sums = []
    for row, (name, color, swing) in enumerate(
        (("cosine", ACCENT, np.cos), ("sine", PALETTE[2], np.sin)), start=1
    ):
        product = x * swing(2 * np.pi * p * i / n)
        sums.append(product.sum())
        axes[row].bar(i, product, color=color, alpha=0.6, width=0.7)
        axes[row].set_title(f"x · {name}: the bars add up to {_number(sums[-1])}", fontsize=10)
    for each in axes[:3]:
        reach = 1.1 * max(1, abs(x).max())
        each.axhline(0, color=FAINT, linewidth=0.8)
        each.set(xlim=(-0.6, n - 0.4), ylim=(-reach, reach), xticks=[], yticks=[])

    axes[3].bar(np.arange(p + 1), powers[: p + 1], color=SIGNAL, alpha=0.6, width=0.7)
    for bin, power in enumerate(powers[: p + 1]):
        axes[3].text(bin, power, _number(power), ha="center", va="bottom", fontsize=9, color=INK)
    axes[3].set(xlim=(-0.6, len(powers) - 0.4), ylim=(0, 1.25 * powers.max()), yticks=[])
    axes[3].set_xticks(np.arange(len(powers)))
    power = f"{_number(sums[0])}² + {_number(sums[1])}² = {_number(powers[p])}"
    axes[3].set_title(f"power of bin {p}: {power}", fontsize=10)
    return figure


def leak(tone: np.ndarray, faded: np.ndarray, rate: int) -> "Figure":
    """Spectra (n/2 + 1,), log power, of one tone: cut out of the sound, and faded in and out."""
    figure, axes = subplots(8, 3)
    frequency = np.arange(len(tone)) * rate / (2 * (len(tone) - 1))
    axes.plot(frequency, tone, color=ACCENT, label="cut out")
    axes.plot(frequency, faded, color=SIGNAL, label="faded in and out")
    axes.legend(frameon=False, labelcolor=INK, loc="upper center")  # within a phone's width
    axes.set(xlabel="frequency (Hz)", ylabel="log power", xlim=(0, 4000))
    return figure


def hearing(samples: np.ndarray, rate: int, size: int, step: int, log_powers: np.ndarray, t: int) -> "Figure":
    """Frame t on its way: a window of the wave (N,), the windowed samples, their spectrum, a column.

    log_powers (T0, size/2 + 1) of windows of `size` samples, a new one every `step`; those up to t are drawn.
    """
    figure, ((wave, window), (image, spectrum)) = subplots(
        8, 5, nrows=2, ncols=2, width_ratios=[2.2, 1], height_ratios=[1, 1.5]
    )
    start = t * step / rate
    _wave(wave, samples, rate)
    wave.axvspan(start, start + size / rate, color=ACCENT, alpha=0.5, linewidth=0)
    wave.set_title(f"window {t}: samples {t * step} … {t * step + size - 1}", fontsize=10)

    piece, ms = frames(samples, size, step)[t], np.arange(size) * 1000 / rate
    shape = hann(size) / hann(size).max()
    reach = 1.05 * abs(samples).max()
    window.plot(ms, piece, color=FAINT, linewidth=1)
    window.plot(ms, piece * shape, color=ACCENT, linewidth=1.2)
    window.set(ylim=(-reach, reach), xlim=(0, ms[-1]), yticks=[], xlabel="milliseconds")
    window.set_title("its samples, faded out", fontsize=10)

    seen = np.where(np.arange(len(log_powers))[:, None] <= t, log_powers, np.nan)
    low, high = np.percentile(log_powers, (DARKEST, BRIGHTEST))
    _image(image, seen, rate / 2, (size - step) / 2 / rate, step / rate, low, high)
    image.set_xlim(wave.get_xlim())
    image.set_title(f"columns 0 … {t}", fontsize=10)

    frequency = np.arange(log_powers.shape[1]) * rate / size / 1000
    spectrum.plot(log_powers[t], frequency, color=ACCENT, linewidth=1.2)
    spectrum.set(xlim=(log_powers.min(), log_powers.max()), ylim=(0, rate / 2000), xlabel="log power")
    spectrum.set_title(f"column {t}, its spectrum", fontsize=10)
    return figure


def spectrogram(log_powers: np.ndarray, rate: int, size: int, step: int, title: str) -> "Figure":
    """log_powers (T0, size/2 + 1) of windows of `size` samples, one every `step`; half of the bins."""
    figure, axes = subplots(8, 3)
    low, high = np.percentile(log_powers, (DARKEST, BRIGHTEST))
    _image(axes, log_powers[:, : size // 4 + 1], rate / 4, (size - step) / 2 / rate, step / rate, low, high)
    axes.set(xlim=(0, (len(log_powers) * step + size - step) / rate))
    axes.set_title(title, fontsize=10)
    return figure


def letters(frames: np.ndarray, log_probs: np.ndarray, alphabet: Alphabet, hop: float, rate: int) -> "Figure":
    """Features (T0, F) above the probability of each character (T, K), of which one comes every `hop` s.

    The blank is gray; every other character has a color, and stands at its peaks on the best path.
    """
    figure, (image, curves) = subplots(8, 4.6, nrows=2, sharex=True, height_ratios=[1, 1.4])
    low, high = np.percentile(frames, (DARKEST, BRIGHTEST))
    _image(image, frames, rate / 2, 0, hop * len(log_probs) / len(frames), low, high)
    image.set_xlabel("")
    probabilities(curves, log_probs, alphabet, hop)
    return figure


def probabilities(axes: "Axes", log_probs: np.ndarray, alphabet: Alphabet, hop: float) -> None:
    """Each character's probability over time, log_probs (T, K), one every `hop` seconds, with its letter."""
    curves(axes, log_probs, hop)
    time = (np.arange(len(log_probs)) + 0.5) * hop
    path = greedy(log_probs)
    before, raised = -np.inf, False
    for k, (first, last), peak in zip(path.labels, path.frames, path.peaks, strict=True):
        middle = time[first : last + 1].mean()
        close = middle - before < 0.025 * len(log_probs) * hop
        before, raised = middle, close and not raised  # or it would stand in the last one
        letter = alphabet.decode([k]).replace(" ", "␣")
        axes.annotate(
            letter,
            (middle, peak),
            (0, 15 if raised else 9 if letter == "␣" else 3),  # that one has nothing in its upper half
            textcoords="offset points",
            ha="center",
            color=color_of(k),
            fontsize=13,
            weight="bold",
        )
    axes.set(
        xlabel="time (s); gray: the blank",
        ylabel="probability",
        xlim=(0, len(log_probs) * hop),
        ylim=(0, 1.35),
        yticks=[0, 0.5, 1],
    )


def curves(axes: "Axes", log_probs: np.ndarray, hop: float) -> None:
    """The probability of each character that is ever heard, log_probs (T, K), one every `hop` seconds."""
    time = (np.arange(len(log_probs)) + 0.5) * hop
    for k, curve in enumerate(np.exp(log_probs).T):
        if k == BLANK or curve.max() > VISIBLE:
            axes.plot(time, curve, color=color_of(k), linewidth=0.8 if k == BLANK else 1.4)
            axes.fill_between(time, curve, color=color_of(k), alpha=0.16, linewidth=0)


def color_of(k: int) -> str:
    """The blank is gray; every other character has its own."""
    return GRAY if k == BLANK else PALETTE[k % len(PALETTE)]


def waveform(
    axes: "Axes", samples: np.ndarray, rate: int, most: int = COLUMNS, color: str = SIGNAL, alpha: float = 1
) -> None:
    """Samples (N,) over seconds; of more than `most`, the least and the greatest of each column."""
    column = -(-len(samples) // most)  # samples
    columns = np.pad(samples, (0, -len(samples) % column), mode="edge").reshape(-1, column)
    time = np.arange(len(columns)) * column / rate
    low, high = columns.min(axis=1), columns.max(axis=1)
    axes.fill_between(time, low, high, color=color, alpha=alpha, linewidth=0.5)


def _wave(axes: "Axes", samples: np.ndarray, rate: int) -> None:
    waveform(axes, samples, rate)
    reach = 1.05 * abs(samples).max()
    axes.set(xlim=(0, len(samples) / rate), ylim=(-reach, reach), xlabel="seconds", yticks=[])


def _image(axes: "Axes", log_powers: np.ndarray, highest: float, start: float, hop: float, low, high) -> None:
    """A column every `hop` seconds from `start` on, from 0 to `highest` Hz.

    In an SVG it has a pixel for each number and no more: the reader's browser makes them large.
    """
    axes.imshow(
        log_powers.T,
        origin="lower",
        aspect="auto",
        interpolation="none",
        extent=(start, start + len(log_powers) * hop, 0, highest / 1000),
        cmap="magma",
        vmin=low,
        vmax=high,
    )
    axes.set(xlabel="seconds", ylabel="frequency (kHz)")


def _number(x: float) -> str:
    return f"{x + 0.0:.1f}".replace("-0.0", "0.0").replace("-", "−")
