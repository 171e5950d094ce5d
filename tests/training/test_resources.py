"""The estimate before a run: its memory against what NumPy allocates, its work against a count by hand."""

import os
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from minids import DeepSpeech, Features
from minids.data.batches import PREFETCH
from minids.model import ModelSettings
from minids.ops import load
from minids.text import Alphabet
from minids.training.resources import available_memory, flops_per_frame, matmul_rate, memory
from minids.training.step import GradientSum, step
from minids.weights import SavedModel, save_model


@pytest.mark.parametrize("buffers", [0, 3])
@pytest.mark.parametrize(
    ("settings", "frames", "batch_size"),
    [
        (ModelSettings(21, 29, hidden=256, context=2, stride=2, dropout=0.1), 1000, 8),  # mostly activations
        (ModelSettings(81, 29, hidden=64, context=9, stride=2, dropout=0.1), 400, 8),  # mostly inputs
        (ModelSettings(21, 29, hidden=512, context=3, stride=2, dropout=0.1), 100, 2),  # mostly weights
        (ModelSettings(161, 29, hidden=64, context=1, stride=1), 600, 8),  # mostly frames
    ],
)
def test_the_memory_estimate_is_near_the_measured_peak(settings, frames, batch_size, buffers, tmp_path):
    """A step on the longest batch while the next ones are prefetched, and a checkpoint.

    With an average of the weights, which the checkpoint has too, and a sum of gradients.
    """
    estimated = memory(settings, frames, batch_size, buffers=buffers)

    def batch():
        return SimpleNamespace(
            frames=np.ones((frames, batch_size, settings.inputs), np.float32),
            lengths=np.full(batch_size, frames, np.int32),
            labels=np.ones((batch_size, frames // 16), np.int32),
            label_lengths=np.full(batch_size, 1, np.int32),
        )

    keys = np.arange(batch_size, dtype=np.uint32)
    other = DeepSpeech(settings)
    step(other, np.zeros_like(other.flat_params), batch(), keys, 1e-5, 0.9, 1.0)  # compiles
    del other
    tracemalloc.start()
    try:
        model, prefetched = DeepSpeech(settings), [batch() for _ in range(PREFETCH + 2)]
        velocity = np.zeros_like(model.flat_params)
        extra, earlier = {"velocity": velocity}, GradientSum(model) if buffers else None
        if earlier:
            extra["average"] = model.flat_params.copy()
            earlier.add(prefetched[1], keys)
        step(model, velocity, prefetched[0], keys, 1e-5, 0.9, 1.0, earlier=earlier)
        features = Features(bands=settings.inputs - 1, normalize="utterance")
        saved = SavedModel(model, features, Alphabet(), extra, {})
        save_model(tmp_path / "checkpoint", saved)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert estimated / 1.5 < peak < estimated * 1.5


def test_flops_per_frame_match_a_count_by_hand():
    """A multiplication and an addition per weight: forward, for the gradient of the weight, and for that
    of the input, which W1 does not need.
    """
    H, D, K = 2048, 19 * 81, 29
    layers = 3 * H * H + 2 * H * H + H * H + K * H  # W2 W3 W4, Wr_f Wr_b, W5, W6
    assert flops_per_frame(ModelSettings(81, 29, 2048, context=9)) == 2 * (2 * D * H + 3 * layers)


def test_the_matmul_rate_is_that_of_the_fastest_call(monkeypatch):
    """On a clock that the product moves: the first call compiles, other programs slow down some."""
    durations = iter([9.0, 0.5, 0.25, *[0.75] * 38])
    clock = [0.0]
    monkeypatch.setattr("minids.training.resources.time", SimpleNamespace(perf_counter=lambda: clock[0]))
    cpu = load("cpu")

    def affine_forward(x, W, b, out):
        assert (x.shape, W.shape, out.shape) == ((512, 1, 512), (512, 512), (512, 1, 512))
        clock[0] += next(durations)

    backend = replace(cpu, affine_forward=affine_forward)
    assert matmul_rate(backend) == 2 * 512**3 / 0.25


def test_the_available_memory_is_less_than_the_machine_has():
    free = available_memory(load("cpu"))
    assert free is None or 0 < free <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
