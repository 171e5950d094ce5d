"""What a language model knows: counts made probabilities, the way down the orders, its say in the search."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minids.plot import ACCENT, FAINT, INK, PALETTE, SIGNAL, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Words = tuple[str, ...]


def weighing(texts: Mapping[str, tuple[float, float]], alphas: tuple[float, float]) -> "Figure":
    """Q = log P(c|x) + α log P_lm(c) of each text over α; texts[c] = (log P(c|x), log P_lm(c)).

    The point where the first two are equal is marked.
    """
    figure, axes = subplots(5.6, 3.8)  # a phone shows it whole
    ends = np.array(alphas)
    margin = 0.01 * np.ptp(ends)
    lines = list(texts.values())
    for row, ((text, (sound, lm)), color) in enumerate(zip(texts.items(), PALETTE, strict=False)):
        q = sound + ends * lm
        axes.plot(ends, q, color=color, linewidth=2.2)
        for x, y, side in (ends[0] - margin, q[0], "right"), (ends[1] + margin, q[1], "left"):
            axes.text(x, y, f"{y:.1f}", color=color, fontsize=11, va="center", ha=side)
        place = {"transform": axes.transAxes, "ha": "right", "va": "top"}
        axes.text(1, 1 - 0.1 * row, text, color=color, fontsize=12, weight="bold", **place)
    (a, b), (c, d) = lines[:2]
    alpha = (c - a) / (b - d)
    axes.plot(alpha, a + alpha * b, "o", color=INK)
    axes.annotate(
        f"equal at α = {alpha:.2f}", (alpha, a + alpha * b), (10, 14), textcoords="offset points", fontsize=11
    )
    axes.set(xlim=ends, yticks=[])
    axes.set_xticks(np.linspace(alphas[0], alphas[1], 5))
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("α: how much the language model weighs", fontsize=11)
    axes.set_title("Q = log P(c|x) + α log P_lm(c)", fontsize=12, loc="left")
    return figure


def smoothing(history: Words, rows: Mapping[str, tuple[int, float, float]]) -> "Figure":
    """Counts after a history -> probabilities; rows[word] = (count, its own share, what γ p(w|h') adds)."""
    figure, axes = subplots(8, 0.9 + 0.4 * len(rows))
    most = max(own + lent for _, own, lent in rows.values())
    for row, (word, (count, own, lent)) in enumerate(rows.items()):
        axes.barh(row, own, 0.62, color=SIGNAL)
        axes.barh(row, lent, 0.62, own, color=ACCENT)
        number = f"{own:.3f} + {lent:.3f} = {own + lent:.3f}" if own else f"{lent:.3f}"
        axes.text(own + lent + 0.01 * most, row, number, va="center", color=INK, fontsize=11)
        axes.text(-0.34 * most, row, word, va="center", color=INK, fontsize=12)
        axes.text(-0.04 * most, row, count, va="center", ha="right", color=INK, fontsize=12)
    for x, side, head in (-0.34, "left", f"after “{' '.join(history)}”"), (-0.04, "right", "count"):
        axes.text(x * most, -0.85, head, color=INK, fontsize=11, weight="bold", ha=side)
    axes.text(0, -0.85, "its own", color=SIGNAL, fontsize=11, weight="bold")
    axes.text(
        0.17 * most, -0.85, "+ what the shorter history lends", color=ACCENT, fontsize=11, weight="bold"
    )
    axes.set(ylim=(len(rows) - 0.5, -1.2), xlim=(-0.35 * most, 1.4 * most))
    axes.axis("off")
    return figure


def backoff(
    word: str, history: Words, p: Mapping[Words, float], gamma: Mapping[Words, float], upto: int
) -> "Figure":
    """The search for p(word|history) down the orders, as far as step `upto`; all steps are of one size.

    p and gamma as an ARPA file has them: p of the n-grams that were seen, gamma of the histories.
    """
    figure, axes = subplots(8, 1.0 + 0.85 * (len(history) + 1))
    product, factors = 1.0, []
    for step in range(len(history) + 1):
        known = history[step:]
        seen = (*known, word) in p
        if step > upto:
            break
        _boxes(axes, step, len(history), known, word)
        factor = p[*known, word] if seen else gamma.get(known, 1.0)
        says = f"seen: p = {factor:.4f}" if seen else f"never seen: × γ({' '.join(known)}) = {factor:.4f}"
        axes.text(len(history) + 1.1, step, says, va="center", color=SIGNAL if seen else ACCENT, fontsize=12)
        product *= factor
        factors.append(f"{factor:.4f}")
        if seen:
            result = f"p = {' · '.join(factors)} = {product:.5f}"
            axes.text(0, step + 0.85, result, va="center", color=INK, fontsize=13, weight="bold")
            break
    axes.set(xlim=(-0.05, len(history) + 4.2), ylim=(len(history) + 1.3, -0.6))
    axes.axis("off")
    return figure


def _boxes(axes, row: float, longest: int, history: Words, word: str) -> None:
    """The n-gram as boxes, its words one below the other from row to row."""
    from matplotlib.patches import Rectangle

    for i, each in enumerate((*history, word), start=longest - len(history)):
        last = i == longest
        face, edge = (PALETTE[2], INK) if last else (FAINT, FAINT)
        axes.add_patch(Rectangle((i, row - 0.3), 0.94, 0.6, facecolor=face, alpha=0.35, edgecolor=edge))
        axes.text(i + 0.47, row, each, ha="center", va="center", color=INK, fontsize=12)


def weights(alphas: Sequence[float], betas: Sequence[float], rates: np.ndarray, title: str) -> "Figure":
    """Word error rates (alphas, betas) as a map with its numbers in %, the lowest bold."""
    from matplotlib.patches import Rectangle

    figure, axes = subplots(8, 0.9 + 0.5 * len(betas))
    for (i, j), rate in np.ndenumerate(rates):
        corner = (i - 0.5, j - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=ACCENT, alpha=min(0.85 * rate, 0.85), linewidth=0))
        weight = "bold" if rate == rates.min() else "normal"
        axes.text(i, j, f"{100 * rate:.0f}", ha="center", va="center", color=INK, fontsize=12, weight=weight)
    axes.set(xlim=(-0.5, len(alphas) - 0.5), ylim=(-0.5, len(betas) - 0.5))
    axes.set_xticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas], fontsize=11)
    axes.set_yticks(range(len(betas)), [f"{beta:g}" for beta in betas], fontsize=11)
    axes.set_xlabel("α: how much the language model weighs", fontsize=11)
    axes.set_ylabel("β: what a word is worth", fontsize=11)
    axes.set_title(f"{title}: word error rate in %", fontsize=12)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    return figure
