"""alpha and beta, by what they do to the word error rate of a development set (§2.2: by cross-validation).

The network runs once; its log_probs are decoded at every point (alpha, beta) of a grid, then at the
neighbors of the best one, at the grid's step, half and a quarter of it, until no neighbor is better. So the
range grows where the best lies on its edge. Of equals in word errors the one with fewer letter errors is
better, then the smaller alpha.

The best of many points is partly luck. So the same search is made FOLDS times, each without another part of
the utterances, and that part decoded with what the others chose: all parts together give the word error rate
to expect elsewhere.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from minids._utils.errors import InputError
from minids.decode.beam_search import BeamSearch
from minids.lm.ngram import NGram
from minids.metrics import Score, cer, wer
from minids.text import Alphabet

Point = tuple[float, float]  # alpha, beta

ALPHAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
BETAS = (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
GRID = tuple(product(ALPHAS, BETAS))
STEPS = ((0.5, 1.0), (0.25, 0.5), (0.125, 0.25))  # of alpha and beta: the grid's, and two finer
FOLDS = 5


@dataclass(frozen=True)
class Tuning:
    """The best alpha and beta, the (WER, CER) of every point that was tried, and the WER to expect elsewhere.

    `expected` is None of a single utterance.
    """

    alpha: float
    beta: float
    table: dict[Point, tuple[Score, Score]]
    expected: Score | None

    @property
    def wer(self) -> Score:
        return self.table[self.alpha, self.beta][0]

    @property
    def cer(self) -> Score:
        return self.table[self.alpha, self.beta][1]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "alpha": self.alpha,
            "beta": self.beta,
            "wer": self.wer.to_dict(),
            "cer": self.cer.to_dict(),
            "expected": self.expected and self.expected.to_dict(),
            "table": [
                {"alpha": alpha, "beta": beta, "wer": wer.rate, "cer": cer.rate}
                for (alpha, beta), (wer, cer) in sorted(self.table.items())
            ],
        }


def tune(
    log_probs: Sequence[np.ndarray],
    references: Sequence[str],
    lm: NGram,
    alphabet: Alphabet,
    beam_width: int = 500,
    tick: Callable[[int], object] = bool,
) -> Tuning:
    """log_probs, each (T, K), and what was said -> Tuning. `tick` is called with 1 after each point.

    Deterministic. Raises InputError when there is nothing to tune on, and as BeamSearch does.
    """
    if not any(text.split() for text in references):
        raise InputError("there are no words to tune on; give a manifest with texts")
    search = BeamSearch(alphabet, lm, beam_width=beam_width)
    table: dict[Point, tuple[Score, Score]] = {}

    def decoded(point: Point) -> tuple[Score, Score]:
        if point not in table:
            search.set_weights(*point)
            texts = [best.text for best, *_ in search.decode_batch(log_probs, n_best=1)]
            table[point] = wer(references, texts), cer(references, texts)
            tick(1)
        return table[point]

    def best(of: np.ndarray, start: Iterable[Point]) -> Point:
        """The point that is best for these utterances."""

        def order(point: Point) -> tuple:
            words, letters = (int(score.counts[of, :3].sum()) for score in decoded(point))
            return words, letters, point[0], abs(point[1]), point[1]

        return lowest(order, start)

    everything = np.arange(len(references))
    unseen = []
    for fold in range(min(FOLDS, len(references))):
        apart = everything % FOLDS == fold
        if not apart.all():
            unseen.append(decoded(best(everything[~apart], GRID))[0].counts[apart])
    chosen = best(everything, {*GRID, *table})  # the parts may have come upon a better one
    return Tuning(*chosen, table, Score.from_counts(np.concatenate(unseen)) if unseen else None)


def lowest(order: Callable[[Point], tuple], start: Iterable[Point] = GRID) -> Point:
    """The point of least order: of those, then of its neighbors as long as one is lower, ever nearer."""
    point = min(start, key=order)
    for a, b in STEPS:
        while (better := min(around(point, a, b), key=order)) != point:
            point = better
    return point


def around(point: Point, a: float, b: float) -> list[Point]:
    """The point and its eight neighbors, as far as alpha is not negative."""
    alpha, beta = point
    return [(alpha + i * a, beta + j * b) for i in (-1, 0, 1) for j in (-1, 0, 1) if alpha + i * a >= 0]
