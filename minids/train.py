"""Training: stochastic gradient descent on the CTC loss, epoch by epoch (§2, §5).

    for every batch:   losses, gradients = forward, CTC, backward        model.learn
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

from minids import schedule
from minids.batches import Batches, Variation, brought
from minids.cache import FeatureCache
from minids.checkpoint import Progress, RunFolder, identity
from minids.corpus.manifest import read_manifest
from minids.decode.greedy import greedy_text
from minids.errors import InputError
from minids.estimate import available_memory, estimate, largest_batch
from minids.model import DeepSpeech, ModelSettings
from minids.noise import Noise
from minids.ops.common import key, strided
from minids.parallel import Ranks, TimeSplit
from minids.recognize import Recognizer
from minids.score import Evaluation, Row
from minids.selfcheck import self_check
from minids.settings import Settings
from minids.step import step
from minids.weights import Saved, load_weights, save_weights


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
        ranks: Ranks | None = None,
        time_split: bool = False,
    ):
        self.settings, self.folder, self.backend = settings, RunFolder(folder), backend
        self.ranks, self.time_split = ranks or Ranks(), time_split
        self.sharing = Ranks() if time_split else self.ranks  # who have different utterances of a batch
        self.say = say if self.ranks.first else bool
        self.train = read_manifest(settings.path("train"))
        self.dev = read_manifest(settings.path("dev"))
        self.tuned: dict[str, Any] = {}

    def run(self) -> None:
        """Train to the last epoch.

        Raises InputError for data and settings that cannot work, and when training fails.
        """
        with self.folder.locked() if self.ranks.first else nullcontext():
            self.ranks.gathered("the folder is ours")
            self._begin()
            last = self.settings.train.epochs
            while self.progress.epoch < last:
                self._epoch()
                self._finish_epoch()
            self._tell_end()

    def _begin(self) -> None:
        s = self.settings
        m = s.model
        self.ranks.agree(identity(s), "other settings or manifests")
        network = ModelSettings(s.features.size, len(s.alphabet), m.hidden, m.context, m.stride, m.dropout)
        self._tell_estimate(network)
        saved = self.folder.resume(s, self.backend)
        features = saved.features if saved else replace(s.features)  # its own: `fit` will change it
        t = s.train
        n = s.noise
        snr_db = (n.snr_low, n.snr_high)
        variation = Variation(t.shift_ms, t.speed, t.tilt, self._noise(features.rate), n.share, snr_db)
        cache = FeatureCache(s.path("cache"), features) if s.data.cache else None
        given = self.train, features, s.alphabet, t.batch_size, s.model.stride, t.seed, variation
        self.batches = Batches(*given, cache=cache, share=self.sharing.share)
        if saved is None:
            if features.normalise == "corpus":
                if self.ranks.first:
                    self.batches.fit()
                features.mean, features.std = self.ranks.given((features.mean, features.std))
            model = DeepSpeech(network, t.seed, self.backend)
            zeros = np.zeros(model.flat_params.shape, np.float32)
            saved = Saved(
                model, features, s.alphabet, {"velocity": zeros}, {"settings": identity(s), "progress": {}}
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
        self.progress = Progress(**saved.notes["progress"])
        self.batches.skipped.update(self.progress.skipped)
        self.recognizer = Recognizer(saved)
        self.own_dev = self.ranks.share(self.dev)
        self.dev_batches = self.recognizer.ears[0].batches(self.own_dev, t.batch_size, cache)

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
        T0, B = self._most_frames(), min(self.settings.train.batch_size, max(len(self.train), len(self.dev)))
        T, letters = strided(T0, model.settings.stride), max(len(u.text) for u in self.train + self.dev)
        frames, full = np.zeros((T0, B, features.size), np.float32), np.ones(B, np.int32)
        labels = np.ones((B, max(1, min(letters, T))), np.int32)  # a longer text is skipped
        model.learn(frames, full * T0, labels, full * labels.shape[1], full.astype(np.uint32))
        model.ops.norm(model.flat_grads)
        self.bring = model.ops.arrays.Aside()
        for _ in range(2):  # the batch in use, and the next
            self.bring(frames)

    def _most_frames(self) -> int:
        """Of the longest recording, played as slowly as it may be."""
        features, longest = self.settings.features, max(u.duration for u in self.train + self.dev)
        return features.length(int(longest * (1 + self.settings.train.speed) * features.rate))

    def _epoch(self) -> None:
        """Train on the batches of one epoch that are still to do."""
        t, p = self.settings.train, self.progress
        rate = schedule.learning_rate(t.learning_rate, t.anneal, p.epoch)
        momentum = schedule.momentum(t.momentum, t.momentum_ramp, p.epoch)
        saved_at = started = time.monotonic()
        bar = self._bar()
        coming = self.batches.epoch(p.epoch, p.batch)
        if self.backend == "cuda":
            coming = brought(coming, self.bring)
        with bar, closing(coming) as batches:
            for batch in batches:
                p.batch += 1
                if batch or self.sharing.size > 1:
                    indices = batch.indices if batch else []
                    keys = key(t.seed, p.epoch, np.array(indices, np.int64))
                    given = rate, momentum, t.gradient_limit, self.sharing
                    losses, norm = step(self.learner, self.velocity, batch, keys, *given)
                    self._count(indices, int(batch.lengths.sum()) if batch else 0, losses, norm)
                    bar.set_postfix_str(f"loss {p.loss / max(1, p.utterances):.2f}", refresh=False)
                bar.update()
                now = time.monotonic()
                p.seconds, started = p.seconds + now - started, now
                if self.ranks.given(now - saved_at > 60 * t.checkpoint_minutes):
                    self._save_last()
                    saved_at = now
        if not p.utterances:
            raise self._nothing_usable("train", self.batches)

    def _bar(self):
        from tqdm import tqdm

        p, total = self.progress, len(self.batches)
        name = f"epoch {p.epoch + 1}/{self.settings.train.epochs}"
        off = None if self.ranks.first else True  # None: where no terminal sees it
        return tqdm(total=total, initial=p.batch, desc=name, leave=False, disable=off, dynamic_ncols=True)

    def _count(self, indices: list[int], frames: int, losses: np.ndarray, norm: float) -> None:
        """Take a step into the epoch's sums. Raises InputError when it failed, or when training diverges."""
        p, t = self.progress, self.settings.train
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
        loss, utterances, frames = self.sharing.add(
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
                f" lower learning_rate (now {t.learning_rate}) or gradient_limit (now {t.gradient_limit})"
                " and begin anew with another --run"
            )

    def _finish_epoch(self) -> None:
        """The dev set, the row of metrics, best and last; the next call makes good a kill between them."""
        p = self.progress
        dev_loss, scored = self._evaluate()
        row = self._row(dev_loss, scored)
        p.trained += p.seconds
        # The words decide; while all of them are wrong, the letters, and while nothing is heard, the loss.
        errors = [row["wer"], row["cer"], row["dev_loss"]]
        p.next_epoch()
        p.rows.append(row)
        better = p.best is None or errors < p.best
        if better:
            p.best, p.best_epoch = errors, p.epoch
        if self.ranks.first:
            if better:
                save_weights(self.folder.best, self._for_use(row))
            self.folder.write_rows(p.rows)
        self._save_last()
        self._tell_epoch(row, better)

    def _evaluate(self) -> tuple[float, Evaluation]:
        """The mean loss and the errors of greedy decoding on the dev set."""
        said: list[Row] = []
        total, count = 0.0, 0
        alphabet, arrays = self.settings.alphabet, self.model.ops.arrays
        for batch, log_probs, lengths in self.recognizer.ears[0].posteriors(self.dev_batches):
            given = map(arrays.from_host, (log_probs, lengths, batch.labels, batch.label_lengths))
            losses = arrays.to_host(self.model.ops.ctc(*given)[0])
            total += float(losses[np.isfinite(losses)].sum())
            count += int(np.isfinite(losses).sum())
            for b, i in enumerate(batch.indices):
                text = greedy_text(log_probs[: lengths[b], b], alphabet)
                said.append(self.recognizer.row(self.own_dev[i], text))
        total, count = self.ranks.add(np.array([total, count], np.float64))
        said = [row for some in self.ranks.gathered(said) for row in some]
        if not said:
            raise self._nothing_usable("dev", self.dev_batches)
        return total / max(1, count), Evaluation(said)

    def _nothing_usable(self, name: str, batches: Batches) -> InputError:
        first = next(iter(self._of_all(batches.skipped.values())), "")
        return InputError(f"{self.settings.path(name)}: no utterance could be used ({first})")

    def _row(self, dev_loss: float, scored: Evaluation) -> dict[str, Any]:
        p, t = self.progress, self.settings.train
        return {
            "epoch": p.epoch + 1,
            "loss": p.loss / p.utterances,
            "dev_loss": dev_loss,
            "wer": scored.wer.rate,
            "cer": scored.cer.rate,
            "silent": all(not row.hypothesis for row in scored.rows),
            "learning_rate": schedule.learning_rate(t.learning_rate, t.anneal, p.epoch),
            "momentum": schedule.momentum(t.momentum, t.momentum_ramp, p.epoch),
            "gradient_norm": float(np.median(p.norms)),
            "limited": float(np.mean(np.array(p.norms) > t.gradient_limit)),
            "utterances": p.utterances,
            "skipped": len(self.batches.skipped),
            "frames_per_second": p.frames / max(p.seconds, 1e-9),
            "seconds": p.seconds,
        }

    def _of_all(self, reasons: Iterable[str]) -> list[str]:
        """What any of the ranks has to say, once."""
        return list(dict.fromkeys(each for some in self.ranks.gathered(list(reasons)) for each in some))

    def _save_last(self) -> None:
        for skipped in self.ranks.gathered(self.batches.skipped):
            self.batches.skipped.update(skipped)
        self.progress.skipped = list(self.batches.skipped.items())
        self.saved.notes["progress"] = dict(vars(self.progress))
        self.saved.state["velocity"] = self.model.ops.arrays.to_host(self.velocity)
        weights = self.model.ops.arrays.to_host(self.model.flat_params)
        self.ranks.agree(zlib.crc32(weights), "other weights")
        if self.ranks.first:
            save_weights(self.folder.last, self.saved)

    def _for_use(self, row: dict[str, Any]) -> Saved:
        """Without velocity and counters: what is needed to recognise, and where it came from."""
        told = {name: row[name] for name in ("epoch", "wer", "cer")}
        return Saved(
            self.model,
            self.saved.features,
            self.saved.alphabet,
            {},
            {"settings": self.settings.as_dict(), "dev": told} | self.tuned,
        )

    def _tell_estimate(self, network: ModelSettings) -> None:
        features, t = self.settings.features, self.settings.train
        hours = sum(u.duration for u in self.train) / 3600
        longest = max(self.train + self.dev, key=lambda u: u.duration)
        frames, most = features.length(int(hours * 3600 * features.rate)), self._most_frames()
        share = -(-t.batch_size // self.sharing.size)
        needed = estimate(network, frames, most, share, self.backend)
        self.say(
            f"{len(self.train)} utterances, {hours:.2f} h; "
            f"{sum(math.prod(shape) for shape in network.shapes().values()) / 1e6:.2f} M weights; "
            f"about {needed.memory / 1e9:.2f} GB of memory, at least {clock(max(1, needed.epoch_seconds))} "
            f"an epoch, {clock(max(1, needed.epoch_seconds * t.epochs))} for {t.epochs}"
        )
        free = available_memory(self.backend)
        if free is not None and needed.memory > free:
            fit = largest_batch(network, most, free, self.backend)
            raise InputError(
                f"{longest.path} ({longest.where}, {longest.duration:.0f} s) in a batch of {t.batch_size}"
                f" needs {needed.memory / 1e9:.1f} GB, {free / 1e9:.1f} GB are free;"
                f" cut it, or lower batch_size{f' (to {fit})' if fit else ''} or hidden"
            )

    def _tell_epoch(self, row: dict[str, Any], better: bool) -> None:
        t = self.settings.train
        left = (t.epochs - row["epoch"]) * self.progress.trained / row["epoch"]
        self.say(
            f"epoch {row['epoch']:3d}/{t.epochs}  loss {row['loss']:7.2f}  dev loss {row['dev_loss']:7.2f}"
            f"  WER {row['wer']:6.1%}  CER {row['cer']:6.1%}"
            f"  {row['frames_per_second'] / 1000:4.0f} k frames/s"
            f"  {clock(left)} left{'  best' if better else ''}"
        )
        if row["silent"] and row["epoch"] in (1, 3, 10, 30):
            self.say(
                "   It hears nothing but blanks yet. That is how CTC begins: to say nothing is the first\n"
                "   thing that lowers the loss. Letters come when the loss falls again, on small sets after\n"
                "   1 to 10 epochs; if it stands still for longer, try half or twice the learning_rate."
            )

    def _tell_end(self) -> None:
        p = self.progress
        for where, batches, of in (
            ("train", self.batches, self.train),
            ("dev", self.dev_batches, self.dev),
        ):
            skipped = self._of_all(batches.skipped.values())
            for reason in skipped[:20]:
                self.say(f"skipped: {reason}")
            if skipped:
                count = f"{len(skipped)} of {len(of)} {where} utterances"
                self.say(f"{count} were skipped; `minids data doctor` names the remedy for each")
        if p.rows[-1]["silent"]:
            self.say("It is silent still: raise epochs and give the same command, it goes on from here.")
        if self.tuned:
            self.say("alpha and beta were tuned for earlier weights; run `minids tune` again")
        best = p.rows[p.best_epoch - 1]
        self.say(
            f"done: WER {best['wer']:.1%}, CER {best['cer']:.1%} on the dev set after epoch {p.best_epoch};"
            f" {clock(p.trained)} of training; the model is {self.folder.best}"
        )


def say(line: str) -> None:
    """A line of progress, on stderr, above the bar."""
    import sys

    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


def clock(seconds: float) -> str:
    """90 -> 1:30; 5400 -> 1:30:00."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
