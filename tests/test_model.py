"""The network against the formulas of the paper's §2, written out frame by frame for one utterance."""

import dataclasses
import math
import tracemalloc

import numpy as np
import pytest

from minids import DeepSpeech, ctc_loss, ops
from minids._utils.random import generator
from minids.gradcheck import relative_error
from minids.model import ModelSettings
from minids.ops.common import hash32, hash_key
from minids.training.step import step  # the steady state is the trainer's
from tests.tolerances import FLOAT32_NETWORK, FLOAT64_ORDER

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])  # whose arrays are NumPy's
SMALL = ModelSettings(inputs=3, characters=5, hidden=7, context=2, stride=2, dropout=0.3)


def g(z):
    return np.minimum(np.maximum(z, 0), 20)


def plain(settings, params, frames, dropout_key=None):
    """frames (T0, F) of one utterance -> log_probs (T, K) and every activation, by name."""
    p = {name: value.astype(np.float64) for name, value in params.items()}
    C, H, T0 = settings.context, settings.hidden, len(frames)
    T = math.ceil(T0 / settings.stride)

    def dropout_mask(layer, t):
        """1 / (1 - p) or 0 for each unit."""
        if dropout_key is None:
            return np.ones(H)
        units = np.arange(H, dtype=np.uint32) + np.uint32((hash_key(dropout_key, layer) + t * H) % 2**32)
        return (hash32(units) >= settings.dropout * 2**32) / (1 - settings.dropout)

    h1, h2, h3, hf, hb, h4, h5, log_probs = (np.zeros((T, n)) for n in [H] * 7 + [settings.characters])
    for t in range(T):
        near = range(t * settings.stride - C, t * settings.stride + C + 1)
        x = np.concatenate([frames[i] if 0 <= i < T0 else np.zeros(settings.inputs) for i in near])
        h1[t] = g(p["W1"] @ x + p["b1"]) * dropout_mask(1, t)
        h2[t] = g(p["W2"] @ h1[t] + p["b2"]) * dropout_mask(2, t)
        h3[t] = g(p["W3"] @ h2[t] + p["b3"]) * dropout_mask(3, t)
    for t in range(T):
        hf[t] = g(p["W4"] @ h3[t] + p["Wr_f"] @ (hf[t - 1] if t > 0 else np.zeros(H)) + p["b4"])
    for t in reversed(range(T)):
        hb[t] = g(p["W4"] @ h3[t] + p["Wr_b"] @ (hb[t + 1] if t < T - 1 else np.zeros(H)) + p["b4"])
    for t in range(T):
        h4[t] = hf[t] + hb[t]
        h5[t] = g(p["W5"] @ h4[t] + p["b5"]) * dropout_mask(5, t)
        z6 = p["W6"] @ h5[t] + p["b6"]
        log_probs[t] = z6 - math.log(sum(math.exp(z) for z in z6))
    return log_probs, {"h1": h1, "h2": h2, "h3": h3, "hf": hf, "hb": hb, "h4": h4, "h5": h5}


def network(backend, dtype="float32", settings=SMALL, seed=0):
    """Larger weights than those of the start, so that units sit on both sides of both kinks."""
    model, rng = DeepSpeech(settings, seed, backend, dtype), np.random.default_rng(seed)
    for name, value in model.params.items():
        if name.startswith("b"):
            value[...] = rng.normal(scale=2, size=value.shape)
        else:
            value *= {"W1": 14, "W3": 2, "W4": 4, "Wr_f": 2, "Wr_b": 2, "W5": 2}.get(name, 1)
    return model


def batch(settings=SMALL, lengths=(11, 1, 8, 5), poison=np.nan, seed=1):
    rng = np.random.default_rng(seed)
    frames = rng.normal(size=(max(lengths), len(lengths), settings.inputs)).astype(np.float32)
    for b, n in enumerate(lengths):
        frames[n:, b] = poison
    labels = np.array([[1, 1, 2], [4, 0, 0], [0, 0, 0], [3, 2, 0]], np.int32)[: len(lengths)]
    label_lengths = np.array([3, 1, 0, 2], np.int32)[: len(lengths)]
    keys = np.array([hash_key(9, b) for b in range(len(lengths))], np.uint32)
    return frames, np.array(lengths, np.int32), labels, label_lengths, keys


@pytest.mark.parametrize(("backend", "dtype"), [("reference", "float64"), ("cpu", "float32")])
@pytest.mark.parametrize("dropout", [False, True])
def test_forward_is_the_papers_network(backend, dtype, dropout):
    """A padded batch with NaN in the padding. Dropout is in layers 1, 2, 3, 5, not in the recurrent one."""
    model = network(backend, dtype)
    frames, lengths, *_, keys = batch()
    log_probs, after = model.forward(frames.astype(dtype), lengths, keys if dropout else None)
    np.testing.assert_array_equal(after, [6, 1, 4, 3])
    tolerance = {"float64": FLOAT64_ORDER, "float32": FLOAT32_NETWORK}[dtype]
    for b, (n, T) in enumerate(zip(lengths, after, strict=True)):
        expected, h = plain(SMALL, model.params, frames[:n, b], int(keys[b]) if dropout else None)
        np.testing.assert_allclose(log_probs[:T, b], expected, rtol=tolerance, atol=tolerance)
        if b == 0:  # not vacuous: both kinks occur, and the sum of the directions is not clipped
            assert all((h[name] == 0).any() and (h[name] >= 20).any() for name in ("h1", "hf", "hb", "h5"))
            assert (h["h4"] > 20).any()


@BACKENDS
@pytest.mark.parametrize("stride", [1, 3])
def test_forward_at_other_strides_without_context(backend, stride):
    settings = ModelSettings(inputs=4, characters=3, hidden=5, context=0, stride=stride)
    model = network(backend, settings=settings)
    frames, lengths, *_ = batch(settings, (7, 4, 3))
    log_probs, after = model.forward(frames, lengths)
    for b, (n, T) in enumerate(zip(lengths, after, strict=True)):
        expected, _ = plain(settings, model.params, frames[:n, b])
        np.testing.assert_allclose(log_probs[:T, b], expected, rtol=FLOAT32_NETWORK, atol=FLOAT32_NETWORK)


@BACKENDS
def test_a_batch_may_hold_an_utterance_without_frames(backend):
    model = network(backend)
    frames, lengths, labels, label_lengths, keys = batch(lengths=(0, 6))
    losses = model.loss_and_grad(frames, lengths, labels, label_lengths, keys)
    assert losses[0] == math.inf
    assert math.isfinite(losses[1])
    both = model.flat_grads.copy()
    model.loss_and_grad(
        np.ascontiguousarray(frames[:, 1:]), lengths[1:], labels[1:], label_lengths[1:], keys[1:]
    )
    assert relative_error(both, model.flat_grads) <= FLOAT32_NETWORK


@pytest.mark.parametrize(
    ("inputs", "hidden", "millions"),
    [(81, 2048, "27.1 27.7 28.4"), (81, 2304, "34.0 34.7 35.5"), (161, 2560, "43.9 45.6 47.2")],
)
def test_sizes_of_the_papers_networks(inputs, hidden, millions):
    """§5.1, §5.2 with 5, 7, 9 frames of context on each side, 29 characters."""
    for C, expected in zip((5, 7, 9), millions.split(), strict=True):
        shapes = ModelSettings(inputs, 29, hidden, C).shapes()
        count, H = sum(math.prod(shape) for shape in shapes.values()), hidden
        assert count == (2 * C + 1) * inputs * H + H + 6 * H**2 + 4 * H + 29 * (H + 1)
        assert f"{count / 1e6:.1f}" == expected


@BACKENDS
def test_reversed_time_exchanges_the_directions(backend):
    """Reversed frames through a network with Wr_f and Wr_b exchanged give the reversed answer."""
    settings = ModelSettings(inputs=3, characters=5, hidden=7, context=2)
    model, mirror = network(backend, settings=settings), network(backend, settings=settings)
    mirror.params["Wr_f"][...], mirror.params["Wr_b"][...] = model.params["Wr_b"], model.params["Wr_f"]
    mirror.params["W1"][...] = model.params["W1"].reshape(7, 5, 3)[:, ::-1].reshape(7, 15)
    frames, lengths, *_ = batch(settings, (12,))
    log_probs, _ = model.forward(frames, lengths)
    mirrored, _ = mirror.forward(np.ascontiguousarray(frames[::-1]), lengths)
    np.testing.assert_allclose(mirrored[::-1], log_probs, atol=FLOAT32_NETWORK)
    again, _ = model.forward(np.ascontiguousarray(frames[::-1]), lengths)
    assert abs(again[::-1] - log_probs).max() > 0.1, "the two directions have different weights"


@BACKENDS
def test_loss_and_grad_is_forward_ctc_backward(backend):
    model = network(backend)
    frames, lengths, labels, label_lengths, keys = batch()
    losses = model.loss_and_grad(frames, lengths, labels, label_lengths, keys)
    gradients = model.flat_grads.copy()
    log_probs, after = model.forward(frames, lengths, keys)
    expected, dlogits = ctc_loss(log_probs, after, labels, label_lengths, backend)
    model.flat_grads[...] = 1e9  # overwritten, not added to
    model.backward(dlogits)
    np.testing.assert_allclose(losses, expected, rtol=FLOAT32_NETWORK)
    assert relative_error(gradients, model.flat_grads) <= FLOAT32_NETWORK
    assert math.isinf(losses[0]) is False


@BACKENDS
def test_an_impossible_text_has_no_gradient(backend):
    frames, lengths, labels, label_lengths, keys = batch()
    model = network(backend)
    kept = np.array([1, 2, 3])
    model.loss_and_grad(frames[:, kept], lengths[kept], labels[kept], label_lengths[kept], keys[kept])
    without = model.flat_grads.copy()
    labels[0], lengths[0] = 1, 8  # 1 1 1 in four frames
    losses = model.loss_and_grad(frames, lengths, labels, label_lengths, keys)
    assert losses[0] == math.inf
    assert np.isfinite(losses[1:]).all()
    assert relative_error(model.flat_grads, without) <= FLOAT32_NETWORK


@BACKENDS
def test_parameters_and_gradients_are_views_of_flat_buffers(backend):
    model = DeepSpeech(SMALL, backend=backend)
    names = ["W1", "b1", "W2", "b2", "W3", "b3", "W4", "b4", "Wr_f", "Wr_b", "W5", "b5", "W6", "b6"]
    for views, flat in ((model.params, model.flat_params), (model.grads, model.flat_grads)):
        assert list(views) == names
        assert sum(view.size for view in views.values()) == flat.size
        flat[...] = np.arange(flat.size)
        np.testing.assert_array_equal(np.concatenate([view.ravel() for view in views.values()]), flat)
        assert {name: view.shape for name, view in views.items()} == SMALL.shapes()


def test_initial_weights_depend_on_the_seed_only():
    first, again = DeepSpeech(SMALL, 3), DeepSpeech(SMALL, 3)
    np.testing.assert_array_equal(first.flat_params, again.flat_params)
    np.testing.assert_array_equal(first.flat_params, DeepSpeech(SMALL, 3, "reference").flat_params)
    assert (first.params["W1"] != DeepSpeech(SMALL, 4).params["W1"]).any()
    large = DeepSpeech(ModelSettings(inputs=81, characters=29, hidden=256), 0)
    for name, value in large.params.items():
        if name.startswith("b"):
            assert not value.any()
        else:
            width = {"Wr_f": 0.5, "Wr_b": 0.5, "W6": 0.1}.get(name, 1.0)
            spread = value.std() * math.sqrt(value.shape[1]) / width
            assert spread == pytest.approx(1, abs=5 / math.sqrt(2 * value.size))
            assert abs(value.mean()) < 5 * value.std() / math.sqrt(value.size)


@BACKENDS
def test_dropout_depends_on_its_keys_and_is_off_without(backend):
    model = network(backend)
    frames, lengths, *_, keys = batch()
    plain_one, _ = model.forward(frames, lengths)
    one, _ = model.forward(frames, lengths, keys)
    again, _ = model.forward(frames, lengths, keys)
    other, _ = model.forward(frames, lengths, keys + np.uint32(1))
    after = (6, 1, 4, 3)
    for b, T in enumerate(after):
        np.testing.assert_array_equal(one[:T, b], again[:T, b])
        assert (one[:T, b] != other[:T, b]).any()
        assert (one[:T, b] != plain_one[:T, b]).any()
    order = np.array([2, 0, 3, 1])
    moved, _ = model.forward(np.ascontiguousarray(frames[:, order]), lengths[order], keys[order])
    for b, source in enumerate(order):
        T = after[source]
        np.testing.assert_allclose(moved[:T, b], one[:T, source], atol=FLOAT32_NETWORK)


@BACKENDS
def test_results_are_copies(backend):
    model = network(backend)
    frames, lengths, labels, label_lengths, _ = batch()
    log_probs, _ = model.forward(frames, lengths)
    losses = model.loss_and_grad(frames, lengths, labels, label_lengths)
    before = log_probs.copy(), losses.copy()
    model.loss_and_grad(*batch(seed=2)[:4])
    np.testing.assert_array_equal(log_probs, before[0])
    np.testing.assert_array_equal(losses, before[1])


@BACKENDS
def test_the_same_batch_gives_the_same_bits_after_other_batches(backend):
    """Also after a larger batch has left its numbers in the memory that is used again."""
    model, small = network(backend), batch()
    losses, gradients = model.loss_and_grad(*small), model.flat_grads.copy()
    model.loss_and_grad(*batch(lengths=(40, 39, 38, 37), seed=5))
    np.testing.assert_array_equal(model.loss_and_grad(*small), losses)
    np.testing.assert_array_equal(model.flat_grads, gradients)


def test_a_training_step_allocates_nothing_after_its_largest_batch():
    settings = ModelSettings(inputs=20, characters=10, hidden=128, context=4, dropout=0.1)
    model, rng = DeepSpeech(settings), np.random.default_rng(0)
    velocity = np.zeros_like(model.flat_params)

    class Ours:
        def __init__(self, T, B, U):
            self.frames, self.lengths = (
                rng.normal(size=(T, B, 20)).astype(np.float32),
                np.full(B, T, np.int32),
            )
            self.labels = rng.integers(1, 10, (B, U)).astype(np.int32)
            self.label_lengths, self.keys = np.full(B, U, np.int32), np.arange(B, dtype=np.uint32)

    def peak(b):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        losses, norm = step(model, velocity, b, b.keys, 1e-4, 0.9, 1.0)
        assert np.isfinite(losses).all()
        assert math.isfinite(norm)
        return tracemalloc.get_traced_memory()[1] - before

    largest, smaller, other = Ours(150, 8, 20), Ours(80, 8, 12), Ours(150, 5, 20)
    for b in (largest, smaller):
        step(model, velocity, b, b.keys, 1e-4, 0.9, 1.0)  # warm up the JIT
    model._pass.workspace._buffers.clear()
    tracemalloc.start()
    try:
        first, rest = peak(largest), [peak(b) for b in (largest, smaller, other, largest)]
    finally:
        tracemalloc.stop()
    activation = 150 * 8 * 128 * 4
    assert first > 11 * activation, "the measure sees NumPy's memory"
    assert max(rest) < activation / 20, "losses, keys and a dictionary of views"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[
            ("inputs", 0),
            ("characters", 0),
            ("hidden", -1),
            ("hidden", 1.5),
            ("context", -1),
            ("context", None),
        ],
        *[("stride", 0), ("stride", 2.0), ("stride", "2"), ("dropout", 1.0), ("dropout", -0.1)],
        ("dropout", math.nan),
    ],
)
def test_invalid_settings_are_refused(name, value):
    sizes = {"inputs": 3, "characters": 5, "hidden": 7, "context": 2, "stride": 2, "dropout": 0.1}
    with pytest.raises(ValueError, match=name):
        ModelSettings(**(sizes | {name: value}))


@BACKENDS
@pytest.mark.parametrize(("T0", "B"), [(0, 2), (5, 0), (0, 0), (5, 2)])
def test_batches_without_frames_or_utterances(backend, T0, B):
    """No frames spell the empty text, for certain."""
    model = DeepSpeech(SMALL, backend=backend)
    frames, lengths = np.zeros((T0, B, 3), np.float32), np.zeros(B, np.int32)
    assert model.forward(frames, lengths)[0].shape == (math.ceil(T0 / 2), B, 5)
    losses = model.loss_and_grad(frames, lengths, np.zeros((B, 0), np.int32), lengths)
    np.testing.assert_array_equal(losses, np.zeros(B))
    assert not model.flat_grads.any()


def test_only_the_reference_computes_in_double_precision():
    with pytest.raises(ValueError, match="dtype = 'float16' must be 'float32' or 'float64'"):
        DeepSpeech(SMALL, backend="reference", dtype="float16")
    with pytest.raises(ValueError, match="the cpu backend computes in float32"):
        DeepSpeech(SMALL, backend="cpu", dtype="float64")
    assert DeepSpeech(SMALL, backend="reference", dtype="float64").flat_params.dtype == np.float64


@BACKENDS
@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((6, 2, 4), [6, 6], "inputs"),
        ((6, 2), [6, 6], "frames have the shape"),
        ((6, 2, 3), [7, 6], "lengths must be integers from 0 to 6; one is 7"),
        ((6, 2, 3), [6, -1], "lengths must be integers from 0 to 6; one is -1"),
        ((6, 2, 3), [6], "there are 1 lengths for 2 utterances"),
    ],
)
def test_frames_that_do_not_fit_are_refused(backend, shape, lengths, message):
    """Memory outside the arrays would be read otherwise."""
    model = DeepSpeech(SMALL, backend=backend)
    with pytest.raises(ValueError, match=message):
        model.forward(np.zeros(shape, np.float32), np.array(lengths, np.int32))


@BACKENDS
def test_a_gradient_of_another_shape_is_refused(backend):
    model = DeepSpeech(SMALL, backend=backend)
    model.forward(*batch()[:2])
    with pytest.raises(ValueError, match=r"\(6, 4, 6\), not \(6, 4, 5\)"):
        model.backward(np.zeros((6, 4, 6), np.float32))


def test_initial_weights_share_no_numbers_with_other_streams():
    """Weights drawn like the first utterance's shift or noise would depend on it."""
    weights = DeepSpeech(SMALL, 7).params["W1"].ravel()
    width = 1 / math.sqrt(SMALL.shapes()["W1"][1])
    for stream in ("weights", "shuffle", "augment", "noise"):
        for key_numbers in [(), (0,), (0, 0), (7,), (1, 0)]:
            other = generator(stream, 7, *key_numbers).normal(0, width, weights.size)
            assert not np.isin(weights, other.astype(np.float32)).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W1": np.zeros((7, 14), np.float32)}, r"W1 must have the shape \(7, 15\)"),
        ({"b6": None}, "b6 must have the shape"),
    ],
)
def test_parameters_of_other_shapes_are_refused(change, message):
    params = dict(DeepSpeech(SMALL).params) | change
    with pytest.raises(ValueError, match=message):
        DeepSpeech(SMALL).load_params({name: value for name, value in params.items() if value is not None})


def test_a_backend_may_be_given_as_an_object():
    calls = []
    backend = ops.load("reference")

    def norm(x):
        calls.append(x.size)
        return backend.norm(x)

    model = DeepSpeech(SMALL, backend=dataclasses.replace(backend, norm=norm))
    assert model.ops.norm(model.flat_params) > 0
    assert calls == [model.flat_params.size]
