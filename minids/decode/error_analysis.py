"""Why a beam search found the wrong text: did the search miss the right one, or did it like it less?

    search error   Q(true text) > Q(found text), both exact: a wider beam, or less pruning, would help
    model error    the found text is worth more: another network, language model, alpha or beta would help

And how near the right text was: the oracle's word error rate takes the best of each list of hypotheses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minids.decode.beam_search import BeamSearch, Hypothesis
from minids.metrics import UtteranceResult, Score, wer


class Wrong(NamedTuple):
    """A text that came out wrong; `truth` is None when the alphabet cannot write it."""

    name: str
    found: Hypothesis
    truth: Hypothesis | None

    @property
    def search_error(self) -> bool:
        return self.truth is not None and self.truth.score > self.found.score


@dataclass
class SearchReport:
    """Gathers what `Recognizer.recognize` found; of the rows of several pieces only the oracle is told."""

    search: BeamSearch
    n_best: int = 100
    wrong: list[Wrong] = field(default_factory=list)
    in_pieces: int = 0  # wrong ones of which no piece's own text is known
    _oracle: list[np.ndarray] = field(default_factory=list)

    def add(self, row: UtteranceResult, log_probs: Sequence[np.ndarray], hypotheses: Sequence[list[Hypothesis]]) -> None:
        """A row with the log_probs and hypotheses of its pieces."""
        if row.reference.split() == row.hypothesis.split():
            self._oracle.append(wer(row.reference, row.hypothesis).counts)
        elif len(log_probs) > 1:
            self.in_pieces += 1
            self._oracle.append(wer(row.reference, row.hypothesis).counts)
        else:
            counts = wer([row.reference] * len(hypotheses[0]), [h.text for h in hypotheses[0]]).counts
            self._oracle.append(counts[counts[:, :3].sum(axis=1).argmin()][None])
            self.wrong.append(
                Wrong(
                    row.name,
                    self.search.score(log_probs[0], hypotheses[0][0].text),
                    self._truth(row, log_probs[0]),
                )
            )

    def _truth(self, row: UtteranceResult, log_probs: np.ndarray) -> Hypothesis | None:
        if self.search.alphabet.missing(row.reference):
            return None
        return self.search.score(log_probs, row.reference)

    @property
    def oracle(self) -> Score:
        """Word errors when the best of each list is taken."""
        return Score.from_counts(np.concatenate(self._oracle))

    @property
    def search_errors(self) -> int:
        return sum(wrong.search_error for wrong in self.wrong)

    @property
    def model_errors(self) -> int:
        return len(self.wrong) - self.search_errors

    def __str__(self) -> str:
        search, errors, models = self.search, self.search_errors, self.model_errors
        name = search.lm.name if search.lm else "no language model"
        cut = f"; {self.in_pieces} in several pieces, not examined" if self.in_pieces else ""
        return (
            f"beam {search.beam_width}, {name}, alpha {search.alpha:g}, beta {search.beta:g}\n"
            f"search errors: {errors}{' (no pruning, or a wider beam, would help)' if errors else ''}\n"
            f"model errors: {models}{' (the wrong text is worth more than the right one)' if models else ''}"
            f"{cut}\n"
            f"oracle WER, the best of at most {self.n_best} texts each: {self.oracle}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which knows no infinity: what cannot be has None."""
        search = self.search
        return {
            "alpha": search.alpha,
            "beta": search.beta,
            "beam_width": search.beam_width,
            "search_errors": self.search_errors,
            "model_errors": self.model_errors,
            "in_pieces": self.in_pieces,
            "n_best": self.n_best,
            "oracle": self.oracle.to_dict(),
            "wrong": [
                {
                    "name": w.name,
                    "search_error": w.search_error,
                    "found": told(w.found),
                    "truth": w.truth and told(w.truth),
                }
                for w in self.wrong
            ],
        }


def told(hypothesis: Hypothesis) -> dict[str, Any]:
    """A hypothesis for JSON."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in hypothesis._asdict().items()
    }
