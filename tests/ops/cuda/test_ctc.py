"""CTC on the GPU, or in the simulator, compared with the reference in float64."""

import math

import numpy as np
import pytest
from scipy.special import log_softmax

from minids import ops
from minids.ops import driver
from tests.ops.test_ctc import alignments, mixed_batch
from tests.tolerances import CTC_FLOAT32_GRADIENT, CTC_FLOAT32_LONG, CTC_FLOAT32_LOSS

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda", reason="pip install minids[cuda]")
from minids.ops.cuda import arrays, ctc

REFERENCE = ops.load("reference")
SIMULATED = driver.simulated()
ORDERS = ("reverse", "random") if SIMULATED else ("forward",)


def on_gpu(log_probs, lengths, labels, label_lengths, order="forward"):
    """losses (B,), dlogits (T, B, K); in the simulator threads run in this order."""
    batch = log_probs.astype(np.float32), *(np.asarray(a, np.int32) for a in (lengths, labels, label_lengths))
    batch = [arrays.from_host(a) for a in batch]
    if not SIMULATED:
        return [arrays.to_host(a) for a in ctc.ctc(*batch)]
    from minids import cuda_simulator

    with cuda_simulator.thread_order(order):
        return [arrays.to_host(a) for a in ctc.ctc(*batch)]


def single(log_probs, label, order="forward"):
    """One utterance: log_probs (T, K) -> its loss and dlogits (T, K)."""
    losses, dlogits = on_gpu(log_probs[:, None], [len(log_probs)], [list(label) or [0]], [len(label)], order)
    return float(losses[0]), dlogits[:, 0]


def assert_agrees_with_the_reference(batch, order="forward", gradient=CTC_FLOAT32_GRADIENT):
    log_probs, *rest = batch
    losses, dlogits = on_gpu(log_probs, *rest, order)
    expected, expected_dlogits = REFERENCE.ctc(log_probs, *rest)
    np.testing.assert_allclose(losses, expected, rtol=CTC_FLOAT32_LOSS, atol=CTC_FLOAT32_LOSS)
    np.testing.assert_allclose(dlogits, expected_dlogits, atol=gradient)
    assert losses.dtype == dlogits.dtype == np.float32
    return losses, dlogits


def poisoned_batch(seed):
    """Texts of every kind; NaN in the padding."""
    logits, lengths, *rest = mixed_batch(np.random.default_rng(seed), T=24)
    log_probs = log_softmax(logits, axis=2)
    for b, n in enumerate(lengths):
        log_probs[n:, b] = np.nan
    return log_probs, lengths, *rest


def test_texts_of_every_kind_give_the_same_bits_every_time():
    """Long, barely possible, too long, empty, repeats, no frames; noise and NaN in the padding."""
    batch = poisoned_batch(1)
    first = assert_agrees_with_the_reference(batch)
    for order in ORDERS:
        for expected, result in zip(first, on_gpu(*batch, order), strict=True):
            np.testing.assert_array_equal(result, expected)


def test_any_number_of_frames_and_letters():
    """Up to 8 frames and up to 6 letters, in every combination; of two letters, so that some repeat."""
    rng = np.random.default_rng(2)
    lengths, label_lengths = (n.ravel().astype(np.int32) for n in np.meshgrid(range(9), range(7)))
    labels = rng.integers(1, 3, (63, 6)).astype(np.int32)
    batch = log_softmax(rng.normal(scale=3, size=(8, 63, 3)), axis=2), lengths, labels, label_lengths
    losses, _ = assert_agrees_with_the_reference(batch)
    assert 20 < np.isfinite(losses).sum() < 60


@pytest.mark.parametrize(("in_shared", "order"), [(10**6, "forward"), (10**6, "random"), (32, "reverse")])
def test_texts_with_more_states_than_threads(monkeypatch, in_shared, order):
    """32 threads for 101 states: four for each thread, in shared and in global memory."""
    monkeypatch.setattr(ctc, "MAX_THREADS", 32)
    monkeypatch.setattr(ctc, "MAX_SHARED_STATES", in_shared)
    rng = np.random.default_rng(3)
    labels = rng.integers(1, 4, (2, 50)).astype(np.int32)
    log_probs = log_softmax(rng.normal(size=(90, 2, 4)), axis=2)
    batch = log_probs, np.array([90, 70], np.int32), labels, np.array([50, 17], np.int32)
    assert_agrees_with_the_reference(batch, order)


@pytest.mark.parametrize("letters", [300, pytest.param(5000, marks=pytest.mark.gpu)])
def test_long_texts(letters):
    """A few frames in the simulator; on a GPU the longer text needs global memory."""
    T = 20 if SIMULATED else 2 * letters
    label = 1 + np.arange(letters if not SIMULATED else 8) % 3
    labels = np.zeros((1, letters), np.int32)
    labels[0, : len(label)] = label
    log_probs = log_softmax(np.random.default_rng(4).normal(size=(T, 1, 4)), axis=2)
    batch = log_probs, np.array([T], np.int32), labels, np.array([len(label)], np.int32)
    assert_agrees_with_the_reference(batch, gradient=CTC_FLOAT32_LONG)


@pytest.mark.parametrize("sharp", [0, 3, 30])
def test_long_recordings_stay_precise(sharp):
    """Confident logits that do not match the text: probabilities down to e^-100000 on a GPU."""
    T, U = (150, 12) if SIMULATED else (3000, 300)
    log_y = log_softmax(np.random.default_rng(5).normal(scale=sharp, size=(T, 1, 29)), axis=2)
    labels = 1 + np.arange(U, dtype=np.int32)[None] % 28
    assert_agrees_with_the_reference((log_y, np.array([T]), labels, np.array([U])), gradient=CTC_FLOAT32_LONG)


@pytest.mark.parametrize(
    ("T", "label"), [(4, [1, 2]), (5, [1, 1, 1]), (9, [1, 1, 2, 2, 1]), (60, [1, 1, 2] * 3)]
)
def test_uniform_probabilities_count_the_alignments(T, label):
    loss, dlogits = single(np.full((T, 4), -math.log(4)), label)
    assert loss == pytest.approx(T * math.log(4) - math.log(alignments(T, label)), rel=CTC_FLOAT32_LOSS)
    np.testing.assert_allclose(dlogits.sum(axis=1), 0, atol=CTC_FLOAT32_GRADIENT)


@pytest.mark.parametrize(("T", "label"), [(0, [1]), (1, [1, 2]), (2, [1, 1]), (5, [1, 1, 2, 2])])
def test_a_text_that_does_not_fit_has_loss_inf_and_gradient_0(T, label):
    loss, dlogits = single(np.full((T, 3), -math.log(3)), label)
    assert loss == math.inf
    assert not dlogits.any()
    assert math.isfinite(single(np.full((T + 1, 3), -math.log(3)), label)[0])


def test_letters_of_probability_0():
    """One that is in the text, and one that is not."""
    log_y = np.array([[math.log(0.5), math.log(0.5), -math.inf]] * 2)
    loss, dlogits = single(log_y, [1])
    assert loss == pytest.approx(-math.log(0.75))
    np.testing.assert_allclose(dlogits, [[0.5 - 1 / 3, 0.5 - 2 / 3, 0]] * 2, atol=CTC_FLOAT32_GRADIENT)
    loss, dlogits = single(log_y, [2])
    assert loss == math.inf
    assert not dlogits.any()


@pytest.mark.parametrize(
    ("length", "label", "label_length"), [(7, 1, 2), (-1, 1, 2), (6, 3, 2), (6, -1, 2), (6, 1, 3), (6, 1, -1)]
)
def test_invalid_values_give_loss_nan_and_leave_other_utterances_alone(length, label, label_length):
    """A frame, a label or a character that does not exist: on a GPU it would be read from foreign memory."""
    log_probs = log_softmax(np.random.default_rng(6).normal(size=(6, 2, 3)), axis=2)
    labels = np.array([[1, label], [2, 1]], np.int32)
    losses, dlogits = on_gpu(log_probs, [length, 5], labels, [label_length, 2])
    assert math.isnan(losses[0])
    assert not dlogits[:, 0].any()
    expected, gradient = REFERENCE.ctc(log_probs[:, 1:], np.array([5]), labels[1:], np.array([2]))
    np.testing.assert_allclose(losses[1:], expected, rtol=CTC_FLOAT32_LOSS)
    np.testing.assert_allclose(dlogits[:, 1:], gradient, atol=CTC_FLOAT32_GRADIENT)


@pytest.mark.parametrize("frame", [0, 3, 19])
def test_nan_is_passed_on(frame):
    log_y = np.full((20, 3), -math.log(3))
    log_y[frame] = np.nan
    loss, dlogits = single(log_y, [1, 2])
    assert math.isnan(loss)
    assert not dlogits.any()
