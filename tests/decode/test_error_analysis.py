"""Search errors and model errors, against the probabilities of all texts."""

import json

import numpy as np
from scipy.special import log_softmax

from minids.decode.beam_search import BeamSearch
from minids.decode.error_analysis import ErrorAnalysis
from minids.metrics import UtteranceResult, wer
from minids.text import Alphabet
from tests.ops.test_ctc import enumerate_texts

LETTERS = Alphabet("ab")


def cases(count, T=5):
    """Log-probabilities (T, 3) and the probability of every text in them."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        log_probs = log_softmax(rng.normal(0, 1, (T, 3)), axis=1)
        probability, _ = enumerate_texts(np.exp(log_probs))
        yield log_probs, {LETTERS.decode(text): p for text, p in probability.items()}


def test_errors_are_classified_by_exact_scores():
    """With a beam of one, which sometimes misses the likeliest text."""
    narrow = BeamSearch(LETTERS, beam_width=1)
    analysis = ErrorAnalysis(narrow)
    missed = worse = 0
    for n, (log_probs, probability) in enumerate(cases(200)):
        hypotheses = narrow.decode(log_probs)
        found = hypotheses[0].text
        for truth in (max(probability, key=probability.get), "bab"):
            if truth != found:
                missed += probability[truth] > probability[found]
                worse += probability[truth] <= probability[found]
            analysis.add(UtteranceResult(str(n), truth, found), [log_probs], [hypotheses])
    assert (analysis.search_errors, analysis.model_errors) == (missed, worse)
    assert missed > 5
    assert worse > 100
    assert all(e.reference.score > e.hypothesis.score for e in analysis.errors if e.is_search_error)


def test_a_wide_beam_makes_no_search_errors():
    wide = BeamSearch(LETTERS, beam_width=100, token_min_logp=-np.inf, beam_prune_logp=-np.inf)
    analysis = ErrorAnalysis(wide)
    for n, (log_probs, _) in enumerate(cases(50)):
        hypotheses = wide.decode(log_probs)
        analysis.add(UtteranceResult(str(n), "bb", hypotheses[0].text), [log_probs], [hypotheses])
    assert analysis.search_errors == 0
    assert analysis.model_errors == sum(e.hypothesis.text != "bb" for e in analysis.errors) > 10


def test_the_oracle_takes_the_best_of_each_list():
    search = BeamSearch(Alphabet(" ab"), beam_width=50)
    analysis, rates = ErrorAnalysis(search, n_best=5), []
    rng = np.random.default_rng(1)
    for n in range(20):
        log_probs = log_softmax(rng.normal(0, 1, (6, 4)), axis=1)
        hypotheses = search.decode(log_probs, 5)
        analysis.add(UtteranceResult(str(n), "a b", hypotheses[0].text), [log_probs], [hypotheses])
        rates.append(min(wer("a b", h.text).errors for h in hypotheses))
    assert analysis.oracle.errors == sum(rates)
    assert analysis.oracle.reference_length == 40
    assert analysis.oracle.errors < 40


def test_a_reference_outside_the_alphabet_is_a_model_error():
    search = BeamSearch(LETTERS, beam_width=10)
    analysis = ErrorAnalysis(search)
    log_probs, _ = next(cases(1))
    hypotheses = [search.decode(log_probs)]
    analysis.add(UtteranceResult("1", "déjà vu", hypotheses[0][0].text), [log_probs], hypotheses)
    analysis.add(UtteranceResult("2", "a" * 9, hypotheses[0][0].text), [log_probs], hypotheses)
    assert (analysis.search_errors, analysis.model_errors) == (0, 2)
    content = json.loads(json.dumps(analysis.to_dict(), allow_nan=False))
    assert [e["reference"] and e["reference"]["score"] for e in content["errors"]] == [None, None]


def test_correct_texts_and_texts_in_pieces_are_not_classified():
    search = BeamSearch(LETTERS, beam_width=10)
    analysis = ErrorAnalysis(search)
    log_probs, _ = next(cases(1))
    hypotheses = search.decode(log_probs)
    analysis.add(UtteranceResult("1", "right", "right"), [log_probs], [hypotheses])
    analysis.add(UtteranceResult("2", "long one", "wrong one"), [log_probs] * 2, [hypotheses] * 2)
    assert (analysis.errors, analysis.segmented) == ([], 1)
    assert (analysis.oracle.errors, analysis.oracle.reference_length) == (1, 3)
    assert "1 in several segments" in str(analysis)
