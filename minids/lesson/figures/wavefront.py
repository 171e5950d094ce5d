"""Threads that wait for each other after every frame, as recorded by `cuda_simulator.trace()`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minids.lesson.figures import arrow
from minids.plot import ACCENT, FAINT, INK, PALETTE, is_narrow, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minids.cuda_simulator import Access

_FRAME = 1.7  # from frame to frame, in states


@two_widths
def wavefront(accesses: "Sequence[Access]", alpha: np.ndarray, names: Sequence[str], upto: int) -> "Figure":
    """Frames 0 … `upto` of the lattice of log α that a block fills, one thread per state.

    `accesses` of the block to its array (B, T, S), alpha (T, S) the final values, `names` of the states.
    Arrows show the reads for frame `upto`, dashed lines the barriers, in red those that have been passed.
    """
    T, S = alpha.shape
    first = max(0, upto - 3) if is_narrow() else 0  # a phone shows four frames
    last = min(T, first + 4) if is_narrow() else T
    figure, axes = subplots(min(8, 1.3 + 0.75 * (last - first)), 0.7 + 0.46 * S)
    for access in accesses:
        (_, t, s), thread = access.element, access.thread[0]
        color = PALETTE[thread % len(PALETTE)]
        if access.kind == "write" and first <= t <= upto:
            axes.plot(_FRAME * t, s, "s", markersize=27, color=color, alpha=0.55 if t == upto else 0.3)
            text = f"{alpha[t, s]:.1f}".replace("-", "−") if alpha[t, s] > -1e9 else "−∞"
            axes.text(_FRAME * t, s, text, ha="center", va="center", fontsize=9, color=INK)
        elif access.kind == "read" and t == upto - 1:
            arrow(axes, (_FRAME * t + 0.52, s), (_FRAME * upto - 0.52, thread), color)
    for t in range(first, last):
        passed = t < upto
        axes.axvline(_FRAME * (t + 0.5), color=ACCENT if passed else FAINT, linestyle="--", linewidth=1)
    axes.set(xlim=(_FRAME * first - 0.6, _FRAME * last), ylim=(S - 0.4, -0.6), yticks=range(S))
    axes.set_xticks(_FRAME * np.arange(first, last), [f"t = {t}" for t in range(first, last)])
    axes.set_yticklabels([f"thread {s}: {name}" for s, name in enumerate(names)])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


@two_widths
def occupancy(accesses: "Sequence[Access]", blocks: int, threads: int) -> "Figure":
    """Which threads work between which barriers, one line per thread."""
    epochs = max(access.epoch for access in accesses)
    work = np.zeros((blocks, threads, epochs), bool)
    for access in accesses:
        work[access.block[0], access.thread[0], access.epoch - 1] = True
    figure, axes = subplots(8, 0.9 + 0.2 * blocks * (threads + 1))
    for block, thread, epoch in np.ndindex(work.shape):
        y = block * (threads + 1) + thread
        if work[block, thread, epoch]:
            axes.plot(epoch, y, "s", markersize=8, color=PALETTE[thread % len(PALETTE)])
        else:
            axes.plot(epoch, y, ".", markersize=3, color=FAINT)
    middles = [block * (threads + 1) + (threads - 1) / 2 for block in range(blocks)]
    axes.set_yticks(middles, [f"block {block}" for block in range(blocks)])
    axes.set(xlim=(-0.6, epochs), ylim=(blocks * (threads + 1) - 1, -1), xticks=range(epochs))
    axes.set(xlabel="barriers passed", title=f"{work.mean():.0%} of the threads' time is used")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure
