"""Word and character error rate, their confidence intervals, and the errors themselves.

    rate = (substitutions + deletions + insertions) / words (characters) of the reference

summed over the corpus, so long utterances weigh more; the rate can exceed 100 %. A deletion is a word of the
reference that the hypothesis lacks, an insertion a word of the hypothesis that the reference lacks (as in
sclite).

Of all alignments with the fewest errors, the one with the most correct words is counted. The counts therefore
depend on the two texts alone: swapping them swaps deletions and insertions, reversing both changes nothing.
"""

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from minids.text import display_width

MAX_DRAWS = 1_000_000  # of a bootstrap at a time, 24 MB
CORRECT, SUBSTITUTION, DELETION, INSERTION = "CSDI"


@dataclass(frozen=True)
class Score:
    """Errors of a corpus. `rate` is their sum over `reference_length`: inf if only the reference is empty."""

    rate: float
    substitutions: int
    deletions: int
    insertions: int
    reference_length: int
    counts: np.ndarray = field(repr=False, compare=False)  # (n, 4), one row per utterance: see from_counts

    @classmethod
    def from_counts(cls, counts: np.ndarray) -> "Score":
        """Sum counts (n, 4) of n utterances: substitutions, deletions, insertions, reference length."""
        s, d, i, length = counts.sum(axis=0).tolist()
        return cls(_rate(s + d + i, length), s, d, i, length, counts)

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    def interval(self, level: float = 0.95, samples: int = 1000, seed: int = 0) -> tuple[float, float]:
        """Confidence interval of the rate: bootstrap_interval over the utterances.

        If all utterances have the same rate, because there is one, or no error, every resample has that rate
        too. The interval is then Wilson's, of independent words: without errors, about 0 to 3.8 /
        reference_length.
        """
        errors, lengths = self.counts[:, :3].sum(axis=1), self.counts[:, 3]
        same_rate = (errors * self.reference_length == lengths * self.errors).all()
        if same_rate and self.errors <= self.reference_length > 0:
            return wilson_interval(self.errors, self.reference_length, level)
        return bootstrap_interval(errors, lengths, level, samples, seed)

    def to_dict(self) -> dict:
        """The score for JSON, with None for a rate that is infinite (JSON has no infinity)."""
        rate, low, high = (r if math.isfinite(r) else None for r in (self.rate, *self.interval()))
        names = ("substitutions", "deletions", "insertions", "reference_length")
        return {"rate": rate, "interval": [low, high]} | {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        low, high = self.interval()
        return (
            f"{100 * self.rate:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f}): "
            f"{self.substitutions} substituted, {self.deletions} deleted, {self.insertions} inserted "
            f"of {self.reference_length}"
        )


def wer(references: str | Sequence[str], hypotheses: str | Sequence[str]) -> Score:
    """Word error rate of hypotheses against their references. White space separates words; texts become NFC.

    Case and punctuation count: normalize both sides first if they should not. Raises ValueError if the two
    lists differ in length.
    """
    return Score.from_counts(_counts(references, hypotheses, _words))


def cer(references: str | Sequence[str], hypotheses: str | Sequence[str]) -> Score:
    """Character error rate: as wer, over the code points in NFC. A run of white space counts as one."""
    return Score.from_counts(_counts(references, hypotheses, _characters))


def bootstrap_interval(
    errors: np.ndarray, lengths: np.ndarray, level: float = 0.95, samples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of sum(errors) / sum(lengths) of n utterances; both arrays are (n,).

    Each of the `samples` resamples draws n utterances with replacement: utterances and not words, because the
    errors within an utterance depend on each other. The interval says little about speakers who are not in
    the corpus.
    """
    errors, lengths = np.asarray(errors), np.asarray(lengths)
    n = len(errors)
    if errors.shape != (n,) or lengths.shape != (n,) or not np.isfinite([errors, lengths]).all():
        raise ValueError("errors and lengths must be finite, one of each per utterance")
    if (lengths < 0).any() or not 0 < level < 1 or samples < 1:
        raise ValueError("lengths must be at least 0, level between 0 and 1, samples at least 1")
    if n == 0:
        return 0.0, 0.0
    generator = np.random.default_rng(seed)
    totals = []
    rows = max(1, MAX_DRAWS // n)
    for start in range(0, samples, rows):
        drawn = generator.integers(n, size=(min(rows, samples - start), n))
        totals.append((errors[drawn].sum(axis=1), lengths[drawn].sum(axis=1)))
    error_sums, length_sums = (np.concatenate(sums).astype(float) for sums in zip(*totals, strict=True))
    rates = np.where(error_sums != 0, math.inf, 0.0)
    np.divide(error_sums, length_sums, out=rates, where=length_sums > 0)
    tail = (1 - level) / 2
    # No interpolation between rates: a rate may be inf.
    low, high = np.quantile(rates, (tail, 1 - tail), method="inverted_cdf")
    return float(low), float(high)


def wilson_interval(errors: int, length: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of the rate errors / length, of `length` > 0 independent words."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate, scale = errors / length, 1 + z * z / length
    center = (rate + z * z / (2 * length)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / length + (z / (2 * length)) ** 2)
    return max(0.0, center - half) if errors else 0.0, min(1.0, center + half)


def paired_difference(a: Score, b: Score) -> tuple[float, float, float]:
    """rate(b) - rate(a) on the same utterances, and its 95 % interval.

    A paired bootstrap: each resample has the same utterances for both, so that what makes an utterance hard
    for both cancels. Raises ValueError unless the references are equally long.
    """
    lengths = a.counts[:, 3]
    if not np.array_equal(lengths, b.counts[:, 3]):
        raise ValueError("the scores belong to different utterances")
    change = (b.counts - a.counts)[:, :3].sum(axis=1)
    return _rate(change.sum(), lengths.sum()), *bootstrap_interval(change, lengths)


class Edit(NamedTuple):
    """One column of an alignment. `op` is C, S, D or I; the word that a D or an I lacks is ''."""

    op: str
    reference: str
    hypothesis: str


def align(reference: str | Sequence[str], hypothesis: str | Sequence[str]) -> list[Edit]:
    """The alignment whose errors wer counts. A string is split into words; a list is aligned as it is.

    Ties are broken from the end: a substitution comes before a deletion, and that before an insertion.
    """
    from minids.edit_distance import DIAGONAL, DOWN, RIGHT, best_steps

    ref = _words(reference) if isinstance(reference, str) else list(reference)
    hyp = _words(hypothesis) if isinstance(hypothesis, str) else list(hypothesis)
    (ref_ids, _), (hyp_ids, _) = word_ids([ref], [hyp])
    steps = best_steps(ref_ids, hyp_ids)
    edits = []
    i, j = len(ref), len(hyp)
    while i or j:
        step = steps[i, j]
        i, j = i - (step != RIGHT), j - (step != DOWN)
        if step == DIAGONAL:
            edits.append(Edit(CORRECT if ref[i] == hyp[j] else SUBSTITUTION, ref[i], hyp[j]))
        else:
            edits.append(Edit(DELETION, ref[i], "") if step == DOWN else Edit(INSERTION, "", hyp[j]))
    return edits[::-1]


def format_alignment(edits: Iterable[Edit]) -> str:
    """An alignment as three lines: REF and HYP, with *** for a missing word, and the letter of each error."""
    rows = [["REF:"], ["HYP:"], ["    "]]
    for op, reference, hypothesis in edits:
        cells = [reference, hypothesis, op if op != CORRECT else ""]
        width = max(display_width(reference), display_width(hypothesis))
        cells[:2] = [cell or "*" * width for cell in cells[:2]]
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell + " " * (width - display_width(cell)))
    return "\n".join(" ".join(row).rstrip() for row in rows)


class UtteranceResult(NamedTuple):
    """A recognized utterance: its file, both texts, and a field of its manifest line (the speaker, say).

    `log_prob` is log P(hypothesis|x), `confidence` the mean probability of a word to be right; None: unknown.
    """

    name: str
    reference: str
    hypothesis: str
    group: str = ""
    log_prob: float | None = None
    confidence: float | None = None


class Evaluation:
    """The scores and errors of recognized utterances, as `minids evaluate` reports them."""

    def __init__(self, results: Iterable[UtteranceResult]):
        self.results = list(results)
        texts = [result.reference for result in self.results], [result.hypothesis for result in self.results]
        self._words = _counts(*texts, _words)
        self._characters = _counts(*texts, _characters)
        self.wer = Score.from_counts(self._words)
        self.cer = Score.from_counts(self._characters)

    def groups(self) -> dict[str, tuple[Score, Score]]:
        """(WER, CER) of each group, sorted by group."""
        members = defaultdict(list)
        for i, result in enumerate(self.results):
            members[result.group].append(i)
        return {
            group: (Score.from_counts(self._words[m]), Score.from_counts(self._characters[m]))
            for group, m in sorted(members.items())
        }

    def rows(self) -> list[dict[str, Any]]:
        """Each result for JSON, with the errors and lengths of its texts in words and in characters."""
        counts = np.column_stack([self._words, self._characters[:, :3].sum(axis=1), self._characters[:, 3]])
        names = ("substitutions", "deletions", "insertions", "words", "character_errors", "characters")
        return [
            result._asdict() | dict(zip(names, row, strict=True))
            for result, row in zip(self.results, counts.tolist(), strict=True)
        ]

    def worst(self, k: int = 5) -> list[UtteranceResult]:
        """The k utterances with most word errors, ties by character errors, without those that have none."""
        words, characters = self._words[:, :3].sum(axis=1), self._characters[:, :3].sum(axis=1)
        order = np.lexsort((-characters, -words))
        return [self.results[i] for i in order[:k] if words[i] > 0]

    def confusions(self, k: int = 10) -> list[tuple[Edit, int]]:
        """The k most frequent errors, each with its count."""
        edits = chain.from_iterable(align(result.reference, result.hypothesis) for result in self.results)
        return Counter(edit for edit in edits if edit.op != CORRECT).most_common(k)

    def to_dict(self, k: int = 5) -> dict:
        """The evaluation for JSON, with the k worst utterances and the k most frequent errors."""
        return {
            "utterances": len(self.results),
            "wer": self.wer.to_dict(),
            "cer": self.cer.to_dict(),
            "groups": {g: {"wer": w.to_dict(), "cer": c.to_dict()} for g, (w, c) in self.groups().items()},
            "worst": [result._asdict() for result in self.worst(k)],
            "confusions": [{**edit._asdict(), "count": n} for edit, n in self.confusions(k)],
        }


def _rate(errors: int, length: int) -> float:
    if length:
        return float(errors / length)
    return math.inf if errors else 0.0


def _words(text: str) -> list[str]:
    return unicodedata.normalize("NFC", text).split()


def _characters(text: str) -> str:
    return " ".join(_words(text))


def _counts(
    references: str | Sequence[str], hypotheses: str | Sequence[str], split: Callable[[str], Sequence[str]]
) -> np.ndarray:
    """The counts (n, 4) int64 of n pairs: substitutions, deletions, insertions, reference length."""
    from minids.edit_distance import count_edits

    sides = references, hypotheses
    references, hypotheses = ([side] if isinstance(side, str) else list(side) for side in sides)
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references but {len(hypotheses)} hypotheses")
    if wrong := [text for text in (*references, *hypotheses) if not isinstance(text, str)]:
        raise ValueError(f"a text is not a string but {type(wrong[0]).__name__}")
    reference, hypothesis = word_ids(map(split, references), map(split, hypotheses))
    return count_edits(*reference, *hypothesis)


def word_ids(*sides: Iterable[Iterable[str]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each side, the ids of its words, concatenated, and the start of each text in them (n + 1,)."""
    word_id: defaultdict[str, int] = defaultdict(count().__next__)
    encoded = []
    for texts in sides:
        ids: list[int] = []
        starts = [0]
        for text in texts:
            ids.extend(map(word_id.__getitem__, text))
            starts.append(len(ids))
        encoded.append((np.array(ids, np.int32), np.array(starts)))
    return encoded
