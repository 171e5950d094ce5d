"""What a training run will need, said before it starts: memory for the longest batch, time for an epoch."""

import os
import time
from dataclasses import dataclass

import numpy as np

from minids.model import ModelSettings
from minids.ops.common import strided

FLOAT = 4  # bytes


@dataclass(frozen=True)
class Estimate:
    """Bytes at the peak, seconds an epoch."""

    memory: int
    epoch_seconds: float


def estimate(settings: ModelSettings, frames: int, longest: int, batch_size: int) -> Estimate:
    """`frames`:

    those of all the training set, `longest` those of its longest recording, both before the stride.
    """
    flops = training_flops(settings) * strided(frames, settings.stride)
    return Estimate(memory(settings, longest, batch_size), flops / (0.6 * product_rate()))


def memory(settings: ModelSettings, longest: int, batch_size: int) -> int:
    """Weights, gradients, velocities, and the copy that a checkpoint writes; the activations of the longest
    batch: x, eight of (T, B, H) forward and three backward; the frames of the batches that wait.
    """
    from minids.batches import AHEAD

    parameters = sum(int(np.prod(shape)) for shape in settings.shapes().values())
    rows = strided(longest, settings.stride) * batch_size
    inputs = (2 * settings.context + 1) * settings.inputs
    waiting = (AHEAD + 2) * longest * batch_size * settings.inputs
    return FLOAT * (
        5 * parameters + rows * (inputs + 11 * settings.hidden + 3 * settings.characters) + waiting
    )


def training_flops(settings: ModelSettings) -> int:
    """Of one frame, forward and backward:

    2 for every weight forward, 4 backward, W1 only 2 there: frames need no gradient.
    """
    weights = {name: int(np.prod(shape)) for name, shape in settings.shapes().items() if name.startswith("W")}
    return 6 * sum(weights.values()) - 2 * weights["W1"]


def product_rate() -> float:
    """This machine's float32 matrix product, flop/s, as the network uses it."""
    from minids import ops

    x, W, b = np.ones((512, 1, 512), np.float32), np.ones((512, 512), np.float32), np.zeros(512, np.float32)
    y = np.empty((512, 1, 512), np.float32)
    affine = ops.load("cpu").affine_forward
    affine(x, W, b, out=y)
    start, times = time.perf_counter(), 0
    while time.perf_counter() - start < 0.1:
        affine(x, W, b, out=y)
        times += 1
    return times * 2 * 512**3 / (time.perf_counter() - start)


def available_memory() -> int | None:
    """Bytes that programs may still take, where the system says (Linux)."""
    try:
        with open("/proc/meminfo") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
