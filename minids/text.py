"""Texts and labels: the alphabet and its blank, normalization, and CTC's collapse of a path into labels."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

BLANK = 0
ENGLISH = " 'abcdefghijklmnopqrstuvwxyz"  # with the blank the paper's 29 characters (§2)
APOSTROPHES = str.maketrans("\u2019\u02bc\uff07", "'''")  # typographic apostrophes, for str.translate


class Alphabet:
    """The K outputs of a model: index 0 is the blank, 1 … K-1 are `symbols`.

    `symbols` is a string or a list of strings in NFC. A character of a string is a symbol together with the
    combining marks that follow it (a Hangul syllable, an accented letter). Raises ValueError for an alphabet
    without symbols and for a symbol that is empty or repeated.
    """

    def __init__(self, symbols: str | Sequence[str] = ENGLISH):
        self.symbols = tuple(unicodedata.normalize("NFC", s) for s in graphemes(symbols))
        self._index = {s: k for k, s in enumerate(self.symbols, start=1)}
        if not self.symbols or "" in self._index:
            raise ValueError("the alphabet has no symbols, or an empty one")
        if len(self._index) != len(self.symbols):
            [(repeated, _)] = Counter(self.symbols).most_common(1)
            raise ValueError(f"the alphabet names {repeated!r} twice")

    def __len__(self) -> int:
        return len(self.symbols) + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alphabet) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"Alphabet({''.join(self.symbols)!r})"

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._index

    def missing(self, text: str) -> list[str]:
        """The characters of a text that the alphabet lacks, each once, in order of appearance."""
        return [c for c in dict.fromkeys(graphemes(text)) if c not in self._index]

    def encode(self, text: str) -> np.ndarray:
        """Text -> labels (U,) int32. Raises ValueError naming a character that the alphabet lacks."""
        try:
            return np.array([self._index[c] for c in graphemes(text)], np.int32)
        except KeyError as error:
            raise ValueError(
                f"the alphabet has no {error.args[0]!r} (U+{ord(error.args[0][0]):04X})"
            ) from None

    def decode(self, labels: Iterable[int]) -> str:
        """Labels 1 … K-1 -> text. The blank has no symbol: collapse a path first."""
        return "".join(self.symbols[k - 1] for k in labels)


def graphemes(text: str | Sequence[str]) -> list[str]:
    """The characters of a string in NFC, each with the combining marks that follow it; a list as it is."""
    if not isinstance(text, str):
        return list(text)
    characters: list[str] = []
    for character in unicodedata.normalize("NFC", text):
        if characters and unicodedata.combining(character):
            characters[-1] += character
        else:
            characters.append(character)
    return characters


def normalize(text: str, alphabet: Alphabet) -> str:
    """A transcript as the model writes it: NFC, single spaces, lower case where the alphabet has only that.

    Characters that the alphabet lacks remain, for the caller to report: a model trained on texts from which
    letters were silently dropped learns to drop them too.
    """
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(c if c in alphabet else _lower(c, alphabet) for c in graphemes(text))


def _lower(character: str, alphabet: Alphabet) -> str:
    lower = unicodedata.normalize("NFC", character.lower())
    return lower if lower in alphabet else character


def collapse(path: Iterable[int]) -> list[int]:
    """The map B of CTC: merge repeats, then remove blanks. [1 2 2 0 2] -> [1 2 2]."""
    labels: list[int] = []
    previous = BLANK
    for k in path:
        if k not in (previous, BLANK):
            labels.append(int(k))
        previous = k
    return labels
