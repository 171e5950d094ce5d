"""Beam search against CTC's exact sums, against reference.py, and against examples of other projects."""

import math
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest

from minids import InputError
from minids.decode.beam_search import BeamSearch
from minids.decode.greedy import greedy_text
from minids.decode.lexicon import Language, LanguageMode, LanguageWarning, build_trie, find_child
from minids.decode.reference import prefix_beam_search
from minids.lm.ngram import NGram
from minids.text import ENGLISH, Alphabet, collapse
from tests.tolerances import BEAM_SCORE, PROBABILITY

INF = math.inf
OFF = -math.inf
LETTERS = Alphabet("ab ")
PIECES = Alphabet(["▁a", "b", "▁", "ab", "▁b▁b"])
ALL = {"token_min_logp": OFF, "beam_prune_logp": OFF}
UNBOUNDED = {"beam_width": 10**6, **ALL}


def random_log_probs(rng, T, K, sharpness=2.0):
    logits = rng.normal(size=(T, K)) * sharpness
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def zero_some(rng, log_probs):
    """Half of the probabilities become 0."""
    y = np.exp(log_probs) * (rng.random(log_probs.shape) < 0.5)
    y[:, 0] += y.sum(axis=1) == 0
    with np.errstate(divide="ignore"):
        return np.log(y / y.sum(axis=1, keepdims=True))


def peaked(path, K, probability=0.9):
    """(T, K) log-probabilities whose best path is `path`."""
    probs = np.full((len(path), K), (1 - probability) / (K - 1))
    probs[np.arange(len(path)), path] = probability
    return np.log(probs)


def random_lm(rng, words=("a", "ab", "ba", "bab")):
    """A bigram model of random numbers, to compare two searches."""
    words = ["<unk>", "<s>", "</s>", *words]
    V = len(words)
    pairs = [(h, w) for h in range(V) for w in range(2, V) if h != 2 and rng.random() < 0.4]
    log_prob = [0, *np.log(rng.dirichlet(np.ones(V))), *np.log(rng.random(len(pairs)))]
    backoff = [0, *-rng.random(V), *[0] * len(pairs)]
    return NGram(
        words,
        np.array([0, 1, 1 + V, 1 + V + len(pairs)]),
        np.array([0] * (1 + V) + [1 + h for h, _ in pairs], np.int32),
        np.array([-1, *range(V), *[w for _, w in pairs]], np.int32),
        np.array(log_prob, np.float32),
        np.array(backoff, np.float32),
    )


def unigrams(probabilities):
    """A model of independent words; the unknown word has the rest of the probability."""
    words = ["<unk>", "<s>", "</s>", *probabilities]
    log_prob = np.log([1 - sum(probabilities.values()) - 0.1, 1e-30, 0.1, *probabilities.values()])
    n = len(words) + 1
    return NGram(
        words,
        np.array([0, 1, n]),
        np.zeros(n, np.int32),
        np.arange(-1, n - 1, dtype=np.int32),
        np.array([0, *log_prob], np.float32),
        np.zeros(n, np.float32),
    )


def test_two_frames_whose_best_path_is_not_the_best_text():
    with np.errstate(divide="ignore"):
        log_probs = np.log([[0.6, 0.4, 0.0]] * 2)
    found = BeamSearch("ab", **ALL).decode(log_probs)
    assert [h.text for h in found] == ["a", ""]
    assert np.exp([h.log_prob for h in found]) == pytest.approx([0.64, 0.36], abs=PROBABILITY)
    assert greedy_text(log_probs, Alphabet("ab")) == ""


def test_a_known_example_has_probability_0_478():
    log_probs = np.log([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.5, 0.1, 0.4]])
    best = BeamSearch("hi", **ALL).decode(log_probs)[0]
    assert best.text == "hi"
    assert math.exp(best.log_prob) == pytest.approx(0.478, abs=PROBABILITY)


@pytest.mark.parametrize("seed", range(300))
def test_an_unbounded_beam_finds_every_text_with_its_exact_probability(seed):
    rng = np.random.default_rng(seed)
    K = int(rng.integers(2, 5))
    log_probs = random_log_probs(rng, int(rng.integers(1, 7)), K, sharpness=rng.choice([0.5, 3.0]))
    search = BeamSearch(LETTERS.symbols[: K - 1], **UNBOUNDED)
    found = search.decode(log_probs, n_best=10**6)
    assert sum(math.exp(h.log_prob) for h in found) == pytest.approx(1, abs=PROBABILITY)
    for hypothesis in found:
        exact = search.score(log_probs, hypothesis.text).log_prob
        assert hypothesis.score == hypothesis.log_prob == pytest.approx(exact, abs=BEAM_SCORE)


@pytest.mark.filterwarnings("ignore::minids.decode.lexicon.LanguageWarning")
@pytest.mark.parametrize("seed", range(60))
def test_by_words_an_unbounded_beam_finds_every_text_with_its_exact_probability(seed):
    """With the probability of the text followed by a space; decode and score agree about it."""
    rng = np.random.default_rng(seed)
    log_probs = random_log_probs(rng, int(rng.integers(1, 7)), 4)
    search = BeamSearch(LETTERS, random_lm(rng), 0.8, 0.3, **UNBOUNDED)
    hypotheses = search.decode(log_probs, n_best=10**6)
    paths = {}
    for path in product(range(4), repeat=len(log_probs)):
        text = LETTERS.decode(collapse(path))
        text = text if text == " " else text.removesuffix(" ")  # no text begins with a space
        paths[text] = paths.get(text, 0) + math.exp(sum(log_probs[range(len(path)), path]))
    for h in hypotheses:
        assert math.exp(h.log_prob) == pytest.approx(paths[h.text], abs=PROBABILITY)
        assert search.score(log_probs, h.text)[:4] == pytest.approx(h[:4], abs=BEAM_SCORE)
        assert search.score(log_probs, f" {h.text.replace(' ', '  ')} ").labels == h.labels


@pytest.mark.parametrize("symbols", ["ab ", "ba "])
@pytest.mark.parametrize("text", [" a", "a  b", "  ab ", "a b   "])
def test_certain_spaces_do_not_lose_the_text(symbols, text):
    alphabet = Alphabet(symbols)
    path = [k for label in alphabet.encode(text) for k in (label, 0)]
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.eye(4)[path])
    for options in ({"lm": unigrams({"a": 0.1, "b": 0.1}), "alpha": 1.0}, {"lexicon": ["a", "b", "ab"]}):
        best, *_ = BeamSearch(alphabet, **options).decode(log_probs)
        assert (best.text, best.log_prob) == (" ".join(text.split()), 0)


@pytest.mark.parametrize("alpha", [10.0, 100.0, 1000.0])
def test_a_large_alpha_does_not_lose_a_certain_text(alpha):
    text = "abbabba bab"
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.eye(4)[[k for label in LETTERS.encode(text) for k in (label, 0)]])
    search = BeamSearch(LETTERS, unigrams({"abb": 0.5, "b": 1e-9}), alpha=alpha)
    assert search.decode(log_probs)[0] == search.score(log_probs, text)


@pytest.mark.parametrize("width", [1, 2, 8, 50])
def test_a_narrow_beam_never_overestimates_a_probability(width):
    rng = np.random.default_rng(width)
    search = BeamSearch(LETTERS, beam_width=width, **ALL)
    for _ in range(20):
        log_probs = random_log_probs(rng, 12, 4)
        for hypothesis in search.decode(log_probs, n_best=width):
            assert hypothesis.log_prob <= search.score(log_probs, hypothesis.text).log_prob + BEAM_SCORE


def test_discarded_prefixes_keep_their_alignments():
    """The probability that the beam misses, in nats; without their alignments it is 0.7, 0.4 and 0.2."""
    rng = np.random.default_rng(0)
    cases = [random_log_probs(rng, 10, 4) for _ in range(60)]
    for width, bound in [(2, 0.4), (4, 0.2), (8, 0.1)]:
        search = BeamSearch("abc", beam_width=width, **ALL)
        best = [search.decode(log_probs)[0] for log_probs in cases]
        missed = [search.score(y, h.text).log_prob - h.log_prob for y, h in zip(cases, best, strict=True)]
        assert np.mean(missed) < bound


@pytest.mark.filterwarnings("ignore::minids.decode.lexicon.LanguageWarning")  # a lexicon, and characters
@pytest.mark.parametrize("seed", range(300))
def test_the_reference_search_agrees(seed):
    """Every text of the last beam and its scores, for any model, lexicon, width and thresholds."""
    rng = np.random.default_rng(seed)
    log_probs = random_log_probs(rng, int(rng.integers(0, 14)), 4)
    if rng.random() < 0.3:
        log_probs = zero_some(rng, log_probs)
    kinds = [
        None,
        random_lm(rng),
        random_lm(rng),
        random_lm(rng, ["a", "|", "b"]),
        random_lm(rng, ["|", "b"]),
    ]
    lm = kinds[rng.integers(len(kinds))]
    lexicon = [None, ["a", "ab", "ba"], ["ab", "b", "bbb"]][rng.integers(3)]
    alpha, beta = float(rng.choice([0, 0.5, 1.7, 10])), float(rng.choice([0, 1.5, -1]))
    width = int(rng.integers(1, 30))
    symbols, beam = float(rng.choice([OFF, -2])), float(rng.choice([OFF, -3]))
    hot_words = [None, {"ab": 2.5, "aab": 0.7}, {"bb": 4.0, "b": 1.0, "a": 20.0}][rng.integers(3)]
    alphabet = [LETTERS, PIECES, LETTERS][rng.integers(3)]
    if alphabet is PIECES:
        log_probs = random_log_probs(rng, len(log_probs), 6)
        lm = None if lm and "|" in lm.words else lm
    language = Language(alphabet, lm, lexicon).with_hot_words(hot_words)
    arguments = (log_probs, language, alpha, beta, width, symbols, beam)
    expected = prefix_beam_search(*arguments)
    if not expected and language.mode == LanguageMode.WORDS and alphabet is LETTERS:
        expected = prefix_beam_search(*arguments, extra_spaces=True)
    search = BeamSearch(alphabet, lm, alpha, beta, width, lexicon, symbols, beam)
    found = search.decode(log_probs, n_best=10**6, hot_words=hot_words)
    assert [h.score for h in found] == sorted([h.score for h in found], reverse=True)
    texts = {}
    for labels, numbers in expected.items():
        texts.setdefault(language.text(labels), []).append(numbers)
    if expected:
        assert {h.text for h in found} == texts.keys()
    for text, numbers in texts.items():  # several numbers: the pieces that spell a text, whose sum counts
        [hypothesis] = [h for h in found if h.text == text]
        log_prob = np.logaddexp.reduce([n.log_prob for n in numbers])
        best = max(numbers)
        score = best.score - best.log_prob + log_prob
        assert hypothesis[1:4] == pytest.approx((score, log_prob, best.lm_log_prob), abs=BEAM_SCORE)
        assert hypothesis.labels in expected


@pytest.mark.parametrize("seed", range(40))
def test_the_pieces_of_a_text_are_summed(seed):
    """decode and score against all paths of the network; the probabilities of all texts add up to 1."""
    rng = np.random.default_rng(seed)
    log_probs = random_log_probs(rng, int(rng.integers(1, 6)), 6)
    lm, hot_words = [None, random_lm(rng)][seed % 2], {"ab": 1.5}
    search = BeamSearch(PIECES, lm, 0.8, 0.3, hot_words=hot_words, **UNBOUNDED)
    paths = {}
    for path in product(range(6), repeat=len(log_probs)):
        text = " ".join("".join(PIECES.symbols[k - 1] for k in collapse(path)).replace("▁", " ").split())
        paths[text] = paths.get(text, 0) + math.exp(sum(log_probs[range(len(path)), path]))
    found = search.decode(log_probs, n_best=10**6)
    assert sum(math.exp(h.log_prob) for h in found) == pytest.approx(1, abs=PROBABILITY)
    for h in found:
        assert math.exp(h.log_prob) == pytest.approx(paths[h.text], abs=PROBABILITY)
        words = h.text.split()
        expected = h.log_prob + 0.8 * h.lm_log_prob + 0.3 * len(words) + 1.5 * words.count("ab")
        assert h.score == pytest.approx(expected, abs=BEAM_SCORE)
        with pytest.raises(InputError, match="cannot be scored: word pieces spell it in several ways"):
            search.score(log_probs, h.text)
        of_these_pieces = search.score(log_probs, h.labels)
        assert of_these_pieces.log_prob <= h.log_prob + BEAM_SCORE
        assert of_these_pieces.score - of_these_pieces.log_prob == pytest.approx(
            h.score - h.log_prob, abs=1e-9
        )
        if lm:
            spelled = sum(len(word) * math.log(3) for word in words if word not in [*lm.words, "ab"])
            assert h.lm_log_prob == pytest.approx(lm.log_prob(words) - spelled, abs=BEAM_SCORE)


def test_hot_words_win_against_similar_words():
    """An unknown word is not spelled if it is hot, nor excluded by a lexicon."""
    alphabet = Alphabet(ENGLISH)
    log_probs = peaked(alphabet.encode("i vote now"), len(alphabet), 0.8)
    log_probs[4:6] = np.log((np.exp(log_probs[4:6]) + 3 / len(alphabet)) / 4)  # t and e, or anything
    lm = unigrams({"i": 0.2, "vote": 0.2, "now": 0.2})
    search = BeamSearch(alphabet, lm, alpha=1.0, beta=1.0, token_min_logp=OFF)
    assert search.decode(log_probs)[0].text == "i vote now"
    assert search.decode(log_probs, hot_words=["Vols"])[0].text == "i vols now"
    assert search.decode(log_probs, hot_words={"vols": 1.0})[0].text == "i vote now"
    assert search.decode_batch([log_probs], hot_words=["Vols!"])[0][0].text == "i vols now"
    assert search.decode(log_probs)[0].text == "i vote now"
    always = BeamSearch(alphabet, lm, 1.0, 1.0, token_min_logp=OFF, hot_words=["Mr Vols"])
    best = always.decode(log_probs)[0]
    assert best.text == "i vols now"
    assert best == always.decode(log_probs, hot_words={"mr": 5, "vols": 5})[0]
    assert best == always.decode(log_probs, hot_words={"the vols": 5, "Vols": 1, "mr": 0})[0]
    assert always.score(log_probs, best.text).score == pytest.approx(best.score, abs=0.1)
    assert always.decode(log_probs, hot_words={})[0].text == "i vote now"
    words = BeamSearch(alphabet, lexicon=["i", "vote", "now"], token_min_logp=OFF)
    assert words.decode(log_probs)[0].text == "i vote now"
    assert words.score(log_probs, "i vols now").score == -INF < words.score(log_probs, "i now").score
    assert words.decode(log_probs, hot_words=["vols"])[0].text == "i vols now"


def test_hot_words_outside_the_alphabet_are_reported():
    search = BeamSearch(LETTERS)
    with pytest.warns(LanguageWarning, match=r"1 of 2 words of the hot words \(such as 'cab'\) cannot"):
        search.decode(np.log([[0.25] * 4]), hot_words=["ab", "cab"])
    for hot_words, message in [
        (["cab"], "1 of 1 words of the hot words .such as 'cab'. cannot"),
        ("ab", "hot words are a list of strings"),
        ([3], "hot words are a list of strings"),
        ({"ab": 21}, "weight of the hot word 'ab' is 21; give a number from 0 to 20"),
        ({"ab": math.nan}, "weight of the hot word 'ab' is nan"),
        ({"ab": "5"}, "weight of the hot word 'ab' is 5"),
    ]:
        with pytest.raises(InputError, match=message):
            search.decode(np.log([[0.25] * 4]), hot_words=hot_words)


@pytest.mark.parametrize("blank", [0, 1, 3])
def test_the_blank_may_have_any_column_and_the_space_any_name(blank):
    rng = np.random.default_rng(blank)
    log_probs = random_log_probs(rng, 12, 4)
    usual = BeamSearch(LETTERS, unigrams({"a": 0.4, "ab": 0.3}), alpha=1.0)
    other = BeamSearch(["a", "b", "|"], unigrams({"a": 0.4, "ab": 0.3}), alpha=1.0, blank=blank, space="|")
    columns = [1, 2, 3]
    columns.insert(blank, 0)
    assert other.decode(log_probs[:, columns]) == usual.decode(log_probs)
    assert other.score(log_probs[:, columns], "ab a") == usual.score(log_probs, "ab a")
    with pytest.raises(InputError, match="the alphabet has no '_'"):
        BeamSearch(["a", "b", "|"], space="_")
    with pytest.raises(ValueError, match="blank"):
        BeamSearch(["a", "b", "|"], blank=4)


def test_a_score_is_the_sum_of_its_parts():
    rng = np.random.default_rng(0)
    lm = random_lm(rng)
    search = BeamSearch(LETTERS, lm, alpha=0.7, beta=0.4)
    for hypothesis in search.decode(random_log_probs(rng, 30, 4)):
        words = hypothesis.text.split()
        spelled = sum(len(word) * math.log(3) for word in words if word not in lm.words)
        assert hypothesis.lm_log_prob == pytest.approx(lm.log_prob(words) - spelled, abs=BEAM_SCORE)
        parts = hypothesis.log_prob + 0.7 * hypothesis.lm_log_prob + 0.4 * len(words)
        assert hypothesis.score == pytest.approx(parts, abs=BEAM_SCORE)


def test_a_language_model_corrects_what_sounds_alike():
    alphabet = Alphabet("abekors ")
    log_probs = peaked(alphabet.encode("a sore"), len(alphabet), probability=0.6)
    lm = unigrams({"a": 0.4, "soar": 0.4, "sore": 1e-9})
    assert BeamSearch(alphabet).decode(log_probs)[0].text == "a sore"
    log_probs[4:, :] = np.log(1 / len(alphabet))  # "so" and then anything
    assert BeamSearch(alphabet, lm, alpha=1.0, token_min_logp=OFF).decode(log_probs)[0].text == "a soar"


@pytest.mark.parametrize("alpha", [0.3, 1.0, 1.5])
def test_an_unknown_word_does_not_swallow_its_neighbor(alpha):
    """The space between them is weak; a rare word costs less than four more letters."""
    alphabet = Alphabet(ENGLISH)
    log_probs = peaked([*alphabet.encode("kvothe"), 0, *alphabet.encode("said")], len(alphabet), 0.97)
    log_probs[6] = np.log([0.6, 0.3] + [0.1 / 27] * 27)
    lm = unigrams({"said": 0.001, "umbrella": 0.5})
    assert BeamSearch(alphabet).decode(log_probs)[0].text == "kvothesaid"
    assert BeamSearch(alphabet, lm, alpha, beta=0.0).decode(log_probs)[0].text == "kvothe said"


def test_texts_have_single_spaces_and_none_at_their_ends():
    path = [3, 1, 0, 3, 3, 0, 2, 0, 3]
    lm = unigrams({"a": 0.4, "b": 0.4})
    assert BeamSearch(LETTERS).decode(peaked(path, 4))[0].text == " a b "
    found = BeamSearch(LETTERS, lm, alpha=0.5).decode(peaked(path, 4))
    assert found[0].text == "a b"
    assert len({h.text for h in found}) == len(found)


def test_a_lexicon_can_be_a_file(tmp_path):
    (tmp_path / "words.txt").write_text("\ufeffab\r\n\n ba \n", encoding="utf-8")
    for source in (tmp_path / "words.txt", str(tmp_path / "words.txt")):
        assert BeamSearch(LETTERS, lexicon=source).language.words.keys() == {(1, 2), (2, 1)}
    assert BeamSearch(LETTERS, lexicon=["ab\n", "ba"]).language.words.keys() == {(1, 2), (2, 1)}
    (tmp_path / "words.txt").write_text("ab\n\nab ba\n")
    with pytest.raises(InputError, match=r"words.txt:3: 'ab ba' is not a word"):
        BeamSearch(LETTERS, lexicon=tmp_path / "words.txt")
    with pytest.raises(InputError, match="missing"):
        BeamSearch(LETTERS, lexicon="missing")


def test_lexicon_words_outside_the_alphabet_are_reported():
    with pytest.warns(LanguageWarning, match=r"2 of 4 words of the lexicon \(such as 'cab'\) cannot"):
        search = BeamSearch(LETTERS, lexicon=["ab", "caf\u00e9", "B", "cab"])
    assert search.language.words.keys() == {(1, 2), (2,)}


@pytest.mark.parametrize("symbols", ["abcd", "abcd|"])
def test_a_model_of_words_for_an_alphabet_without_a_space_is_reported(symbols):
    with pytest.warns(LanguageWarning, match="the alphabet has no space to separate them"):
        BeamSearch(symbols, unigrams({"ab": 0.4, "cd": 0.3}))


def test_a_lexicon_restricts_the_search_to_its_words():
    rng = np.random.default_rng(3)
    lexicon = ["abba", "baa", "aa"]
    for _ in range(30):
        for hypothesis in BeamSearch(LETTERS, lexicon=lexicon).decode(random_log_probs(rng, 20, 4)):
            assert set(hypothesis.text.split()) <= set(lexicon)


def test_with_a_lexicon_an_incomplete_last_word_is_removed():
    """The score is that of the shorter text."""
    log_probs = peaked([1, 3, 1, 2], 4)  # "a ab"
    search = BeamSearch(LETTERS, lexicon=["a", "abb"], beam_width=1, beam_prune_logp=OFF)
    assert search.decode(log_probs) == [search.score(log_probs, "a")]


def test_the_text_is_empty_if_the_lexicon_allows_none():
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.eye(4)[[2, 3, 1, 2]])  # certainly "b ab"
    assert BeamSearch(LETTERS, lexicon=["a", "abb"]).decode(log_probs) == [("", -INF, -INF, 0.0, ())]
    assert not prefix_beam_search(log_probs, Language(LETTERS, None, ["a"]), 0, 0, 5)


def test_a_model_of_characters_scores_every_symbol():
    rng = np.random.default_rng(9)
    lm = random_lm(rng, ["a", "b", "|"])
    for hypothesis in BeamSearch(LETTERS, lm, alpha=0.7, beta=0.4).decode(random_log_probs(rng, 30, 4)):
        expected = lm.log_prob(" ".join(hypothesis.text.replace(" ", "|")))
        assert hypothesis.lm_log_prob == pytest.approx(expected, abs=BEAM_SCORE)
        words = len(hypothesis.text.split())
        parts = hypothesis.log_prob + 0.7 * expected + 0.4 * words
        assert hypothesis.score == pytest.approx(parts, abs=BEAM_SCORE)


def test_words_outside_the_alphabet_are_reported():
    with pytest.warns(LanguageWarning, match="1 of 5 words of the language model .such as 'c.'. cannot"):
        BeamSearch(LETTERS, unigrams({"a": 0.4, "c.": 0.3}))


def test_an_upper_case_language_model_fits_a_lower_case_alphabet():
    log_probs = peaked(LETTERS.encode("ab a"), 4)
    found = BeamSearch(LETTERS, unigrams({"AB": 0.4, "A": 0.3}), alpha=1.0).decode(log_probs)[0]
    assert found.text == "ab a"
    assert found.lm_log_prob == pytest.approx(math.log(0.4 * 0.3 * 0.1), abs=1e-6)


def test_symbols_below_the_threshold_are_skipped_but_never_the_best():
    log_probs = np.log([[0.01, 0.98, 0.01]])
    search = BeamSearch("ab", token_min_logp=-1.0, beam_prune_logp=OFF)
    assert {h.text for h in search.decode(log_probs)} == {"a", ""}
    assert BeamSearch("ab", token_min_logp=0.0).decode(log_probs)[0].text == "a"


def test_decode_batch_equals_decode_for_each_utterance():
    rng = np.random.default_rng(5)
    many = [random_log_probs(rng, int(T), 4) for T in rng.integers(0, 40, 20)]
    search = BeamSearch(LETTERS, random_lm(rng), alpha=0.5, beta=0.5)
    expected = [search.decode(log_probs) for log_probs in many]
    for workers in (None, 1, 3):
        assert search.decode_batch(many, workers=workers) == expected
    assert search.decode_batch([]) == []


def test_long_recordings_do_not_underflow():
    T = 100_000
    log_probs = np.log(np.tile([[0.5, 0.3, 0.2]], (T, 1)))
    log_probs[:, 1:] = np.log([1e-300, 1e-300])
    log_probs[:, 0] = 0.0
    log_probs[7, :2] = np.log([1e-200, 1.0])
    best = BeamSearch("ab", beam_width=3, **ALL).decode(log_probs)[0]
    assert best.text == "a"
    assert best.log_prob == pytest.approx(0.0, abs=BEAM_SCORE)


def test_a_prefix_that_becomes_very_unlikely_stays_finite():
    """ "ab" survives on blanks alone while "a" repeats, at e^-7.3 per frame; then "b" is likely again."""
    blank = math.exp(-7.3)
    repeated = [[blank, 1 - blank - 1e-9, 1e-9]] * 100
    log_probs = np.log([[1e-12, 1 - 2e-12, 1e-12], [0.3, 0.4, 0.3], *repeated, [0.1, 0.1, 0.8]])
    language = Language(Alphabet("ab"), lexicon=["a", "ab"])  # only two texts: both stay in the beam
    expected = prefix_beam_search(log_probs, language, 0, 0, 10, -6.0, OFF)
    search = BeamSearch("ab", None, 0, 0, 10, ["a", "ab"], token_min_logp=-6.0, beam_prune_logp=OFF)
    best = search.decode(log_probs)[0]
    assert best.text == "ab"
    assert best.log_prob == pytest.approx(expected[1, 2].log_prob, abs=BEAM_SCORE)


def test_ctrl_c_is_a_keyboard_interrupt():
    """Ctrl-C during compiled code does not crash."""
    code = """
import os, signal, threading
import numpy as np
from minids.decode.beam_search import BeamSearch
rng = np.random.default_rng(0)
y = rng.normal(size=(200, 28))
y -= np.log(np.exp(y).sum(axis=1, keepdims=True))
search = BeamSearch("abcdefghijklmnopqrstuvwxyz ", beam_width=1000, beam_prune_logp=-np.inf)
search.decode(y[:2])
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    while True:
        search.decode(y)
except KeyboardInterrupt:
    print("stopped")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr


def test_an_alphabet_of_2000_symbols():
    alphabet = Alphabet([chr(0xAC00 + i) for i in range(2000)] + [" "])
    text = "가각간 갇갈"
    log_probs = peaked(alphabet.encode(text), len(alphabet)).astype(np.float32)
    search = BeamSearch(alphabet, unigrams({"가각간": 0.4, "갇갈": 0.4}), alpha=1.0)
    assert search.decode(log_probs)[0].text == text


def test_set_weights_changes_alpha_and_beta():
    rng = np.random.default_rng(6)
    lm, log_probs = random_lm(rng), random_log_probs(rng, 20, 4)
    search = BeamSearch(LETTERS, lm)
    search.set_weights(1.5, 0.5)
    assert search.decode(log_probs) == BeamSearch(LETTERS, lm, 1.5, 0.5).decode(log_probs)


def test_a_trie_contains_exactly_its_words():
    rng = np.random.default_rng(7)
    spellings = {tuple(rng.integers(1, 5, rng.integers(1, 6)).tolist()): i for i in range(100)}
    trie = build_trie(spellings, 5)
    beginnings = {word[:n] for word in spellings for n in range(len(word) + 1)}
    assert len(trie) == len(beginnings) + 1

    def walk(labels):
        node = 0
        for c in labels:
            node = find_child(trie, node, c) if node >= 0 else -1
        return node

    for labels in np.ndindex(5, 5, 5, 5):
        for n in range(5):
            node = walk(labels[:n])
            assert (node >= 0) == (labels[:n] in beginnings)
            if node >= 0:
                assert trie[node]["word"] == spellings.get(labels[:n], -1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam_width": 0}, "beam_width is 0"),
        ({"beam_width": 10**30}, "beam_width is 10+;"),
        ({"beam_width": 2.5}, "beam_width is 2.5;"),
        ({"alpha": -1.0}, "alpha is -1.0"),
        ({"alpha": math.nan}, "alpha is nan"),
        ({"alpha": 1e308}, "alpha is 1e.308; give a number from 0 to 1000"),
        ({"beta": INF}, "beta is inf"),
        ({"beta": -1e9}, "beta is -1000000000.0; give a number from -100 to 100"),
        ({"beam_width": math.nan}, "beam_width is nan"),
        ({"beam_width": "5"}, "beam_width is 5"),
        ({"beam_width": True}, "beam_width is True"),
        ({"token_min_logp": False}, "token_min_logp is False"),
        ({"token_min_logp": 1.0}, "token_min_logp is 1.0; give a negative"),
        ({"beam_prune_logp": math.nan}, "beam_prune_logp is nan"),
        ({"lexicon": []}, "no word of the lexicon"),
        ({"lexicon": ["a", ""]}, "lexicon entry 2: '' is not a word; give one word"),
        ({"lexicon": ["a b"]}, "lexicon entry 1: 'a b' is not a word; give one word"),
        ({"lexicon": ["a", 5]}, "lexicon entry 2: 5 is not a word"),
        ({"lexicon": ["привет"]}, "no word of the lexicon .such as 'привет'."),
        ({"lm": unigrams({"привет": 0.5})}, "no word of the language model .such as 'привет'."),
    ],
)
def test_invalid_settings_are_rejected(settings, message):
    with pytest.raises(InputError, match=message):
        BeamSearch(LETTERS, **settings)


@pytest.mark.parametrize(
    ("log_probs", "message"),
    [
        (np.zeros((3, 5)), r"shape \(3, 5\)"),
        (np.zeros(4), r"shape \(4,\)"),
        (np.full((2, 4), 0.25), "frame 0 .* sum to 5.136"),
        (np.log([[0.25] * 4, [0.5] * 4]), "frame 1 .* sum to 2, "),
        (np.log([[0.25] * 4, [math.nan] * 4]), "frame 1 .* sum to nan"),
        (np.full((1, 4), 1000.0), "frame 0 .* sum to inf"),
        (np.log(np.full((2, 4), 0.25)).astype(complex), "real numbers, not complex"),
        ([["a", "b", "c", "d"]], "real numbers"),
    ],
)
def test_invalid_log_probs_are_rejected(log_probs, message):
    with pytest.raises(InputError, match=message):
        BeamSearch(LETTERS).decode(log_probs)
    with pytest.raises(InputError, match=message):
        BeamSearch(LETTERS).score(log_probs, "a")


@pytest.mark.parametrize("n_best", [0, -1, 1.5, math.nan, "3"])
def test_n_best_must_be_a_positive_number(n_best):
    with pytest.raises(InputError, match=f"n_best is {n_best}"):
        BeamSearch(LETTERS).decode(np.log([[0.25] * 4]), n_best=n_best)
    with pytest.raises(InputError, match="workers is 0"):
        BeamSearch(LETTERS).decode_batch([], workers=0)


def test_any_layout_and_type_of_log_probs_gives_the_same_hypotheses():
    log_probs = random_log_probs(np.random.default_rng(2), 9, 4).astype(np.float32)
    expected = BeamSearch(LETTERS).decode(log_probs)
    read_only = log_probs.copy()
    read_only.flags.writeable = False
    strided = np.repeat(log_probs, 2, axis=0)[::2]
    for same in (
        np.asfortranarray(log_probs),
        log_probs.astype(">f4"),
        read_only,
        strided,
        log_probs.tolist(),
    ):
        assert BeamSearch(LETTERS).decode(same) == expected
    assert BeamSearch(LETTERS).decode(np.zeros((0, 4))) == [("", 0.0, 0.0, 0.0, ())]


def test_a_beam_beyond_32_bit_indices_is_an_error():
    alphabet = Alphabet([chr(0x4E00 + i) for i in range(2999)])
    log_probs = np.log(np.full((3, 3000), 1 / 3000))
    with pytest.raises(InputError, match="out of memory with beam_width 1000000"):
        BeamSearch(alphabet, beam_width=10**6).decode(log_probs)


@pytest.mark.parametrize("labels", [[0], [4], [-1], [1.0], [2**32 + 1], [[1]], np.array([255], np.uint8)])
def test_invalid_labels_cannot_be_scored(labels):
    with pytest.raises(InputError, match="cannot be scored: labels must"):
        BeamSearch(LETTERS).score(np.log([[0.25] * 4]), labels)


def test_threads_and_pickles_share_a_search():
    """Every thread gets its own results, also while another changes alpha and beta."""
    rng = np.random.default_rng(4)
    lm = random_lm(rng)
    search = BeamSearch(LETTERS, lm, 0.5, 0.5)
    many = [random_log_probs(rng, 30, 4) for _ in range(40)]
    weights = [(0.5, 0.5), (1.5, -0.5)]
    expected = [[BeamSearch(LETTERS, lm, *w).decode(y) for w in weights] for y in many]
    copy = pickle.loads(pickle.dumps(search))
    assert [copy.decode(y) for y in many] == [before for before, _ in expected]

    def decode(i):
        search.set_weights(*weights[i % 2])
        return i, search.decode(many[i])

    with ThreadPoolExecutor(8) as pool:
        for i, hypotheses in pool.map(decode, [*range(len(many))] * 5):
            assert hypotheses in expected[i]


def test_a_text_outside_the_alphabet_cannot_be_scored():
    with pytest.raises(InputError, match="'cab' cannot be scored: the alphabet has no 'c'"):
        BeamSearch(LETTERS).score(np.log([[0.25] * 4]), "cab")
