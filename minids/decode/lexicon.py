"""The words of a text: which texts are allowed, and the log-probability of their words.

`Language` states the rules in plain Python. The compiled functions below it apply the same rules to the beam
search, one symbol at a time.

A word that the language model does not know is spelled: P_lm(word) = P(<unk>) / (K-1)^letters, all symbols
being equally likely. The search charges this from the first letter at which no known word can continue, not
only when the word ends. An unknown word that swallows its neighbor therefore pays for every letter of it, and
words are not glued together, a common complaint about other decoders.
"""

import math
import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minids._utils.errors import InputError
from minids.decode import njit
from minids.lm._scorer import score
from minids.lm.text_filter import SPACE
from minids.lm.text_source import read_lines
from minids.lm.vocabulary import END, SPECIAL, UNKNOWN
from minids.text import BLANK, Alphabet, normalize

if TYPE_CHECKING:
    from minids.lm.ngram import NGram

Labels = tuple[int, ...]

# What constrains a text: nothing, a language model of characters, one of words, a lexicon.
OPEN, CHARACTERS, WORDS, CLOSED = range(4)


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
        self.mode = OPEN if lm is None else WORDS
        self.space = int(alphabet.encode(" ")[0]) if " " in alphabet else BLANK  # no space: one word per text
        self.letter_cost = math.log(len(alphabet.symbols)) if lm is not None else 0.0
        self.words: dict[Labels, int] = {}  # spelling -> word number
        name = ""
        words: Sequence[str] = ()
        if lm is not None:
            name, words = lm.name, lm.words[len(SPECIAL) :]
            by_log_prob = np.argsort(lm.log_probs[1 : 1 + len(lm.words)], kind="stable").tolist()
            self.words, unwritable = spell(((lm.words[i], i) for i in by_log_prob if i > END), alphabet)
            single = all(len(word) == 1 for word in self.words)
            if single and lexicon is None and (SPACE in lm.words or self.space == BLANK):
                self.mode = CHARACTERS
                if SPACE in lm.words and self.space != BLANK:
                    self.words[self.space,] = lm.words.index(SPACE)
            elif self.words and len(unwritable) > len(lm.words) / 10:
                _warn(f"{_some_of(unwritable, lm.words, name)}; train it on text in this alphabet")
        if lexicon is not None:
            self.mode = CLOSED
            name = str(lexicon) if isinstance(lexicon, str | Path) else "the lexicon"
            words = _entries(lexicon)
            spelled, unwritable = spell(((word, UNKNOWN) for word in words), alphabet)
            self.words = {word: self.words.get(word, UNKNOWN) for word in spelled}
            if self.words and unwritable:
                _warn(_some_of(unwritable, words, name))
        if self.mode != OPEN and not self.words:
            raise InputError(
                f"no word of {name} (such as {next(iter(words), '')!r}) can be written in the alphabet"
                f" {''.join(alphabet.symbols)!r}; use words in this alphabet"
            )
        if self.mode == WORDS and self.space == BLANK:
            _warn(
                f"{name} is a model of words, but the alphabet has no space to separate them, so each text"
                " counts as one word; use a model of characters (`minids lm train --characters`)"
            )

    @property
    def by_words(self) -> bool:
        """Whether the identity of words matters, not only their number and their characters."""
        return self.mode >= WORDS

    @cached_property
    def beginnings(self) -> set[Labels]:
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

    def allows(self, labels: Sequence[int], c: int) -> bool:
        """Whether symbol c may follow a text."""
        if not self.by_words:
            return True
        _, part = self.split(labels)
        if c == self.space:
            return part in self.words or (bool(part) and self.mode != CLOSED)
        return self.mode != CLOSED or (*part, c) in self.beginnings

    def normalize(self, labels: Labels) -> Labels:
        """The labels with single spaces and none at the ends, if spaces only separate words."""
        if not self.by_words or self.space == BLANK:
            return labels
        words, part = self.split(labels)
        spaced = [c for word in (*words, part) for c in (*word, self.space) if word]
        return tuple(spaced[:-1])

    def at_word_boundary(self, labels: Labels) -> bool:
        """Whether a further space would not change a text."""
        return self.by_words and self.space != BLANK and labels[-1:] in ((), (self.space,))

    def may_end(self, labels: Sequence[int]) -> bool:
        """Whether a text may end here: with a lexicon, only after a complete word."""
        _, part = self.split(labels)
        return self.mode != CLOSED or not part or part in self.words

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
        for word in words if self.by_words else [(c,) for c in labels]:
            word_log_prob, state = self._score_word(state, word)
            log_prob += word_log_prob
        if self.by_words and part and part not in self.beginnings:
            log_prob += self._score_word(state, part)[0]
        if finished:
            log_prob += score(self.lm.tables, state, END)[0]
        return log_prob, len(words)

    def _score_word(self, state: int, word: Labels) -> tuple[float, int]:
        """log p(word | state), and the state after the word."""
        assert self.lm is not None
        number = self.words.get(word, UNKNOWN)
        log_prob, state = score(self.lm.tables, state, number)
        return log_prob - self.letter_cost * len(word) * (number == UNKNOWN), state


def _warn(message: str) -> None:
    warnings.warn(message, LanguageWarning, stacklevel=4)


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
    for place, entry in entries:
        if not isinstance(entry, str) or len(entry.split()) != 1:
            raise InputError(f"{place}: {entry!r} is not a word; give one word per line or entry")
    return [entry.strip() for _, entry in entries]


def spell(words: Iterable[tuple[str, int]], alphabet: Alphabet) -> tuple[dict[Labels, int], list[str]]:
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


# The same rules, compiled, for a prefix of the beam search (see `search.PREFIX` for its fields). `tables` are
# those of the language model. A "gain" is the factor exp(α lm + β words) that a symbol contributes. It only
# decides which prefixes stay in the beam; bounds keep products of several gains above 0.

MAX_LOG_GAIN = 200.0
MIN_GAIN = math.exp(-MAX_LOG_GAIN)


@njit()
def gain(log_gain):
    if log_gain == -math.inf:
        return 0.0
    return math.exp(min(max(log_gain, -MAX_LOG_GAIN), MAX_LOG_GAIN))


@njit()
def begin_word(prefix, state):
    prefix.state, prefix.trie_node, prefix.letters = state, 0, 0
    prefix.unk_log_prob = prefix.word_log_prob = math.nan


@njit()
def append_symbol(prefix, symbol, config, tables, trie):
    """Append a symbol to the text of a prefix and add what it contributes to the language model's score."""
    lm, words = 0.0, 0
    if config.mode == CHARACTERS:
        lm, prefix.state = character_log_prob(prefix, symbol, config, tables, trie)
        words = int(symbol == config.space and prefix.letters > 0)
        prefix.letters = 0 if symbol == config.space else prefix.letters + 1
    elif symbol == config.space:
        state = prefix.state
        if prefix.letters > 0:
            lm, words, state = word_log_prob(prefix, config, tables, trie), 1, prefix.next_state
        begin_word(prefix, state)
    else:
        if prefix.trie_node < 0:
            lm = -config.letter_cost
        elif config.mode != OPEN:
            prefix.trie_node = find_child(trie, prefix.trie_node, symbol)
            if prefix.trie_node < 0:
                lm = unk_log_prob(prefix, config, tables) - config.letter_cost * (prefix.letters + 1)
        prefix.letters += 1
        prefix.word_log_prob = math.nan
    prefix.lm_log_prob += lm
    prefix.words += words
    prefix.lm_score += config.alpha * lm + config.beta * words
    prefix.last = symbol


@njit()
def character_log_prob(prefix, symbol, config, tables, trie):
    """log p(symbol | state), and the state after it."""
    child = find_child(trie, 0, symbol)
    log_prob, state = score(tables, prefix.state, trie.word[child] if child >= 0 else UNKNOWN)
    return log_prob - (config.letter_cost if child < 0 else 0.0), state


@njit()
def character_gain(prefix, symbol, config, tables, trie):
    log_gain = config.alpha * character_log_prob(prefix, symbol, config, tables, trie)[0]
    return gain(log_gain + config.beta if symbol == config.space and prefix.letters > 0 else log_gain)


@njit()
def unk_log_prob(prefix, config, tables):
    """log P(<unk> | state)."""
    if math.isnan(prefix.unk_log_prob):
        prefix.unk_log_prob = score(tables, prefix.state, UNKNOWN)[0]
        prefix.unk_gain = gain(config.alpha * prefix.unk_log_prob)
    return prefix.unk_log_prob


@njit()
def word_log_prob(prefix, config, tables, trie):
    """log p of the word that ends here, minus what was charged already; -inf where no word may end."""
    if math.isnan(prefix.word_log_prob):
        number = trie.word[prefix.trie_node] if prefix.trie_node >= 0 else -1
        prefix.word_log_prob, prefix.next_state = score(tables, prefix.state, max(number, UNKNOWN))
        if prefix.trie_node < 0:
            prefix.word_log_prob = 0
        elif number < 0 and config.mode == CLOSED:
            prefix.word_log_prob = -math.inf
        elif number <= UNKNOWN:
            prefix.word_log_prob -= config.letter_cost * prefix.letters
        if prefix.word_log_prob > -math.inf:
            prefix.space_gain = gain(config.alpha * prefix.word_log_prob + config.beta)
        else:
            prefix.space_gain = 0  # also if alpha is 0
    return prefix.word_log_prob


@njit()
def space_gain(prefix, config, tables, trie):
    """The gain of a space; 0 where none is allowed."""
    if prefix.letters == 0:
        return 1.0 if config.mode == OPEN else 0.0
    if config.mode == OPEN or prefix.trie_node < 0:
        return math.exp(config.beta)
    word_log_prob(prefix, config, tables, trie)
    return prefix.space_gain


@njit()
def end_score(prefix, complete, config, tables, trie):
    """log P_lm of the finished text with </s>, and its score; `complete`: its last letters are a word."""
    word, state = 0.0, prefix.state
    if complete and config.mode != CHARACTERS:
        word, state = word_log_prob(prefix, config, tables, trie), prefix.next_state
    if word == -math.inf:
        return word, word
    lm = prefix.lm_log_prob + word + score(tables, state, END)[0]
    return lm, prefix.log_prob + config.alpha * lm + config.beta * (prefix.words + complete)
