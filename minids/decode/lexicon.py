"""The words of a text: which texts are allowed, and the log-probability of their words.

`Language` states the rules in plain Python. minids/decode/prefix.py applies the same rules to a prefix of the
beam search, one symbol at a time, compiled.

A word that the language model does not know is spelled: P_lm(word) = P(<unk>) / (K-1)^letters, all symbols
being equally likely. The search charges this from the first letter at which no known word can continue, not
only when the word ends. An unknown word that swallows its neighbor therefore pays for every letter of it, and
words are not glued together, a common complaint about other decoders.

The symbols of some networks are word pieces of several letters, in which ▁ begins a word (`▁the`), as in
SentencePiece. Their rules are those of the letters, with ▁ as the space.
"""

import copy
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
HotWords = Mapping[str, float] | Iterable[str]

HOT_WORD_WEIGHT = 5.0  # nats; with 10, rare words begin to take the place of frequent ones
MAX_HOT_WORD_WEIGHT = 20.0  # more moves a word to where it is not, and its letters out of the pruned beam
WORD_START = "▁"  # in a word piece


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

    Word pieces are spelled in `letters`, an alphabet of the space and code points of NFD; the methods take
    and return these letters. Of other alphabets `letters` is the alphabet itself, and a letter a symbol.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        lm: "NGram | None" = None,
        lexicon: str | Path | Iterable[str] | None = None,
    ):
        self.pieces = max(symbol.count(WORD_START) for symbol in alphabet.symbols)  # words begun by a symbol
        self.letters, self.spellings = alphabet, [(k,) for k in range(len(alphabet))]
        if self.pieces:
            texts = [unicodedata.normalize("NFD", s.replace(WORD_START, " ")) for s in alphabet.symbols]
            self.letters = alphabet = Alphabet(sorted({" ", *"".join(texts)}))
            self.spellings = [(BLANK,), *(tuple(alphabet.encode(text).tolist()) for text in texts)]
        self.hot_words: dict[Labels, float] = {}
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
                if self.pieces:
                    raise InputError(f"{name} is a model of characters; word pieces need one of words")
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

    def with_hot_words(self, hot_words: HotWords | None) -> "Language":
        """This language with these hot words instead, which a mapping gives with their weights.

        A phrase counts as its words, each wherever it occurs. Hot words are known: none is spelled, and a
        lexicon allows them.
        Raises InputError for a weight out of range, and if no hot word can be written.
        """
        if hot_words is None:
            return self
        if isinstance(hot_words, str) or not all(isinstance(word, str) for word in hot_words):
            raise InputError("hot words are a list of strings, or a mapping from strings to weights")
        weights = hot_words if isinstance(hot_words, Mapping) else dict.fromkeys(hot_words, HOT_WORD_WEIGHT)
        for word, weight in weights.items():
            if not isinstance(weight, Real) or not 0 <= float(weight) <= MAX_HOT_WORD_WEIGHT:
                limit = f"from 0 to {MAX_HOT_WORD_WEIGHT:g}"
                raise InputError(f"the weight of the hot word {word!r} is {weight}; give a number {limit}")
        words = [(part, w) for word, w in weights.items() for part in normalize(word, self.letters).split()]
        if weights and not words:
            raise InputError(f"{next(iter(weights))!r} is not a word; give hot words, or none")
        words.sort(key=lambda pair: pair[1])  # the largest weight of a word counts
        language = copy.copy(self)
        language.hot_words, unwritable = encode_words(words, self.letters)
        if unwritable:
            message = _some_of(unwritable, words, "the hot words")
            if not language.hot_words:
                raise InputError(f"{message}; use words in this alphabet")
            warn(message, LanguageWarning)
        return language

    @cached_property
    def prefixes(self) -> set[Labels]:
        """All prefixes of known words, the words included."""
        return {word[:n] for word in self.words for n in range(len(word) + 1)}

    def is_prefix(self, part: Labels) -> bool:
        """Whether a known word or a hot word begins like this."""
        return part in self.prefixes or any(word[: len(part)] == part for word in self.hot_words)

    def is_word(self, word: Labels) -> bool:
        """Whether this is a known word or a hot word."""
        return word in self.words or word in self.hot_words

    def spell(self, labels: Iterable[int]) -> Labels:
        """Symbols -> letters; of word pieces, a space at the start or after another has no effect."""
        if not self.pieces:
            return tuple(labels)
        letters: list[int] = []
        for c in labels:
            for letter in self.spellings[c]:
                if letter != self.space or letters[-1:] not in ([], [letter]):
                    letters.append(letter)
        return tuple(letters)

    def text(self, labels: Labels) -> str:
        """Symbols -> text."""
        return self.letters.decode(self.normalize(self.spell(labels)) if self.pieces else labels)

    def without_part(self, labels: Labels) -> Labels:
        """The symbols of a text without those of the letters after its last space."""
        words, part = before, _ = self.split(self.spell(labels))
        while part and len(words) == len(before):
            labels = labels[:-1]
            words, part = self.split(self.spell(labels))
        return labels

    def split(self, letters: Sequence[int]) -> tuple[list[Labels], Labels]:
        """The words that a space has ended, and the letters after the last space."""
        runs: list[Labels] = [()]
        for c in letters:
            if c == self.space:
                runs.append(())
            else:
                runs[-1] = (*runs[-1], c)
        return [word for word in runs[:-1] if word], runs[-1]

    def can_append(self, letters: Sequence[int], c: int) -> bool:
        """Whether letter c may follow a text."""
        if not self.word_level:
            return True
        _, part = self.split(letters)
        if c == self.space:
            return self.is_word(part) or (bool(part) and self.mode != LanguageMode.LEXICON)
        return self.mode != LanguageMode.LEXICON or self.is_prefix((*part, c))

    def normalize(self, letters: Labels) -> Labels:
        """The letters with single spaces and none at the ends, if spaces only separate words."""
        if not (self.word_level or self.pieces) or self.space == BLANK:
            return letters
        words, part = self.split(letters)
        spaced = [c for word in (*words, part) for c in (*word, self.space) if word]
        return tuple(spaced[:-1])

    def at_word_boundary(self, letters: Labels) -> bool:
        """Whether a further space would not change a text."""
        spaced = self.word_level and not self.pieces and self.space != BLANK
        return spaced and letters[-1:] in ((), (self.space,))

    def is_complete(self, letters: Sequence[int]) -> bool:
        """Whether this may be a text: with a lexicon, only if all words are known."""
        words, part = self.split(letters)
        return self.mode != LanguageMode.LEXICON or all(self.is_word(w) for w in (*words, part) if w)

    def lm_score(self, letters: Sequence[int], finished: bool = False) -> tuple[float, int, float]:
        """log P_lm of a text's complete words, or of its characters (0 without a model), the number of its
        words, and the weights of its hot words.

        An incomplete word costs nothing as long as a known word begins with it; otherwise it is charged as an
        unknown word. An incomplete hot word has its share of the weight. `finished`: the text ends here, so
        its last letters are a word, and </s> follows.
        """
        words, part = self.split(letters)
        if finished and part:
            words, part = [*words, part], ()
        hot = sum(self.hot_words.get(word, 0.0) for word in words)
        begun = (weight / len(w) for w, weight in self.hot_words.items() if w[: len(part)] == part)
        hot += len(part) * max(begun, default=0.0)
        if self.lm is None:
            return 0.0, len(words), hot
        log_prob, state = 0.0, self.lm.tables.begin
        for word in words if self.word_level else [(c,) for c in letters]:
            word_log_prob, state = self._score_word(state, word)
            log_prob += word_log_prob
        if self.word_level and part and not self.is_prefix(part):
            log_prob += self._score_word(state, part)[0]
        if finished:
            log_prob += score(self.lm.tables, state, END)[0]
        return log_prob, len(words), hot

    def _score_word(self, state: int, word: Labels) -> tuple[float, int]:
        """log p(word | state), and the state after the word."""
        assert self.lm is not None
        number = self.words.get(word, UNKNOWN)
        log_prob, state = score(self.lm.tables, state, number)
        spelled = number == UNKNOWN and not (self.word_level and word in self.hot_words)
        return log_prob - self.oov_symbol_cost * len(word) * spelled, state


def _some_of(unwritable: list[str], words: Sequence[Any], name: str) -> str:
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


def encode_words(words: Iterable[tuple[str, Any]], alphabet: Alphabet) -> tuple[dict[Labels, Any], list[str]]:
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


# Words as a tree of letters, numbered level by level, so that the children of a node are adjacent. Those of
# node n are trie[n].first … trie[n+1].first - 1, sorted by letter; the root is 0, and the last entry no node.
# As one array, a trie is passed to a function in a few registers.
NODE = np.dtype(
    [
        ("first", "i4"),
        ("letter", "i4"),  # on the edge into the node
        ("word", "i4"),  # the number of the word that ends here, or -1
    ]
)
HOT_NODE = np.dtype(
    [
        *NODE.descr,
        ("weight", "f8"),  # of the hot word that ends here, or 0
        ("begun", "f8"),  # the share of a weight that the letters so far have earned
    ],
    align=True,
)


def build_trie(spellings: dict[Labels, int], characters: int) -> np.ndarray:
    """{letters of a word: its number} -> NODE (nodes + 1,). `characters` is the number of letters + 1."""
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
    trie = np.zeros(nodes + 1, NODE)
    trie["first"] = np.cumsum([1, *np.concatenate([*counts, np.zeros(level, np.int64)])])
    trie["letter"][:-1], trie["word"][:-1] = np.concatenate(symbol), word[:nodes]
    return trie


@njit()
def find_child(trie, node, letter):
    """The child of a node along a letter, or -1."""
    low, end = trie[node].first, trie[node + 1].first
    high = end
    while low < high:
        middle = (low + high) // 2
        if trie[middle].letter < letter:
            low = middle + 1
        else:
            high = middle
    return low if low < end and trie[low].letter == letter else -1


class Words(NamedTuple):
    """What compiled code reads of a Language."""

    trie: np.ndarray  # NODE: the known words
    hot: np.ndarray  # HOT_NODE: the hot words
    letters: np.ndarray  # (K, most letters of a symbol) int32: those of each symbol, then -1


def make_words(language: Language) -> Words:
    """The arrays of a Language."""
    letters = np.full((len(language.spellings), max(map(len, language.spellings))), -1, np.int32)
    for row, spelling in zip(letters, language.spellings, strict=True):
        row[: len(spelling)] = spelling
    return Words(build_trie(language.words, len(language.letters)), hot_trie(language), letters)


def hot_trie(language: Language) -> np.ndarray:
    """The hot words of a Language as HOT_NODE (nodes + 1,)."""
    nodes = build_trie(dict.fromkeys(language.hot_words, 1), len(language.letters))
    trie = np.zeros(len(nodes), HOT_NODE)
    for name in NODE.names or ():
        trie[name] = nodes[name]
    for word, weight in language.hot_words.items():
        node = 0
        for depth, letter in enumerate(word, start=1):
            node = find_child(trie, node, letter)
            trie[node]["begun"] = max(trie[node]["begun"], depth * (weight / len(word)))
        trie[node]["weight"] = weight
    return trie
