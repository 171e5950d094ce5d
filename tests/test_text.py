"""Alphabets of any script, normalization of texts, and CTC's collapse."""

import unicodedata
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minids.text import BLANK, ENGLISH, Alphabet, TextReport, collapse, normalize

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


@pytest.mark.parametrize(
    "symbols", ["", [], ["a", ""], "aa", "ée\u0301", ["a", "b", "a"], "가" + JAMO, [1], "a\t", "\u3000あ"]
)
def test_an_invalid_alphabet_is_an_error(symbols):
    with pytest.raises(
        ValueError, match=r"the alphabet (has no symbols|names .* twice|must be|has .* separates words)"
    ):
        Alphabet(symbols)


def test_missing_characters_are_named_once_and_in_order():
    alphabet = Alphabet()
    assert alphabet.missing("zoë, a naïve zoë!") == ["ë", ",", "ï", "!"]
    assert alphabet.missing("it's") == []
    with pytest.raises(ValueError, match=r"the alphabet has no 'ë' \(U\+00EB\)"):
        alphabet.encode("zoë")
    with pytest.raises(ValueError, match=r"no 'A' \(U\+0041\)"):
        alphabet.encode("Abc")


DEVANAGARI = " कतनमरषसहािीुेोौंः्"
JAMO_LIST = [" ", *"ᄀᄂᄒ", *"ᅡᅢᅮ", *"ᆨᆫ"]


@pytest.mark.parametrize(
    ("alphabet", "text", "symbols"),
    [
        (["a", "th"], "tha", ["th", "a"]),
        (["a", "s", "c", "h", "sch"], "schasc", ["sch", "a", "s", "c"]),
        (DEVANAGARI, "रोक्ष", ["र", "ो", "क", "्", "ष"]),
        ("ि" + DEVANAGARI.replace("ि", ""), "हिन", ["ह", "ि", "न"]),
        (["क", "ष", "क्ष", "ा", "्"], "क्षाक्", ["क्ष", "ा", "क", "्"]),
        ("ابتيَُِّْ", "بَّتِ", ["ب", "َ", "ّ", "ت", "ِ"]),
        ("กขนาูเ่ํ", "เข่นู", ["เ", "ข", "่", "น", "ู"]),
        (JAMO_LIST, "한국", ["ᄒ", "ᅡ", "ᆫ", "ᄀ", "ᅮ", "ᆨ"]),
        ("".join(JAMO_LIST), "한국", ["ᄒ", "ᅡ", "ᆫ", "ᄀ", "ᅮ", "ᆨ"]),
        (["e", "\u0301", "a"], "éa", ["e", "\u0301", "a"]),
        (["g", "g\u0303"], "gg\u0303", ["g", "g\u0303"]),
        (["c\u0301", "\u0323"], "c\u0323\u0301", ["ć", "\u0323"]),
    ],
)
def test_encode_takes_the_longest_symbol_at_each_place(alphabet, text, symbols):
    alphabet = Alphabet(alphabet)
    assert alphabet.missing(text) == []
    assert alphabet.split(text) == symbols
    assert alphabet.decode(alphabet.encode(text)) == unicodedata.normalize("NFC", text)
    assert eval(repr(alphabet)) == alphabet


@pytest.mark.parametrize(
    ("alphabet", "text", "message"),
    [
        (["a", "th"], "tta", r"no 't' \(U\+0074\)"),
        ("e", "é", r"no 'é' \(U\+00E9\)"),
        ("g", "g\u0303", "no 'g\u0303'"),
        ("가", "각", r"no '각' \(U\+AC01\)"),
        ("क", "क्", r"no '्' \(U\+094D DEVANAGARI SIGN VIRAMA\)"),
        ("ab", "a b", r"no ' ' \(U\+0020 SPACE\)"),
    ],
)
def test_an_error_names_the_character_that_is_missing(alphabet, text, message):
    with pytest.raises(ValueError, match=message):
        Alphabet(alphabet).encode(text)


def test_labels_without_a_symbol_cannot_be_decoded():
    for labels in ([0], [1, -1], [3], [2**32 + 1]):
        with pytest.raises(ValueError, match="labels must be 1 to 2, not"):
            Alphabet("ab").decode(np.array(labels))
    assert Alphabet("ab").decode(np.array([1, 2, 2], np.uint8)) == "abb"


TURKISH = " abcçdefgğhıijklmnoöprsştuüvyz"


@pytest.mark.parametrize(
    ("text", "alphabet", "expected"),
    [
        ("  It's\tA \u00a0 DOG\r\n", ENGLISH, "it's a dog"),
        ("", ENGLISH, ""),
        (" \n ", ENGLISH, ""),
        ("Fünf, 5!", ENGLISH, "fünf 5"),
        ("Ärger ÄRGER", "äegr ", "ärger ärger"),
        ("A\u0308rger", "äegr", "ärger"),
        ("AbC", "AbC", "AbC"),
        ("AbC", "abC", "abC"),
        ("ABC", "ABC", "ABC"),
        ("abc", "ABC", "abc"),
        ("THA", ["a", "th"], "tha"),
        (JAMO, HANGUL, HANGUL),
        # case
        ("IŞIK İZMİR", TURKISH, "ışık izmir"),
        ("ISIK", ENGLISH, "isik"),
        ("İ", "i", "İ"),
        ("İ", ["i", "\u0307"], "i\u0307"),
        ("ΟΔΟΣ ΣΑΣ", " αδοσς", "οδος σας"),
        ("ΟΔΟΣ", "δοσ", "οδοσ"),
        ("STRASSE GROẞ", " abegorstß", "strasse groß"),
        # apostrophes and punctuation
        ("don\u2019t, “well-known”—e.g. a/b", ENGLISH, "don't well known e g a b"),
        ("don\u2019t", "dont ", "don t"),
        ("don\u2019t", "dont\u2019", "don\u2019t"),
        ("你好，世界！", "世你好界", "你好世界"),
        ("¿Qué? 5 €", " qué5", "qué 5"),
        ("co\u00adoperate\u200b", ENGLISH, "cooperate"),
        ("a_b\u00adc", ENGLISH + "\u00ad", "a b\u00adc"),
        # a mark within a word does not end it
        ("Col·legi, l · l. paral‧lel·", ENGLISH, "collegi l l parallel"),
        ("col·legi", "cegilo ·", "col·legi"),
        ("צה״ל ג׳ירפה", " גהילפצר", "צהל גירפה"),
        # markup is not a word
        ("the <unk> said", ENGLISH, "the <unk> said"),
        ("Well, [noise] (yes) {um}", ENGLISH, "well [noise] yes {um}"),
        ("a < b", ENGLISH, "a b"),
    ],
)
def test_normalize_writes_a_text_as_the_model_does(text, alphabet, expected):
    """What the alphabet lacks and what is not punctuation remains, for the caller to report."""
    assert normalize(text, Alphabet(alphabet)) == expected
    assert normalize(unicodedata.normalize("NFD", text), Alphabet(alphabet)) == expected


@reproducible
@given(
    st.text() | st.text("aB'\u2019İIΣ,- <>e\u0301\u0303ᄒ한"),
    st.sampled_from([ENGLISH, TURKISH, "ab", HANGUL, " σςi"]),
)
def test_normalize_is_idempotent_and_keeps_letters(text, symbols):
    alphabet = Alphabet(symbols)
    once = normalize(text, alphabet)
    assert normalize(once, alphabet) == once
    assert once == unicodedata.normalize("NFC", once)
    if not alphabet.missing(once):
        assert alphabet.decode(alphabet.encode(once)) == once


@pytest.mark.parametrize(
    ("texts", "definition"),
    [
        (["It\u2019s <unk> 5 o'clock!", "A \u2018dog\u2019"], " 'acdgiklost"),
        (["IŞIK", "İzmir"], "ikmrzış"),
        (["Straße", "naïve"], "aenrstvßï"),
        (["हिन्दी में"], None),
        (["g\u0303e"], "eg\u0303"),
        (["Col·legi ·"], " ·cegilo"),
        (["東京 へ"], " へ京東"),
    ],
)
def test_an_alphabet_from_texts_can_write_them(texts, definition):
    alphabet = Alphabet.from_texts(texts)
    assert definition is None or sorted(alphabet.symbols) == sorted(Alphabet(definition).symbols)
    assert Alphabet(alphabet.definition) == alphabet
    for text in texts:
        if "<" not in text:
            assert alphabet.missing(normalize(text, alphabet)) == []


def test_hangul_is_written_in_jamo_and_composed_again():
    texts = ["안녕하세요 세계", "값을 읽다", "Ab ㅋㅋ"]
    alphabet = Alphabet.from_texts(texts, jamo=True)
    assert "ㅋ" in alphabet  # a letter by itself is no part of a syllable
    assert not any("가" <= symbol <= "힣" for symbol in alphabet.symbols)
    # An editor that writes NFC must not change the alphabet, as it would a string.
    assert isinstance(alphabet.definition, list)
    assert Alphabet([unicodedata.normalize("NFC", s) for s in alphabet.definition]) == alphabet
    for text in texts:
        for form in ("NFC", "NFD"):
            normalized = normalize(unicodedata.normalize(form, text), alphabet)
            assert alphabet.decode(alphabet.encode(normalized)) == text.lower()
    assert len(alphabet.encode("값을")) == 6
    # As many symbols as 11,172 syllables need: 19 + 21 + 27 letters.
    every = Alphabet.from_texts(["".join(map(chr, range(0xAC00, 0xD7A4)))], jamo=True)
    assert len(every.symbols) == 67


def test_digits_are_symbols_on_request_and_a_text_needs_letters():
    assert Alphabet.from_texts(["go 7", "3"], digits=True).symbols == (" ", "3", "7", "g", "o")
    for texts in ([], ["1 2"], ["- !"]):
        with pytest.raises(ValueError, match="no letters"):
            Alphabet.from_texts(texts)


def test_a_report_counts_what_was_removed_and_what_is_missing():
    report = TextReport(Alphabet())
    texts = [report.normalize(text) for text in ("Nine.", "don\u2019t", "5 é, é.", "", "nine")]
    assert texts == ["nine", "don't", "5 é é", "", "nine"]
    assert report.to_dict() == {
        "texts": 5,
        "incomplete": 1,
        "missing": {"5": 1, "é": 1},
        "removed": {".": 2, ",": 1},
    }
    assert str(report) == (
        "1 of 5 texts have characters that the alphabet lacks: '5' (U+0035) in 1, 'é' (U+00E9) in 1;"
        " removed from the texts: '.' (U+002E) in 2, ',' (U+002C) in 1"
    )
    assert report
    assert not TextReport(Alphabet())


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
