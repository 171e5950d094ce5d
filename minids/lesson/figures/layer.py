"""One layer, its numbers and their gradients, and the accuracy of numerical gradients."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minids.lesson.figures import rectangle
from minids.ops.common import CLIP
from minids.plot import ACCENT, FAINT, INK, PAPER, SIGNAL, is_narrow, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEPS = ("x", "z", "h", "L", "dh", "dz", "dW", "dx")  # the order in which the numbers appear
X_ROW, Z_ROW, H_ROW, L_ROW = 5.5, 3.3, 2.0, 0.5  # y of each row
HALF = 0.33  # half the height of a box


@two_widths
def layer(x: np.ndarray, W: np.ndarray, b: np.ndarray, target: np.ndarray, upto: str = "dx") -> "Figure":
    """h = g(W x + b), L = ½ Σ (h - target)², from top to bottom, with the gradient below each number.

    x (D,), W (H, D), b and target (H,). Numbers up to the step `upto`, one of STEPS, are shown.
    """
    shown = STEPS[: STEPS.index(upto) + 1]
    z = W @ x + b  # (H,)
    h = np.clip(z, 0, CLIP)
    dh = h - target
    dz = np.where((z > 0) & (z < CLIP), dh, 0)
    dx, dW = dz @ W, np.outer(dz, x)

    figure, axes = subplots(9, 6)
    axes.set(xlim=(0, 8), ylim=(0, 6))
    axes.set_axis_off()
    x_columns = 8 * (np.arange(len(x)) + 0.5) / len(x)
    z_columns = 8 * (np.arange(len(z)) + 0.5) / len(z)

    def known(number: Any, step: str) -> Any:
        return number if step in shown else None

    for i, right in enumerate(z_columns):
        for j, left in enumerate(x_columns):
            start, end = np.array([left, X_ROW - HALF]), np.array([right, Z_ROW + HALF])
            _edge(axes, start, end)
            at = start + 0.32 * (end - start)  # before the edges cross
            _number(axes, at, W[i, j], known(dW[i, j], "dW"))
        _edge(axes, (right, Z_ROW - HALF), (right, H_ROW + HALF))
        _edge(axes, (right, H_ROW - HALF), (4, L_ROW + HALF))
        flat = "z" in shown and not 0 < z[i] < CLIP
        label = "g is flat here" if flat else "g"
        color = ACCENT if flat else INK
        axes.text(right + 0.1, (Z_ROW + H_ROW) / 2, label, color=color, va="center", fontsize=_font_size())
        _number(axes, (right + 1.35, Z_ROW), b[i], known(dz[i], "dW"), f"b{i + 1} = ")
        words = f"target: {target[i]:g}"
        axes.text(right + 0.75, H_ROW, words, color=INK, va="center", fontsize=_font_size())
        _node(axes, (right, Z_ROW), f"z{i + 1}", known(z[i], "z"), known(dz[i], "dz"))
        _node(axes, (right, H_ROW), f"h{i + 1}", known(h[i], "h"), known(dh[i], "dh"))
    for j, left in enumerate(x_columns):
        _node(axes, (left, X_ROW), f"x{j + 1}", x[j], known(dx[j], "dx"))
    _node(axes, (4, L_ROW), "L", known(dh @ dh / 2, "L"), known(1, "dh"))
    axes.text(0.05, L_ROW, "above: the number\n", color=INK, va="center", fontsize=_font_size())
    axes.text(0.05, L_ROW, "\nbelow: its gradient", color=ACCENT, va="center", fontsize=_font_size())
    return figure


@two_widths
def step_sizes(sizes: np.ndarray, errors: Mapping[str, np.ndarray]) -> "Figure":
    """The error of numerical gradients against the step h, on logarithmic axes.

    sizes (n,), errors {method: (n,)}, relative. The minimum of each method is marked.
    """
    figure, axes = subplots(9, 4.5)
    for n, ((name, error), color) in enumerate(zip(errors.items(), (ACCENT, SIGNAL), strict=True)):
        best = int(error.argmin())
        axes.loglog(sizes, error, color=color, marker="o", markersize=3)
        axes.loglog(sizes[best], error[best], color=color, marker="o", markersize=9)
        words = f"{name}: {error[best]:.0e} at h = {sizes[best]:.0e}"
        axes.text(0.5, 0.97 - 0.08 * n, words, transform=axes.transAxes, ha="center", va="top", color=color)
    lowest = min(error.min() for error in errors.values())
    highest = 1e5 if is_narrow() else 1e3
    axes.set(xlabel="step h", ylabel="relative error of the gradient", ylim=(lowest / 10, highest))
    y = 0.82 if is_narrow() else 0.97
    axes.text(0.02, y, "← rounding error: 1 / h", transform=axes.transAxes, va="top", color=INK)
    axes.text(0.98, y, "curvature →", transform=axes.transAxes, va="top", ha="right", color=INK)
    return figure


@two_widths
def kinks(h: float) -> "Figure":
    """g(z) = min{max{0, z}, 20} near its two kinks; below, its slope and central differences with step `h`.

    Within `h` of a kink the differences are wrong by up to a half.
    """
    figure, axes = subplots(9, 4.5, nrows=2, ncols=2, sharex="col", sharey="row")
    for (upper, lower), kink in zip(axes.T, (0, CLIP), strict=True):
        z = kink + np.linspace(-4, 4, 801)
        slope = (np.clip(z + h, 0, CLIP) - np.clip(z - h, 0, CLIP)) / (2 * h)
        upper.plot(z, np.clip(z, 0, CLIP), color=SIGNAL)
        upper.text(kink, 10, f"kink at {kink:g}", ha="center", va="center", color=INK)
        lower.plot(z, (z > 0) & (z < CLIP), color=SIGNAL)
        lower.plot(z, slope, color=ACCENT)
        lower.axvspan(kink - h, kink + h, color=ACCENT, alpha=0.15, linewidth=0)
        lower.text(kink, 1.2, f"wrong within {h:g}", ha="center", va="center", color=ACCENT, fontsize=10)
        lower.set(xlabel="z", ylim=(-0.15, 1.4))
    axes[0, 0].set_ylabel("g(z)")
    axes[1, 0].set_ylabel("slope")
    return figure


@two_widths
def predictions(target: np.ndarray, prediction: np.ndarray, loss: float) -> "Figure":
    """A prediction and its target, (T, F) each, one above the other in the same colors."""
    figure, axes = subplots(9, 4.2, nrows=2, sharex=True)
    for panel, frames, name in zip(axes, (prediction, target), ("prediction", "target"), strict=True):
        style = {
            "vmin": 0,
            "vmax": target.max(),
            "cmap": "magma",
            "aspect": "auto",
            "origin": "lower",
            "interpolation": "none",
        }
        panel.imshow(frames.T, **style)
        panel.set_ylabel(f"{name}\nband")
    axes[0].set_title(f"loss {loss:.0f}")
    axes[1].set_xlabel("frame")
    return figure


def _edge(axes: "Axes", start, end) -> None:
    axes.plot(*zip(start, end, strict=True), color=FAINT, linewidth=1, zorder=1)


def _number(axes: "Axes", at, value: float, gradient: float | None, name: str = "") -> None:
    """A weight on its edge, on a background that hides the edge, with its gradient below."""
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}
    x, y = at
    style: Any = {"ha": "center", "va": "center", "fontsize": _font_size(), "bbox": box}
    axes.text(x, y + 0.12, name + short(value), color=INK, **style)
    if gradient is not None:
        axes.text(x, y - 0.12, short(gradient), color=ACCENT, **style)


def _node(axes: "Axes", at, name: str, value: float | None, gradient: float | None) -> None:
    """A box with a number and, below it, its gradient; faint without a number."""
    x, y = at
    edge = FAINT if value is None else SIGNAL
    half = 0.65 if is_narrow() else 0.55
    style = {"facecolor": PAPER, "edgecolor": edge, "linewidth": 1.5}
    rectangle(axes, (x - half, y - HALF), 2 * half, 2 * HALF, 0.12, **style)
    size = _font_size()
    axes.text(
        x - half + 0.08, y + 0.14, name, va="center", color=FAINT if value is None else INK, fontsize=size
    )
    bold: Any = {"ha": "right", "va": "center", "weight": "bold", "fontsize": size}
    if value is not None:
        axes.text(x + half - 0.06, y + 0.14, short(value), color=INK, **bold)
    if gradient is not None:
        axes.text(x + half - 0.06, y - 0.16, short(gradient), color=ACCENT, **bold)


def _font_size() -> float:
    return 8 if is_narrow() else 10


def short(number: float) -> str:
    """Three significant digits, with a real minus sign, and no negative zero."""
    return f"{number + 0.0:.3g}".replace("-", "−")
