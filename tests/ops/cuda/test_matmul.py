"""The three products on the GPU, or in the simulator: every layout, incomplete tiles, all thread orders."""

from types import SimpleNamespace

import numpy as np
import pytest

from minids import ops
from minids._utils.errors import InputError
from minids.gradcheck import relative_error
from minids.ops import driver
from tests.tolerances import FLOAT32_SUM, TF32_SUM

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")

from minids.ops.cuda import arrays, matmul

# rows, H, D: less than a tile, incomplete tiles, whole tiles, several of them, split sums over rows
SIZES = [(1, 1, 1), (3, 4, 8), (17, 5, 33), (16, 32, 16), (40, 20, 24), (70, 3, 5), (9, 7, 10)]
if not driver.simulated():  # whole tiles of 128 x 128
    SIZES += [(513, 260, 132)]
SIZES += [pytest.param(12800, n, d, marks=pytest.mark.gpu) for n, d in ((2048, 1539), (29, 2048))]

TOLERANCES = {"fp32": FLOAT32_SUM, "tf32": TF32_SUM, "3xtf32": FLOAT32_SUM}


def skip_if_unsupported(gemm):
    try:
        matmul.check_gemm(gemm)
    except InputError as error:
        pytest.skip(str(error))


def products(rng, rows, H, D, gemm):
    """The three products of random operands, each as (result, expected)."""
    x, W, dz, b = (
        rng.normal(size=shape).astype(np.float32) for shape in ((rows, D), (H, D), (rows, H), (H,))
    )
    gx, gW, gdz, gb = (arrays.from_host(a) for a in (x, W, dz, b))
    y, dx, dW = (arrays.empty(shape, np.float32) for shape in ((rows, 1, H), (rows, D), (H, D)))
    matmul.layer(gx, gW, gb, y, rows, False, None, gemm)
    matmul.input_gradient(gdz, gW, dx, rows, gemm)
    matmul.weight_gradient(gdz, gx, dW, rows, gemm)
    x, W, dz, b = (a.astype(np.float64) for a in (x, W, dz, b))
    yield arrays.to_host(y)[:, 0], x @ W.T + b
    yield arrays.to_host(dx), dz @ W
    yield arrays.to_host(dW), dz.T @ x


@pytest.mark.parametrize("gemm", TOLERANCES)
@pytest.mark.parametrize(("rows", "H", "D"), SIZES)
def test_the_products_of_a_layer(gemm, rows, H, D):
    skip_if_unsupported(gemm)
    for result, expected in products(np.random.default_rng(1), rows, H, D, gemm):
        assert relative_error(result, expected) <= TOLERANCES[gemm]


def test_tensor_cores_round_to_ten_bits():
    """A smaller error than that of TF32 would mean that they were not used."""
    skip_if_unsupported("tf32")
    errors = [relative_error(*pair) for pair in products(np.random.default_rng(2), 20, 24, 40, "tf32")]
    assert min(errors) > 1e-5


def test_three_products_are_almost_as_exact_as_float32():
    """Without a product of a small part the error would be that of TF32, 2^-11."""
    skip_if_unsupported("3xtf32")
    sizes = 20, 24, 200
    single = [relative_error(*pair) for pair in products(np.random.default_rng(2), *sizes, "fp32")]
    split = [relative_error(*pair) for pair in products(np.random.default_rng(2), *sizes, "3xtf32")]
    assert max(split) <= max(2 * max(single), 5e-7)


def test_a_sum_over_no_rows_is_zero():
    dz, x, dW = (arrays.empty(shape, np.float32) for shape in ((0, 5), (0, 8), (5, 8)))
    matmul.weight_gradient(dz, x, dW, 0, "fp32")
    np.testing.assert_array_equal(arrays.to_host(dW), np.zeros((5, 8)))


@pytest.mark.parametrize("gemm", TOLERANCES)
@pytest.mark.parametrize("order", ["reverse", "random"])
def test_the_products_do_not_depend_on_the_order_of_threads(gemm, order):
    if not driver.simulated():
        pytest.skip("the order of threads on a GPU cannot be chosen")
    from minids import cuda_simulator

    with cuda_simulator.thread_order(order):
        for result, expected in products(np.random.default_rng(3), 20, 17, 24, gemm):
            assert relative_error(result, expected) <= TOLERANCES[gemm]


@pytest.mark.parametrize("gemm", ["fp32", "tf32"])
def test_weights_at_any_address(gemm):
    """Parameters are views of one flat buffer: W2 begins where b1 ends, at any multiple of 4 bytes."""
    skip_if_unsupported(gemm)
    rng = np.random.default_rng(4)
    flat = rng.normal(size=8 * 12 + 3).astype(np.float32)
    x = rng.normal(size=(6, 12)).astype(np.float32)
    for start in (0, 1, 3):
        W = arrays.from_host(flat)[start : start + 8 * 12].reshape(8, 12)
        y, b = arrays.empty((6, 1, 8), np.float32), arrays.from_host(np.zeros(8, np.float32))
        matmul.layer(arrays.from_host(x), W, b, y, 6, False, None, gemm)
        expected = x.astype(np.float64) @ flat[start : start + 96].reshape(8, 12).T
        assert relative_error(arrays.to_host(y)[:, 0], expected) <= TOLERANCES[gemm]


@pytest.mark.parametrize("gemm", TOLERANCES)
@pytest.mark.parametrize(("F", "rows"), [(4, 37), (3, 18)])
def test_rows_that_overlap(gemm, F, rows):
    """Row r begins at frame 2 r, or earlier, and is three frames wide; the last ends with the array."""
    skip_if_unsupported(gemm)
    rng = np.random.default_rng(6)
    frames = rng.normal(size=(2 * rows + 1, F)).astype(np.float32)
    starts = 2 * F * rng.permutation(rows)
    x = np.stack([frames.ravel()[start : start + 3 * F] for start in starts])
    on_device = arrays.copy(starts, arrays.empty(starts.shape, np.int64))
    gathered = matmul.Rows(arrays.from_host(frames), on_device, 3 * F)
    W, dz = (rng.normal(size=shape).astype(np.float32) for shape in ((20, 3 * F), (rows, 20)))
    y, dW, b = (arrays.from_host(np.zeros(shape, np.float32)) for shape in ((rows, 20), W.shape, 20))
    matmul.layer(gathered, arrays.from_host(W), b, y, rows, False, None, gemm)
    matmul.weight_gradient(arrays.from_host(dz), gathered, dW, rows, gemm)
    x, W, dz = (a.astype(np.float64) for a in (x, W, dz))
    assert relative_error(arrays.to_host(y), x @ W.T) <= TOLERANCES[gemm]
    assert relative_error(arrays.to_host(dW), dz.T @ x) <= TOLERANCES[gemm]


def test_an_unknown_gemm_is_named():
    with pytest.raises(InputError, match="gemm = 'fp16' must be one of fp32, tf32, 3xtf32"):
        ops.load("cuda", gemm="fp16")


@pytest.mark.parametrize("gemm", ["tf32", "3xtf32"])
def test_tensor_cores_are_refused_on_a_gpu_without_tf32(monkeypatch, gemm):
    monkeypatch.setattr(driver, "simulated", lambda: False)
    turing = SimpleNamespace(compute_capability=(7, 5))
    monkeypatch.setattr(matmul.cuda, "get_current_device", lambda: turing, raising=False)
    with pytest.raises(InputError, match=f"gemm = {gemm} needs a GPU of compute capability 8"):
        matmul.check_gemm(gemm)
