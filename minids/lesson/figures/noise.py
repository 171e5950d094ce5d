"""Speech in noise, and the bands of clips of noise."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minids.plot import ACCENT, INK, SIGNAL, subplots, two_widths
from minids.plot.recognition import waveform

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@two_widths
def superposition(speech: np.ndarray, tracks: Sequence[np.ndarray], mixed: np.ndarray, rate: int) -> "Figure":
    """Speech (N,), tracks of noise (N,) scaled as in the mixture, and the mixture (N,); noise is red."""
    gain = np.std(mixed - speech) / np.std(sum(tracks))
    figure, axes = subplots(7, 1.1 * len(tracks) + 2.2, nrows=len(tracks) + 2, sharex=True, sharey=True)
    waveform(axes[0], speech, rate)
    for i, track in enumerate(tracks):
        waveform(axes[i + 1], gain * track, rate, color=ACCENT, alpha=0.6)
        axes[i + 1].set_ylabel(f"ξ{'₁₂₃₄₅₆₇₈₉'[i]}", rotation=0, ha="right")
    waveform(axes[-1], mixed, rate, color=ACCENT, alpha=0.6)
    waveform(axes[-1], speech, rate)
    limit = 1.6 * np.abs(speech).max()
    axes[0].set(ylim=(-limit, limit), yticks=[])
    axes[0].set_ylabel("x", rotation=0, ha="right")
    axes[-1].set(ylabel="sum", xlabel="time (s)", xlim=(0, len(speech) / rate))
    return figure


@two_widths
def profiles(
    clips: np.ndarray, rejected: np.ndarray, real: np.ndarray, limit: float, max_hz: float
) -> "Figure":
    """Powers in dB of clips (M, bands), those rejected (M,) bool in red, over the range of real noise.

    The range is the mean of `real` (R, bands) plus and minus `limit` standard deviations; bands are equally
    wide, up to `max_hz`.
    """
    figure, axes = subplots(7, 3.4)
    khz = (np.arange(clips.shape[1]) + 0.5) * max_hz / 1000 / clips.shape[1]
    mean, deviation = real.mean(axis=0), limit * real.std(axis=0)
    axes.fill_between(khz, mean - deviation, mean + deviation, color=SIGNAL, alpha=0.2, linewidth=0)
    axes.plot(khz, clips[~rejected].T, color=INK, linewidth=0.8, alpha=0.5)
    axes.plot(khz, clips[rejected].T, color=ACCENT, linewidth=1.4)
    axes.set(xlabel="frequency (kHz)", ylabel="power (dB)", xlim=(0, max_hz / 1000))
    return figure
