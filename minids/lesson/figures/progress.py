"""The training loss and the word error rate on other recordings, per epoch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from minids.plot import ACCENT, INK, SIGNAL, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def progress(losses: Sequence[float], error_rates: Sequence[float]) -> "Figure":
    """The mean losses of epochs 1 … N, and the word error rates after 0 … N epochs (1.0 is 100 %)."""
    figure, axes = subplots(8, 4, nrows=2, sharex=True)
    epochs = range(len(error_rates))
    for panel, values, color, text, title in (
        (axes[0], losses, SIGNAL, "{:.1f}", "training loss"),
        (axes[1], error_rates, ACCENT, "{:.0%}", "word error rate on recordings not trained on"),
    ):
        x = epochs[-len(values) :]
        panel.plot(x, values, "o-", color=color, markersize=4, linewidth=1.4)
        for i in (0, -1):
            panel.annotate(
                text.format(values[i]),
                (x[i], values[i]),
                (0, 7),
                textcoords="offset points",
                ha="center",
                color=INK,
            )
        panel.set(ylim=(0, 1.3 * max(*values, 1e-3)), yticks=[])
        panel.set_title(title, fontsize=10)
    axes[1].set(xlabel="epochs", xticks=epochs[:: max(1, len(epochs) // 10)])
    return figure
