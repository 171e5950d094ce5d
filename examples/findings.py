"""A figure of the paper's findings: error rates with their intervals, and error rates against noise."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from minids.plot import ACCENT, GRAY, INK, SIGNAL, subplots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOISY = re.compile(r"tested in: (.*), (-?[\d.]+) dB")


def plot_findings(rows: Sequence[Mapping]) -> "Figure":
    """Rows {"subject", "setting", "wer", "interval", "change_interval"}, in % and points -> Figure.

    On the left: the word error rate of each setting with its interval, colored where it differs significantly
    from the first of its subject. On the right: the error rates of the subjects "tested in: NOISE, SNR dB"
    against the SNR.
    """
    noisy = [row for row in rows if NOISY.fullmatch(row["subject"])]
    others = [row for row in rows if row not in noisy]
    height = max(4.0, 0.27 * (len(others) + len({row["subject"] for row in others})) + 0.8)
    figure, (left, right) = subplots(12 if noisy else 8, height, ncols=2, width_ratios=[1.6, 1])
    figure.patch.set(facecolor="white", alpha=1)
    _rates(left, others)
    if noisy:
        _against_snr(right, noisy)
    else:
        right.set_axis_off()
    return figure


def _rates(axes: "Axes", rows: Sequence[Mapping]) -> None:
    y, ticks, names, subject = 0.0, [], [], None
    title_style = {"transform": axes.get_yaxis_transform(), "weight": "bold", "va": "center", "color": INK}
    for row in rows:
        if row["subject"] != subject:
            subject = row["subject"]
            axes.text(0.005, y, subject, **title_style)
            y += 1
        low, high = row["interval"]
        change = row["change_interval"]
        significant = change is not None and (change[0] > 0 or change[1] < 0)
        color = GRAY if not significant else SIGNAL if change[1] < 0 else ACCENT
        axes.plot([low, high], [y, y], color=color, linewidth=2, alpha=0.6)
        axes.plot(row["wer"], y, "o", color=color)
        axes.text(high + 0.3, y, f"{row['wer']:.1f}", va="center", fontsize=9, color=INK)
        ticks.append(y)
        names.append(row["setting"])
        y += 1
    axes.set_yticks(ticks, names)
    axes.set(ylim=(y - 0.3, -0.7), xlabel="word error rate (%), 95 % interval")
    axes.set_xlim(left=0)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _against_snr(axes: "Axes", rows: Sequence[Mapping]) -> None:
    """A line for each noise and training, dashed for training without noise."""
    noises = sorted({NOISY.fullmatch(row["subject"])[1] for row in rows})  # type: ignore[index]
    for noise, color in zip(noises, (SIGNAL, ACCENT, GRAY) * len(noises), strict=False):
        for setting in dict.fromkeys(row["setting"] for row in rows):
            points = []
            for row in rows:
                name, snr = NOISY.fullmatch(row["subject"]).groups()  # type: ignore[union-attr]
                if (name, row["setting"]) == (noise, setting):
                    points.append((float(snr), row["wer"], *row["interval"]))
            snrs, rates, lows, highs = zip(*sorted(points), strict=True)
            style = "--" if "clean" in setting else "-"
            axes.plot(snrs, rates, style, marker="o", color=color, label=f"{noise}, {setting}")
            axes.fill_between(snrs, lows, highs, color=color, alpha=0.12, linewidth=0)
    axes.set(xlabel="SNR of the test recordings (dB)", ylabel="word error rate (%)")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=9)
