"""Text in the alphabet of a recognizer."""

import pytest

from minids._utils.errors import InputError
from minids.lm.text_filter import NormalizedText
from minids.text import Alphabet

LETTERS = " abcdefghijklmnopqrstuvwxyz"


def test_lines_are_normalized_or_skipped():
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


def test_a_text_without_a_usable_line_is_refused(tmp_path):
    (tmp_path / "t.txt").write_text("1\n2 1\n\n3 4 5 6 7 8\n")
    lines = NormalizedText([tmp_path / "t.txt"], Alphabet(" abc"))
    message = (
        r"none of the 3 lines of .*t\.txt can be written in ' abc': '1' in 2, '2' in 1, .*'5' in 1, …; give"
    )
    with pytest.raises(InputError, match=message) as error:
        list(lines)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="none of the 1 lines of the text"):
        list(NormalizedText(["1"], Alphabet("abc")))
