"""Text in the alphabet of a recognizer: a language model need not know what the recognizer cannot write.

`Characters` splits a text into characters, from which the same counts and smoothing make a character model.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from minids._utils.errors import InputError
from minids.lm.text_source import TextSource, read_lines
from minids.text import MARKUP, MAX_CHARACTERS_NAMED, Alphabet, characters, normalize

SPACE = "|"  # the space as a word of a character model


class NormalizedText:
    """The lines of a source, normalized to an alphabet (see `minids.text.normalize`).

    A line with markup such as <unk> or [noise], or with a character that the alphabet still lacks, such as a
    digit, is skipped. After an iteration `lines` is the number of lines that are not blank, `skipped` that of
    the skipped lines, and `missing` in how many of them each missing character or piece of markup was. Raises
    InputError if all lines were skipped, and for a line of more than a block (1 MB).
    """

    def __init__(self, source: TextSource, alphabet: Alphabet):
        self.source = source
        self.alphabet = alphabet
        self.lines = self.skipped = 0
        self.missing: Counter[str] = Counter()

    def __iter__(self) -> Iterator[str]:
        self.lines = self.skipped = 0
        self.missing.clear()
        cache: dict[str, tuple[str, list[str]]] = {}  # word -> normalized, what the alphabet lacks
        empty = True
        for line in read_lines(self.source):
            words = line.split()
            self.lines += bool(words)
            missing = {m for m in MARKUP.findall(line) if not all(map(self.alphabet.knows, m))}
            for word in words if not missing else ():
                if word not in cache:
                    normalized = normalize(word, self.alphabet)
                    cache[word] = normalized, self.alphabet.missing(normalized.replace(" ", ""))
                missing.update(cache[word][1])
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
        """What was missing in how many lines, the most frequent first."""
        by_frequency = sorted(self.missing.items(), key=lambda pair: (-pair[1], pair[0]))
        named = [f"{_short(item)!r} in {lines:,}" for item, lines in by_frequency[:MAX_CHARACTERS_NAMED]]
        return ", ".join(named + ["…"] * (len(by_frequency) > MAX_CHARACTERS_NAMED))


class Characters:
    """The lines of a source with each character (of an alphabet: each symbol) as a word, the space as
    `SPACE`.

    Raises InputError for a text that contains `SPACE` itself.
    """

    def __init__(self, source: TextSource | NormalizedText):
        self.source = source

    def __iter__(self) -> Iterator[str]:
        if isinstance(self.source, NormalizedText):
            lines: Iterator[str] = iter(self.source)
            split = self.source.alphabet.split
        else:
            lines, split = read_lines(self.source), characters
        for number, line in enumerate(lines, start=1):
            words = [split(word) for word in line.split()]
            if any(SPACE in word for word in words):
                raise InputError(
                    f"{_name(self.source)}, sentence {number}: the character {SPACE}, which stands for"
                    " the space in a character model; remove it"
                )
            yield f" {SPACE} ".join(map(" ".join, words))


def _name(source: TextSource | NormalizedText) -> str:
    if isinstance(source, NormalizedText):
        source = source.source
    if isinstance(source, list | tuple) and len(source) == 1 and isinstance(source[0], Path):
        source = source[0]
    return str(source) if isinstance(source, str | Path) else "the text"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
