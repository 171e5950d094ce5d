"""A learning rate from a short sweep (`minids train SETTINGS.toml --find-rate`), after Smith (2017).

The rate of each step is 10^0.1 times that of the step before, at the momentum μ₀ of the first epoch. Training
has diverged where the median loss of five steps is worse than guessing, log K nats per frame, and twice that
of the first five. 1/50 of that rate is suggested, times (1 - μ) / (1 - μ₀), since a velocity adds up about
1 / (1 - μ) steps. Suggested, and tuned by training: AN4 0.0006, 0.0003; FSDD 0.005, 0.004; fine-tuning
0.00013, 0.0001; libri5 0.00006, 0.0003.
"""

import math
import time
from contextlib import closing, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from minids._utils.errors import InputError
from minids._utils.files import atomic_write
from minids.training import schedule
from minids.training.checkpoint import RunFolder
from minids.training.trainer import Trainer

FIRST, FACTOR, MAX_STEPS = 1e-6, 10**0.1, 80
MEDIAN = 5  # steps
SAFETY = 50


class RateSearch(NamedTuple):
    """The suggested learning rate for the settings' momentum; rate and loss (nats per frame) of each step."""

    rate: float
    rates: list[float]
    losses: list[float]
    seconds: float
    picture: Path


def find_rate(trainer: Trainer) -> RateSearch:
    """Suggest a learning rate for a new run, and draw learning_rate.png in the folder of a Trainer.

    No checkpoint is read or written. Each step has one batch, also where `accumulate` is above 1. The
    trainer is worn out afterwards: make another one to train. Raises InputError when no rate makes the loss
    diverge.
    """
    start, t, folder = time.monotonic(), trainer.settings.train, trainer.folder
    momentum = schedule.momentum(t.momentum, t.momentum_ramp, 0)
    with folder.locked() if trainer.ranks.is_main else nullcontext(), TemporaryDirectory() as empty:
        trainer.ranks.allgather("the folder is locked")
        trainer.folder = RunFolder(Path(empty))
        trainer.prepare()
        rates, losses = _sweep(trainer, momentum)
        rate, picture = (
            rates[-1] / SAFETY * (1 - t.momentum) / (1 - momentum),
            folder.path / "learning_rate.png",
        )
        title = f"suggested: {rate:.2g} with momentum {t.momentum:g}"
        if trainer.ranks.is_main:
            from minids.plot.training import rate_search

            with atomic_write(picture) as file:
                figure = rate_search(rates, losses, MEDIAN, momentum, title)
                figure.savefig(file, format="png", dpi=150)
    seconds = time.monotonic() - start
    trainer.log(
        f"with momentum {momentum:g}, the loss diverges at a learning rate of {rates[-1]:.1g}:"
        f" {len(rates)} steps, {seconds:.0f} s, drawn in {picture}\n{title}"
    )
    return RateSearch(rate, rates, losses, seconds, picture)


def _sweep(trainer: Trainer, momentum: float) -> tuple[list[float], list[float]]:
    """The rates and losses of all steps until the loss diverges; the epoch repeats until then."""
    rates, losses = list[float](), list[float]()
    guessing = math.log(trainer.model.settings.characters) / trainer.model.settings.stride
    while True:
        before = len(rates)
        with closing(trainer.batches.epoch(0)) as batches:
            for batch in batches:
                rate = FIRST * FACTOR ** len(rates)
                step_losses, norm = trainer.step(batch, rate, momentum)
                if len(rates) < 2 * MEDIAN:
                    trainer.check_finite(batch.indices if batch else [], step_losses, norm)
                possible = np.isfinite(step_losses)
                sums = [step_losses[possible].sum(), batch.lengths[possible].sum() if batch else 0]
                loss, frames = trainer.batch_ranks.allreduce_sum(np.array(sums, np.float64))
                if frames:
                    rates.append(rate)
                    losses.append(float(loss / frames))
                worst = max(guessing, 2 * np.median(losses[:MEDIAN] or 0))
                diverged = len(rates) >= 2 * MEDIAN and np.median(losses[-MEDIAN:]) > worst
                if diverged or not np.isfinite(norm):
                    return rates, losses
                if len(rates) == MAX_STEPS:
                    raise InputError(f"the loss does not diverge up to {rate:.0f}; raise grad_clip_norm")
        if len(rates) == before:
            raise trainer.nothing_usable("train", trainer.batches)
