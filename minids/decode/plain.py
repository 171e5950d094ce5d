"""Prefix beam search as one reads it (Hannun et al. 2014b, arXiv 1408.2873, algorithm 1; Deep Speech §2.2).

The probability of a text is the sum over all its alignments. Those of the first t frames are kept apart by how
they end, because a letter after itself is a new letter only behind a blank:

    p_b(ℓ)    the alignments of ℓ that end in a blank
    p_nb(ℓ)   those that end in ℓ's last symbol

and frame t makes of every prefix ℓ in the beam

    ℓ itself    p_b  = y(blank) (p_b + p_nb)           p_nb = y(last) p_nb
    ℓ with c    p_nb = y(c) (p_b + p_nb),  y(c) p_b alone when c repeats ℓ's last symbol

Contributions to the same text are added, never replaced. What is searched for is the greatest

    Q(c) = log P(c|x) + α log P_lm(c) + β words(c)

so the prefixes that stay are those of greatest log (p_b + p_nb) + α log P_lm + β words of what is finished.

`minids.BeamSearch` is the same search on flat arrays, a few thousand times as fast; a test holds the two together.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minids.decode.lexicon import Language
from minids.text import BLANK

NOTHING = -math.inf  # log 0


class Mass(NamedTuple):
    """log p_b and log p_nb of a prefix."""

    blank: float
    letter: float

    @property
    def total(self) -> float:
        return add(self.blank, self.letter)


def add(*logs: float) -> float:
    """log Σ exp, counted from the greatest so that nothing underflows."""
    highest = max(logs)
    if highest == NOTHING:
        return NOTHING
    return highest + math.log(sum(math.exp(log - highest) for log in logs))


def prefix_beam_search(
    log_probs: np.ndarray,
    language: Language,
    beam_width: int,
    symbol_threshold: float = math.inf,
    beam_threshold: float = math.inf,
) -> dict[tuple[int, ...], float]:
    """log_probs (T, K) -> {labels: log P(labels|x) as far as the beam has seen it} of the last beam."""
    beam = {(): Mass(0.0, NOTHING)}
    discarded: dict[tuple[int, ...], Mass] = {}  # computed for the frame before, but not good enough to stay
    for y in log_probs:
        symbols = [
            c for c in range(len(y)) if c != BLANK and y[c] >= max(y) - symbol_threshold and y[c] > NOTHING
        ]
        following: dict[tuple[int, ...], Mass] = {}
        for prefix, mass in beam.items():
            grow(following, prefix, stay(mass, prefix, y))
            for c in symbols:
                if not language.allows(prefix, c):
                    continue
                longer = (*prefix, c)
                repeats = prefix[-1:] == (c,)
                grow(following, longer, Mass(NOTHING, y[c] + (mass.blank if repeats else mass.total)))
                if longer in discarded:  # and not in the beam: its older alignments go on as if it had been
                    grow(following, longer, stay(discarded[longer], longer, y))
        worth = {prefix: mass.total + language.worth(prefix) for prefix, mass in following.items()}
        ranked = sorted(worth, key=worth.__getitem__, reverse=True)[:beam_width]
        beam = {
            p: following[p]
            for p in ranked
            if worth[p] >= worth[ranked[0]] - beam_threshold and worth[p] > NOTHING
        }
        discarded = {prefix: mass for prefix, mass in following.items() if prefix not in beam}
    return {prefix: mass.total for prefix, mass in beam.items()}


def stay(mass: Mass, prefix: Sequence[int], y: np.ndarray) -> Mass:
    """A frame in which the prefix does not grow: a blank, or its last symbol held."""
    return Mass(y[BLANK] + mass.total, y[prefix[-1]] + mass.letter if prefix else NOTHING)


def grow(following: dict[tuple[int, ...], Mass], prefix: tuple[int, ...], mass: Mass) -> None:
    """Add alignments to those the prefix has."""
    old = following.get(prefix, Mass(NOTHING, NOTHING))
    following[prefix] = Mass(add(old.blank, mass.blank), add(old.letter, mass.letter))
