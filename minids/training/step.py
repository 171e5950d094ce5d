"""One step of training: stochastic gradient descent with Nesterov's momentum on the CTC loss (§2, §5)."""

from typing import Any

import numpy as np

from minids.data.batches import Batch
from minids.model import DeepSpeech
from minids.training.parallel import ProcessGroup, TimeSplit

SINGLE_PROCESS = ProcessGroup()


class GradientSum:
    """The sum of the gradients of the batches that precede the last one of a step, and their losses."""

    def __init__(self, network: DeepSpeech | TimeSplit):
        gradients, self.losses = network.flat_grads, list[np.ndarray]()
        self.network, self.sum = network, network.ops.arrays.empty(gradients.shape, gradients.dtype)

    def add(self, batch: Batch | None, dropout_keys: np.ndarray) -> None:
        """Add the gradients of a batch, of which this rank may have no utterance."""
        if not batch:
            return
        network = self.network
        losses = _loss_and_grad(network, batch, dropout_keys)
        network.ops.axpby(1.0, network.flat_grads, 1.0 if self.losses else 0.0, self.sum)
        self.losses.append(network.ops.arrays.to_host(losses).copy())

    def move_to_gradients(self) -> list[np.ndarray]:
        """Add the sum to the network's gradients and start again; returns the losses (B,) of each batch."""
        losses, self.losses = self.losses, []
        if losses:
            self.network.ops.axpby(1.0, self.sum, 1.0, self.network.flat_grads)
        return losses


def step(
    network: DeepSpeech | TimeSplit,
    velocity,
    batch: Batch | None,
    dropout_keys,
    rate: float,
    momentum: float,
    grad_clip_norm: float,
    ranks: ProcessGroup = SINGLE_PROCESS,
    frozen: int = 0,
    earlier: GradientSum | None = None,
) -> tuple[np.ndarray, float]:
    """One step of training: the losses (B,) and the norm of the gradient of their mean, before clipping.

    The objective is the mean loss of the utterances whose text is possible. A gradient whose norm is greater
    than `grad_clip_norm` is scaled down to it. When a loss or the gradient is not finite, nothing is changed,
    and the norm is NaN or inf.

    With several `ranks`, `batch` is this rank's share of the utterances, None if it has none of them; the
    mean is over all ranks (§3.1), and over the batches `earlier` in this step, whose losses come first. The
    first `frozen` parameters do not change, and the norm is that of the others.
    """
    arrays = network.ops.arrays
    if batch:
        device_losses = _loss_and_grad(network, batch, dropout_keys)
    else:
        arrays.copy(np.zeros(network.flat_grads.shape, np.float32), network.flat_grads)
    earlier_losses = earlier.move_to_gradients() if earlier else []
    ranks.sum_gradients(network.flat_grads, arrays)
    params, grads, velocity = (
        arrays.view(flat, frozen, (flat.size - frozen,))
        for flat in (network.flat_params, network.flat_grads, velocity)
    )
    sum_norm = network.ops.norm(grads)  # waits for a GPU, so copying the losses need not wait
    last_losses = arrays.to_host(device_losses).copy() if batch else np.zeros(0, np.float32)
    losses = np.concatenate([*earlier_losses, last_losses])
    # The norm of rank 0: on another kind of GPU, the last bit may differ.
    scalars = np.isfinite(losses).sum(), np.isnan(losses).sum(), sum_norm if ranks.is_main else 0.0
    possible, invalid, sum_norm = map(float, ranks.allreduce_sum(np.array(scalars, np.float64)))
    norm = sum_norm / max(1.0, possible) if not invalid else np.nan
    if np.isfinite(norm):
        scale = min(1.0, grad_clip_norm / norm if norm else 1.0) / max(1.0, possible)
        network.ops.nesterov(params, grads, velocity, rate, momentum, scale)
    return losses, norm


def _loss_and_grad(network: DeepSpeech | TimeSplit, batch: Batch, dropout_keys: np.ndarray) -> Any:
    """The losses (B,) on the device, until the next call."""
    return network.loss_and_grad_on_device(
        batch.frames, batch.lengths, batch.labels, batch.label_lengths, dropout_keys
    )
