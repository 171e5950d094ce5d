"""The curves of a training run over its epochs, and of the search for its learning rate."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minids.plot import ACCENT, GRAY, SIGNAL, despine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def training(rows: Sequence[Mapping], best_epoch: int = 0) -> "Figure":
    """Metrics, one row per epoch, with "epoch", "loss", "dev_loss", "wer", "cer", "learning_rate",
    "gradient_norm" and "frames_per_second".

    Error rates are fractions (0.2 is 20 %). Fields that a row lacks are not drawn. `best_epoch`, or else the
    epoch with the lowest WER, is marked.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 9), layout="constrained")
    loss, errors, rate, gradient, speed = figure.subplots(5, sharex=True, height_ratios=[2, 2, 0.8, 0.8, 0.8])
    _curve(loss, rows, "dev_loss", "dev {:.3g}", ACCENT, "bottom")
    _curve(loss, rows, "loss", "training {:.3g}", SIGNAL, "top")
    _curve(errors, rows, "wer", "WER {:.3g} %", ACCENT, "bottom", scale=100)
    _curve(errors, rows, "cer", "CER {:.3g} %", SIGNAL, "top", scale=100)
    _curve(rate, rows, "learning_rate", "{:.2g}", GRAY, "center")
    _curve(gradient, rows, "gradient_norm", "{:.2g}", GRAY, "center")
    _curve(speed, rows, "frames_per_second", "{:.3g} k", GRAY, "center", scale=1e-3)
    _best(errors, rows, best_epoch)
    loss.set_ylabel("CTC loss\n(nats per utterance)")
    errors.set_ylabel("errors, dev set (%)")
    rate.set_ylabel("learning\nrate")
    gradient.set_ylabel("gradient\nnorm")
    speed.set(ylabel="1000\nframes/s", xlabel="epoch")
    speed.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in figure.axes:
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=GRAY, alpha=0.25, linewidth=0.8)
        axes.set_axisbelow(True)
        despine(axes)
    figure.suptitle(f"Training, {len(rows)} epoch{'s' * (len(rows) != 1)}", x=0.01, ha="left", fontsize=13)
    figure.align_ylabels()
    return figure


def rate_search(
    rates: Sequence[float], losses: Sequence[float], size: int, momentum: float, title: str
) -> "Figure":
    """The loss of each step over its rate, and the median of the last `size` steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    medians = [np.median(losses[max(0, n - size) : n]) for n in range(1, len(losses) + 1)]
    axes.semilogx(rates, losses, ".", color=GRAY)
    axes.semilogx(rates, medians, color=SIGNAL)
    axes.set(xlabel=f"learning rate, with momentum {momentum:g}", ylabel="CTC loss (nats per frame)")
    axes.set(ylim=(0, 2 * max(medians[:size])), title=title)
    despine(axes)
    return figure


def _curve(
    axes: "Axes", rows: Sequence[Mapping], field: str, label: str, color: str, side: str, scale: float = 1
) -> None:
    """A line labeled with its name and last value at its end. `side` keeps the labels of two lines apart."""
    points = [(row["epoch"], scale * row[field]) for row in rows if row.get(field) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), color=color, linewidth=1.6, marker="o", markersize=2.5)
        last = points[-1]
        text = axes.annotate(
            label.format(last[1]), last, (7, 0), textcoords="offset points", va=side, color=color, fontsize=9
        )
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0})  # hides the axis behind it


def _best(axes: "Axes", rows: Sequence[Mapping], best_epoch: int) -> None:
    scored = [row for row in rows if row.get("wer") is not None]
    if not scored:
        return
    best = min(scored, key=lambda row: (row["epoch"] != best_epoch, row["wer"], row.get("cer") or 0))
    label = f"best: {100 * best['wer']:.3g} % in epoch {best['epoch']}"
    late = best["epoch"] > (scored[0]["epoch"] + scored[-1]["epoch"]) / 2  # the label goes to the wider side
    axes.axvline(best["epoch"], color=GRAY, linewidth=0.8, linestyle=":")
    axes.annotate(
        label,
        (best["epoch"], 1),
        (0, 2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if late else "left",
        va="bottom",
        color="dimgray",
        fontsize=9,
    )
