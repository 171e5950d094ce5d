"""Search errors and model errors: why a beam search returned a wrong text.

    search error   Q(reference) > Q(hypothesis), both exact: the search missed the reference; a wider beam, or
                   less pruning, would help
    model error    the hypothesis scores higher: another network, language model, alpha or beta would help

The oracle word error rate, of the best text in each list of hypotheses, shows how close the search came.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minids.decode.beam_search import BeamSearch, Hypothesis
from minids.decode.lexicon import LanguageMode
from minids.metrics import Score, UtteranceResult, wer


class DecodingError(NamedTuple):
    """A wrong text with its exact score; `reference` is None if the alphabet cannot write it."""

    name: str
    hypothesis: Hypothesis
    reference: Hypothesis | None

    @property
    def is_search_error(self) -> bool:
        return self.reference is not None and self.reference.score > self.hypothesis.score


@dataclass
class ErrorAnalysis:
    """Collects the results of `Recognizer.recognize`.

    A recording that was decoded in several segments has no single hypothesis to score: it only enters the
    oracle, with its errors.
    """

    search: BeamSearch
    n_best: int = 100
    errors: list[DecodingError] = field(default_factory=list)
    segmented: int = 0  # wrong texts that were decoded in several segments
    _oracle_counts: list[np.ndarray] = field(default_factory=list)

    def add(
        self, result: UtteranceResult, log_probs: Sequence[np.ndarray], hypotheses: Sequence[list[Hypothesis]]
    ) -> None:
        """Add a result with the log_probs and hypotheses of its segments."""
        correct = result.reference.split() == result.hypothesis.split()
        if correct or len(log_probs) > 1:
            self.segmented += not correct
            self._oracle_counts.append(wer(result.reference, result.hypothesis).counts)
            return
        counts = wer([result.reference] * len(hypotheses[0]), [h.text for h in hypotheses[0]]).counts
        self._oracle_counts.append(counts[counts[:, :3].sum(axis=1).argmin()][None])
        reference = None
        if not self.search.alphabet.missing(result.reference):
            reference = self.search.score(log_probs[0], result.reference)
        hypothesis = self.search.score(log_probs[0], hypotheses[0][0].labels)
        self.errors.append(DecodingError(result.name, hypothesis, reference))

    @property
    def oracle(self) -> Score:
        """The word errors of the best text in each list."""
        return Score.from_counts(np.concatenate(self._oracle_counts))

    @property
    def search_errors(self) -> int:
        return sum(error.is_search_error for error in self.errors)

    @property
    def model_errors(self) -> int:
        return len(self.errors) - self.search_errors

    def __str__(self) -> str:
        search, searches, models = self.search, self.search_errors, self.model_errors
        name = search.lm.name if search.lm else "no language model"
        language = search.language
        if language.mode == LanguageMode.LEXICON:
            name += f", lexicon of {len(language.words):,} words"
        if language.hot_words:
            name += f", {len(language.hot_words):,} hot words"
        segments = f"; {self.segmented} in several segments were not analyzed" if self.segmented else ""
        return (
            f"beam {search.beam_width}, {name}, alpha {search.alpha:g}, beta {search.beta:g}\n"
            f"search errors: {searches}{' (less pruning, or a wider beam, would help)' if searches else ''}\n"
            f"model errors: {models}{' (the wrong text has the higher score)' if models else ''}{segments}\n"
            f"oracle WER, the best of up to {self.n_best} texts for each recording: {self.oracle}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **{name: getattr(self.search, name) for name in ("alpha", "beta", "beam_width")},
            **{n: getattr(self, n) for n in ("search_errors", "model_errors", "segmented", "n_best")},
            "oracle": self.oracle.to_dict(),
            "errors": [
                {
                    "name": error.name,
                    "search_error": error.is_search_error,
                    "hypothesis": error.hypothesis.to_dict(),
                    "reference": error.reference and error.reference.to_dict(),
                }
                for error in self.errors
            ],
        }
