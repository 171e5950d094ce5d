"""Alphabets of any script, normalization of texts, and CTC's collapse."""

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
def test_decode_inverts_encode(text):
    alphabet = Alphabet()
    assert alphabet.decode(alphabet.encode(text)) == text


@reproducible
@given(st.lists(st.sampled_from(HANGUL + " é"), max_size=20))
def test_composed_and_decomposed_characters_are_the_same_symbol(letters):
    """Hangul syllables and accented letters, in the text and in the alphabet."""
    text = "".join(letters)
    decomposed = unicodedata.normalize("NFD", text)
    for alphabet in (Alphabet(HANGUL + " é"), Alphabet(unicodedata.normalize("NFD", HANGUL + " é"))):
        assert len(alphabet) == len(HANGUL) + 3
        np.testing.assert_array_equal(alphabet.encode(decomposed), alphabet.encode(text))
        assert len(alphabet.encode(decomposed)) == len(letters)
        assert alphabet.decode(alphabet.encode(decomposed)) == text
        assert alphabet.missing(decomposed) == []


def test_a_mark_without_a_composed_form_stays_with_its_letter():
    """Guarani's g with a tilde, Yoruba's ẹ with an acute accent: two code points, one letter."""
    alphabet = Alphabet("e\u0301 g\u0303ẹ\u0301g")
    assert alphabet.symbols == ("é", " ", "g\u0303", "ẹ\u0301", "g")
    np.testing.assert_array_equal(alphabet.encode("gg\u0303e\u0301\u0323"), [5, 3, 4])
    assert alphabet.missing("gx\u0301") == ["x\u0301"]


def test_symbols_can_be_a_list():
    alphabet = Alphabet([" ", "a", "e\u0301"])
    assert alphabet == Alphabet(" aé")
    assert alphabet != Alphabet("aé ")
    assert hash(alphabet) == hash(Alphabet(" aé"))
    assert alphabet.decode(alphabet.encode("é a")) == "é a"


@pytest.mark.parametrize("symbols", ["", [], ["a", ""], "aa", "ée\u0301", ["a", "b", "a"], "가" + JAMO])
def test_an_invalid_alphabet_is_an_error(symbols):
    with pytest.raises(ValueError, match=r"the alphabet (has no symbols|names .* twice)"):
        Alphabet(symbols)


def test_missing_characters_are_named_once_and_in_order():
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
def test_normalize_writes_a_text_as_the_model_does(text, alphabet, expected):
    """Single spaces, and lower case where the alphabet has only that; missing characters remain."""
    assert normalize(text, Alphabet(alphabet)) == expected


@reproducible
@given(st.text())
def test_normalize_is_idempotent_and_keeps_the_words(text):
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


def test_collapse_merges_repeats_before_it_removes_blanks():
    """For every path of six frames, against string replacement in two steps."""
    for path in product(range(3), repeat=6):
        text = "".join("-ab"[k] for k in path)
        for letter in "-ab":
            while letter * 2 in text:
                text = text.replace(letter * 2, letter)
        assert collapse(path) == ["-ab".index(letter) for letter in text if letter != "-"]
