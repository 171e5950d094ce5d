"""Context, log-softmax, update and norm on the GPU, or in the simulator, compared with the reference."""

import math

import numpy as np
import pytest

from minids import ops
from minids.ops import driver
from minids.ops.common import Workspace
from tests.tolerances import FLOAT32_SUM

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")
from minids.ops.cuda.vector_io import address

CUDA, REFERENCE = ops.load("cuda"), ops.load("reference")


def device(*arrays):
    return [CUDA.arrays.from_host(a) for a in arrays]


def host(array):
    return CUDA.arrays.to_host(array)


def normal(rng, *shape, scale=1.0):
    return (scale * rng.normal(size=shape)).astype(np.float32)


def stacked(windows):
    """x (T, B, D) as in the reference. The windows' other numbers are 0."""
    T, B, D = windows.shape
    frames, starts = host(windows.rows.array), host(windows.rows.starts)
    F, pitch = D // windows.size, frames.shape[1]
    assert starts.shape == (T * B,)
    assert (starts % pitch == 0).all()
    x = frames.ravel()[starts[:, None] + np.arange(windows.size * pitch)]
    x = x.reshape(T, B, windows.size, pitch)
    assert pitch % 4 == 0
    assert not x[..., F:].any()
    return x[..., :F].reshape(T, B, D)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("C", [0, 1, 9])
@pytest.mark.parametrize(
    ("T0", "B", "F"), [(1, 1, 1), (7, 3, 5), (5, 2, 34), (3, 4, 7), (6, 3, 4), (0, 2, 3)]
)
def test_context(C, stride, T0, B, F):
    rng = np.random.default_rng(1)
    frames, lengths = normal(rng, T0, B, F), rng.integers(0, T0 + 1, B).astype(np.int32)
    lengths[:1], lengths[1:2], lengths[2:3] = T0, 0, min(T0, 1)
    expected = REFERENCE.context_forward(frames, lengths, C, stride)
    for b, n in enumerate(lengths):
        frames[n:, b] = np.nan
    np.testing.assert_array_equal(
        stacked(CUDA.context_forward(*device(frames, lengths), C, stride)), expected
    )


def test_context_reads_no_frames_after_the_last():
    """Even if a length in device memory is larger than the array."""
    frames = normal(np.random.default_rng(6), 4, 1, 2)
    claimed = stacked(CUDA.context_forward(*device(frames, np.array([9], np.int32)), 1, 1))
    np.testing.assert_array_equal(claimed, REFERENCE.context_forward(frames, np.array([4]), 1, 1))


def test_context_is_written_to_the_workspace():
    """A smaller batch after a larger one, whose numbers are still there."""
    rng, workspace = np.random.default_rng(7), Workspace(CUDA.arrays, np.float32)
    for T0, B in ((8, 3), (5, 2)):
        frames, lengths = normal(rng, T0, B, 3), np.array([2, T0, 4][:B], np.int32)
        windows = CUDA.context_forward(*device(frames, lengths), 2, 2, workspace=workspace)
        np.testing.assert_array_equal(stacked(windows), REFERENCE.context_forward(frames, lengths, 2, 2))
    buffers = workspace("padded frames", 1), workspace("starts of windows", 1)
    assert [address(a) for a in buffers] == [address(a) for a in windows.rows[:2]]


@pytest.mark.parametrize(("T", "B", "K"), [(1, 1, 1), (5, 3, 29), (3, 1, 70), (0, 2, 4)])
def test_log_softmax(T, B, K):
    rng = np.random.default_rng(2)
    z = normal(rng, T, B, K, scale=30)
    z[:1, :1, :] = 0
    z[1:2, :1, 0] = 3e4
    z[2:3, :1, 0] = -np.inf
    expected = REFERENCE.log_softmax_forward(z.astype(np.float64))
    result = host(CUDA.log_softmax_forward(*device(z)))
    np.testing.assert_allclose(result, expected, rtol=FLOAT32_SUM, atol=FLOAT32_SUM)


def test_log_softmax_passes_nan_on():
    z = np.array([[[0, np.nan, 1]], [[0, np.inf, 1]]], np.float32)
    assert np.isnan(host(CUDA.log_softmax_forward(*device(z)))).all()


def test_nesterov():
    rng = np.random.default_rng(3)
    params, grads, velocity = (normal(rng, 300) for _ in range(3))
    expected = [a.astype(np.float64) for a in (params, grads, velocity)]
    result = device(params, grads, velocity)
    for _ in range(3):
        REFERENCE.nesterov(*expected, 0.1, 0.9, 0.5)
        CUDA.nesterov(*result, 0.1, 0.9, 0.5)
    for a, b in zip(result, expected, strict=True):
        np.testing.assert_allclose(host(a), b, atol=FLOAT32_SUM)


@pytest.mark.parametrize("b", [0.7, 0])
def test_axpby(b):
    """With b = 0, y is not read: it may be undefined."""
    x, y = (normal(np.random.default_rng(3), 300) for _ in range(2))
    expected, (x_there, y_there) = y.astype(np.float64), device(x, y if b else np.full_like(y, np.nan))
    REFERENCE.axpby(0.3, x.astype(np.float64), b, expected)
    CUDA.axpby(0.3, x_there, b, y_there)
    np.testing.assert_allclose(host(y_there), expected, atol=FLOAT32_SUM)
    np.testing.assert_allclose(expected, 0.3 * x.astype(np.float64) + b * y, atol=FLOAT32_SUM)


@pytest.mark.parametrize("size", [0, 1, 31, 256, 5000])
def test_norm(size):
    x = normal(np.random.default_rng(4), size)
    assert CUDA.norm(*device(x)) == pytest.approx(REFERENCE.norm(x), rel=FLOAT32_SUM)


def test_norm_passes_nan_on_and_accepts_a_view():
    x = np.ones(40, np.float32)
    (flat,) = device(x)
    assert CUDA.norm(flat[4:20]) == 4
    x[7] = np.nan
    assert math.isnan(CUDA.norm(*device(x)))


@pytest.mark.gpu
def test_norm_of_a_large_network():
    x = np.full(28_000_001, 1e-3, np.float32)
    assert CUDA.norm(*device(x)) == pytest.approx(REFERENCE.norm(x), rel=FLOAT32_SUM)


def test_output_arguments_are_returned():
    rng = np.random.default_rng(5)
    z = normal(rng, 2, 2, 5)
    out = CUDA.arrays.empty(z.shape, np.float32)
    assert CUDA.log_softmax_forward(*device(z), out) is out
