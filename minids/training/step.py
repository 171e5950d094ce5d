"""One step of training: stochastic gradient descent with Nesterov's momentum on the CTC loss (§2, §5)."""

import numpy as np

from minids.data.batches import Batch
from minids.model import DeepSpeech
from minids.training.parallel import ProcessGroup, TimeSplit

SINGLE_PROCESS = ProcessGroup()


def step(
    model: DeepSpeech | TimeSplit,
    velocity,
    batch: Batch | None,
    keys,
    rate: float,
    momentum: float,
    limit: float,
    ranks: ProcessGroup = SINGLE_PROCESS,
) -> tuple[np.ndarray, float]:
    """One step of training: the losses (B,) and the norm of the gradient of their mean, before the limit.

    The objective is the mean loss of the utterances whose text is possible. A gradient longer than `limit` is
    shortened to it. When a loss or the gradient is not a number, nothing is changed, and the norm is none.

    Of several `ranks` each has its share of the utterances as the `batch`, None if it has none of them; the
    mean is over all (§3.1).
    """
    arrays = model.ops.arrays
    if batch:
        there = model.loss_and_grad_on_device(
            batch.frames, batch.lengths, batch.labels, batch.label_lengths, keys
        )
    else:
        arrays.copy(np.zeros(model.flat_grads.shape, np.float32), model.flat_grads)
    if ranks.size > 1:
        arrays.copy(ranks.allreduce_sum(arrays.to_host(model.flat_grads)), model.flat_grads)
    length = model.ops.norm(model.flat_grads)  # here a GPU is waited for; its losses have long been there
    losses = arrays.to_host(there).copy() if batch else np.zeros(0, np.float32)
    possible, bad = ranks.allreduce_sum(np.array([np.isfinite(losses).sum(), np.isnan(losses).sum()]))
    norm = length / max(1, int(possible)) if not bad else np.nan
    if np.isfinite(norm):
        scale = min(1.0, limit / norm if norm else 1.0) / max(1, int(possible))
        model.ops.nesterov(model.flat_params, model.flat_grads, velocity, rate, momentum, scale)
    return losses, norm
