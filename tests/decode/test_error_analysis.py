"""decode/examine.py: whose error it was, against every text written out."""

import json

import numpy as np
from scipy.special import log_softmax

from minids.decode.beam_search import BeamSearch
from minids.decode.error_analysis import SearchReport
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


def test_whose_error_it_was():
    """With a beam of one, that misses the likeliest text now and then."""
    narrow = BeamSearch(LETTERS, beam_width=1)
    report = SearchReport(narrow)
    missed = worse = 0
    for n, (log_probs, probability) in enumerate(cases(200)):
        hypotheses = narrow.decode(log_probs)
        found = hypotheses[0].text
        for truth in (max(probability, key=probability.get), "bab"):
            if truth != found:
                missed += probability[truth] > probability[found]
                worse += probability[truth] <= probability[found]
            report.add(UtteranceResult(str(n), truth, found), [log_probs], [hypotheses])
    assert (report.search_errors, report.model_errors) == (missed, worse)
    assert missed > 5
    assert worse > 100
    assert all(wrong.truth.score > wrong.found.score for wrong in report.wrong if wrong.search_error)


def test_a_wide_beam_makes_no_search_errors():
    wide = BeamSearch(LETTERS, beam_width=100, token_min_logp=np.inf, beam_prune_logp=np.inf)
    report = SearchReport(wide)
    for n, (log_probs, _) in enumerate(cases(50)):
        hypotheses = wide.decode(log_probs)
        report.add(UtteranceResult(str(n), "bb", hypotheses[0].text), [log_probs], [hypotheses])
    assert report.search_errors == 0
    assert report.model_errors == sum(wrong.found.text != "bb" for wrong in report.wrong) > 10


def test_the_oracle_takes_the_best_of_each_list():
    search = BeamSearch(Alphabet(" ab"), beam_width=50)
    report, rates = SearchReport(search, n_best=5), []
    rng = np.random.default_rng(1)
    for n in range(20):
        log_probs = log_softmax(rng.normal(0, 1, (6, 4)), axis=1)
        hypotheses = search.decode(log_probs, 5)
        report.add(UtteranceResult(str(n), "a b", hypotheses[0].text), [log_probs], [hypotheses])
        rates.append(min(wer("a b", h.text).errors for h in hypotheses))
    assert report.oracle.errors == sum(rates)
    assert report.oracle.reference_length == 40
    assert report.oracle.errors < 40


def test_what_cannot_be_written_is_the_models_error():
    search = BeamSearch(LETTERS, beam_width=10)
    report = SearchReport(search)
    log_probs, _ = next(cases(1))
    hypotheses = [search.decode(log_probs)]
    report.add(UtteranceResult("1", "déjà vu", hypotheses[0][0].text), [log_probs], hypotheses)
    report.add(UtteranceResult("2", "a" * 9, hypotheses[0][0].text), [log_probs], hypotheses)
    assert (report.search_errors, report.model_errors) == (0, 2)
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [wrong["truth"] and wrong["truth"]["score"] for wrong in told["wrong"]] == [None, None]


def test_pieces_and_what_is_right_are_not_examined():
    search = BeamSearch(LETTERS, beam_width=10)
    report = SearchReport(search)
    log_probs, _ = next(cases(1))
    hypotheses = search.decode(log_probs)
    report.add(UtteranceResult("1", "right", "right"), [log_probs], [hypotheses])
    report.add(UtteranceResult("2", "long one", "wrong one"), [log_probs] * 2, [hypotheses] * 2)
    assert (report.wrong, report.in_pieces) == ([], 1)
    assert (report.oracle.errors, report.oracle.reference_length) == (1, 3)
    assert "1 in several pieces" in str(report)
