"""The words of a text: which texts are allowed, and the log-probability of their words.

`Language` states the rules in plain Python. minids/decode/prefix.py applies the same rules to a prefix of the
beam search, one symbol at a time, compiled.

A word that the language model does not know is spelled: P_lm(word) = P(<unk>) / (K-1)^letters, all symbols
being equally likely. The search charges this from the first letter at which no known word can continue, not
only when the word ends. An unknown word that swallows its neighbor therefore pays for every letter of it, and
words are not glued together, a common complaint about other decoders.
"""

import math
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minids._utils.errors import InputError
from minids._utils.warning import warn
from minids.decode import njit
from minids.lm._scorer import score
from minids.lm.text_filter import SPACE
from minids.lm.text_source import read_lines
from minids.lm.vocabulary import END, SPECIAL, UNKNOWN
from minids.text import BLANK, Alphabet, normalize

if TYPE_CHECKING:
    from minids.lm.ngram import NGram

Labels = tuple[int, ...]


class LanguageMode(IntEnum):
    """What scores or constrains a text. From WORDS on, spaces separate known and unknown words."""

    OPEN = 0  # nothing
    CHARACTERS = 1  # a language model of characters
    WORDS = 2  # a language model of words
    LEXICON = 3  # a lexicon, with or without a language model of words


class LanguageWarning(UserWarning):
    """The recognizer cannot write many of the language model's words."""


class Language:
    """Which texts are allowed, and how likely their words are.

    With a language model of words, or a lexicon, a space ends a word: no text begins with a space, and no two
    spaces are adjacent. A lexicon allows only its own words. Without either, every text is allowed. A model
    whose words are single symbols, with `SPACE` among them if the alphabet has a space, is a model of
    characters: it scores every symbol at once and allows every text.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        lm: "NGram | None" = None,
        lexicon: str | Path | Iterable[str] | None = None,
    ):
        self.lm = lm
        self.mode = LanguageMode.OPEN if lm is None else LanguageMode.WORDS
        self.space = int(alphabet.encode(" ")[0]) if " " in alphabet else BLANK  # no space: one word per text
        self.oov_symbol_cost = math.log(len(alphabet.symbols)) if lm is not None else 0.0
        self.words: dict[Labels, int] = {}  # spelling -> word number
        name = ""
        words: Sequence[str] = ()
        if lm is not None:
            name, words = lm.name, lm.words[len(SPECIAL) :]
            by_log_prob = np.argsort(lm.log_probs[1 : 1 + len(lm.words)], kind="stable").tolist()
            self.words, unwritable = encode_words(
                ((lm.words[i], i) for i in by_log_prob if i > END), alphabet
            )
            single = all(len(word) == 1 for word in self.words)
            if single and lexicon is None and (SPACE in lm.words or self.space == BLANK):
                self.mode = LanguageMode.CHARACTERS
                if SPACE in lm.words and self.space != BLANK:
                    self.words[self.space,] = lm.words.index(SPACE)
            elif self.words and len(unwritable) > len(lm.words) / 10:
                warn(
                    f"{_some_of(unwritable, lm.words, name)}; train it on text in this alphabet",
                    LanguageWarning,
                )
        if lexicon is not None:
            self.mode = LanguageMode.LEXICON
            name = str(lexicon) if isinstance(lexicon, str | Path) else "the lexicon"
            words = _entries(lexicon)
            spelled, unwritable = encode_words(((word, UNKNOWN) for word in words), alphabet)
            self.words = {word: self.words.get(word, UNKNOWN) for word in spelled}
            if self.words and unwritable:
                warn(_some_of(unwritable, words, name), LanguageWarning)
        if self.mode != LanguageMode.OPEN and not self.words:
            raise InputError(
                f"no word of {name} (such as {next(iter(words), '')!r}) can be written in the alphabet"
                f" {''.join(alphabet.symbols)!r}; use words in this alphabet"
            )
        if self.mode == LanguageMode.WORDS and self.space == BLANK:
            warn(
                f"{name} is a model of words, but the alphabet has no space to separate them, so each text"
                " counts as one word; use a model of characters (`minids lm train --characters`)",
                LanguageWarning,
            )

    @property
    def word_level(self) -> bool:
        """Whether the identity of words matters, not only their number and their characters."""
        return self.mode >= LanguageMode.WORDS

    @cached_property
    def prefixes(self) -> set[Labels]:
        """All prefixes of known words, the words included."""
        return {word[:n] for word in self.words for n in range(len(word) + 1)}

    def split(self, labels: Sequence[int]) -> tuple[list[Labels], Labels]:
        """The words that a space has ended, and the letters after the last space."""
        runs: list[Labels] = [()]
        for c in labels:
            if c == self.space:
                runs.append(())
            else:
                runs[-1] = (*runs[-1], c)
        return [word for word in runs[:-1] if word], runs[-1]

    def can_append(self, labels: Sequence[int], c: int) -> bool:
        """Whether symbol c may follow a text."""
        if not self.word_level:
            return True
        _, part = self.split(labels)
        if c == self.space:
            return part in self.words or (bool(part) and self.mode != LanguageMode.LEXICON)
        return self.mode != LanguageMode.LEXICON or (*part, c) in self.prefixes

    def normalize(self, labels: Labels) -> Labels:
        """The labels with single spaces and none at the ends, if spaces only separate words."""
        if not self.word_level or self.space == BLANK:
            return labels
        words, part = self.split(labels)
        spaced = [c for word in (*words, part) for c in (*word, self.space) if word]
        return tuple(spaced[:-1])

    def at_word_boundary(self, labels: Labels) -> bool:
        """Whether a further space would not change a text."""
        return self.word_level and self.space != BLANK and labels[-1:] in ((), (self.space,))

    def is_complete(self, labels: Sequence[int]) -> bool:
        """Whether a text may end here: with a lexicon, only after a complete word."""
        _, part = self.split(labels)
        return self.mode != LanguageMode.LEXICON or not part or part in self.words

    def lm_score(self, labels: Sequence[int], finished: bool = False) -> tuple[float, int]:
        """log P_lm of a text's complete words, or of its characters (0 without a model), and its word count.

        An incomplete word costs nothing as long as a known word begins with it; otherwise it is charged as an
        unknown word. `finished`: the text ends here, so its last letters are a word, and </s> follows.
        """
        words, part = self.split(labels)
        if finished and part:
            words, part = [*words, part], ()
        if self.lm is None:
            return 0.0, len(words)
        log_prob, state = 0.0, self.lm.tables.begin
        for word in words if self.word_level else [(c,) for c in labels]:
            word_log_prob, state = self._score_word(state, word)
            log_prob += word_log_prob
        if self.word_level and part and part not in self.prefixes:
            log_prob += self._score_word(state, part)[0]
        if finished:
            log_prob += score(self.lm.tables, state, END)[0]
        return log_prob, len(words)

    def _score_word(self, state: int, word: Labels) -> tuple[float, int]:
        """log p(word | state), and the state after the word."""
        assert self.lm is not None
        number = self.words.get(word, UNKNOWN)
        log_prob, state = score(self.lm.tables, state, number)
        return log_prob - self.oov_symbol_cost * len(word) * (number == UNKNOWN), state


def _some_of(unwritable: list[str], words: Sequence[str], name: str) -> str:
    return (
        f"{len(unwritable)} of {len(words)} words of {name} (such as {unwritable[-1]!r}) cannot be written in"
        " the recognizer's alphabet and will never be recognized"
    )


def _entries(lexicon: str | Path | Iterable[str]) -> list[str]:
    """The words of a lexicon: an iterable, or a file with a word on each line."""
    if isinstance(lexicon, str | Path):
        lines = enumerate(read_lines(Path(lexicon)), start=1)
        entries = [(f"{lexicon}:{number}", line) for number, line in lines if line.strip()]
    else:
        entries = [(f"lexicon entry {number}", entry) for number, entry in enumerate(lexicon, start=1)]
    for location, entry in entries:
        if not isinstance(entry, str) or len(entry.split()) != 1:
            raise InputError(f"{location}: {entry!r} is not a word; give one word per line or entry")
    return [entry.strip() for _, entry in entries]


def encode_words(words: Iterable[tuple[str, int]], alphabet: Alphabet) -> tuple[dict[Labels, int], list[str]]:
    """(word, number) -> {labels: number} of the words that the alphabet can write, and a list of the others.

    Words are normalized as the texts are. If several then have the same spelling ("The", "the"), the last one
    counts.
    """
    spelled, unwritable = {}, []
    for word, number in words:
        normalized = normalize(word, alphabet)
        if normalized.split() == [normalized] and not alphabet.missing(normalized):
            spelled[tuple(alphabet.encode(normalized).tolist())] = number
        else:
            unwritable.append(word)
    return spelled, unwritable


class Trie(NamedTuple):
    """Words as a tree of letters, numbered level by level, so that the children of a node are adjacent.

    The children of node n are first[n] … first[n+1] - 1, sorted by symbol; the root is 0.
    """

    first: np.ndarray  # (nodes + 1,) int32
    symbol: np.ndarray  # (nodes,) int32, on the edge into the node
    word: np.ndarray  # (nodes,) int32, the number of the word that ends here, or -1


def build_trie(spellings: dict[Labels, int], characters: int) -> Trie:
    """{labels of a word: its number} -> Trie. `characters` is K."""
    numbers = np.fromiter(spellings.values(), np.int32, len(spellings))
    lengths = np.fromiter(map(len, spellings), np.int64, len(spellings))
    letters = np.fromiter((c for labels in spellings for c in labels), np.int64, lengths.sum())
    starts = np.cumsum(lengths) - lengths
    node = np.zeros(len(lengths), np.int64)  # the node that each word has reached
    symbol, counts, word = [np.array([-1])], [], np.full(1 + letters.size, -1, np.int32)
    nodes, level = 1, 1  # in total, and on the previous level
    for depth in range(lengths.max(initial=0)):
        longer = np.flatnonzero(lengths > depth)
        edges, child = np.unique(
            node[longer] * characters + letters[starts[longer] + depth], return_inverse=True
        )
        counts.append(np.bincount(edges // characters - (nodes - level), minlength=level))
        symbol.append(edges % characters)
        node[longer] = nodes + child
        nodes, level = nodes + len(edges), len(edges)
        complete = longer[lengths[longer] == depth + 1]
        word[node[complete]] = numbers[complete]
    children = np.concatenate([*counts, np.zeros(level, np.int64)])
    first = np.concatenate([[1], 1 + np.cumsum(children)])
    return Trie(first.astype(np.int32), np.concatenate(symbol).astype(np.int32), word[:nodes].copy())


@njit()
def find_child(trie, node, symbol):
    """The child of a node along a symbol, or -1."""
    low, end = trie.first[node], trie.first[node + 1]
    high = end
    while low < high:
        middle = (low + high) // 2
        if trie.symbol[middle] < symbol:
            low = middle + 1
        else:
            high = middle
    return low if low < end and trie.symbol[low] == symbol else -1
