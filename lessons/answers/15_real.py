"""Our answers to lesson 15, and the usual mistakes."""

import numpy as np

from minids.training.schedule import learning_rate

__all__ = ["WRONG", "learning_rate", "limited"]


def limited(gradient, limit):
    norm = np.sqrt((gradient**2).sum())
    return gradient if norm <= limit else gradient * (limit / norm)


def cuts_each_number(gradient, limit):
    """Every element by itself: the direction changes."""
    return np.clip(gradient, -limit, limit)


def stretches_the_short(gradient, limit):
    """Always of length `limit`, also what was shorter."""
    norm = np.sqrt((gradient**2).sum())
    return gradient * (limit / norm) if norm else gradient


def forgets_the_root(gradient, limit):
    """The squared length in the place of the length."""
    norm = (gradient**2).sum()
    return gradient if norm <= limit else gradient * (limit / norm)


def becomes_a_unit(gradient, limit):
    """Of length 1 where it should be `limit`."""
    norm = np.sqrt((gradient**2).sum())
    return gradient if norm <= limit else gradient / norm


def by_the_greatest(gradient, limit):
    """The greatest number in the place of the length."""
    norm = abs(gradient).max()
    return gradient if norm <= limit else gradient * (limit / norm)


def in_its_place(gradient, limit):
    """Changes the array that was given: the next to look at it finds another."""
    norm = np.sqrt((gradient**2).sum())
    if norm > limit:
        gradient *= limit / norm
    return gradient


def halves_it(gradient, limit):
    """Half of it, and half of that, until it is short enough: shorter than it need be."""
    norm = np.sqrt((gradient**2).sum())
    while norm > limit:
        gradient, norm = gradient / 2, norm / 2
    return gradient


def falls_in_a_line(first, lr_decay, epoch):
    """Divided once, by epochs times the factor."""
    return first / (lr_decay * epoch) if epoch else first


def begins_too_early(first, lr_decay, epoch):
    """The first epoch is annealed already."""
    return first / lr_decay ** (epoch + 1)


def grows(first, lr_decay, epoch):
    """Multiplied."""
    return first * lr_decay**epoch


def over_the_epochs(first, lr_decay, epoch):
    """A smaller and smaller share each time."""
    return first / (1 + (lr_decay - 1) * epoch)


def anneals_once(first, lr_decay, epoch):
    """After the first epoch, and never again."""
    return first if epoch == 0 else first / lr_decay


WRONG = {
    "limited": [
        cuts_each_number,
        stretches_the_short,
        forgets_the_root,
        becomes_a_unit,
        by_the_greatest,
        in_its_place,
        halves_it,
    ],
    "learning_rate": [falls_in_a_line, begins_too_early, grows, over_the_epochs, anneals_once],
}
