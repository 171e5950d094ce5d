"""Hangul by its letters: texts and models have syllables, the network has jamo, and the search knows both."""

import unicodedata

import numpy as np
import pytest

from minids.decode.align import forced_align
from minids.decode.beam_search import BeamSearch
from minids.decode.greedy import greedy
from minids.decode.path import word_times
from minids.lm.ngram import NGram
from minids.lm.text_filter import Characters, NormalizedText
from minids.metrics import cer
from minids.text import Alphabet, normalize

TEXTS = ["안녕하세요 세계", "한국어 값을 읽다", "넓은 강", "값이 없다", "강이 넓다"] * 3
ALPHABET = Alphabet.from_texts(TEXTS, jamo=True)

pytestmark = pytest.mark.filterwarnings("ignore::minids.lm.kneser_ney.DiscountWarning")  # few texts


def posteriors(text, rng, peak=5.0):
    """Noisy log P (T, K): two frames for each letter and one blank after it."""
    labels = [k for label in ALPHABET.encode(text) for k in (label, label, 0)]
    logits = rng.normal(size=(len(labels), len(ALPHABET)))
    logits[np.arange(len(labels)), labels] += peak
    return (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)


KINDS = "alone", "words", "characters", "lexicon"
LEXICON = sorted({word for text in TEXTS for word in text.split()})


def search(kind):
    if kind == "words":
        return BeamSearch(ALPHABET.symbols, NGram.train(TEXTS, order=2), alpha=1.0, beta=1.0, beam_width=50)
    if kind == "characters":
        lm = NGram.train(Characters(NormalizedText(TEXTS, ALPHABET)), order=4)
        return BeamSearch(ALPHABET.symbols, lm, alpha=0.7, beam_width=50)
    return BeamSearch(ALPHABET.symbols, lexicon=LEXICON if kind == "lexicon" else None, beam_width=50)


@pytest.mark.parametrize("kind", KINDS)
def test_every_search_finds_texts_and_composes_them(kind):
    decode, rng = search(kind).decode, np.random.default_rng(0)
    for text in TEXTS[:5]:
        best = decode(posteriors(text, rng))[0].text
        assert best == text
        assert unicodedata.is_normalized("NFC", best)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_language_model_of_syllables_corrects_letters(kind):
    """Of twenty noisy posteriors, more are right with what the language knows than alone."""
    right = {}
    for name in ("alone", kind):
        decode, rng = search(name).decode, np.random.default_rng(1)
        decoded = [(text, decode(posteriors(text, rng, 2.2))[0].text) for text in TEXTS[:5] * 4]
        right[name] = sum(text == found for text, found in decoded)
    assert right["alone"] + 5 < right[kind]


def test_a_decomposed_lexicon_is_the_same():
    rng = np.random.default_rng(0)
    decomposed = [unicodedata.normalize("NFD", word) for word in LEXICON]
    for text in TEXTS[:3]:
        log_probs = posteriors(text, rng, 2.5)
        best = BeamSearch(ALPHABET.symbols, lexicon=decomposed, beam_width=50).decode(log_probs)[0]
        assert best == search("lexicon").decode(log_probs)[0]


def test_alignment_and_word_times_have_whole_syllables():
    text = "값을 읽다"
    log_probs = posteriors(text, np.random.default_rng(0))
    for path in (greedy(log_probs), forced_align(log_probs, ALPHABET.encode(text))):
        words = word_times(path, ALPHABET, frame_seconds=0.1)
        assert [word.text for word in words] == ["값을", "읽다"]
        assert words[0].end < words[1].start


def test_errors_are_counted_in_syllables():
    score = cer(normalize("값을", ALPHABET), unicodedata.normalize("NFD", "갑을"))
    assert (score.substitutions, score.reference_length) == (1, 2)
