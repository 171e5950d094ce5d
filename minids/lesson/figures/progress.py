"""How learning goes on: the loss on what is learned from, the errors on what is not, round by round."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from minids.plot import ACCENT, INK, SIGNAL, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def progress(losses: Sequence[float], errors: Sequence[float]) -> "Figure":
    """The mean losses of rounds 1 … R, and the word error rates after rounds 0 … R (1.0 is 100 %)."""
    figure, axes = subplots(8, 4, nrows=2, sharex=True)
    rounds = range(len(errors))
    for each, values, color, text, title in (
        (axes[0], losses, SIGNAL, "{:.1f}", "loss on the recordings it learns from"),
        (axes[1], errors, ACCENT, "{:.0%}", "word errors on those that it does not learn from"),
    ):
        at = rounds[-len(values) :]
        each.plot(at, values, "o-", color=color, markersize=4, linewidth=1.4)
        for i in (0, -1):
            each.annotate(
                text.format(values[i]),
                (at[i], values[i]),
                (0, 7),
                textcoords="offset points",
                ha="center",
                color=INK,
            )
        each.set(ylim=(0, 1.3 * max(*values, 1e-3)), yticks=[])
        each.set_title(title, fontsize=10)
    axes[1].set(xlabel="round", xticks=rounds[:: max(1, len(rounds) // 10)])
    return figure
