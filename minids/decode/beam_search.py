"""BeamSearch: texts that maximize log P(c|x) + α log P_lm(c) + β words(c), by prefix beam search (§2.2)."""

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minids._utils.arguments import integers
from minids._utils.errors import InputError
from minids._utils.threads import available_cores
from minids.decode.lexicon import WORD_START, HotWords, Labels, Language, Words, hot_trie, make_words
from minids.decode.prefix import SearchConfig
from minids.decode.search import search
from minids.lm.ngram import NGram
from minids.text import BLANK, Alphabet

MAX_BEAM_WIDTH = 10**6
DEFAULT_TOKEN_MIN_LOGP = -6.0
DEFAULT_BEAM_PRUNE_LOGP = -12.0
MAX_WORKERS = 1024
MAX_ALPHA = 1000.0
MAX_BETA = 100.0
MAX_SUM_ERROR = 1e-3  # of the probabilities of a frame


class Hypothesis(NamedTuple):
    """A text and its score = log_prob + α lm_log_prob + β words + hot words, in natural logarithms.

    log_prob is log P(text|x), summed over the alignments that the beam has followed: at most the true value,
    and equal to it with an unbounded beam. lm_log_prob includes the end of the sentence; without a language
    model it is 0. labels are the text's indices in the alphabet.
    """

    text: str
    score: float
    log_prob: float
    lm_log_prob: float
    labels: Labels

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which has no infinity: None instead. Without the labels."""
        numbers = {"score": self.score, "log_prob": self.log_prob, "lm_log_prob": self.lm_log_prob}
        rounded = {name: round(x, 4) if math.isfinite(x) else None for name, x in numbers.items()}
        return {"text": self.text} | rounded


class BeamSearch:
    """Prefix beam search with an n-gram language model; `minids.decode.reference` is the readable version.

    alphabet          the K - 1 symbols beside the blank: an Alphabet, a string or a list
    lm, alpha, beta   an NGram or its file, its weight (at least 0; start with 0.5), the word insertion bonus
    beam_width        the number of prefixes that the search follows; the paper uses 1000 to 8000
    lexicon           the only words that a text may contain: a list, or a file with a word on each line.
                      None: any word; those that the language model lacks are spelled, at 1/(K-1) per letter
    token_min_logp    symbols this far below the most probable symbol of a frame are skipped; -math.inf: none
    beam_prune_logp   prefixes this far below the best prefix are dropped; -math.inf: none
    hot_words         words to expect, a list or {word: weight}: a text's score grows by the weight of each
                      (in nats; 5 unless given; less is better for short words), and of each word of a
                      phrase, wherever it occurs. They are known words: not spelled, and allowed by a lexicon
    blank             the column of the blank in log_probs; K - 1 for networks of NeMo
    space             the symbol of the alphabet that separates words; "|" for wav2vec 2.0

    With a language model of words, or a lexicon, the space of the alphabet ends a word, and texts have single
    spaces and none at their ends. A language model of characters (`minids lm train --characters`) scores
    every symbol and does not constrain the text.
    The alphabet may consist of word pieces, as `▁the` or of the kind of `##ing`; they spell the words of the
    language model, and texts have spaces instead of ▁.
    Raises InputError for values outside their range, and if the words cannot be written in the alphabet.
    """

    def __init__(
        self,
        alphabet: Alphabet | str | Sequence[str],
        lm: NGram | str | Path | None = None,
        alpha: float = 0.0,
        beta: float = 0.0,
        beam_width: int = 500,
        lexicon: str | Path | Iterable[str] | None = None,
        token_min_logp: float = DEFAULT_TOKEN_MIN_LOGP,
        beam_prune_logp: float = DEFAULT_BEAM_PRUNE_LOGP,
        hot_words: HotWords | None = None,
        blank: int = BLANK,
        space: str = " ",
    ):
        alphabet = alphabet if isinstance(alphabet, Alphabet) else Alphabet(alphabet)
        self.alphabet = _usual_symbols(alphabet, space)
        self.blank = int(integers("blank", [blank], 0, len(self.alphabet) - 1)[0])
        self.beam_width = _whole_number("beam_width", beam_width, MAX_BEAM_WIDTH)
        for name, value in (("token_min_logp", token_min_logp), ("beam_prune_logp", beam_prune_logp)):
            if not _is_real(value) or not value <= 0:
                raise InputError(f"{name} is {value}; give a negative number, or -math.inf to switch it off")
        self.lm = NGram.load(lm) if isinstance(lm, str | Path) else lm
        language = Language(self.alphabet, self.lm, lexicon)
        self._lm = self.lm or _uniform_lm()
        _ = self._lm.tables  # prepared here, not by the first calls of several threads
        self.language, self._words = language, make_words(language)
        self._config = SearchConfig(
            int(language.mode),
            language.pieces,
            language.space,
            BLANK if language.pieces else language.space,
            -1,
            0.0,
            0.0,
            0.0,
            language.oov_symbol_cost,
            float(token_min_logp),
            float(beam_prune_logp),
        )
        self.set_weights(alpha, beta)
        self.language, self._words, self._config = self._with_hot_words(hot_words)

    @property
    def alpha(self) -> float:
        return self._config.alpha

    @property
    def beta(self) -> float:
        return self._config.beta

    def set_weights(self, alpha: float, beta: float) -> None:
        """Change alpha and beta. Calls that are running in other threads finish with the old ones."""
        check_weights(alpha, beta)
        self._config = self._config._replace(alpha=float(alpha), beta=float(beta))

    def decode(
        self, log_probs: np.ndarray, n_best: int = 10, hot_words: HotWords | None = None
    ) -> list[Hypothesis]:
        """log_probs (T, K), natural logarithms -> at most `n_best` hypotheses, best first.

        `hot_words` take the place of those of the search. If a lexicon leaves no text possible, the result is
        the empty text with score -inf.
        Raises InputError for another K, NaN, and frames whose probabilities do not sum to 1.
        """
        return self._decode(log_probs, n_best, *self._with_hot_words(hot_words))

    def decode_batch(
        self,
        log_probs: Sequence[np.ndarray],
        n_best: int = 10,
        workers: int | None = None,
        hot_words: HotWords | None = None,
    ) -> list[list[Hypothesis]]:
        """Decode many utterances, the longest first, in `workers` threads (default: one per core)."""
        settings = self._with_hot_words(hot_words)
        workers = available_cores() if workers is None else _whole_number("workers", workers, MAX_WORKERS)
        order = sorted(range(len(log_probs)), key=lambda i: -len(log_probs[i]))
        with ThreadPoolExecutor(workers) as pool:
            results = pool.map(lambda i: self._decode(log_probs[i], n_best, *settings), order)
            decoded = dict(zip(order, results, strict=True))
        return [decoded[i] for i in range(len(log_probs))]

    def score(self, log_probs: np.ndarray, text: str | Sequence[int]) -> Hypothesis:
        """The exact score of a text, or of its labels, over all alignments, in float64; -inf for a text with
        words that are not in the lexicon.

        If spaces only separate words (see the class), so do those of the text.
        Raises InputError as `decode` does, for a text that the alphabet cannot write, and for one that word
        pieces may spell in several ways: give the labels of one.
        """
        log_probs, _ = self._check(log_probs)
        try:
            if isinstance(text, str) and self.language.pieces:
                raise ValueError("word pieces spell it in several ways; give the labels of one")
            labels = self.alphabet.encode(text) if isinstance(text, str) else text
            labels = integers("labels", labels, 1, len(self.alphabet) - 1).tolist()
        except ValueError as error:
            raise InputError(f"{text!r} cannot be scored: {error}") from None
        return self._score(log_probs, tuple(labels), self.language, self._config)

    def _with_hot_words(self, hot_words: HotWords | None) -> tuple[Language, Words, SearchConfig]:
        """What the search needs, with these hot words in place of its own."""
        if hot_words is None:
            return self.language, self._words, self._config
        language = self.language.with_hot_words(hot_words)
        words = self._words._replace(hot=hot_trie(language))
        max_hot = max(language.hot_words.values(), default=0.0)
        config = self._config._replace(hot_root=0 if language.hot_words else -1, max_hot=float(max_hot))
        return language, words, config

    def _decode(
        self, log_probs: np.ndarray, n_best: int, language: Language, words: Words, config: SearchConfig
    ) -> list[Hypothesis]:
        log_probs, y = self._check(log_probs)
        width = _count_texts(len(y), len(self.alphabet), self.beam_width)
        n_best = min(_whole_number("n_best", n_best, math.inf), width)
        n = width if language.pieces else n_best
        scores, labels, lengths = np.empty((n, 3)), np.empty((n, len(y)), np.int32), np.empty(n, np.int32)
        try:
            arrays = (self._lm.tables, words, width, scores, labels, lengths)
            count = search(y, config, *arrays)
            if count == 0 and language.word_level and config.space_symbol != BLANK:
                count = search(y, config._replace(extra_spaces=True), *arrays)
        except MemoryError:
            raise InputError(f"out of memory with beam_width {width}; give a smaller one") from None
        texts = [tuple(labels[i, : lengths[i]].tolist()) for i in range(abs(count))]
        if count < 0:
            return [self._score(log_probs, language.without_part(texts[0]), language, config)]
        if count == 0:
            return [Hypothesis("", -math.inf, -math.inf, 0.0, ())]
        found: dict[object, Hypothesis] = {}
        for c, (score, log_prob, lm_log_prob) in zip(texts, scores.tolist(), strict=False):
            text = language.text(c)
            key = text if language.pieces else c
            if key in found:  # other pieces spell the same text
                total = float(np.logaddexp(log_prob, found[key].log_prob))
                score, log_prob, c = score + total - log_prob, total, found[key].labels
            found[key] = Hypothesis(text, score, log_prob, lm_log_prob, c)
        return sorted(found.values(), key=lambda h: -h.score)[:n_best]

    def _score(
        self, log_probs: np.ndarray, labels: Labels, language: Language, config: SearchConfig
    ) -> Hypothesis:
        labels = labels if language.pieces else language.normalize(labels)
        log_prob = text_log_prob(log_probs, labels, language)
        if log_prob == -math.inf:
            log_prob = text_log_prob(log_probs, labels, language, extra_spaces=True)
        lm, words, hot = language.lm_score(language.spell(labels), finished=True)
        total = log_prob + config.alpha * lm + config.beta * words + hot
        total = total if language.is_complete(language.spell(labels)) else -math.inf
        return Hypothesis(language.text(labels), total, log_prob, lm, labels)

    def _check(self, log_probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """log_probs (T, K) in float64, the blank first, and the probabilities."""
        K = len(self.alphabet)
        log_probs = np.asarray(log_probs)
        if log_probs.dtype.kind not in "fiu":
            raise InputError(f"log_probs must be real numbers, not {log_probs.dtype}")
        log_probs = np.asarray(log_probs, np.float64)
        if log_probs.ndim != 2 or log_probs.shape[1] != K:
            raise InputError(
                f"log_probs of shape {log_probs.shape} do not fit an alphabet of {K - 1} symbols;"
                f" give (T, {K}), the blank first"
            )
        if self.blank != BLANK:
            blank = log_probs[:, [self.blank]]
            log_probs = np.concatenate([blank, np.delete(log_probs, self.blank, axis=1)], axis=1)
        with np.errstate(over="ignore"):  # inf fails the test below
            y = np.ascontiguousarray(np.exp(log_probs))
        wrong = np.flatnonzero(~(np.abs(y.sum(axis=1) - 1) <= MAX_SUM_ERROR))
        if len(wrong):
            t = wrong[0]
            raise InputError(
                f"frame {t} of log_probs has probabilities that sum to {y[t].sum():.4g}, not to 1;"
                " give natural logarithms, as log_softmax returns them"
            )
        return log_probs, y


def text_log_prob(
    log_probs: np.ndarray, labels: Labels, language: Language, extra_spaces: bool = False
) -> float:
    """log P(text|x) over all alignments: p_b and p_nb of all prefixes of the text, as in reference.py."""
    spaced = language.word_level and not language.pieces and labels and language.space != BLANK
    end_space = (language.space,) if spaced else ()
    last = np.array([BLANK, *labels, *end_space])  # the last symbol of each prefix; the empty one has none
    repeats = last[1:] == last[:-1]
    boundary = np.array(
        [extra_spaces and language.at_word_boundary((*labels, *end_space)[:u]) for u in range(len(last))]
    )
    blank, nonblank = np.full(len(last), -np.inf), np.full(len(last), -np.inf)
    blank[0] = 0
    for y in log_probs:
        total = np.logaddexp(blank, nonblank)
        extended = y[last[1:]] + np.where(repeats, blank[:-1], total[:-1])
        blank = total + np.where(boundary, np.logaddexp(y[BLANK], y[language.space]), y[BLANK])
        nonblank = np.where(boundary, -np.inf, nonblank + y[last])
        nonblank[1:] = np.logaddexp(nonblank[1:], extended)
    total = np.logaddexp(blank, nonblank)
    return float(np.logaddexp.reduce(total[len(labels) :]))  # with and without a space at the end


def _usual_symbols(alphabet: Alphabet, space: str) -> Alphabet:
    """The alphabet with " " as the space, and ▁ before the word pieces that begin a word."""
    symbols = list(alphabet.symbols)
    if space not in symbols and space != " ":
        raise InputError(f"the alphabet has no {space!r}, which was given as its space")
    if any(symbol.startswith("##") for symbol in symbols):
        symbols = [s[2:] if s.startswith("##") else WORD_START + s for s in symbols]
    elif space != " ":
        symbols[symbols.index(space)] = " "
    return alphabet if symbols == list(alphabet.symbols) else Alphabet(symbols)


def _is_real(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def check_weights(alpha: float, beta: float) -> None:
    """Raises InputError for values outside their range."""
    if not _is_real(alpha) or not 0 <= alpha <= MAX_ALPHA:
        raise InputError(f"alpha is {alpha}; give a number from 0 to {MAX_ALPHA:g}")
    if not _is_real(beta) or not -MAX_BETA <= beta <= MAX_BETA:
        raise InputError(f"beta is {beta}; give a number from {-MAX_BETA:g} to {MAX_BETA:g}")


def _whole_number(name: str, value: float, maximum: float) -> int:
    if not _is_real(value) or not 1 <= value <= maximum or value != int(value):
        limit = f"from 1 to {maximum}" if maximum < math.inf else "of at least 1"
        raise InputError(f"{name} is {value}; give a whole number {limit}")
    return int(value)


def _count_texts(T: int, K: int, limit: int) -> int:
    """The number of texts that T frames can spell, at least 1 and at most `limit`."""
    count, power = 1, 1
    for _ in range(T):
        power *= K - 1
        count += power
        if count >= limit:
            return limit
    return count


@cache
def _uniform_lm() -> NGram:
    """Log-probability 0 for everything: the search without a language model."""
    return NGram(
        ["<unk>", "<s>", "</s>"],
        np.array([0, 1, 4]),
        np.zeros(4, np.int32),
        np.array([-1, 0, 1, 2], np.int32),
        np.zeros(4, np.float32),
        np.zeros(4, np.float32),
    )
