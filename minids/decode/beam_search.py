"""BeamSearch: the texts of greatest log P(c|x) + α log P_lm(c) + β words(c), by prefix beam search (§2.2)."""

import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minids._utils.errors import InputError
from minids.decode.entry import CHARACTERS, CLOSED, OPEN, WORDS, Rules
from minids.decode.lexicon import Language, Trie, build_trie
from minids.decode.ranked import ranked
from minids.lm.ngram import NGram
from minids.ops.reference.ctc import forward_variables, lattice
from minids.text import Alphabet

_WIDEST = 10**6
_SURE = 1e-3  # how far the probabilities of a frame may sum from 1


class Hypothesis(NamedTuple):
    """A text; score = log_prob + α lm_log_prob + β words, natural logarithms.

    log_prob is log P(text|x), summed over the alignments that the beam has followed: never more than the true
    one, and the true one with an unbounded beam. lm_log_prob includes the sentence's end; 0 without a model.
    """

    text: str
    score: float
    log_prob: float
    lm_log_prob: float


class BeamSearch:
    """Prefix beam search (`minids.decode.reference` is its text) with an n-gram model, on all cores.

    alphabet          the K - 1 symbols after the blank: an Alphabet, a string or a list
    lm, alpha, beta   an NGram or its file; its weight (at least 0: try 0.5 first); what each word is worth
    beam_width        how many prefixes are followed; the paper takes 1000 to 8000
    lexicon           the only words that a text may have. None: any word; one that the model does not know is
                      spelled, at 1/(K-1) a letter
    token_min_logp  a frame's symbols under exp(-this) of its likeliest are passed over; math.inf: none is
    beam_prune_logp    prefixes under exp(-this) of the likeliest are dropped; math.inf: none is

    With a model of words or a lexicon the alphabet's space ends a word: texts have single spaces, none at
    their ends. A model of characters (`minids lm train --characters`) knows no words and judges every symbol.
    Raises InputError when the values make no sense, or the words cannot be written with the symbols.
    """

    def __init__(
        self,
        alphabet: Alphabet | str | Sequence[str],
        lm: NGram | str | Path | None = None,
        alpha: float = 0.0,
        beta: float = 0.0,
        beam_width: int = 500,
        lexicon: Iterable[str] | None = None,
        token_min_logp: float = 6.0,
        beam_prune_logp: float = 12.0,
    ):
        self.alphabet = alphabet if isinstance(alphabet, Alphabet) else Alphabet(alphabet)
        if beam_width != int(beam_width) or not 1 <= beam_width <= _WIDEST:
            raise InputError(f"a beam of {beam_width} cannot be; give 1 to {_WIDEST}")
        if not (token_min_logp >= 0 and beam_prune_logp >= 0):
            raise InputError("thresholds are 0 or more; math.inf switches one off")
        lm = NGram.load(lm) if isinstance(lm, str | Path) else lm
        self.language = Language(self.alphabet, lm, lexicon)
        self.lm, self.beam_width = lm, int(beam_width)
        self.token_min_logp, self.beam_prune_logp = float(token_min_logp), float(beam_prune_logp)
        self.set_weights(alpha, beta)
        self._tables = (lm or _INDIFFERENT).tables
        self._trie: Trie = build_trie(self.language.words, len(self.alphabet))

    def set_weights(self, alpha: float, beta: float) -> None:
        """Search with another alpha and beta from now on."""
        if not (alpha >= 0 and math.isfinite(alpha) and math.isfinite(beta)):
            raise InputError(f"alpha {alpha} and beta {beta} must be finite numbers, alpha at least 0")
        self.alpha, self.beta = float(alpha), float(beta)

    def _rules(self) -> Rules:
        language = self.language
        mode = CLOSED if language.closed else WORDS if language.by_words else OPEN
        return Rules(
            CHARACTERS if language.by_characters else mode,
            language.space,
            self.alpha,
            self.beta,
            language.letter_cost,
            self.token_min_logp,
            self.beam_prune_logp,
        )

    def decode(self, log_probs: np.ndarray, n_best: int = 10) -> list[Hypothesis]:
        """log_probs (T, K), natural logarithms, blank first -> at most `n_best` hypotheses, best first.

        Where a lexicon leaves nothing possible: the empty text, its score -inf.
        Raises InputError for another K, NaN, and rows whose probabilities do not sum to 1.
        """
        if n_best < 1:
            raise InputError(f"the {n_best} best texts are none; give 1 or more")
        y = self._probabilities(log_probs)
        width = _most_texts(len(y), len(self.alphabet), self.beam_width)
        n = min(n_best, width)
        numbers, labels, lengths = np.empty((n, 3)), np.empty((n, len(y)), np.int32), np.empty(n, np.int32)
        try:
            found = ranked(y, self._rules(), self._tables, self._trie, width, numbers, labels, lengths)
        except MemoryError:
            raise InputError(f"out of memory: a beam of {width} is too wide for this machine") from None
        texts = [self.alphabet.decode(labels[i, : lengths[i]]) for i in range(abs(found))]
        if found < 0:
            return [self.score(log_probs, texts[0])]
        if found == 0:
            return [Hypothesis("", -math.inf, -math.inf, 0.0)]
        return [Hypothesis(text, *row) for text, row in zip(texts, numbers.tolist(), strict=False)]

    def decode_batch(
        self, log_probs: Sequence[np.ndarray], n_best: int = 10, workers: int | None = None
    ) -> list[list[Hypothesis]]:
        """Many at once, in threads, the longest first; `workers`: how many (default: the cores)."""
        order = sorted(range(len(log_probs)), key=lambda i: -len(log_probs[i]))
        with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            found = dict(
                zip(order, pool.map(lambda i: self.decode(log_probs[i], n_best), order), strict=True)
            )
        return [found[i] for i in range(len(log_probs))]

    def score(self, log_probs: np.ndarray, text: str) -> Hypothesis:
        """What a given text scores: log P(text|x) over all its alignments, by CTC's forward sum in float64.

        Raises InputError as `decode` does, and for a text that the alphabet cannot write.
        """
        self._probabilities(log_probs)
        try:
            labels = self.alphabet.encode(text)
        except ValueError as error:
            raise InputError(f"{text!r} cannot be scored: {error}") from None
        alpha = forward_variables(np.asarray(log_probs, np.float64), lattice(labels))  # (T, S)
        log_prob = -math.inf if len(labels) else 0.0  # of no frames
        if len(alpha):
            log_prob = float(np.logaddexp.reduce(alpha[-1, -2:]))
        lm, words = self.language.worth(labels.tolist(), finished=True)
        return Hypothesis(text, log_prob + self.alpha * lm + self.beta * words, log_prob, lm)

    def _probabilities(self, log_probs: np.ndarray) -> np.ndarray:
        """(T, K) float64, checked."""
        log_probs = np.asarray(log_probs, np.float64)
        K = len(self.alphabet)
        if log_probs.ndim != 2 or log_probs.shape[1] != K:
            raise InputError(
                f"log_probs of shape {log_probs.shape} do not fit an alphabet of {K - 1} symbols;"
                f" give (T, {K}), the blank first"
            )
        with np.errstate(over="ignore"):  # inf is no probability either
            y = np.exp(log_probs)
        wrong = np.flatnonzero(~(np.abs(y.sum(axis=1) - 1) <= _SURE))
        if len(wrong):
            t = wrong[0]
            raise InputError(
                f"frame {t} of log_probs has probabilities that sum to {y[t].sum():.4g}, not to 1;"
                " give natural logarithms behind a log-softmax"
            )
        return y


def _most_texts(T: int, K: int, enough: int) -> int:
    """How many texts T frames can say, at least 1; counted only as far as `enough`."""
    count, power = 1, 1
    for _ in range(T):
        power *= K - 1
        count += power
        if count >= enough:
            return enough
    return count


# Without a model nothing costs anything.
_INDIFFERENT = NGram(
    ["<unk>", "<s>", "</s>"],
    np.array([0, 1, 4]),
    np.zeros(4, np.int32),
    np.array([-1, 0, 1, 2], np.int32),
    np.zeros(4, np.float32),
    np.zeros(4, np.float32),
)
