"""Readable prefix beam search (Hannun et al. 2014b, arXiv 1408.2873, algorithm 1; Deep Speech §2.2).

The probability of a text is the sum over all its alignments. Those of the first t frames are kept in two
sums, by how they end, because a letter after the same letter is a new one only if a blank separates them:

    p_b(ℓ)    the alignments of ℓ that end in a blank
    p_nb(ℓ)   those that end in ℓ's last symbol

Frame t turns every prefix ℓ in the beam into

    ℓ itself         p_b  = y(blank) (p_b + p_nb)       p_nb = y(last) p_nb
    ℓ followed by c  p_nb = y(c) (p_b + p_nb),  or y(c) p_b alone if c repeats ℓ's last symbol

Contributions to the same text are added. The search maximizes

    Q(c) = log P(c|x) + α log P_lm(c) + β words(c) + Σ weights of the hot words in c

so the beam keeps the prefixes with the largest log (p_b + p_nb) + α log P_lm + β words + hot, where these
count complete words; of a hot word that is not complete, as much of its weight counts as of its letters.

With a language model of words, or a lexicon, no text begins with a space or has two in a row. Frames that are
certain of such spaces would leave no text at all; only then, they count as blanks (`extra_spaces`).

`minids.BeamSearch` is the same search on flat arrays, some thousand times as fast; tests compare the two.
"""

import math
from typing import NamedTuple

import numpy as np

from minids.decode.lexicon import Labels, Language
from minids.text import BLANK

LOG_ZERO = -math.inf
MIN_SCORE = -1e300  # below every finite score


class PrefixProb(NamedTuple):
    """log p_b and log p_nb of a prefix."""

    blank: float
    nonblank: float

    @property
    def total(self) -> float:
        return log_add(self.blank, self.nonblank)


class TextScore(NamedTuple):
    """score = log_prob + α lm_log_prob + β words."""

    score: float
    log_prob: float
    lm_log_prob: float


def log_add(*logs: float) -> float:
    """log Σ exp, relative to the largest, so that nothing underflows."""
    highest = max(logs)
    if highest == LOG_ZERO:
        return LOG_ZERO
    return highest + math.log(sum(math.exp(log - highest) for log in logs))


def prefix_beam_search(
    log_probs: np.ndarray,
    language: Language,
    alpha: float,
    beta: float,
    beam_width: int,
    token_min_logp: float = -math.inf,
    beam_prune_logp: float = -math.inf,
    extra_spaces: bool = False,
) -> dict[Labels, TextScore]:
    """log_probs (T, K) -> {labels: (score, log P(labels|x) over the alignments followed, log P_lm)}."""

    def score(prefix: Labels, log_prob: float, finished: bool = False) -> TextScore:
        lm, words, hot = language.lm_score(language.spell(prefix), finished)
        return TextScore(log_prob + alpha * lm + beta * words + hot, log_prob, lm)

    def boundary(prefix: Labels) -> int | None:
        """The space, if another one after the prefix counts as a blank."""
        return language.space if extra_spaces and language.at_word_boundary(prefix) else None

    def can_append(prefix: Labels, c: int) -> bool:
        """Whether all letters of the symbol may follow."""
        before, after = language.spell(prefix), language.spell((*prefix, c))
        return all(language.can_append(after[:n], after[n]) for n in range(len(before), len(after)))

    beam: dict[Labels, PrefixProb] = {(): PrefixProb(0.0, LOG_ZERO)}
    discarded: dict[Labels, PrefixProb] = {}  # computed for the previous frame, but not kept
    for y in log_probs:
        lowest = max(y) + token_min_logp
        symbols = [c for c in range(len(y)) if c != BLANK and y[c] >= lowest and y[c] > LOG_ZERO]
        candidates: dict[Labels, PrefixProb] = {}
        for prefix, prob in beam.items():
            add(candidates, prefix, unextended(prob, prefix, y, boundary(prefix)))
            for c in symbols:
                if not can_append(prefix, c):
                    continue
                longer = (*prefix, c)
                repeats = prefix[-1:] == (c,)
                add(candidates, longer, PrefixProb(LOG_ZERO, y[c] + (prob.blank if repeats else prob.total)))
                if longer in discarded:  # its older alignments continue as if it had stayed in the beam
                    add(candidates, longer, unextended(discarded[longer], longer, y, boundary(longer)))
        scores = {prefix: score(prefix, prob.total).score for prefix, prob in candidates.items()}
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:beam_width]
        if not best:  # no text may contain the symbols that are possible here
            return {}
        cut = max(scores[best[0]] + beam_prune_logp, MIN_SCORE)
        beam = {prefix: candidates[prefix] for prefix in best if scores[prefix] >= cut}
        discarded = {prefix: prob for prefix, prob in candidates.items() if prefix not in beam}

    texts: dict[Labels, float] = {}
    for prefix, prob in beam.items():
        if language.word_level and not language.pieces and prefix and prefix[-1] == language.space:
            prefix = prefix[:-1]  # a space at the end does not change the text
        if language.is_complete(language.spell(prefix)):
            texts[prefix] = log_add(texts.get(prefix, LOG_ZERO), prob.total)
    return {prefix: score(prefix, log_prob, finished=True) for prefix, log_prob in texts.items()}


def unextended(prob: PrefixProb, prefix: Labels, y: np.ndarray, space: int | None = None) -> PrefixProb:
    """A frame that does not extend the prefix: a blank, its last symbol again, or an extra space."""
    if space is not None:
        return PrefixProb(log_add(y[BLANK], y[space]) + prob.total, LOG_ZERO)
    return PrefixProb(y[BLANK] + prob.total, y[prefix[-1]] + prob.nonblank if prefix else LOG_ZERO)


def add(candidates: dict[Labels, PrefixProb], prefix: Labels, prob: PrefixProb) -> None:
    """Add alignments to those of a prefix."""
    old = candidates.get(prefix, PrefixProb(LOG_ZERO, LOG_ZERO))
    candidates[prefix] = PrefixProb(log_add(old.blank, prob.blank), log_add(old.nonblank, prob.nonblank))
