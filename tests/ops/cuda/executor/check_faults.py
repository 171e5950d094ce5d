"""What a GPU would not forgive is found: a faulty kernel or call each. See test_executor.py."""

from contextlib import contextmanager, suppress

import numpy as np
import pytest
from cuda.core._utils.cuda_utils import CUDAError
from numba import cuda, float32
from numba.cuda.cudadrv.driver import CudaAPIError

from minids._utils.errors import InputError
from minids.ops.cuda import arrays, driver_api
from minids.ops.cuda.reduce import warp_sum
from minids.ops.cuda.vector_io import load4
from tests.ops.cuda.executor import driver


@contextmanager
def found(problem):
    """The driver notices this, now or when something waits."""
    with suppress(CUDAError, CudaAPIError, InputError, RuntimeError):
        yield
        cuda.synchronize()
    assert any(problem in text for text in driver.problems), driver.problems
    driver.problems.clear()


def ones(n):
    return arrays.from_host(np.ones(n, np.float32))


@cuda.jit
def fill(x, size):
    i = cuda.grid(1)
    if i < size:
        x[i] = 1


@cuda.jit
def copy_first(x, y, size):
    y[0] = x[size - 1]


@pytest.mark.parametrize(
    ("n", "size", "problem"), [(1024, 1025, "not allocated"), (1023, 1024, "wrote beyond the end")]
)
def test_writing_beyond_an_array(n, size, problem):
    with found(problem):
        fill[9, 128](ones(n), size)


def test_reading_beyond_an_array():
    with found("not allocated"):
        copy_first[1, 1](ones(1024), ones(1), 1025)


def test_freed_memory():
    """A graph that is launched after its arrays are gone."""
    x = ones(5)
    fill[1, 32](x, 5)
    recorder = driver_api.Recorder()
    fill[1, 32, recorder.stream](x, 5)
    graph = recorder.end()
    del x
    arrays.available()  # frees what Numba still holds
    with found("not allocated"):
        graph.launch()


def test_memory_that_was_never_written():
    assert np.isnan(arrays.to_host(arrays.empty((5,), np.float32))).all()


def test_a_vector_at_an_odd_address():
    @cuda.jit
    def kernel(x, y, start):
        y[0] = load4(x, start)[0]

    kernel[1, 1](ones(8), ones(1), 4)
    with found("misaligned access to global memory: 16 bytes"):
        kernel[1, 1](ones(8), ones(1), 3)


def shared_kernel():
    @cuda.jit
    def kernel(x, i):
        s = cuda.shared.array(0, float32)
        s[i] = x[0]
        x[0] = s[i]

    return kernel


def test_beyond_shared_memory():
    kernel = shared_kernel()
    kernel[1, 1, 0, 400](ones(1), 99)
    with found("beyond shared memory: 4 bytes at 400 of 400"):
        kernel[1, 1, 0, 400](ones(1), 100)


def test_more_shared_memory_than_was_asked_for(monkeypatch):
    kernel, x = shared_kernel(), ones(1)
    with found("60000 bytes of shared memory, 49152 are allowed"):
        kernel[1, 1, 0, 60_000](x, 0)
    driver_api.allow_shared(kernel, (x, 0), 60_000)
    kernel[1, 1, 0, 60_000](x, 0)
    with found("the GPU has"):
        driver_api.allow_shared(kernel, (x, 0), 300_000)
    monkeypatch.setattr(driver_api, "cu", None)  # the driver is not asked again
    driver_api.allow_shared(kernel, (x, 0), 60_000)


@pytest.mark.parametrize(("blocks", "threads"), [(1, 1025), ((1, 65_536), 1), (1, (1, 1, 65))])
def test_launches_that_no_gpu_supports(blocks, threads):
    with found("blocks"):
        fill[blocks, threads](ones(1), 0)


def test_more_threads_than_the_launch_bounds():
    @cuda.jit(launch_bounds=64)
    def kernel(x):
        x[0] = 1

    with found("blocks of (65, 1, 1) threads"):
        kernel[1, 65](ones(1))


def test_too_many_registers():
    """128 numbers for each of 1024 threads."""

    @cuda.jit
    def kernel(x):
        many = cuda.local.array(128, float32)
        for i in range(128):
            many[i] = x[i]
        cuda.syncthreads()
        for i in range(128):
            x[i] = many[127 - i]

    kernel[1, 32](ones(128))
    with found("1024 threads need too many registers"):
        kernel[1, 1024](ones(128))


def test_a_barrier_that_some_threads_do_not_reach():
    @cuda.jit
    def kernel(x):
        if cuda.threadIdx.x < 16:
            cuda.syncthreads()
        x[0] = 1

    with found("threads wait for others in vain: 16 at a barrier"):
        kernel[1, 32](ones(1))


def test_lanes_that_do_not_exist():
    @cuda.jit
    def kernel(x):
        x[0] = warp_sum(x[0])

    with found("an exchange with lanes that do not exist"):
        kernel[1, 16](ones(1))


def test_a_missing_barrier():
    """Right in one order of the threads, wrong in the reverse."""

    @cuda.jit
    def mirrored(x):
        s = cuda.shared.array(64, float32)
        s[cuda.threadIdx.x] = x[cuda.threadIdx.x]
        x[cuda.threadIdx.x] = s[63 - cuda.threadIdx.x]

    x = arrays.from_host(np.arange(64, dtype=np.float32))
    mirrored[1, 64](x)
    assert not np.array_equal(arrays.to_host(x), np.arange(64)[::-1])


@pytest.mark.parametrize("barrier", [True, False])
def test_a_warp_overtakes_the_others_where_no_barrier_stops_it(pytestconfig, barrier):
    """It overwrites what they have not read yet."""

    @cuda.jit
    def kernel(x):
        s = cuda.shared.array(64, float32)
        i = cuda.threadIdx.x
        s[i] = x[i]
        cuda.syncthreads()
        x[i] = s[i ^ 32]
        if barrier:
            cuda.syncthreads()
        cuda.syncwarp()
        s[i] = -1

    x = arrays.from_host(np.arange(64, dtype=np.float32))
    kernel[1, 64](x)
    right = np.array_equal(arrays.to_host(x), np.arange(64) ^ 32)
    assert right == barrier or (not barrier and pytestconfig.getoption("order") == "random")


def test_work_beside_a_recording_is_not_recorded():
    x = ones(5)
    fill[1, 32](x, 5)
    with found("it is not recorded"):
        recorder = driver_api.Recorder()
        fill[1, 32](x, 5)
        recorder.end()


def test_the_gpu_cannot_be_waited_for_while_a_stream_is_captured():
    with found("waits for a GPU while one of its streams is captured"):
        recorder = driver_api.Recorder()
        try:
            cuda.synchronize()
        finally:
            recorder.end()


def test_a_recording_cannot_be_waited_for():
    with found("waits for a stream that is captured"):
        recorder = driver_api.Recorder()
        try:
            recorder.stream.synchronize()
        finally:
            recorder.end()


def test_a_copy_that_nobody_waited_for(pytestconfig):
    """Streams run as late as allowed in the order "reverse", and at once in "forward"."""
    late = pytestconfig.getoption("order") == "reverse"
    stream, pinned = driver_api.async_stream(), cuda.pinned_array(4, np.float32)
    pinned[:] = 1
    x = ones(4)
    x.copy_to_device(pinned, stream=stream)
    pinned[:] = 2
    stream.synchronize()
    if late:
        np.testing.assert_array_equal(arrays.to_host(x), np.full(4, 2))


def test_the_time_between_two_events():
    start, end = cuda.event(), cuda.event()
    start.record()
    fill[1, 32](ones(5), 5)
    end.record()
    end.synchronize()
    assert 0 < start.elapsed_time(end) < 10_000


def test_an_array_of_another_gpu():
    if len(cuda.gpus) < 2:
        pytest.skip("needs --gpu h200,t4")
    x = ones(5)
    with cuda.gpus[1], found("an array of another GPU"):
        fill[1, 32](x, 5)
