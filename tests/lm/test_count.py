"""Counting: the streamed n-grams against dictionaries; the ways in which a text can be given, or wrong."""

import gzip
import json
import tracemalloc
import unicodedata

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.lm import vocabulary
from minids.lm.count import count
from minids.lm.hash_table import grown, home, roomy
from minids.lm.reference import adjusted_counts
from minids.lm.text_filter import NormalizedText
from minids.text import Alphabet


def spelt(counts):
    """{n-gram of words: its adjusted count}, and of each its suffix as the numbers say it."""
    found, suffixes, shorter = {}, {}, None
    for grams in counts.orders:
        names = []
        for context, word, suffix, adjusted in zip(*grams, strict=True):
            gram = (*(shorter[context] if shorter else ()), counts.words[word])
            names.append(gram)
            found[gram] = adjusted
            if shorter:
                suffixes[gram] = shorter[suffix]
        shorter = names
    return found, suffixes


def random_lines(seed, sentences=200, vocabulary=30):
    rng = np.random.default_rng(seed)
    draw = rng.zipf(1.3, size=(sentences, 12)) % vocabulary
    return [" ".join(f"w{w}" for w in row[: rng.integers(0, 12)]) for row in draw]


def expected(lines, order):
    return adjusted_counts([("<s>", *line.split(), "</s>") for line in lines if line.split()], order)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
@pytest.mark.parametrize("block", [32, 1 << 20])
def test_counts_are_those_of_dictionaries(order, block, monkeypatch):
    """Also in blocks so short that sentences and n-grams lie across their ends."""
    monkeypatch.setattr(vocabulary, "BLOCK", block)
    lines = random_lines(order)
    found, suffixes = spelt(count(lines, order))
    assert found.pop(("<unk>",)) == found.pop(("<s>",)) == 0
    assert found == expected(lines, order)
    assert all(suffix == gram[1:] for gram, suffix in suffixes.items())


@pytest.mark.parametrize("lines", [["a"] * 1000, list("123456789"), ["a", *["b"] * 7, "a b"] * 99])
@pytest.mark.parametrize("block", [1, 2, 1 << 20])
def test_lines_of_one_letter(lines, block, monkeypatch):
    """Two bytes, three numbers: <s> a </s>."""
    monkeypatch.setattr(vocabulary, "BLOCK", block)
    found, _ = spelt(count(lines, 2))
    assert found.pop(("<unk>",)) == found.pop(("<s>",)) == 0
    assert found == expected(lines, 2)


def test_a_path_a_gzip_and_lines_are_the_same_text(tmp_path):
    lines = random_lines(0, 50)
    text = "\n".join(lines)
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "b.txt").write_bytes(gzip.compress(text.encode()))  # known by its content
    (tmp_path / "c.txt").write_text("\ufeff" + text.replace("\n", " \r\n\t"), encoding="utf-8")
    known = spelt(count(lines, 3))[0]
    for name in "abc":
        assert spelt(count(str(tmp_path / f"{name}.txt"), 3))[0] == known
    half = [*lines[:20], tmp_path / "d.txt"]
    (tmp_path / "d.txt").write_text("\n".join(lines[20:]))
    assert spelt(count(half, 3))[0] == known


def test_the_texts_of_a_manifest(tmp_path):
    rows = [{"path": "a.wav", "text": text, "duration": 1} for text in ("go on", "", "go\nback")]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found, _ = spelt(count(tmp_path / "m.jsonl", 2))
    assert found["<s>", "go"] == 2
    assert found["go", "back"] == 1
    (tmp_path / "m.jsonl").write_text('{"path": "a.wav"}\n')
    with pytest.raises(InputError, match=r'm\.jsonl:1: no "text"'):
        count(tmp_path / "m.jsonl", 2)


def test_words_are_nfc_between_any_white_space():
    text = ["gru\u0308n\u00a0gr\u00fcn\u3000\u1100\u1161 가"]
    found, _ = spelt(count(text, 2))
    assert found["grün", "grün"] == 1
    assert found["가", "가"] == 1
    assert all(unicodedata.is_normalized("NFC", gram[0]) for gram in found)


def test_the_most_frequent_words():
    lines = ["b a c", "b a d", "b e"]
    counts = count(lines, 2, vocabulary=2)
    assert counts.words == ["<unk>", "<s>", "</s>", "b", "a"]
    found, _ = spelt(counts)
    assert found["a", "<unk>"] == 2
    assert found["b", "<unk>"] == 1
    with pytest.raises(InputError, match="read twice"):
        count(iter(lines), 2, vocabulary=2)


def test_a_vocabulary_of_words(tmp_path):
    """Also words that the text lacks; the text's own <unk> is the unknown word."""
    (tmp_path / "v.txt").write_text("b\nz\n")
    for known in (["b", "z"], tmp_path / "v.txt"):
        counts = count(["b a <unk> b"], 2, known)
        assert counts.words == ["<unk>", "<s>", "</s>", "b", "z"]
        found, _ = spelt(counts)
        assert found["<unk>", "<unk>"] == 1
        assert found[("z",)] == 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"fine\n\na \x00 b\n", r"line 3: the control character '\\x00'; is this a text\?"),
        (b"\0" * 10_000, r"line 1: the control character '\\x00'"),
        (b"fine\na <s> b\n", "line 2: the word <s>; take it out"),
        (b"a </s>", "line 1: the word </s>"),
        (b"fine\ngr\xfcn\n", "line 2: not UTF-8; save the text as UTF-8"),
        (b"", "the text has no words"),
        (b" \n\n\t", "the text has no words"),
        (b"\x1f\x8b\x08broken", r"cannot read .*text; check|cannot read "),
        (gzip.compress(b"a b c " * 100)[:-20], "cannot read "),
        (b"fine\n" + b"a" * 3_000_000, r"line 2: a word of over 1,048,576 bytes"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_text_is_one_line(tmp_path, data, message):
    (tmp_path / "text").write_bytes(data)
    with pytest.raises(InputError, match=message) as error:
        count(tmp_path / "text", 3)
    assert "\n" not in str(error.value)


def test_what_is_no_file_and_half_a_character(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none: No such file"):
        count(tmp_path / "none", 3)
    with pytest.raises(InputError, match="not a file"):
        count(tmp_path, 3)
    with pytest.raises(InputError, match="line 2: half a character"):
        count(["a", "b \ud800"], 3)


def test_a_line_without_end_does_not_eat_the_memory(tmp_path):
    (tmp_path / "text").write_text("one two three four " * 5_000_000)  # 95 MB
    tracemalloc.start()
    counts = count(tmp_path / "text", 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(counts.orders[1].word) == 6
    assert peak < 60e6


def test_progress_is_told_the_bytes(tmp_path):
    (tmp_path / "text").write_text("a b c\n" * 1000)
    told = []
    count(tmp_path / "text", 2, progress=told.append)
    assert sum(told) == 6000


LETTERS = " abcdefghijklmnopqrstuvwxyz"


def test_lines_in_an_alphabet():
    lines = NormalizedText(["The  End", "the ênd.", "a 3", "", "a 3 33 ê", "— ¡…!", "a"], Alphabet(LETTERS))
    for _ in range(2):
        assert list(lines) == ["the end", "a"]
        assert (lines.lines, lines.skipped) == (6, 3)
        assert lines.missing == {"3": 2, "ê": 2}
        assert lines.reasons() == "'3' in 2, 'ê' in 2"
    assert list(NormalizedText([], Alphabet(LETTERS))) == []


@pytest.mark.parametrize(
    ("line", "symbols", "expected"),
    [
        ("“Well-known,” he said—“isn\u2019t it?”", LETTERS + "'", "well known he said isn't it"),
        ("“Well-known,” he said—“isn\u2019t it?”", LETTERS, "well known he said isn t it"),
        ("‘No’ isn\u2019t isn't", LETTERS + "\u2019", "no\u2019 isn\u2019t isn t"),
        ("Ask: a+b=c, $ ~ * * *", LETTERS + ":", "ask: a b c"),
        ("a_b\u00adc", LETTERS + "\u00ad", "a b\u00adc"),
    ],
)
def test_punctuation_separates_words(line, symbols, expected):
    assert list(NormalizedText([line], Alphabet(symbols))) == [expected]


def test_a_text_of_which_no_line_is_left(tmp_path):
    (tmp_path / "t.txt").write_text("1\n2 1\n\n3 4 5 6 7 8\n")
    lines = NormalizedText([tmp_path / "t.txt"], Alphabet(" abc"))
    message = (
        r"none of the 3 lines of .*t\.txt can be spelled in ' abc': '1' in 2, '2' in 1, .*'5' in 1, …; give"
    )
    with pytest.raises(InputError, match=message) as error:
        count(lines, 2)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="none of the 1 lines of the text"):
        list(NormalizedText(["1"], Alphabet("abc")))


def test_a_text_of_no_lines():
    for known in (None, 5, ["a"]):
        with pytest.raises(InputError, match="the text has no words"):
            count([], 2, known)


def test_a_table_keeps_its_keys_while_it_grows():
    rng = np.random.default_rng(0)
    keys = np.zeros(0, np.int64)
    table = np.zeros(2, np.int64)
    for n in (1, 10, 1000, 5000):
        table = roomy(table, keys, len(keys), n)
        new = rng.integers(0, 1 << 62, n - len(keys))
        for number, key in enumerate(new, start=len(keys)):
            slot, tag = home(key, table)
            while table[slot]:
                slot = (slot + 1) % len(table)
            table[slot] = tag << 32 | (number + 1)
        keys = np.append(keys, new)
    for number, key in enumerate(keys):
        slot, tag = home(key, table)
        while table[slot] != (tag << 32 | (number + 1)):
            assert table[slot] != 0
            slot = (slot + 1) % len(table)
    assert grown(keys, 10) is keys
    assert grown(keys, 6000)[:5000].tolist() == keys.tolist()
