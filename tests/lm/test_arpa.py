"""ARPA files: what others write is read, what is broken is refused, what we write is read by others."""

import gzip

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.lm import arpa_reader
from minids.lm.arpa_reader import ArpaWarning, read_arpa
from minids.lm.arpa_writer import write_arpa
from minids.lm.ngram import NGram
from tests.lm.slow_lm import DATA, LN10, SlowModel, random_arpa
from tests.test_fuzz import refused
from tests.tolerances import LM_ARPA, LM_FLOAT32

GOOD = """\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1.5\t<unk>\t0
-99\t<s>\t-0.25
-1\t</s>
-0.5\ta\t-0.125
-0.75\tb\t0.5

\\2-grams:
-0.25\t<s> a\t-0.5
-0.125\ta b
-0.5\tb </s>\t0

\\3-grams:
-0.0625\t<s> a b

\\end\\
"""


def grams(model: NGram) -> dict:
    """Words -> log10 probability, log10 back-off weight."""
    found = {0: ()}
    for i in range(1, len(model.word)):
        found[i] = (*found[model.context[i]], model.words[model.word[i]])
    numbers = zip(model.log_probs / LN10, model.backoff / LN10, strict=True)
    return {words: pair for words, pair in zip(found.values(), numbers, strict=True) if words}


def same(found: dict, expected: dict, tolerance: float) -> None:
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(list(found.values()), [expected[words] for words in found], 0, tolerance)


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "model.arpa"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


# --- what is read --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lmplz.arpa", "lmplz_pruned.arpa"])
def test_a_model_of_lmplz(name):
    model = read_arpa(DATA / name)
    same(grams(model), SlowModel((DATA / name).read_text()).grams, LM_FLOAT32)
    assert model.words[:3] == ["<unk>", "<s>", "</s>"]
    assert model.starts[-1] == len(model.context) == len(model.word)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_blocks_and_rooms_of_any_size_read_the_same(write, monkeypatch, order):
    text = random_arpa(np.random.default_rng(order), order, 6, 0.3)
    path = write(text)
    expected = SlowModel(text).grams
    same(grams(read_arpa(path)), expected, LM_FLOAT32)
    monkeypatch.setattr(arpa_reader, "ROOM", 1)
    for size in (1, 7, 64):
        monkeypatch.setattr(arpa_reader, "BLOCK", size)
        same(grams(read_arpa(path)), expected, LM_FLOAT32)


VARIANTS = {
    "comments before": lambda text: "# a model\n\nngram of somebody\n" + text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "spaces for tabs": lambda text: text.replace("\t", "  "),
    "tabs for spaces": lambda text: text.replace(" a b", "\ta\tb"),
    "space around": lambda text: text.replace("\n-", "\n  -").replace("0\n", "0 \t\n"),
    "blank lines": lambda text: text.replace("\n", "\n\n"),
    "no blank lines": lambda text: text.replace("\n\n", "\n"),
    "IRSTLM's counts": lambda text: text.replace("ngram 2=3", "ngram  2 = 3"),
    "upper-case specials": lambda text: (
        text.replace("<unk>", "<UNK>").replace("<s>", "<S>").replace("/s>", "/S>")
    ),
    "weights of 0 in the highest order": lambda text: text.replace("<s> a b", "<s> a b\t-0.0"),
    "no end of the last line": lambda text: text[:-1],
    "exponents": lambda text: text.replace("-0.0625", "-6.25E-2").replace("\t0.5\n", "\t+5e-01\n"),
    "-inf": lambda text: text.replace("-99", "-inf"),
    "many digits": lambda text: text.replace("-0.0625", "-0.06250000000000000000000000001"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_what_others_write(write, name):
    text = VARIANTS[name](GOOD)
    assert text != GOOD
    same(grams(read_arpa(write(text))), SlowModel(GOOD).grams, LM_FLOAT32)


def test_gzip_is_known_by_its_content(write):
    path = write(gzip.compress(GOOD.encode()))
    same(grams(read_arpa(path)), SlowModel(GOOD).grams, LM_FLOAT32)


def test_a_model_without_unk_gets_one(write):
    path = write(GOOD.replace("-1.5\t<unk>\t0\n", "").replace("1=5", "1=4"))
    with pytest.warns(ArpaWarning, match="<unk>"):
        model = read_arpa(path)
    assert model.words[0] == "<unk>"
    assert model.log_prob("nobody", bos=False, eos=False) == pytest.approx(-100 * LN10)


def test_a_rounding_above_1_is_1(write):
    model = read_arpa(write(GOOD.replace("-0.0625\t<s>", "1e-6\t<s>").replace("-0.5\ta", "1e-6\ta")))
    assert model.log_probs[[4, -1]].tolist() == [0, 0]


def test_an_order_may_be_empty(write):
    text = GOOD.replace("3=1", "3=0").replace("-0.0625\t<s> a b\n", "").replace("<s> a\t-0.5", "<s> a")
    assert read_arpa(write(text)).order == 3


# --- what is refused -----------------------------------------------------------------------------------

LOAD_ERRORS = {
    "nothing": (lambda text: "", r"no line \\data\\"),
    "another text": (lambda text: "a\n" * 5000, r"no line \\data\\"),
    "no counts": (lambda text: text.replace("ngram", "gram"), "line 2 .*ngram 1="),
    "counts out of order": (lambda text: text.replace("ngram 2", "ngram 4"), "line 3 .*2-grams"),
    "a count too low": (lambda text: text.replace("2=3", "2=2"), "line 16 .*one 2-gram more than the 2"),
    "a count too high": (lambda text: text.replace("2=3", "2=4"), "line 18 .*after 3, .* promised 4"),
    "words too few": (lambda text: text.replace("1=5", "1=6"), "line 13 .*after 5, .* promised 6"),
    "words too many": (lambda text: text.replace("1=5", "1=4"), "line 13 .*after 5, .* promised 4"),
    "a moon of a count": (lambda text: text.replace("2=3", f"2={10**17}"), "line 18 .*after 3"),
    "a section missing": (
        lambda text: text.replace("\\3-grams:\n-0.0625\t<s> a b\n", ""),
        r"line 19 should be \\3-grams:, not '\\end\\'",
    ),
    "sections out of order": (lambda text: text.replace("\\2-", "\\3-", 1), r"line 13 should be \\2-grams:"),
    "an order that was not promised": (
        lambda text: text.replace("ngram 3=1\n", "").replace("a\t-0.5", "a"),
        r"line 17 should be \\end\\, not '\\3-grams:",
    ),
    "NaN": (lambda text: text.replace("-0.125\ta b", "nan\ta b"), "line 15 .*finite"),
    "infinite": (lambda text: text.replace("-0.125\ta b", "inf\ta b"), "line 15 .*finite"),
    "huge": (lambda text: text.replace("-0.125\ta b", "-1e30\ta b"), "line 15 .*finite"),
    "no number": (lambda text: text.replace("-0.125\ta b", "a b"), "line 15 .*finite"),
    "half a number": (lambda text: text.replace("-0.125\ta b", "-0.1.2\ta b"), "line 15 .*finite"),
    "positive": (lambda text: text.replace("-0.125\ta b", "0.125\ta b"), "line 15 .*greater than 1"),
    "a positive 1-gram": (lambda text: text.replace("-0.5\ta", "0.5\ta"), "line 10 .*greater than 1"),
    "a weight that is NaN": (lambda text: text.replace("a b\n", "a b\tnan\n", 1), "line 15 .*2 word"),
    "a word too many": (lambda text: text.replace("a b\n", "a b a\n", 1), "line 15 .*2 word"),
    "a word too few": (lambda text: text.replace("a b\n", "a\n", 1), "line 15 .*2 word"),
    "a number alone": (lambda text: text.replace("\ta b\n", "\n", 1), "line 15 .*2 word"),
    "two words in a 1-gram": (lambda text: text.replace("\tb\t", "\tb c\t"), "line 11 .*1 word"),
    "a word twice": (lambda text: text.replace("\tb\t", "\ta\t"), "line 11 .*second time"),
    "an n-gram twice": (lambda text: text.replace("b </s>", "a b"), "line 16 .*second time"),
    "an unknown word": (lambda text: text.replace("\ta b\n", "\ta c\n", 1), "line 15 .*among the 1-grams"),
    "an unknown context": (lambda text: text.replace("<s> a b", "b a b"), "line 19 .*context"),
    "a weight in the highest order": (
        lambda text: text.replace("<s> a b", "<s> a b\t-1"),
        "line 19 .*back-off",
    ),
    "no </s>": (lambda text: text.replace("</s>", "</p>"), "no </s>"),
    "cut in a line": (lambda text: text[:85], r"line 10 .*1 word"),
    "cut after a line": (
        lambda text: text[: text.index("-0.125\ta b")],
        "line 15 .*cut off among its 2-grams",
    ),
    "no end": (lambda text: text.replace("\\end\\", ""), r"should be \\end\\, not the end of the file"),
    "more after the end": (lambda text: text + "more\n", "line 22 .*after"),
    "KenLM's binary form": (lambda text: "mmap lm http://kheafield.com/code format version 5\n\0", "binary"),
}


@pytest.mark.parametrize("name", LOAD_ERRORS)
def test_what_is_broken_is_refused_with_its_line(write, name):
    change, message = LOAD_ERRORS[name]
    text = change(GOOD)
    assert text != GOOD
    path = write(text)
    with pytest.raises(InputError, match=message) as caught:
        read_arpa(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_words_that_are_not_utf8(write):
    content = GOOD.encode().replace(b"b", b"\xff")
    with pytest.raises(InputError, match=r"line 11 .*UTF-8"):
        read_arpa(write(content))


@pytest.mark.parametrize("end", [-1, -9, 40, 12])
def test_gzip_cut_or_damaged(write, end):
    packed = gzip.compress(GOOD.encode())
    with pytest.raises(InputError, match="copy it again"):
        read_arpa(write(packed[:end]))
    turned = bytearray(packed)
    turned[-6] ^= 1  # the checksum
    with pytest.raises(InputError, match="copy it again"):
        read_arpa(write(bytes(turned)))


def test_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_arpa(tmp_path / "none.arpa")
    with pytest.raises(InputError, match="cannot be read"):
        read_arpa(tmp_path)


def test_long_lines_and_zeros_do_not_eat_the_memory(write):
    long = GOOD.replace("\ta b\n", "\ta " + "b" * 100_000_000 + "\n", 1)
    refused(write(long, "long.arpa"), read_arpa)
    refused(write(gzip.compress(long.encode(), 1), "long.arpa.gz"), read_arpa)
    refused(write(bytes(100_000_000), "zeros.arpa"), read_arpa)


# --- what is written -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 3])
def test_what_is_written_is_read_back(tmp_path, write, order):
    text = random_arpa(np.random.default_rng(order), order, 6, 0.5)
    model = read_arpa(write(text))
    for name in ("again.arpa", "again.arpa.gz"):
        write_arpa(tmp_path / name, model)
        same(grams(read_arpa(tmp_path / name)), SlowModel(text).grams, LM_ARPA)
    same(SlowModel((tmp_path / "again.arpa").read_text()).grams, SlowModel(text).grams, LM_ARPA)
    assert (
        gzip.decompress((tmp_path / "again.arpa.gz").read_bytes()) == (tmp_path / "again.arpa").read_bytes()
    )


@pytest.mark.parametrize("name", ["same.arpa", "same.arpa.gz"])
def test_the_same_model_gives_the_same_bytes(tmp_path, name):
    model = read_arpa(DATA / "lmplz.arpa")
    written = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_arpa(tmp_path / folder / name, model)
        written.append((tmp_path / folder / name).read_bytes())
    assert written[0] == written[1]


def test_numbers_as_they_are_written(tmp_path):
    values = [0, -0.5, -1e-9, -2e-7, -9.99999996, -12.3456789, -99, -345678.125, 0.25, -np.inf, -1e38]
    words = ["<unk>", "<s>", "</s>", *(f"w{i}" for i in range(8))]
    log_probs = np.array([0, *values], np.float64) * LN10
    zeros = np.zeros(12, np.int32)
    model = NGram(words, [0, 1, 12], zeros, np.arange(-1, 11), log_probs, zeros.astype(np.float32))
    write_arpa(tmp_path / "numbers.arpa", model)
    lines = (tmp_path / "numbers.arpa").read_text().split("\\1-grams:\n")[1].splitlines()
    expected = ["0", "-0.5", "0", "-0.0000002", "-10", "-12.3456789", "-99", "-345678.125", "0.25"]
    expected += ["-99", "-99"]  # -inf, and what is as good as that
    assert [line.split("\t")[0] for line in lines[:11]] == expected


def test_small_buffers_write_the_same(tmp_path, monkeypatch):
    model = read_arpa(DATA / "lmplz.arpa")
    write_arpa(tmp_path / "one.arpa", model)
    monkeypatch.setattr("minids.lm.arpa_writer.BLOCK", 100)
    write_arpa(tmp_path / "two.arpa", model)
    assert (tmp_path / "one.arpa").read_bytes() == (tmp_path / "two.arpa").read_bytes()


def test_kenlm_reads_what_is_written(tmp_path):
    kenlm = pytest.importorskip("kenlm", reason="the kenlm package is not installed")
    write_arpa(tmp_path / "ours.arpa", read_arpa(DATA / "lmplz_pruned.arpa"))
    theirs = kenlm.Model(str(DATA / "lmplz_pruned.arpa"))
    ours = kenlm.Model(str(tmp_path / "ours.arpa"))
    for line in (DATA / "heldout.txt").read_text().splitlines():
        assert ours.score(line) == pytest.approx(theirs.score(line), abs=1e-5)
