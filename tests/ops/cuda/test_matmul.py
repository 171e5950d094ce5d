"""The three products on the GPU, or in the simulator: every layout, ragged tiles, all thread orders."""

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.gradcheck import relative_error
from minids.ops import driver
from tests.tolerances import FLOAT32_SUM, TF32_SUM

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")

from minids.ops.cuda import arrays, matmul

# rows, H, D: fewer than a tile, ragged, whole tiles, several of them, sums over rows in several parts
SIZES = [(1, 1, 1), (3, 4, 8), (17, 5, 33), (16, 32, 16), (40, 20, 24), (70, 3, 5)]
if not driver.simulated():
    SIZES += [(12800, 2048, 1539), (12800, 29, 2048), (513, 260, 1028)]


def use_or_skip(gemm):
    try:
        matmul.use(gemm)
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["fp32", "tf32"])
def tolerance(request):
    """Sets who multiplies; how far off he may be."""
    use_or_skip(request.param)
    yield {"fp32": FLOAT32_SUM, "tf32": TF32_SUM}[request.param]
    matmul.use("fp32")


def products(rng, rows, H, D):
    """The three products of random operands, each with what it should be."""
    x, W, dz, b = (
        rng.normal(size=shape).astype(np.float32) for shape in ((rows, D), (H, D), (rows, H), (H,))
    )
    gx, gW, gdz, gb = (arrays.from_host(a) for a in (x, W, dz, b))
    y, dx, dW = (arrays.empty(shape, np.float32) for shape in ((rows, 1, H), (rows, D), (H, D)))
    matmul.layer(gx, gW, gb, y, rows, False, None)
    matmul.input_gradient(gdz, gW, dx, rows)
    matmul.weight_gradient(gdz, gx, dW, rows)
    x, W, dz, b = (a.astype(np.float64) for a in (x, W, dz, b))
    yield arrays.to_host(y)[:, 0], x @ W.T + b
    yield arrays.to_host(dx), dz @ W
    yield arrays.to_host(dW), dz.T @ x


@pytest.mark.parametrize(("rows", "H", "D"), SIZES)
def test_the_products_of_a_layer(tolerance, rows, H, D):
    for got, expected in products(np.random.default_rng(1), rows, H, D):
        assert relative_error(got, expected) <= tolerance


def test_tensor_cores_round_to_ten_bits():
    """Neither worse nor better than TF32: better would mean that they were not used."""
    use_or_skip("tf32")
    try:
        errors = [relative_error(*pair) for pair in products(np.random.default_rng(2), 20, 24, 40)]
    finally:
        matmul.use("fp32")
    assert min(errors) > 1e-5


def test_a_sum_over_no_rows_is_zero():
    dz, x, dW = (arrays.empty(shape, np.float32) for shape in ((0, 5), (0, 8), (5, 8)))
    matmul.weight_gradient(dz, x, dW, 0)
    np.testing.assert_array_equal(arrays.to_host(dW), np.zeros((5, 8)))


@pytest.mark.parametrize("order", ["reverse", "random"])
def test_the_products_whichever_thread_comes_first(tolerance, order):
    if not driver.simulated():
        pytest.skip("a GPU has its own order")
    from minids import cuda_simulator

    with cuda_simulator.order(order):
        for got, expected in products(np.random.default_rng(3), 20, 17, 24):
            assert relative_error(got, expected) <= tolerance


def test_rows_that_do_not_begin_at_sixteen_bytes():
    """Parameters are views of one flat buffer: W2 begins wherever b1 ended."""
    rng = np.random.default_rng(4)
    flat = rng.normal(size=8 * 12 + 3).astype(np.float32)
    x = rng.normal(size=(6, 12)).astype(np.float32)
    for start in (0, 1, 3):
        W = arrays.from_host(flat)[start : start + 8 * 12].reshape(8, 12)
        y, b = arrays.empty((6, 1, 8), np.float32), arrays.from_host(np.zeros(8, np.float32))
        matmul.layer(arrays.from_host(x), W, b, y, 6, False, None)
        expected = x.astype(np.float64) @ flat[start : start + 96].reshape(8, 12).T
        assert relative_error(arrays.to_host(y)[:, 0], expected) <= FLOAT32_SUM


def test_an_unknown_multiplier_is_named():
    with pytest.raises(InputError, match="gemm = 'fp16': choose one of fp32, tf32, cublas"):
        matmul.use("fp16")


def test_tensor_cores_that_are_not_there_are_not_used(monkeypatch):
    monkeypatch.setattr(driver, "simulated", lambda: False)
    monkeypatch.setattr(driver, "capability", lambda: (7, 5))
    with pytest.raises(InputError, match="gemm = tf32 needs a GPU of compute capability 8"):
        matmul.use("tf32")


def test_cublas_is_asked_for_or_not_used():
    if driver.simulated():
        with pytest.raises(InputError, match="cuBLAS needs an NVIDIA GPU"):
            matmul.use("cublas")
        return
    use_or_skip("cublas")
    try:
        for got, expected in products(np.random.default_rng(5), 65, 33, 130):
            assert relative_error(got, expected) <= FLOAT32_SUM
    finally:
        matmul.use("fp32")
