"""A collection of recordings, and a training on it: the loss and word error rates per epoch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from minids.lesson.sounds import RATE, Recording
from minids.plot import ACCENT, INK, PALETTE, SIGNAL, is_narrow, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@two_widths
def collection(parts: Mapping[str, Sequence[Recording]]) -> "Figure":
    """A dot per recording: its duration in seconds, in the row of its voice, in the color of its part."""
    rows = list(dict.fromkeys(recording.voice for part in parts.values() for recording in part))
    figure, axes = subplots(7, 0.9 + 0.16 * len(rows))
    for (name, part), color in zip(parts.items(), (SIGNAL, ACCENT, *PALETTE[2:]), strict=False):
        x = [len(recording.samples) / RATE for recording in part]
        y = [rows.index(recording.voice) for recording in part]
        axes.plot(x, y, ".", color=color, label=name, markersize=4 if is_narrow() else 5)
    axes.set(xlabel="seconds", yticks=range(len(rows)), ylim=(len(rows) - 0.3, -0.7), xlim=(0, None))
    axes.set_yticklabels(rows, fontsize=8)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, labelcolor=INK)
    return figure


@two_widths
def progress(
    losses: Sequence[float], error_rates: Mapping[str, Sequence[float]], best: int | None = None
) -> "Figure":
    """The mean losses of epochs 1 … N, and named word error rates after 0 … N epochs (1.0 is 100 %).

    `best` marks the epoch whose weights are kept.
    """
    figure, axes = subplots(8, 4.4, nrows=2, sharex=True)
    epochs = range(len(losses) + 1)
    axes[0].plot(epochs[1:], losses, "o-", color=SIGNAL, markersize=4, linewidth=1.4)
    axes[0].set(ylim=(0, 1.1 * max(losses)))
    axes[0].set_title("training loss", fontsize=10)
    for (name, rates), color in zip(error_rates.items(), (SIGNAL, ACCENT, *PALETTE[2:]), strict=False):
        values = [100 * rate for rate in rates]
        axes[1].plot(epochs, values, "o-", color=color, markersize=4, linewidth=1.4, label=name)
    if best is not None:
        axes[1].axvline(best, color=INK, linewidth=0.8, linestyle=":")
    axes[1].set_title("word error rate (%)", fontsize=10)
    axes[1].set(xlabel="epochs", xticks=epochs[:: max(1, len(epochs) // 10)], ylim=(0, None))
    axes[1].legend(frameon=False, labelcolor=INK, fontsize=9)
    return figure
