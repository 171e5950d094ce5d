"""Writing ARPA files: they are read back, by this package and by KenLM."""

import gzip

import numpy as np
import pytest

from minids.lm.arpa_reader import read_arpa
from minids.lm.arpa_writer import write_arpa
from minids.lm.arrays import NGramArrays
from minids.lm.ngram import NGram
from tests.lm.dictionary_model import DATA, LN10, DictionaryModel, ngrams, random_arpa
from tests.tolerances import LM_ARPA, LM_FLOAT32


@pytest.mark.parametrize("order", [1, 3])
def test_a_written_model_is_read_back(tmp_path, order):
    text = random_arpa(np.random.default_rng(order), order, 6, 0.5)
    (tmp_path / "model.arpa").write_text(text)
    arrays, expected = read_arpa(tmp_path / "model.arpa"), DictionaryModel(text).grams
    for name in ("again.arpa", "again.arpa.gz"):
        write_arpa(tmp_path / name, arrays)
        numbers = ngrams(NGram(*read_arpa(tmp_path / name)))
        assert numbers.keys() == expected.keys()
        log10 = np.divide(list(numbers.values()), LN10)
        np.testing.assert_allclose(log10, [expected[words] for words in numbers], 0, LM_ARPA)
    assert DictionaryModel((tmp_path / "again.arpa").read_text()).grams == {
        words: pytest.approx(pair, abs=LM_ARPA) for words, pair in expected.items()
    }
    assert (
        gzip.decompress((tmp_path / "again.arpa.gz").read_bytes()) == (tmp_path / "again.arpa").read_bytes()
    )


@pytest.mark.parametrize("name", ["same.arpa", "same.arpa.gz"])
def test_equal_models_give_equal_bytes(tmp_path, name):
    arrays = read_arpa(DATA / "lmplz.arpa")
    written = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_arpa(tmp_path / folder / name, arrays)
        written.append((tmp_path / folder / name).read_bytes())
    assert written[0] == written[1]


def test_numbers_have_seven_decimals(tmp_path):
    values = [0, -0.5, -1e-9, -2e-7, -9.99999996, -12.3456789, -99, -345678.125]
    words = ["<unk>", "<s>", "</s>", *(f"w{i}" for i in range(5))]
    log_probs, zeros = np.array([0, *values]) * LN10, np.zeros(9, np.int32)
    arrays = NGramArrays(words, np.array([0, 1, 9]), zeros, np.arange(-1, 8), log_probs, zeros.astype(float))
    write_arpa(tmp_path / "numbers.arpa", arrays)
    lines = (tmp_path / "numbers.arpa").read_text().split("\\1-grams:\n")[1].splitlines()
    numbers = [line.split("\t")[0] for line in lines[:8]]
    assert [*map(float, numbers)] == pytest.approx(values, rel=LM_FLOAT32, abs=1e-7)
    assert numbers[:4] == ["0", "-0.5", "0", "-0.0000002"]
    assert all(len(number.partition(".")[2]) <= 7 and not number.endswith(".0") for number in numbers)


def test_the_size_of_the_buffer_does_not_matter(tmp_path, monkeypatch):
    arrays = read_arpa(DATA / "lmplz.arpa")
    write_arpa(tmp_path / "one.arpa", arrays)
    monkeypatch.setattr("minids.lm.arpa_writer.BLOCK_SIZE", 100)
    monkeypatch.setattr("minids.lm.arpa_writer.NGRAMS_AT_ONCE", 7)
    write_arpa(tmp_path / "two.arpa", arrays)
    assert (tmp_path / "one.arpa").read_bytes() == (tmp_path / "two.arpa").read_bytes()


def test_kenlm_reads_a_written_model(tmp_path):
    kenlm = pytest.importorskip("kenlm", reason="the kenlm package is not installed")
    write_arpa(tmp_path / "ours.arpa", read_arpa(DATA / "lmplz_pruned.arpa"))
    theirs = kenlm.Model(str(DATA / "lmplz_pruned.arpa"))
    ours = kenlm.Model(str(tmp_path / "ours.arpa"))
    for line in (DATA / "heldout.txt").read_text().splitlines():
        assert ours.score(line) == pytest.approx(theirs.score(line), abs=1e-5)
