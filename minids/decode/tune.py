"""Choose alpha and beta by the word error rate on a development set (§2.2).

The network runs once; its log_probs are decoded at every point (alpha, beta) of a grid, then at the neighbors
of the best point at the step of the grid, at half of it and at a quarter, until no neighbor is better. The
range therefore grows if the best point lies on its edge. Among points with equal word errors, the one with
fewer character errors is better, then the one with the smaller alpha.

The best of many points is partly luck. The search is therefore repeated FOLDS times, each time without one
part of the utterances, and that part is scored at the point that the others chose: all parts together give an
unbiased estimate of the word error rate on new utterances.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from minids._utils.errors import InputError
from minids.decode.beam_search import MAX_ALPHA, MAX_BETA, BeamSearch
from minids.lm.ngram import NGram
from minids.metrics import Score, cer, wer
from minids.text import Alphabet

Point = tuple[float, float]  # alpha, beta

ALPHAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
BETAS = (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
GRID = tuple(product(ALPHAS, BETAS))
STEPS = ((0.5, 1.0), (0.25, 0.5), (0.125, 0.25))  # of alpha and beta: the grid's, and two finer ones
FOLDS = 5


@dataclass(frozen=True)
class Tuning:
    """The best alpha and beta, the (WER, CER) of every point tried, and the cross-validated WER.

    `expected` is the WER to expect on new utterances; None if there is only one utterance.
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
    progress: Callable[[int], object] | None = None,
) -> Tuning:
    """log_probs, each (T, K), and their reference texts -> Tuning. Calls progress(1) after each point.

    Deterministic. Raises InputError if the references have no words, and as BeamSearch does.
    """
    if len(log_probs) != len(references):
        raise InputError(f"{len(log_probs)} log_probs, but {len(references)} references")
    if not any(text.split() for text in references):
        raise InputError("the references have no words to tune on; give a manifest with texts")
    search = BeamSearch(alphabet, lm, beam_width=beam_width)
    table: dict[Point, tuple[Score, Score]] = {}

    def evaluate(point: Point) -> tuple[Score, Score]:
        if point not in table:
            search.set_weights(*point)
            texts = [best.text for best, *_ in search.decode_batch(log_probs, n_best=1)]
            table[point] = wer(references, texts), cer(references, texts)
            if progress:
                progress(1)
        return table[point]

    def best_point(utterances: np.ndarray, start: Iterable[Point]) -> Point:
        """The best point for these utterances."""

        def cost(point: Point) -> tuple:
            words, characters = (int(score.counts[utterances, :3].sum()) for score in evaluate(point))
            return words, characters, point[0], abs(point[1]), point[1]

        return minimize(cost, start)

    indices = np.arange(len(references))
    held_out_counts = []
    for fold in range(min(FOLDS, len(references))):
        held_out = indices % FOLDS == fold
        if not held_out.all():
            words, _ = evaluate(best_point(indices[~held_out], GRID))
            held_out_counts.append(words.counts[held_out])
    alpha, beta = best_point(indices, {*GRID, *table})  # a fold may have found a better point
    expected = Score.from_counts(np.concatenate(held_out_counts)) if held_out_counts else None
    return Tuning(alpha, beta, table, expected)


def minimize(cost: Callable[[Point], tuple], start: Iterable[Point] = GRID) -> Point:
    """The best starting point, then its best neighbors, at ever smaller steps, until none has lower cost."""
    point = min(start, key=cost)
    for alpha_step, beta_step in STEPS:
        while (better := min(neighbors(point, alpha_step, beta_step), key=cost)) != point:
            point = better
    return point


def neighbors(point: Point, alpha_step: float, beta_step: float) -> list[Point]:
    """The point and its eight neighbors, without those outside the range of BeamSearch."""
    alpha, beta = point
    steps = product((-1, 0, 1), repeat=2)
    points = [(alpha + i * alpha_step, beta + j * beta_step) for i, j in steps]
    return [(a, b) for a, b in points if 0 <= a <= MAX_ALPHA and abs(b) <= MAX_BETA]
