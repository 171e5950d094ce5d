"""A layer on the GPU, or in the simulator, compared with the reference."""

import numpy as np
import pytest

from minids import ops
from minids.gradcheck import relative_error
from minids.ops import driver
from minids.ops.common import Dropout
from tests.tolerances import FLOAT32_SUM

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")

from minids.ops.cuda import arrays
from minids.ops.cuda.affine import affine_backward, affine_forward
from minids.ops.cuda.context import context_forward

REFERENCE = ops.load("reference")
SHAPES = [(1, 1, 1, 1), (1, 9, 7, 15), (5, 3, 12, 8), (0, 2, 3, 4), (3, 2, 33, 5)]  # T, B, H, D
if not driver.simulated():
    SHAPES += [(64, 5, 29, 130)]
SHAPES += [pytest.param(100, 32, 2048, 1539, marks=pytest.mark.gpu)]


def inputs(rng, T, B, H, D, rate):
    """x, W, b, dy in NumPy, and the dropout keys. Hidden units lie on both sides of the clip's kinks."""
    shapes_and_scales = ((T, B, D), 1), ((H, D), 12 * max(D, 2) ** -0.5), ((H,), 8), ((T, B, H), 1)
    arrays = [(scale * rng.normal(size=shape)).astype(np.float32) for shape, scale in shapes_and_scales]
    return arrays, (rng.integers(0, 2**32, B, np.uint32) if rate else None)


def dropouts(rate, keys):
    """The same dropout for the reference and for the GPU."""
    if not rate:
        return None, None
    return Dropout(rate, keys), Dropout(rate, arrays.from_host(keys))


@pytest.mark.parametrize(("T", "B", "H", "D"), SHAPES)
@pytest.mark.parametrize(("clip", "rate"), [(False, 0.0), (True, 0.0), (True, 0.3)])
def test_affine_agrees_with_the_reference(T, B, H, D, clip, rate):
    (x, W, b, dy), keys = inputs(np.random.default_rng(1), T, B, H, D, rate)
    dropout, gpu_dropout = dropouts(rate, keys)
    gx, gW, gb, gdy = (arrays.from_host(a) for a in (x, W, b, dy))
    gy = affine_forward(gx, gW, gb, clip, gpu_dropout)
    result = affine_backward(gdy, gx, gW, gy, clip, gpu_dropout)
    y = arrays.to_host(gy)
    x64, W64, b64, dy64, y64 = (a.astype(np.float64) for a in (x, W, b, dy, y))
    expected = REFERENCE.affine_forward(x64, W64, b64, clip, dropout)
    if y.size:
        assert relative_error(y, expected) <= FLOAT32_SUM
    # from the same y, so that the gates of the clip agree
    gradients = REFERENCE.affine_backward(dy64, x64, W64, y64, clip, dropout)
    for gradient, expected in zip(result, gradients, strict=True):
        gradient = arrays.to_host(gradient)
        assert gradient.shape == expected.shape
        if gradient.size:
            assert relative_error(gradient, expected) <= FLOAT32_SUM


@pytest.mark.parametrize("F", [1, 2, 3, 4, 9])
@pytest.mark.parametrize(("C", "stride"), [(0, 1), (1, 2), (3, 3)])
def test_the_first_layer_reads_frames_in_place(F, C, stride):
    """It agrees with the reference on stacked frames; there are NaN past the lengths."""
    T0, B, H = 7, 3, 6
    (frames, _, b, dy), _ = inputs(np.random.default_rng(3), T0, B, H, F, 0)
    W = np.random.default_rng(4).normal(size=(H, (2 * C + 1) * F)).astype(np.float32)
    lengths = np.array([T0, 0, 2], np.int32)
    for n, utterance in zip(lengths, frames.transpose(1, 0, 2), strict=True):
        utterance[n:] = np.nan
    windows = context_forward(arrays.from_host(frames), arrays.from_host(lengths), C, stride)
    dy = np.ascontiguousarray(dy[: windows.shape[0]])
    gW, gb, gdy = (arrays.from_host(a) for a in (W, b, dy))
    gy = affine_forward(windows, gW, gb, True)
    result = affine_backward(gdy, windows, gW, gy, True, needs_dx=False)
    y = arrays.to_host(gy)
    x64, W64, b64, dy64, y64 = (
        a.astype(np.float64) for a in (REFERENCE.context_forward(frames, lengths, C, stride), W, b, dy, y)
    )
    assert relative_error(y, REFERENCE.affine_forward(x64, W64, b64, True)) <= FLOAT32_SUM
    expected = REFERENCE.affine_backward(dy64, x64, W64, y64, True, needs_dx=False)
    assert result[0] is None
    for gradient, reference in zip(result[1:], expected[1:], strict=True):
        assert relative_error(arrays.to_host(gradient), reference) <= FLOAT32_SUM


def test_gradients_are_written_to_the_output_arguments():
    """dz may be dy, as in the model; without `needs_dx` dx is not computed."""
    (x, W, b, dy), _ = inputs(np.random.default_rng(2), 4, 2, 8, 12, 0)
    gx, gW, gb, gdy = (arrays.from_host(a) for a in (x, W, b, dy))
    gy = affine_forward(gx, gW, gb, True)
    fresh = [arrays.to_host(a) for a in affine_backward(gdy, gx, gW, gy, True)]
    outs = [arrays.empty(a.shape, np.float32) for a in (x, W, b)]
    returned = affine_backward(gdy, gx, gW, gy, True, None, True, gdy, *outs)
    for gradient, out, expected in zip(returned, outs, fresh, strict=True):
        assert gradient is out
        np.testing.assert_array_equal(arrays.to_host(gradient), expected)
    assert affine_backward(gdy, gx, gW, gy, True, needs_dx=False)[0] is None


def test_nan_is_passed_on():
    nan, ones = np.full((2, 1, 3), np.nan, np.float32), np.ones((3, 3), np.float32)
    y = affine_forward(*map(arrays.from_host, (nan, ones, np.zeros(3, np.float32))), True)
    assert np.isnan(arrays.to_host(y)).all()


def test_the_gradient_passes_only_between_the_kinks_of_the_clip():
    """z = -1, 0, 1, 20, 21: the gradient is nonzero for 1 only."""
    x1, W = np.ones((1, 1, 1), np.float32), np.zeros((5, 1), np.float32)
    z = np.array([-1, 0, 1, 20, 21], np.float32)
    for dropout in (None, Dropout(0.05, arrays.from_host(np.zeros(1, np.uint32)))):
        x, weights, dy = (arrays.from_host(a) for a in (x1, W, np.ones((1, 1, 5), np.float32)))
        y = affine_forward(x, weights, arrays.from_host(z), True, dropout)
        db = arrays.to_host(affine_backward(dy, x, weights, y, True, dropout)[2])
        assert (db[[0, 1, 3, 4]] == 0).all()
