"""Learning rate and momentum of each epoch (§5)."""

from minids.training.checkpoint import TrainingState
from minids.training.settings import TrainSettings


def current(settings: TrainSettings, state: TrainingState) -> tuple[float, float]:
    """(learning rate, momentum) of the current epoch; the rate was halved at each plateau."""
    rate = learning_rate(settings.learning_rate, settings.lr_decay, state.epoch) * 0.5**state.halvings
    return rate, momentum(settings.momentum, settings.momentum_ramp, state.epoch)


def learning_rate(first: float, lr_decay: float, epoch: int) -> float:
    """ε after `epoch` completed epochs: it is divided by `lr_decay` after each (§5)."""
    return first * lr_decay**-epoch


def momentum(last: float, ramp: int, epoch: int) -> float:
    """μ rises from 0.9 to `last` over the first `ramp` epochs, 1 - μ falling by a constant factor.

    The paper uses 0.99 throughout (§5), which makes a new network overshoot in its first steps. The velocity
    averages over about 1 / (1 - μ) steps.
    """
    fraction = 1.0 if epoch >= ramp else epoch / ramp
    first = min(0.9, last)
    return 1 - (1 - first) * ((1 - last) / (1 - first)) ** fraction
