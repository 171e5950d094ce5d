"""What a training says of itself: what it will need, before it starts, and how it goes."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minids._utils.errors import InputError
from minids.data.manifest import Utterance
from minids.metrics import Evaluation
from minids.model import ModelSettings
from minids.training import schedule
from minids.training.checkpoint import Progress
from minids.training.parallel import ProcessGroup
from minids.training.resources import available_memory, estimate, max_batch_size
from minids.training.settings import Settings, TrainSettings


def needs(
    settings: Settings,
    network: ModelSettings,
    train: list[Utterance],
    dev: list[Utterance],
    backend: str,
    ranks: ProcessGroup,
    sharing: ProcessGroup,
) -> str:
    """Data, weights, memory of all ranks on this machine, and time; `sharing` have parts of each batch.

    Raises InputError when there is too little memory for the longest recording.
    """
    features, t = settings.features, settings.train
    hours = sum(u.duration for u in train) / 3600
    longest = max(train + dev, key=lambda u: u.duration)
    frames, most = features.length(int(hours * 3600 * features.rate)), max_frames(settings, train + dev)
    needed = estimate(network, frames // ranks.size, most, -(-t.batch_size // sharing.size), backend)
    beside = 1 if backend == "cuda" else ranks.local_size  # who takes of the same memory
    memory = needed.memory * beside
    free = available_memory(backend)
    if free is not None and memory > free:
        fit = sharing.size * max_batch_size(network, most, free // beside, backend)
        raise InputError(
            f"{longest.path} ({longest.where}, {longest.duration:.0f} s) in a batch of {t.batch_size}"
            f" needs {memory / 1e9:.1f} GB, {free / 1e9:.1f} GB are free;"
            f" cut it, or lower batch_size{f' (to {fit})' if fit else ''} or hidden"
        )
    return (
        f"{len(train)} utterances, {hours:.2f} h; "
        f"{sum(math.prod(shape) for shape in network.shapes().values()) / 1e6:.2f} M weights; "
        f"about {memory / 1e9:.2f} GB of memory, at least {clock(max(1, needed.epoch_seconds))} "
        f"an epoch, {clock(max(1, needed.epoch_seconds * t.epochs))} for {t.epochs}"
    )


def max_frames(settings: Settings, utterances: list[Utterance]) -> int:
    """Of the longest recording, played as slowly as it may be."""
    features, longest = settings.features, max(u.duration for u in utterances)
    return features.length(int(longest * (1 + settings.train.max_speed_change) * features.rate))


def epoch_lines(row: dict[str, Any], epochs: int, trained: float, better: bool) -> Iterator[str]:
    """The row of an epoch, and in some of the first a word to whom nothing is heard yet."""
    left = (epochs - row["epoch"]) * trained / row["epoch"]
    yield (
        f"epoch {row['epoch']:3d}/{epochs}  loss {row['loss']:7.2f}  dev loss {row['dev_loss']:7.2f}"
        f"  WER {row['wer']:6.1%}  CER {row['cer']:6.1%}"
        f"  {row['frames_per_second'] / 1000:4.0f} k frames/s"
        f"  {clock(left)} left{'  best' if better else ''}"
    )
    if row["silent"] and row["epoch"] in (1, 3, 10, 30):
        yield (
            "   It hears nothing but blanks yet. That is how CTC begins: to say nothing is the first\n"
            "   thing that lowers the loss. Letters come when the loss falls again, on small sets after\n"
            "   1 to 10 epochs; if it stands still for longer, try half or twice the learning_rate."
        )


def metrics(
    settings: TrainSettings, p: Progress, dev_loss: float, scored: Evaluation, skipped: int
) -> dict[str, Any]:
    """The row of the epoch that `p` has the sums of."""
    return {
        "epoch": p.epoch + 1,
        "loss": p.loss / p.utterances,
        "dev_loss": dev_loss,
        "wer": scored.wer.rate,
        "cer": scored.cer.rate,
        "silent": all(not row.hypothesis for row in scored.results),
        "learning_rate": schedule.learning_rate(settings.learning_rate, settings.lr_decay, p.epoch),
        "momentum": schedule.momentum(settings.momentum, settings.momentum_ramp, p.epoch),
        "gradient_norm": float(np.median(p.norms)),
        "limited": float(np.mean(np.array(p.norms) > settings.grad_clip_norm)),
        "utterances": p.utterances,
        "skipped": skipped,
        "frames_per_second": p.frames / max(p.seconds, 1e-9),
        "seconds": p.seconds,
    }


def summary_lines(
    p: Progress, skipped: dict[str, tuple[list[str], int]], tuned: bool, best: Path
) -> Iterator[str]:
    """What was skipped (the reasons, of how many, by the name of the set), the best epoch, its file."""
    for name, (reasons, count) in skipped.items():
        for reason in reasons[:20]:
            yield f"skipped: {reason}"
        if reasons:
            yield (
                f"{len(reasons)} of {count} {name} utterances were skipped;"
                " `minids data doctor` names the remedy for each"
            )
    if p.rows[-1]["silent"]:
        yield "It is silent still: raise epochs and give the same command, it goes on from here."
    if tuned:
        yield "alpha and beta were tuned for earlier weights; run `minids tune` again"
    row = p.rows[p.best_epoch - 1]
    yield (
        f"done: WER {row['wer']:.1%}, CER {row['cer']:.1%} on the dev set after epoch {p.best_epoch};"
        f" {clock(p.trained)} of training; the model is {best}"
    )


def bar(p: Progress, batches: int, epochs: int, shown: bool):
    """The batches of an epoch, where a terminal sees them."""
    from tqdm import tqdm

    name, off = f"epoch {p.epoch + 1}/{epochs}", None if shown else True  # None: no terminal
    return tqdm(total=batches, initial=p.batch, desc=name, leave=False, disable=off, dynamic_ncols=True)


def say(line: str) -> None:
    """A line of progress, on stderr, above the bar."""
    import sys

    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


def clock(seconds: float) -> str:
    """90 -> 1:30; 5400 -> 1:30:00."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
