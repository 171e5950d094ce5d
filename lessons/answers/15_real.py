"""Our answers to lesson 15, and the usual mistakes."""

import numpy as np

from minids.schedule import learning_rate

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


def falls_in_a_line(first, anneal, epoch):
    """Divided once, by epochs times the factor."""
    return first / (anneal * epoch) if epoch else first


def begins_too_early(first, anneal, epoch):
    """The first epoch is annealed already."""
    return first / anneal ** (epoch + 1)


def grows(first, anneal, epoch):
    """Multiplied."""
    return first * anneal**epoch


def anneals_once(first, anneal, epoch):
    """After the first epoch, and never again."""
    return first if epoch == 0 else first / anneal


WRONG = {
    "limited": [cuts_each_number, stretches_the_short, forgets_the_root, becomes_a_unit],
    "learning_rate": [falls_in_a_line, begins_too_early, grows, anneals_once],
}
