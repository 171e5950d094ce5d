"""Run by test_parallel.py under mpiexec: rank 0 prints the errors of the network split in time."""

import json
import sys

import numpy as np
from mpi4py import MPI

from minids.model import DeepSpeech, ModelSettings
from minids.ops.common import hash_key
from minids.training.parallel import ProcessGroup, TimeSplit


def batch(rng: np.random.Generator, T0: int, B: int, F: int, K: int):
    lengths = rng.integers(max(1, T0 // 3), T0 + 1, B).astype(np.int32)
    lengths[0] = T0
    labels = rng.integers(1, K, (B, 3)).astype(np.int32)
    frames = rng.standard_normal((T0, B, F)).astype(np.float32)
    return frames, lengths, labels, rng.integers(0, 4, B).astype(np.int32)


def relative_difference(
    backend: str, dtype: str, T0: int, stride: int, context: int, dropout: float
) -> float:
    """The greatest difference of a loss or gradient from the serial one, relative to the largest."""
    settings = ModelSettings(5, 4, 16, context, stride, dropout)
    serial = DeepSpeech(settings, 3, backend, dtype)
    half = DeepSpeech(settings, 3, backend, dtype)
    split = TimeSplit(half, ProcessGroup(MPI.COMM_WORLD))
    worst = 0.0
    for step in range(2):  # in the second one, buffers hold the numbers of the first
        arrays = batch(np.random.default_rng([T0, step]), T0, 3, 5, 4)
        keys = hash_key(1, step, np.arange(3)) if dropout else None
        expected, losses = serial.loss_and_grad(*arrays, keys), split.loss_and_grad_on_device(*arrays, keys)
        assert (np.isinf(losses) == np.isinf(expected)).all()
        possible = np.isfinite(expected)
        pairs = [(expected[possible], losses[possible])]
        pairs += [(serial.grads[name], half.grads[name]) for name in serial.grads]
        worst = max([worst, *(abs(a - b).max(initial=0) / max(1, abs(a).max(initial=0)) for a, b in pairs)])
    return float(worst)


def gradient_error() -> float:
    """The gradient of the split network's loss along a random direction, against central differences."""
    model = DeepSpeech(ModelSettings(4, 4, 8, 2, 1, 0.0), 5, "reference", "float64")
    split = TimeSplit(model, ProcessGroup(MPI.COMM_WORLD))
    arrays = batch(np.random.default_rng(0), 9, 2, 4, 4)
    direction = np.random.default_rng(1).standard_normal(split.flat_params.shape)
    split.loss_and_grad_on_device(*arrays)
    slope = float(split.flat_grads @ direction)
    start, losses, h = split.flat_params.copy(), [], 1e-6
    for sign in (1, -1):
        split.flat_params[...] = start + sign * h * direction
        losses.append(split.loss_and_grad_on_device(*arrays).sum())
    return abs((losses[0] - losses[1]) / (2 * h) - slope) / abs(slope)


cases = [(20, 1, 2, 0.0), (21, 2, 5, 0.1), (33, 3, 4, 0.1), (3, 2, 9, 0.0), (2, 2, 1, 0.0)]
cases += [(1, 1, 0, 0.1), (1, 2, 1, 0.1), (2, 3, 0, 0.0)]  # of one frame, the second rank has none
result = {
    "reference": max(relative_difference("reference", "float64", *case) for case in cases),
    "cpu": max(relative_difference("cpu", "float32", *case) for case in cases),
    "gradient": gradient_error(),
}
print(json.dumps(result), file=sys.stderr if MPI.COMM_WORLD.rank else sys.stdout)
