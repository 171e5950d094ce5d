"""What a training step costs on this machine, operation by operation."""

import time
from collections import defaultdict
from statistics import median
from types import ModuleType, SimpleNamespace
from typing import NamedTuple

import numpy as np

from minids.data.batches import Batch
from minids.model import DeepSpeech, ModelSettings
from minids.training.resources import product_rate, training_flops
from minids.training.step import step

FEATURES, CHARACTERS = 81, 29  # 80 bands and the energy; the paper's alphabet


class Bench(NamedTuple):
    """A training step: seconds, flop/s, those of the machine's own matrix product beside it, input frames/s,
    and the seconds of each operation; medians over the steps.
    """

    seconds: float
    flops: float
    product: float
    frames: float
    parts: dict[str, float]


def bench(backend: str, hidden: int, batch: int, frames: int, steps: int = 7) -> Bench:
    """Time training steps of `batch` utterances of `frames` frames each, 19 of 81 features as input."""
    settings = ModelSettings(FEATURES, CHARACTERS, hidden, context=9, dropout=0.1)
    model = DeepSpeech(settings, backend=backend)
    seconds: dict[str, float] = defaultdict(float)
    model.ops = _timed(model.ops, seconds)  # type: ignore[assignment]
    rng = np.random.default_rng(0)
    labels = rng.integers(1, CHARACTERS, (batch, max(1, frames // 5))).astype(np.int32)
    full = np.ones(batch, np.int32)
    x = rng.normal(size=(frames, batch, FEATURES)).astype(np.float32)
    one = Batch(list(range(batch)), x, full * frames, labels, full * labels.shape[1])
    velocity = model.ops.arrays.from_host(np.zeros(model.flat_params.shape, np.float32))
    keys = np.arange(batch, dtype=np.uint32)
    wholes, parts = [], []
    for _ in range(steps + 1):
        seconds.clear()
        start = time.perf_counter()
        step(model, velocity, one, keys, 1e-6, 0.9, 1.0)
        wholes.append(time.perf_counter() - start)
        parts.append(dict(seconds))
    whole = median(wholes[1:])
    return Bench(
        whole,
        training_flops(settings) * frames * batch / whole,
        product_rate(backend),
        frames * batch / whole,
        {name: median(part[name] for part in parts[1:]) for name in parts[0]},
    )


def _timed(ops: ModuleType, seconds: dict[str, float]) -> SimpleNamespace:
    """The backend with a stopwatch on every operation."""

    def timed(name, function):
        def call(*arguments, **named):
            start = time.perf_counter()
            result = function(*arguments, **named)
            ops.arrays.synchronize()
            seconds[name] += time.perf_counter() - start
            return result

        return call

    names = [name for name in ops.__all__ if name != "arrays"]
    return SimpleNamespace(arrays=ops.arrays, **{name: timed(name, getattr(ops, name)) for name in names})
