"""Training: a step against its formula, killed and resumed runs, and runs that must fail."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from minids import DeepSpeech, Features, Recognizer, cer, wer
from minids._utils.errors import InputError
from minids.data.manifest import Utterance, read_manifest
from minids.gradcheck import relative_error
from minids.model import ModelSettings
from minids.ops.common import hash_key
from minids.training import reporting
from minids.training import trainer as trainer_module
from minids.training.reporting import format_duration
from minids.training.selection import selection_key
from minids.training.settings import read_settings
from minids.training.step import step
from minids.training.trainer import Trainer
from minids.weights import load_model, save_model
from tests import tones
from tests.tolerances import FLOAT32_TEN_STEPS, FLOAT64_ORDER

# What two runs need not share.
TIMES = ("seconds", "epoch_seconds", "run_seconds", "frames_per_second")


@pytest.fixture
def place(tmp_path):
    """A folder with a corpus of tones: ten utterances for training, three for dev."""
    tones.corpus(tmp_path, "train", 10)
    tones.corpus(tmp_path, "dev", 3, seed=1)
    return tmp_path


def trainer(place, run="run", **values):
    """A Trainer; with noise if the folder has a recording of it."""
    noise = [path.name for path in place.glob("hiss.wav")]
    return Trainer(read_settings(tones.settings(place, noise, **values)), place / run)


def test_noise_is_added_to_training_recordings_only(place, capsys):
    quiet = trainer(place, "quiet", epochs=1)
    quiet.run()
    tones.hiss(place / "hiss.wav")
    noisy = trainer(place, "noisy", epochs=1)
    noisy.run()
    assert "2 clips of noise, 0 rejected" in capsys.readouterr().err
    frames = [{i: b.frames for b in t.batches.epoch(0) for i in b.indices} for t in (quiet, noisy)]
    assert any(not np.array_equal(frames[0][i], frames[1][i]) for i in frames[0])
    plain = [b.frames for b in noisy.batches.in_length_order()]
    for one, other in zip(plain, quiet.batches.in_length_order(), strict=True):
        np.testing.assert_array_equal(one, other.frames)


# The step


def batch(possible=True, seed=1):
    """Three utterances; the last one's text is possible or not."""
    rng = np.random.default_rng(seed)
    lengths, labels = np.array([14, 9, 6], np.int32), np.array([[1, 1, 2], [3, 1, 0], [2, 2, 2]], np.int32)
    return SimpleNamespace(
        frames=rng.normal(size=(14, 3, 4)).astype(np.float32),
        lengths=lengths,
        labels=labels,
        label_lengths=np.array([3, 2, 1 if possible else 3], np.int32),
    )


def network(backend="reference", dtype="float64"):
    return DeepSpeech(ModelSettings(4, 5, 9, context=1, stride=2, dropout=0.2), 3, backend, dtype)


KEYS = np.array([5, 6, 7], np.uint32)


@pytest.mark.parametrize("possible", [True, False])
@pytest.mark.parametrize("limit", [1e9, 1e-3])
def test_a_step_is_nesterovs_on_the_mean_of_the_possible_losses(possible, limit):
    model, b, rate, momentum = network(), batch(possible), 0.1, 0.9
    b.frames = b.frames.astype(np.float64)
    losses = model.loss_and_grad(b.frames, b.lengths, b.labels, b.label_lengths, KEYS)
    gradient = model.flat_grads / (3 if possible else 2)
    length = np.sqrt(np.sum(gradient**2))
    before, velocity = model.flat_params.copy(), np.random.default_rng(0).normal(size=gradient.shape)
    shortened = gradient * min(1, limit / length)
    expected_velocity = momentum * velocity - rate * shortened
    expected = before + momentum * expected_velocity - rate * shortened
    step_losses, norm = step(model, velocity, b, KEYS, rate, momentum, limit)
    np.testing.assert_array_equal(step_losses, losses)
    assert np.isinf(step_losses[2]) == (not possible)
    assert norm == pytest.approx(length)
    np.testing.assert_allclose(velocity, expected_velocity, atol=FLOAT64_ORDER)
    np.testing.assert_allclose(model.flat_params, expected, atol=FLOAT64_ORDER)


def test_ten_steps_on_the_cpu_follow_the_reference():
    models = network("cpu", "float32"), network("reference", "float64")
    velocities = [np.zeros_like(model.flat_params) for model in models]
    start = models[1].flat_params.copy()
    for n in range(10):
        results = []
        for model, velocity in zip(models, velocities, strict=True):
            b = batch(possible=n % 3 > 0, seed=n)
            b.frames = b.frames.astype(model.dtype)
            results.append(step(model, velocity, b, KEYS + np.uint32(n), 0.01, 0.9, 3.0))
        np.testing.assert_allclose(results[0][0], results[1][0], rtol=FLOAT32_TEN_STEPS)
        assert results[0][1] == pytest.approx(results[1][1], rel=FLOAT32_TEN_STEPS)
    moved = [model.flat_params - start for model in models]
    assert abs(moved[1]).max() > 0.05, "there was something to follow"
    assert relative_error(*moved) <= FLOAT32_TEN_STEPS


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("where", ["frames", "weights"])
def test_a_failed_step_changes_nothing(backend, where):
    model, b = network(backend, "float32"), batch()
    if where == "frames":
        b.frames[3, 1, 2] = np.nan
    else:
        model.params["W5"][0, 0] = np.nan
    velocity, before = np.ones_like(model.flat_params), model.flat_params.copy()
    with np.errstate(invalid="ignore"):
        losses, _ = step(model, velocity, b, KEYS, 0.1, 0.9, 1.0)
    assert list(np.isnan(losses)) == ([False, True, False] if where == "frames" else [True] * 3)
    np.testing.assert_array_equal(model.flat_params, before)
    assert (velocity == 1).all()


# A run


def test_a_network_can_memorize_one_recording(tmp_path, capsys):
    """Sixty copies per epoch, each augmented."""
    tones.corpus(tmp_path, "train", 1)
    line = (tmp_path / "train.jsonl").read_text()
    (tmp_path / "train.jsonl").write_text(60 * line)
    (tmp_path / "dev.jsonl").write_text(line)
    run = trainer(tmp_path, epochs=8, batch_size=2, learning_rate=0.005, momentum=0.9)
    run.run()
    rows = run.state.rows
    best = rows[run.state.best_epoch - 1]
    assert best["cer"] == best["wer"] == 0
    assert min(row["loss"] for row in rows) < rows[0]["loss"] / 5
    row = json.loads(line)
    assert Recognizer.load(run.folder.best).transcribe(tmp_path / row["path"]).text == row["text"]
    assert "WER   0.0%" in capsys.readouterr().err


def test_metrics_describe_every_epoch(place):
    run = trainer(place, epochs=3, lr_decay=2.0, learning_rate=0.02, momentum=0.95, momentum_ramp=2)
    run.run()
    rows = [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]
    assert rows == run.state.rows
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["learning_rate"] for row in rows] == [0.02, 0.01, 0.005]
    assert [row["momentum"] for row in rows] == pytest.approx([0.9, 1 - 0.1 * 0.5**0.5, 0.95])
    assert [row["utterances"] for row in rows] == [10] * 3
    assert all(row["frames_per_second"] > 0 and row["gradient_norm"] > 0 for row in rows)
    errors = [row["wer"] + row["cer"] / 1000 for row in rows]
    assert run.state.best_epoch == 1 + errors.index(min(errors))

    best = load_model(run.folder.best)
    assert best.extra_tensors == {}, "it has no velocity"
    assert best.notes["dev"]["epoch"] == run.state.best_epoch
    recognizer = Recognizer(best)
    dev = read_manifest(place / "dev.jsonl")
    hypotheses = [recognizer.transcribe(u.path).text for u in dev]
    assert wer([u.text for u in dev], hypotheses).rate == best.notes["dev"]["wer"]
    assert cer([u.text for u in dev], hypotheses).rate == best.notes["dev"]["cer"]


def test_dropout_follows_seed_epoch_and_utterance(place, monkeypatch):
    asked = []

    def watched(model, velocity, batch, keys, *rest):
        asked.append((list(batch.indices), list(keys)))
        return step(model, velocity, batch, keys, *rest)

    monkeypatch.setattr(trainer_module, "step", watched)
    trainer(place, seed=8).run()
    assert len(asked) == 2 * 3
    for n, (indices, keys) in enumerate(asked):
        assert keys == [hash_key(8, n // 3, i) for i in indices]
    assert len({k for _, keys in asked for k in keys}) == 20


def test_only_the_seed_makes_two_runs_differ(place):
    results = []
    for run, seed in (("a", 1), ("b", 1), ("c", 2)):
        trained = trainer(place, run, epochs=1, seed=seed)
        trained.run()
        results.append(trained.model.flat_params)
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()


# Killed and resumed


class Killed(BaseException):
    """No `except Exception` may catch a kill."""


def result(folder):
    """All arrays and numbers of a run except times."""

    def timeless(x):
        if isinstance(x, dict):
            return {name: timeless(value) for name, value in x.items() if name not in TIMES}
        return [timeless(value) for value in x] if isinstance(x, list) else x

    results = []
    for name in ("last", "best"):
        saved = load_model(folder / f"{name}.safetensors")
        arrays = {
            **saved.model.params,
            **saved.extra_tensors,
            "mean": saved.features.mean,
            "std": saved.features.std,
        }
        results.append({name: value.tobytes() for name, value in arrays.items()})
        results.append(timeless(saved.notes))
    results.append(
        [timeless(json.loads(line)) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    )
    return results


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """An uninterrupted run of three epochs of three batches: the folder, and its result."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    tones.hiss(folder / "hiss.wav")
    tones.corpus(folder, "train", 10)
    tones.corpus(folder, "dev", 3, seed=1)
    (folder / "train" / "4.wav").write_text("not a recording")
    trainer(folder, epochs=3).run()
    return folder, result(folder / "run")


def kill_at(monkeypatch, target, name, call, after=False):
    """Raise Killed at the given call of a function, before or after it does its work."""
    original, calls = getattr(target, name), [0]

    def killing(*arguments, **keywords):
        calls[0] += 1
        if calls[0] == call and not after:
            raise Killed
        value = original(*arguments, **keywords)
        if calls[0] == call:
            raise Killed
        return value

    monkeypatch.setattr(target, name, killing)


@pytest.mark.parametrize("minutes", [0, 5])
@pytest.mark.parametrize(
    ("name", "call", "after"),
    [
        *[("step", 1, False), ("step", 2, True), ("step", 3, True), ("step", 4, False), ("step", 8, False)],
        *[("save_model", 1, False), ("save_model", 3, True), ("save_model", 4, True)],
        *[("Trainer.evaluate", 2, False), ("Trainer.evaluate", 3, True)],
        *[
            ("RunFolder.write_metrics", 1, False),
            ("RunFolder.write_metrics", 3, True),
            ("Batches.fit", 1, True),
        ],
    ],
)
def test_a_killed_and_resumed_run_ends_with_the_same_bits(
    uninterrupted, monkeypatch, name, call, after, minutes
):
    """A checkpoint after every batch, or one an epoch."""
    folder, expected = uninterrupted
    run = f"killed-{name}-{call}-{after}-{minutes}"
    *path, function = name.split(".")
    target = getattr(trainer_module, path[0]) if path else trainer_module
    with monkeypatch.context() as patch:
        kill_at(patch, target, function, call, after)
        with pytest.raises(Killed):
            trainer(folder, run, epochs=3, checkpoint_minutes=minutes).run()
    again = trainer(folder, run, epochs=3, checkpoint_minutes=minutes)
    again.run()
    got = result(folder / run)
    assert got[0] == expected[0], "last"
    assert got[2] == expected[2], "best"
    assert got[4] == expected[4], "metrics"


def test_a_run_killed_many_times_ends_with_the_same_bits(uninterrupted, monkeypatch):
    folder, expected = uninterrupted
    kills = 0
    for attempt in range(20):
        with monkeypatch.context() as patch:
            kill_at(patch, trainer_module, "step", 1 + attempt % 3, after=True)
            try:
                trainer(folder, "often", epochs=3, checkpoint_minutes=0).run()
                break
            except Killed:
                kills += 1
    assert kills > 3
    got = result(folder / "often")
    assert [got[0], got[2], got[4]] == [expected[0], expected[2], expected[4]]


def test_raising_epochs_later_gives_the_same_bits(uninterrupted):
    folder, expected = uninterrupted
    trainer(folder, "longer", epochs=1).run()
    trainer(folder, "longer", epochs=3).run()
    got = result(folder / "longer")
    assert [got[0], got[2], got[4]] == [expected[0], expected[2], expected[4]]
    finished = trainer(folder, "longer", epochs=3)
    finished.run()  # nothing left to do
    assert result(folder / "longer") == got
    assert finished.state.epoch == 3


def test_tuned_decoder_weights_survive_more_training(place, capsys):
    trainer(place, "tuned", epochs=1).run()
    best = place / "tuned" / "best.safetensors"
    saved = load_model(best)
    saved.notes["decoder"] = {"lm": "words.arpa", "checksum": 1, "alpha": 1.0, "beta": 2.0, "beam_width": 9}
    save_model(best, saved)
    capsys.readouterr()
    trainer(place, "tuned", epochs=4).run()
    assert load_model(best).notes["dev"]["epoch"] > 1
    assert load_model(best).notes["decoder"] == saved.notes["decoder"]
    assert "tuned for earlier weights; run `minids tune` again" in capsys.readouterr().err


def test_a_bad_recording_is_named_in_the_summary_of_a_resumed_run(uninterrupted, monkeypatch, capsys):
    folder, _ = uninterrupted
    with monkeypatch.context() as patch:
        kill_at(patch, Trainer, "evaluate", 3)
        with pytest.raises(Killed):
            trainer(folder, "named", epochs=3, checkpoint_minutes=0).run()
    capsys.readouterr()
    trainer(folder, "named", epochs=3, checkpoint_minutes=0).run()
    err = capsys.readouterr().err
    assert f"skipped: {folder / 'train' / '4.wav'}" in err
    assert "1 of 10 train utterances skipped" in err
    assert "resuming" in err


# Runs that must fail


def test_a_nan_loss_names_the_utterance(place, monkeypatch):
    log_powers, normalized = Features.log_powers, Features.normalized
    marked, normalized_marked = np.float32(0.123), []

    def remembered(self, samples):
        frames = log_powers(self, samples)
        if samples[0] == marked:
            normalized_marked.append(frames)
        return frames

    def broken(self, frames, statistics=None):
        bad = any(frames is each for each in normalized_marked)
        return np.full_like(frames, np.nan) if bad else normalized(self, frames, statistics)

    samples = tones.speak("abc", np.random.default_rng(0))
    samples[0] = marked
    soundfile.write(place / "train" / "7.wav", samples, tones.RATE, "FLOAT")
    monkeypatch.setattr(Features, "log_powers", remembered)
    monkeypatch.setattr(Features, "normalized", broken)
    run = trainer(place, max_shift_ms=0, max_speed_change=0)
    with pytest.raises(InputError) as error:
        run.run()
    for words in ("epoch 1: the loss is not a number", str(place / "train" / "7.wav"), "train.jsonl:8"):
        assert words in str(error.value)
    assert not run.folder.path.exists(), "no checkpoint with broken weights, no empty folder"


def test_divergence_stops_training_with_advice(place):
    with pytest.raises(InputError, match=r"lower learning_rate \(now 1000.0\)"):
        trainer(place, epochs=30, learning_rate=1000, grad_clip_norm=1e30).run()


@pytest.mark.parametrize("text", ["", "a"])
def test_blank_output_is_explained(place, monkeypatch, capsys, text):
    monkeypatch.setattr("minids.training.evaluation.greedy_text", lambda log_probs, alphabet: text)
    for epochs in (3, 4):  # the second run resumes
        trainer(place, epochs=epochs).run()
    err = capsys.readouterr().err
    assert err.count("The output is still all blanks. ") == (1 if text == "" else 0)
    assert err.count("all blanks: raise epochs") == (2 if text == "" else 0)


def test_too_little_memory_is_reported_before_training(place, monkeypatch):
    monkeypatch.setattr(reporting, "available_memory", lambda *_: 1000)
    with pytest.raises(InputError, match=r"in a batch of 4 needs .* GB, 0.0 GB are free; .*lower batch_size"):
        trainer(place).run()
    assert not (place / "run").exists()
    monkeypatch.setattr(reporting, "available_memory", lambda *_: None)
    trainer(place, epochs=1).run()


def test_a_recording_that_is_too_long_is_skipped_and_not_planned_for(place, capsys):
    line = json.dumps({"path": "train/0.wav", "duration": 100_000.0, "text": "a"}) + "\n"
    with open(place / "train.jsonl", "a") as file:
        file.write(line)
    run = trainer(place, epochs=1)
    run.run()
    assert run.state.rows[0]["utterances"] == 10
    err = capsys.readouterr().err
    assert "0.wav: lasts 100000.0 s, the limit is 120.0 s" in err
    assert "1 of 11 train utterances skipped" in err


def test_the_resource_estimate_is_printed_first(place, capsys):
    trainer(place, epochs=1).run()
    first = capsys.readouterr().err.splitlines()[0]
    hours = sum(u.duration for u in read_manifest(place / "train.jsonl")) / 3600
    assert first.startswith(f"10 utterances, {hours:.2f} h; 0.00 M weights; about 0.00 GB of memory; 1 epoch")


def test_a_data_set_without_usable_recordings_is_an_error(place):
    for path in (place / "train").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no recording could be read"):
        trainer(place).run()
    tones.settings(place)
    text = (place / "tones.toml").read_text()
    (place / "tones.toml").write_text(text.replace("bands", 'normalize = "utterance"\nbands'))
    with pytest.raises(InputError, match=r"train.jsonl: no utterance could be used \(.*wav"):
        Trainer(read_settings(place / "tones.toml"), place / "run").run()


def test_durations_are_formatted_as_hours_minutes_seconds():
    assert [format_duration(s) for s in (0, 59.6, 90, 3599, 3600, 5400, 360000)] == [
        *("0:00", "1:00", "1:30", "59:59", "1:00:00", "1:30:00", "100:00:00")
    ]


def test_training_is_the_same_with_new_and_cached_features(place):
    settings = read_settings(tones.settings(place, epochs=1, max_shift_ms=0, max_speed_change=0))
    losses = []
    for name, cache in (("without", ""), ("made", "kept"), ("read", "kept")):
        run = Trainer(replace(settings, data=replace(settings.data, cache=cache)), place / name)
        run.run()
        losses.append(run.state.rows[0]["loss"])
    assert sum(path.is_file() for path in (place / "kept").rglob("*")) == 13
    assert losses[1] == losses[2]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


# Missing or damaged files, and data that changed


def lines(capsys):
    return capsys.readouterr().err


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two epochs whose second is the best."""
    folder = tmp_path_factory.mktemp("finished")
    tones.corpus(folder, "train", 10)
    tones.corpus(folder, "dev", 3, seed=1)
    run = trainer(folder)
    run.run()
    assert run.state.best_epoch == 2
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run, with the times of its recordings."""
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"x" * 1000)])
def test_a_missing_or_damaged_best_model_is_restored_from_the_checkpoint(copy, damage, capsys):
    best = copy / "run" / "best.safetensors"
    expected = best.read_bytes()
    damage(best)
    trainer(copy).run()
    assert best.read_bytes() == expected
    err = lines(capsys)
    assert "note: " in err
    assert str(best) in err


def test_weights_of_an_earlier_best_epoch_that_are_lost_are_reported(copy, capsys):
    last = load_model(copy / "run" / "last.safetensors")
    last.notes["progress"] |= {"best_epoch": 1, "best_key": [0.0, 0.0, 0.0]}
    save_model(copy / "run" / "last.safetensors", last)
    (copy / "run" / "best.safetensors").unlink()
    run = trainer(copy)
    run.run()
    assert "best.safetensors: no such file" in lines(capsys)
    best = load_model(run.folder.best)
    np.testing.assert_array_equal(best.model.flat_params, last.model.flat_params)
    assert best.notes["dev"]["epoch"] == run.state.best_epoch == 2
    assert run.state.best_key == [run.state.rows[1][name] for name in ("wer", "cer", "dev_loss")]


def test_a_model_that_is_lost_within_an_epoch_is_replaced_by_the_next_one(copy, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        kill_at(patch, trainer_module, "step", 2)
        with pytest.raises(Killed):
            trainer(copy, epochs=3, checkpoint_minutes=0).run()
    (copy / "run" / "best.safetensors").unlink()
    run = trainer(copy, epochs=3, checkpoint_minutes=0)
    run.run()
    assert run.state.best_epoch == 3
    assert load_model(run.folder.best).notes["dev"]["epoch"] == 3
    assert "the next epoch will be the best" in lines(capsys)


def test_a_tuned_decoder_is_stale_only_after_a_better_epoch(copy, capsys):
    best = copy / "run" / "best.safetensors"
    saved = load_model(best)
    saved.notes["decoder"] = {"lm": "words.arpa", "checksum": 1, "alpha": 1.0, "beta": 2.0, "beam_width": 9}
    save_model(best, saved)
    trainer(copy).run()
    assert "tuned for earlier weights" not in lines(capsys), "no epoch was left to train"
    trainer(copy, epochs=4).run()
    assert "tuned for earlier weights" in lines(capsys)
    trainer(copy, epochs=4).run()
    assert "tuned for earlier weights" in lines(capsys), "still"
    saved = load_model(best)
    saved.notes |= {"decoder_is_stale": False}  # as `minids tune` does
    save_model(best, saved)
    trainer(copy, epochs=4).run()
    assert "tuned for earlier weights" not in lines(capsys)


def test_replaced_recordings_are_noticed_when_a_run_resumes(copy, capsys):
    path = copy / "train" / "3.wav"
    content = path.read_bytes()
    path.write_bytes(content[:1000] + content[1000:][::-1])
    trainer(copy, epochs=3).run()
    assert "note: the modification times of train recordings have changed" in lines(capsys)
    path.write_bytes(content[:-400])
    with pytest.raises(InputError, match="started with other train recordings"):
        trainer(copy, epochs=4).run()


def test_dev_utterances_in_the_training_set_are_reported(place, capsys):
    rows = [json.loads(line) for line in (place / "dev.jsonl").read_text().splitlines()]
    train = [json.loads(line) for line in (place / "train.jsonl").read_text().splitlines()]
    (place / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, *train[:2]]))
    trainer(place, epochs=1).run()
    assert "2 of 5 dev utterances are also in the training set" in lines(capsys)


def test_skipped_utterances_are_counted_one_by_one(place, capsys):
    """Four lines that name one missing recording are four skipped utterances, and one reason."""
    line = json.dumps({"path": "gone.wav", "duration": 0.5, "text": "a"}) + "\n"
    with open(place / "train.jsonl", "a") as file:
        file.write(4 * line)
    trainer(place, epochs=1).run()
    err = lines(capsys)
    assert "4 of 14 train utterances skipped" in err
    assert err.count("skipped: ") == 1


def test_a_nan_loss_on_the_dev_set_names_the_utterance(place, monkeypatch):
    run = trainer(place, epochs=1)
    run.prepare()
    forward = run.model.forward
    monkeypatch.setattr(
        run.model, "forward", lambda *x: (np.full_like(forward(*x)[0], np.nan), forward(*x)[1])
    )
    with pytest.raises(InputError, match=r"the loss of .*dev/\d.wav \(.*dev.jsonl:\d\) is not a number"):
        run.evaluate()


# Selection, time, picture


@pytest.mark.parametrize(
    ("select", "better", "worse"),
    [
        ("wer", (0.5, 0.9, 9), (0.6, 0.1, 1)),
        ("wer", (0.5, 0.2, 9), (0.5, 0.3, 1)),
        ("wer", (1.2, 0.59, 9), (0.99, 0.81, 1)),  # a WER above 90 % is noise
        ("wer", (0.9, 0.8, 9), (0.91, 0.5, 1)),
        ("wer", (1.0, 1.0, 8), (1.0, 1.0, 9)),
        ("cer", (0.9, 0.2, 9), (0.1, 0.3, 1)),
    ],
)
def test_the_best_epoch_is_selected_by_word_or_character_errors(select, better, worse):
    rows = [dict(zip(("wer", "cer", "dev_loss"), values, strict=True)) for values in (better, worse)]
    keys = [selection_key(row, select) for row in rows]
    assert keys[0] < keys[1]


def test_the_time_is_measured_on_the_first_batches(place):
    settings = read_settings(tones.settings(place, epochs=10))
    train = [Utterance(Path("a.wav"), "a", 100.0)] * 30  # 3000 s are 300,000 frames
    dev = [Utterance(Path("b.wav"), "b", 300.0)]  # the forward pass of 30,000 frames: a third
    estimate = reporting.TimeEstimate(settings, train, dev, 10)
    printed = [estimate.update(1000, seconds) for seconds in (60, *[2] * 7)]
    assert printed[:3] == printed[4:7] == [None] * 3
    assert printed[3] == "about 10:20 per epoch, 1:43:20 for 10, measured on 3 batches"
    finished = reporting.TimeEstimate(settings, train, dev, 0)
    assert not any(finished.update(1000, 2) for _ in range(8))


def test_the_time_is_measured_over_several_short_epochs(place):
    """Two batches of 500 frames, 1 s each, are an epoch; the first batch of the run compiles."""
    settings = read_settings(tones.settings(place, epochs=60))
    estimate = reporting.TimeEstimate(settings, [Utterance(Path("a.wav"), "a", 10.0)], [], 60)
    printed = [
        estimate.update(frames, seconds) for frames, seconds in ((400, 30), (600, 1.2), *[(500, 1)] * 8)
    ]
    assert [line for line in printed if line] == ["about 0:02 per epoch, 2:00 for 60, measured on 5 batches"]


def test_one_epoch_is_not_announced_in_the_plural(place, capsys):
    for epochs in (1, 2):
        trainer(place, epochs=epochs).run()
    announced = [line for line in lines(capsys).splitlines() if "GB of memory; " in line]
    assert [line.split("; ")[-1] for line in announced] == ["1 epoch", "2 epochs"]


def test_the_time_split_is_refused_before_anything_is_printed(place, capsys):
    trainer(place, epochs=1).run()
    capsys.readouterr()
    for backend in ("cpu", "cuda"):
        with pytest.raises(InputError, match="shares the frames between two ranks"):
            Trainer(
                read_settings(tones.settings(place, epochs=2)), place / "run", backend, time_split=True
            ).run()
    assert capsys.readouterr().err == ""


def test_a_dev_set_of_empty_texts_can_be_evaluated_and_resumed(place, monkeypatch):
    """The error rate over empty references is infinite, which JSON cannot store."""
    monkeypatch.setattr("minids.training.evaluation.greedy_text", lambda log_probs, alphabet: "a b")
    rows = [json.loads(line) | {"text": ""} for line in (place / "dev.jsonl").read_text().splitlines()]
    (place / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for epochs in (1, 2):
        run = trainer(place, epochs=epochs)
        run.run()
    assert [row["wer"] for row in run.state.rows] == [6.0, 6.0]


def test_the_plot_appears_during_training(place, monkeypatch):
    monkeypatch.setattr(trainer_module, "PLOT_SECONDS", 0)
    run = trainer(place, epochs=2)
    run.run()
    assert run.folder.plot.read_bytes().startswith(b"\x89PNG")


def test_a_plot_that_cannot_be_written_does_not_stop_training(place, monkeypatch, capsys):
    monkeypatch.setattr(trainer_module, "PLOT_SECONDS", 0)
    run = trainer(place, epochs=2)
    run.folder.plot.mkdir(parents=True)
    run.run()
    assert run.state.epoch == 2
    assert "training.png: it is a folder" in lines(capsys)
