"""NGram: sentences and texts score as in KenLM; both file formats keep a model."""

import io
import json
import math
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minids
from minids._utils.errors import InputError
from minids.lm.ngram import NGram
from tests.lm.dictionary_model import DATA, LN10
from tests.tolerances import LM_ARPA, LM_FLOAT32, LM_KENLM

KENLM = json.loads((DATA / "kenlm.json").read_text())
MODELS = ["lmplz.arpa", "lmplz_pruned.arpa"]
HELD_OUT = (DATA / "heldout.txt").read_text().splitlines()


def test_ngram_is_a_public_name():
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
    """The log probability of a word is the difference that it makes."""
    model = NGram.load(DATA / name)
    for text, bos, eos, log10 in KENLM[name]["scores"]:
        words = text.split()
        before = [model.log_prob(words[:n], bos, False) for n in range(len(words) + 1)]
        before += [model.log_prob(words, bos, True)] if eos else []
        np.testing.assert_allclose(np.diff(before) / LN10, log10, 0, LM_KENLM)


@pytest.mark.parametrize("name", MODELS)
def test_perplexity_agrees_with_kenlms_query(name):
    model, expected = NGram.load(DATA / name), KENLM[name]["query"]
    for source in (DATA / "heldout.txt", HELD_OUT, [*HELD_OUT[:2], "", *HELD_OUT[2:]]):
        result = model.perplexity(source)
        assert result.perplexity == pytest.approx(expected["perplexity"], rel=LM_KENLM)
        assert result.without_oov == pytest.approx(expected["without_oov"], rel=LM_KENLM)
        assert (result.oov, result.sentences) == (expected["oov"], len(HELD_OUT))
        assert result.words + result.sentences == expected["tokens"]
        assert result.log_prob == pytest.approx(sum(map(model.log_prob, HELD_OUT)))


def test_the_size_of_blocks_does_not_matter(monkeypatch):
    """A sentence and its history continue from block to block."""
    model = NGram.load(DATA / "lmplz.arpa")
    expected = model.perplexity(HELD_OUT * 3)
    monkeypatch.setattr("minids.lm.text_source.BLOCK_SIZE", 20)
    assert model.perplexity(HELD_OUT * 3) == pytest.approx(expected)


def test_both_normal_forms_of_a_text_are_equal():
    model = NGram.load(DATA / "lmplz.arpa")
    composed, decomposed = "café überfahrt", "cafe\u0301 u\u0308berfahrt"
    assert composed != decomposed
    assert model.log_prob(decomposed) == model.log_prob(composed)
    assert model.perplexity([decomposed]) == model.perplexity([composed])


def test_words_of_a_model_that_are_equal_in_nfc_are_one(tmp_path):
    """The first of them counts."""
    arpa = "\\data\\\nngram 1=6\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\n-1\t</s>\n"
    arpa += "-0.5\tcafe\u0301\n-0.75\tcaf\u00e9\n-0.25\ttea\n\n\\end\\\n"
    (tmp_path / "m.arpa").write_text(arpa, encoding="utf-8")
    model = NGram.load(tmp_path / "m.arpa")
    assert model.index == {"<unk>": 0, "<s>": 1, "</s>": 2, "caf\u00e9": 3, "tea": 5}
    for text in ("cafe\u0301 tea", "caf\u00e9 tea"):
        result = model.perplexity([text])
        assert result.oov == 0
        assert result.log_prob == pytest.approx(-1.75 * LN10, abs=LM_FLOAT32)
        assert model.log_prob(text) == model.log_prob(text.split()) == pytest.approx(result.log_prob)


@pytest.mark.filterwarnings("ignore::minids.lm.kneser_ney.DiscountWarning")
def test_repr_shows_order_and_sizes():
    model = NGram.load(DATA / "lmplz.arpa")
    counts = [line.split("=")[1] for line in (DATA / "lmplz.arpa").read_text().splitlines() if "=" in line]
    assert all(int(count) < 1000 for count in counts)
    expected = f"{counts[0]} words, " + ", ".join(f"{c} {n}-grams" for n, c in enumerate(counts[1:], 2))
    assert repr(model) == f"NGram(order {len(counts)}, {expected})"
    many = NGram.train([" ".join(f"w{i}" for i in range(1234))], 1)
    assert repr(many) == "NGram(order 1, 1,237 words)"


def test_a_text_without_words_is_refused():
    with pytest.raises(InputError, match="no words"):
        NGram.load(DATA / "lmplz.arpa").perplexity(["", " "])


def test_words_of_a_model_that_no_text_can_have_do_no_harm(tmp_path):
    """Models of other programs may have words with a DEL."""
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
    result = NGram.load(tmp_path / "model.arpa").perplexity(["qqq the"])
    assert result.perplexity == math.inf
    assert 1 < result.without_oov < 1000


@pytest.mark.parametrize("ending", [".arpa", ".arpa.gz", ".ngram"])
def test_a_saved_model_is_loaded_back(tmp_path, ending):
    model = NGram.load(DATA / "lmplz_pruned.arpa")
    model.save(tmp_path / f"model{ending}")
    shutil.copy(tmp_path / f"model{ending}", tmp_path / "nameless")  # the content tells the format
    again = NGram.load(tmp_path / "nameless")
    assert again.words == model.words
    for name in ("starts", "context", "word"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    tolerance = 0 if ending == ".ngram" else LM_FLOAT32
    np.testing.assert_allclose(again.log_probs, model.log_probs, 0, tolerance)
    np.testing.assert_allclose(again.backoff, model.backoff, 0, tolerance)
    assert again.log_prob("the ship left") == pytest.approx(model.log_prob("the ship left"), abs=LM_FLOAT32)


@pytest.mark.parametrize("name", ["model", "model.gz", "model.txt", "model.arpa.bz2", "arpa"])
def test_paths_with_other_suffixes_are_refused(tmp_path, name):
    """Before a file that is something else is replaced."""
    (tmp_path / name).write_text("precious")
    with pytest.raises(InputError, match=r"ends in \.arpa or \.arpa\.gz or \.ngram"):
        NGram.load(DATA / "lmplz.arpa").save(tmp_path / name)
    assert (tmp_path / name).read_text() == "precious"


def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    model = NGram.load(DATA / "lmplz.arpa")
    for ending in (".arpa", ".arpa.gz", ".ngram"):
        with pytest.raises(InputError, match="cannot write"):
            model.save(tmp_path / "nowhere" / f"model{ending}")


@pytest.mark.parametrize("words", [None, 5, b"a b", [b"a"], [5], ["a", None], [["a"]], "a </s> b", ["<s>"]])
def test_what_is_not_a_sentence_is_refused(words):
    with pytest.raises(InputError, match=r"string|<s>"):
        NGram.load(DATA / "lmplz.arpa").log_prob(words)


def test_threads_may_share_a_model():
    model = NGram.load(DATA / "lmplz.arpa")  # its tables are not built yet
    expected = [NGram.load(DATA / "lmplz.arpa").log_prob(line) for line in HELD_OUT]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(model.log_prob, HELD_OUT * 50)) == expected * 50
        perplexities = list(pool.map(model.perplexity, [HELD_OUT] * 50))
    assert len(set(perplexities)) == 1


def test_a_model_is_pickled_without_its_tables():
    model = NGram.load(DATA / "lmplz.arpa")
    size = len(pickle.dumps(model))
    expected = model.log_prob("the ship left")
    assert len(pickle.dumps(model)) == size
    copy = pickle.loads(pickle.dumps(model))
    assert (copy.log_prob("the ship left"), copy.name) == (expected, model.name)


@pytest.mark.parametrize("path", [None, 0, 5, b"model.arpa", io.BytesIO(b"\\data\\"), [DATA / "lmplz.arpa"]])
def test_what_is_not_a_path_is_refused(path):
    with pytest.raises(InputError, match="a string or a Path"):
        NGram.load(path)
    with pytest.raises(InputError, match="a string or a Path"):
        NGram.load(DATA / "lmplz.arpa").save(path)


AWKWARD_WORDS = ["<UNK>", "<Unk>", "<unk>", "<p>", "\\end\\", "\\2-grams:", "-0.5", "ngram", "1=2", "|", "#"]
WORDS = st.text("aé가\u0301\u200b\ufeff\U0001f600", min_size=1) | st.sampled_from(AWKWARD_WORDS)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.text("aé가\u0301\U0001f600", min_size=1) | st.sampled_from(AWKWARD_WORDS)), min_size=1
    )
)
@pytest.mark.filterwarnings("ignore::minids.lm.kneser_ney.DiscountWarning")
def test_any_trained_model_is_saved_and_loaded_back(tmp_path_factory, sentences):
    lines = [" ".join(["a", *words]) for words in sentences]
    model, folder = NGram.train(lines, 3), tmp_path_factory.mktemp("models")
    for name in ("model.arpa", "model.ngram"):
        model.save(folder / name)
        again = NGram.load(folder / name)
        assert again.words == model.words
        assert again.perplexity(lines) == pytest.approx(model.perplexity(lines), rel=LM_ARPA)
    assert model.perplexity(lines).log_prob == pytest.approx(sum(map(model.log_prob, lines)), rel=LM_FLOAT32)
