"""Counting: the streamed n-grams against dictionaries."""

import pytest

from minids._utils.errors import InputError
from minids.lm import column, text_source
from minids.lm.count import count_ngrams
from minids.lm.reference import adjusted_counts
from tests.lm.dictionary_model import random_lines


def named(counts):
    """{n-gram: its adjusted count}, {n-gram: its suffix}, both with words for ids."""
    by_name, suffixes, shorter = {}, {}, None
    for grams in counts.orders:
        names = []
        for context, word, suffix, adjusted in zip(*(numbers.array() for numbers in grams), strict=True):
            gram = (*(shorter[context] if shorter else ()), counts.words[word])
            names.append(gram)
            by_name[gram] = adjusted
            if shorter:
                suffixes[gram] = shorter[suffix]
        shorter = names
    return by_name, suffixes


def expected(lines, order):
    return adjusted_counts([("<s>", *line.split(), "</s>") for line in lines if line.split()], order)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
@pytest.mark.parametrize("block", [32, 1 << 20])
def test_counts_agree_with_dictionaries(order, block, monkeypatch):
    """Also with blocks so short that sentences and n-grams cross their ends, and with columns on disk."""
    monkeypatch.setattr(text_source, "BLOCK_SIZE", block)
    monkeypatch.setattr(column, "BLOCK_SIZE", block)
    monkeypatch.setattr(column, "MAX_IN_MEMORY", block)
    lines = random_lines(order)
    by_name, suffixes = named(count_ngrams(lines, order))
    assert by_name.pop(("<unk>",)) == by_name.pop(("<s>",)) == 0
    assert by_name == expected(lines, order)
    assert all(suffix == gram[1:] for gram, suffix in suffixes.items())


@pytest.mark.parametrize("lines", [["a"] * 1000, list("123456789"), ["a", *["b"] * 7, "a b"] * 99])
@pytest.mark.parametrize("block", [1, 2, 1 << 20])
def test_lines_of_one_letter_are_counted(lines, block, monkeypatch):
    """Two bytes, three ids: <s> a </s>."""
    monkeypatch.setattr(text_source, "BLOCK_SIZE", block)
    by_name, _ = named(count_ngrams(lines, 2))
    assert by_name.pop(("<unk>",)) == by_name.pop(("<s>",)) == 0
    assert by_name == expected(lines, 2)


def test_a_vocabulary_of_the_most_frequent_words():
    lines = ["b a c", "b a d", "b e"]
    counts = count_ngrams(lines, 2, vocabulary=2)
    assert counts.words == ["<unk>", "<s>", "</s>", "b", "a"]
    by_name, _ = named(counts)
    assert by_name["a", "<unk>"] == 2
    assert by_name["b", "<unk>"] == 1
    with pytest.raises(InputError, match="read twice"):
        count_ngrams(iter(lines), 2, vocabulary=2)


def test_a_vocabulary_of_words(tmp_path):
    """It may have words that the text lacks; <unk> in the text is the unknown word."""
    (tmp_path / "v.txt").write_text("b\nz\n")
    for known in (["b", "z"], tmp_path / "v.txt"):
        counts = count_ngrams(["b a <unk> b"], 2, known)
        assert counts.words == ["<unk>", "<s>", "</s>", "b", "z"]
        by_name, _ = named(counts)
        assert by_name["<unk>", "<unk>"] == 1
        assert by_name[("z",)] == 0


def test_a_text_without_lines_is_refused():
    for known in (None, 5, ["a"]):
        with pytest.raises(InputError, match="the text has no words"):
            count_ngrams([], 2, known)
