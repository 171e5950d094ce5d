"""Training for days: averages, sums of gradients, early ends, signals, and what is written on the way."""

import json
import os
import signal
import struct
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from minids import DeepSpeech
from minids._utils.errors import InputError
from minids.data.batches import groups
from minids.data.manifest import Utterance, read_manifest
from minids.training import reporting
from minids.training import trainer as trainer_module
from minids.training.evaluation import evaluate_batches
from minids.training.parallel import ProcessGroup
from minids.training.selection import selected
from minids.training.settings import read_settings
from minids.training.signals import Stopped
from minids.training.step import GradientSum, step
from minids.training.step_log import StepLog
from minids.training.trainer import Trainer
from minids.weights import load_model
from tests import tones
from tests.tolerances import FLOAT32_SUM, FLOAT64_ORDER
from tests.training.test_trainer import KEYS, batch, network, place, result, trainer  # noqa: F401


def step_rows(run):
    return [json.loads(line) for line in (run.folder.steps).read_text().splitlines()]


# Sums of gradients, frozen layers


@pytest.mark.parametrize("frozen", [0, 50])
def test_a_step_on_several_batches_follows_the_mean_of_all_their_losses(frozen):
    model, batches = network(), [batch(possible=n != 1, seed=n) for n in range(3)]
    total, losses = np.zeros_like(model.flat_grads), []
    for b in batches:
        b.frames = b.frames.astype(np.float64)
        losses.append(model.loss_and_grad(b.frames, b.lengths, b.labels, b.label_lengths, KEYS))
        total += model.flat_grads
    gradient = total / 8  # nine utterances, of which one is impossible
    gradient[:frozen] = 0
    before, velocity = model.flat_params.copy(), np.zeros_like(total)
    earlier = GradientSum(model)
    for _ in range(2):  # the second time, after a reset
        model.flat_params[...], velocity[...] = before, 0
        for b in batches[:-1]:
            earlier.add(b, KEYS)
        earlier.add(None, KEYS[:0])
        arguments = velocity, batches[-1], KEYS, 0.1, 0.9, 1e9
        got, norm = step(model, *arguments, frozen=frozen, earlier=earlier)
        np.testing.assert_allclose(got, np.concatenate(losses), rtol=1e-12)
        assert norm == pytest.approx(np.linalg.norm(gradient))
        expected = before - 0.1 * (0.9 + 1) * gradient
        np.testing.assert_allclose(model.flat_params, expected, atol=FLOAT64_ORDER)
        assert (model.flat_params[:frozen] == before[:frozen]).all()
    model.flat_params[...] = before
    step(model, np.zeros_like(total), batches[0], KEYS, 0.1, 0.9, 1e9, earlier=earlier)
    alone = before - 0.1 * 1.9 * single_gradient(batches[0]) / 3
    np.testing.assert_allclose(model.flat_params, alone, atol=FLOAT64_ORDER)


def single_gradient(b):
    model = network()
    model.loss_and_grad(b.frames, b.lengths, b.labels, b.label_lengths, KEYS)
    return model.flat_grads


def test_a_nan_in_an_earlier_batch_of_a_step_names_its_recording(place, monkeypatch):  # noqa: F811
    original, calls = DeepSpeech.loss_and_grad_on_device, [0]

    def broken(self, *arguments, **keywords):
        losses = original(self, *arguments, **keywords)
        calls[0] += 1
        if calls[0] == 1:
            losses[0] = np.nan
        return losses

    monkeypatch.setattr(DeepSpeech, "loss_and_grad_on_device", broken)
    run = trainer(place, accumulate=3)
    with pytest.raises(InputError, match=r"the loss is not a number any more, first for .*train/\d\.wav"):
        run.run()
    assert run.state.steps == 0


def test_the_last_batches_of_an_epoch_are_a_step_too(place):  # noqa: F811
    run = trainer(place, accumulate=2)  # three batches of 4, 4, 2
    run.run()
    rows = step_rows(run)
    assert [(row["step"], row["epoch"]) for row in rows] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    for epoch in (1, 2):
        mine = [row for row in rows if row["epoch"] == epoch]
        assert sum(row["utterances"] for row in mine) == 10
        mean = sum(row["loss"] * row["utterances"] for row in mine) / 10
        assert run.state.rows[epoch - 1]["loss"] == pytest.approx(mean)
    assert run.state.gradient_norms == []


# The average of the weights


def test_the_average_is_its_formula_and_is_evaluated(place, monkeypatch, capsys):  # noqa: F811
    weights = []

    def watched(model, *arguments):
        if not weights:
            weights.append(model.flat_params.astype(np.float64))
        results = step(model, *arguments)
        weights.append(model.flat_params.astype(np.float64))
        return results

    monkeypatch.setattr(trainer_module, "step", watched)
    run = trainer(place, ema=0.8, epochs=4)
    run.run()
    average = weights[0]
    for n, w in enumerate(weights[1:], 1):
        decay = min(0.8, (1 + n) / (10 + n))
        average = decay * average + (1 - decay) * w
    saved = load_model(run.folder.last)
    np.testing.assert_allclose(saved.extra_tensors["average"], average, atol=FLOAT32_SUM)
    np.testing.assert_array_equal(saved.model.flat_params, weights[-1])
    row = run.state.rows[-1]
    model = DeepSpeech(saved.model.settings, None)
    model.flat_params[...] = saved.extra_tensors["average"]
    loss, count, _ = evaluate_batches(model, run.dev_batches, run.dev, run.settings.alphabet)
    assert row["ema_dev_loss"] == pytest.approx(loss / count)
    assert row["ema_dev_loss"] != row["dev_loss"]
    assert f"average: WER {row['ema_wer']:.1%}" in capsys.readouterr().err


@pytest.mark.parametrize("better", ["average", "last"])
def test_the_best_model_has_the_better_weights(place, monkeypatch, better):  # noqa: F811
    def choose(row, select):
        average = row | {name: row[f"ema_{name}"] for name in ("dev_loss", "wer", "cer")}
        return average | {"averaged": True} if better == "average" else row

    monkeypatch.setattr(trainer_module, "selected", choose)
    run = trainer(place, ema=0.9, epochs=1)
    run.run()
    last, best = load_model(run.folder.last), load_model(run.folder.best)
    expected = last.extra_tensors["average"] if better == "average" else last.model.flat_params
    np.testing.assert_array_equal(best.model.flat_params, expected)
    assert best.notes["dev"].get("averaged", False) == (better == "average")
    prefix = "ema_" if better == "average" else ""
    assert best.notes["dev"]["wer"] == run.state.rows[0][f"{prefix}wer"]


def test_the_average_is_selected_only_where_it_is_better():
    row = {"wer": 0.3, "cer": 0.2, "dev_loss": 5, "ema_wer": 0.2, "ema_cer": 0.3, "ema_dev_loss": 5}
    assert selected(row, "wer")["wer"] == 0.2
    assert selected(row, "wer")["averaged"]
    assert selected(row, "cer") is row
    assert selected(row, "loss")["wer"] == 0.2, "losses are equal, the WER decides"
    assert selected({"wer": 1}, "wer") == {"wer": 1}


# When training ends


@pytest.fixture
def no_progress(monkeypatch):
    """No epoch is better than the first."""
    monkeypatch.setattr(trainer_module, "selection_key", lambda row, select: [1.0])


def test_training_ends_when_the_patience_does(place, no_progress, capsys):  # noqa: F811
    for _ in range(2):  # again with nothing left to do
        run = trainer(place, epochs=9, patience=2)
        run.run()
        assert run.state.epoch == 3
        assert "no better epoch in 2; raise patience to continue" in capsys.readouterr().err
    run = trainer(place, epochs=9, patience=3)
    run.run()
    assert run.state.epoch == 4


def test_the_evaluation_of_a_partial_epoch_does_not_count_as_one(place, monkeypatch):  # noqa: F811
    """Although it is the best, training ends after as many epochs as without it."""
    monkeypatch.setattr(
        trainer_module, "selection_key", lambda row, select: [0.0 if "partial" in row else 1.0]
    )
    trainer(place, "whole", epochs=9, patience=2, plateau=1).run()
    with monkeypatch.context() as patch:
        patch.setattr(trainer_module.Trainer, "_why_to_end", lambda run: "now" * (run.state.steps == 4))
        run = trainer(place, epochs=9, patience=2, plateau=1)
        run.run()
        assert run.state.best_row["partial"] == 1 / 3
    run = trainer(place, epochs=9, patience=2, plateau=1)
    run.run()
    whole = trainer(place, "whole", epochs=9, patience=2, plateau=1)
    whole.prepare()
    assert (run.state.epoch, run.state.halvings) == (whole.state.epoch, whole.state.halvings) == (3, 2)
    np.testing.assert_array_equal(run.model.flat_params, whole.model.flat_params)


def test_the_average_of_constant_weights_does_not_drift(place):  # noqa: F811
    run = trainer(place, ema=0.9999)
    run.prepare()
    run.state.steps = 10**6
    for _ in range(2000):
        run._update_average()
    np.testing.assert_array_equal(run.average, run.model.flat_params)


def test_the_rate_is_halved_on_a_plateau(place, no_progress, capsys):  # noqa: F811
    run = trainer(place, epochs=6, plateau=2, lr_decay=1.0, learning_rate=0.008)
    run.run()
    rates = [row["learning_rate"] for row in run.state.rows]
    assert rates == [0.008, 0.008, 0.008, 0.004, 0.004, 0.002], "the first epoch was better than none"
    assert [row["learning_rate"] for row in step_rows(run)[::3]] == rates
    assert capsys.readouterr().err.count("no better epoch in 2: the learning rate is halved") == 2


def test_training_ends_when_the_time_does(place, monkeypatch, capsys):  # noqa: F811
    """On a clock that every call moves by a second: in the middle of an epoch. Then it goes on."""
    trainer(place, "whole", epochs=3).run()
    now = [0.0]

    def monotonic():
        now[0] += 1
        return now[0]

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module.time, "monotonic", monotonic)
        run = trainer(place, epochs=3, minutes=0.3)
        run.run()
    state = run.state
    assert state.steps % 3, "within an epoch"
    rows = [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]
    assert [row.get("partial") for row in rows] == [None] * state.epoch + [state.batch / 3]
    assert rows[-1]["epoch"] == state.epoch + 1
    assert state.best_row in rows
    err = capsys.readouterr().err
    assert "the 0.3 minutes are over; raise minutes to continue" in err
    assert f"(only {state.batch / 3:.0%} of the epoch)" in err
    assert 15 < state.run_seconds < 40
    again = trainer(place, epochs=3, minutes=0.3)
    again.run()
    assert again.state.steps == state.steps, "the time is that of all resumes"
    longer = trainer(place, epochs=3, minutes=60)
    longer.run()
    got, expected = result(place / "run"), result(place / "whole")
    assert got[0] == expected[0], "last"
    assert got[4] == expected[4], "metrics"


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("during", ["step", "evaluate_batches"])
def test_a_signal_ends_training_after_the_step(place, monkeypatch, capsys, number, during):  # noqa: F811
    trainer(place, "whole", ema=0.9).run()
    original, calls = getattr(trainer_module, during), [0]

    def interrupted(*arguments):
        calls[0] += 1
        if calls[0] == 2:  # in the first epoch: the second step, or the evaluation of the average
            os.kill(os.getpid(), number)
        return original(*arguments)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, during, interrupted)
        run = trainer(place, ema=0.9)
        with pytest.raises(Stopped) as stopped:
            run.run()
    assert stopped.value.number == number
    assert signal.getsignal(number) == before
    progress = load_model(run.folder.last).notes["progress"]
    assert (progress["steps"], progress["rows"]) == (2 if during == "step" else 3, [])
    assert f"the same command resumes from {run.folder.last}" in capsys.readouterr().err
    trainer(place, ema=0.9).run()
    got, expected = result(place / "run"), result(place / "whole")
    assert [got[0], got[2], got[4]] == [expected[0], expected[2], expected[4]]
    lines = [(place / name / "steps.jsonl").read_text() for name in ("run", "whole")]
    assert lines[0] == lines[1]


def test_a_second_signal_is_handled_as_before(place, monkeypatch):  # noqa: F811
    class AtOnce(BaseException):
        pass

    def previous(number, frame):
        raise AtOnce

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("the second signal does not wait")

    monkeypatch.setattr(trainer_module, "step", interrupted)
    before = signal.signal(signal.SIGTERM, previous)
    try:
        with pytest.raises(AtOnce):
            trainer(place).run()
        assert signal.getsignal(signal.SIGTERM) == previous
    finally:
        signal.signal(signal.SIGTERM, before)


def test_training_in_another_thread_leaves_signals_alone(place):  # noqa: F811
    run = trainer(place, epochs=1)
    thread = threading.Thread(target=run.run)
    thread.start()
    thread.join()
    assert run.state.epoch == 1


# What is written on the way


def test_lines_of_lost_steps_are_cut(tmp_path):
    path = tmp_path / "steps.jsonl"
    log = StepLog(path, 0, False)
    for n in range(1, 6):
        log.write({"step": n, "loss": 0.5})
    log.close()
    for steps, damage in ((4, b'{"step": 6, "lo'), (2, b""), (2, b"\xff\n")):
        with path.open("ab") as file:
            file.write(damage)
        log = StepLog(path, steps, False)
        log.write({"step": steps + 1, "loss": 0.25})
        log.close()
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert [row["step"] for row in rows] == list(range(1, steps + 2))
        assert rows[-1]["loss"] == 0.25
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=r"cannot write .*steps\.jsonl: .*; make room"):
        StepLog(path, 0, False).write({"step": 1})


def events(folder):
    """(step, tag, value) of all scalars; TFRecords: length, checksum, event, checksum."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found = []
    for path in sorted(folder.iterdir()):
        content, start = path.read_bytes(), 0
        while start < len(content):
            (size,) = struct.unpack_from("<Q", content, start)
            event = event_pb2.Event.FromString(content[start + 12 : start + 12 + size])
            found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
            start += size + 16
    return found


def test_tensorboard_shows_steps_and_epochs(place, monkeypatch):  # noqa: F811
    pytest.importorskip("tensorboardX", reason="needs the extra `tensorboard`")
    evaluate, run = Trainer.evaluate, None

    def stopped(self):
        if self.state.epoch == 1 and "stopped" not in seen:
            seen.append("stopped")
            raise Stopped(signal.SIGTERM)
        return evaluate(self)

    seen: list[str] = []
    monkeypatch.setattr(Trainer, "evaluate", stopped)
    for _ in range(2):  # the second run resumes with an evaluation
        run = trainer(place, epochs=2, tensorboard=True)
        with suppress(Stopped):
            run.run()
    found = events(run.folder.path / "tensorboard")
    losses = {step: value for step, tag, value in found if tag == "step/loss"}
    assert losses == pytest.approx({row["step"]: row["loss"] for row in step_rows(run)})
    wers = {step: value for step, tag, value in found if tag == "epoch/wer"}
    assert wers == pytest.approx({3 * row["epoch"]: row["wer"] for row in run.state.rows})


@pytest.mark.parametrize("tensorboard", [False, True])
def test_a_full_disk_is_named(tmp_path, monkeypatch, tensorboard):
    pytest.importorskip("tensorboardX", reason="needs the extra `tensorboard`")
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which is Linux's")
    log = StepLog(tmp_path / "steps.jsonl", 0, tensorboard)
    log.write({"step": 1, "loss": 2.0})
    if tensorboard:
        monkeypatch.setattr(log.events, "flush", lambda: Path("/dev/full").write_text("x"))
    else:
        log.path.unlink()
        log.path.symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"cannot write .*: No space left on device; make room, and resume"):
        log.write({"step": 2, "loss": 1.0})
    if tensorboard:
        monkeypatch.undo()
        log.close()


def test_tensorboard_without_its_package_is_explained(place, monkeypatch):  # noqa: F811
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r"pip install 'minids\[tensorboard\]'"):
        trainer(place, tensorboard=True).run()


def test_skipped_recordings_are_reported_after_the_first_epoch(place, capsys):  # noqa: F811
    (place / "train" / "4.wav").write_text("not a recording")
    trainer(place, epochs=2).run()
    lines = capsys.readouterr().err.splitlines()
    second = next(i for i, line in enumerate(lines) if line.startswith("epoch   2/2"))
    reported = [i for i, line in enumerate(lines) if line.startswith("skipped: ") and "4.wav" in line]
    assert len(reported) == 1
    assert reported[0] < second
    assert sum("1 of 10 train utterances skipped" in line for line in lines) == 2, "and in the summary"


def test_memory_is_planned_for_the_largest_batch_by_seconds(place, monkeypatch):  # noqa: F811
    """As many frames as any batch of random recordings has, and little more."""
    settings, rng = read_settings(tones.settings(place, batch_seconds=60.0)), np.random.default_rng(0)
    for _ in range(50):
        durations = rng.uniform(0.1, rng.uniform(1, 100), 40)
        utterances = [Utterance(place / "a.wav", "a", duration) for duration in durations]
        frames, count = reporting.largest_batch(settings, utterances, ProcessGroup())
        largest = max(len(group) * max(durations[group]) for group in groups(durations, 1, 60.0))
        planned = frames * count / 1.1 * settings.features.hop / settings.features.rate
        assert 0.99 * largest < planned < 60 + 2 * max(durations)
    monkeypatch.setattr(reporting, "available_memory", lambda *_: 1000)
    with pytest.raises(InputError, match=r"split the recording, or lower batch_seconds or hidden"):
        trainer(place, batch_seconds=60.0).run()


def test_batches_by_seconds_are_used(place):  # noqa: F811
    run = trainer(place, batch_seconds=1.0, epochs=1)
    run.run()
    durations = [u.duration for u in read_manifest(place / "train.jsonl")]
    assert len(step_rows(run)) == len(groups(durations, 4, 1.0)) != 3
    assert run.state.rows[0]["utterances"] == 10


def test_a_trainer_without_init_needs_no_model(place):  # noqa: F811
    with pytest.raises(InputError, match="init"):
        Trainer(read_settings(tones.settings(place, init="gone.safetensors")), place / "run").run()
