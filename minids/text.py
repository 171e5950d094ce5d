"""Letters and numbers: the alphabet, its blank, and the collapse of a path of frames into a text."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

BLANK = 0
ENGLISH = " 'abcdefghijklmnopqrstuvwxyz"  # with the blank the paper's 29 characters (§2)
APOSTROPHES = str.maketrans("\u2019\u02bc\uff07", "'''")  # as books print them


class Alphabet:
    """The K characters of a model: index 0 is the blank, 1 … K-1 are `symbols`.

    `symbols` is a string or a list of strings; each is one user-perceived unit in NFC (a Hangul syllable, an
    accented letter). Raises ValueError for an empty, repeated or empty-string symbol.
    """

    def __init__(self, symbols: str | Sequence[str] = ENGLISH):
        self.symbols = tuple(unicodedata.normalize("NFC", s) for s in units(symbols))
        self._index = {s: k for k, s in enumerate(self.symbols, start=1)}
        if not self.symbols or "" in self._index:
            raise ValueError("the alphabet has no symbols, or an empty one")
        if len(self._index) != len(self.symbols):
            (twice, _), *_ = Counter(self.symbols).most_common(1)
            raise ValueError(f"the alphabet names {twice!r} twice")

    def __len__(self) -> int:
        return len(self.symbols) + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alphabet) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"Alphabet({''.join(self.symbols)!r})"

    def __contains__(self, unit: str) -> bool:
        return unit in self._index

    def missing(self, text: str) -> list[str]:
        """The characters of a text that the alphabet lacks, each once, in order of appearance."""
        return [u for u in dict.fromkeys(units(unicodedata.normalize("NFC", text))) if u not in self._index]

    def encode(self, text: str) -> np.ndarray:
        """Text -> indices (U,) int32. Raises ValueError naming a character that the alphabet lacks."""
        try:
            return np.array([self._index[u] for u in units(unicodedata.normalize("NFC", text))], np.int32)
        except KeyError as error:
            raise ValueError(
                f"the alphabet has no {error.args[0]!r} (U+{ord(error.args[0][0]):04X})"
            ) from None

    def decode(self, indices: Iterable[int]) -> str:
        """Indices 1 … K-1 -> text. The blank has no letter: collapse first."""
        return "".join(self.symbols[k - 1] for k in indices)


def units(text: str | Sequence[str]) -> list[str]:
    """A string as its characters, each with the combining marks that NFC could not fold into it."""
    if not isinstance(text, str):
        return list(text)
    units: list[str] = []
    for character in unicodedata.normalize("NFC", text):
        if units and unicodedata.combining(character):
            units[-1] += character
        else:
            units.append(character)
    return units


def normalize(text: str, alphabet: Alphabet) -> str:
    """A transcript as the model writes it: NFC, single spaces, lower case where only that is known.

    Characters that the alphabet lacks stay, for the caller to report: silently dropping a letter teaches a
    model to drop it too.
    """
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(u if u in alphabet else _lower(u, alphabet) for u in units(text))


def _lower(unit: str, alphabet: Alphabet) -> str:
    lower = unicodedata.normalize("NFC", unit.lower())
    return lower if lower in alphabet else unit


def collapse(path: Iterable[int]) -> list[int]:
    """The map B of CTC: merge repeats, then remove blanks. [1 2 2 0 2] -> [1 2 2]."""
    labels: list[int] = []
    previous = BLANK
    for k in path:
        if k not in (previous, BLANK):
            labels.append(int(k))
        previous = k
    return labels
