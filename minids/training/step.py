"""One step of training: stochastic gradient descent with Nesterov's momentum on the CTC loss (§2, §5)."""

import numpy as np

from minids.data.batches import Batch
from minids.model import DeepSpeech
from minids.training.parallel import ProcessGroup, TimeSplit

SINGLE_PROCESS = ProcessGroup()


def step(
    network: DeepSpeech | TimeSplit,
    velocity,
    batch: Batch | None,
    dropout_keys,
    rate: float,
    momentum: float,
    grad_clip_norm: float,
    ranks: ProcessGroup = SINGLE_PROCESS,
) -> tuple[np.ndarray, float]:
    """One step of training: the losses (B,) and the norm of the gradient of their mean, before clipping.

    The objective is the mean loss of the utterances whose text is possible. A gradient whose norm is greater
    than `grad_clip_norm` is scaled down to it. When a loss or the gradient is not finite, nothing is changed,
    and the norm is NaN or inf.

    With several `ranks`, `batch` is this rank's share of the utterances, None if it has none of them; the
    mean is over all ranks (§3.1).
    """
    arrays = network.ops.arrays
    if batch:
        device_losses = network.loss_and_grad_on_device(
            batch.frames, batch.lengths, batch.labels, batch.label_lengths, dropout_keys
        )
    else:
        arrays.copy(np.zeros(network.flat_grads.shape, np.float32), network.flat_grads)
    ranks.sum_gradients(network.flat_grads, arrays)
    sum_norm = network.ops.norm(network.flat_grads)  # waits for a GPU, so copying the losses need not wait
    losses = arrays.to_host(device_losses).copy() if batch else np.zeros(0, np.float32)
    # The norm of rank 0: on another kind of GPU, the last bit may differ.
    scalars = np.isfinite(losses).sum(), np.isnan(losses).sum(), sum_norm if ranks.is_main else 0.0
    possible, invalid, sum_norm = map(float, ranks.allreduce_sum(np.array(scalars, np.float64)))
    norm = sum_norm / max(1.0, possible) if not invalid else np.nan
    if np.isfinite(norm):
        scale = min(1.0, grad_clip_norm / norm if norm else 1.0) / max(1.0, possible)
        network.ops.nesterov(network.flat_params, network.flat_grads, velocity, rate, momentum, scale)
    return losses, norm
