"""The ladder's short kernels compute what the real ones compute, and each is better than the one before."""

import numpy as np
import pytest

from minids import ops
from minids.gradcheck import relative_error
from minids.ops import driver
from tests.tolerances import FLOAT32_SUM, TF32_SUM

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")

from minids.ops.cuda import arrays, ladder
from minids.ops.cuda.launch import launch

BLOCKED = [kernel for kernel, (side, _) in ladder.LADDER.items() if side == ladder.SIDE]
simulator_only = pytest.mark.skipif(not driver.simulated(), reason="only the simulator counts accesses")


def name(kernel):
    return kernel.py_func.__name__


def product(kernel, x, W):
    y = arrays.empty((len(x), len(W)), np.float32)
    ladder.product(kernel, arrays.from_host(x), arrays.from_host(W), y)
    return arrays.to_host(y)


def factors(M, N, K):
    rng = np.random.default_rng(M + N + K)
    return (rng.normal(size=(rows, K)).astype(np.float32) for rows in (M, N))


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
@pytest.mark.parametrize("kernel", ladder.LADDER, ids=name)
def test_the_products_equal_the_real_one(kernel, order):
    side, _ = ladder.LADDER[kernel]
    x, W = factors(side, 2 * side, 2 * ladder.TILE if side == ladder.TILE else 16)
    expected = ops.load("cuda").affine_forward(
        *map(arrays.from_host, (x[:, None], W, np.zeros(2 * side, np.float32)))
    )
    if driver.simulated():
        from minids.cuda_simulator import thread_order

        with thread_order(order):
            y = product(kernel, x, W)
    else:
        y = product(kernel, x, W)
    tolerance = TF32_SUM if kernel is ladder.tensor_cores else FLOAT32_SUM
    assert relative_error(y, arrays.to_host(expected)[:, 0]) <= tolerance
    assert relative_error(y, x.astype(float) @ W.T.astype(float)) <= tolerance


def test_tensor_cores_round_to_ten_bits():
    """A smaller error than that of TF32 would mean that they were not used."""
    x, W = factors(64, 64, 16)
    assert relative_error(product(ladder.tensor_cores, x, W), x @ W.T) > 1e-5


def test_the_recurrence_equals_the_real_one():
    rng = np.random.default_rng(1)
    z, Wr = rng.normal(2, 4, (6, 3, 8)), rng.normal(0, 0.5, (8, 8))
    lengths = np.array([6, 0, 4], np.int32)
    z, Wr = z.astype(np.float32), Wr.astype(np.float32)
    h = arrays.from_host(np.zeros_like(z))
    launch(ladder.recurrence, 3, 8, *map(arrays.from_host, (z, Wr, lengths)), h)
    _, expected, _ = ops.load("cuda").birnn_forward(*map(arrays.from_host, (z, Wr, Wr, lengths)))
    assert relative_error(arrays.to_host(h), arrays.to_host(expected)) <= FLOAT32_SUM


@simulator_only
def test_each_step_up_the_ladder_is_cheaper():
    """The costs that lesson 19 explains: 2 K reads per element, divided by the side of a tile, and so on."""
    from minids.cuda_simulator import cost, trace

    (x, W), costs = factors(64, 64, 16), {}
    for kernel in ladder.LADDER:
        with trace() as accesses:
            product(kernel, x, W)
        costs[name(kernel)] = cost(accesses)
    elements, K = 64 * 64, 16
    assert [costs[kernel].far_reads / elements for kernel in ("naive", "tiled")] == [2 * K, 2 * K / 16]
    assert {costs[name(kernel)].far_reads / elements for kernel in BLOCKED} == {2 * K / 64}
    warp_steps = elements * K // 32  # the multiplications, 32 at a time
    assert costs["naive"].loads == 2 * warp_steps
    assert costs["tiled"].wavefronts == 2 * warp_steps + 2 * warp_steps // 16 + 16 * 8  # fills of `b`: 1.5
    assert costs["register_blocked"].wavefronts == costs["vector_loads"].wavefronts == warp_steps * 18 // 64
    assert costs["vector_loads"].loads * 4 == costs["register_blocked"].loads
    assert costs["tensor_cores"].wavefronts == warp_steps // 8
