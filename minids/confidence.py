"""How far to trust a result: the probability that a word is right, and speech unlike what the model learned.

    P(right) = σ(w_0 + w · e),  evidence e = (logit of the probability of the word's least probable letter,
                                              logit of the word's posterior among the N best texts,
                                              mean of sqrt(-log max_k y_t(k)) over the frames)

This is logistic regression, fitted on a development set for one decoder: a model has weights for greedy
decoding and for its tuned beam search, and none for another language model. The doubt of speech is the mean
of sqrt(-log p) over the letters of the best path, with p a letter's highest probability. Speech is unlike
what the model learned if its doubt exceeds that of 99 % of the development set. Neither is in the paper.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minids._utils.errors import InputError
from minids.decode.beam_search import Hypothesis
from minids.decode.greedy import greedy
from minids.decode.path import Word
from minids.metrics import CORRECT, align

N_BEST = 50  # texts for the posterior of a word
SCALE = 0.25  # of their scores: frames are not independent, so that the difference of two scores is too large
EVIDENCE = 3
MIN_PROB = 1e-4  # logits of smaller and larger probabilities are equal
RIDGE = 1.0  # of the standardized weights, against separable data
MIN_WORDS = 10  # right ones, and wrong ones: fewer calibrate nothing
MIN_UTTERANCES = 20
QUANTILE = 0.99  # of the doubts of the development set

# What a result was made of: its words, the search's hypotheses (none if greedy) and log_probs (T, K).
Evidence = tuple[Sequence[Word], Sequence[Hypothesis], np.ndarray]


class Confidence(NamedTuple):
    """The calibration of a model with its decoder; None for what is not known."""

    weights: tuple[float, ...] | None = None  # w_0, w
    max_doubt: float | None = None

    @classmethod
    def from_notes(cls, notes: dict[str, Any], model: object, decoder: str | None) -> "Confidence":
        """The entry "confidence" of the model file `model`, with the weights for `decoder` (see make_search).

        Raises InputError for an entry that cannot be read.
        """
        try:
            entry = notes.get("confidence", {"weights": {}, "max_doubt": None})
            weights, max_doubt = entry["weights"].get(decoder), entry["max_doubt"]
            weights = None if weights is None else tuple(map(float, weights))
            max_doubt = None if max_doubt is None else float(max_doubt)
            if not np.isfinite([*(weights or [0] * (EVIDENCE + 1)), max_doubt or 0]).all():
                raise ValueError
            if weights is not None and len(weights) != EVIDENCE + 1:
                raise ValueError
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
            raise InputError(f"{model}: its calibration cannot be read; run `minids tune` again") from None
        return cls(weights, max_doubt)

    def calibrate(self, *result: *Evidence) -> list[Word]:
        """The words with the probability that they are right as score; unchanged if there are no weights."""
        words, *_ = result
        if self.weights is None or not words:
            return list(words)
        probs = _sigmoid(self.weights[0] + evidence(*result) @ self.weights[1:])  # (W,)
        return [word._replace(score=float(p)) for word, p in zip(words, probs, strict=True)]

    def is_unlike(self, doubts: Sequence[np.ndarray]) -> bool | None:
        """Whether the speech with these `letter_doubts` is unlike what the model learned; None: not known."""
        letters = np.concatenate([np.empty(0), *doubts])
        return None if self.max_doubt is None or not len(letters) else bool(letters.mean() > self.max_doubt)


def letter_doubts(log_probs: np.ndarray) -> np.ndarray:
    """log_probs (T, K) -> sqrt(-log p) of each letter of the best path (U,)."""
    return np.sqrt(-np.log(np.clip(greedy(log_probs).peaks, 1e-30, 1)))


def evidence(words: Sequence[Word], hypotheses: Sequence[Hypothesis], log_probs: np.ndarray) -> np.ndarray:
    """e (W, 3) for W words; the best of the hypotheses has these words."""
    posteriors = np.zeros(len(words)) if hypotheses else np.ones(len(words))  # (W,)
    scores = SCALE * np.array([hypothesis.score for hypothesis in hypotheses])
    for hypothesis, share in zip(hypotheses, np.exp(scores - np.logaddexp.reduce(scores)), strict=True):
        edits = align([word.text for word in words], hypothesis.text.split())
        posteriors += share * np.array([edit.op == CORRECT for edit in edits if edit.reference])
    letters = _logit(np.array([word.score for word in words]))
    frames = np.sqrt(np.maximum(0, -log_probs.max(axis=1))).mean()
    return np.stack([letters, _logit(posteriors), np.full(len(words), frames)], axis=1)


def fit_weights(results: Iterable[tuple[Evidence, str]]) -> tuple[tuple[float, ...] | None, int, int]:
    """Results and their reference texts -> the weights, the number of words, and of those that are right.

    The weights are None with fewer than MIN_WORDS right or wrong words.
    """
    rows, right = [np.empty((0, EVIDENCE))], []
    for (words, hypotheses, log_probs), reference in results:
        if words:
            rows.append(evidence(words, hypotheses, log_probs))
            edits = align(reference.split(), [word.text for word in words])
            right += [edit.op == CORRECT for edit in edits if edit.hypothesis]
    count, correct = len(right), sum(right)
    if min(correct, count - correct) < MIN_WORDS:
        return None, count, correct
    return tuple(logistic_regression(np.concatenate(rows), np.array(right, float)).tolist()), count, correct


def fit_max_doubt(doubts: Sequence[np.ndarray]) -> float | None:
    """The letter_doubts of a development set -> the doubt of speech that is unlike; None: too few."""
    means = [letters.mean() for letters in doubts if len(letters)]
    return float(np.quantile(means, QUANTILE)) if len(means) >= MIN_UTTERANCES else None


def logistic_regression(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x (N, E), y (N,) of 0 and 1 -> w (E + 1,) that minimizes -log P(y) + RIDGE/2 |w[1:]|², x standardized.

    Newton's method; a step is halved until it does not raise the objective.
    """
    mean, std = x.mean(axis=0), x.std(axis=0)
    std[std == 0] = 1
    z = np.column_stack([np.ones(len(x)), (x - mean) / std])  # (N, E + 1)
    ridge = np.array([0.0] + [RIDGE] * x.shape[1])
    w = np.array([_logit(y.mean())] + [0.0] * x.shape[1])

    def objective(w: np.ndarray) -> float:
        return np.logaddexp(0, z @ w).sum() - y @ z @ w + ridge @ w**2 / 2

    for _ in range(50):
        p = _sigmoid(z @ w)
        hessian = (z.T * (p * (1 - p))) @ z + np.diag(ridge)
        step = np.linalg.solve(hessian, z.T @ (p - y) + ridge * w)
        while np.abs(step).max() > 1e-9 and objective(w - step) > objective(w):
            step /= 2
        w = w - step
    slopes = w[1:] / std
    return np.array([w[0] - slopes @ mean, *slopes])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -x))


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, MIN_PROB, 1 - MIN_PROB)
    return np.log(p / (1 - p))
