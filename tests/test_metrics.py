"""Error counts against an enumeration of all alignments, the axioms of a distance, and results by hand."""

import json
import math
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minids.metrics import (
    Edit,
    Evaluation,
    UtteranceResult,
    align,
    bootstrap_interval,
    cer,
    format_alignment,
    paired_difference,
    wer,
)

reproducible = settings(derandomize=True, deadline=None, database=None, max_examples=150)
short = st.lists(st.sampled_from("abc"), max_size=4).map(" ".join)
words = st.lists(st.text("abé가🙂", min_size=1, max_size=3), max_size=12).map(" ".join)


def counts(score):
    return score.substitutions, score.deletions, score.insertions


def all_alignments(reference, hypothesis):
    """(substitutions, deletions, insertions) of every alignment."""
    if not reference and not hypothesis:
        yield 0, 0, 0
    if reference and hypothesis:
        for s, d, i in all_alignments(reference[1:], hypothesis[1:]):
            yield s + (reference[0] != hypothesis[0]), d, i
    if reference:
        for s, d, i in all_alignments(reference[1:], hypothesis):
            yield s, d + 1, i
    if hypothesis:
        for s, d, i in all_alignments(reference, hypothesis[1:]):
            yield s, d, i + 1


@reproducible
@given(short, short)
def test_the_counts_are_those_of_the_best_of_all_alignments(reference, hypothesis):
    best = min(all_alignments(reference.split(), hypothesis.split()), key=lambda sdi: (sum(sdi), sdi[0]))
    assert counts(wer(reference, hypothesis)) == best


@reproducible
@given(words, words, words)
def test_errors_are_a_distance(a, b, c):
    ab, bc, ac = wer(a, b).errors, wer(b, c).errors, wer(a, c).errors
    assert (ab == 0) == (a.split() == b.split())
    assert ac <= ab + bc
    assert abs(len(a.split()) - len(b.split())) <= ab <= max(len(a.split()), len(b.split()))


@reproducible
@given(words, words)
def test_swapping_the_texts_swaps_deletions_and_insertions(reference, hypothesis):
    s, d, i = counts(wer(reference, hypothesis))
    assert counts(wer(hypothesis, reference)) == (s, i, d)
    assert counts(wer(reference[::-1], hypothesis[::-1])) == (s, d, i)


@reproducible
@given(words, words)
def test_an_alignment_contains_both_texts_and_the_counted_errors(reference, hypothesis):
    edits = align(reference, hypothesis)
    assert [e.reference for e in edits if e.op != "I"] == unicodedata.normalize("NFC", reference).split()
    assert [e.hypothesis for e in edits if e.op != "D"] == unicodedata.normalize("NFC", hypothesis).split()
    assert all((e.reference == e.hypothesis) == (e.op == "C") for e in edits)
    ops = [e.op for e in edits]
    assert (ops.count("S"), ops.count("D"), ops.count("I")) == counts(wer(reference, hypothesis))


@reproducible
@given(st.lists(st.tuples(words, words), max_size=5))
def test_the_counts_of_a_corpus_are_the_sums_over_its_utterances(pairs):
    references, hypotheses = [r for r, _ in pairs], [h for _, h in pairs]
    single = [wer(r, h) for r, h in pairs]
    corpus = wer(references, hypotheses)
    assert counts(corpus) == tuple(
        sum(column) for column in zip((0, 0, 0), *map(counts, single), strict=True)
    )
    assert corpus.reference_length == sum(s.reference_length for s in single)


def test_rates_by_hand():
    score = wer(["the cat sat on the mat"], ["the hat sat on mat today"])
    assert counts(score) == (1, 1, 1)
    assert (score.rate, score.reference_length) == (3 / 6, 6)
    assert cer("kitten", "sitting").rate == 3 / 6


def test_a_rate_can_exceed_100_percent():
    score = wer("yes", "no no no")
    assert (score.rate, counts(score)) == (3.0, (1, 0, 2))


def test_texts_without_words():
    assert (wer("", "").rate, wer([], []).rate, wer("a b", "").rate) == (0, 0, 1)
    assert wer("", "a b").rate == math.inf
    assert wer(["", "a b"], ["c", "a b"]).rate == 1 / 2  # in a corpus, the insertion simply counts


def test_unicode_normalization_forms_are_equal():
    text = "Wörter 한국어 façade"
    assert wer(text, unicodedata.normalize("NFD", text)).errors == 0
    assert cer(text, unicodedata.normalize("NFD", text)).errors == 0
    assert cer("한국어", "한국") == cer("abc", "ab")


def test_any_white_space_separates_words():
    assert cer("a  b\u00a0c\n", " a b c") == cer("a b c", "a b c")
    assert wer("a\tb", "a b").errors == 0


def test_lists_of_different_lengths_are_an_error():
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        wer(["a", "b"], ["a"])


def test_a_long_recording_is_counted_exactly():
    n = 3000
    reference = " ".join(f"r{i}" for i in range(n))
    hypothesis = " ".join(f"h{i}" for i in range(n + 7))
    assert counts(wer(reference, hypothesis)) == (n, 0, 7)


def test_the_bootstrap_of_two_utterances_by_hand():
    # rates 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4
    assert bootstrap_interval([0, 1], [1, 1], level=0.95) == (0, 1)
    assert bootstrap_interval([0, 1], [1, 1], level=0.4) == (0.5, 0.5)
    assert bootstrap_interval([3], [4]) == (0.75, 0.75)


def test_the_bootstrap_of_many_utterances_is_the_normal_interval():
    n, p = 2000, 0.2
    errors = (np.arange(n) < n * p).astype(int)
    low, high = bootstrap_interval(errors, np.ones(n))
    assert low < p < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(p * (1 - p) / n), rel=0.1)
    assert (low, high) == bootstrap_interval(errors, np.ones(n))
    assert (low, high) != bootstrap_interval(errors, np.ones(n), seed=1)


def test_the_bootstrap_draws_utterances_not_words():
    one_bad = wer(["a b c d"] * 9 + ["e f g h"], ["a b c d"] * 9 + [""])
    spread = wer(["a b c d"] * 10, ["a b c"] * 4 + ["a b c d"] * 6)
    assert one_bad.rate == spread.rate
    assert np.ptp(one_bad.interval()) > 1.5 * np.ptp(spread.interval())


def test_the_bootstrap_is_that_of_a_loop_over_its_resamples():
    """Also in several parts, with utterances without words and with fractions."""
    rng = np.random.default_rng(3)
    for n, samples in ((7, 1000), (2500, 900)):
        errors, lengths = rng.integers(-3, 9, n) / 2, rng.integers(0, 12, n)
        generator, rates = np.random.default_rng(1), []
        for _ in range(samples):
            drawn = generator.integers(n, size=n)
            rates.append(errors[drawn].sum() / lengths[drawn].sum())
        expected = np.quantile(rates, (0.05, 0.95), method="inverted_cdf")
        np.testing.assert_allclose(bootstrap_interval(errors, lengths, 0.9, samples, seed=1), expected)


@pytest.mark.parametrize("words", [1, 10, 100, 1000])
def test_an_interval_without_errors_does_not_end_at_zero(words):
    low, high = wer(["a"] * words, ["a"] * words).interval()
    assert low == 0
    assert high == pytest.approx(1.96**2 / (words + 1.96**2), rel=1e-3)
    assert 1 - (1 - high) ** words > 0.6  # such a rate would rarely give no error
    assert f"0.0 % (95 % interval 0.0 to {100 * high:.1f})" in str(wer(["a"] * words, ["a"] * words))


def test_an_interval_of_equal_utterances_has_a_width():
    low, high = wer("a b c d", "a b c x").interval()
    assert (low, high) == (pytest.approx(0.0456, abs=1e-3), pytest.approx(0.6994, abs=1e-3))  # Wilson (1927)
    low, high = wer(["a b"] * 5, ["x y"] * 5).interval()
    assert 0.7 < low < 0.75
    assert high == 1
    assert wer("a", "x y z").interval() == (3, 3)  # above 100 % there is no Wilson interval


@pytest.mark.parametrize(
    ("errors", "lengths", "options", "message"),
    [
        ([1, 2], [1], {}, "one of each per utterance"),
        ([[1]], [[1]], {}, "one of each per utterance"),
        ([math.nan], [1], {}, "must be finite"),
        ([1], [-1], {}, "at least 0"),
        ([1], [1], {"level": math.nan}, "level between 0 and 1"),
        ([1], [1], {"samples": 0}, "samples at least 1"),
    ],
)
def test_invalid_arguments_of_the_bootstrap_are_named(errors, lengths, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(errors, lengths, **options)


def test_a_text_that_is_not_a_string_is_named():
    with pytest.raises(ValueError, match="a text is not a string but NoneType"):
        wer(["a", "b"], ["a", None])


def test_format_alignment_aligns_its_columns():
    assert format_alignment(align("go to the shop", "to a shop now")) == (
        "REF: go to the shop ***\n"
        "HYP: ** to a   shop now\n"
        "     D     S        I"
    )  # fmt: skip
    assert format_alignment(align("나는 간다", "간다")) == "REF: 나는 간다\nHYP: **** 간다\n     D"


def test_ties_are_broken_from_the_end():
    assert [e.op for e in align("a b", "b a")] == ["I", "C", "D"]
    assert [e.op for e in align("four six", "for")] == ["D", "S"]


def test_a_list_is_aligned_element_by_element():
    assert align(list("ab"), list("b")) == [Edit("D", "a", ""), Edit("C", "b", "b")]


@pytest.fixture
def evaluation():
    return Evaluation(
        [
            UtteranceResult("1.wav", "one two three", "one two three", "anna"),
            UtteranceResult("2.wav", "four five", "for five", "bert"),
            UtteranceResult("3.wav", "four six", "for sick", "anna"),
            UtteranceResult("4.wav", "seven eight", "eight", "bert"),
        ]
    )


def test_each_group_is_scored_on_its_own(evaluation):
    anna = ["one two three", "four six"], ["one two three", "for sick"]
    bert = ["four five", "seven eight"], ["for five", "eight"]
    assert evaluation.groups() == {"anna": (wer(*anna), cer(*anna)), "bert": (wer(*bert), cer(*bert))}


def test_worst_is_sorted_by_errors_without_correct_utterances(evaluation):
    assert [result.name for result in evaluation.worst(9)] == ["3.wav", "4.wav", "2.wav"]
    assert [result.name for result in evaluation.worst(1)] == ["3.wav"]


def test_confusions_are_counted(evaluation):
    assert evaluation.confusions(1) == [(Edit("S", "four", "for"), 2)]
    assert dict(evaluation.confusions()) == {
        Edit("S", "four", "for"): 2,
        Edit("S", "six", "sick"): 1,
        Edit("D", "seven", ""): 1,
    }


def test_an_evaluation_as_json(evaluation):
    report = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert report["utterances"] == 4
    assert report["wer"]["rate"] == 4 / 9
    assert report["groups"]["bert"]["wer"]["deletions"] == 1
    no_reference = Evaluation([UtteranceResult("5.wav", "", "noise")]).to_dict()
    assert json.loads(json.dumps(no_reference, allow_nan=False))["wer"]["rate"] is None


def test_the_difference_of_two_systems_is_paired_by_utterance():
    references = ["a b c d e"] * 30
    first = wer(references, ["x b c d e" if i % 3 else "x x x x x" for i in range(30)])
    second = wer(references, ["x x c d e" if i % 3 else "x x x x x" for i in range(30)])
    difference, low, high = paired_difference(first, second)
    assert difference == pytest.approx(20 / 150)
    changes = np.random.default_rng(1).choice([1 if i % 3 else 0 for i in range(30)], (4000, 30)).sum(axis=1)
    np.testing.assert_allclose((low, high), np.quantile(changes / 150, (0.025, 0.975)), atol=1 / 150)
    assert paired_difference(first, first) == (0, 0, 0)
    assert paired_difference(second, first)[0] == -difference
    with pytest.raises(ValueError, match="different utterances"):
        paired_difference(first, wer(references[:3], references[:3]))


def test_rows_have_the_errors_of_each_text():
    (row,) = Evaluation([UtteranceResult("u", "a bc d", "a c d e", "g", -1.5)]).rows()
    errors = {"substitutions": 1, "deletions": 0, "insertions": 1, "words": 3}
    characters = {"character_errors": 3, "characters": 6}
    texts = {"name": "u", "reference": "a bc d", "hypothesis": "a c d e", "group": "g"}
    assert row == texts | {"log_prob": -1.5, "confidence": None} | errors | characters
