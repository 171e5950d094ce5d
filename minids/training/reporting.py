"""What a training prints: the resources it needs, a line per epoch, and a summary."""

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from minids._utils.errors import InputError
from minids._utils.terminal import printable
from minids.data.manifest import Utterance
from minids.metrics import Evaluation, Score
from minids.ops import Backend
from minids.training import schedule
from minids.training.checkpoint import TrainingState
from minids.training.parallel import ProcessGroup
from minids.training.resources import available_memory, max_batch_size, memory
from minids.training.settings import Settings, TrainSettings


def check_resources(
    settings: Settings,
    train: list[Utterance],
    dev: list[Utterance],
    backend: Backend,
    ranks: ProcessGroup,
    batch_ranks: ProcessGroup,
) -> str:
    """One line: the size of the data and of the model, and the memory of all ranks on this machine.

    Each of the `batch_ranks` has a shard of every batch. Raises InputError when the memory is too small for a
    batch of the longest recording.
    """
    t, model = settings.train, settings.model_settings
    hours = sum(u.duration for u in train) / 3600
    longest = max(_loaded(settings, train + dev), key=lambda u: u.duration)
    T0, batch_size = largest_batch(settings, train + dev, batch_ranks)
    processes = ranks.ranks_per_gpu if backend.name == "cuda" else ranks.local_size  # that share it
    buffers = 2 * bool(t.ema) + (t.accumulate > 1)  # an average is copied for checkpoints
    arguments = backend.name, buffers
    needed, free = processes * memory(model, T0, batch_size, *arguments), available_memory(backend)
    if free is not None and needed > free:
        fitting = batch_ranks.size * max_batch_size(model, T0, free // processes, *arguments)
        size = f"batch_size{f' (to {fitting})' if fitting else ''}"
        raise InputError(
            f"{longest.path} ({longest.location}, {longest.duration:.0f} s) in a batch of"
            f" {batch_size * batch_ranks.size}"
            f" needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free;"
            f" split the recording, or lower {'batch_seconds' if t.batch_seconds else size} or hidden"
        )
    weights = sum(math.prod(shape) for shape in model.shapes().values())
    return (
        f"{_count(len(train), 'utterance')}, {hours:.2f} h; {weights / 1e6:.2f} M weights; "
        f"about {needed / 1e9:.2f} GB of memory; {_count(t.epochs, 'epoch')}"
    )


def largest_batch(settings: Settings, utterances: list[Utterance], ranks: ProcessGroup) -> tuple[int, int]:
    """Frames of the longest recording at the lowest speed that augmentation may choose, and how many of them
    a batch of one of the `ranks` may have."""
    features, seconds = settings.features, max(u.duration for u in _loaded(settings, utterances))
    frames = features.length(int(seconds * (1 + settings.augment.max_speed_change) * features.rate))
    size, limit = settings.train.batch_size, settings.train.batch_seconds
    if limit:
        size = math.ceil(limit / max(seconds, 1e-3))
    return frames, -(-size // ranks.size)


def _loaded(settings: Settings, utterances: list[Utterance]) -> list[Utterance]:
    """Utterances within max_seconds; all if there are none, so that the caller reports the longest."""
    return [u for u in utterances if u.duration <= settings.data.max_seconds] or utterances


class TimeEstimate:
    """The time of the remaining epochs, measured on the first batches after the one that compiles."""

    MIN_BATCHES, MIN_SECONDS = 3, 5

    def __init__(self, settings: Settings, train: list[Utterance], dev: list[Utterance], epochs: int):
        # Evaluation is the forward pass, a third of a training step.
        seconds = sum(u.duration for u in train) + sum(u.duration for u in dev) / 3
        self.frames = settings.features.length(int(seconds * settings.features.rate))
        self.epochs = epochs
        self.batches = self.measured_frames = 0
        self.measured_seconds = 0.0

    def update(self, frames: int, seconds: float) -> str | None:
        """After each batch, of any epoch: its frames, and the seconds that it took. Returns a line once."""
        self.batches += 1
        if self.batches == 1:
            return None
        self.measured_frames += frames
        self.measured_seconds += seconds
        enough = self.batches > self.MIN_BATCHES and self.measured_seconds >= self.MIN_SECONDS
        if not self.epochs or not enough or not self.measured_frames:
            return None
        epoch_seconds = self.frames * self.measured_seconds / self.measured_frames
        line = (
            f"about {format_duration(epoch_seconds)} per epoch,"
            f" {format_duration(epoch_seconds * self.epochs)} for {self.epochs},"
            f" measured on {self.batches - 1} batches"
        )
        self.epochs = 0
        return line


def epoch_metrics(
    settings: TrainSettings, state: TrainingState, dev_loss: float, evaluation: Evaluation, skipped: int
) -> dict[str, Any]:
    """The line of metrics.jsonl for the current epoch."""
    norms = np.array(state.gradient_norms)
    rate, momentum = schedule.current(settings, state)
    return {
        "epoch": state.epoch + 1,
        "loss": state.loss_sum / state.utterances,
        **dev_metrics(dev_loss, evaluation),
        "all_blank": all(not result.hypothesis for result in evaluation.results),
        "learning_rate": rate,
        "momentum": momentum,
        "gradient_norm": float(np.median(norms)),
        "clipped_steps": float(np.mean(norms > settings.grad_clip_norm)),
        "utterances": state.utterances,
        "skipped": skipped,
        "frames_per_second": state.frames / max(state.epoch_seconds, 1e-9),
        "seconds": state.epoch_seconds,
    }


def dev_metrics(loss: float, evaluation: Evaluation, prefix: str = "") -> dict[str, float]:
    values = {"dev_loss": loss, "wer": _rate(evaluation.wer), "cer": _rate(evaluation.cer)}
    return {prefix + name: value for name, value in values.items()}


def _rate(score: Score) -> float:
    """The error rate, or the number of errors if all references are empty: JSON has no infinity."""
    return score.errors / max(1, score.reference_length)


def epoch_lines(
    rows: list[dict[str, Any]], settings: TrainSettings, state: TrainingState, is_best: bool
) -> Iterator[str]:
    """The metrics of the last epoch of `rows`; once in a run, why outputs are all blank."""
    row, epochs = rows[-1], settings.epochs
    done = row["epoch"] - 1 + row.get("partial", 1)
    remaining = (epochs - done) * state.run_seconds / done
    if settings.minutes:
        remaining = max(0.0, min(remaining, 60 * settings.minutes - state.run_seconds))
    average = f"  average: WER {row['ema_wer']:.1%}  CER {row['ema_cer']:.1%}" if "ema_wer" in row else ""
    best = "  best" + (" (average)" if (state.best_row or {}).get("averaged") else "")
    yield (
        f"epoch {row['epoch']:3d}/{epochs}  loss {row['loss']:7.2f}  dev loss {row['dev_loss']:7.2f}"
        f"  WER {row['wer']:6.1%}  CER {row['cer']:6.1%}{average}"
        f"  {row['frames_per_second'] / 1000:4.0f} k frames/s"
        f"  {format_duration(remaining)} left{best if is_best else ''}"
        f"{'  (only {:.0%} of the epoch)'.format(row['partial']) if 'partial' in row else ''}"
    )
    if state.halvings and not state.plateau_epochs and state.stale_epochs:
        yield f"no better epoch in {settings.plateau}: the learning rate is halved"
    if row["all_blank"] and not any(earlier["all_blank"] for earlier in rows[:-1]):
        yield (
            "   The output is still all blanks. This is normal at the start: with CTC, blanks everywhere\n"
            "   are the first thing that lowers the loss. Letters appear when the loss falls again, on\n"
            "   small data sets after 100 to 1000 batches. If it stays flat for longer, try half or twice\n"
            "   the learning_rate."
        )


def skipped_lines(
    skipped: dict[str, tuple[dict[int, str], int]], reported: set[str], summary: bool = False
) -> Iterator[str]:
    """Why utterances were skipped, where that is not `reported` yet, and how many of each set.

    `skipped` has (reason of each, size of the set) per set. A `summary` always has the numbers.
    """
    for name, (reasons, total) in skipped.items():
        new = [reason for reason in dict.fromkeys(reasons.values()) if reason not in reported]
        reported.update(new)
        for reason in new[:20]:
            yield f"skipped: {reason}"
        if new or (reasons and summary):
            yield (
                f"{len(reasons)} of {total} {name} utterances skipped;"
                " `minids data doctor` says how to fix each"
            )


def summary_lines(state: TrainingState, is_stale: bool, best: Path) -> Iterator[str]:
    """The best epoch and its file. `is_stale`: whether the decoder was tuned for earlier weights."""
    row = state.best_row or {}
    if (state.rows or [row])[-1].get("all_blank"):
        yield "The output is still all blanks: raise epochs and repeat the command to continue training."
    if is_stale:
        yield "alpha and beta were tuned for earlier weights; run `minids tune` again"
    yield (
        f"done: WER {row['wer']:.1%}, CER {row['cer']:.1%} on the dev set after epoch {row['epoch']};"
        f" {format_duration(state.run_seconds)} of training; the model is {best}"
    )


def progress_bar(state: TrainingState, batches: int, epochs: int, visible: bool):
    """A bar over the batches of an epoch, shown only on a terminal."""
    from tqdm import tqdm

    description = f"epoch {state.epoch + 1}/{epochs}"
    disable = None if visible else True  # None: unless stderr is a terminal
    return tqdm(
        total=batches, initial=state.batch, desc=description, leave=False, disable=disable, dynamic_ncols=True
    )


def log(line: str) -> None:
    """Print a line to stderr, above the progress bar; training continues if nobody can read it."""
    import sys

    from tqdm import tqdm

    with suppress(OSError, ValueError, AttributeError):  # full or gone; closed; None
        tqdm.write("\n".join(map(printable, line.split("\n"))), file=sys.stderr)


def _count(number: int, noun: str) -> str:
    """1 epoch; 2 epochs."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def format_duration(seconds: float) -> str:
    """90 -> 1:30; 5400 -> 1:30:00."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
