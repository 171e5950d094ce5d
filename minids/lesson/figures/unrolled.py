"""The recurrence unrolled over time, forward and backward, and the norm of its gradient over distance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minids.lesson.figures import arrow, rectangle
from minids.lesson.figures.layer import short
from minids.ops.common import CLIP
from minids.ops.reference.birnn import birnn_backward, birnn_forward, rnn_backward
from minids.plot import ACCENT, FAINT, INK, PALETTE, PAPER, SIGNAL, is_narrow, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = {"h": (0, 3), "hb": (0.2, 2), "hf": (-0.2, 1), "z": (0, 0)}  # offsets of the boxes from (t, 0)
HALF_HEIGHT = 0.28  # of a box


@two_widths
def unrolled(z: np.ndarray, w_f: float, w_b: float, upto: int, dh: np.ndarray | None = None) -> "Figure":
    """One unit, h_t = hf_t + hb_t, over T frames, after `upto` of 2T + 1 steps.

    z (T,). Without dh the steps are those of the forward pass: hf_1 … hf_T, hb_T … hb_1, all h. With dh (T,),
    the gradient of L to h, those of the backward pass: δf_T … δf_1, δb_1 … δb_T, all dz.
    """
    T = len(z)
    values, gradients = _numbers(z, w_f, w_b, np.zeros(T) if dh is None else dh)
    right, left = range(T), range(T - 1, -1, -1)
    forward = [{("hf", t)} for t in right] + [{("hb", t)} for t in left] + [{("h", t) for t in right}]
    backward = [{("hf", t)} for t in left] + [{("hb", t)} for t in right] + [{("z", t) for t in right}]
    steps = forward if dh is None else backward
    done = set().union(*steps[:upto])
    newest = steps[upto - 1] if upto else set()
    known = {("z", t) for t in right} | (done if dh is None else set().union(*forward))
    with_gradient = set() if dh is None else {("h", t) for t in right} | done

    figure, axes = subplots(9, 5)
    axes.set(xlim=(-0.85, T - 0.5), ylim=(-0.5, 3.35))
    axes.set_axis_off()
    for t in right:
        for start, end in ("z", "hf"), ("z", "hb"), ("hf", "h"), ("hb", "h"):
            _arrow(axes, (start, t), (end, t), done, dh is not None)
        if t + 1 < T:
            _arrow(axes, ("hf", t), ("hf", t + 1), done, dh is not None, f"× {w_f:g}")
            _arrow(axes, ("hb", t + 1), ("hb", t), done, dh is not None, f"× {w_b:g}")
    for t in right:
        axes.text(t, -0.42, f"t = {t + 1}", color=INK, ha="center", va="center", fontsize=9)
    for name, (_, y) in ROWS.items():
        axes.text(-0.82, y, name, color=INK, va="center", weight="bold")
        for t in right:
            box = name, t
            value = values[name][t] if box in known else None
            gradient = gradients[name][t] if box in with_gradient else None
            _node(axes, box, value, gradient, box in newest)
    return figure


@two_widths
def gradient_norms(norms: Mapping[str, np.ndarray]) -> "Figure":
    """The norm of the gradient against the distance in frames: a line per name, on a logarithmic axis.

    norms {name: (distances,)}.
    """
    figure, axes = subplots(9, 4.5)
    for (name, norm), color in zip(norms.items(), PALETTE, strict=False):
        axes.semilogy(norm, color=color)
        end = (len(norm) - 1, norm[-1])
        axes.annotate(name, end, (6, 0), textcoords="offset points", va="center", color=color)
    axes.set(xlabel="distance in frames", ylabel="relative norm of the gradient")
    return figure


def _numbers(z, w_f: float, w_b: float, dh):
    """The values and the gradients of the figure, {row: (T,)} each."""
    T = len(z)
    z, dh, lengths = z.reshape(T, 1, 1), dh.reshape(T, 1, 1), np.array([T])
    W = np.full((1, 1), w_f), np.full((1, 1), w_b)
    h, hf, hb = birnn_forward(z, *W, lengths)
    zero = np.zeros((1, 1))
    delta_f, delta_b = rnn_backward(dh, hf, W[0], zero, reverse=True), rnn_backward(dh, hb, W[1], zero)
    dz, *_ = birnn_backward(dh, hf, hb, *W, lengths)
    values = {"z": z, "hf": hf, "hb": hb, "h": h}
    gradients = {"z": dz, "hf": delta_f, "hb": delta_b, "h": dh}
    return tuple({name: a.ravel() for name, a in row.items()} for row in (values, gradients))


def _half_width() -> float:
    return 0.25 if is_narrow() else 0.2


def _center(box: tuple[str, int]) -> np.ndarray:
    name, t = box
    return np.array([t, 0]) + ROWS[name]


def _arrow(axes: "Axes", start, end, done, back: bool, weight: str = "") -> None:
    """From box to box, or back for gradients; colored if the box at its end has its number."""
    if back:
        start, end = end, start
    color = (ACCENT if back else SIGNAL) if end in done else FAINT
    tail, head = _center(start), _center(end)
    across, up = np.sign(head - tail)
    edge = np.array(
        [0 if up else _half_width() * across, HALF_HEIGHT * up]
    )  # from the middle of a box to its edge
    arrow(axes, tail + edge, head - edge, color, 1.5)
    if weight:
        x, y = (tail + head) / 2
        right, size = (0, 8) if is_narrow() else (0.05, 9)
        axes.text(x + right, y + 0.1, weight, ha="center", color=color, fontsize=size)


def _node(axes: "Axes", box, value: float | None, gradient: float | None, new: bool) -> None:
    """A number and, below it, its gradient; faint without a number, a thick edge if it is `new`."""
    x, y = _center(box)
    edge = FAINT if value is None else ACCENT if gradient is not None else SIGNAL
    corner, width = (x - _half_width(), y - HALF_HEIGHT), 3 if new else 1.2
    size = 2 * _half_width(), 2 * HALF_HEIGHT
    rectangle(axes, corner, *size, 0.06, facecolor=PAPER, edgecolor=edge, linewidth=width)
    font: Any = {"ha": "center", "va": "center", "fontsize": 8 if is_narrow() else 10}
    if value is not None:
        flat = box[0] in ("hf", "hb") and not 0 < value < CLIP
        words = short(value) + ("  flat" if flat else "")
        axes.text(x, y + 0.12, words, color=INK, **font)
    if gradient is not None:
        axes.text(x, y - 0.13, short(gradient), color=ACCENT, **font)
