"""Batches and their padding, speech in noise, and dropout."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minids.plot import ACCENT, FAINT, INK, SIGNAL, subplots
from minids.plot.recognition import waveform

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = 0.44  # inches


def rectangles(lengths: np.ndarray, groups: Sequence[Sequence[int]]) -> "Figure":
    """Groups of utterances as batches, each as long as its longest utterance; its padding is red."""
    figure, axes = subplots(7, 4.4)
    y, wasted, longest = 0.0, 0, int(max(lengths))
    for group in groups:
        members, longest_in_batch = lengths[list(group)], int(max(lengths[list(group)]))
        rows = y + np.arange(len(group))
        axes.barh(rows, members, height=0.8, color=SIGNAL)
        axes.barh(rows, longest_in_batch - members, left=members, height=0.8, color=ACCENT, alpha=0.75)
        share = f"{1 - members.sum() / (longest_in_batch * len(members)):.0%}"
        axes.text(longest_in_batch + longest / 60, rows.mean(), share, color=ACCENT, fontsize=10, va="center")
        y, wasted = rows[-1] + 2.2, wasted + longest_in_batch * len(members) - int(members.sum())
    total_share = wasted / (wasted + int(lengths.sum()))
    axes.set_title(f"batches: {len(groups)}   padding: {total_share:.0%} of the work", color=INK, fontsize=11)
    axes.set(xlim=(0, 1.08 * longest), ylim=(y - 1, -1), yticks=[], xlabel="frames", ylabel="utterances")
    axes.spines["left"].set_visible(False)
    return figure


def padded(values: np.ndarray, lengths: np.ndarray) -> "Figure":
    """values (T0, B), one per frame and utterance; each utterance is a row, and its padding is red."""
    T0, B = values.shape
    figure, axes = _table(T0 * CELL + 0.9, B * CELL + 0.5)
    for b in range(B):
        _words(axes, 0.4, 0.05 + (b + 0.5) * CELL, f"b = {b}")
        for t in range(T0):
            inside = t < lengths[b]
            _cell(
                axes, 0.8 + t * CELL, 0.05 + b * CELL, SIGNAL if inside else ACCENT, 0.25, f"{values[t, b]:g}"
            )
    for t in range(T0):
        _words(axes, 0.8 + (t + 0.5) * CELL, 0.05 + B * CELL + 0.2, f"t = {t}")
    return figure


def dropped(h: np.ndarray) -> "Figure":
    """h (T, H), the outputs of a layer with dropout; dropped units are empty."""
    T, H = h.shape
    figure, axes = _table(T * CELL + 0.9, H * CELL + 0.5)
    for t, u in np.ndindex(T, H):
        value = h[t, u]
        words, color = (f"{value:.2f}", SIGNAL) if value else ("", FAINT)
        _cell(axes, 0.8 + t * CELL, 0.05 + u * CELL, color, 0.3 if value else 0.06, words)
    for u in range(H):
        _words(axes, 0.4, 0.05 + (u + 0.5) * CELL, f"unit {u}")
    for t in range(T):
        _words(axes, 0.8 + (t + 0.5) * CELL, 0.05 + H * CELL + 0.2, f"t = {t}")
    return figure


def superposition(speech: np.ndarray, chains: Sequence[np.ndarray], mixed: np.ndarray, rate: int) -> "Figure":
    """Speech (N,), sequences of noise (N,) scaled as in the mixture, and the mixture (N,); noise is red."""
    gain = np.std(mixed - speech) / np.std(sum(chains))
    figure, axes = subplots(7, 1.1 * len(chains) + 2.2, nrows=len(chains) + 2, sharex=True, sharey=True)
    waveform(axes[0], speech, rate)
    for i, chain in enumerate(chains):
        waveform(axes[i + 1], gain * chain, rate, color=ACCENT, alpha=0.6)
        axes[i + 1].set_ylabel(f"ξ{'₁₂₃₄₅₆₇₈₉'[i]}", rotation=0, ha="right")
    waveform(axes[-1], mixed, rate, color=ACCENT, alpha=0.6)
    waveform(axes[-1], speech, rate)
    limit = 1.6 * np.abs(speech).max()
    axes[0].set(ylim=(-limit, limit), yticks=[])
    axes[0].set_ylabel("x", rotation=0, ha="right")
    axes[-1].set(ylabel="sum", xlabel="time (s)", xlim=(0, len(speech) / rate))
    return figure


def _table(width: float, height: float) -> "tuple[Figure, Axes]":
    figure, axes = subplots(width, height)
    axes.set_position((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))  # inches
    axes.axis("off")
    return figure, axes


def _cell(axes: "Axes", x: float, y: float, color: str, alpha: float, words: str) -> None:
    from matplotlib.patches import Rectangle

    size = 0.94 * CELL
    axes.add_patch(Rectangle((x, y), size, size, color=color, alpha=alpha, linewidth=0))
    _words(axes, x + size / 2, y + size / 2, words)


def _words(axes: "Axes", x: float, y: float, words: str) -> None:
    axes.text(x, y, words, color=INK, fontsize=9, ha="center", va="center_baseline")
