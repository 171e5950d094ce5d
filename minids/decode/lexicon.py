"""Words, spelled in a model's alphabet: which letters begin one, which end one, and what a text is worth.

A word that the language model does not know is spelled, P_lm(word) = P(<unk>) / (K-1)^letters: all symbols
are equally likely. The search charges that from the first letter on with which no known word begins, not only
when the word ends. So an unknown word that swallows its neighbor pays for every letter of it, and words are
not glued together, a common complaint about other decoders.
"""

import math
import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minids._utils.errors import InputError
from minids.lm.scorer import score
from minids.lm.text_filter import SPACE
from minids.lm.vocabulary import END, SPECIAL, UNKNOWN
from minids.text import BLANK, Alphabet, normalize

if TYPE_CHECKING:
    from minids.lm.ngram import NGram


class Trie(NamedTuple):
    """Words letter by letter. Nodes are numbered level by level, so a node's children follow one another.

    The children of node n are first[n] … first[n+1] - 1, in the order of their symbols; the root is 0.
    """

    first: np.ndarray  # (nodes + 1,) int32
    symbol: np.ndarray  # (nodes,) int32, on the way into the node
    word: np.ndarray  # (nodes,) int32, the word that ends here, or -1


def build_trie(spellings: dict[tuple[int, ...], int], characters: int) -> Trie:
    """{labels of a word: its number} -> Trie. `characters` is K."""
    numbers = np.fromiter(spellings.values(), np.int32, len(spellings))
    lengths = np.fromiter(map(len, spellings), np.int64, len(spellings))
    letters = np.fromiter((c for labels in spellings for c in labels), np.int64, lengths.sum())
    starts = np.cumsum(lengths) - lengths
    node = np.zeros(len(lengths), np.int64)  # where each word has got to
    symbol, counts, word = [np.array([-1])], [], np.full(1 + letters.size, -1, np.int32)
    nodes, level = 1, 1  # in all; in the level before
    for depth in range(lengths.max(initial=0)):
        on = np.flatnonzero(lengths > depth)
        ways, child = np.unique(node[on] * characters + letters[starts[on] + depth], return_inverse=True)
        counts.append(np.bincount(ways // characters - (nodes - level), minlength=level))
        symbol.append(ways % characters)
        node[on] = nodes + child
        nodes, level = nodes + len(ways), len(ways)
        done = on[lengths[on] == depth + 1]
        word[node[done]] = numbers[done]
    children = np.concatenate([*counts, np.zeros(level, np.int64)])
    first = np.concatenate([[1], 1 + np.cumsum(children)])
    return Trie(first.astype(np.int32), np.concatenate(symbol).astype(np.int32), word[:nodes].copy())


class LanguageWarning(UserWarning):
    """A language model many of whose words a recognizer cannot write."""


class Language:
    """Which texts are allowed, and how likely their words are.

    With a model of words or a lexicon a space ends a word, so no text begins with one and none follows
    another; a lexicon allows its own words alone. With neither every text is allowed. A model whose words are
    single symbols, one of them `SPACE` if the alphabet has a space, is one of characters: it judges every
    symbol at once, and allows every text.
    """

    def __init__(self, alphabet: Alphabet, lm: "NGram | None" = None, lexicon: Iterable[str] | None = None):
        self.lm, self.closed = lm, lexicon is not None
        self.space = int(alphabet.encode(" ")[0]) if " " in alphabet else BLANK  # none: a text is one word
        self.letter_cost = math.log(len(alphabet.symbols)) if lm is not None else 0.0
        self.words: dict[tuple[int, ...], int] = {}
        self.by_characters, name, example = False, "", ""
        if lm is not None:
            likeliest = np.argsort(lm.log_probs[1 : 1 + len(lm.words)], kind="stable").tolist()
            self.words, unspelt = spell(((lm.words[i], i) for i in likeliest if i > END), alphabet)
            single = all(len(word) == 1 for word in self.words)
            if single and lexicon is None and (SPACE in lm.words or self.space == BLANK):
                self.by_characters = True
                if SPACE in lm.words and self.space != BLANK:
                    self.words[self.space,] = lm.words.index(SPACE)
            elif self.words and len(unspelt) > len(lm.words) / 10:
                warnings.warn(
                    f"{len(unspelt)} of {len(lm.words)} words of {lm.name} (such as {unspelt[-1]!r}) cannot"
                    " be written with the model's symbols and will not be heard; make it of text in these",
                    LanguageWarning,
                    3,
                )
            name, example = lm.name, next(iter(lm.words[len(SPECIAL) :]), "")
        if lexicon is not None:
            lexicon = [word for word in lexicon if word.split() == [word]]
            allowed, _ = spell(((w, UNKNOWN) for w in lexicon), alphabet)
            self.words = {word: self.words.get(word, UNKNOWN) for word in allowed}
            name, example = "the lexicon", lexicon[0] if lexicon else ""
        if (lm is not None or self.closed) and not self.words:
            raise InputError(
                f"no word of {name} (such as {example!r}) can"
                f" be written with the symbols {''.join(alphabet.symbols)!r}; make one of text in these"
            )

    @property
    def by_words(self) -> bool:
        """Whether the words of a text matter, beside their number and characters."""
        return self.closed or (self.lm is not None and not self.by_characters)

    @cached_property
    def beginnings(self) -> set[tuple[int, ...]]:
        """Everything that a known word begins with, itself included."""
        return {word[:n] for word in self.words for n in range(len(word) + 1)}

    def split(self, labels: Sequence[int]) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
        """The words that a space has ended, and the letters after the last space."""
        runs: list[tuple[int, ...]] = [()]
        for c in labels:
            if c == self.space:
                runs.append(())
            else:
                runs[-1] = (*runs[-1], c)
        return [word for word in runs[:-1] if word], runs[-1]

    def allows(self, labels: Sequence[int], c: int) -> bool:
        """Whether a text may go on with symbol c."""
        if not self.by_words:
            return True
        _, part = self.split(labels)
        if c == self.space:
            return part in self.words or (bool(part) and not self.closed)
        return not self.closed or (*part, c) in self.beginnings

    def may_end(self, labels: Sequence[int]) -> bool:
        """Whether a text may end here: a lexicon wants whole words."""
        _, part = self.split(labels)
        return not self.closed or not part or part in self.words

    def worth(self, labels: Sequence[int], finished: bool = False) -> tuple[float, int]:
        """log P_lm (0 without a model) of a text's whole words, or characters, and the number of its words.

        Of a part of a word nothing is known yet, unless no known word begins so: that will be an unknown one.
        `finished`: the text is at its end, its last letters are a word, and </s> follows.
        """
        words, part = self.split(labels)
        if finished and part:
            words, part = [*words, part], ()
        if self.lm is None:
            return 0.0, len(words)
        log_prob, state = 0.0, self.lm.tables.begin
        for word in [(c,) for c in labels] if self.by_characters else words:
            more, state = self._word(state, word)
            log_prob += more
        if self.by_words and part and part not in self.beginnings:
            log_prob += self._word(state, part)[0]
        if finished:
            log_prob += score(self.lm.tables, state, END)[0]
        return log_prob, len(words)

    def _word(self, state: int, word: tuple[int, ...]) -> tuple[float, int]:
        """log p(word|state) and the state behind it."""
        assert self.lm is not None
        number = self.words.get(word, UNKNOWN)
        log_prob, state = score(self.lm.tables, state, number)
        return log_prob - self.letter_cost * len(word) * (number == UNKNOWN), state


def spell(
    words: Iterable[tuple[str, int]], alphabet: Alphabet
) -> tuple[dict[tuple[int, ...], int], list[str]]:
    """(word, number) -> {its labels: number} of those that the alphabet can write, and the others.

    In lower case where the alphabet knows only that; of one spelling's words ("The", "the") the last counts.
    """
    spelled, others = {}, []
    for word, number in words:
        try:
            spelled[tuple(alphabet.encode(normalize(word, alphabet)).tolist())] = number
        except ValueError:
            others.append(word)
    return spelled, others
