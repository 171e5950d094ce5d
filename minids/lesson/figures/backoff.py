"""Pictures of a language model: smoothing, backing off, and its weight in the search."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minids.lesson.figures import rectangle
from minids.plot import ACCENT, FAINT, INK, PALETTE, SIGNAL, is_narrow, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WordTuple = tuple[str, ...]


@two_widths
def score_over_alpha(texts: Mapping[str, tuple[float, float]], alphas: tuple[float, float]) -> "Figure":
    """Q = log P(c|x) + α log P_lm(c) of each text over α; texts[c] = (log P(c|x), log P_lm(c)).

    The point where the first two are equal is marked.
    """
    figure, axes = subplots(5.6, 3.8)  # a phone shows it whole
    ends = np.array(alphas)
    margin = 0.01 * np.ptp(ends)
    for row, ((text, (log_p, lm)), color) in enumerate(zip(texts.items(), PALETTE, strict=False)):
        q = log_p + ends * lm
        axes.plot(ends, q, color=color, linewidth=2.2)
        for x, y, side in (ends[0] - margin, q[0], "right"), (ends[1] + margin, q[1], "left"):
            axes.text(x, y, f"{y:.1f}", color=color, fontsize=11, va="center", ha=side)
        corner = {"transform": axes.transAxes, "ha": "right", "va": "top"}
        axes.text(1, 1 - 0.1 * row, text, color=color, fontsize=12, weight="bold", **corner)
    (a, b), (c, d), *_ = texts.values()
    alpha = (c - a) / (b - d)
    axes.plot(alpha, a + alpha * b, "o", color=INK)
    axes.annotate(
        f"equal at α = {alpha:.2f}", (alpha, a + alpha * b), (10, 14), textcoords="offset points", fontsize=11
    )
    axes.set(xlim=ends, yticks=[])
    axes.set_xticks(np.linspace(alphas[0], alphas[1], 5))
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("α: language model weight", fontsize=11)
    axes.set_title("Q = log P(c|x) + α log P_lm(c)", fontsize=12, loc="left")
    return figure


@two_widths
def smoothing(history: WordTuple, rows: Mapping[str, tuple[int, float, float]]) -> "Figure":
    """Counts after a history -> probabilities; rows[word] = (count, discounted share, γ p(w|h'))."""
    narrow = is_narrow()
    figure, axes = subplots(8, (1.1 if narrow else 0.9) + 0.4 * len(rows))
    longest = max(discounted + lower for _, discounted, lower in rows.values())
    words = -(0.9 if narrow else 0.34) * longest  # where the column of words begins
    counts = -(0.08 if narrow else 0.04) * longest  # where the column of counts ends
    for row, (word, (count, discounted, lower)) in enumerate(rows.items()):
        axes.barh(row, discounted, 0.62, color=SIGNAL)
        axes.barh(row, lower, 0.62, discounted, color=ACCENT)
        p = discounted + lower
        number = f"{discounted:.3f} + {lower:.3f} = {p:.3f}" if discounted and not narrow else f"{p:.3f}"
        axes.text(p + 0.01 * longest, row, number, va="center", color=INK, fontsize=11)
        axes.text(words, row, word, va="center", color=INK, fontsize=12)
        axes.text(counts, row, count, va="center", ha="right", color=INK, fontsize=12)
    bold = {"fontsize": 11, "weight": "bold"}
    top = -1.45 if narrow else -0.85
    axes.text(words, top, f"after “{' '.join(history)}”", color=INK, **bold)
    axes.text(counts, -0.85, "count", color=INK, ha="right", **bold)
    axes.text(0, top, "from counts", color=SIGNAL, **bold)
    axes.text(0 if narrow else 0.24 * longest, -0.85, "+ from the shorter history", color=ACCENT, **bold)
    axes.set(ylim=(len(rows) - 0.5, -1.8 if narrow else -1.2))
    axes.set(xlim=(words - 0.01 * longest, 1.4 * longest))
    axes.axis("off")
    return figure


@two_widths
def backoff(
    word: str, history: WordTuple, p: Mapping[WordTuple, float], gamma: Mapping[WordTuple, float], upto: int
) -> "Figure":
    """Backing off to p(word|history), up to step `upto`; all steps have the same size.

    p and gamma are those of an ARPA file: p of the n-grams seen, gamma of the histories.
    """
    pitch = 1.7 if is_narrow() else 1.0  # from row to row; on a phone, the label is below the boxes
    figure, axes = subplots(8, 1.0 + 0.85 * pitch * (len(history) + 1))
    product, factors = 1.0, []
    for step in range(min(upto, len(history)) + 1):
        suffix, row = history[step:], pitch * step
        seen = (*suffix, word) in p
        _boxes(axes, row, len(history), suffix, word)
        factor = p[*suffix, word] if seen else gamma.get(suffix, 1.0)
        label = f"seen: p = {factor:.4f}" if seen else f"never seen: × γ({' '.join(suffix)}) = {factor:.4f}"
        x, y = (0.0, row + 0.65) if is_narrow() else (len(history) + 1.1, row)
        axes.text(x, y, label, va="center", color=SIGNAL if seen else ACCENT, fontsize=12)
        product *= factor
        factors.append(f"{factor:.4f}")
        if seen:
            result = f"p = {' · '.join(factors)} = {product:.5f}"
            axes.text(0, row + pitch - 0.15, result, va="center", color=INK, fontsize=11, weight="bold")
            break
    right = len(history) + (1.3 if is_narrow() else 4.2)
    axes.set(xlim=(-0.05, right), ylim=(pitch * len(history) + pitch + 0.3, -0.6))
    axes.axis("off")
    return figure


def _boxes(axes, row: float, longest: int, history: WordTuple, word: str) -> None:
    """The n-gram as boxes; from row to row equal words are in one column."""
    for i, name in enumerate((*history, word), start=longest - len(history)):
        last = i == longest
        face, edge = (PALETTE[2], INK) if last else (FAINT, FAINT)
        rectangle(axes, (i, row - 0.3), 0.94, 0.6, facecolor=face, alpha=0.35, edgecolor=edge)
        axes.text(i + 0.47, row, name, ha="center", va="center", color=INK, fontsize=12)


@two_widths
def weights(alphas: Sequence[float], betas: Sequence[float], rates: np.ndarray, title: str) -> "Figure":
    """A map of word error rates (alphas, betas) in %, the lowest in bold."""
    figure, axes = subplots(8, 0.9 + 0.5 * len(betas))
    for (i, j), rate in np.ndenumerate(rates):
        corner = (i - 0.5, j - 0.5)
        rectangle(axes, corner, 1, 1, facecolor=ACCENT, alpha=min(0.85 * rate, 0.85))
        weight = "bold" if rate == rates.min() else "normal"
        axes.text(i, j, f"{100 * rate:.0f}", ha="center", va="center", color=INK, fontsize=12, weight=weight)
    axes.set(xlim=(-0.5, len(alphas) - 0.5), ylim=(-0.5, len(betas) - 0.5))
    axes.set_xticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas], fontsize=11)
    axes.set_yticks(range(len(betas)), [f"{beta:g}" for beta in betas], fontsize=11)
    axes.set_xlabel("α: language model weight", fontsize=11)
    axes.set_ylabel("β: word bonus", fontsize=11)
    axes.set_title(f"{title}: word error rate in %", fontsize=12)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    return figure
