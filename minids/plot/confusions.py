"""The confusion matrix of characters."""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from minids.plot import FAINT, GRAY, INK, SIGNAL, font_families, subplots, visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusions(counts: Counter[tuple[str, str]], max_characters: int = 32) -> "Figure":
    """How often each character of the references (rows) was recognized as each character (columns).

    `counts` maps (reference, recognized) to a number. "", drawn as ∅, is a character that the other text
    lacks. Correct characters are gray. Only the `max_characters` most frequent characters are drawn.
    """
    from matplotlib.patches import Rectangle

    frequency: Counter[str] = Counter()
    for (reference, recognized), n in counts.items():
        for character in {reference, recognized}:
            frequency[character] += n
    drawn = sorted([character for character, _ in frequency.most_common() if character][:max_characters])
    drawn.append("")
    side = min(8, max(2.5, 0.24 * len(drawn) + 0.9))
    figure, axes = subplots(side, side)
    errors = [n for (reference, recognized), n in counts.items() if reference != recognized]
    max_errors = max(errors, default=1)
    for i, reference in enumerate(drawn):
        for j, recognized in enumerate(drawn):
            n = counts[reference, recognized]
            if n:
                correct = reference == recognized
                alpha = 0.35 if correct else 0.15 + 0.75 * np.sqrt(n / max_errors)
                color = GRAY if correct else SIGNAL
                axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, color=color, alpha=alpha, linewidth=0))
                axes.text(j, i, f"{n}", ha="center", va="center", fontsize=5 if n > 99 else 6.5, color=INK)
    labels = [visible(character) or "∅" for character in drawn]
    style = {"fontsize": 9, "family": font_families("".join(labels))}
    axes.set_xticks(range(len(drawn)), labels, **style)
    axes.set_yticks(range(len(drawn)), labels, **style)
    axes.set(xlim=(-0.5, len(drawn) - 0.5), ylim=(len(drawn) - 0.5, -0.5), aspect="equal")
    axes.set(xlabel="recognized", ylabel="reference")
    axes.tick_params(length=0)
    axes.spines[:].set_color(FAINT)
    return figure
