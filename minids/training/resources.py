"""The memory that training needs, known before it starts, and the speed of this machine."""

import os
import time
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np

from minids._utils.threads import available_cores
from minids.model import DeepSpeech, ModelSettings
from minids.ops import Backend
from minids.ops.common import output_length

FLOAT_BYTES = 4


def memory(
    settings: ModelSettings, max_frames: int, batch_size: int, backend: str = "cpu", buffers: int = 0
) -> int:
    """Bytes at the peak of training.

    For the weights: the weights, gradients and velocity, the copies for writing a checkpoint, and `buffers`
    more of that size. For a batch of the longest recording: the frames as layer 1 takes them, eight arrays
    (T, B, H) forward and three backward, three (T, B, K), the CTC lattice with at most one letter per three
    frames, the scratch of layers and recurrence, and the frames of the prefetched batches. With "cuda" this
    is the memory of the GPU, where layer 1 takes the frames themselves and W1 has a copy; the host holds the
    copies for checkpoints and most prefetched batches.
    """
    from minids.data.batches import PREFETCH

    H, F, T = settings.hidden, settings.inputs, output_length(max_frames, settings.stride)
    window, pitch = 2 * settings.context + 1, -(-F // 4) * 4
    parameters = sum(int(np.prod(shape)) for shape in settings.shapes().values())
    if backend == "cuda":
        frames = batch_size * (max_frames + settings.context)
        x = (frames + window + H * window) * pitch + 2 * T * batch_size
    else:
        from minids.ops.cpu.convolution import plan

        x, layer = (max_frames + window) * batch_size * F, (batch_size, F, H, settings.stride)
        if fast := plan(T, batch_size, window * F, H, window, settings.stride):
            x += fast.workspace_size(*layer, available_cores()) + H * H
        else:
            x += T * batch_size * window * F + H * max(H, window * F)
    activations = x + T * batch_size * (11 * H + 3 * settings.characters + 2 * T // 3)
    recurrence = 2 * H * (H + 2 * batch_size)
    copies, batches = (3, 3) if backend == "cuda" else (5, PREFETCH + 2)
    prefetched = batches * max_frames * batch_size * F
    return FLOAT_BYTES * ((copies + buffers) * parameters + activations + recurrence + prefetched)


def max_batch_size(
    settings: ModelSettings, max_frames: int, free: int, backend: str = "cpu", buffers: int = 0
) -> int:
    """The number of utterances of `max_frames` frames that fit into `free` bytes; 0 if not even one does."""
    fits = range(1, 1 + int(free // (FLOAT_BYTES * max_frames * settings.inputs)))  # the frames alone
    return bisect_right(fits, free, key=lambda n: memory(settings, max_frames, n, backend, buffers))


def flops_per_frame(settings: ModelSettings) -> int:
    """Per weight 2 forward and 4 backward; W1 only 2 backward, since the frames need no gradient."""
    weights = {name: int(np.prod(shape)) for name, shape in settings.shapes().items() if name.startswith("W")}
    return 6 * sum(weights.values()) - 2 * weights["W1"]


def matmul_rate(backend: Backend) -> float:
    """Measured flop/s of a float32 matrix product on this machine, computed as the network does."""
    n = 4096 if backend.name == "cuda" else 512  # large enough to use the whole device
    x, W, b = np.ones((n, 1, n), np.float32), np.ones((n, n), np.float32), np.zeros(n, np.float32)
    x, W, b, y = map(backend.arrays.from_host, (x, W, b, np.empty_like(x)))
    seconds = []
    for _ in range(41):  # the minimum: other programs only add time, and the first call may compile
        start = time.perf_counter()
        backend.affine_forward(x, W, b, out=y)
        backend.arrays.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * n**3 / min(seconds)


def available_memory(backend: Backend) -> int | None:
    """Free bytes of the host, or of the GPU; None where the system does not say."""
    if backend.name == "cuda":
        return backend.arrays.available()
    try:
        with open("/proc/meminfo") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None


def reserve_memory(
    model: DeepSpeech, max_frames: int, max_labels: int, batch_size: int
) -> Callable[[np.ndarray], Any]:
    """Allocate all buffers on the GPU by a step on the largest batch; returns the copier of frames.

    A batch that is larger than its manifest says allocates when it comes.
    """
    settings = model.settings
    frames = np.zeros((max_frames, batch_size, settings.inputs), np.float32)
    ones = np.ones(batch_size, np.int32)
    # A text with more labels than frames is skipped.
    max_labels = max(1, min(max_labels, output_length(max_frames, settings.stride)))
    labels = np.ones((batch_size, max_labels), np.int32)
    model.loss_and_grad(frames, ones * max_frames, labels, ones * labels.shape[1], ones.astype(np.uint32))
    model.ops.norm(model.flat_grads)
    copy_to_device = model.ops.arrays.AsyncCopier()
    for _ in range(2):  # the batch in use, and the next
        copy_to_device(frames)
    return copy_to_device
