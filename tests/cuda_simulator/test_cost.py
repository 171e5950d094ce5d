"""The simulator's costs: far reads, instructions of warps, wavefronts of shared memory."""

import numpy as np
import pytest
from numba import float32

from minids.ops import driver

pytest.importorskip("greenlet", reason="the simulator runs on greenlets")
if not driver.simulated():
    pytest.skip("there is a GPU; MINIDS_SIM=1 tests the simulator", allow_module_level=True)

from minids.cuda_simulator import Cost, cost, cuda, trace, wavefronts
from minids.ops.cuda import arrays
from minids.ops.cuda.launch import launch
from minids.ops.cuda.vector_io import load4, store4


def of(kernel, threads, *shapes, blocks=1):
    with trace() as accesses:
        launch(kernel, blocks, threads, *(arrays.from_host(np.zeros(s, np.float32)) for s in shapes))
    return cost(accesses)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], 0),
        ([7] * 32, 1),  # one word for all
        (range(32), 1),
        (range(32, 64), 1),
        (range(0, 64, 2), 2),
        (range(0, 32 * 32, 32), 32),  # a column of 32 rows of 32
        (range(0, 33 * 32, 33), 1),  # the same column, with a number of padding in each row
        ([0, 32, 64, 0, 1], 3),
    ],
)
def test_wavefronts_are_the_words_in_the_fullest_bank(words, expected):
    assert wavefronts([*words]) == expected


@pytest.mark.parametrize(("pitch", "expected"), [(32, 33), (33, 2)])
def test_a_column_of_shared_memory(pitch, expected):
    @cuda.jit
    def kernel(y):
        a = cuda.shared.array((32, pitch), float32)
        a[0, cuda.threadIdx.x] = np.float32(1)
        cuda.syncthreads()
        a[cuda.threadIdx.x, 0] = np.float32(2)

    assert of(kernel, 32, 1) == Cost(0, 0, 0, expected)


def test_warps_are_counted_apart():
    @cuda.jit
    def kernel(x, y):
        y[cuda.grid(1)] = x[cuda.grid(1)] + x[0]

    assert of(kernel, 48, 96, 96, blocks=2) == Cost(192, 28, 8, 0)  # 12 + 4 + 12 sectors


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
def test_the_order_of_threads_does_not_matter(order):
    from minids.cuda_simulator import thread_order

    @cuda.jit
    def kernel(x):
        a = cuda.shared.array(64, float32)
        a[2 * (cuda.threadIdx.x % 32)] = x[0]

    with thread_order(order):
        assert of(kernel, 32, 1) == Cost(32, 1, 1, 2)


def test_four_numbers_are_one_instruction():
    """A quarter of a warp reads 32 words at a time."""

    @cuda.jit
    def kernel(x, y):
        a = cuda.shared.array(128, float32, alignment=16)
        i = 4 * cuda.threadIdx.x
        store4(a, i, load4(x, i))
        store4(y, i, load4(a, i))

    assert of(kernel, 32, 128, 128) == Cost(128, 32, 2, 8)


def test_four_numbers_in_the_same_banks():
    @cuda.jit
    def kernel(x):
        a = cuda.shared.array(1024, float32, alignment=16)
        store4(a, 32 * cuda.threadIdx.x, load4(x, 0))

    assert of(kernel, 8, 4) == Cost(32, 1, 1, 8)


def test_guarded_accesses_belong_to_their_instruction():
    @cuda.jit
    def kernel(x, y):
        a = cuda.shared.array(32, float32)
        if cuda.threadIdx.x < 5:
            a[cuda.threadIdx.x] = x[cuda.threadIdx.x]

    assert of(kernel, 32, 32, 1) == Cost(5, 1, 1, 1)
