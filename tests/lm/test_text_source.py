"""The ways in which a text can be given, and what is not text."""

import bz2
import gzip
import io
import json
import lzma
import tracemalloc
import unicodedata
from pathlib import Path

import pytest

from minids._utils.errors import InputError
from minids.lm.count import count_ngrams
from minids.lm.text_filter import NormalizedText
from minids.text import Alphabet
from tests.lm.dictionary_model import random_lines
from tests.lm.test_count import named


def adjusted(source, order=3):
    """{n-gram: its adjusted count}."""
    return named(count_ngrams(source, order))[0]


def test_files_compressed_files_and_lines_are_the_same_text(tmp_path):
    lines = random_lines(0, 50)
    text = "\n".join(lines)
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "b.txt").write_bytes(gzip.compress(text.encode()))  # known by its content
    (tmp_path / "d.txt").write_bytes(bz2.compress(text.encode()))
    (tmp_path / "e.txt").write_bytes(lzma.compress(text.encode()))
    (tmp_path / "c.txt").write_text("\ufeff" + text.replace("\n", " \r\n\t"), encoding="utf-8")
    expected = adjusted(lines)
    for name in "abcde":
        assert adjusted(str(tmp_path / f"{name}.txt")) == expected
        assert adjusted([io.BytesIO((tmp_path / f"{name}.txt").read_bytes())]) == expected
    (tmp_path / "rest.txt").write_text("\n".join(lines[20:]))
    assert adjusted([*lines[:20], tmp_path / "rest.txt"]) == expected


def test_the_texts_of_a_manifest_are_read(tmp_path):
    rows = [{"path": "a.wav", "text": text, "duration": 1} for text in ("go on", "", "go\nback")]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    counts = adjusted(tmp_path / "m.jsonl", 2)
    assert counts["<s>", "go"] == 2
    assert counts["go", "back"] == 1
    (tmp_path / "m.jsonl").write_text('{"path": "a.wav"}\n')
    with pytest.raises(InputError, match=r'm\.jsonl:1: no "text"'):
        count_ngrams(tmp_path / "m.jsonl", 2)


@pytest.mark.parametrize("name", ["m.jsonl.gz", "m.jsonl.xz"])
def test_a_compressed_manifest_is_not_read_as_text(name):
    with pytest.raises(InputError, match="decompress it"):
        count_ngrams([Path(name)], 2)


def test_words_are_in_nfc_and_between_any_white_space():
    text = ["gru\u0308n\u00a0gr\u00fcn\u3000\u1100\u1161 가"]
    counts = adjusted(text, 2)
    assert counts["grün", "grün"] == 1
    assert counts["가", "가"] == 1
    assert all(unicodedata.is_normalized("NFC", gram[0]) for gram in counts)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"fine\n\na \x00 b\n", r"line 3: the control character '\\x00'; is this a text\?"),
        (b"\0" * 10_000, r"line 1: the control character '\\x00'"),
        (b"fine\na <s> b\n", "line 2: the word <s>; remove it"),
        (b"a </s>", "line 1: the word </s>"),
        (b"a\n<S> b", "line 2: the word <s>"),
        (b"fine\ngr\xfcn\n", "line 2: not UTF-8; save the text as UTF-8"),
        (b"\n\\data\\\nngram 1=3\n", "is an ARPA file"),
        ("a b".encode("utf-16"), "line 1: not UTF-8"),
        (b"", "the text has no words"),
        (b" \n\n\t", "the text has no words"),
        (b"\x1f\x8b\x08broken", r"cannot read .*text; check|cannot read "),
        (gzip.compress(b"a b c " * 100)[:-20], "cannot read "),
        (b"fine\n" + b"a" * 3_000_000, r"line 2: a word of over 1,048,576 bytes"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_not_text_is_refused_in_one_line(tmp_path, data, message):
    (tmp_path / "text").write_bytes(data)
    with pytest.raises(InputError, match=message) as error:
        count_ngrams(tmp_path / "text", 3)
    assert "\n" not in str(error.value)


def test_missing_files_and_lone_surrogates_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none: No such file"):
        count_ngrams(tmp_path / "none", 3)
    with pytest.raises(InputError, match="not a file"):
        count_ngrams(tmp_path, 3)
    with pytest.raises(InputError, match="line 2: half a character"):
        count_ngrams(["a", "b \ud800"], 3)


def test_a_line_without_end_does_not_exhaust_the_memory(tmp_path):
    (tmp_path / "text").write_text("one two three four " * 5_000_000)  # 95 MB
    tracemalloc.start()
    counts = count_ngrams(tmp_path / "text", 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(counts.orders[1].word) == 6
    assert peak < 60e6


def test_progress_gets_the_bytes_read(tmp_path):
    (tmp_path / "text").write_text("a b c\n" * 1000)
    sizes = []
    count_ngrams(tmp_path / "text", 2, progress=sizes.append)
    assert sum(sizes) == 6000


def test_the_texts_of_a_manifest_are_read_without_its_recordings(tmp_path, monkeypatch):
    def refuse(path):
        raise AssertionError(f"{path} is opened")

    monkeypatch.setattr("minids.audio.audio_info", refuse)
    (tmp_path / "m.jsonl").write_text('{"path": "a.wav", "text": "go on"}\n' * 3)
    assert adjusted(tmp_path / "m.jsonl", 2)["<s>", "go"] == 3


@pytest.mark.parametrize("source", [b"a b", None, 5, [b"a b"], [5], [None], [["a"]], {"a": 1}.items()])
def test_what_is_neither_lines_nor_files_is_refused(source):
    with pytest.raises(InputError, match=r"a text is .*, not "):
        count_ngrams(source, 2)


def test_a_vocabulary_of_frequent_words_needs_a_text_that_can_be_read_twice():
    for source in (iter(["a"]), [io.BytesIO(b"a")], NormalizedText(iter(["a"]), Alphabet("a"))):
        with pytest.raises(InputError, match="read twice"):
            count_ngrams(source, 2, vocabulary=5)
    assert count_ngrams(NormalizedText(["a"], Alphabet("a")), 2, vocabulary=5).words[3:] == ["a"]
