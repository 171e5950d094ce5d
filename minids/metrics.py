"""How wrong a transcript is: word and character error rate, their uncertainty, and where the errors are.

    rate = (substitutions + deletions + insertions) / words (characters) of the reference

over the whole corpus, so long utterances weigh more; it can pass 100 %. A deletion is a word of the reference
that the hypothesis lacks, an insertion one of the hypothesis that the reference lacks (sclite's sense).

Of all alignments with the fewest errors we count the one with the most words right. So the counts depend on
the two texts alone: swapping them swaps deletions and insertions, reversing both changes nothing.
"""

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import NamedTuple

import numba
import numpy as np

CORRECT, SUBSTITUTION, DELETION, INSERTION = "CSDI"
# One integer holds the errors and below them the substitutions: the least has the fewest errors and, among
# those, the fewest substitutions, which means the most words right.
_ERROR = 1 << 32
_DIAGONAL, _DOWN, _RIGHT = range(3)


@dataclass(frozen=True)
class Score:
    """Errors of a corpus; `rate` is their sum over `reference_length`, inf if only the reference is empty."""

    rate: float
    substitutions: int
    deletions: int
    insertions: int
    reference_length: int
    counts: np.ndarray = field(
        repr=False, compare=False
    )  # (utterances, 4): substitutions, …, reference length

    @classmethod
    def of(cls, counts: np.ndarray) -> "Score":
        """Of n utterances, counts (n, 4): substitutions, deletions, insertions, reference length."""
        s, d, i, length = counts.sum(axis=0).tolist()
        return cls(_rate(s + d + i, length), s, d, i, length, counts)

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    def interval(self, level: float = 0.95, samples: int = 1000, seed: int = 0) -> tuple[float, float]:
        """Where the rate of another such corpus would lie: bootstrap_interval over these utterances."""
        return bootstrap_interval(self.counts[:, :3].sum(axis=1), self.counts[:, 3], level, samples, seed)

    def to_dict(self) -> dict:
        """For JSON, which knows no infinity: there a rate over an empty reference is None."""
        rate, low, high = (r if math.isfinite(r) else None for r in (self.rate, *self.interval()))
        return {
            "rate": rate,
            "interval": [low, high],
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
            "reference_length": self.reference_length,
        }

    def __str__(self) -> str:
        low, high = self.interval()
        return (
            f"{100 * self.rate:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f}): "
            f"{self.substitutions} substituted, {self.deletions} deleted, {self.insertions} inserted "
            f"of {self.reference_length}"
        )


def wer(references: str | Sequence[str], hypotheses: str | Sequence[str]) -> Score:
    """Word error rate of hypotheses, one for each reference. Words are what white space separates, in NFC.

    Case and punctuation count: normalize both sides alike before, if they should not. ValueError when the two
    lists differ in length.
    """
    return Score.of(_counts(references, hypotheses, _words))


def cer(references: str | Sequence[str], hypotheses: str | Sequence[str]) -> Score:
    """Character error rate: as wer, over the code points of the NFC text; white space counts as one each."""
    return Score.of(_counts(references, hypotheses, _characters))


def bootstrap_interval(
    errors: np.ndarray, lengths: np.ndarray, level: float = 0.95, samples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of sum(errors) / sum(lengths), utterances (n,) drawn n at a time with replacement.

    Utterances, not words, are the draws, for the errors within one depend on each other. Of one speaker's few
    utterances it says little about other speakers.
    """
    errors, lengths = np.asarray(errors), np.asarray(lengths)
    n = len(errors)
    if n == 0:
        return 0.0, 0.0
    generator = np.random.default_rng(seed)
    rates = np.empty(samples)
    for i in range(samples):
        drawn = generator.integers(n, size=n)
        rates[i] = _rate(errors[drawn].sum(), lengths[drawn].sum())
    tail = (1 - level) / 2
    low, high = np.quantile(
        rates, (tail, 1 - tail), method="inverted_cdf"
    )  # no interpolation: a rate may be inf
    return float(low), float(high)


class Edit(NamedTuple):
    """One column of an alignment: op is C, S, D or I; the side that has no word there is ''."""

    op: str
    reference: str
    hypothesis: str


def align(reference: str | Sequence[str], hypothesis: str | Sequence[str]) -> list[Edit]:
    """Which word became which: the alignment that wer counts. A string is split into words, a list is not.

    Of equals, the one whose last difference is a pair of words rather than a deletion, than an insertion.
    """
    ref = _words(reference) if isinstance(reference, str) else list(reference)
    hyp = _words(hypothesis) if isinstance(hypothesis, str) else list(hypothesis)
    (ref_ids, _), (hyp_ids, _) = _identify([ref], [hyp])
    steps = np.empty((len(ref) + 1, len(hyp) + 1), np.uint8)
    _cost(ref_ids, hyp_ids, np.empty(len(hyp) + 1, np.int64), steps)
    edits = []
    i, j = len(ref), len(hyp)
    while i or j:
        step = steps[i, j]
        i, j = i - (step != _RIGHT), j - (step != _DOWN)
        if step == _DIAGONAL:
            edits.append(Edit(CORRECT if ref[i] == hyp[j] else SUBSTITUTION, ref[i], hyp[j]))
        else:
            edits.append(Edit(DELETION, ref[i], "") if step == _DOWN else Edit(INSERTION, "", hyp[j]))
    return edits[::-1]


def side_by_side(edits: Iterable[Edit]) -> str:
    """An alignment as three lines: REF, HYP (*** where that side lacks the word) and the errors' letters."""
    rows = [["REF:"], ["HYP:"], ["    "]]
    for op, reference, hypothesis in edits:
        cells = [reference, hypothesis, op if op != CORRECT else ""]
        width = max(_width(reference), _width(hypothesis))
        cells[:2] = [cell or "*" * width for cell in cells[:2]]
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell + " " * (width - _width(cell)))
    return "\n".join(" ".join(row).rstrip() for row in rows)


class Row(NamedTuple):
    """An utterance recognized: its name (the file), what was said, what was heard, and its group."""

    name: str
    reference: str
    hypothesis: str
    group: str = ""


class Evaluation:
    """Everything `minids evaluate` tells of a list of recognized utterances, each aligned once."""

    def __init__(self, rows: Iterable[Row]):
        self.rows = list(rows)
        texts = [row.reference for row in self.rows], [row.hypothesis for row in self.rows]
        self._words = _counts(*texts, _words)
        self._characters = _counts(*texts, _characters)
        self.wer = Score.of(self._words)
        self.cer = Score.of(self._characters)

    def groups(self) -> dict[str, tuple[Score, Score]]:
        """(WER, CER) of each group, in the order of their names."""
        members = defaultdict(list)
        for i, row in enumerate(self.rows):
            members[row.group].append(i)
        return {
            g: (Score.of(self._words[m]), Score.of(self._characters[m])) for g, m in sorted(members.items())
        }

    def worst(self, k: int = 5) -> list[Row]:
        """The k utterances with most word errors, of equals those with more character errors."""
        words, characters = self._words[:, :3].sum(axis=1), self._characters[:, :3].sum(axis=1)
        order = np.lexsort((-characters, -words))
        return [self.rows[i] for i in order[:k] if words[i] > 0]

    def confusions(self, k: int = 10) -> list[tuple[Edit, int]]:
        """The k most frequent errors and how often each happened."""
        edits = chain.from_iterable(align(row.reference, row.hypothesis) for row in self.rows)
        return Counter(edit for edit in edits if edit.op != CORRECT).most_common(k)

    def to_dict(self, k: int = 5) -> dict:
        """For --json."""
        return {
            "utterances": len(self.rows),
            "wer": self.wer.to_dict(),
            "cer": self.cer.to_dict(),
            "groups": {g: {"wer": w.to_dict(), "cer": c.to_dict()} for g, (w, c) in self.groups().items()},
            "worst": [row._asdict() for row in self.worst(k)],
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


def _width(text: str) -> int:
    """Columns of a terminal: East Asian characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _counts(
    references: str | Sequence[str], hypotheses: str | Sequence[str], split: Callable[[str], Sequence[str]]
) -> np.ndarray:
    """(n, 4) int64 of each pair: substitutions, deletions, insertions, reference length."""
    references = [references] if isinstance(references, str) else references
    hypotheses = [hypotheses] if isinstance(hypotheses, str) else hypotheses
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references but {len(hypotheses)} hypotheses")
    reference, hypothesis = _identify(map(split, references), map(split, hypotheses))
    return _count_edits(*reference, *hypothesis)


def _identify(*sides: Iterable[Iterable[str]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each side: its words as numbers, one after the other, and where each text begins (n + 1,)."""
    number: defaultdict[str, int] = defaultdict(count().__next__)
    numbered = []
    for texts in sides:
        numbers: list[int] = []
        starts = [0]
        for text in texts:
            numbers.extend(map(number.__getitem__, text))
            starts.append(len(numbers))
        numbered.append((np.array(numbers, np.int32), np.array(starts)))
    return numbered


@numba.njit(cache=True)
def _cost(ref, hyp, row, steps):
    """errors · 2³² + substitutions of the best alignment; row[j] is its value for ref[:i], hyp[:j].

    steps (len(ref) + 1, len(hyp) + 1), if given, receives how each cell was reached.
    """
    for j in range(len(hyp) + 1):
        row[j] = j * _ERROR
        if steps is not None:
            steps[0, j] = _RIGHT
    for i in range(1, len(ref) + 1):
        diagonal = row[0]  # the value of (i-1, j-1)
        row[0] = left = i * _ERROR
        if steps is not None:
            steps[i, 0] = _DOWN
        for j in range(1, len(hyp) + 1):
            both = diagonal + (0 if ref[i - 1] == hyp[j - 1] else _ERROR + 1)
            diagonal = up = row[j]
            if steps is not None:
                steps[i, j] = _DIAGONAL if both <= min(up, left) + _ERROR else _DOWN if up <= left else _RIGHT
            one = min(both, up + _ERROR)  # apart, so that only one sum waits for its left neighbor
            row[j] = left = min(one, left + _ERROR)
    return row[len(hyp)]


@numba.njit(cache=True)
def _count_edits(ref, ref_starts, hyp, hyp_starts):
    """The counts (n, 4) of n pairs: D + I = errors - S and D - I = len(ref) - len(hyp) give D and I."""
    n = len(ref_starts) - 1
    counts = np.empty((n, 4), np.int64)
    row = np.empty(np.max(np.diff(hyp_starts)) + 1 if n else 1, np.int64)
    for i in range(n):
        r = ref[ref_starts[i] : ref_starts[i + 1]]
        h = hyp[hyp_starts[i] : hyp_starts[i + 1]]
        begin = end = 0  # what is equal there is right in a best alignment, too
        while begin < min(len(r), len(h)) and r[begin] == h[begin]:
            begin += 1
        while end < min(len(r), len(h)) - begin and r[-1 - end] == h[-1 - end]:
            end += 1
        cost = _cost(r[begin : len(r) - end], h[begin : len(h) - end], row, None)
        errors, substitutions = cost // _ERROR, cost % _ERROR
        deletions = (errors - substitutions + len(r) - len(h)) // 2
        counts[i, 0] = substitutions
        counts[i, 1] = deletions
        counts[i, 2] = errors - substitutions - deletions
        counts[i, 3] = len(r)
    return counts
