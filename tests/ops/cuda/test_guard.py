"""Threads share a backend; errors of the driver are one line; numbers that do not fit are refused."""

import multiprocessing as mp
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import numpy as np
import pytest

from minids import DeepSpeech, ops
from minids._utils.errors import InputError
from minids.model import ModelSettings
from minids.ops import driver

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")

from minids.ops.cuda import device, guard
from minids.ops.cuda.guard import explain, guarded

GPU = ops.load("cuda")


def call_norm():
    return GPU.norm(None)


def test_threads_share_a_backend():
    """Its scratch memory, too, which belongs to all of them."""
    x = [GPU.arrays.from_host(np.full(5000, n, np.float32)) for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        norms = list(pool.map(GPU.norm, x * 2))
    np.testing.assert_allclose(norms, [n * np.sqrt(5000) for n in range(16)] * 2, rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"recurrence": "graph"}, {"gemm": "tf32"}])
def test_threads_share_a_network(options):
    if options.get("gemm") == "tf32" and not driver.simulated() and driver.capability() < (8, 0):
        pytest.skip("this GPU does not support TF32")
    model = DeepSpeech(ModelSettings(3, 4, hidden=5, context=1), backend=ops.load("cuda", **options))
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(T, 2, 3)), np.array([T, 1])) for T in (1, 6, 3, 6)]
    expected = [model.forward(*batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda batch: model.forward(*batch)[0], batches * 2))
    for result, log_probs in zip(results, expected * 2, strict=True):
        np.testing.assert_array_equal(result, log_probs)


def test_a_pickled_network_keeps_its_weights_and_options():
    model = DeepSpeech(ModelSettings(3, 4, hidden=5), backend=ops.load("cuda", recurrence="graph"))
    copy = pickle.loads(pickle.dumps(model))
    batch = np.ones((3, 1, 3), np.float32), np.array([3])
    np.testing.assert_array_equal(copy.forward(*batch)[0], model.forward(*batch)[0])
    assert copy.ops.name == "cuda"
    assert copy.ops.options == {"recurrence": "graph"}


def test_backends_with_different_options_exist_side_by_side():
    rng = np.random.default_rng(1)
    x, W = (rng.normal(size=shape).astype(np.float32) for shape in ((9, 1, 16), (16, 16)))
    arguments = [GPU.arrays.from_host(a) for a in (x, W, np.zeros(16, np.float32))]
    try:
        tf32 = ops.load("cuda", gemm="tf32")
    except InputError as error:
        pytest.skip(str(error))
    exact, rounded, again = (GPU.arrays.to_host(b.affine_forward(*arguments)) for b in (GPU, tf32, GPU))
    assert not np.array_equal(exact, rounded)
    np.testing.assert_array_equal(exact, again)


def test_every_call_uses_the_gpu_of_the_backend(monkeypatch):
    """Also in threads that have selected no GPU, or another one."""
    entered = []

    @contextmanager
    def gpu(number):
        entered.append(number)
        yield

    monkeypatch.setattr(guard.cuda, "gpus", [gpu(0), gpu(1)])
    assert guarded(lambda x: x + 1, 1, exclusive=True)(1) == 2
    assert entered == [1]


def test_nobody_waits_for_the_gpu_during_an_operation():
    """It may record a graph, which that breaks; copies do not."""
    x, begun, end = np.ones(3, np.float32), threading.Event(), threading.Event()
    operation = guarded(lambda: begun.set() or end.wait(60), device.current_device(), exclusive=True)
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(operation)
        begun.wait(60)
        try:
            np.testing.assert_array_equal(GPU.arrays.to_host(GPU.arrays.from_host(x)), x)
            waiting = pool.submit(GPU.arrays.synchronize)
            assert not wait([waiting], timeout=0.2).done
        finally:
            end.set()
        assert running.result(60)
        assert waiting.result(60) is None


def test_scratch_memory_belongs_to_a_gpu(monkeypatch):
    buffers = device.per_device(lambda size: object())
    first = buffers(5)
    monkeypatch.setattr(device, "current_device", lambda: 1)
    assert buffers(5) is not first
    monkeypatch.undo()
    assert buffers(5) is first


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_is_refused():
    x = GPU.arrays.from_host(np.ones(3, np.float32))
    pool = mp.get_context("fork").Pool(1)
    with pool, pytest.raises(RuntimeError, match="use the start method spawn"):
        pool.apply(call_norm)
    assert GPU.norm(x) == pytest.approx(3**0.5)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            RuntimeError("[2] Call to cuLaunchKernel results in CUDA_ERROR_OUT_OF_MEMORY"),
            MemoryError,
            "free memory",
        ),
        (
            RuntimeError("[700] results in CUDA_ERROR_ILLEGAL_ADDRESS"),
            InputError,
            "the GPU reports ILLEGAL_ADDRESS",
        ),
        (
            RuntimeError("the NVIDIA driver reports CUDA_ERROR_LAUNCH_TIMEOUT"),
            InputError,
            "drives a screen",
        ),
        (
            type("NvvmSupportError", (ImportError,), {})("no libNVVM\nfound"),
            InputError,
            r"kernels cannot be compiled \(no libNVVM found\); pip install 'minids\[cuda",
        ),
        (
            type("nvJitLinkError", (Exception,), {})("may need newer version of nvJitLink library"),
            InputError,
            "newer version of nvJitLink",
        ),
    ],
)
def test_errors_of_the_driver_are_one_line(error, kind, message):
    def fail():
        raise error

    with pytest.raises(kind, match=message) as caught:
        guarded(fail, 0, exclusive=True)()
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_other_errors_stay_what_they_are():
    assert explain(ValueError("W must be float32")) is None
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 / 0, 0, exclusive=False)()


@pytest.mark.parametrize(
    "values", [[2**32 + 1], [-(2**31) - 1], np.array([2**63], np.uint64), [True], [1j], ["a"]]
)
def test_numbers_that_do_not_fit_are_refused(values):
    with pytest.raises(ValueError, match=r"do not fit into|the GPU computes with"):
        GPU.arrays.from_host(np.array(values))


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0)[::2],
        np.arange(3, dtype=">f8"),
        np.arange(3, dtype=">i4"),
        np.broadcast_to(np.float32(2), (2, 3)),
        np.zeros((0, 3)),
        np.array(5),
        np.array([2**31 - 1, -(2**31)]),
        np.array([2**32 - 1], np.uint64),
    ],
)
def test_arrays_of_any_layout_are_copied(array):
    copy = GPU.arrays.to_host(GPU.arrays.from_host(array))
    np.testing.assert_array_equal(copy, array)
    assert copy.dtype in (np.float32, np.int32, np.uint32)


def test_a_copy_needs_equal_shapes():
    with pytest.raises(ValueError, match=r"shape \(1, 3\) cannot be copied to one of shape \(2, 3\)"):
        GPU.arrays.copy(np.zeros((1, 3), np.float32), GPU.arrays.empty((2, 3), np.float32))
