"""All implementations of the recurrence on the GPU, or in the simulator, compared with the reference."""

import math
from functools import cache
from unittest import mock

import numpy as np
import pytest

from minids import ops
from minids._utils.errors import InputError
from minids.gradcheck import relative_error
from minids.ops import driver
from minids.ops.common import Workspace
from tests.tolerances import FLOAT32_RECURRENCE

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")

from minids.ops.cuda import arrays, birnn
from minids.ops.cuda.limits import Limits
from minids.ops.cuda.vector_io import address

REFERENCE = ops.load("reference")
# T, B, H: one of each, no frames, incomplete blocks, more utterances than a block handles at a time, several
# chunks along k, and so many blocks that each direction is a launch of its own
SHAPES = [(1, 1, 1), (0, 2, 3), (3, 1, 7), (5, 2, 8), (3, 9, 12), (4, 3, 17), (2, 2, 130)]
if not driver.simulated():  # also blocks of 16 units, and of 32
    SHAPES += [(3, 33, 129), (2, 1, 1026), (2, 17, 1060)]
SHAPES += [
    pytest.param(*shape, marks=pytest.mark.gpu) for shape in ((20, 32, 2048), (30, 5, 1023), (50, 64, 512))
]


EACH_RECURRENCE = pytest.mark.parametrize("recurrence", birnn.RECURRENCES)


def skip_if_it_does_not_fit(recurrence, H):
    if recurrence == "persistent" and birnn._persistent_shape(H) is None:
        pytest.skip(f"the weights of {H} units do not fit on this GPU")


def inputs(rng, T, B, H):
    """z, dh, Wr_f, Wr_b, lengths. NaN in the padding; hidden units lie on both sides of both kinks."""
    lengths = rng.integers(0, T + 1, B).astype(np.int32)
    lengths[:1], lengths[1:2] = T, 0
    z, dh = 9 * rng.normal(size=(T, B, H)), rng.normal(size=(T, B, H))
    past = np.arange(T)[:, None] >= lengths
    z[past], dh[past] = np.nan, np.nan
    Wr_f, Wr_b = (0.7 / math.sqrt(H) * rng.normal(size=(2, H, H))).astype(np.float32)
    return z.astype(np.float32), dh.astype(np.float32), Wr_f, Wr_b, lengths


def to_device(*host_arrays):
    return [arrays.from_host(a) for a in host_arrays]


def both_passes(z, dh, Wr_f, Wr_b, lengths, recurrence="auto"):
    """h, hf, hb, dz, dWr_f, dWr_b, and those of the reference, whose backward pass reads the same states."""
    skip_if_it_does_not_fit(recurrence, z.shape[2])
    z_, dh_, f_, b_, lengths_ = to_device(z, dh, Wr_f, Wr_b, lengths)
    states = birnn.birnn_forward(z_, f_, b_, lengths_, recurrence=recurrence)
    gradients = birnn.birnn_backward(dh_, *states[1:], f_, b_, lengths_, recurrence=recurrence)
    result = [arrays.to_host(a) for a in (*states, *gradients)]
    z, dh, Wr_f, Wr_b, hf, hb = (a.astype(np.float64) for a in (z, dh, Wr_f, Wr_b, result[1], result[2]))
    expected = (
        *REFERENCE.birnn_forward(z, Wr_f, Wr_b, lengths),
        *REFERENCE.birnn_backward(dh, hf, hb, Wr_f, Wr_b, lengths),
    )
    return result, expected


@EACH_RECURRENCE
@pytest.mark.parametrize(("T", "B", "H"), SHAPES)
def test_birnn_agrees_with_the_reference(recurrence, T, B, H):
    for result, expected in zip(
        *both_passes(*inputs(np.random.default_rng(1), T, B, H), recurrence), strict=True
    ):
        assert result.shape == expected.shape
        if result.size:
            assert relative_error(result, expected) <= FLOAT32_RECURRENCE


@EACH_RECURRENCE
@pytest.mark.parametrize("order", ["reverse", "random"])
def test_birnn_does_not_depend_on_the_order_of_threads(recurrence, order):
    if not driver.simulated():
        pytest.skip("the order of threads on a GPU cannot be chosen")
    from minids import cuda_simulator

    with cuda_simulator.thread_order(order):
        results = both_passes(*inputs(np.random.default_rng(2), 3, 5, 9), recurrence)
    for result, expected in zip(*results, strict=True):
        assert relative_error(result, expected) <= FLOAT32_RECURRENCE


def test_the_two_implementations_agree():
    """Closely: the order of the additions differs."""
    numbers = inputs(np.random.default_rng(3), 4, 3, 12)
    for first, second in zip(
        *(both_passes(*numbers, recurrence)[0] for recurrence in ("graph", "persistent")), strict=True
    ):
        assert relative_error(second, first) <= FLOAT32_RECURRENCE


def test_a_graph_is_recorded_once_and_serves_any_number_of_frames():
    """Up to that of the call that recorded it, with other contents of the same arrays."""
    rng = np.random.default_rng(4)
    T, B, H = 2 * birnn.GRAPH_FRAMES + 1, 2, 4
    z, _, Wr_f, Wr_b, _ = inputs(rng, T, B, H)
    z_, *outs = (arrays.empty(z.shape, np.float32) for _ in range(4))
    f_, b_, lengths_ = to_device(Wr_f, Wr_b, np.full(B, T, np.int32))
    graphs = []
    for frames in (1, T, T - 1, birnn.GRAPH_FRAMES, 1, T):
        z = (9 * rng.normal(size=(frames, B, H))).astype(np.float32)
        arrays.copy(z, z_[:frames])
        z_some, *outs_some = (a[:frames] for a in (z_, *outs))
        h, *_ = birnn.birnn_forward(z_some, f_, b_, lengths_, *outs_some, recurrence="graph")
        expected = REFERENCE.birnn_forward(z, Wr_f, Wr_b, np.full(B, T))[0]
        assert relative_error(arrays.to_host(h), expected) <= FLOAT32_RECURRENCE
        graphs.append(birnn._graphs()[next(reversed(birnn._graphs()))])
    assert graphs[0] != graphs[1]
    assert graphs[1:] == [graphs[1]] * 5


def test_a_graph_belongs_to_its_arrays_and_to_their_shape():
    """Batches of another shape are views of the same buffers."""
    rng, H = np.random.default_rng(8), 4
    _, _, Wr_f, Wr_b, _ = inputs(rng, 1, 1, H)
    f_, b_, lengths_ = to_device(Wr_f, Wr_b, np.full(3, 2, np.int32))
    buffers = [[arrays.empty((6 * H,), np.float32) for _ in range(4)] for _ in range(2)]
    for T, B, which in ((2, 3, 0), (3, 2, 0), (2, 2, 0), (2, 2, 1)) * 3:
        z = (9 * rng.normal(size=(T, B, H))).astype(np.float32)
        z_, *outs = (buffer[: T * B * H].reshape(T, B, H) for buffer in buffers[which])
        arrays.copy(z, z_)
        h, *_ = birnn.birnn_forward(z_, f_, b_, lengths_[:B], *outs, recurrence="graph")
        expected = REFERENCE.birnn_forward(z, Wr_f, Wr_b, np.full(B, 2))[0]
        assert relative_error(arrays.to_host(h), expected) <= FLOAT32_RECURRENCE


def test_the_least_recently_used_graph_is_dropped(monkeypatch):
    monkeypatch.setattr(birnn, "_graphs", cache(dict))
    monkeypatch.setattr(birnn, "MAX_GRAPHS", 2)
    monkeypatch.setattr(birnn, "capture", lambda frames: mock.Mock())
    a, b, c = (arrays.empty((4,), np.float32) for _ in range(3))
    for array in (a, b, a, c, a, b):
        birnn._launch_graph(None, [array], None, 1, 1, 4)
    assert [key[-1] for key in birnn._graphs()] == [address(a), address(b)]


@EACH_RECURRENCE
def test_outputs_are_written_to_the_output_arguments(recurrence):
    """dz may be delta_f, as in the model."""
    T, B, H = 4, 2, 8
    z, dh, Wr_f, Wr_b, lengths = inputs(np.random.default_rng(5), T, B, H)
    expected = both_passes(z, dh, Wr_f, Wr_b, lengths, recurrence)[0]
    z_, dh_, f_, b_, lengths_ = to_device(z, dh, Wr_f, Wr_b, lengths)
    h, hf, hb, delta_f, delta_b = (arrays.empty((T, B, H), np.float32) for _ in range(5))
    dWr_f, dWr_b = (arrays.empty((H, H), np.float32) for _ in range(2))
    options = {"workspace": Workspace(arrays, np.float32), "recurrence": recurrence}
    birnn.birnn_forward(z_, f_, b_, lengths_, h=h, hf=hf, hb=hb, **options)
    outs = {"delta_f": delta_f, "delta_b": delta_b, "dz": delta_f, "dWr_f": dWr_f, "dWr_b": dWr_b}
    birnn.birnn_backward(dh_, hf, hb, f_, b_, lengths_, **outs, **options)
    for array, values in zip((h, hf, hb, delta_f, dWr_f, dWr_b), expected, strict=True):
        np.testing.assert_array_equal(arrays.to_host(array), values)


@EACH_RECURRENCE
def test_nan_is_passed_on(recurrence):
    skip_if_it_does_not_fit(recurrence, 3)
    nan, ones = np.full((2, 1, 3), np.nan, np.float32), np.ones((3, 3), np.float32)
    nan, ones, lengths = to_device(nan, ones, np.array([2], np.int32))
    h, *_ = birnn.birnn_forward(nan, ones, ones, lengths, recurrence=recurrence)
    assert np.isnan(arrays.to_host(h)).all()


def test_weights_that_do_not_fit_use_graphs(monkeypatch):
    monkeypatch.setattr(birnn, "limits", lambda: Limits(1, 0, True))
    monkeypatch.setattr(birnn, "_persistent_shape", birnn._persistent_shape.__wrapped__)  # without its cache
    monkeypatch.setattr(birnn, "_graphs", cache(dict))
    numbers = inputs(np.random.default_rng(6), 3, 2, 4)
    for result, expected in zip(*both_passes(*numbers), strict=True):
        assert relative_error(result, expected) <= FLOAT32_RECURRENCE
    assert len(birnn._graphs()) == 2  # one for each pass
    with pytest.raises(InputError, match="the weights of 4 units do not fit on this GPU"):
        birnn.birnn_forward(*to_device(numbers[0], *numbers[2:]), recurrence="persistent")


def test_states_at_any_address():
    """Only states at multiples of 16 bytes allow vectorized access."""
    T, B, H = 3, 2, 8
    z, dh, Wr_f, Wr_b, lengths = inputs(np.random.default_rng(7), T, B, H)
    expected = both_passes(z, dh, Wr_f, Wr_b, lengths)[0]
    z_, dh_, f_, b_, lengths_ = to_device(z, dh, Wr_f, Wr_b, lengths)
    _, hf, hb = birnn.birnn_forward(z_, f_, b_, lengths_)
    shifted = [arrays.empty((T * B * H + 1,), np.float32)[1:].reshape(T, B, H) for _ in range(2)]
    for state, copy in zip((hf, hb), shifted, strict=True):
        arrays.copy(arrays.to_host(state), copy)
    gradients = birnn.birnn_backward(dh_, *shifted, f_, b_, lengths_)
    for array, values in zip(gradients, expected[3:], strict=True):
        assert relative_error(arrays.to_host(array), values) <= FLOAT32_RECURRENCE


def test_an_unknown_recurrence_is_named():
    with pytest.raises(InputError, match="recurrence = 'whole' must be one of auto, graph, persistent"):
        ops.load("cuda", recurrence="whole")
