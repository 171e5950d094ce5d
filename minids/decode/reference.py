"""Prefix beam search as one reads it (Hannun et al. 2014b, arXiv 1408.2873, algorithm 1; Deep Speech §2.2).

The probability of a text is the sum over all its alignments. Those of the first t frames are kept apart by
how they end, because a letter after itself is a new letter only behind a blank:

    p_b(ℓ)    the alignments of ℓ that end in a blank
    p_nb(ℓ)   those that end in ℓ's last symbol

and frame t makes of every prefix ℓ in the beam

    ℓ itself    p_b  = y(blank) (p_b + p_nb)           p_nb = y(last) p_nb
    ℓ with c    p_nb = y(c) (p_b + p_nb),  y(c) p_b alone when c repeats ℓ's last symbol

Contributions to the same text are added, never replaced. What is searched for is the greatest

    Q(c) = log P(c|x) + α log P_lm(c) + β words(c)

so the prefixes that stay are those of greatest log (p_b + p_nb) + α log P_lm + β words of what is finished.

`minids.BeamSearch` is the same search on flat arrays, some thousand times as fast; tests hold them together.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minids.decode.lexicon import Language
from minids.text import BLANK

NOTHING = -math.inf  # log 0
LEAST = -1e300  # any log of something

Labels = tuple[int, ...]


class Mass(NamedTuple):
    """log p_b and log p_nb of a prefix."""

    blank: float
    letter: float

    @property
    def total(self) -> float:
        return add(self.blank, self.letter)


class Found(NamedTuple):
    """score = log_prob + α lm_log_prob + β words."""

    score: float
    log_prob: float
    lm_log_prob: float


def add(*logs: float) -> float:
    """log Σ exp, counted from the greatest so that nothing underflows."""
    highest = max(logs)
    if highest == NOTHING:
        return NOTHING
    return highest + math.log(sum(math.exp(log - highest) for log in logs))


def prefix_beam_search(
    log_probs: np.ndarray,
    language: Language,
    alpha: float,
    beta: float,
    beam_width: int,
    token_min_logp: float = math.inf,
    beam_prune_logp: float = math.inf,
) -> dict[Labels, Found]:
    """log_probs (T, K) -> {labels: (score, log P(labels|x) as far as the beam has seen it, log P_lm)}."""

    def weigh(prefix: Labels, log_prob: float, finished: bool = False) -> Found:
        lm, words = language.worth(prefix, finished)
        return Found(log_prob + alpha * lm + beta * words, log_prob, lm)

    beam: dict[Labels, Mass] = {(): Mass(0.0, NOTHING)}
    discarded: dict[Labels, Mass] = {}  # computed for the frame before, but not good enough to stay
    for y in log_probs:
        likely = max(y) - token_min_logp
        symbols = [c for c in range(len(y)) if c != BLANK and y[c] >= likely and y[c] > NOTHING]
        following: dict[Labels, Mass] = {}
        for prefix, mass in beam.items():
            grow(following, prefix, stay(mass, prefix, y))
            for c in symbols:
                if not language.allows(prefix, c):
                    continue
                longer = (*prefix, c)
                repeats = prefix[-1:] == (c,)
                grow(following, longer, Mass(NOTHING, y[c] + (mass.blank if repeats else mass.total)))
                if longer in discarded:  # its older alignments go on as if it had never left the beam
                    grow(following, longer, stay(discarded[longer], longer, y))
        scores = {prefix: weigh(prefix, mass.total).score for prefix, mass in following.items()}
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:beam_width]
        if not best:  # a lexicon has no word for what is sure to have been said
            return {}
        least = max(scores[best[0]] - beam_prune_logp, LEAST)
        beam = {prefix: following[prefix] for prefix in best if scores[prefix] >= least}
        discarded = {prefix: mass for prefix, mass in following.items() if prefix not in beam}

    texts: dict[Labels, float] = {}
    for prefix, mass in beam.items():
        if language.by_words and prefix and prefix[-1] == language.space:
            prefix = prefix[:-1]  # the same text, but for its end
        if language.may_end(prefix):
            texts[prefix] = add(texts.get(prefix, NOTHING), mass.total)
    return {prefix: weigh(prefix, log_prob, finished=True) for prefix, log_prob in texts.items()}


def stay(mass: Mass, prefix: Sequence[int], y: np.ndarray) -> Mass:
    """A frame in which the prefix does not grow: a blank, or its last symbol held."""
    return Mass(y[BLANK] + mass.total, y[prefix[-1]] + mass.letter if prefix else NOTHING)


def grow(following: dict[Labels, Mass], prefix: Labels, mass: Mass) -> None:
    """Add alignments to those the prefix has."""
    old = following.get(prefix, Mass(NOTHING, NOTHING))
    following[prefix] = Mass(add(old.blank, mass.blank), add(old.letter, mass.letter))
