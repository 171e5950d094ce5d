"""What a training run will need, said before it starts: memory for the longest batch, time for an epoch."""

import os
import time
from dataclasses import dataclass

import numpy as np

from minids.model import ModelSettings
from minids.ops.common import strided

FLOAT = 4  # bytes
SHARE = 0.6  # of the rate of a matrix product alone, which training reaches on small batches


@dataclass(frozen=True)
class Estimate:
    """Bytes at the peak, seconds an epoch."""

    memory: int
    epoch_seconds: float


def estimate(settings: ModelSettings, frames: int, longest: int, batch_size: int) -> Estimate:
    """`frames` of the whole training set, `longest` of its longest recording, both before the stride."""
    flops = training_flops(settings) * strided(frames, settings.stride)
    return Estimate(memory(settings, longest, batch_size), flops / (SHARE * product_rate()))


def memory(settings: ModelSettings, longest: int, batch_size: int) -> int:
    """Of the weights: themselves, gradients, velocities, and the copies that a checkpoint writes.

    Of the longest batch: x, eight of (T, B, H) forward and three backward, three of (T, B, K), CTC's lattice
    with at most a letter in three frames, the recurrence's room; and the frames of the batches that wait.
    """
    from minids.batches import AHEAD

    H, T = settings.hidden, strided(longest, settings.stride)
    parameters = sum(int(np.prod(shape)) for shape in settings.shapes().values())
    inputs = (2 * settings.context + 1) * settings.inputs
    activations = T * batch_size * (inputs + 11 * H + 3 * settings.characters + 2 * T // 3)
    recurrence = 2 * H * (H + 2 * batch_size)
    waiting = (AHEAD + 2) * longest * batch_size * settings.inputs
    return FLOAT * (5 * parameters + activations + recurrence + waiting)


def training_flops(settings: ModelSettings) -> int:
    """Of one frame: 2 a weight forward, 4 backward, of W1 only 2 there: frames need no gradient."""
    weights = {name: int(np.prod(shape)) for name, shape in settings.shapes().items() if name.startswith("W")}
    return 6 * sum(weights.values()) - 2 * weights["W1"]


def product_rate() -> float:
    """This machine's float32 matrix product, flop/s, as the network uses it."""
    from minids import ops

    x, W, b = np.ones((512, 1, 512), np.float32), np.ones((512, 512), np.float32), np.zeros(512, np.float32)
    y = np.empty((512, 1, 512), np.float32)
    affine = ops.load("cpu").affine_forward
    affine(x, W, b, out=y)
    seconds = []
    for _ in range(40):  # the least: other programs only ever add
        start = time.perf_counter()
        affine(x, W, b, out=y)
        seconds.append(time.perf_counter() - start)
    return 2 * 512**3 / min(seconds)


def available_memory() -> int | None:
    """Bytes that programs may still take, where the system says (Linux)."""
    try:
        with open("/proc/meminfo") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
