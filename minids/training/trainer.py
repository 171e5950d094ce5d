"""Training: stochastic gradient descent on the CTC loss, epoch by epoch (§2, §5).

    for every batch:     losses and gradients = forward, CTC, backward     model.loss_and_grad
                         velocity and weights = Nesterov's update          training.step
                         weights' average = decay · average + (1 - decay) · weights, with `ema`
    after every epoch:   evaluate on the dev set, write metrics.jsonl, best.safetensors, last.safetensors

A run that is killed and started again resumes from `last.safetensors`, and ends with the same bits as a run
without interruption. Checkpoints are made between steps only, of which one may have several batches.
"""

import math
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minids import ops
from minids._utils.errors import InputError
from minids.data.batches import Batch, Batches, prefetch_to_device
from minids.data.manifest import read_manifest
from minids.features import Features
from minids.metrics import Evaluation
from minids.model import DeepSpeech
from minids.ops.common import hash_key
from minids.training import initial, reporting, schedule
from minids.training.checkpoint import RunFolder, TrainingState
from minids.training.evaluation import evaluate_batches
from minids.training.identity import TIMES, check_identity, run_identity
from minids.training.inputs import data_notes, dev_batches, load_noise, recording_files, training_batches
from minids.training.parallel import ProcessGroup, TimeSplit, check_time_split
from minids.training.resources import reserve_memory
from minids.training.selection import best_model, selected, selection_key
from minids.training.selfcheck import self_check
from minids.training.settings import Settings
from minids.training.signals import Stopped, stop_signals
from minids.training.step import GradientSum, step
from minids.training.step_log import StepLog
from minids.weights import SavedModel, load_model, save_model

PLOT_SECONDS = 10  # between two drawings of training.png, one per epoch at most


class Trainer:
    """A training run: data, model and folder. `run()` starts it, or resumes it from its checkpoint.

    With several `ranks`, every process runs the same code. Each computes its shard of every batch (§3.1) or,
    with `time_split`, each of two computes half of the frames (§3.2). Only rank 0 prints and writes files.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        backend: str = "cpu",
        ranks: ProcessGroup | None = None,
        time_split: bool = False,
    ):
        if time_split:
            check_time_split(ranks or ProcessGroup(), backend)
        self.settings, self.folder, self.backend = settings, RunFolder(folder), backend
        self.ranks, self.time_split = ranks or ProcessGroup(), time_split
        # The processes with different utterances of a batch: none but this one when they split the frames.
        self.batch_ranks = ProcessGroup() if time_split else self.ranks
        self.train = read_manifest(settings.path("train"))
        self.dev = read_manifest(settings.path("dev"))
        self.started = self.plotted = time.monotonic()
        self.evaluation_seconds = 0.0
        self.received_signal = lambda: 0
        self.reported: set[str] = set()  # why utterances were skipped

    def run(self) -> None:
        """Train to the last epoch, or until the time of `minutes` or the `patience` is over.

        Raises InputError for data and settings that cannot work, and when training fails; Stopped when a
        signal has ended it.
        """
        with self.folder.locked() if self.ranks.is_main else nullcontext():
            self.ranks.allgather("the folder is locked")
            self.prepare()
            if self.settings.train.init and not self.state.steps:  # no later epoch may be better
                row = {"epoch": 0} | reporting.dev_metrics(*self.evaluate())
                self.log(f"before training: WER {row['wer']:.1%}, CER {row['cer']:.1%} on the dev set")
                self._save_best(row)
            with stop_signals() as self.received_signal, closing(self.step_log):
                try:
                    while self.state.epoch < self.settings.train.epochs:
                        if (reason := self._decide(self._why_to_end())) and self.state.best_row:
                            self.log(reason)
                            break
                        self.train_epoch()
                        self.finish_epoch(*self.evaluate())
                except Stopped:
                    self._synchronize_ranks()
                    self._save_checkpoint()
                    self.log(f"stopped; the same command resumes from {self.folder.last}")
                    self.ranks.allgather("the checkpoint is saved")
                    raise
            if not self.state.best_row:  # it was lost after the last epoch
                self._save_best(self.state.rows[-1])
                self._save_checkpoint()
            self._log_summary()

    def prepare(self) -> None:
        """Check data, settings and memory, then load the checkpoint, or draw the initial weights."""
        s = self.settings = initial.with_initial(self.settings, self.folder.last)
        identity = run_identity(s, recording_files(s, self.train, self.dev))
        self._check_equal_ranks(identity)
        backend = ops.load(self.backend, **({"gemm": s.train.gemm} if self.backend == "cuda" else {}))
        self.log(reporting.check_resources(s, self.train, self.dev, backend, self.ranks, self.batch_ranks))
        checkpoint = self._load_checkpoint(backend, identity)
        features = checkpoint.features if checkpoint else replace(s.features)  # _new_model changes the copy
        noise = load_noise(s, features.rate, self.log)
        self.ranks.assert_equal(noise and zlib.crc32(noise.clips.data), "other noise")
        self.batches = training_batches(s, self.train, features, noise, self.batch_ranks)
        self.dev_batches = dev_batches(s, self.dev, features, self.ranks)
        for note in data_notes(s, self.train, self.dev):
            self.log(note)
        self.saved = checkpoint or self._new_model(features, backend)
        self.saved.notes |= identity | {"manifests": {n: str(s.path(n).resolve()) for n in ("train", "dev")}}
        self.model = self.saved.model
        self.step_model = TimeSplit(self.model, self.ranks) if self.time_split else self.model
        try:
            self.state = TrainingState(**self.saved.notes["progress"])
        except TypeError as error:
            raise InputError(
                f"another version of minids wrote {self.folder.last}; resume with it, or choose another --run"
            ) from error
        self.batches.skipped.update(self.state.skipped)
        self._synchronize_ranks()
        self._read_best()
        if self.backend == "cuda":
            self._prepare_gpu()
        arrays = self.model.ops.arrays
        self.velocity = arrays.from_host(self.saved.extra_tensors["velocity"])
        self.average = None
        if s.train.ema:
            weights = np.array(arrays.to_host(self.model.flat_params))
            self.average = arrays.from_host(self.saved.extra_tensors.get("average", weights))
        self.gradient_sum = GradientSum(self.step_model) if s.train.accumulate > 1 else None
        self.frozen = initial.frozen_parameters(self.model.settings, s.train.freeze)
        tensorboard = s.train.tensorboard and self.ranks.is_main
        self.step_log = StepLog(self.folder.steps, self.state.steps, tensorboard)
        self.started -= self.state.run_seconds
        self.time_estimate = reporting.TimeEstimate(
            s, self.train, self.dev, s.train.epochs - self.state.epoch
        )

    def _check_equal_ranks(self, identity: dict[str, Any]) -> None:
        """Raises InputError unless all ranks have the same settings and data, whose times may differ."""
        data = {name: value for name, value in identity["data"].items() if name != TIMES}
        options = identity["settings"], data, self.backend, self.time_split
        self.ranks.assert_equal(options, "other settings, recordings or options")

    def _load_checkpoint(self, backend: ops.Backend, identity: dict[str, Any]) -> SavedModel | None:
        """The checkpoint of a run with the same settings and data; None in a new folder."""
        checkpoint = self.folder.load_checkpoint(backend)
        progress = checkpoint and checkpoint.notes["progress"]
        self.ranks.assert_equal(progress, f"another checkpoint in {self.folder.path}")
        if checkpoint:
            notes = check_identity(identity, checkpoint.notes, self.settings, self.folder.path)
            epoch = checkpoint.notes["progress"].get("epoch", 0)
            for line in (f"resuming {self.folder.path} after epoch {epoch}", *notes):
                self.log(line)
        return checkpoint

    def _new_model(self, features: Features, backend: ops.Backend) -> SavedModel:
        """Initial weights; mean and deviation of the features from the training recordings."""
        if features.normalize == "corpus" and features.mean is None:
            if self.ranks.is_main:
                self.batches.fit()
            features.mean, features.std = self.ranks.broadcast((features.mean, features.std))
        model = DeepSpeech(self.settings.model_settings, self.settings.train.seed, backend)
        if self.settings.train.init:
            initial.copy_weights(model, self.settings, self.log)
        velocity = np.zeros(model.flat_params.shape, np.float32)
        return SavedModel(model, features, self.settings.alphabet, {"velocity": velocity}, {"progress": {}})

    def _read_best(self) -> None:
        """Read what `minids tune` stored with the best model. If that is lost, the next epoch is the best."""
        state = self.state
        self.decoder_notes: dict[str, Any] = {}
        try:
            if self.ranks.is_main and state.best_row:
                notes = load_model(self.folder.best).notes
                kept = ("decoder", "decoder_is_stale")
                self.decoder_notes = {name: notes[name] for name in kept if name in notes}
        except InputError as error:
            self.log(f"note: {error}; the next epoch will be the best so far")
            state.best_key, state.best_epoch, state.best_row = None, 0, None
        best = self.ranks.broadcast((state.best_key, state.best_epoch, state.best_row))
        state.best_key, state.best_epoch, state.best_row = best

    def _prepare_gpu(self) -> None:
        """Compare the GPU with the CPU, and allocate all buffers for the largest batch.

        Then no step waits for memory, and a lack of it is known before the first step.
        """
        t, utterances = self.settings.train, self.train + self.dev
        self_check(self.model, t.batch_size)
        self.log("the GPU agrees with the CPU on the losses and gradients of a small batch")
        if self.ranks.size > 1:
            self.ranks.connect_gpus(self.model.flat_grads, self.model.ops.arrays, self.log)
        frames, batch_size = reporting.largest_batch(self.settings, utterances, self.batch_ranks)
        self.copy_to_device = reserve_memory(
            self.model,
            max_frames=frames,
            max_labels=max(len(u.text) for u in utterances),
            batch_size=min(batch_size, max(len(self.train), len(self.dev))),
        )

    def train_epoch(self) -> None:
        """Train on the remaining batches of the current epoch, or until `minutes` are over.

        Raises Stopped after a step in which a signal has come.
        """
        t, state = self.settings.train, self.state
        batches = self.batches.epoch(state.epoch, state.batch)
        if self.backend == "cuda":
            batches = prefetch_to_device(batches, self.copy_to_device)
        bar = reporting.progress_bar(state, len(self.batches), t.epochs, self.ranks.is_main)
        last_save = last_batch_time = time.monotonic()
        frames, indices = 0, []  # of the current step
        with bar, closing(batches):
            for batch in batches:
                previous_frames = state.frames
                indices += batch.indices if batch else []
                frames += int(batch.lengths.sum()) if batch else 0
                state.batch += 1
                is_last = state.batch == len(self.batches)
                ends_step = is_last or state.batch % t.accumulate == 0
                if not ends_step and self.gradient_sum:
                    self.gradient_sum.add(batch, self._dropout_keys(batch))
                elif self.batch_ranks.allreduce_sum(np.array([len(indices)]))[0]:  # else all skip the step
                    rate, momentum = schedule.current(t, state)
                    losses, norm = self.step(batch, rate, momentum)
                    self.check_finite(indices, losses, norm)
                    state.steps += 1
                    row = self._add_to_sums(indices, frames, losses, norm)
                    self._update_average()
                    self._check_divergence(is_last)
                    if self.ranks.is_main:
                        self.step_log.write(row | {"learning_rate": rate, "momentum": momentum})
                    bar.set_postfix_str(
                        f"loss {state.loss_sum / max(1, state.utterances):.2f}", refresh=False
                    )
                bar.update()
                now = time.monotonic()
                seconds, last_batch_time = now - last_batch_time, now
                state.epoch_seconds += seconds
                if line := self.time_estimate.update(state.frames - previous_frames, seconds):
                    self.log(line)
                if not ends_step:
                    continue
                frames, indices = 0, []
                minutes_passed = now - last_save > 60 * t.checkpoint_minutes
                is_due, reason = self._decide((minutes_passed, self._why_to_end()))
                if is_due:
                    self._synchronize_ranks()
                    self._save_checkpoint()
                    last_save = now
                if reason:
                    break
        if not state.utterances:
            raise self.nothing_usable("train", self.batches)
        self._synchronize_ranks()
        self.time_estimate.epochs = 0  # from now on the line of each epoch has it

    def step(self, batch: Batch | None, rate: float, momentum: float) -> tuple[np.ndarray, float]:
        """A step on `batch` and those of `gradient_sum`; see minids.training.step."""
        clip_norm, keys = self.settings.train.grad_clip_norm, self._dropout_keys(batch)
        arguments = batch, keys, rate, momentum, clip_norm, self.batch_ranks, self.frozen, self.gradient_sum
        return step(self.step_model, self.velocity, *arguments)

    def _dropout_keys(self, batch: Batch | None) -> np.ndarray:
        indices = np.array(batch.indices if batch else [], np.int64)
        return hash_key(self.settings.train.seed, self.state.epoch, indices)

    def _decide(self, decision: Any) -> Any:
        """Rank 0's decision. Raises Stopped on all ranks when a signal has come to one."""
        signals, decisions = zip(*self.ranks.allgather((self.received_signal(), decision)), strict=True)
        if number := max(signals):
            raise Stopped(number)
        return decisions[0]

    def _why_to_end(self) -> str:
        """Why training ends before the last epoch, or nothing. `minutes` include the last evaluation."""
        t, state = self.settings.train, self.state
        evaluations = 1 if self.average is None else 2
        seconds = time.monotonic() - self.started + evaluations * self.evaluation_seconds
        if t.minutes and seconds >= 60 * t.minutes:
            return f"the {t.minutes:g} minutes are over; raise minutes to continue"
        if t.patience and state.stale_epochs >= t.patience:
            return f"no better epoch in {state.stale_epochs}; raise patience to continue"
        return ""

    def _update_average(self) -> None:
        """Average ← d · average + (1 - d) · weights, with a smaller decay d in the first steps, whose weights
        are soon outdated."""
        if self.average is not None:
            steps = self.state.steps
            # In float32, so that 1 - d is exact: else constant weights would drift.
            decay = float(np.float32(min(self.settings.train.ema, (1 + steps) / (10 + steps))))
            self.model.ops.axpby(1 - decay, self.model.flat_params, decay, self.average)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The network with the average as weights. The gradients are overwritten."""
        weights, gradients, axpby = self.model.flat_params, self.model.flat_grads, self.model.ops.axpby
        axpby(1.0, weights, 0.0, gradients)
        axpby(1.0, self.average, 0.0, weights)
        try:
            yield
        finally:
            axpby(1.0, gradients, 0.0, weights)

    def check_finite(self, indices: list[int], losses: np.ndarray, norm: float) -> None:
        """Raises InputError when a loss or the gradient is not a number; names the first bad recording."""
        if np.isfinite(norm):
            return
        bad = [i for i, loss in zip(indices, losses, strict=True) if np.isnan(loss)]
        names = list(self._gather({i: self._name(i) for i in bad}).values())
        quantity = "loss" if names else "gradient"
        where = f", first for {names[0]}; check that recording" if names else ""
        last = f"; {self.folder.last} has the last good weights" if self.folder.last.exists() else ""
        raise InputError(
            f"epoch {self.state.epoch + 1}: the {quantity} is not a number any more{where};"
            f" lower learning_rate (now {self.settings.train.learning_rate}){last}"
        )

    def _add_to_sums(
        self, indices: list[int], frames: int, losses: np.ndarray, norm: float
    ) -> dict[str, Any]:
        """Add the results of a step to the sums of the epoch. Returns its line for steps.jsonl."""
        state = self.state
        for i, loss in zip(indices, losses, strict=True):
            if np.isinf(loss):
                self.batches.skipped[i] = f"{self._name(i)}: its text has probability 0 in this recording"
        possible = np.isfinite(losses)
        sums = np.array([losses[possible].sum(), possible.sum(), frames], np.float64)
        loss_sum, utterances, frame_sum = self.batch_ranks.allreduce_sum(sums)
        state.loss_sum += float(loss_sum)
        state.utterances += int(utterances)
        state.frames += int(frame_sum)
        state.gradient_norms.append(float(norm))
        return {
            "step": state.steps,
            "epoch": state.epoch + 1,
            "loss": float(loss_sum) / max(1, int(utterances)),
            "gradient_norm": float(norm),
            "utterances": int(utterances),
            "frames": int(frame_sum),
        }

    def _check_divergence(self, is_last: bool) -> None:
        """Raises InputError when the loss is twice that of a uniform output, T log K, after 50 steps."""
        state, t = self.state, self.settings.train
        uniform = state.frames / self.settings.model.stride * math.log(self.model.settings.characters)
        enough = len(state.gradient_norms) >= 50 or (state.epoch > 0 and is_last)
        if enough and state.loss_sum > 2 * uniform:
            raise InputError(
                f"epoch {state.epoch + 1}: training diverges, the loss is twice that of random guessing;"
                f" lower learning_rate (now {t.learning_rate}) or grad_clip_norm (now {t.grad_clip_norm})"
                " and start again with another --run"
            )

    def evaluate(self) -> tuple[float, Evaluation]:
        """The mean loss and the error rates of greedy decoding on the dev set, over all ranks.

        Raises Stopped when a signal has come.
        """
        start = time.monotonic()
        loss_sum, count, results = evaluate_batches(
            self.model, self.dev_batches, self.dev, self.settings.alphabet, self.received_signal
        )
        self._decide(None)
        loss_sum, count = self.ranks.allreduce_sum(np.array([loss_sum, count], np.float64))
        results = [result for shard in self.ranks.allgather(results) for result in shard]
        if not results:
            raise self.nothing_usable("dev", self.dev_batches)
        self.evaluation_seconds = time.monotonic() - start
        return loss_sum / max(1, count), Evaluation(results)

    def finish_epoch(self, dev_loss: float, evaluation: Evaluation) -> None:
        """Write metrics, best and last; after a kill between them, the resumed run writes them again.

        The epoch may be partial, if its time was over: then a resumed run finishes it.
        """
        t, state = self.settings.train, self.state
        row = reporting.epoch_metrics(t, state, dev_loss, evaluation, len(self.batches.skipped))
        if is_partial := state.batch < len(self.batches):
            row["partial"] = state.batch / len(self.batches)
        if self.average is not None:
            with self._averaged():
                average_loss, averaged = self.evaluate()
            row |= reporting.dev_metrics(average_loss, averaged, "ema_")
        best_row = selected(row, t.select)
        key = selection_key(best_row, t.select)
        is_best = state.best_key is None or key < state.best_key
        if is_best:
            self.decoder_notes |= {"decoder_is_stale": True} if self.decoder_notes else {}
            self._save_best(best_row)
        rows = [*state.rows, row]
        if not is_partial:
            # Among completed epochs, so that an end by `minutes` changes nothing in a resumed run.
            improved = all(key < selection_key(selected(r, t.select), t.select) for r in state.rows)
            state.next_epoch(row, improved, t.plateau)
        if self.ranks.is_main:
            self.folder.write_metrics(rows)
            self.step_log.show("epoch", row, state.steps)
            if time.monotonic() - self.plotted > PLOT_SECONDS:
                self.draw()
        self._save_checkpoint()
        for line in reporting.epoch_lines(rows, self.settings.train, state, is_best):
            self.log(line)
        for line in reporting.skipped_lines(self._skipped(), self.reported):
            self.log(line)

    def _save_best(self, row: dict[str, Any]) -> None:
        """Write best.safetensors; `row` has the metrics of these weights, or of their average."""
        state, key = self.state, selection_key(row, self.settings.train.select)
        state.best_key, state.best_epoch, state.best_row = key, row["epoch"], row
        if self.ranks.is_main:
            with self._averaged() if row.get("averaged") else nullcontext():
                save_model(self.folder.best, best_model(self.saved, self.settings, row, self.decoder_notes))

    def draw(self) -> None:
        """Write training.png. Training does not depend on it."""
        try:
            self.folder.write_plot(self.state)
        except InputError as error:
            self.log(f"note: {error}")
        self.plotted = time.monotonic()

    def _save_checkpoint(self) -> None:
        self.state.skipped = list(self.batches.skipped.items())
        self.state.run_seconds = time.monotonic() - self.started
        self.saved.notes["progress"] = dict(vars(self.state))
        if self.ranks.is_main:
            to_host = self.model.ops.arrays.to_host
            self.saved.extra_tensors["velocity"] = to_host(self.velocity)
            if self.average is not None:
                self.saved.extra_tensors["average"] = to_host(self.average)
            save_model(self.folder.last, self.saved)

    def _synchronize_ranks(self) -> None:
        """Exchange the skipped utterances. Raises InputError unless all ranks have the same weights."""
        self.batches.skipped.update(self._gather(self.batches.skipped))
        weights = self.model.ops.arrays.to_host(self.model.flat_params)
        self.ranks.assert_equal(zlib.crc32(weights), "other weights")

    def _gather(self, reasons: dict[int, str]) -> dict[int, str]:
        """The reasons of all ranks, by utterance."""
        gathered: dict[int, str] = {}
        for shard in self.ranks.allgather(reasons):
            gathered |= shard
        return gathered

    def _name(self, index: int) -> str:
        return f"{self.train[index].name} ({self.train[index].location})"

    def nothing_usable(self, name: str, batches: Batches) -> InputError:
        reason = next(iter(self._gather(batches.skipped).values()), "")
        return InputError(f"{self.settings.path(name)}: no utterance could be used ({reason})")

    def _skipped(self) -> dict[str, tuple[dict[int, str], int]]:
        return {
            "train": (self._gather(self.batches.skipped), len(self.train)),
            "dev": (self._gather(self.dev_batches.skipped), len(self.dev)),
        }

    def _log_summary(self) -> None:
        is_stale = self.decoder_notes.get("decoder_is_stale", False)
        for line in reporting.skipped_lines(self._skipped(), self.reported, summary=True):
            self.log(line)
        for line in reporting.summary_lines(self.state, is_stale, self.folder.best):
            self.log(line)

    def log(self, line: str) -> None:
        """Print a line of progress, on rank 0."""
        if self.ranks.is_main:
            reporting.log(line)
