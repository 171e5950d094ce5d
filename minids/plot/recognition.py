"""An utterance from sound to text: four plots with one time axis."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from minids.decode.greedy import greedy
from minids.decode.path import word_times
from minids.plot import GRAY, PALETTE, SIGNAL, despine, font_families, visible
from minids.text import BLANK, Alphabet, display_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS_PER_INCH = 100  # of a waveform
MIN_PEAK = 0.05  # a character that never reaches this probability is not drawn
MIN_PROBABILITY = 0.005  # of a point of a curve; the file would be many times larger with all of them


def recognition(
    samples: np.ndarray,
    rate: int,
    frames: np.ndarray,
    log_probs: np.ndarray,
    alphabet: Alphabet,
    frame_seconds: float,
    text: str,
) -> "Figure":
    """Waveform, features, character probabilities and words of an utterance.

    samples (N,) at `rate` Hz; frames (T0, F), from 0 to rate / 2 (§5.1: the bands are linearly spaced; the
    energy of a filter bank is the top row); log_probs (T, K), a frame every `frame_seconds`. `text`, the
    transcript, is the title. The bottom plot shows the words of greedy decoding at their times. Raises
    ValueError if there is no frame.
    """
    from matplotlib.figure import Figure

    if not (len(samples) and len(frames) and len(log_probs)):
        raise ValueError("samples, frames and log_probs must not be empty")

    seconds = max(len(samples) / rate, len(log_probs) * frame_seconds)
    width = float(np.clip(2.6 * seconds, 9, 60))  # inches: wide enough for a character every 40 ms
    figure = Figure(figsize=(width, 7.5), layout="constrained")
    axes = figure.subplots(4, sharex=True, height_ratios=[1, 1.6, 2, 0.5])
    title = _wrap(f"“{text}”", round(8 * width))
    # At the left, where a phone shows it without scrolling. A $ is text here.
    style = {"x": 0.01, "ha": "left", "fontsize": 13, "parse_math": False}
    figure.suptitle(title, family=font_families(text), **style)
    stride = -(-len(frames) // len(log_probs))
    _waveform(axes[0], samples, rate, round(COLUMNS_PER_INCH * width))
    _features(axes[1], frames, rate, frame_seconds / stride)
    _probabilities(axes[2], log_probs, alphabet, frame_seconds)
    _words(axes[3], log_probs, alphabet, frame_seconds)
    axes[3].set(xlim=(0, seconds), xlabel="time (s)")
    for row in axes:
        despine(row)
    figure.align_ylabels(axes)
    return figure


def _wrap(text: str, width: int) -> str:
    """The text in lines of at most `width` columns, broken at spaces, or anywhere where there are none."""
    lines = [""]
    for part in re.findall(r"\S+|\s+", text):
        if display_width(lines[-1] + part.rstrip()) > width >= display_width(part):
            lines.append("")
        for character in part:
            if display_width(lines[-1] + character) > width:
                lines.append("")
            lines[-1] += character
    return "\n".join(line.strip() for line in lines)


def _waveform(axes: "Axes", samples: np.ndarray, rate: int, columns: int) -> None:
    waveform(axes, samples, rate, columns)
    limit = 1.05 * max(np.abs(samples).max(), 1e-4)  # silence is a line
    axes.set(ylabel="amplitude\n(full scale 1)", ylim=(-limit, limit))


def _features(axes: "Axes", frames: np.ndarray, rate: int, frame_seconds: float) -> None:
    low, high = np.percentile(frames, (2, 99.5))
    extent = (0, len(frames) * frame_seconds, 0, rate / 2000)
    colors = {"cmap": "magma", "vmin": low, "vmax": high}
    # No interpolation: one pixel for each value, which a viewer enlarges.
    axes.imshow(frames.T, origin="lower", aspect="auto", extent=extent, interpolation="none", **colors)
    axes.set_ylabel(f"{frames.shape[1]} features\nfrequency (kHz)")


def _probabilities(axes: "Axes", log_probs: np.ndarray, alphabet: Alphabet, frame_seconds: float) -> None:
    """The curves, each with its character at the peaks of the best path."""
    from matplotlib.patheffects import withStroke

    probability_curves(axes, log_probs, frame_seconds)
    path = greedy(log_probs)
    style: dict[str, Any] = {"ha": "center", "fontsize": 11, "weight": "bold"}
    style["family"] = font_families("".join(map(visible, alphabet.symbols)))
    style["path_effects"] = [withStroke(linewidth=3, foreground="white")]
    for k, (first, last), peak in zip(path.labels, path.frames, path.peaks, strict=True):
        t = first + int(log_probs[first : last + 1, k].argmax())
        place: dict[str, Any] = {
            "xy": ((t + 0.5) * frame_seconds, peak),
            "xytext": (0, 3),
            "textcoords": "offset points",
        }
        axes.annotate(visible(alphabet.decode([k])), **place, **style, color=character_color(k))
    axes.text(1, 1, "gray: blank", transform=axes.transAxes, color="dimgray", size=8, ha="right", va="top")
    axes.set(ylabel="probability of\neach character", ylim=(0, 1.16), yticks=[0, 0.5, 1])


def _words(axes: "Axes", log_probs: np.ndarray, alphabet: Alphabet, frame_seconds: float) -> None:
    """A box from the first to the last frame of each word, darker for a higher score."""
    for word, start, end, score, _ in word_times(greedy(log_probs), alphabet, frame_seconds):
        axes.axvspan(start, end, color=SIGNAL, alpha=0.1 + 0.3 * score, linewidth=0)
        middle = (start + end) / 2
        label = axes.text(middle, 0.5, word, ha="center", va="center", fontsize=11, parse_math=False)
        label.set_fontfamily(font_families(word))
    axes.set(ylabel="words", ylim=(0, 1), yticks=[])


def probability_curves(axes: "Axes", log_probs: np.ndarray, frame_seconds: float) -> None:
    """A curve for each character that is ever likely. log_probs (T, K) have a frame every `frame_seconds`."""
    time = (np.arange(len(log_probs)) + 0.5) * frame_seconds
    for k, curve in enumerate(np.exp(log_probs).T):
        if k == BLANK or curve.max() > MIN_PEAK:
            drawn = np.convolve(curve > MIN_PROBABILITY, [1, 1, 1])[1:-1] > 0  # with a point on either side
            line = np.where(drawn, curve, np.nan)
            axes.plot(time, line, color=character_color(k), linewidth=0.8 if k == BLANK else 1.4)
            axes.fill_between(time, curve, where=drawn, color=character_color(k), alpha=0.16, linewidth=0)


def character_color(k: int) -> str:
    """Gray for the blank, a color of the palette for every other character."""
    return GRAY if k == BLANK else PALETTE[k % len(PALETTE)]


def waveform(
    axes: "Axes", samples: np.ndarray, rate: int, columns: int = 400, color: str = SIGNAL, alpha: float = 1
) -> None:
    """Samples (N,) over seconds, more than `columns` of them as the minimum and maximum of each column."""
    size = -(-len(samples) // columns)  # samples of a column
    parts = np.pad(samples, (0, -len(samples) % size), mode="edge").reshape(-1, size)
    time = np.arange(len(parts)) * size / rate
    axes.fill_between(time, parts.min(axis=1), parts.max(axis=1), color=color, alpha=alpha, linewidth=0.5)
