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


def estimate(
    settings: ModelSettings, frames: int, longest: int, batch_size: int, backend: str = "cpu"
) -> Estimate:
    """`frames` of the whole training set, `longest` of its longest recording, both before the stride."""
    flops = training_flops(settings) * strided(frames, settings.stride)
    seconds = flops / (SHARE * product_rate(backend))
    return Estimate(memory(settings, longest, batch_size, backend), seconds)


def memory(settings: ModelSettings, longest: int, batch_size: int, backend: str = "cpu") -> int:
    """Of the weights: themselves, gradients, velocities, and the copies that a checkpoint writes.

    Of the longest batch: x, eight of (T, B, H) forward and three backward, three of (T, B, K), CTC's lattice
    with at most a letter in three frames, the recurrence's room; and the frames of the batches that wait.

    Of a GPU's memory: a checkpoint is written, and most batches wait, in the host's.
    """
    from minids.data.batches import AHEAD

    H, T = settings.hidden, strided(longest, settings.stride)
    parameters = sum(int(np.prod(shape)) for shape in settings.shapes().values())
    inputs = (2 * settings.context + 1) * settings.inputs
    activations = T * batch_size * (inputs + 11 * H + 3 * settings.characters + 2 * T // 3)
    recurrence = 2 * H * (H + 2 * batch_size)
    copies, batches = (3, 3) if backend == "cuda" else (5, AHEAD + 2)
    waiting = batches * longest * batch_size * settings.inputs
    return FLOAT * (copies * parameters + activations + recurrence + waiting)


def largest_batch(settings: ModelSettings, longest: int, free: int, backend: str = "cpu") -> int:
    """How many utterances of `longest` frames fit into so many bytes; 0 where not one does."""
    none, one = (memory(settings, longest, n, backend) for n in (0, 1))
    return max(0, (free - none) // (one - none))


def training_flops(settings: ModelSettings) -> int:
    """Of one frame: 2 a weight forward, 4 backward, of W1 only 2 there: frames need no gradient."""
    weights = {name: int(np.prod(shape)) for name, shape in settings.shapes().items() if name.startswith("W")}
    return 6 * sum(weights.values()) - 2 * weights["W1"]


def product_rate(backend: str = "cpu") -> float:
    """This machine's float32 matrix product, flop/s, as the network uses it."""
    from minids import ops

    grid, n = ops.load(backend), {"cuda": 4096}.get(backend, 512)  # the least that fills it
    x, W, b = np.ones((n, 1, n), np.float32), np.ones((n, n), np.float32), np.zeros(n, np.float32)
    x, W, b, y = map(grid.arrays.from_host, (x, W, b, np.empty_like(x)))
    seconds = []
    for _ in range(41):  # the least: other programs only ever add, and the first call may compile
        start = time.perf_counter()
        grid.affine_forward(x, W, b, out=y)
        grid.arrays.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * n**3 / min(seconds)


def available_memory(backend: str = "cpu") -> int | None:
    """Bytes that programs may still take, of the host's memory or the GPU's; None where nobody says."""
    if backend == "cuda":
        from minids import ops

        return ops.load(backend).arrays.available()
    try:
        with open("/proc/meminfo") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
