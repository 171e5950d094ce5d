"""One layer: its numbers and their gradients; how far a numerical gradient can be trusted."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from minids.ops.common import CLIP
from minids.plot import ACCENT, FAINT, INK, PAPER, SIGNAL, subplots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEPS = ("x", "z", "h", "L", "dh", "dz", "dW", "dx")  # the order in which the numbers become known
X_AT, Z_AT, H_AT, L_AT, HALF = 5.5, 3.3, 2.0, 0.5, 0.33  # heights of the rows; half of a box


def layer(x: np.ndarray, W: np.ndarray, b: np.ndarray, target: np.ndarray, upto: str = "dx") -> "Figure":
    """h = g(W x + b), L = ½ Σ (h - target)², from the top down; under every number its gradient, upwards.

    x (D,), W (H, D), b and target (H,): a few units. `upto`, one of STEPS, is the last that is known.
    """
    seen = STEPS[: STEPS.index(upto) + 1]
    z = W @ x + b  # (H,)
    h = np.clip(z, 0, CLIP)
    dh = h - target
    dz = np.where((z > 0) & (z < CLIP), dh, 0)
    dx, dW = dz @ W, np.outer(dz, x)

    figure, axes = subplots(8, 6)
    axes.set(xlim=(0, 8), ylim=(0, 6))
    axes.set_axis_off()
    across = 8 * (np.arange(len(x)) + 0.5) / len(x)
    along = 8 * (np.arange(len(z)) + 0.5) / len(z)
    for i, right in enumerate(along):
        for j, left in enumerate(across):
            start, end = np.array([left, X_AT - HALF]), np.array([right, Z_AT + HALF])
            _edge(axes, start, end)
            at = start + 0.32 * (end - start)  # before the edges cross
            _number(axes, at, W[i, j], dW[i, j] if "dW" in seen else None)
        _edge(axes, (right, Z_AT - HALF), (right, H_AT + HALF))
        _edge(axes, (right, H_AT - HALF), (4, L_AT + HALF))
        shut = "z" in seen and not 0 < z[i] < CLIP
        gate = "g is flat here" if shut else "g"
        axes.text(right + 0.1, (Z_AT + H_AT) / 2, gate, color=ACCENT if shut else INK, va="center")
        _number(axes, (right + 1.25, Z_AT), b[i], dz[i] if "dW" in seen else None, f"b{i + 1} = ")
        axes.text(right + 0.8, H_AT, f"wanted: {target[i]:g}", color=INK, va="center")
        _node(
            axes, (right, Z_AT), f"z{i + 1}", z[i] if "z" in seen else None, dz[i] if "dz" in seen else None
        )
        _node(
            axes, (right, H_AT), f"h{i + 1}", h[i] if "h" in seen else None, dh[i] if "dh" in seen else None
        )
    for j, left in enumerate(across):
        _node(axes, (left, X_AT), f"x{j + 1}", x[j], dx[j] if "dx" in seen else None)
    _node(axes, (4, L_AT), "L", dh @ dh / 2 if "L" in seen else None, 1 if "dh" in seen else None)
    axes.text(0.05, L_AT, "above: the number\n", color=INK, va="center", fontsize=9)
    axes.text(0.05, L_AT, "\nbelow: how L grows with it", color=ACCENT, va="center", fontsize=9)
    return figure


def step_sizes(sizes: np.ndarray, errors: Mapping[str, np.ndarray]) -> "Figure":
    """The error of a numerical gradient against the step h, both axes logarithmic; two ways to take it.

    sizes (n,), errors {name: (n,)}, relative. The least of each is marked and told.
    """
    figure, axes = subplots(8, 4.5)
    for n, ((name, error), color) in enumerate(zip(errors.items(), (ACCENT, SIGNAL), strict=True)):
        best = int(error.argmin())
        axes.loglog(sizes, error, color=color, marker="o", markersize=3)
        axes.loglog(sizes[best], error[best], color=color, marker="o", markersize=9)
        words = f"{name}: {error[best]:.0e} at h = {sizes[best]:.0e}"
        axes.text(0.5, 0.97 - 0.08 * n, words, transform=axes.transAxes, ha="center", va="top", color=color)
    lowest = min(error.min() for error in errors.values())
    axes.set(xlabel="step h", ylabel="relative error of the gradient", ylim=(lowest / 10, 1000))
    axes.text(0.02, 0.97, "← rounding: 1 / h", transform=axes.transAxes, va="top", color=INK)
    axes.text(0.98, 0.97, "h too coarse →", transform=axes.transAxes, va="top", ha="right", color=INK)
    return figure


def kinks(h: float) -> "Figure":
    """g(z) = min{max{0, z}, 20} around its two kinks; below, its slope and what central differences find.

    They see the kink from as far as their step `h`, and are wrong by up to a half there.
    """
    figure, axes = subplots(8, 4.5, nrows=2, ncols=2, sharex="col", sharey="row")
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
    axes[1, 0].set_ylabel("its slope")
    return figure


def guesses(came: np.ndarray, guess: np.ndarray, loss: float) -> "Figure":
    """What came and what a layer guessed, (T, F) each, one above the other in the same colors."""
    figure, axes = subplots(8, 4.2, nrows=2, sharex=True)
    for each, frames, name in zip(axes, (guess, came), ("guess", "what came"), strict=True):
        look = {
            "vmin": 0,
            "vmax": came.max(),
            "cmap": "magma",
            "aspect": "auto",
            "origin": "lower",
            "interpolation": "none",
        }
        each.imshow(frames.T, **look)
        each.set_ylabel(f"{name}\nband")
    axes[0].set_title(f"loss {loss:.0f}")
    axes[1].set_xlabel("frame")
    return figure


def _edge(axes: "Axes", start, end) -> None:
    axes.plot(*zip(start, end, strict=True), color=FAINT, linewidth=1, zorder=1)


def _number(axes: "Axes", at, value: float, gradient: float | None, name: str = "") -> None:
    """A weight on its edge, in the paper's color so that it can be read there; its gradient under it."""
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}
    x, y = at
    axes.text(x, y + 0.12, name + short(value), ha="center", va="center", color=INK, fontsize=9.5, bbox=box)
    if gradient is not None:
        axes.text(
            x, y - 0.12, short(gradient), ha="center", va="center", color=ACCENT, fontsize=9.5, bbox=box
        )


def _node(axes: "Axes", at, name: str, value: float | None, gradient: float | None) -> None:
    """A box: the number above, its gradient below; while neither is known, faint."""
    from matplotlib.patches import FancyBboxPatch

    x, y = at
    edge = FAINT if value is None else SIGNAL
    style = "round,pad=0,rounding_size=0.12"
    axes.add_patch(
        FancyBboxPatch((x - 0.55, y - HALF), 1.1, 2 * HALF, style, facecolor=PAPER, edgecolor=edge, lw=1.5)
    )
    axes.text(x - 0.45, y + 0.14, name, va="center", color=FAINT if value is None else INK, fontsize=9.5)
    if value is not None:
        axes.text(x + 0.45, y + 0.14, short(value), ha="right", va="center", color=INK, weight="bold")
    if gradient is not None:
        axes.text(x + 0.45, y - 0.16, short(gradient), ha="right", va="center", color=ACCENT, weight="bold")


def short(number: float) -> str:
    """Few digits, a minus as long as a plus, no minus before a zero."""
    return f"{number + 0.0:.3g}".replace("-", "−")
