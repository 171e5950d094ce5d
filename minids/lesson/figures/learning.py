"""Training on one utterance: the output, the loss, and paths of gradient descent in a valley."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minids.plot import ACCENT, FAINT, GRAY, INK, PALETTE, PAPER, SIGNAL, subplots
from minids.text import BLANK, Alphabet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_LABELED_PROB = 0.2  # peaks below this probability have no label
MIN_LOSS = 1e-4  # nats; in float32 smaller losses are 0
TOP_RIGHT: dict[str, Any] = {"ha": "right", "va": "top", "color": INK}


def letters(log_probs: np.ndarray, alphabet: Alphabet, text: str, title: str) -> "Figure":
    """The probabilities of all characters, log_probs (T, K): gray for the blank, colors for those of `text`.

    Peaks are labeled with their character, bold if it is the most probable one.
    """
    probs = np.exp(log_probs)  # (T, K)
    best = probs.argmax(axis=1)  # (T,)
    colors = dict(zip(dict.fromkeys(alphabet.encode(text).tolist()), PALETTE, strict=False))
    figure, axes = subplots(8, 3.4)
    for k, curve in enumerate(probs.T):
        color = GRAY if k == BLANK else colors.get(k, FAINT)
        axes.plot(curve, color=color, linewidth=1.8 if k in colors else 0.8)
        for t in np.flatnonzero(_peaks(curve)) if k != BLANK else ():
            letter = alphabet.decode([k]).replace(" ", "␣")
            weight = "bold" if best[t] == k else "normal"
            axes.text(t, curve[t] + 0.03, letter, ha="center", color=color, weight=weight, fontsize=12)
    axes.set(xlim=(-1, len(probs)), ylim=(0, 1.15), xlabel="frame", ylabel="probability", title=title)
    return figure


def losses(curves: Mapping[str, Sequence[float]], chance: float) -> "Figure":
    """The loss after each step on a logarithmic axis, a curve per method; the dotted line is chance.

    Losses below MIN_LOSS are drawn there.
    """
    figure, axes = subplots(8, 4)
    for (name, curve), color in zip(curves.items(), (SIGNAL, ACCENT, *PALETTE[2:]), strict=False):
        drawn = np.maximum(curve, MIN_LOSS)
        axes.semilogy(drawn, color=color)
        words = f"{name}: {max(0, curve[-1]):.0f}"
        at = len(drawn) - 1, drawn[-1]
        axes.annotate(words, at, (5, 0), textcoords="offset points", va="center", color=color)
    axes.axhline(chance, color=INK, linestyle=":", linewidth=1)
    axes.text(0.99, chance * 0.85, f"chance: {chance:.0f}", transform=axes.get_yaxis_transform(), **TOP_RIGHT)
    axes.set(xlabel="step", ylabel="loss (nats)")
    return figure


def valley(curvature: np.ndarray, paths: Mapping[str, np.ndarray]) -> "Figure":
    """Paths (steps, 2) of several methods over the contours of L = ½ Σ λ_i θ_i², curvature λ (2,)."""
    wide, high = (1.1 * max(abs(path[:, i]).max() for path in paths.values()) for i in (0, 1))
    x, y = np.meshgrid(np.linspace(-wide, wide, 101), np.linspace(-high, high, 101))
    height = (curvature[0] * x**2 + curvature[1] * y**2) / 2
    figure, axes = subplots(8, 1.7 * len(paths) + 0.4, nrows=len(paths), sharex=True, sharey=True)
    for panel, (name, path) in zip(axes, paths.items(), strict=True):
        panel.contour(
            x, y, height, levels=height.max() * np.linspace(0.01, 1, 8) ** 2, colors=FAINT, linewidths=0.6
        )
        panel.plot(*path.T, color=ACCENT, marker="o", markersize=3, linewidth=1)
        panel.plot(0, 0, "+", color=INK, markersize=10)
        left = float(curvature @ path[-1] ** 2 / 2)
        words = f"{name}: after {len(path) - 1} steps L = {left:.2g}"
        box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}
        panel.text(0.99, 0.93, words, transform=panel.transAxes, bbox=box, **TOP_RIGHT)
        panel.set_ylabel("θ₂")
    axes[-1].set_xlabel("θ₁")
    return figure


def _peaks(curve: np.ndarray) -> np.ndarray:
    """The local maxima of a curve that deserve a label: (T,) bool."""
    before, after = np.append(0, curve[:-1]), np.append(curve[1:], 0)
    return (curve > before) & (curve >= after) & (curve > MIN_LABELED_PROB)
