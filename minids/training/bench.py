"""The time of a training step on this machine, operation by operation."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from minids.data.batches import Batch
from minids.model import DeepSpeech, ModelSettings
from minids.ops import OPERATIONS, Backend
from minids.training.resources import flops_per_frame, matmul_rate
from minids.training.step import step

FEATURES, CHARACTERS = 81, 29  # 80 bands and the energy; the paper's alphabet


class Bench(NamedTuple):
    """A training step: seconds, flop/s, flop/s of a matrix product, input frames/s, and the seconds of each
    operation; medians over the steps.
    """

    seconds: float
    flops: float
    product: float
    frames: float
    parts: dict[str, float]


def bench(backend: Backend, hidden: int, batch: int, frames: int, steps: int = 7) -> Bench:
    """Time training steps of `batch` utterances of `frames` frames each, 19 of 81 features as input."""
    settings = ModelSettings(FEATURES, CHARACTERS, hidden, context=9, dropout=0.1)
    seconds: dict[str, float] = defaultdict(float)
    model = DeepSpeech(settings, backend=_timed(backend, seconds))
    rng = np.random.default_rng(0)
    labels = rng.integers(1, CHARACTERS, (batch, max(1, frames // 5))).astype(np.int32)
    ones = np.ones(batch, np.int32)
    x = rng.normal(size=(frames, batch, FEATURES)).astype(np.float32)
    noise = Batch(list(range(batch)), x, ones * frames, labels, ones * labels.shape[1])
    velocity = model.ops.arrays.from_host(np.zeros(model.flat_params.shape, np.float32))
    dropout_keys = np.arange(batch, dtype=np.uint32)
    totals, parts = [], []
    for _ in range(steps + 1):
        seconds.clear()
        start = time.perf_counter()
        step(model, velocity, noise, dropout_keys, rate=1e-6, momentum=0.9, grad_clip_norm=1.0)
        totals.append(time.perf_counter() - start)
        parts.append(dict(seconds))
    total = median(totals[1:])  # the first step may compile
    return Bench(
        total,
        flops_per_frame(settings) * frames * batch / total,
        matmul_rate(backend),
        frames * batch / total,
        {name: median(part[name] for part in parts[1:]) for name in parts[0]},
    )


def _timed(backend: Backend, seconds: dict[str, float]) -> Backend:
    """The backend with a timer around every operation; `seconds` sums its time by name."""

    def timed(name: str, operation: Callable) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = operation(*args, **kwargs)
            backend.arrays.synchronize()
            seconds[name] += time.perf_counter() - start
            return result

        return run

    operations: dict[str, Any] = {name: timed(name, getattr(backend, name)) for name in OPERATIONS}
    return replace(backend, **operations)
