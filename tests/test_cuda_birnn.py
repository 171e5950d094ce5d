"""The recurrence on the GPU, or in the simulator, against the reference: three ways, both passes."""

import math

import numpy as np
import pytest

from minids import ops
from minids.errors import InputError
from minids.gradcheck import relative_error
from minids.ops import driver
from tests.tolerances import FLOAT32_RECURRENCE

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")

from minids.ops.cuda import arrays, birnn

REFERENCE = ops.load("reference")
# T, B, H: one of each, no frames, ragged units, more utterances than a block has at a time, several
# chunks along k, and so many blocks that the directions take turns
SHAPES = [(1, 1, 1), (0, 2, 3), (3, 1, 5), (5, 2, 8), (3, 9, 12), (4, 3, 17), (2, 2, 40)]
if not driver.simulated():
    SHAPES += [(20, 32, 2048), (30, 5, 1023), (50, 64, 512)]


@pytest.fixture(params=["launches", "graph", "persistent", None])
def way(request):
    birnn.use(request.param)
    yield request.param
    birnn.use(None)


def inputs(rng, T, B, H):
    """z, dh, Wr_f, Wr_b, lengths: uneven, NaN past them; the states meet both kinks."""
    lengths = rng.integers(0, T + 1, B).astype(np.int32)
    lengths[:1], lengths[1:2] = T, 0
    z, dh = 9 * rng.normal(size=(T, B, H)), rng.normal(size=(T, B, H))
    past = np.arange(T)[:, None] >= lengths
    z[past], dh[past] = np.nan, np.nan
    Wr_f, Wr_b = (0.7 / math.sqrt(H) * rng.normal(size=(2, H, H))).astype(np.float32)
    return z.astype(np.float32), dh.astype(np.float32), Wr_f, Wr_b, lengths


def on_device(*host):
    return [arrays.from_host(a) for a in host]


def both_passes(z, dh, Wr_f, Wr_b, lengths):
    """h, hf, hb, then dz, dWr_f, dWr_b, as NumPy; and the reference's, gates by the same states."""
    z_, dh_, f_, b_, lengths_ = on_device(z, dh, Wr_f, Wr_b, lengths)
    states = birnn.birnn_forward(z_, f_, b_, lengths_)
    gradients = birnn.birnn_backward(dh_, *states[1:], f_, b_, lengths_)
    got = [arrays.to_host(a) for a in (*states, *gradients)]
    z, dh, Wr_f, Wr_b, hf, hb = (a.astype(np.float64) for a in (z, dh, Wr_f, Wr_b, got[1], got[2]))
    expected = (
        *REFERENCE.birnn_forward(z, Wr_f, Wr_b, lengths),
        *REFERENCE.birnn_backward(dh, hf, hb, Wr_f, Wr_b, lengths),
    )
    return got, expected


@pytest.mark.parametrize(("T", "B", "H"), SHAPES)
def test_birnn_is_the_reference(way, T, B, H):
    got, expected = both_passes(*inputs(np.random.default_rng(1), T, B, H))
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.shape == theirs.shape
        if ours.size:
            assert relative_error(ours, theirs) <= FLOAT32_RECURRENCE


@pytest.mark.parametrize("order", ["reverse", "random"])
def test_birnn_whichever_thread_comes_first(way, order):
    if not driver.simulated():
        pytest.skip("a GPU has its own order")
    from minids.ops.cuda import simulator

    with simulator.order(order):
        got, expected = both_passes(*inputs(np.random.default_rng(2), 3, 5, 9))
    for ours, theirs in zip(got, expected, strict=True):
        assert relative_error(ours, theirs) <= FLOAT32_RECURRENCE


def test_the_three_ways_give_the_same():
    """To the last bit, where the same sums are made in the same order; nearly, where chunks differ."""
    numbers, results = inputs(np.random.default_rng(3), 4, 3, 12), []
    for way in ("launches", "graph", "persistent"):
        birnn.use(way)
        results.append(both_passes(*numbers)[0])
    birnn.use(None)
    for first, second, third in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)
        assert relative_error(third, first) <= FLOAT32_RECURRENCE


def test_a_graph_is_kept_for_its_arrays():
    """The second call with the same arrays starts the recorded launches on what the arrays now hold."""
    rng = np.random.default_rng(4)
    z, _, Wr_f, Wr_b, lengths = inputs(rng, 3, 2, 4)
    z_, f_, b_, lengths_ = on_device(z, Wr_f, Wr_b, lengths)
    outs = [arrays.empty(z.shape, np.float32) for _ in range(3)]
    birnn.use("graph")
    try:
        birnn.birnn_forward(z_, f_, b_, lengths_, *outs)
        kept = len(birnn._graphs)
        z = (z * 0.5).astype(np.float32)
        z_.copy_to_device(z)
        h = arrays.to_host(birnn.birnn_forward(z_, f_, b_, lengths_, *outs)[0])
        assert len(birnn._graphs) == kept
    finally:
        birnn.use(None)
    expected = REFERENCE.birnn_forward(*(a.astype(np.float64) for a in (z, Wr_f, Wr_b)), lengths)[0]
    assert relative_error(h, expected) <= FLOAT32_RECURRENCE


def test_outputs_go_where_they_are_sent_as_the_model_does(way):
    """dz may lie where delta_f does; the transposed weights go into the room, which has more."""
    T, B, H = 4, 2, 8
    z, dh, Wr_f, Wr_b, lengths = inputs(np.random.default_rng(5), T, B, H)
    expected = both_passes(z, dh, Wr_f, Wr_b, lengths)[0]
    z_, dh_, f_, b_, lengths_ = on_device(z, dh, Wr_f, Wr_b, lengths)
    h, hf, hb, one, three = (arrays.empty((T, B, H), np.float32) for _ in range(5))
    dWr_f, dWr_b = (arrays.empty((H, H), np.float32) for _ in range(2))
    room = arrays.empty((2, H, H + 2 * B), np.float32)
    birnn.birnn_forward(z_, f_, b_, lengths_, h, hf, hb, room)
    birnn.birnn_backward(dh_, hf, hb, f_, b_, lengths_, one, three, one, dWr_f, dWr_b, room)
    for ours, theirs in zip((h, hf, hb, one, dWr_f, dWr_b), expected, strict=True):
        np.testing.assert_array_equal(arrays.to_host(ours), theirs)


def test_not_a_number_is_never_swallowed(way):
    nan, ones = np.full((2, 1, 3), np.nan, np.float32), np.ones((3, 3), np.float32)
    nan, ones, lengths = on_device(nan, ones, np.array([2], np.int32))
    assert np.isnan(arrays.to_host(birnn.birnn_forward(nan, ones, ones, lengths)[0])).all()


def test_weights_that_do_not_fit_are_run_frame_by_frame():
    assert birnn._resident(4) is not None
    assert birnn._resident(10**6) is None
    birnn.use("persistent")
    try:
        with pytest.raises(
            InputError, match="recurrence = 'whole': choose one of launches, graph, persistent"
        ):
            birnn.use("whole")
    finally:
        birnn.use(None)
