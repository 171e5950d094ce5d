"""Sentences scored many words at a time: as word by word, and a string as its list of words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minids._utils.errors import InputError
from minids.lm._scorer import score
from minids.lm._sentences import CHUNK, TextTotals, score_text, score_words
from minids.lm.ngram import NGram
from minids.lm.vocabulary import BEGIN, END, UNKNOWN
from tests.lm.dictionary_model import DATA, random_arpa
from tests.tolerances import LM_FLOAT32

MODEL = NGram.load(DATA / "lmplz.arpa")


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_many_words_score_as_one_by_one(tmp_path, order):
    """Random models, some pruned; the state continues from one part of a text to the next."""
    rng = np.random.default_rng(order)
    for trial in range(12):
        text = random_arpa(rng, order, words=3, density=[0.15, 0.3, 0.6][trial % 3])
        (tmp_path / "random.arpa").write_text(text)
        model = NGram.load(tmp_path / "random.arpa")
        words = rng.integers(len(model.words), size=150).astype(np.int32)
        expected, states, state = [], [], 0
        for word in words:
            log_prob, state = score(model.tables, state, word)
            state = model.tables.begin if word == BEGIN else int(state)
            expected.append(log_prob)
            states.append(state)
        first, state = 0, 0
        while first < len(words):
            part = words[first : first + int(rng.integers(1, 40))]
            log_probs = np.empty(len(part))
            state = score_words(model.tables, part, state, log_probs)
            last, scored = first + len(part), part != BEGIN
            np.testing.assert_allclose(log_probs[scored], np.array(expected[first:last])[scored], 0, 1e-12)
            assert state == states[last - 1]
            first = last


def test_totals_of_a_text():
    rng = np.random.default_rng(0)
    words = rng.integers(len(MODEL.words), size=3 * CHUNK + 5).astype(np.int32)
    log_probs = np.empty(len(words))
    score_words(MODEL.tables, words, 0, log_probs)
    _, totals = score_text(MODEL.tables, words, 0, TextTotals())
    assert totals.log_prob == pytest.approx(log_probs[words != BEGIN].sum(), rel=LM_FLOAT32)
    assert totals.oov_log_prob == pytest.approx(log_probs[words == UNKNOWN].sum(), rel=LM_FLOAT32)
    counts = [np.count_nonzero(words != BEGIN), *(np.count_nonzero(words == w) for w in (UNKNOWN, END))]
    assert [totals.tokens, totals.oov, totals.sentences] == counts


WORDS = [
    "the",
    "ship",
    "The",
    "caf\u00e9",
    "cafe\u0301",
    "<unk>",
    "<UNK>",
    "a\u200db",
    "\udc80",
    "a\0",
    "\x7f",
]
SPACES = ["", " ", "  ", "\t", "\n", "\x0b", "\x1c", "\x1f", "\x85", "\xa0", "\u2003", "\u2028", "\u3000"]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(WORDS + SPACES)), st.booleans(), st.booleans())
def test_a_string_scores_as_the_list_of_its_words(parts, bos, eos):
    text = "".join(parts)
    assert MODEL.log_prob(text, bos, eos) == MODEL.log_prob(text.split(), bos, eos)


@pytest.mark.filterwarnings("ignore::minids.lm.kneser_ney.DiscountWarning")
def test_words_with_equal_hashes_are_different():
    """These two have the same 64 bits in FNV-1a."""
    pair = ["8yn0iYCKYHlIj4-BwPqk", "GReLUrM4wMqfg9yzV3KQ"]
    model = NGram.train([f"{pair[0]} a", f"b {pair[1]} c", f"b {pair[1]}"], 2)
    assert set(pair) < set(model.words)
    for text in (*pair, "a", "b", "c"):
        assert (
            model.log_prob(text) == model.log_prob([text]) == pytest.approx(model.perplexity([text]).log_prob)
        )
    assert model.log_prob(pair[0]) != model.log_prob(pair[1])
    assert NGram.train([pair[0]], 1).perplexity([pair[1]]).oov == 1


def test_no_words_leave_the_state():
    state = MODEL.tables.begin
    assert score_words(MODEL.tables, np.zeros(0, np.int32), state, np.zeros(0)) == state
    assert MODEL.log_prob("", eos=False) == MODEL.log_prob([], eos=False) == 0


@pytest.mark.parametrize("text", ["a <s> b", "</s>", "the\u00a0</s>", "\x01 <s>"])
def test_the_ends_of_a_sentence_are_not_words(text):
    with pytest.raises(InputError, match="contains no <s> or </s>"):
        MODEL.log_prob(text)
