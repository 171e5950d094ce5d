"""Many callers at once, in threads, tasks and processes: each gets the results of a call alone."""

import asyncio
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from minids import DeepSpeech, Recognizer
from minids.model import ModelSettings
from tests import ROOT

CALLERS = 8
SETTINGS = ModelSettings(inputs=5, characters=6, hidden=24, context=2, stride=2, dropout=0.2)
LAYERS = ["omp", "workqueue", "tbb"]


def batches(n):
    """n batches of different sizes, with dropout keys."""
    result = []
    for i in range(n):
        rng = np.random.default_rng(i)
        T, B = int(rng.integers(3, 60)), int(rng.integers(1, 5))
        frames = rng.normal(size=(T, B, 5)).astype(np.float32)
        result.append(
            (frames, rng.integers(1, T + 1, B).astype(np.int32), rng.integers(0, 9, B).astype(np.uint32))
        )
    return result


def assert_same(results, expected):
    for (log_probs, lengths), (other, other_lengths) in zip(results, expected, strict=True):
        np.testing.assert_array_equal(lengths, other_lengths)
        for b, length in enumerate(lengths):
            np.testing.assert_array_equal(log_probs[:length, b], other[:length, b])


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_threads_share_a_network(backend):
    model, inputs = DeepSpeech(SETTINGS, backend=backend), batches(60)
    expected = [model.forward(*batch) for batch in inputs]
    with ThreadPoolExecutor(CALLERS) as pool:
        results = list(pool.map(lambda batch: model.forward(*batch), inputs))
    assert_same(results, expected)


def test_threads_that_follow_one_another_share_memory():
    model, batch = DeepSpeech(SETTINGS), batches(1)[0]
    expected, buffers = [model.forward(*batch)], set()

    def forward():
        assert_same([model.forward(*batch)], expected)
        buffers.add(model.activations["h1"].ctypes.data)

    for _ in range(20):
        thread = threading.Thread(target=forward)
        thread.start()
        thread.join()
    assert len(buffers) == 1
    assert model.activations["h1"].ctypes.data not in buffers


def test_backward_follows_the_forward_of_its_own_thread():
    model, (frames, lengths, keys) = DeepSpeech(SETTINGS), batches(1)[0]
    log_probs, _ = model.forward(frames, lengths, keys)
    dlogits = np.ones_like(log_probs)
    model.backward(dlogits)
    expected = model.flat_grads.copy()
    with ThreadPoolExecutor(1) as pool:
        for batch in batches(5):
            pool.submit(model.forward, *batch).result()
        with pytest.raises(ValueError, match="dlogits have the shape"):
            pool.submit(model.backward, dlogits).result()
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(RuntimeError, match="call forward first, in the same thread"),
    ):
        pool.submit(model.backward, dlogits).result()
    model.backward(dlogits)
    np.testing.assert_array_equal(model.flat_grads, expected)


def test_backward_without_forward_says_so():
    with pytest.raises(RuntimeError, match="call forward first"):
        DeepSpeech(SETTINGS).backward(np.zeros((1, 1, 6), np.float32))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_network_pickles_without_its_buffers(backend):
    model, batch = DeepSpeech(SETTINGS, 3, backend), batches(1)[0]
    large = np.zeros((3000, 4, 5), np.float32), np.full(4, 3000, np.int32)
    model.forward(*large)
    expected, data = [model.forward(*batch)], pickle.dumps(model)
    assert len(data) < model.flat_params.nbytes + 4096, "no activations, no gradients"
    copy = pickle.loads(data)
    assert_same([copy.forward(*batch)], expected)
    copy.flat_params[...] = 0
    assert_same([model.forward(*batch)], expected)


def _forward(model, batch):
    return model.forward(*batch)


def test_spawned_processes_share_a_network():
    model, inputs = DeepSpeech(SETTINGS), batches(4)
    with multiprocessing.get_context("spawn").Pool(2) as processes:
        results = processes.starmap(_forward, [(model, batch) for batch in inputs])
    assert_same(results, [model.forward(*batch) for batch in inputs])


# Recognizers. Each layer of Numba's threads needs a process of its own.


def noises(n):
    """n noises of different lengths and loudness."""
    generators = [np.random.default_rng([7, i]) for i in range(n)]
    return [rng.normal(0, rng.uniform(0.01, 0.1), rng.integers(4000, 40000)) for rng in generators]


def speech(n):
    """Recordings of the shared data, or noise without it."""
    folder = Path(os.environ.get("MINIDS_DATA", ROOT.parent / "shared" / "data"), "an4")
    manifest = folder / "test.jsonl"
    if not manifest.exists():
        return noises(n)
    from minids import load_audio

    lines = manifest.read_text(encoding="utf-8").splitlines()[:n]
    return [load_audio(folder / json.loads(line)["path"], 16000)[0] for line in lines]


def transcribe(recognizer, samples):
    transcript = recognizer.transcribe(samples, 16000)
    return transcript.text, transcript.log_prob, [tuple(word) for word in transcript.words]


def stress(recordings, repeats):
    """{caller: (calls, differences)} of threads and tasks that share a Recognizer."""
    recognizer, inputs = Recognizer.load(), speech(recordings)
    expected = [transcribe(recognizer, samples) for samples in inputs]
    calls, report = list(range(recordings)) * repeats, {}

    def differences(results):
        return len(calls), sum(result != expected[i] for i, result in zip(calls, results, strict=True))

    with ThreadPoolExecutor(CALLERS) as pool:
        results = list(pool.map(lambda i: transcribe(recognizer, inputs[i]), calls))
    report[f"{CALLERS} threads"] = differences(results)

    async def tasks():
        return await asyncio.gather(*(asyncio.to_thread(transcribe, recognizer, inputs[i]) for i in calls))

    report["asyncio.to_thread"] = differences(asyncio.run(tasks()))
    with multiprocessing.get_context("spawn").Pool(2) as processes:
        results = processes.starmap(transcribe, [(recognizer, inputs[i]) for i in range(recordings)])
    report["2 spawned processes"] = recordings, sum(a != b for a, b in zip(results, expected, strict=True))
    return report


@pytest.mark.slow
@pytest.mark.parametrize("bounds_check", ["0", "1"])
@pytest.mark.parametrize("layer", LAYERS)
def test_callers_share_a_recognizer_on_every_threading_layer(layer, bounds_check):
    if layer == "tbb":
        pytest.importorskip("numba.np.ufunc.tbbpool", reason="TBB is not installed", exc_type=ImportError)
    script = """
import json, numba
from tests.test_concurrency import stress
report = stress(6, 4)
print(json.dumps([numba.threading_layer(), report]))
"""
    environment = os.environ | {"NUMBA_THREADING_LAYER": layer, "NUMBA_BOUNDSCHECK": bounds_check}
    if bounds_check == "1":
        environment["NUMBA_CACHE_DIR"] = str(Path(os.environ.get("TMPDIR", "/tmp"), "minids-boundscheck"))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    print(layer, f"NUMBA_BOUNDSCHECK={bounds_check}", done.stdout.strip())
    used, report = json.loads(done.stdout.splitlines()[-1])
    assert used == layer
    assert {caller: different for caller, (_, different) in report.items()} == dict.fromkeys(report, 0)
