"""The first layer as a fast convolution against the plain sums of the reference, in float64."""

import numpy as np
import pytest

from minids import ops
from minids.ops.common import Dropout
from minids.ops.cpu import convolution
from tests.tolerances import FLOAT32_SUM

REFERENCE, CPU = ops.load("reference"), ops.load("cpu")


def relative_error(value, expected):
    return abs(value - expected).max() / abs(expected).max()


@pytest.mark.parametrize(("N", "J"), [(2, 1), (4, 3), (8, 8), (16, 5), (64, 19), (128, 19)])
def test_three_matrices_and_products_of_numbers_are_a_convolution(N, J):
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=N), rng.normal(size=J)
    A, G, S = convolution.transforms(N, J)
    assert (A.shape, G.shape, S.shape) == ((3 * N // 2 - 1, N), (len(A), J), (N - J + 1, len(A)))
    np.testing.assert_allclose(S @ ((A @ x) * (G @ w)), np.correlate(x, w, "valid"), atol=2e-6 * N)


def layer(rng, T0, B, F, C, stride, H, rate=0.3):
    """Arguments of a layer, with NaN past each utterance, one of which is empty."""
    frames, lengths = rng.normal(size=(T0, B, F)), rng.integers(0, T0 + 1, B).astype(np.int32)
    lengths[0], lengths[-1] = 0, T0
    frames[np.arange(T0)[:, None] >= lengths] = np.nan
    W, b = rng.normal(size=(H, (2 * C + 1) * F)) / 4, rng.normal(size=H)
    dy = rng.normal(size=(-(-T0 // stride), B, H))
    dropout = Dropout(rate, rng.integers(0, 2**32, B, dtype=np.uint32))
    return *(a.astype(np.float32) for a in (frames, W, b, dy)), lengths, dropout


def check(frames, W, b, dy, lengths, dropout, C, stride):
    windows = CPU.context_forward(frames, lengths, C, stride)
    y = CPU.affine_forward(windows, W, b, True, dropout)
    none, dW, db = CPU.affine_backward(dy, windows, W, y, True, dropout, needs_dx=False)
    x = REFERENCE.context_forward(frames.astype(np.float64), lengths, C, stride)
    W, b, dy, y64 = (a.astype(np.float64) for a in (W, b, dy, y))
    assert relative_error(y, REFERENCE.affine_forward(x, W, b, True, dropout)) <= FLOAT32_SUM
    # from the same y, so that the gates of the clip agree
    _, expected_dW, expected_db = REFERENCE.affine_backward(dy, x, W, y64, True, dropout, needs_dx=False)
    assert none is None
    assert relative_error(dW, expected_dW) <= FLOAT32_SUM
    assert relative_error(db, expected_db) <= FLOAT32_SUM
    return windows


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("T0", "C", "N"), [(1, 1, 8), (23, 1, 16), (40, 4, 16), (41, 9, 20), (50, 3, 128)])
def test_a_layer_in_blocks_of_any_length(monkeypatch, T0, C, N, stride):
    """Blocks that end with, before and after the frames; phases with fewer taps; slabs of unequal width."""
    monkeypatch.setattr(convolution, "transform_length", lambda *_: N)
    for F, H in ((1, 1), (5, 130)):
        check(*layer(np.random.default_rng(T0), T0, 3, F, C, stride, H), C, stride)


@pytest.mark.parametrize(("size", "fast"), [((150, 4, 41, 5, 2, 64), True), ((12, 2, 3, 1, 1, 8), False)])
def test_a_layer_is_computed_in_the_cheaper_way(size, fast):
    windows = check(*layer(np.random.default_rng(2), *size), *size[3:5])
    assert bool(windows.transform_length(size[-1])) == fast
    assert ("stacked" in vars(windows)) != fast, "no stacked frames are made"


def test_a_transform_pays_with_the_number_of_taps_and_frames():
    assert convolution.transform_length(200, 16, 161, 512, size=19, stride=1) > 19
    assert convolution.transform_length(200, 16, 161, 512, size=1, stride=1) == 0
    assert convolution.transform_length(2, 1, 161, 512, size=19, stride=1) == 0


def test_a_span_of_the_windows_is_a_layer_of_its_own():
    """As two ranks split the frames; the window of an output may begin before the span."""
    frames, W, b, _, lengths, _ = layer(np.random.default_rng(3), 120, 2, 41, 4, 2, 48)
    windows = CPU.context_forward(frames, lengths, 4, 2)
    whole = CPU.affine_forward(windows, W, b, True)
    span = windows[10:50]
    assert (span.shape, windows[50:99].shape[0]) == ((40, 2, 9 * 41), 10)
    assert relative_error(CPU.affine_forward(span, W, b, True), whole[10:50]) <= FLOAT32_SUM
    expected = CPU.context_forward(frames, lengths, 4, 2).stacked[10:50]
    np.testing.assert_array_equal(windows[10:50].stacked, expected)


def test_the_gradient_of_the_windows_is_that_of_stacked_frames():
    frames, W, b, dy, lengths, _ = layer(np.random.default_rng(4), 120, 2, 41, 4, 1, 48)
    windows = CPU.context_forward(frames, lengths, 4, 1)
    y = CPU.affine_forward(windows, W, b, True)
    dx, _, _ = CPU.affine_backward(dy, windows, W, y, True)
    expected, _, _ = CPU.affine_backward(dy, windows.stacked, W, y, True)
    np.testing.assert_array_equal(dx, expected)
