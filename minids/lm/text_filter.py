"""Text in the alphabet of a recognizer: a language model need not know what the recognizer cannot write.

`Characters` splits a text into characters, from which the same counts and smoothing make a character model.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

from minids._utils.errors import InputError
from minids.lm.text_source import TextSource, read_lines
from minids.text import APOSTROPHES, Alphabet, characters, normalize

SPACE = "|"  # the space as a word of a character model
MAX_CHARACTERS_NAMED = 5  # in a message


class NormalizedText:
    """The lines of a source in the characters of an alphabet.

    Punctuation and symbols (Unicode's P* and S*) that the alphabet lacks separate words; printed apostrophes
    become ' if the alphabet has it. A line with any other character that it lacks, such as a digit, is
    skipped. After an iteration `lines` is the number of lines that are not blank, `skipped` that of the
    skipped lines, and `missing` in how many of them each missing character was. Raises InputError if all
    lines were skipped, and for a line of more than a block (1 MB).
    """

    def __init__(self, source: TextSource, alphabet: Alphabet):
        self.source = source
        self.alphabet = alphabet
        self.lines = self.skipped = 0
        self.missing: Counter[str] = Counter()

    def __iter__(self) -> Iterator[str]:
        self.lines = self.skipped = 0
        self.missing.clear()
        cache: dict[
            str, tuple[str, list[str]]
        ] = {}  # word -> the word in the alphabet, what the alphabet lacks
        empty = True
        for line in read_lines(self.source):
            words = line.split()
            for word in words:
                if word not in cache:
                    normalized = self._normalize(word)
                    cache[word] = normalized, self.alphabet.missing(normalized.replace(" ", ""))
            missing = {character for word in words for character in cache[word][1]}
            self.lines += bool(words)
            if missing:
                self.skipped += 1
                self.missing.update(missing)
            elif normalized := " ".join(cache[word][0] for word in words if cache[word][0]):
                empty = False
                yield normalized
        if self.skipped and empty:
            raise InputError(
                f"none of the {self.lines:,} lines of {_name(self.source)} can be written in"
                f" {_short(''.join(self.alphabet.symbols))!r}: {self.reasons()}; give other text, or an"
                " alphabet that has these characters"
            )

    def reasons(self) -> str:
        """The missing characters and the number of lines with each, the most frequent first."""
        ranked = sorted(self.missing.items(), key=lambda pair: (-pair[1], pair[0]))
        named = [f"{character!r} in {lines:,}" for character, lines in ranked[:MAX_CHARACTERS_NAMED]]
        return ", ".join(named + ["…"] * (len(ranked) > MAX_CHARACTERS_NAMED))

    def _normalize(self, word: str) -> str:
        """The word in the alphabet; several words if punctuation separates them, or none."""
        if "'" in self.alphabet:
            word = "".join(s if s in self.alphabet else s.translate(APOSTROPHES) for s in characters(word))
        symbols = characters(normalize(word, self.alphabet))
        parts = "".join(" " if s not in self.alphabet and category(s[0])[0] in "PS" else s for s in symbols)
        return " ".join(parts.split())


class Characters:
    """The lines of a source with each character as a word, and the space as `SPACE`."""

    def __init__(self, source: TextSource | NormalizedText):
        self.source = source

    def __iter__(self) -> Iterator[str]:
        for line in self.source if isinstance(self.source, NormalizedText) else read_lines(self.source):
            yield " ".join(SPACE if unit == " " else unit for unit in characters(" ".join(line.split())))


def _name(source: TextSource) -> str:
    if isinstance(source, list | tuple) and len(source) == 1 and isinstance(source[0], Path):
        source = source[0]
    return str(source) if isinstance(source, str | Path) else "the text"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
