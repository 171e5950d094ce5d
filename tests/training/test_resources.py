"""The estimate before a run: its memory beside what NumPy takes, its work beside a count by hand."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from minids import DeepSpeech, Features
from minids.data.batches import PREFETCH
from minids.model import ModelSettings
from minids.text import Alphabet
from minids.training.resources import available_memory, estimate, memory, matmul_rate, flops_per_frame
from minids.training.step import step
from minids.weights import SavedModel, save_weights


@pytest.mark.parametrize(
    ("settings", "frames", "batch_size"),
    [
        (ModelSettings(21, 29, hidden=256, context=2, stride=2, dropout=0.1), 1000, 8),  # mostly activations
        (ModelSettings(81, 29, hidden=64, context=9, stride=2, dropout=0.1), 400, 8),  # mostly inputs
        (ModelSettings(21, 29, hidden=512, context=3, stride=2, dropout=0.1), 100, 2),  # mostly weights
        (ModelSettings(161, 29, hidden=64, context=1, stride=1), 600, 8),  # mostly frames
    ],
)
def test_the_memory_of_a_run_is_near_what_was_said(settings, frames, batch_size, tmp_path):
    """A step on the longest batch while the next ones wait, and a checkpoint."""
    said = memory(settings, frames, batch_size)

    def batch():
        return SimpleNamespace(
            frames=np.ones((frames, batch_size, settings.inputs), np.float32),
            lengths=np.full(batch_size, frames, np.int32),
            labels=np.ones((batch_size, frames // 16), np.int32),
            label_lengths=np.full(batch_size, 1, np.int32),
        )

    keys = np.arange(batch_size, dtype=np.uint32)
    tiny = DeepSpeech(
        ModelSettings(settings.inputs, 29, 4, settings.context, settings.stride, settings.dropout)
    )
    step(tiny, np.zeros_like(tiny.flat_params), batch(), keys, 1e-5, 0.9, 1.0)  # whatever is compiled, is
    tracemalloc.start()
    try:
        model, waiting = DeepSpeech(settings), [batch() for _ in range(PREFETCH + 2)]
        velocity = np.zeros_like(model.flat_params)
        step(model, velocity, waiting[0], keys, 1e-5, 0.9, 1.0)
        features = Features(bands=settings.inputs - 1, normalize="utterance")
        saved = SavedModel(model, features, Alphabet(), {"velocity": velocity}, {})
        save_weights(tmp_path / "checkpoint", saved)
        needed = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert said / 1.5 < needed < said * 1.5


def test_the_work_of_a_frame_is_counted_weight_by_weight():
    """A product and an addition for each weight forward, for its gradient, and for that of its input, which
    the frames themselves do not need.
    """
    H, D, K = 2048, 19 * 81, 29
    layers = 3 * H * H + 2 * H * H + H * H + K * H  # W2 W3 W4, Wr_f Wr_b, W5, W6
    assert flops_per_frame(ModelSettings(81, 29, 2048, context=9)) == 2 * (2 * D * H + 3 * layers)


def test_time_grows_with_the_frames_and_shrinks_with_the_stride(monkeypatch):
    monkeypatch.setattr("minids.training.resources.matmul_rate", lambda *_: 1e9)
    one = ModelSettings(81, 29, 512, stride=1)
    seconds = estimate(one, 10**6, 1000, 8).epoch_seconds
    assert seconds == pytest.approx(10**6 * flops_per_frame(one) / 0.6e9)
    assert estimate(one, 3 * 10**6, 1000, 8).epoch_seconds == pytest.approx(3 * seconds)
    assert estimate(ModelSettings(81, 29, 512, stride=2), 10**6, 1000, 8).epoch_seconds == seconds / 2
    assert (
        estimate(one, 10**9, 1000, 8).memory == estimate(one, 10**6, 1000, 8).memory == memory(one, 1000, 8)
    )


def test_this_machine_has_a_rate_and_some_memory():
    assert 1e8 < matmul_rate() < 1e14
    free = available_memory()
    assert free is None or 10**6 < free < 10**14
