"""The simulator: what kernels can do in it, and which errors it finds."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from numba import float32, int32

from minids.ops import driver

pytest.importorskip("greenlet", reason="the simulator runs on greenlets")
if not driver.simulated():
    pytest.skip("there is a GPU; MINIDS_SIM=1 tests the simulator", allow_module_level=True)

from minids import cuda_simulator
from minids.cuda_simulator import cuda
from minids.ops.cuda import arrays
from minids.ops.cuda.launch import capture, launch
from minids.ops.cuda.reduce import warp_max, warp_sum
from minids.ops.cuda.vector_io import commit_copies, copy_async, load4, wait_copies

N = 32
ORDERS = pytest.mark.parametrize("order", ["forward", "reverse", "random"])


def arange(n=N):
    return arrays.from_host(np.arange(n, dtype=np.float32))


def empty(*shape):
    return arrays.empty(shape or (N,), np.float32)


# What kernels can do


@cuda.jit
def reverse(x, y):
    tile = cuda.shared.array(N, float32)
    i = cuda.threadIdx.x
    tile[i] = x[i]
    cuda.syncthreads()
    y[i] = tile[N - 1 - i]


@ORDERS
def test_threads_meet_at_a_barrier(order):
    y = empty()
    with cuda_simulator.thread_order(order, seed=3):
        launch(reverse, 1, N, arange(), y)
    np.testing.assert_array_equal(arrays.to_host(y), np.arange(N)[::-1])


@ORDERS
def test_threads_run_in_the_chosen_order(order):
    @cuda.jit
    def note(y):
        seen.append(cuda.threadIdx.x)

    seen = []
    with cuda_simulator.thread_order(order, seed=3):
        launch(note, 1, N, empty())
    assert sorted(seen) == [*range(N)]
    assert (seen == [*range(N)]) == (order == "forward")
    assert (seen == [*range(N)][::-1]) == (order == "reverse")


@ORDERS
def test_a_warp_adds_up_its_lanes(order):
    @cuda.jit
    def add(x, y):
        i = cuda.grid(1)
        y[i] = warp_sum(x[i]) + warp_max(-x[i])

    y = empty(2 * N)
    with cuda_simulator.thread_order(order):
        launch(add, 1, 2 * N, arange(2 * N), y)
    np.testing.assert_array_equal(arrays.to_host(y), np.repeat([sum(range(32)), sum(range(32, 64)) - 32], 32))


def test_shuffles():
    @cuda.jit
    def shuffle(y):
        lane = cuda.laneid
        y[0, lane] = cuda.shfl_sync(0xFFFFFFFF, float32_of(lane), 5)
        y[1, lane] = cuda.shfl_up_sync(0xFFFFFFFF, float32_of(lane), 2)
        y[2, lane] = cuda.shfl_down_sync(0xFFFFFFFF, float32_of(lane), 3)
        y[3, lane] = cuda.shfl_xor_sync(0xFFFFFFFF, float32_of(lane), 1)

    float32_of = np.float32
    y, lanes = empty(4, N), np.arange(N)
    launch(shuffle, 1, N, y)
    up, down = np.where(lanes < 2, lanes, lanes - 2), np.where(lanes > 28, lanes, lanes + 3)
    np.testing.assert_array_equal(arrays.to_host(y), [0 * lanes + 5, up, down, lanes ^ 1])


@cuda.jit
def rotate(x, y, steps):
    grid, i = cuda.cg.this_grid(), cuda.grid(1)
    for _ in range(steps):
        y[i] = x[(i + 1) % x.size]
        grid.sync()
        x[i] = y[i]
        grid.sync()


@ORDERS
def test_blocks_meet_at_a_grid_barrier(order):
    x = arange(12)
    with cuda_simulator.thread_order(order, seed=1):
        launch(rotate, 3, 4, x, empty(12), 5)
    np.testing.assert_array_equal(arrays.to_host(x), np.roll(np.arange(12), -5))


def test_only_resident_blocks_can_wait_for_each_other():
    blocks = cuda_simulator.MAX_RESIDENT_BLOCKS + 1
    with pytest.raises(cuda_simulator.DivergentBarrier, match="fit on the GPU"):
        launch(rotate, blocks, 1, arange(blocks), empty(blocks), 1)


def test_dynamic_shared_memory_has_the_requested_size():
    @cuda.jit
    def fill(y, n):
        s = cuda.shared.array(0, float32)
        s[n] = np.float32(s.size)
        y[0] = s[n]

    y = empty(1)
    launch(fill, 1, 1, y, 9, shared=40)
    assert arrays.to_host(y) == 10
    with pytest.raises(cuda_simulator.OutOfBounds):
        launch(fill, 1, 1, y, 10, shared=40)


def test_shared_memory_has_a_limit():
    @cuda.jit
    def touch(y):
        s = cuda.shared.array(0, float32)
        s[s.size - 1] = y[0] = np.float32(s.size)

    y = empty()
    launch(touch, 1, 1, y, shared=200_000)
    assert arrays.to_host(y)[0] == 50_000
    with pytest.raises(ValueError, match="at most 232448"):
        launch(touch, 1, 1, y, shared=300_000)
    with pytest.raises(ValueError, match="allowed"):
        cuda.jit(touch.py_func)[1, 1, 0, 200_000](y)


def test_indices_in_three_dimensions():
    @cuda.jit
    def fill(y):
        x, z = cuda.grid(3)[0], cuda.grid(3)[2]
        y[z, cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y, x] = np.float32(cuda.gridsize(1))

    y = empty(2, 6, 4)
    launch(fill, (2, 3, 1), (2, 2, 2), y)
    assert (arrays.to_host(y) == 4).all()


def test_arithmetic_is_that_of_a_gpu():
    """float32 stays float32, nothing raises, and min and max ignore NaN."""

    @cuda.jit
    def compute(x, y):
        y[0] = math.log(x[0])
        y[1] = math.exp(x[1] * np.float32(1000))
        y[2] = max(np.float32(math.nan), x[1])
        y[3] = min(x[1], np.float32(math.nan))
        seen.append(math.log1p(x[1]).dtype)

    seen, y = [], empty(4)
    launch(compute, 1, 1, arange(), y)
    np.testing.assert_array_equal(arrays.to_host(y), [-np.inf, np.inf, 1, 1])
    assert seen == [np.float32]


def test_a_graph_repeats_its_launches():
    x, y = arange(12), empty(12)
    graph = capture(lambda: launch(rotate, 3, 4, x, y, 1))
    np.testing.assert_array_equal(arrays.to_host(x), np.roll(np.arange(12), -1))
    graph.launch()
    np.testing.assert_array_equal(arrays.to_host(x), np.roll(np.arange(12), -2))


# Errors that it finds


@cuda.jit
def read_after_write(x):
    s = cuda.shared.array(N, float32)
    i = cuda.threadIdx.x
    s[i] = x[i]
    cuda.syncthreads()
    s[i] = x[i]
    x[i] = s[N - 1 - i]


@cuda.jit
def write_after_read(x):
    s = cuda.shared.array(N, float32)
    i = cuda.threadIdx.x
    s[i] = x[i]
    cuda.syncthreads()
    x[i] = s[N - 1 - i]
    s[i] = x[i]


@cuda.jit
def all_write_to_one(x):
    s = cuda.shared.array(1, float32)
    s[0] = x[cuda.threadIdx.x]


@cuda.jit
def neighbors_in_global_memory(x):
    i = cuda.threadIdx.x
    x[i] = x[(i + 1) % N]


@cuda.jit
def barrier_of_one_warp(x):
    s = cuda.shared.array(2 * N, float32)
    i = cuda.threadIdx.x
    s[i] = x[i]
    cuda.syncwarp()
    x[i] = s[(i + N) % (2 * N)]


@ORDERS
@pytest.mark.parametrize(
    "kernel", [read_after_write, write_after_read, all_write_to_one, neighbors_in_global_memory]
)
def test_races_within_a_warp(kernel, order):
    with (
        cuda_simulator.thread_order(order, seed=2),
        pytest.raises(cuda_simulator.Race, match=r"thread .* of block"),
    ):
        launch(kernel, 1, N, arange())


def test_a_race_between_warps():
    with pytest.raises((cuda_simulator.Race, cuda_simulator.Uninitialized)):
        launch(barrier_of_one_warp, 1, 2 * N, arange(2 * N))


def test_barriers_of_a_block_do_not_order_blocks():
    @cuda.jit
    def race(x):
        x[cuda.blockIdx.x] = np.float32(1)
        cuda.syncthreads()
        x[0] = x[1]

    with pytest.raises(cuda_simulator.Race):
        launch(race, 2, 1, arange())


def test_a_race_between_two_views_of_one_buffer():
    @cuda.jit
    def shift(x, y):
        y[cuda.threadIdx.x] = x[cuda.threadIdx.x]

    x = arange()
    launch(shift, 1, 16, x[:16], x[16:])
    with pytest.raises(cuda_simulator.Race):
        launch(shift, 1, 16, x[:16], x[1:17])


def test_a_warp_barrier_orders_the_lanes_of_the_warp():
    @cuda.jit
    def swap(x):
        i = cuda.threadIdx.x
        value = x[i ^ 1]
        cuda.syncwarp()
        x[i] = value

    x = arange(2 * N)
    launch(swap, 1, 2 * N, x)
    np.testing.assert_array_equal(arrays.to_host(x), np.arange(2 * N) ^ 1)


def some_threads_return(x):
    if cuda.threadIdx.x < N // 2:
        return
    cuda.syncthreads()


def two_barriers(x):
    if cuda.threadIdx.x < N // 2:
        cuda.syncthreads()
    else:
        cuda.syncthreads()


def half_a_warp(x):
    if cuda.threadIdx.x < N // 2:
        cuda.shfl_xor_sync(0xFFFFFFFF, x[0], 1)


def lane_outside_the_mask(x):
    cuda.shfl_xor_sync(0xFFFF, x[0], 16)


def one_block_only(x):
    grid = cuda.cg.this_grid()
    if cuda.blockIdx.x == 0:
        grid.sync()


@pytest.mark.parametrize(
    "body", [some_threads_return, two_barriers, half_a_warp, lane_outside_the_mask, one_block_only]
)
def test_divergent_barriers(body):
    with pytest.raises(cuda_simulator.DivergentBarrier):
        launch(cuda.jit(body), 2, N if body is not lane_outside_the_mask else 16, arange())


@cuda.jit
def copy_and_read(x, y, pending, lane):
    """Each thread copies a quad and a number; it reads those of thread i ^ lane while `pending` copies are
    under way."""
    s = cuda.shared.array(5 * N, float32)
    i = cuda.threadIdx.x
    copy_async(s, 4 * i, x, 4 * i, 4, 4)
    copy_async(s, 4 * N + i, x, i, 0, 1)
    commit_copies()
    wait_copies(pending)
    y[i] = s[4 * (i ^ lane) + 1] + s[4 * N + i]


def test_an_asynchronous_copy():
    y = arange()
    launch(copy_and_read, 1, N, arange(4 * N), y, 0, 0)
    np.testing.assert_array_equal(arrays.to_host(y), 4 * np.arange(N) + 1)


@pytest.mark.parametrize(("pending", "lane"), [(1, 0), (0, 1)])
def test_a_copy_that_was_not_waited_for(pending, lane):
    """Neither by its own thread, nor by a barrier after another thread has waited for its own."""
    errors = cuda_simulator.Race, cuda_simulator.Uninitialized
    with pytest.raises(errors, match=r"s\[.*\] is read"):
        launch(copy_and_read, 1, N, arange(4 * N), arange(), pending, lane)


def test_uninitialized_shared_memory():
    @cuda.jit
    def read(x):
        s = cuda.shared.array(N, float32)
        x[0] = s[3]

    with pytest.raises(cuda_simulator.Uninitialized, match=r"s\[3\]"):
        launch(read, 1, 1, arange())


def test_local_and_new_arrays_hold_nan():
    @cuda.jit
    def read(x, y):
        r = cuda.local.array(2, float32)
        n = cuda.local.array(2, int32)
        y[0], y[1], y[2] = r[0], x[0], np.float32(n[1])

    y = empty()
    launch(read, 1, 1, empty(), y)
    result = arrays.to_host(y)
    assert np.isnan(result[:2]).all()
    assert result[2] == np.float32(-(2**31))


@pytest.mark.parametrize("index", [N, -1])
def test_out_of_bounds(index):
    @cuda.jit
    def read(x, i):
        x[0] = x[i]

    with pytest.raises(
        cuda_simulator.OutOfBounds, match=rf"x\[{index}\] is outside the shape \(32,\)"
    ) as caught:
        launch(read, (1, 2), (1, 1, 1), arange(), index)
    assert "thread (0, 0, 0) of block (0, 0, 0)" in caught.value.__notes__[0]


@pytest.mark.parametrize(("start", "index"), [(1, 0), (0, 2), (3, 4)])
def test_misaligned_vector_access(start, index):
    """Four numbers at once, from a view that may begin anywhere."""

    @cuda.jit
    def read(x, i):
        load4(x, i)

    launch(read, 1, 1, arange()[4:], 4)
    with pytest.raises(cuda_simulator.Misaligned, match=rf"x\[{index}\] is not at a multiple of 16 bytes"):
        launch(read, 1, 1, arange()[start:], index)


def test_every_dimension_must_be_indexed():
    @cuda.jit
    def read(x):
        x[0]

    with pytest.raises(TypeError, match="x has 2 dimensions"):
        launch(read, 1, 1, empty(2, 3))


@pytest.mark.parametrize("value", [0.5, np.float64(1), np.zeros(3, np.float32)])
def test_arguments_that_would_be_slow(value):
    with pytest.raises(TypeError, match="x: kernels take device arrays"):
        launch(reverse, 1, N, value, empty())


@pytest.mark.parametrize(("blocks", "threads"), [(1, 1025), (1, (32, 33)), ((1, 1), 0)])
def test_launches_that_no_gpu_supports(blocks, threads):
    with pytest.raises(ValueError, match="cannot launch"):
        launch(reverse, blocks, threads, arange(), empty())


def test_the_host_cannot_read_device_arrays():
    x = arange()
    for read in (lambda: x[0], lambda: np.asarray(x), lambda: np.add(x, 1)):
        with pytest.raises(TypeError, match="use to_host"):
            read()
    assert arrays.to_host(x[4:10].reshape(2, 3)).tolist() == [[4, 5, 6], [7, 8, 9]]


# What it records


def test_every_access_is_recorded():
    with cuda_simulator.trace() as accesses:
        launch(reverse, 1, N, arange(), empty())
    assert len(accesses) == 4 * N
    assert accesses[:2] == [
        ((0, 0, 0), (0, 0, 0), "x", (0,), "read", 1, 0, False, 0, 0),
        ((0, 0, 0), (0, 0, 0), "tile", (0,), "write", 1, 0, True, 0, 0),
    ]
    assert accesses[-1] == ((0, 0, 0), (N - 1, 0, 0), "y", (N - 1,), "write", 2, N - 1, False, N - 1, 0)


def test_a_barrier_can_be_removed():
    with cuda_simulator.barriers() as sites:
        launch(reverse, 1, N, arange(), empty())
    (site,) = sites
    with open(site.file) as source:
        assert source.readlines()[site.line - 1].strip() == "cuda.syncthreads()"
    with cuda_simulator.remove_barrier(site), pytest.raises(cuda_simulator.Uninitialized):
        launch(reverse, 1, N, arange(), empty())
    launch(reverse, 1, N, arange(), empty())


# Selecting it


def output(script, **changes):
    environment = {name: value for name, value in os.environ.items() if name != "MINIDS_SIM"} | changes
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({missing}))
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name in {missing} else find(name, *a)
import minids
from minids import ops
try:
    ops.load("cuda")
except minids.InputError as error:
    print(error)
"""


def test_a_missing_package_is_named():
    assert "use --backend cpu" in output(WITHOUT.format(missing=["numba.cuda", "numba_cuda", "greenlet"]))
    assert "pip install greenlet" in output(WITHOUT.format(missing=["greenlet"]), MINIDS_SIM="1")


def test_the_simulator_needs_no_numba_cuda():
    script = "import sys; from minids import ops; ops.load('cuda'); print('numba_cuda' in sys.modules)"
    assert output(script, MINIDS_SIM="1") == "False"
