"""How far to trust a result: the probability that a word is right, and speech unlike what the model learned.

    P(right) = σ(w_0 + w · e),  evidence e = (logit of the probability of the word's least probable letter,
                                              logit of the word's posterior among the N best texts,
                                              mean of sqrt(-log max_k y_t(k)) over the frames)

This is logistic regression on a development set: a model has weights for greedy decoding and for its tuned
beam search. Speech is unlike what the model learned if its doubt exceeds that of 99 % of the development set.
The doubt is the mean of sqrt(-log p), p a letter's probability on the best path. Neither is in the paper.
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
SCALE = 0.25  # of their scores: neighboring frames are not independent, so that scores differ too much
MIN_PROB = 1e-6  # logits are clipped: float32 does not resolve 1 - p below about 1e-7
RIDGE = 1.0  # of the standardized weights: they stay finite
MIN_WORDS = 10  # right ones, and wrong ones: fewer calibrate nothing
MIN_UTTERANCES = 20
QUANTILE = 0.99  # of the doubts of the development set
MAX_WEIGHT = 1e6  # in a model file


Texts = Sequence[Hypothesis]  # best first; none of greedy decoding


class Confidence(NamedTuple):
    """The calibration of a model with its decoder, w_0 and w, and its limit of doubt; None: not known."""

    weights: tuple[float, ...] | None = None
    max_doubt: float | None = None

    @classmethod
    def from_notes(cls, notes: dict[str, Any], model: object, decoder: str | None) -> "Confidence":
        """The entry of the model file `model`, with the weights for `decoder` (see `make_search`)."""
        try:
            entry = notes.get("confidence", {})
            weights, doubt = entry.get("weights", {}).get(decoder), entry.get("max_doubt")
            *w, limit = np.array([*([0] * 4 if weights is None else weights), doubt or 0], float).tolist()
            if len(w) != 4 or not all(abs(number) < MAX_WEIGHT for number in (*w, limit)):
                raise ValueError
        except (AttributeError, TypeError, ValueError, OverflowError):
            raise InputError(f"{model}: its calibration cannot be read; run `minids tune` again") from None
        return cls(None if weights is None else tuple(w), None if doubt is None else limit)

    def calibrate(self, words: list[Word], hypotheses: Texts, log_probs: np.ndarray) -> list[Word]:
        """The words with the probability that they are right as score; unchanged if there are no weights."""
        if self.weights is None:
            return words
        v = self.weights[0] + evidence(words, hypotheses, log_probs) @ self.weights[1:]  # (W,)
        probs = np.exp(-np.logaddexp(0, -v))  # σ(v) without overflow
        return [word._replace(score=float(p)) for word, p in zip(words, probs, strict=True)]

    def is_unlike(self, doubts: Sequence[np.ndarray]) -> bool | None:
        """Whether speech with these `letter_doubts` is unlike what the model learned; None: not known."""
        letters = np.concatenate([[], *doubts])
        return None if self.max_doubt is None or not len(letters) else bool(letters.mean() > self.max_doubt)


def letter_doubts(log_probs: np.ndarray) -> np.ndarray:
    """log_probs (T, K) -> sqrt(-log p) of each letter of the best path (U,)."""
    return np.sqrt(-np.log(np.clip(greedy(log_probs).peaks, 1e-30, 1)))


def evidence(words: list[Word], hypotheses: Texts, log_probs: np.ndarray) -> np.ndarray:
    """e (W, 3) of the words of the first hypothesis; the posteriors of greedy decoding are 1."""
    posteriors = np.full(len(words), 0.0 if hypotheses else 1.0)  # (W,)
    scores = SCALE * np.array([hypothesis.score for hypothesis in hypotheses])
    for hypothesis, share in zip(hypotheses, np.exp(scores - np.logaddexp.reduce(scores)), strict=True):
        edits = align([word.text for word in words], hypothesis.text.split())
        posteriors += [share * (edit.op == CORRECT) for edit in edits if edit.reference]
    uncertainty = np.sqrt(np.maximum(0, -log_probs.max(axis=1))).mean()
    p = np.clip([[word.score for word in words], posteriors], MIN_PROB, 1 - MIN_PROB)  # (2, W)
    return np.column_stack([*np.log(p / (1 - p)), np.full(len(words), uncertainty)])


def fit_weights(results: Iterable[tuple[list[Word], Texts, np.ndarray, str]]) -> tuple[float, ...] | None:
    """Words, hypotheses, log_probs and reference of each utterance -> weights, None with too few words."""
    rows, right = [np.empty((0, 3))], []
    for words, hypotheses, log_probs, reference in results:
        rows.append(evidence(words, hypotheses, log_probs))
        edits = align(reference.split(), [word.text for word in words])
        right += [edit.op == CORRECT for edit in edits if edit.hypothesis]
    if min(sum(right), len(right) - sum(right)) < MIN_WORDS:
        return None
    return tuple(logistic_regression(np.concatenate(rows), np.array(right, float)).round(6).tolist())


def fit_max_doubt(doubts: Iterable[np.ndarray]) -> float | None:
    """The letter_doubts of a development set's utterances -> the limit, None with too few utterances."""
    means = [letters.mean() for letters in doubts if len(letters)]
    return round(float(np.quantile(means, QUANTILE)), 6) if len(means) >= MIN_UTTERANCES else None


def logistic_regression(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x (N, E), y (N,) of 0 and 1 -> w (E + 1,) of least -log P(y) + RIDGE/2 |w[1:]|², x standardized."""
    from scipy.optimize import minimize

    mean, std = x.mean(axis=0), x.std(axis=0)
    std[std < 1e-6] = np.inf  # equal values: no weight
    z = np.column_stack([np.ones(len(x)), (x - mean) / std])  # (N, E + 1)
    ridge = np.array([0.0] + [RIDGE] * x.shape[1])

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        v = z @ w
        softplus = np.logaddexp(0, v)
        gradient = z.T @ (np.exp(v - softplus) - y) + ridge * w
        return softplus.sum() - y @ v + ridge @ w**2 / 2, gradient

    w = minimize(objective, np.zeros(z.shape[1]), jac=True).x
    slopes = w[1:] / std
    return np.array([w[0] - slopes @ mean, *slopes])
