"""The capstone: its six milestones, and the reader's network while it learns."""

from typing import TYPE_CHECKING

import numpy as np

from minids.lesson.figures import Point, arrow
from minids.lesson.figures.sound import features_and_probabilities
from minids.plot import ACCENT, FAINT, GRAY, INK, SIGNAL, is_narrow, subplots, two_widths
from minids.text import Alphabet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORWARD = (  # from a sound to a text: what there is, and the milestone that computes the next
    ("samples (N,)", "16.1 features"),
    ("frames (T0, F)", "context, batch"),
    ("x (T, B, D)", "16.2 forward"),
    ("log_probs (T, B, K)", "16.6 beam_search"),
    ("text", ""),
)
BACKWARD = (("dlogits (T, B, K)", "16.3 ctc"), ("gradients", "16.4 backward"), ("new weights", "16.5 train"))


@two_widths
def milestones() -> "Figure":
    """What flows from a sound to a text, and back to the weights."""
    narrow = is_narrow()
    figure, axes = subplots(8, 4.6, narrow_height=5.2)
    axes.set(xlim=(0, 1), ylim=(-4.6, 0.6))
    axes.axis("off")
    left, right, size = (0.25, 0.77, 9) if narrow else (0.27, 0.73, 11)

    def box(x: float, y: float, text: str, color: str) -> None:
        frame = {"boxstyle": "round,pad=0.45", "edgecolor": color, "facecolor": "none"}
        axes.text(x, y, text, ha="center", va="center", color=INK, fontsize=size, bbox=frame)

    def flow(start: Point, end: Point, text: str, color: str, side: str) -> None:
        arrow(axes, start, end, color, shrinkA=2, shrinkB=2)
        x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        offset = 0.02 if side == "left" else -0.02
        weight = "bold" if text[:2] == "16" else "normal"
        axes.text(x + offset, y, text, ha=side, va="center", color=color, fontsize=size - 1, weight=weight)

    for i, (name, step) in enumerate(FORWARD):
        box(left, -i, name, SIGNAL)
        if step:
            flow((left, -i - 0.28), (left, -i - 0.72), step, SIGNAL if step[:2] == "16" else GRAY, "left")
    ys = (-3, -2, -1)
    for (name, step), y in zip(BACKWARD, ys, strict=True):
        box(right, y, name, ACCENT)
        if y == -3:
            width = 0.17 if not narrow else 0.22
            ends = (left + width, y), (right - width + 0.02, y)
            arrow(axes, *ends, ACCENT, shrinkA=2, shrinkB=2)
            style = {"ha": "center", "color": ACCENT, "fontsize": size - 1, "weight": "bold"}
            axes.text((left + right) / 2, y + (0.14 if narrow else 0.2), step, **style)
        else:
            flow((right, y - 0.72), (right, y - 0.28), step, ACCENT, "left")
    axes.text(right, -4, "the text that was said", ha="center", va="center", color=FAINT, fontsize=size)
    flow((right, -3.82), (right, -3.28), "", FAINT, "left")
    return figure


@two_widths
def learning(
    x: np.ndarray, log_probs: np.ndarray, alphabet: Alphabet, frame_seconds: float, rate: int, title: str
) -> "Figure":
    """Features (T0, F) above the probability of each character, log_probs (T, K), with a title."""
    figure = features_and_probabilities(x, log_probs, alphabet, frame_seconds, rate)
    figure.axes[1].set_ylim(0, 1.25)  # room for letters above 1, where the axis ends
    figure.axes[1].spines["left"].set_bounds(0, 1)
    figure.suptitle(title, fontsize=10 if is_narrow() else 12)
    return figure
