"""A text in the letters of a recognizer: what it cannot write, its language model need not know.

And a text letter by letter, of which the same counting and smoothing make a model of characters.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

from minids._utils.errors import InputError
from minids.lm.vocabulary import BLOCK, Source, blocks
from minids.text import APOSTROPHES, Alphabet, normalize, graphemes

SPACE = "|"  # the space as a word among words
TOLD = 5  # characters that a message names


class NormalizedText:
    """The lines of a source as an alphabet has them.

    Punctuation and symbols (Unicode's P* and S*) that the alphabet lacks separate words, printed apostrophes
    become ' where it has that; a line with any other character it lacks, such as a digit, is left out. Of the
    last iteration `lines` counts the lines that are not blank, `skipped` those left out, and `missing` how
    many of them each character kept out. Raises InputError when all were, and for a line of more than a block
    (1 MB).
    """

    def __init__(self, source: Source, alphabet: Alphabet):
        self.source = source
        self.alphabet = alphabet
        self.lines = self.skipped = 0
        self.missing: Counter[str] = Counter()

    def __iter__(self) -> Iterator[str]:
        self.lines = self.skipped = 0
        self.missing.clear()
        known: dict[str, tuple[str, list[str]]] = {}  # word -> as the alphabet has it, what it lacks
        some = False
        for line in _lines(self.source):
            words = line.split()
            for word in words:
                if word not in known:
                    ours = self._spell(word)
                    known[word] = ours, self.alphabet.missing(ours.replace(" ", ""))
            missing = {character for word in words for character in known[word][1]}
            self.lines += bool(words)
            if missing:
                self.skipped += 1
                self.missing.update(missing)
            elif spelled := " ".join(known[word][0] for word in words if known[word][0]):
                some = True
                yield spelled
        if self.skipped and not some:
            raise InputError(
                f"none of the {self.lines:,} lines of {_name(self.source)} can be spelled in"
                f" {_short(''.join(self.alphabet.symbols))!r}: {self.reasons()}; give other text, or an"
                " alphabet that has these"
            )

    def reasons(self) -> str:
        """Which characters kept how many lines out, the worst first."""
        worst = sorted(self.missing.items(), key=lambda pair: (-pair[1], pair[0]))
        return ", ".join([*(f"{c!r} in {n:,}" for c, n in worst[:TOLD]), *(["…"] if worst[TOLD:] else [])])

    def _spell(self, word: str) -> str:
        """A word as the alphabet has it; several where punctuation parts it, or none."""
        if "'" in self.alphabet:
            word = "".join(u if u in self.alphabet else u.translate(APOSTROPHES) for u in graphemes(word))
        ours = graphemes(normalize(word, self.alphabet))
        parted = "".join(" " if u not in self.alphabet and category(u[0])[0] in "PS" else u for u in ours)
        return " ".join(parted.split())


class Characters:
    """The lines of a source with each character as a word, and the space as `SPACE`."""

    def __init__(self, source: Source | NormalizedText):
        self.source = source

    def __iter__(self) -> Iterator[str]:
        for line in self.source if isinstance(self.source, NormalizedText) else _lines(self.source):
            yield " ".join(SPACE if unit == " " else unit for unit in graphemes(" ".join(line.split())))


def _lines(source: Source) -> Iterator[str]:
    rest = ""
    for block in blocks(source):
        *lines, rest = (rest + block.data.decode()).split("\n")
        yield from lines
        if len(rest) > BLOCK:
            raise InputError(f"{block.name}: a line of over {BLOCK:,} characters; give each sentence a line")


def _name(source: Source) -> str:
    if isinstance(source, list | tuple) and len(source) == 1 and isinstance(source[0], Path):
        source = source[0]
    return str(source) if isinstance(source, str | Path) else "the text"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
