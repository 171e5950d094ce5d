"""The recurrence on the GPU, or in the cuda_simulator, against the reference: three ways, both passes."""

import math

import numpy as np
import pytest

from minids import ops
from minids._utils.errors import InputError
from minids.gradcheck import relative_error
from minids.ops import driver
from tests.tolerances import FLOAT32_RECURRENCE

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")

from minids.ops.cuda import arrays, birnn
from minids.ops.cuda.limits import Limits

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


def skip_what_does_not_fit(way, H):
    if way == "persistent" and birnn._resident(H) is None:
        pytest.skip(f"this GPU has no room for the weights of {H} units at once")


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
    skip_what_does_not_fit(birnn._way, z.shape[2])
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
    from minids import cuda_simulator

    with cuda_simulator.order(order):
        got, expected = both_passes(*inputs(np.random.default_rng(2), 3, 5, 9))
    for ours, theirs in zip(got, expected, strict=True):
        assert relative_error(ours, theirs) <= FLOAT32_RECURRENCE


def test_the_three_ways_give_the_same():
    """To the last bit, where the same sums are made in the same order; nearly, where chunks differ."""
    numbers, results = inputs(np.random.default_rng(3), 4, 3, 12), []
    skip_what_does_not_fit("persistent", 12)
    for way in ("launches", "graph", "persistent"):
        birnn.use(way)
        results.append(both_passes(*numbers)[0])
    birnn.use(None)
    for first, second, third in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)
        assert relative_error(third, first) <= FLOAT32_RECURRENCE


def test_a_graph_is_kept_for_its_arrays():
    """The second call with the same arrays records, the third starts that on what the arrays now hold."""
    rng = np.random.default_rng(4)
    z, _, Wr_f, Wr_b, lengths = inputs(rng, 3, 2, 4)
    z_, f_, b_, lengths_ = on_device(z, Wr_f, Wr_b, lengths)
    outs = [arrays.empty(z.shape, np.float32) for _ in range(3)]
    birnn.use("graph")
    try:
        birnn.birnn_forward(z_, f_, b_, lengths_, *outs)
        key = next(reversed(birnn._graphs))
        assert birnn._graphs[key] is None
        birnn.birnn_forward(z_, f_, b_, lengths_, *outs)
        graph = birnn._graphs[key]
        assert graph is not None
        z = (z * 0.5).astype(np.float32)
        z_.copy_to_device(z)
        h = arrays.to_host(birnn.birnn_forward(z_, f_, b_, lengths_, *outs)[0])
        assert birnn._graphs[key] is graph
    finally:
        birnn.use(None)
    expected = REFERENCE.birnn_forward(*(a.astype(np.float64) for a in (z, Wr_f, Wr_b)), lengths)[0]
    assert relative_error(h, expected) <= FLOAT32_RECURRENCE


def test_the_graph_that_was_longest_unused_is_forgotten(monkeypatch):
    monkeypatch.setattr(birnn, "_graphs", {})
    monkeypatch.setattr(birnn, "_GRAPHS", 2)
    for key in "abacab":
        birnn._graph(key, lambda: None)
    assert [(key, graph is not None) for key, graph in birnn._graphs.items()] == [("a", True), ("b", False)]


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
    skip_what_does_not_fit(way, 3)
    nan, ones = np.full((2, 1, 3), np.nan, np.float32), np.ones((3, 3), np.float32)
    nan, ones, lengths = on_device(nan, ones, np.array([2], np.int32))
    assert np.isnan(arrays.to_host(birnn.birnn_forward(nan, ones, ones, lengths)[0])).all()


def test_weights_that_do_not_fit_are_run_frame_by_frame(monkeypatch):
    monkeypatch.setattr(birnn, "limits", lambda: Limits(1, 0, True))
    monkeypatch.setattr(birnn, "_resident", birnn._resident.__wrapped__)  # which remembers nothing
    monkeypatch.setattr(birnn, "_graphs", {})
    numbers = inputs(np.random.default_rng(6), 3, 2, 4)
    for ours, theirs in zip(*both_passes(*numbers), strict=True):
        assert relative_error(ours, theirs) <= FLOAT32_RECURRENCE
    assert len(birnn._graphs) == 2  # one for each pass
    birnn.use("persistent")
    try:
        with pytest.raises(InputError, match="the weights of 4 units do not fit on this GPU"):
            birnn.birnn_forward(*on_device(numbers[0], *numbers[2:]))
    finally:
        birnn.use(None)


def test_states_that_do_not_begin_at_sixteen_bytes():
    """The gates of the backward pass are read in fours only where all of them may be."""
    T, B, H = 3, 2, 8
    z, dh, Wr_f, Wr_b, lengths = inputs(np.random.default_rng(7), T, B, H)
    expected = both_passes(z, dh, Wr_f, Wr_b, lengths)[0]
    z_, dh_, f_, b_, lengths_ = on_device(z, dh, Wr_f, Wr_b, lengths)
    _, hf, hb = birnn.birnn_forward(z_, f_, b_, lengths_)
    shifted = [arrays.empty((T * B * H + 1,), np.float32)[1:].reshape(T, B, H) for _ in range(2)]
    for state, place in zip((hf, hb), shifted, strict=True):
        arrays.copy(arrays.to_host(state), place)
    gradients = birnn.birnn_backward(dh_, *shifted, f_, b_, lengths_)
    for ours, theirs in zip(gradients, expected[3:], strict=True):
        assert relative_error(arrays.to_host(ours), theirs) <= FLOAT32_RECURRENCE


def test_an_unknown_way_is_named():
    with pytest.raises(InputError, match="'whole': choose one of launches, graph, persistent"):
        birnn.use("whole")
