"""Training on one utterance: the network, the size of its activations, its output and its loss."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minids.lesson.figures import rectangle
from minids.lesson.figures.sound import stagger
from minids.ops.common import CLIP
from minids.plot import ACCENT, FAINT, GRAY, INK, PALETTE, SIGNAL, is_narrow, subplots, two_widths
from minids.text import BLANK, Alphabet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MIN_LABELED_PROB = 0.2  # peaks below this probability have no label
MIN_LOSS = 1e-4  # nats; in float32 smaller losses are 0
FORWARD = (  # each layer: its name, what it computes, and its parameters
    ("x", "frames with context", ""),
    ("h1", "g(W1 x + b1)", "W1 b1"),
    ("h2", "g(W2 h1 + b2)", "W2 b2"),
    ("h3", "g(W3 h2 + b3)", "W3 b3"),
    ("h4", "hf + hb, recurrent", "W4 b4 Wr_f Wr_b"),
    ("h5", "g(W5 h4 + b5)", "W5 b5"),
    ("ŷ", "softmax(W6 h5 + b6)", "W6 b6"),
    ("L", "CTC: −log p(text)", ""),
)
CAPTIONS = (
    "x: every second frame, with five neighbors on each side.",
    "Three layers see each frame by itself: a matrix product, a bias, the clipped ReLU.",
    "The second,",
    "and the third.",
    "The fourth is recurrent: forward and backward in time, and the sum of both.",
    "The fifth sees the sum.",
    "The sixth has an output for each character; the softmax makes them probabilities.",
    "CTC compares them with the text: one number, the loss.",
    "Now backward. The gradient at the input of the softmax is y − γ.",
    "The sixth layer: the gradients of its weights, and of its input.",
    "Then the fifth.",
    "Both directions of the recurrence get the same gradient; theirs are added.",
    "Back through the third layer,",
    "through the second,",
    "and through the first: now every weight has its gradient.",
)
TOP_RIGHT: dict[str, Any] = {"ha": "right", "va": "top", "color": INK}


def network(T: int, shapes: Mapping[str, tuple[int, ...]]) -> "tuple[list[Figure], tuple[str, ...]]":
    """The network for T frames and parameters of these shapes, in steps forward and backward; captions."""
    return [_network(T, shapes, step) for step in range(len(CAPTIONS))], CAPTIONS


@two_widths
def _network(T: int, shapes: Mapping[str, tuple[int, ...]], step: int) -> "Figure":
    """Layers from bottom to top. Steps 0 … 7 add them, steps 8 … 14 the gradients from top to bottom."""
    figure, axes = subplots(7, 5.2)
    width, half = (3.6, 0.75) if is_narrow() else (7, 1.45)  # of the figure, and of a box from its middle
    axes.set_position((0, 0, 1, 1))
    shift = 0.15 if is_narrow() else 0.0  # the words on the right are longer
    axes.set(xlim=(shift - width / 2, shift + width / 2), ylim=(-0.45, len(FORWARD) - 0.55))
    axes.axis("off")
    now = min(step, 2 * len(FORWARD) - 1 - step)  # the layer of this step
    columns = {"x": shapes["W1"][1], "ŷ": shapes["W6"][0]}
    for n, (name, formula, weights) in enumerate(FORWARD[: step + 1]):
        backward = step >= len(FORWARD)
        shape = "a number" if name == "L" else f"({T}, {columns.get(name, shapes['W6'][1])})"
        color = ACCENT if n == now and not backward else INK
        corner = (-half, n - 0.28)
        rectangle(axes, corner, 2 * half, 0.56, facecolor=SIGNAL, alpha=0.12)
        rectangle(axes, corner, 2 * half, 0.56, fill=False, edgecolor=color, linewidth=1.2)
        places = {"left": (-half + 0.1, name), "right": (half - 0.1, shape)}
        places |= {} if is_narrow() else {"center": (0, formula)}
        for align, (x, word) in places.items():
            axes.text(x, n, word, ha=align, va="center_baseline", color=INK, fontsize=9.5)
        if n:
            _arrow(axes, -0.5 * half, n - 0.72, n - 0.28, weights, color)
        if n and backward and n >= now:
            gradients = " ".join(f"d{weight}" for weight in weights.split()) or "ŷ − γ"
            _arrow(axes, 0.5 * half, n - 0.28, n - 0.72, gradients, ACCENT)
    return figure


def _arrow(axes: "Axes", x: float, start: float, end: float, words: str, color: str) -> None:
    """A vertical arrow with words on its outer side."""
    axes.annotate("", (x, end), (x, start), arrowprops={"arrowstyle": "-|>", "color": color, "shrinkA": 0})
    side = np.sign(x)
    at = x + 0.08 * side, (start + end) / 2
    axes.text(*at, words, ha="right" if side < 0 else "left", va="center", color=color, fontsize=9)


@two_widths
def letters(log_probs: np.ndarray, alphabet: Alphabet, text: str) -> "Figure":
    """The probabilities of all characters, log_probs (T, K): gray for the blank, colors for those of `text`.

    Peaks are labeled with their character, bold if it is the most probable one.
    """
    probs = np.exp(log_probs)  # (T, K)
    best = probs.argmax(axis=1)  # (T,)
    colors = dict(zip(dict.fromkeys(alphabet.encode(text).tolist()), PALETTE, strict=False))
    figure, axes = subplots(8, 3.4)
    peaks: list[tuple[int, int, str]] = []
    for k, curve in enumerate(probs.T):
        color = GRAY if k == BLANK else colors.get(k, FAINT)
        axes.plot(curve, color=color, linewidth=1.8 if k in colors else 0.8)
        peaks += [(int(t), k, color) for t in np.flatnonzero(_peaks(curve)) if k != BLANK]
    peaks.sort()
    places = stagger([t for t, *_ in peaks], [probs[t, k] for t, k, _ in peaks], len(probs))
    for (t, k, color), (height, level) in zip(peaks, places, strict=True):
        letter = alphabet.decode([k]).replace(" ", "␣")
        weight = "bold" if best[t] == k else "normal"
        y = height + 0.03 + 0.1 * level
        axes.text(t, y, letter, ha="center", color=color, weight=weight, fontsize=12)
    axes.set(
        xlim=(-1, len(probs)),
        ylim=(0, 1.4),
        yticks=np.linspace(0, 1, 6),
        xlabel="frame",
        ylabel="probability",
    )
    return figure


@two_widths
def losses(curves: Mapping[str, Sequence[float]], chance: float) -> "Figure":
    """The loss after each step on a logarithmic axis, a curve per method; the dotted line is chance.

    Losses below MIN_LOSS are drawn there.
    """
    figure, axes = subplots(8, 4)
    for (name, curve), color in zip(curves.items(), (SIGNAL, ACCENT, *PALETTE[2:]), strict=False):
        drawn = np.maximum(curve, MIN_LOSS)
        axes.semilogy(drawn, color=color)
        last = max(0, curve[-1])
        words = f"{name}: {last:.0f}" if last >= 10 else f"{name}: {last:.2g}"
        at = len(drawn) - 1, drawn[-1]
        axes.annotate(words, at, (5, 0), textcoords="offset points", va="center", color=color)
    axes.axhline(chance, color=INK, linestyle=":", linewidth=1)
    axes.text(0.99, chance * 0.85, f"chance: {chance:.0f}", transform=axes.get_yaxis_transform(), **TOP_RIGHT)
    axes.set(xlabel="step", ylabel="loss (nats)")
    return figure


@two_widths
def sizes(initial_weights: Callable) -> "Figure":
    """The root mean square of the activations in ten layers, for weights multiplied by several numbers."""
    rng = np.random.default_rng(1)
    figure, axes = subplots(8, 3.6)
    for scale, color in zip((2, 2**0.5, 1, 0.5), (ACCENT, *PALETTE[2:4], SIGNAL), strict=True):
        h, curve = rng.normal(size=(100, 64)), [1.0]
        for _ in range(10):
            h = np.clip(h @ (scale * np.asarray(initial_weights((64, 64), rng))).T, 0, CLIP)
            curve.append(float(np.sqrt((h**2).mean())))
        axes.semilogy(curve, color=color, marker="o", markersize=4)
        at = len(curve) - 1, curve[-1]
        axes.annotate(f"× {scale:.2g}", at, (7, 0), textcoords="offset points", va="center", color=color)
    axes.axhline(CLIP, color=INK, linestyle=":", linewidth=1)
    axes.text(0.01, 1.15 * CLIP, "clipped at 20", transform=axes.get_yaxis_transform(), color=INK, fontsize=9)
    axes.set(xlabel="layer", ylabel="size of the activations", xticks=range(0, 11, 2), xlim=(-0.3, 10.9))
    axes.set_ylim(top=40)
    return figure


def _peaks(curve: np.ndarray) -> np.ndarray:
    """The local maxima of a curve that deserve a label: (T,) bool."""
    before, after = np.append(0, curve[:-1]), np.append(curve[1:], 0)
    return (curve > before) & (curve >= after) & (curve > MIN_LABELED_PROB)
