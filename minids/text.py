"""Texts and labels: alphabets, the normalization of texts, and CTC's collapse of a path into labels."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

BLANK = 0
ENGLISH = " 'abcdefghijklmnopqrstuvwxyz"  # with the blank the paper's 29 characters (§2)
APOSTROPHES = str.maketrans("\u2019\u02bc\uff07", "'''")  # typographic apostrophes, for str.translate
INNER_MARKS = re.compile(r"(?<=[^\W\d_])[·‧׳״](?=[^\W\d_])")  # parts of words: Catalan l·l, Hebrew acronyms
MARKUP = re.compile(r"<[^<>]*>|\[[^][]*\]|\{[^{}]*\}")  # <unk>, [noise], {breath}
MAX_CHARACTERS_NAMED = 5  # in a message
# Marks of no particular script.
_DIACRITICS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_CHARACTER = re.compile(rf"\w[{_DIACRITICS}]+|.", re.DOTALL)


class Alphabet:
    """The K outputs of a model: index 0 is the blank, 1 … K-1 are `symbols`.

    Of a string, each character is a symbol: a code point, with the diacritics after it (see `characters`). Of
    a list, each string is a symbol: a letter, several letters ("sch"), or a single mark. Symbols are in NFC.
    Raises ValueError for an alphabet without symbols and for a symbol that is empty or repeated.
    """

    def __init__(self, symbols: str | Sequence[str] = ENGLISH):
        if isinstance(symbols, str):
            symbols = characters(symbols)
        elif not all(isinstance(symbol, str) for symbol in symbols):
            raise ValueError("the alphabet must be a string or a list of strings")
        self.symbols = tuple(unicodedata.normalize("NFC", symbol) for symbol in symbols)
        counts = Counter(self.symbols)
        if not counts or "" in counts:
            raise ValueError("the alphabet has no symbols, or an empty one")
        for symbol in counts:
            if symbol.isspace() and symbol != " ":
                raise ValueError(f"the alphabet has {_describe(symbol)}; in texts, ' ' separates words")
        [(repeated, count)] = counts.most_common(1)
        if count > 1:
            raise ValueError(f"the alphabet names {repeated!r} twice")
        self._index = {_decompose(symbol): k for k, symbol in enumerate(self.symbols, start=1)}
        self._code_points = {symbol: k for k, symbol in enumerate(self.symbols, start=1)}
        if max(map(len, self.symbols)) > 1:
            self._code_points = {}
        self._sizes = sorted(set(map(len, self._index)), reverse=True)
        self._characters = frozenset("".join(self.symbols) + "".join(self._index))

    def __len__(self) -> int:
        return len(self.symbols) + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alphabet) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"Alphabet({self.definition!r})"

    @classmethod
    def from_texts(cls, texts: Iterable[str], jamo: bool = False, digits: bool = False) -> "Alphabet":
        """The alphabet of lower-case texts: their characters without what `normalize` removes, sorted.

        It has an apostrophe or one of `INNER_MARKS` if some text has it between letters, ı if some text has ı
        or İ, and digits on request. `jamo`: the letters of Hangul syllables instead of the syllables, 67
        instead of thousands; `decode` composes them again. Raises ValueError where no character is left.
        """
        texts = [unicodedata.normalize("NFC", MARKUP.sub(" ", text)).translate(APOSTROPHES) for text in texts]
        dotless = any("ı" in text or "İ" in text for text in texts)
        symbols = {" "} if any(len(text.split()) > 1 for text in texts) else set()
        for text in texts:
            found = characters("".join(_lower(text, dotless)))
            symbols.update(c for c in found if c[0].isalpha() or _is_mark(c) or (digits and c.isdecimal()))
            symbols.update(INNER_MARKS.findall(text))
            if re.search(r"\w'\w", text):
                symbols.add("'")
        if jamo:
            symbols = {part for c in symbols for part in (_decompose(c) if "가" <= c <= "힣" else [c])}
        if symbols <= {" "}:
            raise ValueError("the texts have no letters")
        return cls(sorted(symbols))

    @property
    def definition(self) -> str | list[str]:
        """The argument that recreates this Alphabet: a string if that is unambiguous, else a list."""
        string = "".join(self.symbols)
        unambiguous = characters(string) == list(self.symbols) and unicodedata.is_normalized("NFC", string)
        return string if unambiguous else list(self.symbols)

    def __contains__(self, symbol: str) -> bool:
        return _decompose(symbol) in self._index

    def missing(self, text: str) -> list[str]:
        """The characters of a text that the alphabet cannot write, each once, in order of appearance."""
        return list(dict.fromkeys(self._match(text)[1]))

    def encode(self, text: str) -> np.ndarray:
        """Text -> labels (U,) int32: everywhere the longest symbol, whether its marks are composed or not.

        Raises ValueError naming the first character that the alphabet cannot write.
        """
        labels, missing = self._match(text)
        if missing:
            raise ValueError(f"the alphabet has no {_describe(missing[0])}")
        return np.array(labels, np.int32)

    def split(self, text: str) -> list[str]:
        """The symbols of a text. Raises ValueError as `encode` does."""
        return [self.symbols[k - 1] for k in self.encode(text)]

    def decode(self, labels: Iterable[int]) -> str:
        """Labels 1 … K-1 -> text in NFC. The blank has no symbol: collapse a path first.

        Raises ValueError for any other label.
        """
        labels = list(labels)
        if labels and not 0 < min(labels) <= max(labels) < len(self):
            raise ValueError(f"labels must be 1 to {len(self.symbols)}, not {min(labels)} to {max(labels)}")
        return unicodedata.normalize("NFC", "".join(self.symbols[k - 1] for k in labels))

    def knows(self, character: str) -> bool:
        """Whether a character is part of a symbol, as "t" is of "th", or consists of such parts."""
        return character in self._characters or self._characters.issuperset(_decompose(character))

    def knows_all(self, text: str) -> bool:
        """Whether all characters of a text are known."""
        return self._characters.issuperset(text) or all(map(self.knows, text))

    def _match(self, text: str) -> tuple[list[int], list[str]]:
        """The labels of a text, and the characters that no symbol matches."""
        if self._code_points:  # the usual case, without decomposition
            quick = list(map(self._code_points.get, unicodedata.normalize("NFC", text)))
            if None not in quick:
                return quick, []  # type: ignore[return-value]
        units = characters(text)
        parts = [_decompose(unit) for unit in units]
        decomposed = "".join(parts)
        owners = [unit for unit, part in enumerate(parts) for _ in part]
        labels: list[int] = []
        missing: list[str] = []
        i = 0
        while i < len(decomposed):
            for size in self._sizes:
                k = self._index.get(decomposed[i : i + size])
                if k is not None:
                    labels.append(k)
                    i += size
                    break
            else:
                missing.append(units[owners[i]])
                i += 1
                while i < len(decomposed) and owners[i] == owners[i - 1]:
                    i += 1
        return labels, missing


class TextReport:
    """What normalization did to texts. `removed` and `missing` map a character to the number of its texts.

    `removed` are punctuation, symbols and invisible characters. `missing` are those, and markup such as
    <unk>, that remain although the alphabet cannot write them; `incomplete` of all `texts` have such
    characters.
    """

    def __init__(self, alphabet: Alphabet, texts: Iterable[str] = ()):
        self.alphabet = alphabet
        self.texts = self.incomplete = 0
        self.removed: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        for text in texts:
            self.normalize(text)

    def normalize(self, text: str) -> str:
        """`normalize(text, alphabet)`, counted."""
        normalized = normalize(text, self.alphabet)
        markup = [m for m in MARKUP.findall(normalized) if not self.alphabet.knows_all(m)]
        rest = MARKUP.sub("", normalized) if markup else normalized
        missing = dict.fromkeys([*markup, *self.alphabet.missing(rest)])
        before = unicodedata.normalize("NFC", text).translate(APOSTROPHES) if normalized != text else ""
        removable = dict.fromkeys(c for c in before if _is_removable(c) and not self.alphabet.knows(c))
        self.texts += 1
        self.incomplete += bool(missing)
        self.missing.update(missing.keys())
        self.removed.update(c for c in removable if c not in normalized)
        return normalized

    def to_dict(self) -> dict:
        """The report for JSON."""
        counts = {"missing": dict(self.missing.most_common()), "removed": dict(self.removed.most_common())}
        return {"texts": self.texts, "incomplete": self.incomplete} | counts

    def __bool__(self) -> bool:
        return bool(self.removed or self.missing)

    def __str__(self) -> str:
        parts = []
        if self.missing:
            count = f"{self.incomplete:,} of {self.texts:,} texts"
            parts.append(f"{count} have characters that the alphabet lacks: {_list(self.missing)}")
        if self.removed:
            parts.append(f"removed from the texts: {_list(self.removed)}")
        return "; ".join(parts)


def normalize(text: str, alphabet: Alphabet) -> str:
    """A text as the model writes it, for training, language models, lexicons and evaluation alike.

    NFC and single spaces. Of the characters that the alphabet lacks: upper case becomes lower case if the
    alphabet has the letter, with dotless i (I -> ı, İ -> i) if it has ı and with the final sigma of Greek;
    typographic apostrophes become ' if it has that; marks within words, as in Catalan l·l, and invisible
    characters are removed; other punctuation and symbols separate words, or are removed if the alphabet has
    no space. All others remain, as does markup such as <unk> or [noise], for the caller to report: a model
    trained on texts from which letters were silently dropped learns to drop them too.
    """
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if alphabet.knows_all(text):
        return text
    text = INNER_MARKS.sub(lambda mark: mark[0] if alphabet.knows(mark[0]) else "", text)
    markup = {i for match in MARKUP.finditer(text) for i in range(*match.span())}
    space = " " if " " in alphabet else ""
    replacements: dict[tuple[str, str, bool], str] = {}
    replaced = []
    for i, (character, lower) in enumerate(zip(text, _lower(text, "ı" in alphabet), strict=True)):
        key = character, lower, i in markup
        if key not in replacements:
            known = alphabet.knows(character)
            replacements[key] = character if known else _replace(*key, alphabet, space)
        replaced.append(replacements[key])
    return " ".join(unicodedata.normalize("NFC", "".join(replaced)).split())


def characters(text: str) -> list[str]:
    """The characters of a text in NFC: code points, each with the diacritics that NFC cannot compose with it.

    Diacritics are the marks of no particular script, as in g̃. The marks of a script (vowel signs, viramas,
    harakat, tone marks) are characters of their own. Conjoining jamo are not composed to syllables if some of
    them cannot be.
    """
    composed = unicodedata.normalize("NFC", text)
    jamo = any("\u1100" <= character <= "\u11ff" for character in composed)
    return _CHARACTER.findall(text if jamo else composed)


def display_width(text: str) -> int:
    """Width in terminal columns: East Asian characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def collapse(path: Iterable[int]) -> list[int]:
    """The map B of CTC: merge repeats, then remove blanks. [1 2 2 0 2] -> [1 2 2]."""
    labels: list[int] = []
    previous = BLANK
    for k in path:
        if k not in (previous, BLANK):
            labels.append(int(k))
        previous = k
    return labels


def _lower(text: str, dotless: bool) -> list[str]:
    """The lower case of each character, which depends on its context (Σ) and on the language (I, İ)."""
    lower = text.replace("İ", "I").lower()  # İ is the only character whose lower case is longer
    table = {"I": "ı", "İ": "i"} if dotless else {"İ": "i\u0307"}
    return [table.get(character, lowered) for character, lowered in zip(text, lower, strict=True)]


def _replace(character: str, lower: str, is_markup: bool, alphabet: Alphabet, space: str) -> str:
    """What stands for a character that the alphabet lacks."""
    for candidate in (lower, character.lower(), character.translate(APOSTROPHES)):
        if candidate != character and alphabet.knows_all(candidate):
            return candidate
    if _is_removable(character) and not is_markup:
        return "" if unicodedata.category(character) == "Cf" else space
    return character


def _is_mark(character: str) -> bool:
    return unicodedata.category(character[0])[0] == "M"


def _is_removable(character: str) -> bool:
    """Punctuation, symbols, and invisible format characters such as the soft hyphen."""
    category = unicodedata.category(character)
    return category[0] in "PS" or category == "Cf"


def _decompose(text: str) -> str:
    """NFC with each code point decomposed. Unlike in NFD, marks of different code points keep their order."""
    return "".join(unicodedata.normalize("NFD", c) for c in unicodedata.normalize("NFC", text))


def _describe(character: str) -> str:
    """A character for a message, with its code point, and with its name if it is hard to see."""
    if len(character) != 1:
        return repr(character)
    code = f"U+{ord(character):04X}"
    if unicodedata.category(character)[0] in "MCZ":
        code = f"{code} {unicodedata.name(character, '')}".rstrip()
    return f"{character!r} ({code})"


def _list(counts: Counter[str]) -> str:
    """The most frequent characters and the number of texts with each."""
    by_frequency = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{_describe(c)} in {n:,}" for c, n in by_frequency[:MAX_CHARACTERS_NAMED]]
    return ", ".join(named + ["…"] * (len(by_frequency) > MAX_CHARACTERS_NAMED))
