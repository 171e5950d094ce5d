"""One utterance is learned: the loss, the letters that appear, and a walk down a valley."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minids.plot import ACCENT, FAINT, GRAY, INK, PALETTE, PAPER, SIGNAL, subplots
from minids.text import BLANK, Alphabet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VISIBLE = 0.2  # a letter whose probability never reaches this has no name
LEAST = 1e-4  # nats
RIGHT: dict[str, Any] = {"ha": "right", "va": "top", "color": INK}


def letters(log_probs: np.ndarray, alphabet: Alphabet, text: str, title: str) -> "Figure":
    """The probability of every character over the frames; the blank is gray, those of `text` have colors.

    log_probs (T, K). A letter stands at its peaks, bold where nothing is more probable.
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
    """The loss after each step, logarithmic, a line for each way to step; the dotted line is pure chance.

    What is below LEAST is drawn there: float32 cannot tell it from 0.
    """
    figure, axes = subplots(8, 4)
    for (name, curve), color in zip(curves.items(), (SIGNAL, ACCENT, *PALETTE[2:]), strict=False):
        drawn = np.maximum(curve, LEAST)
        axes.semilogy(drawn, color=color)
        words = f"{name}: {max(0, curve[-1]):.0f}"
        at = len(drawn) - 1, drawn[-1]
        axes.annotate(words, at, (5, 0), textcoords="offset points", va="center", color=color)
    axes.axhline(chance, color=INK, linestyle=":", linewidth=1)
    axes.text(0.99, chance * 0.85, f"chance: {chance:.0f}", transform=axes.get_yaxis_transform(), **RIGHT)
    axes.set(xlabel="step", ylabel="loss (nats)")
    return figure


def valley(curvature: np.ndarray, paths: Mapping[str, np.ndarray]) -> "Figure":
    """Walks down L = ½ Σ λ_i θ_i², each seen from above in a picture of its own: (steps, 2), λ (2,)."""
    wide, high = (1.1 * max(abs(path[:, i]).max() for path in paths.values()) for i in (0, 1))
    x, y = np.meshgrid(np.linspace(-wide, wide, 101), np.linspace(-high, high, 101))
    height = (curvature[0] * x**2 + curvature[1] * y**2) / 2
    figure, axes = subplots(8, 1.7 * len(paths) + 0.4, nrows=len(paths), sharex=True, sharey=True)
    for each, (name, path) in zip(axes, paths.items(), strict=True):
        each.contour(
            x, y, height, levels=height.max() * np.linspace(0.01, 1, 8) ** 2, colors=FAINT, linewidths=0.6
        )
        each.plot(*path.T, color=ACCENT, marker="o", markersize=3, linewidth=1)
        each.plot(0, 0, "+", color=INK, markersize=10)
        left = float(curvature @ path[-1] ** 2 / 2)
        words = f"{name}: after {len(path) - 1} steps L = {left:.2g}"
        box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}
        each.text(0.99, 0.93, words, transform=each.transAxes, bbox=box, **RIGHT)
        each.set_ylabel("θ₂")
    axes[-1].set_xlabel("θ₁")
    return figure


def _peaks(curve: np.ndarray) -> np.ndarray:
    """Where a curve is higher than just before, not lower than just after, and to be seen: (T,) bool."""
    before, after = np.append(0, curve[:-1]), np.append(curve[1:], 0)
    return (curve > before) & (curve >= after) & (curve > VISIBLE)
