"""The network on the GPU, or in the simulator, from the batch to the update."""

import json
import math
from dataclasses import replace
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest

from minids import DeepSpeech, cli, ctc_loss, gradcheck, ops, weights
from minids._utils.errors import InputError
from minids.gradcheck import relative_error
from minids.model import ModelSettings
from minids.ops import driver
from minids.training import selfcheck
from minids.training.resources import available_memory, max_batch_size, memory, reserve_memory
from minids.training.settings import read_settings
from minids.training.step import GradientSum, step
from minids.training.trainer import Trainer
from tests import tones
from tests.ops.test_ctc import mixed_batch
from tests.tolerances import CTC_FLOAT32_GRADIENT, CTC_FLOAT32_LOSS, FLOAT32_NETWORK, FLOAT32_TEN_STEPS

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda", reason="pip install minids[cuda]")
from minids.ops.cuda import arrays, matmul

HIDDEN, STEPS = (6, 2) if driver.simulated() else (256, 10)
SETTINGS = ModelSettings(inputs=3, characters=5, hidden=HIDDEN, context=1, stride=2, dropout=0.3)


def batch(lengths=(9, 1, 6), seed=1):
    """Frames with NaN in the padding, lengths, labels, label lengths, dropout keys."""
    rng = np.random.default_rng(seed)
    frames = rng.normal(size=(max(lengths), len(lengths), SETTINGS.inputs)).astype(np.float32)
    for b, n in enumerate(lengths):
        frames[n:, b] = np.nan
    labels = np.array([[1, 1, 2], [4, 0, 0], [3, 2, 0]], np.int32)[: len(lengths)]
    label_lengths = np.array([3, 1, 2], np.int32)[: len(lengths)]
    keys = np.arange(5, 5 + len(lengths), dtype=np.uint32)
    return frames, np.array(lengths, np.int32), labels, label_lengths, keys


def test_every_check_of_the_backend_passes():
    """Losses, every gradient, the weights after some steps, and a padded batch, against the reference."""
    checks = list(gradcheck.check_backend("cuda", HIDDEN, STEPS)) + list(gradcheck.check_padding("cuda"))
    assert checks
    assert [check for check in checks if not check.passed] == []


def test_forward_ctc_and_backward_equal_loss_and_grad():
    """In three calls, with NumPy arrays between them."""
    model = DeepSpeech(SETTINGS, backend="cuda")
    frames, lengths, labels, label_lengths, keys = batch()
    losses = model.loss_and_grad(frames, lengths, labels, label_lengths, keys)
    gradient = model.ops.arrays.to_host(model.flat_grads)
    log_probs, after = model.forward(frames, lengths, keys)
    expected, dlogits = ctc_loss(log_probs, after, labels, label_lengths, "cuda")
    model.backward(dlogits)
    np.testing.assert_allclose(losses, expected, rtol=FLOAT32_NETWORK)
    assert relative_error(gradient, model.ops.arrays.to_host(model.flat_grads)) <= FLOAT32_NETWORK
    assert gradient.any()
    assert math.isfinite(losses.sum())


def test_numbers_of_other_types_are_converted():
    model = DeepSpeech(SETTINGS, backend="cuda")
    frames, lengths, *_ = batch()
    expected, _ = model.forward(frames, lengths)
    np.testing.assert_array_equal(
        expected, model.forward(frames.astype(np.float64), lengths.astype(np.int64))[0]
    )


def test_a_step_allocates_nothing_after_its_largest_batch(monkeypatch):
    model = DeepSpeech(SETTINGS, backend="cuda")
    arrays = model.ops.arrays
    velocity = arrays.from_host(np.zeros(model.flat_params.shape, np.float32))

    def one_step(*arguments):
        data = batch(*arguments)
        return step(model, velocity, FourArrays(*data[:4]), data[4], 1e-4, 0.9, 1.0)

    one_step((9, 1, 6))

    def fail(*_):
        raise AssertionError("memory was allocated")

    monkeypatch.setattr(arrays, "empty", fail)
    losses, norm = one_step((9, 5), 2)
    assert np.isfinite(losses).all()
    assert math.isfinite(norm)


class FourArrays:
    """A batch as `step` takes it."""

    def __init__(self, frames, lengths, labels, label_lengths):
        self.frames, self.lengths, self.labels, self.label_lengths = frames, lengths, labels, label_lengths


def test_a_step_waits_for_the_gpu_once(monkeypatch):
    """Everything is launched before the first result is copied to the host."""
    backend, events = ops.load("cuda"), []

    def recorded(name):
        operation = getattr(backend, name)
        return lambda *arguments, **options: events.append(name) or operation(*arguments, **options)

    names = ("birnn_backward", "norm", "nesterov")
    model = DeepSpeech(SETTINGS, backend=replace(backend, **{name: recorded(name) for name in names}))
    velocity = backend.arrays.from_host(np.zeros(model.flat_params.shape, np.float32))
    to_host = backend.arrays.to_host
    monkeypatch.setattr(backend.arrays, "to_host", lambda a: events.append("wait") or to_host(a))
    monkeypatch.setattr("minids.ops.cuda.arrays.to_host", backend.arrays.to_host)  # which norm calls
    data = batch()
    step(model, velocity, FourArrays(*data[:4]), data[4], 1e-4, 0.9, 1.0)
    assert events == ["birnn_backward", "norm", "wait", "wait", "nesterov"]  # by then everything is computed


def test_a_step_on_two_batches_with_frozen_weights_equals_the_references():
    frozen, weights = 3 * 3 * HIDDEN + HIDDEN, []  # W1 and b1
    for backend in ("cuda", "reference"):
        model = DeepSpeech(SETTINGS, backend=backend)
        before = np.array(model.ops.arrays.to_host(model.flat_params))
        velocity, earlier = model.ops.arrays.from_host(np.zeros_like(before)), GradientSum(model)
        first, second = batch(), batch((5, 7), seed=2)
        earlier.add(FourArrays(*first[:4]), first[4])
        arguments = FourArrays(*second[:4]), second[4], 0.1, 0.9, 1e9
        losses, norm = step(model, velocity, *arguments, frozen=frozen, earlier=earlier)
        assert len(losses) == 5
        weights.append((model.ops.arrays.to_host(model.flat_params) - before, norm))
    assert relative_error(weights[0][0], weights[1][0]) <= FLOAT32_TEN_STEPS
    assert weights[0][1] == pytest.approx(weights[1][1], rel=FLOAT32_TEN_STEPS)
    assert not weights[0][0][:frozen].any()
    assert weights[0][0][frozen:].any()


def test_the_async_copier_has_two_buffers():
    """They alternate, and grow."""
    arrays = ops.load("cuda").arrays
    frames = [np.full((n, 2, 3), n, np.float32) for n in (2, 5, 1, 4)]
    copy = arrays.AsyncCopier()
    copies = [copy(frames[0])]
    for previous, current in pairwise(frames):
        copies.append(copy(current))
        for array, expected in zip(copies[-2:], (previous, current), strict=True):
            np.testing.assert_array_equal(arrays.to_host(array), expected)


@pytest.mark.parametrize("full", ["device_array", "pinned_array"])
def test_the_buffers_alternate_after_memory_was_exhausted(monkeypatch, full):
    """With smaller batches, one is computed on while the next is copied."""
    gpu = ops.load("cuda").arrays
    copy = gpu.AsyncCopier()
    small, large = np.zeros((2, 2, 3), np.float32), np.zeros((9, 2, 3), np.float32)
    copy(small), copy(small)
    with monkeypatch.context() as patch:
        patch.setattr(arrays.cuda, full, mock.Mock(side_effect=RuntimeError("CUDA_ERROR_OUT_OF_MEMORY")))
        with pytest.raises(MemoryError):
            copy(large)
    copies = [copy(small + n) for n in (1, 2)]
    for array, expected in zip(copies, (1, 2), strict=True):
        np.testing.assert_array_equal(gpu.to_host(array), small + expected)


def test_ctc_loss_on_the_gpu():
    batch = mixed_batch(np.random.default_rng(3), T=20)
    (losses, dlogits), (expected, gradient) = (ctc_loss(*batch, backend) for backend in ("cuda", "reference"))
    np.testing.assert_allclose(losses, expected, rtol=CTC_FLOAT32_LOSS, atol=CTC_FLOAT32_LOSS)
    np.testing.assert_allclose(dlogits, gradient, atol=CTC_FLOAT32_GRADIENT)


def test_weights_are_saved_and_loaded(tmp_path):
    from minids import Alphabet, Features

    features = Features(bands=2, normalize="utterance")
    on_gpu = DeepSpeech(SETTINGS, 3, "cuda")
    assert features.size == SETTINGS.inputs
    saved = weights.SavedModel(on_gpu, features, Alphabet("abcd"), {}, {})
    weights.save_model(tmp_path / "model", saved)
    loaded = weights.load_model(tmp_path / "model", "cuda").model
    on_cpu = DeepSpeech(SETTINGS, 3, "cpu")
    for model in (on_gpu, loaded):
        np.testing.assert_array_equal(model.ops.arrays.to_host(model.flat_params), on_cpu.flat_params)


# The self-check


@pytest.fixture
def short_self_check(monkeypatch, pytestconfig):
    monkeypatch.setattr(selfcheck, "MAX_UTTERANCES", 2)
    if pytestconfig.pluginmanager.hasplugin("tests.ops.cuda.executor.plugin"):
        monkeypatch.setattr(selfcheck, "MAX_FRAMES", 300)


@pytest.mark.usefixtures("short_self_check")
def test_a_gpu_that_agrees_with_the_cpu_passes_and_keeps_its_weights():
    model = DeepSpeech(SETTINGS, backend="cuda")
    before = model.ops.arrays.to_host(model.flat_params)
    selfcheck.self_check(model, 8)
    np.testing.assert_array_equal(model.ops.arrays.to_host(model.flat_params), before)


@pytest.mark.usefixtures("short_self_check")
@pytest.mark.parametrize(("wrong", "named"), [(0.0, r"1\.0e"), (math.nan, "nan")])
def test_other_losses_fail_the_self_check(monkeypatch, wrong, named):
    model = DeepSpeech(SETTINGS, backend="cpu")  # its losses are made wrong below
    right = model.loss_and_grad
    monkeypatch.setattr(model, "loss_and_grad", lambda *batch: wrong * right(*batch))
    with pytest.raises(
        ValueError, match=f"the GPU and the CPU disagree \\(losses: relative error {named}.*--backend cpu"
    ):
        selfcheck.self_check(model, 8)


@pytest.mark.usefixtures("short_self_check")
def test_another_gradient_fails_the_self_check(monkeypatch):
    model = DeepSpeech(SETTINGS, backend="cpu")
    right = model.loss_and_grad

    def wrong_gradient(*batch):
        losses = right(*batch)
        model.grads["Wr_b"][...] *= 1.1
        return losses

    monkeypatch.setattr(model, "loss_and_grad", wrong_gradient)
    with pytest.raises(ValueError, match=r"dWr_b: relative error 1\.0e-01"):
        selfcheck.self_check(model, 8)


# Training


@pytest.mark.usefixtures("short_self_check")
def test_a_run_on_the_gpu_equals_one_on_the_cpu_even_after_a_stop(monkeypatch, tmp_path):
    """And its epochs allocate no memory."""
    tones.corpus(tmp_path, "train", 2)
    tones.corpus(tmp_path, "dev", 1)
    train_epoch = Trainer.train_epoch

    def train_epoch_without_memory(self):
        with monkeypatch.context() as patch:
            if self.model.ops.name == "cuda":
                patch.setattr(self.model.ops.arrays, "empty", None)  # a call would raise an error
                patch.setattr("minids.ops.cuda.arrays._pinned", None)
            train_epoch(self)

    monkeypatch.setattr(Trainer, "train_epoch", train_epoch_without_memory)
    rows = {}
    for backend, stops in (("cpu", [2]), ("cuda", [1, 2])):
        for epochs in stops:
            settings = tones.settings(tmp_path, epochs=epochs)
            text = settings.read_text().replace("bands = 12", "bands = 3")
            settings.write_text(text.replace("hidden = 16\ncontext = 2", "hidden = 4\ncontext = 0"))
            run = Trainer(read_settings(settings), tmp_path / backend, backend)
            run.run()
        rows[backend] = run.state.rows
        weights.load_model(run.folder.best)
    for gpu, cpu in zip(rows["cuda"], rows["cpu"], strict=True):
        for name in ("loss", "dev_loss", "gradient_norm", "wer", "utterances"):
            assert gpu[name] == pytest.approx(cpu[name], rel=FLOAT32_TEN_STEPS)


# Memory


@pytest.mark.parametrize("backend", ["cpu", "cuda"])
def test_max_batch_size_is_the_largest_that_fits(backend):
    settings = ModelSettings(81, 29, 512)
    for batch_size in (1, 7, 300):
        free = memory(settings, 1000, batch_size, backend)
        assert max_batch_size(settings, 1000, free, backend) == batch_size
        assert max_batch_size(settings, 1000, free - 1, backend) == batch_size - 1
    assert max_batch_size(settings, 1000, 1000, backend) == 0


def test_the_memory_estimate_is_near_what_is_allocated(monkeypatch):
    """For a network that would need most of its memory for stacked frames."""
    settings, frames, batch_size = ModelSettings(inputs=9, characters=5, hidden=4, context=9), 40, 2
    matmul.split_buffer()  # is there already, if another test has used it
    device_array, sizes = arrays.cuda.device_array, []

    def counted(shape, dtype):
        array = device_array(shape, dtype)
        sizes.append(array.nbytes)
        return array

    monkeypatch.setattr(arrays.cuda, "device_array", counted)
    model = DeepSpeech(settings, backend="cuda")
    model.ops.arrays.empty(model.flat_params.shape, np.float32)  # the velocity
    reserve_memory(model, frames, frames // 3, batch_size)
    estimated = memory(settings, frames, batch_size, "cuda")
    assert estimated / 1.2 < sum(sizes) < estimated * 1.2


def test_available_memory_is_that_of_the_gpu():
    """Memory of deleted arrays, which Numba keeps for a while, counts as free."""
    backend = ops.load("cuda")
    free = available_memory(backend)
    assert free is None if driver.simulated() else 10**8 < free < 10**13
    backend.arrays.empty((10**6,), np.float32)
    assert available_memory(backend) == free


def test_too_little_gpu_memory_is_a_memory_error(monkeypatch):
    """The command line reports it in one line."""

    def full(*_):
        raise RuntimeError("[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")

    monkeypatch.setattr(arrays.cuda, "device_array", full)
    with pytest.raises(MemoryError, match=r"the GPU does not have 4.00 GB of free memory"):
        arrays.empty((10**9,), np.float32)
    monkeypatch.setattr(arrays.cuda, "pinned_array", full)
    with pytest.raises(
        MemoryError, match=r"the host does not have 0.04 GB of memory that can be page-locked"
    ):
        arrays.AsyncCopier()(np.zeros((100, 10, 10_000), np.float32))


def test_a_full_gpu_is_not_reported_as_a_damaged_model(monkeypatch, capsys, tmp_path):
    def full(*_):
        raise RuntimeError("[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")

    model = tones.model(tmp_path / "model")
    tones.corpus(tmp_path, "test", 1)
    monkeypatch.setattr("minids.ops.cuda.arrays.cuda.device_array", full)
    with pytest.raises(MemoryError, match="the GPU does not have"):
        weights.load_model(model, "cuda")
    wav = tmp_path / "test" / "0.wav"
    code, _, stderr = run(capsys, "transcribe", wav, "--model", model, "--lm", "none", "--backend", "cuda")
    assert code == 1
    assert stderr.count("minids: error") == 1
    assert "out of memory (the GPU does not have 0.00 GB of free memory)" in stderr


def test_a_grid_that_no_gpu_supports_is_refused():
    from minids.ops.cuda import affine, launch

    with pytest.raises(InputError, match="lower batch_size"):
        launch.launch(affine.gate, (1, launch.MAX_BLOCKS_YZ + 1), 32)


# Commands


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        cli.main([str(a) for a in arguments])
    return end.value.code, *capsys.readouterr()


def test_gemm_needs_the_backend_cuda(capsys):
    code, _, stderr = run(capsys, "bench", "--gemm", "tf32")
    assert code == 1
    assert "--gemm tf32 is for the GPU; give --backend cuda as well" in stderr


def test_bench_times_the_gpu(monkeypatch, capsys):
    monkeypatch.setattr("minids.training.bench.matmul_rate", lambda backend: 1e9)
    monkeypatch.setattr("minids.training.bench.FEATURES", 1)
    size = ("--hidden", 4, "--batch", 1, "--frames", 2)
    code, out, _ = run(capsys, "bench", "--backend", "cuda", *size, "--json")
    row = json.loads(out)
    assert code in (None, 0)
    assert row["backend"] == "cuda"
    assert set(row["parts"]) == set(ops.OPERATIONS) - {"axpby"}  # only steps on several batches have it


def test_cpu_and_gpu_give_the_same_transcript(capsys, tmp_path):
    """With the commands transcribe and evaluate."""
    model, manifest = tones.model(tmp_path / "model"), tones.corpus(tmp_path, "test", 1)
    results = {}
    for backend in ("cpu", "cuda"):
        on = "--json", "--model", model, "--lm", "none", "--backend", backend
        transcripts, errors = (
            run(capsys, "transcribe", tmp_path / "test" / "0.wav", *on),
            run(capsys, "evaluate", manifest, *on),
        )
        results[backend] = json.loads(transcripts[1]), json.loads(errors[1])
    (gpu, gpu_errors), (cpu, cpu_errors) = results["cuda"], results["cpu"]
    assert gpu["text"] == cpu["text"]
    assert gpu["log_prob"] == pytest.approx(cpu["log_prob"], rel=FLOAT32_NETWORK)
    assert gpu_errors["wer"] == cpu_errors["wer"]
