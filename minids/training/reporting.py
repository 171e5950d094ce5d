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
    T0 = max_frames(settings, train + dev)
    batch_size = -(-t.batch_size // batch_ranks.size)
    processes = ranks.ranks_per_gpu if backend.name == "cuda" else ranks.local_size  # that share it
    needed, free = processes * memory(model, T0, batch_size, backend.name), available_memory(backend)
    if free is not None and needed > free:
        fitting = batch_ranks.size * max_batch_size(model, T0, free // processes, backend.name)
        raise InputError(
            f"{longest.path} ({longest.location}, {longest.duration:.0f} s) in a batch of {t.batch_size}"
            f" needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free;"
            f" split the recording, or lower batch_size{f' (to {fitting})' if fitting else ''} or hidden"
        )
    weights = sum(math.prod(shape) for shape in model.shapes().values())
    return (
        f"{_count(len(train), 'utterance')}, {hours:.2f} h; {weights / 1e6:.2f} M weights; "
        f"about {needed / 1e9:.2f} GB of memory; {_count(t.epochs, 'epoch')}"
    )


def max_frames(settings: Settings, utterances: list[Utterance]) -> int:
    """Frames of the longest recording at the lowest speed that augmentation may choose."""
    features, seconds = settings.features, max(u.duration for u in _loaded(settings, utterances))
    return features.length(int(seconds * (1 + settings.augment.max_speed_change) * features.rate))


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
    return {
        "epoch": state.epoch + 1,
        "loss": state.loss_sum / state.utterances,
        "dev_loss": dev_loss,
        "wer": _rate(evaluation.wer),
        "cer": _rate(evaluation.cer),
        "all_blank": all(not result.hypothesis for result in evaluation.results),
        "learning_rate": schedule.learning_rate(settings.learning_rate, settings.lr_decay, state.epoch),
        "momentum": schedule.momentum(settings.momentum, settings.momentum_ramp, state.epoch),
        "gradient_norm": float(np.median(norms)),
        "clipped_steps": float(np.mean(norms > settings.grad_clip_norm)),
        "utterances": state.utterances,
        "skipped": skipped,
        "frames_per_second": state.frames / max(state.epoch_seconds, 1e-9),
        "seconds": state.epoch_seconds,
    }


def _rate(score: Score) -> float:
    """The error rate, or the number of errors if all references are empty: JSON has no infinity."""
    return score.errors / max(1, score.reference_length)


def epoch_lines(
    rows: list[dict[str, Any]], epochs: int, total_seconds: float, is_best: bool
) -> Iterator[str]:
    """The metrics of the last epoch of `rows`; once in a run, why outputs are all blank."""
    row = rows[-1]
    remaining = (epochs - row["epoch"]) * total_seconds / row["epoch"]
    yield (
        f"epoch {row['epoch']:3d}/{epochs}  loss {row['loss']:7.2f}  dev loss {row['dev_loss']:7.2f}"
        f"  WER {row['wer']:6.1%}  CER {row['cer']:6.1%}"
        f"  {row['frames_per_second'] / 1000:4.0f} k frames/s"
        f"  {format_duration(remaining)} left{'  best' if is_best else ''}"
    )
    if row["all_blank"] and not any(earlier["all_blank"] for earlier in rows[:-1]):
        yield (
            "   The output is still all blanks. This is normal at the start: with CTC, blanks everywhere\n"
            "   are the first thing that lowers the loss. Letters appear when the loss falls again, on\n"
            "   small data sets after 100 to 1000 batches. If it stays flat for longer, try half or twice\n"
            "   the learning_rate."
        )


def summary_lines(
    state: TrainingState, skipped: dict[str, tuple[dict[int, str], int]], is_stale: bool, best: Path
) -> Iterator[str]:
    """The skipped utterances, as (reason of each, size of the set) per set, then the best epoch and its file.

    `is_stale`: whether the decoder was tuned for earlier weights.
    """
    for name, (reasons, total) in skipped.items():
        for reason in list(dict.fromkeys(reasons.values()))[:20]:
            yield f"skipped: {reason}"
        if reasons:
            yield (
                f"{len(reasons)} of {total} {name} utterances skipped;"
                " `minids data doctor` says how to fix each"
            )
    if state.rows[-1]["all_blank"]:
        yield "The output is still all blanks: raise epochs and repeat the command to continue training."
    if is_stale:
        yield "alpha and beta were tuned for earlier weights; run `minids tune` again"
    row = state.rows[state.best_epoch - 1]
    yield (
        f"done: WER {row['wer']:.1%}, CER {row['cer']:.1%} on the dev set after epoch {state.best_epoch};"
        f" {format_duration(state.total_seconds)} of training; the model is {best}"
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
