"""The answers to lesson 15, and common mistakes."""

import numpy as np


def best_epoch(error_rates):
    return int(np.nanargmin(error_rates))


def learning_rate(first, lr_decay, epoch):
    return first / lr_decay**epoch


def lets_nan_win(error_rates):
    """np.argmin treats NaN as the minimum."""
    return int(np.argmin(error_rates))


def prefers_the_latest(error_rates):
    """Of several equal rates the last."""
    return len(error_rates) - 1 - int(np.nanargmin(error_rates[::-1]))


def takes_the_highest(error_rates):
    """The epoch with the highest error rate."""
    return int(np.nanargmax(error_rates))


def counts_from_one(error_rates):
    """The first epoch is number 0."""
    return best_epoch(error_rates) + 1


def stops_at_the_first_rise(error_rates):
    """The last epoch before the rate rises, though it may fall again."""
    for epoch in range(1, len(error_rates)):
        if not error_rates[epoch] <= error_rates[epoch - 1]:
            return epoch - 1
    return len(error_rates) - 1


def returns_the_rate(error_rates):
    """The lowest rate instead of its epoch."""
    return float(np.nanmin(error_rates))


def falls_linearly(first, lr_decay, epoch):
    """Divided once, by epoch times the factor."""
    return first / (lr_decay * epoch) if epoch else first


def starts_too_early(first, lr_decay, epoch):
    """The first epoch already has a lower rate."""
    return first / lr_decay ** (epoch + 1)


def grows(first, lr_decay, epoch):
    """Multiplies instead of dividing."""
    return first * lr_decay**epoch


def decays_hyperbolically(first, lr_decay, epoch):
    """Proportional to 1 / (1 + c epoch): the factor gets closer and closer to 1."""
    return first / (1 + (lr_decay - 1) * epoch)


def decays_once(first, lr_decay, epoch):
    """Only after the first epoch."""
    return first if epoch == 0 else first / lr_decay


HINTS = {
    "best_epoch": [
        "np.argmin finds the first of several minima, but treats NaN as the minimum.",
        "There is a variant of np.argmin that ignores NaN.",
        "return int(np.nanargmin(error_rates))",
    ],
    "learning_rate": [
        "Epoch 0 has the rate `first`; each later one has the previous rate / lr_decay.",
        "Dividing n times by a factor is dividing by the factor to the power of n.",
        "return first / lr_decay**epoch",
    ],
}

WRONG = {
    "best_epoch": [
        lets_nan_win,
        prefers_the_latest,
        takes_the_highest,
        counts_from_one,
        stops_at_the_first_rise,
        returns_the_rate,
    ],
    "learning_rate": [falls_linearly, starts_too_early, grows, decays_hyperbolically, decays_once],
}
