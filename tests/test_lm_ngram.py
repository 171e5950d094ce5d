"""NGram: sentences and texts scored as KenLM does, both file forms."""

import json
import math
import shutil

import numpy as np
import pytest

import minids
from minids.errors import InputError
from minids.lm.ngram import NGram
from tests.slow_lm import DATA, LN10, SlowModel
from tests.tolerances import LM_FLOAT32, LM_KENLM

KENLM = json.loads((DATA / "kenlm.json").read_text())
MODELS = ["lmplz.arpa", "lmplz_pruned.arpa"]
HELD_OUT = (DATA / "heldout.txt").read_text().splitlines()


def test_the_public_name():
    assert minids.NGram is NGram


@pytest.mark.parametrize("name", MODELS)
def test_sentences_score_as_in_kenlm(name):
    model = NGram.load(DATA / name)
    for text, bos, eos, log10 in KENLM[name]["scores"]:
        expected = pytest.approx(sum(log10), abs=LM_KENLM)
        assert model.log_prob(text, bos=bos, eos=eos) / LN10 == expected, text
        assert model.log_prob(text.split(), bos, eos) / LN10 == expected, text


@pytest.mark.parametrize("name", MODELS)
def test_words_score_as_in_kenlm(name):
    """Each word by itself: the difference that it makes."""
    model = NGram.load(DATA / name)
    for text, bos, eos, log10 in KENLM[name]["scores"]:
        words = text.split()
        before = [model.log_prob(words[:n], bos, False) for n in range(len(words) + 1)]
        before += [model.log_prob(words, bos, True)] if eos else []
        np.testing.assert_allclose(np.diff(before) / LN10, log10, 0, LM_KENLM)


@pytest.mark.parametrize("name", MODELS)
def test_perplexity_is_that_of_kenlms_query(name):
    model, expected = NGram.load(DATA / name), KENLM[name]["query"]
    for source in (DATA / "heldout.txt", HELD_OUT, [*HELD_OUT[:2], "", *HELD_OUT[2:]]):
        found = model.perplexity(source)
        assert found.perplexity == pytest.approx(expected["perplexity"], rel=LM_KENLM)
        assert found.without_oov == pytest.approx(expected["without_oov"], rel=LM_KENLM)
        assert (found.oov, found.sentences) == (expected["oov"], len(HELD_OUT))
        assert found.words + found.sentences == expected["tokens"]
        assert found.log_prob == pytest.approx(sum(map(model.log_prob, HELD_OUT)))


def test_long_texts_go_through_in_blocks(monkeypatch):
    """A sentence goes on from block to block, and its history with it."""
    model = NGram.load(DATA / "lmplz.arpa")
    whole = model.perplexity(HELD_OUT * 3)
    monkeypatch.setattr("minids.lm.words.BLOCK", 20)
    assert model.perplexity(HELD_OUT * 3) == pytest.approx(whole)


def test_letters_in_either_normal_form_are_the_same():
    model = NGram.load(DATA / "lmplz.arpa")
    composed, decomposed = "café überfahrt", "cafe\u0301 u\u0308berfahrt"
    assert composed != decomposed
    assert model.log_prob(decomposed) == model.log_prob(composed)
    assert model.perplexity([decomposed]) == model.perplexity([composed])


def test_a_text_without_words_is_refused():
    with pytest.raises(InputError, match="no words"):
        NGram.load(DATA / "lmplz.arpa").perplexity(["", " "])


def test_words_that_no_text_can_have(tmp_path):
    """Foreign models have words with a DEL; they stand in no one's way."""
    text = (DATA / "lmplz.arpa").read_text().replace("ship", "sh\x7fp").replace("boats", "sh\x7f\x7fp")
    (tmp_path / "foreign.arpa").write_text(text)
    model = NGram.load(tmp_path / "foreign.arpa")
    assert model.perplexity(["a ship at night"]).oov == 1
    assert model.perplexity(HELD_OUT).log_prob == pytest.approx(
        math.fsum(map(model.log_prob, HELD_OUT)), rel=LM_FLOAT32
    )


def test_an_impossible_text_has_an_infinite_perplexity(tmp_path):
    text = (DATA / "lmplz.arpa").read_text().replace("-2.0921683\t<unk>", "-900000\t<unk>")
    (tmp_path / "model.arpa").write_text(text)
    found = NGram.load(tmp_path / "model.arpa").perplexity(["qqq the"])
    assert found.perplexity == math.inf
    assert 1 < found.without_oov < 1000


@pytest.mark.parametrize("ending", [".arpa", ".arpa.gz", ".ngram"])
def test_saved_and_loaded(tmp_path, ending):
    model = NGram.load(DATA / "lmplz_pruned.arpa")
    model.save(tmp_path / f"model{ending}")
    shutil.copy(tmp_path / f"model{ending}", tmp_path / "nameless")  # the content tells
    again = NGram.load(tmp_path / "nameless")
    assert again.words == model.words
    for name in ("starts", "context", "word"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    tolerance = 0 if ending == ".ngram" else LM_FLOAT32
    np.testing.assert_allclose(again.log_probs, model.log_probs, 0, tolerance)
    np.testing.assert_allclose(again.backoff, model.backoff, 0, tolerance)
    assert again.log_prob("the ship left") == pytest.approx(model.log_prob("the ship left"), abs=LM_FLOAT32)


def test_only_arpa_files_are_text(tmp_path):
    model = NGram.load(DATA / "lmplz.arpa")
    model.save(tmp_path / "model.arpa")
    assert SlowModel((tmp_path / "model.arpa").read_text()).grams.keys() == SlowModel(
        (DATA / "lmplz.arpa").read_text()
    ).grams.keys()  # fmt: skip
    model.save(tmp_path / "model")
    assert b"\\data\\" not in (tmp_path / "model").read_bytes()


def test_a_file_that_cannot_be_written(tmp_path):
    model = NGram.load(DATA / "lmplz.arpa")
    for ending in (".arpa", ".arpa.gz", ".ngram"):
        with pytest.raises(InputError, match="cannot write"):
            model.save(tmp_path / "nowhere" / f"model{ending}")


def test_the_quick_form_of_other_arrays_is_refused(tmp_path):
    """Each of these would have Numba read beyond an array, or never end."""
    good = NGram.load(DATA / "lmplz_pruned.arpa")
    starts, last = good.starts, len(good.word) - 1

    def refuse(match: str, **changes):
        bad = NGram(good.words, starts, good.context, good.word, good.log_probs, good.backoff)
        for name, change in changes.items():
            setattr(bad, name, change)
        bad.save(tmp_path / "bad.ngram")
        with pytest.raises(InputError, match=match):
            NGram.load(tmp_path / "bad.ngram")

    def changed(array, index, value):
        array = array.copy()
        array[index] = value
        return array

    refuse("context", context=changed(good.context, last, starts[4]))
    refuse("context", context=changed(good.context, last, 0))
    refuse("word", word=changed(good.word, last, len(good.words)))
    refuse("word", word=changed(good.word, last, -1))
    refuse("1-grams", word=changed(good.word, 5, 7))
    refuse("lengths", starts=changed(starts, -1, starts[-1] + 1))
    refuse("lengths", starts=changed(starts, 3, starts[4] + 1))
    refuse("begin", starts=changed(starts, 2, 5))
    refuse("lengths", log_probs=good.log_probs[:-1])
    refuse("logarithm", log_probs=changed(good.log_probs, 9, np.nan))
    refuse("logarithm", backoff=changed(good.backoff, 9, np.inf))
    refuse("int64", context=good.context.astype(np.int64))
    refuse("different", words=[*good.words[:-1], good.words[5]])
    refuse("<s>", words=["<unk>", "</s>", "<s>", *good.words[3:]])


def test_a_damaged_quick_form_is_refused(tmp_path):
    path = tmp_path / "model.ngram"
    NGram.load(DATA / "lmplz.arpa").save(path)
    content = path.read_bytes()
    for bad in (content[:-1], content[:200], content[:1000] + b"!" + content[1001:]):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=r"model\.ngram cannot be read as a language model"):
            NGram.load(path)


def test_weights_are_no_language_model(tmp_path):
    from tests import tones

    tones.model(tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match="no n-gram model"):
        NGram.load(tmp_path / "weights.safetensors")
