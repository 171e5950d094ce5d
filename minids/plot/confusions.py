"""Which characters are taken for which."""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from minids.plot import FAINT, GRAY, INK, SIGNAL, subplots, font_families

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTHING = "∅"


def confusions(counts: Counter[tuple[str, str]], most: int = 32) -> "Figure":
    """How often each character (rows) was heard as each (columns); what is right is gray, ∅ is no character.

    `counts` maps (said, heard) to a number, "" for nothing. Shown are the `most` frequent characters.
    """
    from matplotlib.patches import Rectangle

    often: Counter[str] = Counter()
    for (said, heard), n in counts.items():
        often.update({said: n, heard: n} if said != heard else {said: n})
    shown = sorted([c for c, _ in often.most_common() if c][:most])
    names = [*shown, ""]
    side = max(2.5, 0.24 * len(names) + 0.9)
    figure, axes = subplots(min(8, side), min(8, side))
    errors = [n for (said, heard), n in counts.items() if said != heard]
    worst = max(errors, default=1)
    for i, said in enumerate(names):
        for j, heard in enumerate(names):
            n = counts[said, heard]
            if n:
                shade = 0.35 if said == heard else 0.15 + 0.75 * np.sqrt(n / worst)
                color = GRAY if said == heard else SIGNAL
                axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, color=color, alpha=shade, linewidth=0))
                axes.text(j, i, f"{n}", ha="center", va="center", fontsize=5 if n > 99 else 6.5, color=INK)
    labels = [_label(name) for name in names]
    style = {"fontsize": 9, "family": font_families()}
    axes.set_xticks(range(len(names)), labels, **style)
    axes.set_yticks(range(len(names)), labels, **style)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal")
    axes.set_xlabel("heard")
    axes.set_ylabel("said")
    axes.tick_params(length=0)
    axes.spines[:].set_color(FAINT)
    return figure


def _label(character: str) -> str:
    return {" ": "␣", "": NOTHING}.get(character, character)
