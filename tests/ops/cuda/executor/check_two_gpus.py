"""A node with a T4 and an H200: every rank uses its own GPU, in all threads. See test_executor.py."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from numba import cuda

from minids import DeepSpeech, ops
from minids.gradcheck import relative_error
from minids.model import ModelSettings
from minids.ops import driver as gpu
from minids.ops.cuda.limits import limits
from tests.ops.cuda.executor import driver
from tests.tolerances import FLOAT32_NETWORK, FLOAT32_RECURRENCE

SETTINGS = ModelSettings(inputs=3, characters=5, hidden=520, context=1)


@pytest.fixture(autouse=True)
def second_gpu():
    cuda.select_device(1)
    yield
    cuda.select_device(0)


def step(model, copy):
    """A training step, whose frames are copied by another thread, as in training."""
    frames, lengths = np.ones((7, 2, 3), np.float32), np.array([7, 4], np.int32)
    labels, label_lengths = np.array([[1, 2], [3, 0]], np.int32), np.array([2, 1], np.int32)
    with ThreadPoolExecutor(1) as pool:
        on_gpu = pool.submit(copy, frames).result()
    return model.loss_and_grad(on_gpu, lengths, labels, label_lengths)


def grow_and_delete(models):
    """Buffers are allocated and freed, at last all of them."""
    for T in (3, 7, 5):
        models[0].forward(np.ones((T, 2, 3), np.float32), np.array([T, 1]))
    models.clear()


def test_a_rank_touches_no_other_gpu():
    """Not even with a context, which takes some hundred MB. This test is the first of its process.

    Nor does a thread that has selected no GPU; CUDA refuses to free memory there.
    """
    model = DeepSpeech(SETTINGS, backend="cuda")
    losses = step(model, model.ops.arrays.AsyncCopier())
    with ThreadPoolExecutor(1) as pool:
        pool.submit(grow_and_delete, [DeepSpeech(SETTINGS, backend=model.ops)]).result()
    reference = DeepSpeech(SETTINGS, backend="reference")
    np.testing.assert_allclose(losses, step(reference, lambda frames: frames), rtol=FLOAT32_NETWORK)
    assert driver.contexts == {1}
    assert {device for _, device in driver.launched} == {1}


def test_two_backends_in_one_process():
    """Their kernels use different amounts of shared memory: more than 48 KB on the H200 only."""
    models = []
    for number in (1, 0):
        cuda.select_device(number)
        models.append(DeepSpeech(SETTINGS, backend="cuda"))
    copiers = [model.ops.arrays.AsyncCopier() for model in models]
    first, second, *again = (step(*pair) for pair in list(zip(models, copiers, strict=True)) * 2)
    np.testing.assert_allclose(first, second, rtol=FLOAT32_NETWORK)
    np.testing.assert_array_equal(again, [first, second])


def test_each_gpu_has_its_own_limits():
    assert (gpu.capability(), limits().multiprocessors) == ((9, 0), 132)
    ops.load("cuda", gemm="tf32")
    cuda.select_device(0)
    assert (gpu.capability(), limits().multiprocessors) == ((7, 5), 40)


def test_threads_record_graphs_on_their_own_gpus(request):
    """At the same time."""
    request.addfinalizer(partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-5)  # the threads alternate often
    backends = []
    for number in (0, 1):
        cuda.select_device(number)
        backends.append(ops.load("cuda", recurrence="graph"))

    def errors(backend):
        rng, reference = np.random.default_rng(1), ops.load("reference")
        for T in range(1, 7):
            batch = [rng.normal(size=shape).astype(np.float32) for shape in ((T, 2, 7), (7, 7), (7, 7))]
            batch.append(np.full(2, T, np.int32))
            h, *_ = backend.birnn_forward(*map(backend.arrays.from_host, batch))
            yield relative_error(backend.arrays.to_host(h), reference.birnn_forward(*batch)[0])

    with ThreadPoolExecutor(2) as pool:
        for result in pool.map(lambda backend: list(errors(backend)), backends):
            assert max(result) <= FLOAT32_RECURRENCE
