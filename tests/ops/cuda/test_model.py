"""The network on the GPU, from the batch to the update, in the simulator where there is no GPU."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest

from minids import DeepSpeech, cli, ctc_loss, gradcheck, ops, weights
from minids._utils.errors import InputError
from minids.gradcheck import relative_error
from minids.model import ModelSettings
from minids.ops import driver
from minids.training import selfcheck
from minids.training.resources import available_memory, max_batch_size, memory
from minids.training.settings import read_settings
from minids.training.step import step
from minids.training.trainer import Trainer
from tests import tones
from tests.ops.test_ctc import mixed_batch
from tests.tolerances import CTC_FLOAT32_GRADIENT, CTC_FLOAT32_LOSS, FLOAT32_NETWORK, FLOAT32_TEN_STEPS

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda", reason="pip install minids[cuda]")
HIDDEN, STEPS = (6, 2) if driver.simulated() else (256, 10)
SETTINGS = ModelSettings(inputs=3, characters=5, hidden=HIDDEN, context=1, stride=2, dropout=0.3)


@pytest.fixture(scope="module")
def cuda():
    return ops.load("cuda")


def batch(lengths=(9, 1, 6), seed=1):
    """Frames with NaN in the padding, lengths, labels, their lengths, keys."""
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
    assert [check for check in checks if not check.passed] == []
    assert len(checks) == 18


def test_forward_and_backward_are_learn():
    """Taken apart, with NumPy arrays between them."""
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


def test_numbers_of_any_type_may_be_given():
    model = DeepSpeech(SETTINGS, backend="cuda")
    frames, lengths, *_ = batch()
    one, _ = model.forward(frames, lengths)
    np.testing.assert_array_equal(one, model.forward(frames.astype(np.float64), lengths.astype(np.int64))[0])


def test_a_step_allocates_nothing_once_it_has_seen_its_largest_batch(monkeypatch, cuda):
    model = DeepSpeech(SETTINGS, backend="cuda")
    velocity = cuda.arrays.from_host(np.zeros(model.flat_params.shape, np.float32))

    def one_step(*given):
        data = batch(*given)
        return step(model, velocity, Ours(*data[:4]), data[4], 1e-4, 0.9, 1.0)

    one_step((9, 1, 6))
    buffers = dict(model._room._flat)

    def no_room(*_):
        raise AssertionError("memory was taken")

    monkeypatch.setattr(cuda.arrays, "empty", no_room)
    losses, norm = one_step((9, 5), 2)
    assert np.isfinite(losses).all()
    assert math.isfinite(norm)
    assert all(model._room._flat[name] is buffer for name, buffer in buffers.items())


class Ours:
    """A batch as `step` takes it."""

    def __init__(self, frames, lengths, labels, label_lengths):
        self.frames, self.lengths, self.labels, self.label_lengths = frames, lengths, labels, label_lengths


def test_a_step_waits_for_the_gpu_once(monkeypatch, cuda):
    """All of its work has been asked for when it first asks for a result."""
    model, events = DeepSpeech(SETTINGS, backend="cuda"), []
    velocity = cuda.arrays.from_host(np.zeros(model.flat_params.shape, np.float32))
    to_host, names = cuda.arrays.to_host, ("birnn_backward", "norm", "nesterov")
    monkeypatch.setattr(cuda.arrays, "to_host", lambda a: events.append("wait") or to_host(a))
    for name in names:
        whole = getattr(cuda, name)
        monkeypatch.setattr(cuda, name, lambda *a, n=name, f=whole: events.append(n) or f(*a))
    data = batch()
    step(model, velocity, Ours(*data[:4]), data[4], 1e-4, 0.9, 1.0)
    assert events == ["birnn_backward", "norm", "wait", "wait", "nesterov"]  # the second finds all done


def test_the_next_batch_is_brought_while_one_is_in_use(cuda):
    """Two places take turns, and grow."""
    frames = [np.full((n, 2, 3), n, np.float32) for n in (2, 5, 1, 4)]
    aside = cuda.arrays.AsyncCopier()
    there = [aside(frames[0])]
    for before, now in pairwise(frames):
        there.append(aside(now))
        for array, expected in zip(there[-2:], (before, now), strict=True):
            np.testing.assert_array_equal(cuda.arrays.to_host(array), expected)


def test_ctc_loss_on_the_gpu():
    given = mixed_batch(np.random.default_rng(3), T=20)
    (losses, dlogits), (expected, gradient) = (ctc_loss(*given, backend) for backend in ("cuda", "reference"))
    np.testing.assert_allclose(losses, expected, rtol=CTC_FLOAT32_LOSS, atol=CTC_FLOAT32_LOSS)
    np.testing.assert_allclose(dlogits, gradient, atol=CTC_FLOAT32_GRADIENT)


def test_weights_go_through_a_file(tmp_path):
    from minids import Alphabet, Features

    features = Features(bands=2, normalize="utterance")
    there = DeepSpeech(SETTINGS, 3, "cuda")
    assert features.size == SETTINGS.inputs
    saved = weights.SavedModel(there, features, Alphabet("abcd"), {}, {})
    weights.save_weights(tmp_path / "model", saved)
    back = weights.load_weights(tmp_path / "model", "cuda").model
    here = DeepSpeech(SETTINGS, 3, "cpu")
    for model in (there, back):
        np.testing.assert_array_equal(model.ops.arrays.to_host(model.flat_params), here.flat_params)


# The self-check


def test_a_gpu_that_agrees_with_the_cpu_is_trusted_and_keeps_its_weights(monkeypatch):
    monkeypatch.setattr(selfcheck, "MAX_UTTERANCES", 2)
    model = DeepSpeech(SETTINGS, backend="cuda")
    before = model.ops.arrays.to_host(model.flat_params)
    selfcheck.self_check(model, 8)
    np.testing.assert_array_equal(model.ops.arrays.to_host(model.flat_params), before)


@pytest.mark.parametrize(("wrong", "named"), [(0.0, r"losses by 1\.0e"), (math.nan, "losses by nan")])
def test_a_gpu_that_gives_other_losses_is_not_trusted(monkeypatch, wrong, named):
    monkeypatch.setattr(selfcheck, "MAX_UTTERANCES", 2)
    model = DeepSpeech(SETTINGS, backend="cpu")  # whose losses somebody spoils
    right = model.loss_and_grad
    monkeypatch.setattr(model, "loss_and_grad", lambda *given: wrong * right(*given))
    with pytest.raises(ValueError, match=f"the GPU and the CPU disagree \\({named}.*--backend cpu"):
        selfcheck.self_check(model, 8)


def test_a_gpu_that_gives_another_gradient_is_not_trusted(monkeypatch):
    monkeypatch.setattr(selfcheck, "MAX_UTTERANCES", 2)
    model = DeepSpeech(SETTINGS, backend="cpu")
    right = model.loss_and_grad

    def spoiled(*given):
        losses = right(*given)
        model.grads["Wr_b"][...] *= 1.1
        return losses

    monkeypatch.setattr(model, "loss_and_grad", spoiled)
    with pytest.raises(ValueError, match=r"dWr_b: relative error 1\.0e-01"):
        selfcheck.self_check(model, 8)


# Training


def test_a_run_on_the_gpu_goes_the_way_of_one_on_the_cpu_also_when_it_was_stopped(monkeypatch, tmp_path):
    """And takes no memory once it has begun."""
    monkeypatch.setattr(selfcheck, "MAX_UTTERANCES", 2)
    monkeypatch.setattr("minids.training.resources.matmul_rate", lambda backend: 1e9)
    tones.corpus(tmp_path, "train", 2)
    tones.corpus(tmp_path, "dev", 1)
    epoch, arrays = Trainer.train_epoch, ops.load("cuda").arrays

    def steady(self):
        with monkeypatch.context() as patch:
            patch.setattr(arrays, "empty", None)  # to call them would be an error
            patch.setattr(arrays, "_pinned", None)
            epoch(self)

    monkeypatch.setattr(Trainer, "train_epoch", steady)
    rows = {}
    for backend, stops in (("cpu", [2]), ("cuda", [1, 2])):
        for epochs in stops:
            settings = tones.settings(tmp_path, epochs=epochs)
            text = settings.read_text().replace("bands = 12", "bands = 3")
            settings.write_text(text.replace("hidden = 16\ncontext = 2", "hidden = 4\ncontext = 0"))
            run = Trainer(read_settings(settings), tmp_path / backend, backend)
            run.run()
        rows[backend] = run.state.rows
        weights.load_weights(run.folder.best)
    for ours, theirs in zip(rows["cuda"], rows["cpu"], strict=True):
        for name in ("loss", "dev_loss", "gradient_norm", "wer", "utterances"):
            assert ours[name] == pytest.approx(theirs[name], rel=FLOAT32_TEN_STEPS)


# Memory


@pytest.mark.parametrize("backend", ["cpu", "cuda"])
def test_the_largest_batch_that_fits_is_the_largest_that_fits(backend):
    settings = ModelSettings(81, 29, 512)
    for batch_size in (1, 7, 300):
        free = memory(settings, 1000, batch_size, backend)
        assert max_batch_size(settings, 1000, free, backend) == batch_size
        assert max_batch_size(settings, 1000, free - 1, backend) == batch_size - 1
    assert max_batch_size(settings, 1000, 1000, backend) == 0


def test_free_memory_is_asked_of_the_gpu():
    free = available_memory(ops.load("cuda"))
    assert free is None if driver.simulated() else 10**8 < free < 10**13


def test_too_little_memory_on_the_gpu_is_a_memory_error(monkeypatch, cuda):
    """As the command line expects it, to say so in one line."""
    from minids.ops.cuda import arrays

    def full(*_):
        raise RuntimeError("[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")

    monkeypatch.setattr(arrays.cuda, "device_array", full)
    with pytest.raises(MemoryError, match=r"the GPU has no 4.00 GB left"):
        arrays.empty((10**9,), np.float32)
    monkeypatch.setattr(arrays.cuda, "pinned_array", full)
    with pytest.raises(MemoryError, match=r"the host has no 0.04 GB left that may be held for the GPU"):
        cuda.arrays.AsyncCopier()(np.zeros((100, 10, 10_000), np.float32))


def test_a_grid_that_no_gpu_takes_is_refused():
    from minids.ops.cuda import affine, launch

    with pytest.raises(InputError, match="lower batch_size"):
        launch.launch(affine.gate, (1, launch.MOST_BLOCKS + 1), 32)


# Commands


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        cli.main([str(a) for a in arguments])
    return end.value.code, *capsys.readouterr()


@pytest.mark.parametrize("command", [["check"], ["bench"], ["transcribe", "x.wav"]])
def test_without_a_gpu_one_line_says_so(monkeypatch, capsys, command):
    monkeypatch.setattr(driver, "simulated", lambda: False)
    monkeypatch.setattr(driver, "found", lambda: False)
    monkeypatch.setattr(gradcheck, "all_checks", lambda backend: gradcheck.check_backend(backend))
    code, _, said = run(capsys, *command, "--backend", "cuda")
    assert code == 1
    assert "minids: error: no NVIDIA driver answers on this machine; use --backend cpu" in said


def test_a_gpu_that_is_too_old_is_told(monkeypatch, capsys):
    monkeypatch.setattr(driver, "simulated", lambda: False)
    monkeypatch.setattr(driver, "found", lambda: True)
    monkeypatch.setattr(driver, "version", lambda: driver.CUDA)
    monkeypatch.setattr(driver, "capability", lambda: (7, 0))
    code, _, said = run(capsys, "bench", "--backend", "cuda")
    assert code == 1
    assert "this GPU's compute capability is 7.0, 7.5 is needed; use --backend cpu" in said


def test_a_choice_of_product_is_for_the_gpu(capsys):
    code, _, said = run(capsys, "bench", "--gemm", "tf32")
    assert code == 1
    assert "--gemm tf32 is for the GPU; give --backend cuda as well" in said


def test_bench_times_the_gpu(monkeypatch, capsys):
    monkeypatch.setattr("minids.training.bench.matmul_rate", lambda backend: 1e9)
    monkeypatch.setattr("minids.training.bench.FEATURES", 1)
    size = ("--hidden", 4, "--batch", 1, "--frames", 2)
    code, out, _ = run(capsys, "bench", "--backend", "cuda", *size, "--json")
    row = json.loads(out)
    assert code in (None, 0)
    assert row["backend"] == "cuda"
    assert set(row["parts"]) == set(ops.load("cuda").__all__) - {"arrays"}


def test_a_recording_gives_the_same_text_and_errors(capsys, tmp_path):
    """On the GPU and on the CPU, by the commands."""
    model, manifest = tones.model(tmp_path / "model"), tones.corpus(tmp_path, "test", 1)
    said = {}
    for backend in ("cpu", "cuda"):
        on = "--json", "--model", model, "--lm", "none", "--backend", backend
        transcripts, errors = (
            run(capsys, "transcribe", tmp_path / "test" / "0.wav", *on),
            run(capsys, "evaluate", manifest, *on),
        )
        said[backend] = json.loads(transcripts[1]), json.loads(errors[1])
    (ours, our_errors), (theirs, their_errors) = said["cuda"], said["cpu"]
    assert ours["text"] == theirs["text"]
    assert ours["log_prob"] == pytest.approx(theirs["log_prob"], rel=FLOAT32_NETWORK)
    assert our_errors["wer"] == their_errors["wer"]
