"""How the learning rate and the momentum move during training (§5)."""


def learning_rate(first: float, lr_decay: float, epoch: int) -> float:
    """ε after `epoch` whole epochs: divided by a constant factor after each (§5)."""
    return first * lr_decay**-epoch


def momentum(last: float, ramp: int, epoch: int) -> float:
    """μ: from 0.9 to `last`, 1 - μ falling by a constant factor over the first `ramp` epochs.

    The paper uses 0.99 (§5). From the first step that carries a fresh network past where it should go. What
    grows evenly is 1 / (1 - μ), the steps that are remembered.
    """
    done = 1.0 if epoch >= ramp else epoch / ramp
    start = min(0.9, last)
    return 1 - (1 - start) * ((1 - last) / (1 - start)) ** done
