"""Letters and numbers: any alphabet, one form for each letter, and CTC's collapse."""

import unicodedata
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minids.text import BLANK, ENGLISH, Alphabet, collapse, normalize

reproducible = settings(derandomize=True, deadline=None, database=None)
HANGUL = "가나다라각났닭"
JAMO = unicodedata.normalize("NFD", HANGUL)


def test_the_papers_alphabet_has_29_characters():
    """§2: a to z, space, apostrophe, and the blank."""
    alphabet = Alphabet()
    assert len(alphabet) == 29
    assert set(alphabet.symbols) == {" ", "'", *(chr(c) for c in range(ord("a"), ord("z") + 1))}
    assert BLANK == 0
    assert BLANK not in alphabet.encode(ENGLISH)
    np.testing.assert_array_equal(alphabet.encode(ENGLISH), range(1, 29))
    assert alphabet.encode("it's").dtype == np.int32


@reproducible
@given(st.text(alphabet=ENGLISH))
def test_decode_is_encode_backwards(text):
    alphabet = Alphabet()
    assert alphabet.decode(alphabet.encode(text)) == text


@reproducible
@given(st.lists(st.sampled_from(HANGUL + " é"), max_size=20))
def test_a_letter_is_one_however_it_was_typed(letters):
    """Composed or in pieces, in the text or in the alphabet: Hangul syllables, accents."""
    text = "".join(letters)
    apart = unicodedata.normalize("NFD", text)
    for alphabet in (Alphabet(HANGUL + " é"), Alphabet(unicodedata.normalize("NFD", HANGUL + " é"))):
        assert len(alphabet) == len(HANGUL) + 3
        np.testing.assert_array_equal(alphabet.encode(apart), alphabet.encode(text))
        assert len(alphabet.encode(apart)) == len(letters)
        assert alphabet.decode(alphabet.encode(apart)) == text
        assert alphabet.missing(apart) == []


def test_marks_that_have_no_composed_form_stay_with_their_letter():
    """Guarani's g with a tilde, Yoruba's ẹ with an acute accent: two code points, one letter."""
    alphabet = Alphabet("e\u0301 g\u0303ẹ\u0301g")
    assert alphabet.symbols == ("é", " ", "g\u0303", "ẹ\u0301", "g")
    np.testing.assert_array_equal(alphabet.encode("gg\u0303e\u0301\u0323"), [5, 3, 4])
    assert alphabet.missing("gx\u0301") == ["x\u0301"]


def test_symbols_may_be_given_as_a_list():
    alphabet = Alphabet([" ", "a", "e\u0301"])
    assert alphabet == Alphabet(" aé")
    assert alphabet != Alphabet("aé ")
    assert hash(alphabet) == hash(Alphabet(" aé"))
    assert alphabet.decode(alphabet.encode("é a")) == "é a"


@pytest.mark.parametrize("symbols", ["", [], ["a", ""], "aa", "ée\u0301", ["a", "b", "a"], "가" + JAMO])
def test_alphabets_that_cannot_be(symbols):
    with pytest.raises(ValueError, match=r"the alphabet (has no symbols|names .* twice)"):
        Alphabet(symbols)


def test_characters_that_are_missing_are_named_once_and_in_order():
    alphabet = Alphabet()
    assert alphabet.missing("zoë, a naïve zoë!") == ["ë", ",", "ï", "!"]
    assert alphabet.missing("it's") == []
    with pytest.raises(ValueError, match=r"the alphabet has no 'ë' \(U\+00EB\)"):
        alphabet.encode("zoë")
    with pytest.raises(ValueError, match=r"no 'A' \(U\+0041\)"):
        alphabet.encode("Abc")


@pytest.mark.parametrize(
    ("text", "alphabet", "expected"),
    [
        ("  It's\tA \u00a0 DOG\r\n", ENGLISH, "it's a dog"),
        ("", ENGLISH, ""),
        (" \n ", ENGLISH, ""),
        ("Fünf, 5!", ENGLISH, "fünf, 5!"),
        ("Ärger ÄRGER", "äegr ", "ärger ärger"),
        ("A\u0308rger", "äegr", "ärger"),
        ("AbC", "AbC", "AbC"),
        ("AbC", "abC", "abC"),
        ("ABC", "ABC", "ABC"),
        ("abc", "ABC", "abc"),
        (JAMO, HANGUL, HANGUL),
        ("İ", "i", "İ"),
    ],
)
def test_texts_as_the_model_writes_them(text, alphabet, expected):
    """White space is one space, lower case where only that is known; what is missing stays to be named."""
    assert normalize(text, Alphabet(alphabet)) == expected


@reproducible
@given(st.text())
def test_a_normal_text_is_normal_and_stays_what_it_was(text):
    alphabet = Alphabet()
    once = normalize(text, alphabet)
    assert normalize(once, alphabet) == once
    assert once == unicodedata.normalize("NFC", once)
    assert once.lower().split() == unicodedata.normalize("NFC", text).lower().split()


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ([1, 2, 2, 0, 0, 0, 2, 1], [1, 2, 2, 1]),
        ([2, 2, 2], [2]),
        ([0, 0, 0], []),
        ([], []),
        ([0, 1, 0], [1]),
        ([1, 0, 1], [1, 1]),
        ([1, 1, 2, 1], [1, 2, 1]),
    ],
)
def test_collapse_of_known_paths(path, labels):
    assert collapse(path) == collapse(np.array(path, int)) == labels


def test_collapse_is_repeats_first_then_blanks():
    """Over every path of six frames: by strings, in two steps."""
    for path in product(range(3), repeat=6):
        text = "".join("-ab"[k] for k in path)
        for letter in "-ab":
            while letter * 2 in text:
                text = text.replace(letter * 2, letter)
        assert collapse(path) == ["-ab".index(letter) for letter in text if letter != "-"]
