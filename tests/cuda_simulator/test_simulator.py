"""The simulator: what kernels can do in it, and what it does not let pass."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from minids.ops import driver

pytest.importorskip("greenlet", reason="the simulator runs on greenlets")
if not driver.simulated():
    pytest.skip("there is a GPU; MINIDS_SIM=1 tests the simulator", allow_module_level=True)

from minids import cuda_simulator  # before numba.cuda is: it takes its place
from minids.ops.cuda import arrays
from minids.ops.cuda.launch import capture, launch
from minids.ops.cuda.reduce import warp_max, warp_sum

from numba import cuda, float32, int32  # isort: skip

N = 32
ORDERS = pytest.mark.parametrize("order", ["forward", "reverse", "random"])


def numbers(n=N):
    return arrays.from_host(np.arange(n, dtype=np.float32))


def room(*shape):
    return arrays.empty(shape or (N,), np.float32)


# What kernels do


@cuda.jit
def turn_round(x, y):
    tile = cuda.shared.array(N, float32)
    i = cuda.threadIdx.x
    tile[i] = x[i]
    cuda.syncthreads()
    y[i] = tile[N - 1 - i]


@ORDERS
def test_threads_meet_at_a_barrier(order):
    y = room()
    with cuda_simulator.order(order, seed=3):
        launch(turn_round, 1, N, numbers(), y)
    np.testing.assert_array_equal(arrays.to_host(y), np.arange(N)[::-1])


@ORDERS
def test_the_order_is_the_one_asked_for(order):
    @cuda.jit
    def note(y):
        seen.append(cuda.threadIdx.x)

    seen = []
    with cuda_simulator.order(order, seed=3):
        launch(note, 1, N, room())
    assert sorted(seen) == [*range(N)]
    assert (seen == [*range(N)]) == (order == "forward")
    assert (seen == [*range(N)][::-1]) == (order == "reverse")


@ORDERS
def test_a_warp_adds_without_memory(order):
    @cuda.jit
    def add(x, y):
        i = cuda.grid(1)
        y[i] = warp_sum(x[i]) + warp_max(-x[i])

    y = room(2 * N)
    with cuda_simulator.order(order):
        launch(add, 1, 2 * N, numbers(2 * N), y)
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
    y, lanes = room(4, N), np.arange(N)
    launch(shuffle, 1, N, y)
    up, down = np.where(lanes < 2, lanes, lanes - 2), np.where(lanes > 28, lanes, lanes + 3)
    np.testing.assert_array_equal(arrays.to_host(y), [0 * lanes + 5, up, down, lanes ^ 1])


@cuda.jit
def pass_on(x, y, steps):
    grid, i = cuda.cg.this_grid(), cuda.grid(1)
    for _ in range(steps):
        y[i] = x[(i + 1) % x.size]
        grid.sync()
        x[i] = y[i]
        grid.sync()


@ORDERS
def test_blocks_meet_at_the_grids_sync(order):
    x = numbers(12)
    with cuda_simulator.order(order, seed=1):
        launch(pass_on, 3, 4, x, room(12), 5)
    np.testing.assert_array_equal(arrays.to_host(x), np.roll(np.arange(12), -5))


def test_more_blocks_than_fit_cannot_wait_for_each_other():
    blocks = cuda_simulator.RESIDENT + 1
    with pytest.raises(cuda_simulator.DivergentBarrier, match="fit on the GPU"):
        launch(pass_on, blocks, 1, numbers(blocks), room(blocks), 1)


def test_dynamic_shared_memory_has_the_size_asked_for():
    @cuda.jit
    def fill(y, n):
        s = cuda.shared.array(0, float32)
        s[n] = np.float32(s.size)
        y[0] = s[n]

    y = room(1)
    launch(fill, 1, 1, y, 9, shared=40)
    assert arrays.to_host(y) == 10
    with pytest.raises(cuda_simulator.OutOfBounds):
        launch(fill, 1, 1, y, 10, shared=40)


def test_more_shared_memory_is_asked_for_but_not_more_than_there_is():
    @cuda.jit
    def touch(y):
        s = cuda.shared.array(0, float32)
        s[s.size - 1] = y[0] = np.float32(s.size)

    y = room()
    launch(touch, 1, 1, y, shared=200_000)
    assert arrays.to_host(y)[0] == 50_000
    with pytest.raises(ValueError, match="at most 232448"):
        launch(touch, 1, 1, y, shared=300_000)
    with pytest.raises(ValueError, match="allowed"):
        cuda.jit(touch.py_func)[1, 1, 0, 200_000](y)


def test_places_in_three_dimensions():
    @cuda.jit
    def place(y):
        x, z = cuda.grid(3)[0], cuda.grid(3)[2]
        y[z, cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y, x] = np.float32(cuda.gridsize(1))

    y = room(2, 6, 4)
    launch(place, (2, 3, 1), (2, 2, 2), y)
    assert (arrays.to_host(y) == 4).all()


def test_numbers_are_those_of_a_gpu():
    """float32 stays float32, nothing raises, and min and max pass over NaN."""

    @cuda.jit
    def compute(x, y):
        y[0] = math.log(x[0])
        y[1] = math.exp(x[1] * np.float32(1000))
        y[2] = max(np.float32(math.nan), x[1])
        y[3] = min(x[1], np.float32(math.nan))
        seen.append(math.log1p(x[1]).dtype)

    seen, y = [], room(4)
    launch(compute, 1, 1, numbers(), y)
    np.testing.assert_array_equal(arrays.to_host(y), [-np.inf, np.inf, 1, 1])
    assert seen == [np.float32]


def test_a_graph_starts_its_launches_again():
    x, y = numbers(12), room(12)
    graph = capture(lambda: launch(pass_on, 3, 4, x, y, 1))
    np.testing.assert_array_equal(arrays.to_host(x), np.roll(np.arange(12), -1))
    graph.launch()
    np.testing.assert_array_equal(arrays.to_host(x), np.roll(np.arange(12), -2))


# What it does not let pass


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
def all_write_one(x):
    s = cuda.shared.array(1, float32)
    s[0] = x[cuda.threadIdx.x]


@cuda.jit
def neighbors_in_global_memory(x):
    i = cuda.threadIdx.x
    x[i] = x[(i + 1) % N]


@cuda.jit
def a_barrier_of_another_warp(x):
    s = cuda.shared.array(2 * N, float32)
    i = cuda.threadIdx.x
    s[i] = x[i]
    cuda.syncwarp()
    x[i] = s[(i + N) % (2 * N)]


@ORDERS
@pytest.mark.parametrize(
    "kernel", [read_after_write, write_after_read, all_write_one, neighbors_in_global_memory]
)
def test_races(kernel, order):
    with cuda_simulator.order(order, seed=2), pytest.raises(cuda_simulator.Race, match=r"thread .* of block"):
        launch(kernel, 1, N, numbers())


def test_a_race_between_warps():
    with pytest.raises((cuda_simulator.Race, cuda_simulator.Uninitialized)):
        launch(a_barrier_of_another_warp, 1, 2 * N, numbers(2 * N))


def test_a_race_between_blocks_that_no_barrier_of_a_block_prevents():
    @cuda.jit
    def race(x):
        x[cuda.blockIdx.x] = np.float32(1)
        cuda.syncthreads()
        x[0] = x[1]

    with pytest.raises(cuda_simulator.Race):
        launch(race, 2, 1, numbers())


def test_a_race_between_two_views_of_one_buffer():
    @cuda.jit
    def shift(x, y):
        y[cuda.threadIdx.x] = x[cuda.threadIdx.x]

    x = numbers()
    launch(shift, 1, 16, x[:16], x[16:])
    with pytest.raises(cuda_simulator.Race):
        launch(shift, 1, 16, x[:16], x[1:17])


def test_a_warp_may_pass_numbers_through_memory_after_its_own_barrier():
    @cuda.jit
    def swap(x):
        i = cuda.threadIdx.x
        value = x[i ^ 1]
        cuda.syncwarp()
        x[i] = value

    x = numbers(2 * N)
    launch(swap, 1, 2 * N, x)
    np.testing.assert_array_equal(arrays.to_host(x), np.arange(2 * N) ^ 1)


def some_leave(x):
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


def a_lane_that_is_not_there(x):
    cuda.shfl_xor_sync(0xFFFF, x[0], 16)


def some_blocks(x):
    grid = cuda.cg.this_grid()
    if cuda.blockIdx.x == 0:
        grid.sync()


@pytest.mark.parametrize(
    "body", [some_leave, two_barriers, half_a_warp, a_lane_that_is_not_there, some_blocks]
)
def test_barriers_that_not_all_reach(body):
    with pytest.raises(cuda_simulator.DivergentBarrier):
        launch(cuda.jit(body), 2, N if body is not a_lane_that_is_not_there else 16, numbers())


def test_shared_memory_that_nobody_has_written():
    @cuda.jit
    def read(x):
        s = cuda.shared.array(N, float32)
        x[0] = s[3]

    with pytest.raises(cuda_simulator.Uninitialized, match=r"s\[3\]"):
        launch(read, 1, 1, numbers())


def test_local_memory_and_new_arrays_hold_not_a_number():
    @cuda.jit
    def read(x, y):
        r = cuda.local.array(2, float32)
        n = cuda.local.array(2, int32)
        y[0], y[1], y[2] = r[0], x[0], np.float32(n[1])

    y = room()
    launch(read, 1, 1, room(), y)
    got = arrays.to_host(y)
    assert np.isnan(got[:2]).all()
    assert got[2] == np.float32(-(2**31))


@pytest.mark.parametrize("index", [N, -1])
def test_out_of_bounds(index):
    @cuda.jit
    def read(x, i):
        x[0] = x[i]

    with pytest.raises(cuda_simulator.OutOfBounds, match=rf"x\[{index}\] of the shape \(32,\)") as caught:
        launch(read, (1, 2), (1, 1, 1), numbers(), index)
    assert "thread (0, 0, 0) of block (0, 0, 0)" in caught.value.__notes__[0]


def test_every_dimension_is_indexed():
    @cuda.jit
    def read(x):
        x[0]

    with pytest.raises(TypeError, match="x has 2 dimensions"):
        launch(read, 1, 1, room(2, 3))


@pytest.mark.parametrize("value", [0.5, np.float64(1), np.zeros(3, np.float32)])
def test_arguments_that_would_be_slow_in_silence(value):
    with pytest.raises(TypeError, match="x: kernels take device arrays"):
        launch(turn_round, 1, N, value, room())


@pytest.mark.parametrize(("blocks", "threads"), [(1, 1025), (1, (32, 33)), ((1, 1), 0)])
def test_launches_that_no_gpu_can_do(blocks, threads):
    with pytest.raises(ValueError, match="cannot launch"):
        launch(turn_round, blocks, threads, numbers(), room())


def test_the_host_cannot_read_what_is_on_the_gpu():
    x = numbers()
    for read in (lambda: x[0], lambda: np.asarray(x), lambda: np.add(x, 1)):
        with pytest.raises(TypeError, match="use to_host"):
            read()
    assert arrays.to_host(x[4:10].reshape(2, 3)).tolist() == [[4, 5, 6], [7, 8, 9]]


# What it tells


def test_every_access_is_told():
    with cuda_simulator.traced() as accesses:
        launch(turn_round, 1, N, numbers(), room())
    assert len(accesses) == 4 * N
    assert accesses[:2] == [
        ((0, 0, 0), (0, 0, 0), "x", (0,), "read", 1),
        ((0, 0, 0), (0, 0, 0), "tile", (0,), "write", 1),
    ]
    assert accesses[-1] == ((0, 0, 0), (N - 1, 0, 0), "y", (N - 1,), "write", 2)


def test_a_barrier_can_be_taken_out():
    with cuda_simulator.barriers() as sites:
        launch(turn_round, 1, N, numbers(), room())
    (site,) = sites
    with open(site.file) as source:
        assert source.readlines()[site.line - 1].strip() == "cuda.syncthreads()"
    with cuda_simulator.without(site), pytest.raises(cuda_simulator.Uninitialized):
        launch(turn_round, 1, N, numbers(), room())
    launch(turn_round, 1, N, numbers(), room())


# What users are told


def told(script, **changes):
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


def test_without_cuda_packages_minids_is_imported_and_the_remedy_named():
    assert "use --backend cpu" in told(WITHOUT.format(missing=["numba.cuda", "numba_cuda", "greenlet"]))
    assert "pip install greenlet" in told(WITHOUT.format(missing=["greenlet"]), MINIDS_SIM="1")


def test_the_simulator_needs_no_numba_cuda():
    script = "import sys; from minids import ops; ops.load('cuda'); print('numba_cuda' in sys.modules)"
    assert told(script, MINIDS_SIM="1") == "False"
