"""Calibrated scores of words, and speech unlike the development set: by hand, and on AN4."""

import json
from functools import cache
from math import exp, log, sqrt

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.confidence import (
    MIN_PROB,
    MIN_UTTERANCES,
    MIN_WORDS,
    RIDGE,
    SCALE,
    Confidence,
    evidence,
    fit_max_doubt,
    fit_weights,
    letter_doubts,
    logistic_regression,
)
from minids.data.manifest import read_manifest
from minids.decode.beam_search import Hypothesis
from minids.decode.path import Word
from minids.metrics import CORRECT, align
from minids.recognizer import Recognizer
from minids.text import normalize
from minids.weights import SHIPPED_MODEL, load_model, save_model
from tests import DATA, tones

FRAMES = np.log([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]])
FRAME_DOUBT = (sqrt(-log(0.7)) + sqrt(-log(0.8)) + sqrt(-log(0.5))) / 3


def words(text, scores):
    return [Word(word, 0.0, 1.0, score) for word, score in zip(text.split(), scores, strict=True)]


def hypotheses(scores):
    return [Hypothesis(text, score, 0.0, 0.0, ()) for text, score in scores.items()]


def logit(p):
    return log(p / (1 - p))


# The evidence


def test_the_evidence_by_hand():
    """The second text lacks the first word, the third has another one, the fourth one more."""
    texts = {"no one": 4.0, "one": 2.0, "now one": 1.0, "oh no one": -3.0}
    shares = np.exp(SCALE * np.array(list(texts.values())))
    shares /= shares.sum()
    found = evidence(words("no one", (0.6, 1.0)), hypotheses(texts), FRAMES)
    first = [logit(0.6), logit(shares[0] + shares[3]), FRAME_DOUBT]
    np.testing.assert_allclose(found, [first, [logit(1 - MIN_PROB)] * 2 + [FRAME_DOUBT]])


def test_greedy_decoding_has_one_text():
    found = evidence(words("a b", (0.25, 0.0)), [], FRAMES)
    certain = logit(1 - MIN_PROB)
    np.testing.assert_allclose(found, [[logit(0.25), certain, FRAME_DOUBT], [-certain, certain, FRAME_DOUBT]])


def test_the_doubts_of_the_letters_of_the_best_path():
    y = np.log([[0.1, 0.8, 0.1], [0.2, 0.6, 0.2], [0.9, 0.05, 0.05], [0.25, 0.25, 0.5]])
    np.testing.assert_allclose(letter_doubts(y), [sqrt(-log(0.8)), sqrt(-log(0.5))])
    assert len(letter_doubts(y[2:3])) == 0


# The fit


def simulated(n, seed=0):
    """Evidence of different sizes, and outcomes with exactly the model's probabilities."""
    rng = np.random.default_rng(seed)
    x = rng.normal((3, -1, 0.1), (4, 2, 0.05), (n, 3))
    p = 1 / (1 + np.exp(-(2 + x @ [0.5, 0.3, -20.0])))
    return x, (rng.random(n) < p).astype(float), p


@pytest.mark.parametrize("separable", [False, True])
def test_the_regression_minimizes_its_objective(separable):
    """Newton's method finds the same; also where without the ridge the weights would be infinite."""
    x, y, _ = simulated(300)
    y = (x[:, 0] > 0).astype(float) if separable else y
    z = (x - x.mean(axis=0)) / x.std(axis=0)

    z = np.column_stack([np.ones(len(x)), z])
    ridge, best = RIDGE * np.diag([0, 1, 1, 1]), np.zeros(4)
    for _ in range(50):
        p = 1 / (1 + np.exp(-z @ best))
        best = best - np.linalg.solve((z.T * p * (1 - p)) @ z + ridge, z.T @ (p - y) + ridge @ best)
    slopes = best[1:] / x.std(axis=0)
    expected = [best[0] - slopes @ x.mean(axis=0), *slopes]
    np.testing.assert_allclose(logistic_regression(x, y), expected, rtol=1e-3)


def test_equal_evidence_has_no_weight():
    x, y, _ = simulated(500)
    x[:, 1] = 9.2103 + 1e-15 * np.arange(500)
    found = logistic_regression(x, y)
    assert found[2] == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(found[[1, 3]], logistic_regression(x[:, [0, 2]], y)[1:])


def test_fitted_probabilities_hold_on_other_data():
    x, y, _ = simulated(5000)
    w = logistic_regression(x, y)
    x, _, p = simulated(1000, seed=1)
    np.testing.assert_allclose(1 / (1 + np.exp(-(w[0] + x @ w[1:]))), p, atol=0.05)


def test_weights_come_from_right_and_wrong_words():
    """Words with probable letters are right, but one of ten is not; a word of the text is always missing."""
    results = []
    for i in range(100):
        sure, text = i % 2, "a x" if i % 10 == i % 2 else "b x" if i % 2 else "a x"
        found = words("b", (0.9 if sure else 0.2,))
        results.append((found, [], FRAMES, text))
    confidence = Confidence(fit_weights(results))
    for score, share in ((0.9, 0.8), (0.2, 0.0)):
        (word,) = confidence.calibrate(words("b", (score,)), [], FRAMES)
        assert word.score == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("wrong", [0, MIN_WORDS - 1, MIN_WORDS])
def test_few_wrong_words_calibrate_nothing(wrong):
    results = [(words("a", (0.9,)), [], FRAMES, "b" if i < wrong else "a") for i in range(100)]
    assert (fit_weights([*results, ([], [], FRAMES, "c")]) is None) == (wrong < MIN_WORDS)


def test_the_limit_of_doubt_is_exceeded_by_one_in_a_hundred():
    doubts = [np.full(3, i / 1000) for i in range(1001)]
    limit = fit_max_doubt([*doubts, np.empty(0)])
    assert limit == pytest.approx(0.99)
    assert sum(Confidence(None, limit).is_unlike([d]) for d in doubts) == 10
    assert fit_max_doubt([*doubts[: MIN_UTTERANCES - 1], np.empty(0)]) is None


# The use


def test_the_score_is_the_probability():
    found = words("no one", (0.6, 1.0))
    texts = hypotheses({"no one": 4.0, "one": 2.0})
    x = evidence(found, texts, FRAMES)
    scored = Confidence((0.5, 0.1, 0.2, -3.0)).calibrate(found, texts, FRAMES)
    for word, before, e in zip(scored, found, x, strict=True):
        assert word == before._replace(score=word.score)
        assert word.score == pytest.approx(1 / (1 + exp(-(0.5 + 0.1 * e[0] + 0.2 * e[1] - 3 * e[2]))))
    assert Confidence().calibrate(found, texts, FRAMES) == found
    assert Confidence((1.0,) * 4).calibrate([], [], FRAMES) == []


def test_unlike_is_the_mean_over_all_segments():
    confidence = Confidence(None, 0.5)
    assert confidence.is_unlike([np.array([0.2, 0.3]), np.array([1.2])]) is True
    assert confidence.is_unlike([np.array([0.2, 0.3]), np.array([0.9])]) is False
    assert confidence.is_unlike([np.empty(0)]) is confidence.is_unlike([]) is None
    assert Confidence().is_unlike([np.array([9.0])]) is None


def test_notes_are_read_for_a_decoder():
    weights = {"greedy": [1, 2, 3, 4], "tuned": None}
    notes = {"confidence": {"weights": weights, "max_doubt": 0.25}}
    assert Confidence.from_notes(notes, "m", "greedy") == ((1, 2, 3, 4), 0.25)
    assert (
        Confidence.from_notes(notes, "m", "tuned") == Confidence.from_notes(notes, "m", None) == (None, 0.25)
    )
    assert Confidence.from_notes({}, "m", "greedy") == Confidence()


@pytest.mark.parametrize(
    "entry",
    [
        *(None, [], 3, {"weights": [], "max_doubt": None}, {"weights": {"greedy": 3}}),
        {"weights": {"greedy": [1, 2, 3]}, "max_doubt": None},
        {"weights": {"greedy": [1, 2, 3, 1e300]}, "max_doubt": None},
        {"weights": {"greedy": [1, 2, 3, "x"]}, "max_doubt": None},
        {"weights": {"greedy": [1, 2, 3, float("nan")]}, "max_doubt": None},
        {"weights": {}, "max_doubt": "high"},
        {"weights": {}, "max_doubt": float("inf")},
    ],
)
def test_unreadable_notes_are_an_error(entry):
    with pytest.raises(
        InputError, match=r"^m\.safetensors: its calibration cannot be read; run `minids tune`"
    ):
        Confidence.from_notes({"confidence": entry}, "m.safetensors", "greedy")


def test_only_the_tuned_decoders_of_one_model_are_calibrated(tmp_path):
    """Another language model, other weights, an ensemble and jitter have other probabilities."""
    model, lm = tones.model(tmp_path / "m.safetensors"), tones.language(tmp_path / "lm.arpa")
    saved = load_model(model)
    saved.notes["confidence"] = {"weights": {"greedy": [0, 0, 0, 0], "tuned": [9, 0, 0, 0]}, "max_doubt": 0.1}
    save_model(model, saved)
    samples = tones.speak("ab c", np.random.default_rng(0))
    assert Recognizer.load(model).transcribe(samples).calibrated
    assert Recognizer.load(model).transcribe(samples).to_dict()["unlike"] in (True, False)
    for recognizer in (
        Recognizer.load(model, lm=lm),
        Recognizer.load(model, beam_width=5),
        Recognizer.load([model, model]),
        Recognizer.load(model, jitter=True),
        Recognizer(saved),
    ):
        assert not recognizer.transcribe(samples).calibrated
        assert recognizer.confidence.weights is None


# AN4 and read books


def shipped(lm=None):
    return Recognizer.load(lm=lm)


@cache
def log_probs(name, count=None):
    recognizer, skipped = shipped("none"), []
    utterances = read_manifest(DATA / name)[:count]
    found = [x for batch in recognizer.log_prob_batches(utterances, skipped) for x in batch]
    assert not skipped
    return [(np.concatenate(y), normalize(u.text, recognizer.alphabet)) for u, y in found]


real = pytest.mark.skipif(not (DATA / "an4").is_dir(), reason="no AN4; set MINIDS_DATA")


@real
def test_the_included_model_is_calibrated_as_tune_does():
    notes, dev = load_model(SHIPPED_MODEL).notes["confidence"], log_probs("an4/dev.jsonl")
    for name, recognizer in {"greedy": shipped("none"), "tuned": shipped()}.items():
        weights = fit_weights((*recognizer.words(y)[1:], y, text) for y, text in dev)
        np.testing.assert_allclose(weights, notes["weights"][name], rtol=1e-2, atol=1e-3)
    assert notes["max_doubt"] == pytest.approx(fit_max_doubt([letter_doubts(y) for y, _ in dev]), rel=1e-3)


@real
@pytest.mark.parametrize("lm", ["none", None])
def test_probabilities_hold_on_speakers_that_nothing_was_fitted_to(lm):
    """The expected calibration error in ten bins, and the likelihood of what is right and wrong."""
    recognizer, rows = shipped(lm), []
    for y, text in log_probs("an4/test.jsonl"):
        _, found, texts = recognizer.words(y)
        calibrated = recognizer.confidence.calibrate(found, texts, y)
        edits = [e.op == CORRECT for e in align(text, " ".join(w.text for w in found)) if e.hypothesis]
        rows += [(w.score, c.score, right) for w, c, right in zip(found, calibrated, edits, strict=True)]
    raw, p, right = np.array(rows, float).T
    bins = np.minimum((10 * p).astype(int), 9)
    assert sum(abs((p - right)[bins == b].sum()) for b in range(10)) / len(p) < 0.035
    likelihood = [np.log(np.where(right == 1, q, 1 - q).clip(1e-6)).mean() for q in (raw, right.mean(), p)]
    assert likelihood[2] == max(likelihood), "calibrated scores are better than raw ones and than the mean"


@real
def test_read_books_are_unlike_and_an4_is_not():
    confidence = shipped("none").confidence
    books = [confidence.is_unlike([letter_doubts(y)]) for y, _ in log_probs("libri5/test.jsonl", 30)]
    an4 = [confidence.is_unlike([letter_doubts(y)]) for y, _ in log_probs("an4/test.jsonl")]
    assert np.mean(books) > 0.9
    assert np.mean(an4) < 0.03


def test_the_weights_in_the_included_model_are_few_and_readable():
    notes = load_model(SHIPPED_MODEL).notes["confidence"]
    assert len(json.dumps(notes)) < 400


@real
@pytest.mark.parametrize("lm", ["none", None])
def test_results_have_the_mean_score_of_their_transcript(lm):
    recognizer, utterances = shipped(lm), read_manifest(DATA / "an4" / "test.jsonl")[:8]
    results = {result.name: result for result in recognizer.recognize(utterances)[0]}
    for utterance in utterances:
        result = results[utterance.name]
        words = recognizer.transcribe(utterance.path).words
        assert result.hypothesis == " ".join(word.text for word in words)
        assert result.confidence == pytest.approx(np.mean([word.score for word in words]), rel=1e-4)
