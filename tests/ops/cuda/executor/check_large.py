"""Arrays of more than 2³¹ numbers: an index of 32 bits would overflow. See test_executor.py.

Only the last blocks of each grid run, and only the pages that they touch take memory. Never written memory
of such arrays is 0.
"""

import numpy as np
import pytest

from minids import ops
from minids.ops.common import Dropout, Workspace
from minids.ops.cuda import (
    affine,
    arrays,
    axpby,
    birnn,
    birnn_kernels,
    context,
    launch,
    matmul,
    nesterov,
    norm,
)
from minids.ops.cuda.gemm_tile import Access
from tests.ops.cuda.executor import driver
from tests.tolerances import FLOAT32_SUM

REFERENCE = ops.load("reference")
N = 2**31


def large(*shape):
    return arrays.empty(shape, np.float32)


def normal(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def write(array, start, values):
    """values to array[start:], in the order of memory."""
    flat = array.reshape(-1)
    arrays.copy(values.reshape(-1), flat[start : start + values.size])


def read(array, start, shape):
    return arrays.to_host(array.reshape(-1)[start : start + int(np.prod(shape))]).reshape(shape)


def close(result, expected):
    np.testing.assert_allclose(result, expected, rtol=FLOAT32_SUM, atol=FLOAT32_SUM)


@pytest.mark.parametrize("H", [8, 9])
@pytest.mark.parametrize("backward", [False, True])
def test_a_frame_of_the_recurrence(H, backward):
    """The last step in time, of 2²⁶ frames of 4 utterances; vectorized and not."""
    B = 4
    T = N // (B * H) + 3
    z, previous, W = normal(B, H), np.abs(normal(B, H)), normal(H, H)
    inputs, h, out = large(T * B * H), large(T * B * H), large(T * B * H)
    last = (T - 1) * B * H
    write(inputs, last, z)
    write(h, last, np.ones((B, H), np.float32))
    write(out, last - B * H, previous)
    W_, lengths, progress = (arrays.from_host(a) for a in (W, np.full(B, T), np.array([0, T, 0, 0])))
    kernel = birnn_kernels.kernels(birnn.FRAME, backward, H % 4 == 0)[0]
    steps = {False: (out, large(4), T - 1), True: (large(4), out, T - 1)}
    out_f, out_b, step = steps[backward]
    shared, numbers = birnn.FRAME.shared_bytes(H, False), (step, B, H)
    blocks = (1, 1) if not backward else (1, 2)
    with driver.last_blocks(1):  # of direction 0 forward, 1 backward, which goes forward in time
        flat = (inputs, W_.reshape(-1), W_.reshape(-1), lengths, h, h, out_f, out_b)
        launch.launch(kernel, blocks, birnn.FRAME.threads, *flat, progress, *numbers, shared=shared)
    expected = z + previous @ W if backward else np.clip(z + previous @ W.T, 0, 20)
    close(read(out, last, (B, H)), expected)


@pytest.mark.parametrize(
    ("rows", "D", "H"), [(2**20 + 20, 4, 2052), (2**20 + 20, 2052, 4), (2**21 + 20, 3, 1025)]
)
def test_a_layer(rows, D, H):
    """Many outputs, or many inputs; vectorized or not. With dropout, whose hash has 32 bits."""
    x, W, b, keys = large(rows, 1, D), normal(H, D), normal(H), np.array([7], np.uint32)
    values, y = normal(20, D), large(rows, 1, H)
    write(x, (rows - 20) * D, values)
    with driver.last_blocks(-(-H // 64)):
        dropout = Dropout(0.25, arrays.from_host(keys))
        affine.affine_forward(x, arrays.from_host(W), arrays.from_host(b), True, dropout, y)
    undropped = np.clip(values @ W.T + b, 0, 20) / 0.75
    result = read(y, (rows - 20) * H, (20, H))
    kept = result != 0
    assert 0.6 < kept.sum() / (undropped > 0).sum() < 0.9
    close(result[kept], undropped[kept])


def test_products_of_the_backward_pass():
    """The last tile of the last part of a sum over 65,537 rows of 32,768 units."""
    K, M, n = 2**16 + 1, 2**15, 4
    A, B, splits, depth = large(K, M), large(K, n), 129, 512
    C, a, b = large(splits * M * n), normal(1, 64), normal(1, n)
    write(A, K * M - 64, a)
    write(B, (K - 1) * n, b)
    shape = matmul.TILES["fp32"][1]
    with driver.last_blocks(1):
        grid = (*matmul._grid(shape, M, n), splits)
        kernel, starts = matmul.product_kernel(shape, False, Access(True, True)), matmul.no_starts()
        launch.launch(kernel, grid, shape.threads, A.reshape(-1), B.reshape(-1), C, starts, M, n, K, depth)
    close(read(C, (splits * M - 64) * n, (64, n)), a.T @ b)
    x, W, dx = large(2**20 + 1, 4), normal(4, 2052), large(2**20 + 1, 2052)
    write(x, 2**22, a[:, :4])
    with driver.last_blocks(-(-2052 // 64)):
        matmul.input_gradient(x, arrays.from_host(W), dx, 2**20 + 1, "fp32")
    close(read(dx, 2**20 * 2052, (1, 2052)), a[:, :4] @ W)


def test_the_gate():
    rows, H = 2**20 + 3, 2052
    dy, y, dz, db = large(rows, H), large(rows, H), large(rows, H), large(H)
    values = normal(3, H)
    write(dy, (rows - 3) * H, values)
    write(y, (rows - 3) * H, np.tile(np.float32([1, 0]), (3, H // 2)))
    with driver.last_blocks(1):
        affine._gate(dy, y, dz, db, rows, H, True, np.float32(1))
    values[:, 1::2] = 0
    close(read(dz, (rows - 1) * H + 2048, (1, 4)), values[2:, 2048:])


def test_the_first_layer():
    """The last frame of 64 utterances."""
    T, B, F, H = 2**15 + 1, 64, 1027, 4
    frames, values, b = large(T, B, F), normal(2, 1, F), normal(H)
    W, workspace = normal(H, 3 * F) * np.float32(F**-0.5), Workspace(arrays, np.float32)
    write(frames, ((T - 1) * B - 1) * F, values[0])
    write(frames, (T * B - 1) * F, values[1])
    arrays.copy(np.zeros(T * B, np.int64), workspace("starts of windows", T * B, dtype=np.int64))
    with driver.last_blocks(2):
        windows = context.context_forward(frames, arrays.from_host(np.full(B, T)), 1, 1, workspace)
        y = affine.affine_forward(windows, arrays.from_host(W), arrays.from_host(b))
    expected = np.stack([*values, np.zeros((1, F), np.float32)])  # (3, 1, F)
    start = (windows.rows.array.size // (F + 1) - 5) * (F + 1)  # before the zeros at the end
    assert start > N
    assert read(windows.rows.starts, T * B - 1, ()) == start
    np.testing.assert_array_equal(read(windows.rows.array, start, (3, 1, F + 1))[..., :F], expected)
    close(read(y, (T * B - 1) * H, (H,)), W @ expected.ravel() + b)


def test_weights_with_wider_rows():
    F, H = 1027, 2**21
    windows = context.Windows((1, 1, F), 1, matmul.Rows(None, None, F + 1), Workspace(arrays, np.float32))
    W, wide, values = large(H, F), windows.wide_weights(H), normal(F)
    write(W, (H - 1) * F, values)
    with driver.last_blocks(1):
        windows.copy_weights(W, wide)
        np.testing.assert_array_equal(read(wide, (H - 1) * (F + 1), (F + 1,)), [*values, 0])
        write(W, (H - 1) * F, np.zeros(F, np.float32))
        windows.copy_weights(wide, W)
    np.testing.assert_array_equal(read(W, (H - 1) * F, (F,)), values)


def test_log_softmax_and_ctc():
    """Of the last of 2²² utterances."""
    T, B, K = 3, 2**22, 300
    z, log_y, logits = large(T, B, K), large(T, B, K), normal(1, K)
    write(z, T * B * K - K, logits)
    backend = ops.load("cuda")
    with driver.last_blocks(1):
        backend.log_softmax_forward(z, log_y)
    expected = REFERENCE.log_softmax_forward(logits[None].astype(np.float64))
    close(read(log_y, T * B * K - K, (1, 1, K)), expected)
    log_probs = REFERENCE.log_softmax_forward(normal(T, 1, K))
    for t in range(T):
        write(log_y, (t * B + B - 1) * K, log_probs[t])
    lengths, labels, label_lengths = np.full(B, T), np.ones((B, 2), np.int32), np.full(B, 2)
    batch = [arrays.from_host(a.astype(np.int32)) for a in (lengths, labels, label_lengths)]
    with driver.last_blocks(1):
        losses, dlogits = backend.ctc(log_y, *batch, dlogits=z)
    loss, gradient = REFERENCE.ctc(log_probs.astype(np.float64), lengths[:1], labels[:1], label_lengths[:1])
    close(read(losses, B - 1, (1,)), loss)
    close(read(dlogits, T * B * K - K, (1, K)), gradient[-1])


def test_the_update_and_the_norm():
    size = N + 2**18  # the last numbers belong to the last thread of the last block of `squares`
    params, velocity, grads, values = large(size), large(size), large(size), normal(3, 5)
    for array, value in zip((params, velocity, grads), values, strict=True):
        write(array, size - 5, value)
    with driver.last_blocks(1):
        nesterov.nesterov(params, grads, velocity, 0.1, 0.9, 1.0)
    expected = [a.astype(np.float64) for a in values]
    REFERENCE.nesterov(expected[0], expected[2], expected[1], 0.1, 0.9, 1.0)
    close(read(params, size - 5, (5,)), expected[0])
    close(read(velocity, size - 5, (5,)), expected[1])
    before = read(velocity, size - 5, (5,)).astype(np.float64)
    with driver.last_blocks(1):
        axpby.axpby(0.3, grads, 0.7, velocity)
    close(read(velocity, size - 5, (5,)), 0.3 * values[2] + 0.7 * before)
    sums = large(norm.MAX_BLOCKS)
    with driver.last_blocks(1):
        launch.launch(norm.squares, norm.MAX_BLOCKS, norm.THREADS, grads, sums)
    close(read(sums, norm.MAX_BLOCKS - 1, ()), np.square(values[2]).sum())
