"""Training: stochastic gradient descent on the CTC loss, epoch by epoch (§2, §5).

    for every batch:   losses, gradients = forward, CTC, backward        model.loss_and_grad
                       velocity, weights = Nesterov's step                step
    after every epoch: the dev set; metrics.jsonl, best.safetensors, last.safetensors

A run that is killed and called again goes on from `last.safetensors`, and ends with the same bits as one that
never was.
"""

import math
import time
import zlib
from collections.abc import Iterable
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minids._utils.errors import InputError
from minids.data.batches import Augmentation, Batches, prefetch_to_device
from minids.data.feature_cache import FeatureCache
from minids.data.manifest import read_manifest
from minids.data.noise import Noise
from minids.decode.greedy import greedy_text
from minids.metrics import Evaluation, UtteranceResult
from minids.model import DeepSpeech, ModelSettings
from minids.ops.common import key, strided
from minids.recognizer import Recognizer
from minids.training import schedule
from minids.training.checkpoint import Progress, RunFolder, run_identity
from minids.training.parallel import ProcessGroup, TimeSplit
from minids.training.reporting import bar, summary_lines, epoch_lines, metrics, max_frames, needs, say
from minids.training.selfcheck import self_check
from minids.training.settings import Settings
from minids.training.step import step
from minids.weights import SavedModel, load_weights, save_weights


class Trainer:
    """A run: its data, its model, its folder. `run()` begins it or goes on with it.

    Of several `ranks`, each does this alike. Each takes its share of every batch (§3.1), or with `time_split`
    each of two half of the frames (§3.2); the first alone prints and writes.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        backend: str = "cpu",
        ranks: ProcessGroup | None = None,
        time_split: bool = False,
    ):
        self.settings, self.folder, self.backend = settings, RunFolder(folder), backend
        self.ranks, self.time_split = ranks or ProcessGroup(), time_split
        self.data_parallel = (
            ProcessGroup() if time_split else self.ranks
        )  # who have different utterances of a batch
        self.say = say if self.ranks.is_main else bool
        self.train = read_manifest(settings.path("train"))
        self.dev = read_manifest(settings.path("dev"))
        self.tuned: dict[str, Any] = {}

    def run(self) -> None:
        """Train to the last epoch.

        Raises InputError for data and settings that cannot work, and when training fails.
        """
        with self.folder.locked() if self.ranks.is_main else nullcontext():
            self.ranks.allgather("the folder is ours")
            self._begin()
            last = self.settings.train.epochs
            while self.state.epoch < last:
                self._epoch()
                self._finish_epoch()
            self._tell_end()

    def _begin(self) -> None:
        s = self.settings
        m = s.model
        options = self.backend, self.time_split
        self.ranks.assert_equal((run_identity(s), options), "other settings, manifests or options")
        network = ModelSettings(s.features.size, len(s.alphabet), m.hidden, m.context, m.stride, m.dropout)
        self.say(needs(s, network, self.train, self.dev, self.backend, self.ranks, self.data_parallel))
        saved = self.folder.resume(s, self.backend)
        self.ranks.assert_equal(
            saved and saved.notes["progress"], f"another checkpoint in {self.folder.path}"
        )
        features = saved.features if saved else replace(s.features)  # its own: `fit` will change it
        t = s.train
        n = s.noise
        snr_db = (n.min_snr_db, n.max_snr_db)
        noise = self._noise(features.rate)
        self.ranks.assert_equal(noise and zlib.crc32(noise.clips.data), "other noise")
        variation = Augmentation(
            t.max_shift_ms, t.max_speed_change, t.max_tilt_db, noise, n.noise_prob, snr_db
        )
        cache = FeatureCache(s.path("cache"), features) if s.data.cache else None
        given = self.train, features, s.alphabet, t.batch_size, s.model.stride, t.seed, variation
        self.batches = Batches(*given, cache=cache, share=self.data_parallel.shard)
        if saved is None:
            if features.normalize == "corpus":
                if self.ranks.is_main:
                    self.batches.fit()
                features.mean, features.std = self.ranks.broadcast((features.mean, features.std))
            model = DeepSpeech(network, t.seed, self.backend)
            zeros = np.zeros(model.flat_params.shape, np.float32)
            saved = SavedModel(
                model, features, s.alphabet, {"velocity": zeros}, {"settings": run_identity(s), "progress": {}}
            )
        else:
            self.say(f"going on in {self.folder.path} after epoch {saved.notes['progress']['epoch']}")
            if self.folder.best.exists():  # what `minids tune` kept there is not ours to drop
                tuned = load_weights(self.folder.best).notes.get("decoder")
                self.tuned = {"decoder": tuned} if tuned else {}
        self.saved, self.model = saved, saved.model
        self.learner = TimeSplit(self.model, self.ranks) if self.time_split else self.model
        if self.backend == "cuda":
            self.model.ops.matmul.use(t.gemm)
            self_check(self.model, t.batch_size)
            self._reserve()
            self.say("the GPU agrees with the CPU on the losses and gradients of a small batch")
        saved.notes["manifests"] = {name: str(s.path(name).resolve()) for name in ("train", "dev")}
        self.velocity = self.model.ops.arrays.from_host(saved.state["velocity"])
        self.state = Progress(**saved.notes["progress"])
        self.batches.skipped.update(self.state.skipped)
        self.recognizer = Recognizer(saved)
        (ear,) = self.recognizer.ears
        self.dev_batches = ear.batches(self.dev, t.batch_size, cache=cache, share=self.ranks.shard)

    def _noise(self, rate: int) -> Noise | None:
        s = self.settings
        if not s.noise.recordings:
            return None
        noise = Noise(s.recordings("recordings"), rate, s.recordings("like"), s.noise.layers)
        self.say(f"{len(noise.clips)} clips of noise, {len(noise.rejected)} rejected")
        for rejected in noise.rejected[:5]:
            self.say(f"rejected: {rejected}")
        return noise

    def _reserve(self) -> None:
        """Let all buffers on the GPU have their full size, by a batch as large as can come.

        So no step waits for memory, and too little of it is known before the first one. A batch that is
        larger than its manifest says finds its room when it comes.
        """
        model, features = self.model, self.saved.features
        T0 = max_frames(self.settings, self.train + self.dev)
        B = min(
            -(-self.settings.train.batch_size // self.data_parallel.size), max(len(self.train), len(self.dev))
        )
        T, letters = strided(T0, model.settings.stride), max(len(u.text) for u in self.train + self.dev)
        frames, full = np.zeros((T0, B, features.size), np.float32), np.ones(B, np.int32)
        labels = np.ones((B, max(1, min(letters, T))), np.int32)  # a longer text is skipped
        model.loss_and_grad(frames, full * T0, labels, full * labels.shape[1], full.astype(np.uint32))
        model.ops.norm(model.flat_grads)
        self.bring = model.ops.arrays.AsyncCopier()
        for _ in range(2):  # the batch in use, and the next
            self.bring(frames)

    def _epoch(self) -> None:
        """Train on the batches of one epoch that are still to do."""
        t, p = self.settings.train, self.state
        rate = schedule.learning_rate(t.learning_rate, t.lr_decay, p.epoch)
        momentum = schedule.momentum(t.momentum, t.momentum_ramp, p.epoch)
        saved_at = started = time.monotonic()
        shown = bar(p, len(self.batches), t.epochs, self.ranks.is_main)
        coming = self.batches.epoch(p.epoch, p.batch)
        if self.backend == "cuda":
            coming = prefetch_to_device(coming, self.bring)
        with shown, closing(coming) as batches:
            for batch in batches:
                p.batch += 1
                indices = batch.indices if batch else []
                if self.data_parallel.allreduce_sum(np.array([len(indices)]))[
                    0
                ]:  # else no rank could use any of it
                    keys = key(t.seed, p.epoch, np.array(indices, np.int64))
                    given = rate, momentum, t.grad_clip_norm, self.data_parallel
                    losses, norm = step(self.learner, self.velocity, batch, keys, *given)
                    self._count(indices, int(batch.lengths.sum()) if batch else 0, losses, norm)
                    shown.set_postfix_str(f"loss {p.loss / max(1, p.utterances):.2f}", refresh=False)
                shown.update()
                now = time.monotonic()
                p.seconds, started = p.seconds + now - started, now
                if self.ranks.broadcast(now - saved_at > 60 * t.checkpoint_minutes):
                    self._check_ranks()
                    self._save_last()
                    saved_at = now
        if not p.utterances:
            raise self._nothing_usable("train", self.batches)

    def _count(self, indices: list[int], frames: int, losses: np.ndarray, norm: float) -> None:
        """Take a step into the epoch's sums. Raises InputError when it failed, or when training diverges."""
        p, t = self.state, self.settings.train
        names = [f"{self.train[i].path} ({self.train[i].where})" for i in indices]
        if not np.isfinite(norm):
            bad = self._of_all([name for name, loss in zip(names, losses, strict=True) if np.isnan(loss)])
            what, where = "gradient", ""
            if bad:
                what, where = "loss", f", first at {bad[0]}; look at that recording"
            kept = f"; {self.folder.last} still holds the last good weights"
            raise InputError(
                f"epoch {p.epoch + 1}: the {what} is not a number any more{where};"
                f" lower learning_rate (now {t.learning_rate})"
                f"{kept if self.folder.last.exists() else ''}"
            )
        for b, loss in enumerate(losses):
            if np.isinf(loss):
                self.batches.skipped[indices[b]] = f"{names[b]}: its text has probability 0 in this recording"
        possible = np.isfinite(losses)
        loss, utterances, frames = self.data_parallel.allreduce_sum(
            np.array([losses[possible].sum(), possible.sum(), frames], np.float64)
        )
        p.loss += float(loss)
        p.utterances += int(utterances)
        p.frames += int(frames)
        p.norms.append(float(norm))
        chance = p.frames / self.settings.model.stride * math.log(self.model.settings.characters)
        enough = len(p.norms) >= 50 or (p.epoch > 0 and p.batch == len(self.batches))
        if enough and p.loss > 2 * chance:
            raise InputError(
                f"epoch {p.epoch + 1}: training diverges, the loss is twice what pure guessing gives;"
                f" lower learning_rate (now {t.learning_rate}) or grad_clip_norm (now {t.grad_clip_norm})"
                " and begin anew with another --run"
            )

    def _finish_epoch(self) -> None:
        """The dev set, the row of metrics, best and last; the next call makes good a kill between them."""
        p = self.state
        self._check_ranks()
        dev_loss, scored = self._evaluate()
        row = metrics(self.settings.train, p, dev_loss, scored, len(self.batches.skipped))
        p.trained += p.seconds
        # The words decide; while all of them are wrong, the letters, and while nothing is heard, the loss.
        errors = [row["wer"], row["cer"], row["dev_loss"]]
        p.next_epoch()
        p.rows.append(row)
        better = p.best is None or errors < p.best
        if better:
            p.best, p.best_epoch = errors, p.epoch
        if self.ranks.is_main:
            if better:
                save_weights(self.folder.best, self._for_use(row))
            self.folder.write_rows(p.rows)
        self._save_last()
        for line in epoch_lines(row, self.settings.train.epochs, p.trained, better):
            self.say(line)

    def _evaluate(self) -> tuple[float, Evaluation]:
        """The mean loss and the errors of greedy decoding on the dev set."""
        said: list[UtteranceResult] = []
        total, count = 0.0, 0
        alphabet, arrays = self.settings.alphabet, self.model.ops.arrays
        for batch, log_probs, lengths in self.recognizer.ears[0].posteriors(self.dev_batches):
            given = map(arrays.from_host, (log_probs, lengths, batch.labels, batch.label_lengths))
            losses = arrays.to_host(self.model.ops.ctc(*given)[0])
            total += float(losses[np.isfinite(losses)].sum())
            count += int(np.isfinite(losses).sum())
            for b, i in enumerate(batch.indices):
                text = greedy_text(log_probs[: lengths[b], b], alphabet)
                said.append(self.recognizer.row(self.dev[i], text))
        total, count = self.ranks.allreduce_sum(np.array([total, count], np.float64))
        said = [row for some in self.ranks.allgather(said) for row in some]
        if not said:
            raise self._nothing_usable("dev", self.dev_batches)
        return total / max(1, count), Evaluation(said)

    def _nothing_usable(self, name: str, batches: Batches) -> InputError:
        first = next(iter(self._of_all(batches.skipped.values())), "")
        return InputError(f"{self.settings.path(name)}: no utterance could be used ({first})")

    def _of_all(self, reasons: Iterable[str]) -> list[str]:
        """What any of the ranks has to say, once."""
        return list(dict.fromkeys(each for some in self.ranks.allgather(list(reasons)) for each in some))

    def _check_ranks(self) -> None:
        """Let all know what any has skipped. Raises InputError unless all have the same weights."""
        for skipped in self.ranks.allgather(self.batches.skipped):
            self.batches.skipped.update(skipped)
        weights = self.model.ops.arrays.to_host(self.model.flat_params)
        self.ranks.assert_equal(zlib.crc32(weights), "other weights")

    def _save_last(self) -> None:
        self.state.skipped = list(self.batches.skipped.items())
        self.saved.notes["progress"] = dict(vars(self.state))
        self.saved.state["velocity"] = self.model.ops.arrays.to_host(self.velocity)
        if self.ranks.is_main:
            save_weights(self.folder.last, self.saved)

    def _for_use(self, row: dict[str, Any]) -> SavedModel:
        """Without velocity and counters: what is needed to recognize, and where it came from."""
        told = {name: row[name] for name in ("epoch", "wer", "cer")}
        return SavedModel(
            self.model,
            self.saved.features,
            self.saved.alphabet,
            {},
            {"settings": self.settings.to_dict(), "dev": told} | self.tuned,
        )

    def _tell_end(self) -> None:
        sets = ("train", self.batches, self.train), ("dev", self.dev_batches, self.dev)
        skipped = {name: (self._of_all(given.skipped.values()), len(of)) for name, given, of in sets}
        for line in summary_lines(self.state, skipped, bool(self.tuned), self.folder.best):
            self.say(line)
