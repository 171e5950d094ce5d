"""Reading ARPA files: what other programs write is read, what is broken is refused."""

import bz2
import gzip
import lzma

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.lm import arpa_reader
from minids.lm.arpa_reader import ArpaWarning, read_arpa
from minids.lm.ngram import NGram
from tests.lm.dictionary_model import DATA, LN10, DictionaryModel, ngrams, random_arpa
from tests.test_fuzz import refused
from tests.tolerances import LM_FLOAT32

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


def assert_reads(path, expected: str, tolerance: float = LM_FLOAT32) -> None:
    """The file at `path` is read as the model of the text `expected`."""
    numbers = ngrams(NGram(*read_arpa(path)))
    grams = DictionaryModel(expected).grams
    assert numbers.keys() == grams.keys()
    log10 = np.divide(list(numbers.values()), LN10)
    np.testing.assert_allclose(log10, [grams[words] for words in numbers], 0, tolerance)


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "model.arpa"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


# --- accepted --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lmplz.arpa", "lmplz_pruned.arpa"])
def test_a_model_of_lmplz_is_read(name):
    assert_reads(DATA / name, (DATA / name).read_text())


@pytest.mark.parametrize("order", [1, 2, 4])
def test_blocks_and_arrays_of_any_size_give_the_same_model(write, monkeypatch, order):
    text = random_arpa(np.random.default_rng(order), order, 6, 0.3)
    path = write(text)
    assert_reads(path, text)
    monkeypatch.setattr(arpa_reader, "INITIAL_CAPACITY", 1)
    monkeypatch.setattr(arpa_reader, "NGRAMS_AT_ONCE", 2)
    for size in (1, 7, 64):
        monkeypatch.setattr(arpa_reader, "BLOCK_SIZE", size)
        assert_reads(path, text)


VARIANTS = {
    "comments before": lambda text: "# a model\n\nngram of somebody\n" + text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "spaces for tabs": lambda text: text.replace("\t", "  "),
    "tabs for spaces": lambda text: text.replace(" a b", "\ta\tb"),
    "space at both ends": lambda text: text.replace("\n-", "\n  -").replace("0\n", "0 \t\n"),
    "blank lines": lambda text: text.replace("\n", "\n\n"),
    "no blank lines": lambda text: text.replace("\n\n", "\n"),
    "IRSTLM's counts": lambda text: text.replace("ngram 2=3", "ngram  2 = 3"),
    "upper-case specials": lambda text: (
        text.replace("<unk>", "<UNK>").replace("<s>", "<S>").replace("/s>", "/S>")
    ),
    "weights of 0 in the highest order": lambda text: text.replace("<s> a b", "<s> a b\t-0.0"),
    "no newline at the end": lambda text: text[:-1],
    "exponents": lambda text: text.replace("-0.0625", "-6.25E-2").replace("\t0.5\n", "\t+5e-01\n"),
    "-inf": lambda text: text.replace("-99", "-inf"),
    "many digits": lambda text: text.replace("-0.0625", "-0.06250000000000000000000000001"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_of_other_programs_are_read(write, name):
    text = VARIANTS[name](GOOD)
    assert text != GOOD
    assert_reads(write(text), GOOD)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_recognized_by_content(write, compress):
    assert_reads(write(compress(GOOD.encode())), GOOD)


def test_a_byte_order_mark_is_skipped(write):
    assert_reads(write("\ufeff" + GOOD), GOOD)


def test_a_model_without_unk_gets_one(write):
    path = write(GOOD.replace("-1.5\t<unk>\t0\n", "").replace("1=5", "1=4"))
    with pytest.warns(ArpaWarning, match="<unk>"):
        model = NGram.load(path)
    assert model.words[0] == "<unk>"
    assert model.log_prob("nobody", bos=False, eos=False) == pytest.approx(-100 * LN10)


def test_a_probability_rounded_above_1_is_1(write):
    model = read_arpa(write(GOOD.replace("-0.0625\t<s>", "1e-6\t<s>").replace("-0.5\ta", "1e-6\ta")))
    assert model.log_probs[[4, -1]].tolist() == [0, 0]


def test_an_order_may_be_empty(write):
    text = GOOD.replace("3=1", "3=0").replace("-0.0625\t<s> a b\n", "").replace("<s> a\t-0.5", "<s> a")
    assert read_arpa(write(text)).order == 3


# --- refused -----------------------------------------------------------------------------------

FAULTS = {
    "nothing": (lambda text: "", r"no line \\data\\"),
    "another text": (lambda text: "a\n" * 5000, r"no line \\data\\"),
    "no counts": (lambda text: text.replace("ngram", "gram"), "line 2 .*ngram 1="),
    "counts out of order": (lambda text: text.replace("ngram 2", "ngram 4"), "line 3 .*2-grams"),
    "a count too low": (lambda text: text.replace("2=3", "2=2"), "line 16 .*one 2-gram more than the 2 of"),
    "a count too high": (lambda text: text.replace("2=3", "2=4"), "line 18 .*after 3, .* says 4"),
    "words too few": (lambda text: text.replace("1=5", "1=6"), "line 13 .*after 5, .* says 6"),
    "words too many": (lambda text: text.replace("1=5", "1=4"), "line 13 .*after 5, .* says 4"),
    "an enormous count": (lambda text: text.replace("2=3", f"2={10**17}"), "line 18 .*after 3"),
    "a section missing": (
        lambda text: text.replace("\\3-grams:\n-0.0625\t<s> a b\n", ""),
        r"line 19 should be \\3-grams:, not '\\end\\'",
    ),
    "sections out of order": (lambda text: text.replace("\\2-", "\\3-", 1), r"line 13 should be \\2-grams:"),
    "an order missing from the header": (
        lambda text: text.replace("ngram 3=1\n", "").replace("a\t-0.5", "a"),
        r"line 17 should be \\end\\, not '\\3-grams:",
    ),
    "NaN": (lambda text: text.replace("-0.125\ta b", "nan\ta b"), "line 15 .*finite"),
    "infinite": (lambda text: text.replace("-0.125\ta b", "inf\ta b"), "line 15 .*finite"),
    "huge": (lambda text: text.replace("-0.125\ta b", "-1e30\ta b"), "line 15 .*finite"),
    "not a number": (lambda text: text.replace("-0.125\ta b", "a b"), "line 15 .*finite"),
    "half a number": (lambda text: text.replace("-0.125\ta b", "-0.1.2\ta b"), "line 15 .*finite"),
    "positive": (lambda text: text.replace("-0.125\ta b", "0.125\ta b"), "line 15 .*greater than 1"),
    "a positive 1-gram": (lambda text: text.replace("-0.5\ta", "0.5\ta"), "line 10 .*greater than 1"),
    "a weight that is NaN": (lambda text: text.replace("a b\n", "a b\tnan\n", 1), "line 15 .*2 word"),
    "a word too many": (lambda text: text.replace("a b\n", "a b a\n", 1), "line 15 .*2 word"),
    "a word too few": (lambda text: text.replace("a b\n", "a\n", 1), "line 15 .*2 word"),
    "a number alone": (lambda text: text.replace("\ta b\n", "\n", 1), "line 15 .*2 word"),
    "two words in a 1-gram": (lambda text: text.replace("\tb\t", "\tb c\t"), "line 11 .*1 word"),
    "a word twice": (lambda text: text.replace("\tb\t", "\ta\t"), "line 11 .*repeats"),
    "an n-gram twice": (lambda text: text.replace("b </s>", "a b"), "line 16 .*repeats"),
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
}


def test_utf16_is_named(write):
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        bom = "\ufeff" if encoding != "utf-16" else ""
        with pytest.raises(InputError, match="UTF-16; save it as UTF-8"):
            read_arpa(write((bom + GOOD).encode(encoding)))


def test_more_words_than_the_header_says_do_not_exhaust_the_memory(write, monkeypatch):
    monkeypatch.setattr(arpa_reader, "INITIAL_CAPACITY", 4)
    words = "".join(f"-1\tw{i}\n" for i in range(100_000))
    text = GOOD.replace("-0.75\tb\t0.5\n", f"-0.75\tb\t0.5\n{words}")
    with pytest.raises(InputError, match=r"line \d\d .*one 1-gram more than the 5 of the header"):
        read_arpa(write(text))


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_file_is_refused_with_its_line(write, name):
    change, message = FAULTS[name]
    text = change(GOOD)
    assert text != GOOD
    path = write(text)
    with pytest.raises(InputError, match=message) as caught:
        read_arpa(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_words_that_are_not_utf8_are_refused(write):
    content = GOOD.encode().replace(b"b", b"\xff")
    with pytest.raises(InputError, match=r"line 11 .*UTF-8"):
        read_arpa(write(content))


@pytest.mark.parametrize("end", [-1, -9, 40, 12])
def test_gzip_that_is_cut_or_damaged_is_refused(write, end):
    compressed = gzip.compress(GOOD.encode())
    with pytest.raises(InputError, match="copy it again"):
        read_arpa(write(compressed[:end]))
    damaged = bytearray(compressed)
    damaged[-6] ^= 1  # the checksum
    with pytest.raises(InputError, match="copy it again"):
        read_arpa(write(bytes(damaged)))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_arpa(tmp_path / "none.arpa")
    with pytest.raises(InputError, match="cannot be read"):
        read_arpa(tmp_path)


def test_long_lines_and_zeros_do_not_exhaust_the_memory(write):
    long = GOOD.replace("\ta b\n", "\ta " + "b" * 100_000_000 + "\n", 1)
    refused(write(long, "long.arpa"), read_arpa)
    refused(write(gzip.compress(long.encode(), 1), "long.arpa.gz"), read_arpa)
    refused(write(bytes(100_000_000), "zeros.arpa"), read_arpa)
