"""A text in the letters of a recogniser: what it cannot write, its language model need not know.

And a text letter by letter, of which the same counting and smoothing make a model of characters.
"""

from collections import Counter
from collections.abc import Iterator

from minids.errors import InputError
from minids.lm.words import BLOCK, Source, blocks
from minids.text import Alphabet, normalise, units

SPACE = "|"  # the space as a word among words


class Spelt:
    """The lines of a source as an alphabet has them, without those that hold a character it lacks.

    `skipped` counts the lines left out by the last iteration, `missing` how many of them each character kept
    out. Raises InputError for a line of more than a block (1 MB).
    """

    def __init__(self, source: Source, alphabet: Alphabet):
        self.source = source
        self.alphabet = alphabet
        self.skipped = 0
        self.missing: Counter[str] = Counter()

    def __iter__(self) -> Iterator[str]:
        self.skipped = 0
        self.missing.clear()
        known: dict[str, tuple[str, list[str]]] = {}  # word -> as the alphabet has it, what it lacks
        for line in _lines(self.source):
            missing: set[str] = set()
            spelt = []
            for word in line.split():
                if word not in known:
                    ours = normalise(word, self.alphabet)
                    known[word] = ours, self.alphabet.missing(ours)
                spelt.append(known[word][0])
                missing.update(known[word][1])
            if missing:
                self.skipped += 1
                self.missing.update(missing)
            elif spelt:
                yield " ".join(spelt)


class Characters:
    """The lines of a source with each character as a word, and the space as `SPACE`."""

    def __init__(self, source: Source | Spelt):
        self.source = source

    def __iter__(self) -> Iterator[str]:
        for line in self.source if isinstance(self.source, Spelt) else _lines(self.source):
            yield " ".join(SPACE if unit == " " else unit for unit in units(" ".join(line.split())))


def _lines(source: Source) -> Iterator[str]:
    rest = ""
    for block in blocks(source):
        *lines, rest = (rest + block.data.decode()).split("\n")
        yield from lines
        if len(rest) > BLOCK:
            raise InputError(f"{block.name}: a line of over {BLOCK:,} characters; give each sentence a line")
