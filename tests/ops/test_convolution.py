"""The first layer as a fast convolution against the plain sums of the reference, in float64."""

import os
import subprocess
import sys

import numpy as np
import pytest

from minids import ops
from minids.ops.common import Dropout
from minids.ops.cpu import convolution
from minids.ops.cpu.context import Windows
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
    of_length = convolution.plan_of_length(N, -(-(2 * C + 1) // stride), -(-T0 // stride))
    monkeypatch.setattr(convolution, "plan", lambda *_: of_length)
    for F, H in ((1, 1), (5, 130)):
        check(*layer(np.random.default_rng(T0), T0, 3, F, C, stride, H), C, stride)


@pytest.mark.parametrize(("size", "fast"), [((150, 4, 41, 5, 2, 64), True), ((12, 2, 3, 1, 1, 8), False)])
def test_a_layer_is_computed_in_the_cheaper_way(monkeypatch, size, fast):
    stacked = []
    monkeypatch.setattr(Windows, "stacked", lambda x, stack=Windows.stacked: stacked.append(x) or stack(x))
    windows = check(*layer(np.random.default_rng(2), *size), *size[3:5])
    assert stacked == ([] if fast else [windows] * 2)


def test_a_transform_pays_with_the_number_of_taps_and_frames():
    assert convolution.plan(200, 16, 19 * 161, 512, size=19, stride=1)
    assert not convolution.plan(200, 16, 161, 512, size=1, stride=1)
    assert not convolution.plan(2, 1, 19 * 161, 512, size=19, stride=1)
    assert not convolution.plan(0, 16, 19 * 161, 512, size=19, stride=1)
    assert not convolution.plan(200, 0, 19 * 161, 512, size=19, stride=1)


def test_spans_of_the_windows_and_layers_of_other_widths_share_the_workspace():
    """As two ranks split the frames. The window of an output may begin before the span."""
    frames, W, b, dy, lengths, _ = layer(np.random.default_rng(3), 300, 4, 41, 4, 1, 96)
    windows = CPU.context_forward(frames, lengths, 4, 1)
    y = CPU.affine_forward(windows, W, b, True)
    expected = CPU.affine_backward(dy, windows, W, y, True, needs_dx=False)[1]
    span = windows[30:100]
    assert (span.shape, windows[290:999].shape[0], windows[:7].shape[0]) == ((70, 4, 9 * 41), 10, 7)
    assert relative_error(CPU.affine_forward(span, W, b, True), y[30:100]) <= FLOAT32_SUM
    CPU.affine_forward(windows, np.concatenate([W] * 8), np.concatenate([b] * 8))
    np.testing.assert_array_equal(CPU.affine_backward(dy, windows, W, y, True, needs_dx=False)[1], expected)
    np.testing.assert_array_equal(span.stacked(), np.array(windows.stacked())[30:100])


@pytest.mark.parametrize("threads", [1, 5])
def test_the_bits_do_not_depend_on_the_number_of_threads(threads):
    """In a process of its own: the number of threads can only fall."""
    code = """
import hashlib, numpy as np
from minids import ops
rng, cpu = np.random.default_rng(5), ops.load("cpu")
x = cpu.context_forward(rng.normal(size=(150, 4, 41)).astype(np.float32), np.full(4, 150, np.int32), 4, 1)
W, b = rng.normal(size=(130, 9 * 41)).astype(np.float32), np.zeros(130, np.float32)
y = cpu.affine_forward(x, W, b, True)
_, dW, db = cpu.affine_backward(y, x, W, y, True, needs_dx=False)
print(hashlib.sha256(y.tobytes() + dW.tobytes() + db.tobytes()).hexdigest())
"""
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"NUMBA_NUM_THREADS": str(n)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n in (2, threads)
    }
    assert len(digests) == 1


def test_the_gradient_of_the_windows_is_that_of_stacked_frames():
    frames, W, b, dy, lengths, _ = layer(np.random.default_rng(4), 120, 2, 41, 4, 1, 48)
    windows = CPU.context_forward(frames, lengths, 4, 1)
    y = CPU.affine_forward(windows, W, b, True)
    dx, _, _ = CPU.affine_backward(dy, windows, W, y, True)
    expected, _, _ = CPU.affine_backward(dy, windows.stacked(), W, y, True)
    np.testing.assert_array_equal(dx, expected)
