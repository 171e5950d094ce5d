"""What came before Deep Speech: a pipeline of its time, one alignment or all, the paper's tables."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from minids.plot import ACCENT, FAINT, GRAY, INK, SIGNAL, is_narrow, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rates = tuple[float | None, ...]

# %WER on Hub5'00: Switchboard, CallHome, both
TABLE_3: dict[str, Rates] = {
    "Vesely (GMM-HMM BMMI)": (18.6, 33.0, 25.8),
    "Vesely (DNN-HMM sMBR)": (12.6, 24.1, 18.4),
    "Maas (DNN-HMM SWB)": (14.6, 26.3, 20.5),
    "Maas (DNN-HMM FSH)": (16.0, 23.7, 19.9),
    "Seide (CD-DNN)": (16.1, None, None),
    "Kingsbury (DNN-HMM sMBR HF)": (13.3, None, None),
    "Sainath (CNN-HMM)": (11.5, None, None),
    "Soltau (MLP/CNN+I-Vector)": (10.4, None, None),
    "Deep Speech SWB": (20.0, 31.8, 25.9),
    "Deep Speech SWB+FSH": (12.6, 19.3, 16.0),
}

# %WER on the authors' recordings: clean, noisy, both
TABLE_4: dict[str, Rates] = {
    "Apple Dictation": (14.24, 43.76, 26.73),
    "Bing Speech": (11.73, 36.12, 22.05),
    "Google API": (6.64, 30.47, 16.72),
    "wit.ai": (7.94, 35.06, 19.41),
    "Deep Speech": (6.56, 19.06, 11.85),
}

STEPS = [  # the step, in a pipeline, in Deep Speech
    ("features", "MFCC", "log powers of bands"),
    ("speaker", "adaptation", "normalization (§5.1)"),
    ("words", "dictionary of phonemes", ""),
    ("alignment", "GMM-HMM: one path", "CTC: all paths"),
    ("targets", "phonemes in context", "characters"),
    ("network", "DNN, frame by frame", "recurrent network"),
    ("language", "n-gram model", "n-gram model"),
]


@two_widths
def pipelines() -> "Figure":
    """The steps of a recognizer of 2014 and those of Deep Speech, side by side."""
    narrow = is_narrow()
    figure, axes = subplots(8, 0.7 + 0.5 * len(STEPS), narrow_height=0.7 + 0.62 * len(STEPS))
    size = 9 if narrow else 12
    left = 0.22  # the width of the column of names
    width = (1 - left) / 2
    for x, head in (left, "a pipeline, 2014"), (left + width, "Deep Speech"):
        axes.text(x + width / 2, -0.9, head, color=INK, fontsize=size, weight="bold", ha="center")
    for row, (step, before, after) in enumerate(STEPS):
        axes.text(0, row, step, color=INK, fontsize=size, va="center")
        color = SIGNAL if after else ACCENT
        _box(axes, left, row, width, before, color, size)
        if after:
            _box(axes, left + width, row, width, after, color, size)
        else:
            axes.text(left + 1.5 * width, row, "–", color=FAINT, fontsize=size, ha="center", va="center")
    axes.set(xlim=(-0.01, 1.01), ylim=(len(STEPS) - 0.5, -1.3))
    axes.axis("off")
    return figure


def _box(axes, x: float, row: int, width: float, text: str, color: str, size: int) -> None:
    from matplotlib.patches import FancyBboxPatch

    lines = fill(text, 14) if is_narrow() else text
    corner, height = (x + 0.03, row - 0.28), 0.56
    axes.add_patch(
        FancyBboxPatch(
            corner, width - 0.05, height, "round,pad=0.01", facecolor=(color, 0.15), edgecolor=color
        )
    )
    axes.text(x + width / 2, row, lines, color=INK, fontsize=size, ha="center", va="center")


@two_widths
def alignments(gamma: np.ndarray, path: Sequence[int], names: Sequence[str], seconds: float) -> "Figure":
    """The share of all paths in each state, gamma (T, S), as shades, and one path (T,) as a line.

    names (S,): the characters of the states, "" for blanks. `seconds`: the duration of a frame.
    """
    from matplotlib.colors import LinearSegmentedColormap

    T, S = gamma.shape
    figure, axes = subplots(8, 1.0 + 0.14 * S)
    shades = LinearSegmentedColormap.from_list("shares", [(*_rgb(SIGNAL), 0.0), (*_rgb(SIGNAL), 1.0)])
    edges = np.arange(T + 1) * seconds, np.arange(S + 1) - 0.5
    axes.pcolormesh(*edges, gamma.T, cmap=shades, vmin=0, vmax=1, rasterized=True)
    times = (np.arange(T) + 0.5) * seconds
    axes.plot(times, path, color=ACCENT, linewidth=1.4, drawstyle="steps-mid")
    letters = [s for s in range(S) if names[s]]
    axes.set_yticks(letters, [names[s].replace(" ", "␣") for s in letters], fontsize=9)
    axes.set(ylim=(S - 0.5, -0.5), xlabel="seconds")
    return figure


def _rgb(color: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(color)


@two_widths
def error_rates(table: Mapping[str, Rates], columns: Sequence[str]) -> "Figure":
    """Word error rates in %, one row for each system; the lowest of each column is bold."""
    figure, axes = subplots(8, 0.5 + 0.32 * len(table), narrow_height=0.5 + 0.46 * len(table))
    size = 8.5 if is_narrow() else 11
    names = 0.4  # the share of the width for the names of the systems
    width = (1 - names) / len(columns)
    highest = max(rate for rates in table.values() for rate in rates if rate is not None)
    lowest = [min(r for r in column if r is not None) for column in zip(*table.values(), strict=True)]
    decimals = max(len(str(r).split(".")[1]) for rates in table.values() for r in rates if r is not None)
    for j, head in enumerate(columns):
        axes.text(names + j * width, -0.85, head, color=INK, fontsize=size, weight="bold")
    for row, (system, rates) in enumerate(table.items()):
        ours = system.startswith("Deep Speech")
        name = system.replace(" (", "\n(").replace("Speech ", "Speech\n") if is_narrow() else system
        axes.text(0, row, name, color=INK, fontsize=size, va="center", weight="bold" if ours else "normal")
        for j, rate in enumerate(rates):
            x = names + j * width
            if rate is None:
                axes.text(x, row, "–", color=FAINT, fontsize=size, va="center")
                continue
            share = 0.92 * width * rate / highest
            axes.barh(row, share, 0.72, x, color=SIGNAL if ours else GRAY, alpha=0.4)
            weight = "bold" if rate == lowest[j] else "normal"
            axes.text(
                x + 0.01, row, f"{rate:.{decimals}f}", color=INK, fontsize=size, va="center", weight=weight
            )
    axes.set(xlim=(-0.01, 1.01), ylim=(len(table) - 0.4, -1.3))
    axes.axis("off")
    return figure
