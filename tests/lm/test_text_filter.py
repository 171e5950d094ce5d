"""Text in the alphabet of a recognizer."""

import pytest

from minids._utils.errors import InputError
from minids.lm.count import count_ngrams
from minids.lm.text_filter import Characters, NormalizedText
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


@pytest.mark.parametrize("markup", ["<unk>", "<s>", "</s>", "<laugh>", "[noise]", "[loud noise]", "{breath}"])
def test_markup_never_becomes_words(markup):
    lines = NormalizedText([f"the {markup} said", "the end"], Alphabet(LETTERS))
    assert list(lines) == ["the end"]
    assert (lines.lines, lines.skipped, lines.missing) == (2, 1, {markup: 1})
    assert lines.reasons() == f"'{markup}' in 1"


def test_an_alphabet_may_contain_the_characters_of_markup():
    assert list(NormalizedText(["a <b> c"], Alphabet(LETTERS + "<>"))) == ["a <b> c"]


def test_lower_case_depends_on_the_language():
    assert list(NormalizedText(["IŞIK İN"], Alphabet(" ıişkn"))) == ["ışık in"]
    assert list(NormalizedText(["ΟΔΟΣ ΣΟΣ"], Alphabet(" οδςσ"))) == ["οδος σος"]


def test_a_character_model_has_the_symbols_of_the_alphabet():
    text = NormalizedText(["Thab a"], Alphabet(["th", "a", "b", " "]))
    assert list(Characters(text)) == ["th a b | a"]
    assert list(Characters(["Ab  c"])) == ["A b | c", ""]


def test_a_character_model_refuses_a_text_with_its_sign_for_the_space():
    with pytest.raises(InputError, match=r"the text, sentence 2: the character \|"):
        count_ngrams(Characters(["a b", "a|b"]), 2)
