"""Recognizer: a model, or several, and the decoder as one thing that turns sound into text."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minids._utils.errors import InputError
from minids._utils.threads import ordered_map
from minids.audio import load_audio, resample, shift
from minids.data.batches import Batch, Batches
from minids.data.manifest import Utterance
from minids.decode.align import align
from minids.decode.beam_search import BeamSearch, Hypothesis
from minids.decode.greedy import Word, greedy, words
from minids.decode.tuned import beam_search
from minids.lm.ngram import NGram
from minids.metrics import UtteranceResult
from minids.text import normalize
from minids.weights import SHIPPED_MODEL, SavedModel, load_weights

if TYPE_CHECKING:
    from minids.decode.error_analysis import SearchReport

LONGEST = 30.0  # seconds in one piece; longer recordings are cut at their quietest moments
JITTER = (-5.0, 0.0, 5.0)  # ms: half a hop to the left and to the right (§2.1)

Heard = tuple[Utterance, list[np.ndarray]]  # and the log_probs (T, K) of its pieces


@dataclass(frozen=True)
class Transcript:
    """The text, its words (text, start and end in seconds, score 0 to 1), and its log-probability.

    `log_prob` is log P(text|x) of a beam search, and of greedy decoding that of the best path.
    """

    text: str
    words: list[Word]
    log_prob: float


class Piece(NamedTuple):
    """What was heard from `start` to `end` (seconds) of a recording, the best first."""

    start: float
    end: float
    hypotheses: list[Hypothesis]


@dataclass(frozen=True)
class AcousticModel:
    """A model that hears recordings `shift_ms` later than they are."""

    saved: SavedModel
    shift_ms: float = 0.0

    def log_probs(self, samples: np.ndarray) -> np.ndarray:
        """Samples (N,) at the model's rate -> log_probs (T, K)."""
        features = self.saved.features
        frames = features(shift(samples, features.rate, self.shift_ms))[:, None]  # (T0, 1, F)
        log_probs, _ = self.saved.model.forward(frames, np.array([len(frames)], np.int32))
        return log_probs[:, 0]

    def batches(self, utterances: Sequence[Utterance], batch_size: int = 16, **options: Any) -> Batches:
        """The utterances as this model wants them; `options` are those of Batches."""
        saved, stride = self.saved, self.saved.model.settings.stride
        given = utterances, saved.features, saved.alphabet, batch_size, stride
        return Batches(*given, shift_ms=self.shift_ms, **options)

    def posteriors(self, batches: Batches) -> Iterator[tuple[Batch, np.ndarray, np.ndarray]]:
        """Each batch with its log_probs (T, B, K) and lengths (B,) after the stride."""
        for batch in batches.in_length_order():
            yield batch, *self.saved.model.forward(batch.frames, batch.lengths)


def average(log_probs: Sequence[np.ndarray]) -> np.ndarray:
    """log of the mean of the probabilities: log 1/n Σ_i exp(log_probs_i), element by element (§2.1)."""
    if len(log_probs) == 1:
        return log_probs[0]
    return np.logaddexp.reduce(list(log_probs)) - np.float32(np.log(len(log_probs)))


def _check_alike(first: Path, one: SavedModel, second: Path, other: SavedModel) -> None:
    """Raises InputError unless the models write the same characters at the same times."""
    if one.alphabet != other.alphabet:
        raise InputError(
            f"{second} writes {other.alphabet}, {first} {one.alphabet}: their probabilities cannot be"
            " averaged; take models of one alphabet"
        )
    for name in ("rate", "window_ms", "hop_ms"):
        ours, theirs = getattr(one.features, name), getattr(other.features, name)
        if ours != theirs:
            raise InputError(
                f"{second} has {name} = {theirs}, {first} {ours}: their frames do not fall together;"
                " take models trained with the same"
            )
    if one.model.settings.stride != other.model.settings.stride:
        raise InputError(
            f"{second} has stride = {other.model.settings.stride}, {first} {one.model.settings.stride}:"
            " their frames do not fall together; take models trained with the same"
        )


class Recognizer:
    """Turns recordings into text.

    `Recognizer.load()` takes the model that ships, `Recognizer.load("runs/mine/best.safetensors")` yours.
    Several models make an ensemble: the average of their probabilities is decoded, frame by frame; with
    `jitter`, of the recording as it is and moved by 5 ms either way (§2.1). Without `search`, texts are
    decoded greedily. `model`, `features` and `alphabet` are those of the first model.
    """

    def __init__(self, *models: SavedModel, search: BeamSearch | None = None, jitter: bool = False):
        first = models[0]
        self.model, self.features, self.alphabet = first.model, first.features, first.alphabet
        self.search = search
        self.ears = [AcousticModel(each, ms) for each in models for ms in (JITTER if jitter else (0.0,))]

    @classmethod
    def load(
        cls,
        path: str | Path | Sequence[str | Path] | None = None,
        lm: str | Path | NGram | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        beam_width: int | None = None,
        pruning: bool = True,
        jitter: bool = False,
        backend: str = "cpu",
    ) -> "Recognizer":
        """A model (None: the one that ships; several: an ensemble) and its beam search.

        `lm`: a file or an NGram; None: what was tuned and kept with the (first) model; "none": no language
        model.
        alpha, beta and beam_width: None for those that were tuned with this language model,
        else those of `minids.decode.tuned.DecoderWeights`.
        Without a language model, beta and beam_width, decoding is greedy. `pruning`: whether the search
        passes over symbols and prefixes that are unlikely.

        Raises InputError naming the file when one is missing, truncated or foreign, when the models of an
        ensemble do not write the same characters at the same times, and when the language model that was
        tuned with is gone or changed.
        """
        paths = [SHIPPED_MODEL] if path is None else [path] if isinstance(path, str | Path) else list(path)
        first, *_ = paths = [Path(each) for each in paths]
        models = [load_weights(each, backend) for each in paths]
        for each, saved in zip(paths, models, strict=True):
            _check_alike(first, models[0], each, saved)
        search = beam_search(models[0], first, lm, alpha, beta, beam_width, pruning)
        return cls(*models, search=search, jitter=jitter)

    @property
    def hop(self) -> float:
        """Seconds from one output frame to the next."""
        return self.features.hop / self.features.rate * self.model.settings.stride

    def log_probs(self, samples: np.ndarray) -> np.ndarray:
        """Samples (N,) at the model's rate -> log_probs (T, K)."""
        return average([ear.log_probs(samples) for ear in self.ears])

    def transcribe(self, recording: str | Path | np.ndarray, rate: int | None = None) -> Transcript:
        """A file, or samples (N,) and their rate (Hz; the model's own when left out) -> Transcript.

        Raises InputError when the file cannot be read, or the samples are no sound.
        """
        heard: list[Word] = []
        log_prob = 0.0
        for begin, end, log_probs in self._pieces(recording, rate):
            if self.search is None:
                path = greedy(log_probs)
                log_prob += path.log_prob
            else:
                (best,) = self.search.decode(log_probs, n_best=1)
                path = align(log_probs, self.alphabet.encode(best.text))
                log_prob += best.log_prob
            heard += [  # the last frame may reach beyond the sound
                word._replace(start=word.start + begin, end=min(word.end + begin, end))
                for word in words(path, self.alphabet, self.hop)
            ]
        return Transcript(" ".join(word.text for word in heard), heard, log_prob)

    def alternatives(
        self, recording: str | Path | np.ndarray, n_best: int, rate: int | None = None
    ) -> list[Piece]:
        """As `transcribe`, but of each piece (a short recording is one) the `n_best` texts with their scores.

        Raises InputError also when decoding is greedy, which knows one text alone.
        """
        if self.search is None:
            raise InputError("greedy decoding has no alternatives; give a language model or a beam width")
        return [
            Piece(begin, end, self.search.decode(log_probs, n_best))
            for begin, end, log_probs in self._pieces(recording, rate)
        ]

    def _pieces(
        self, recording: str | Path | np.ndarray, rate: int | None
    ) -> Iterator[tuple[float, float, np.ndarray]]:
        """From when to when (seconds) each piece of a recording lasts, and its log_probs (T, K)."""
        if isinstance(recording, np.ndarray):
            samples = np.asarray(recording, np.float32)
            if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
                raise InputError(
                    "the samples must be one row of finite numbers; give mono sound of at least one sample"
                )
            samples = resample(samples, rate or self.features.rate, self.features.rate)
        else:
            samples, _ = load_audio(recording, self.features.rate)
        for first, last in pieces(samples, self.features.rate):
            log_probs = self.log_probs(samples[first:last])
            yield first / self.features.rate, last / self.features.rate, log_probs

    def recognize(
        self,
        utterances: Sequence[Utterance],
        by: str | None = None,
        tick: Callable[[int], object] = bool,
        report: "SearchReport | None" = None,
    ) -> tuple[list[UtteranceResult], list[str]]:
        """Texts of a manifest beside its own: rows to score, and a word on every utterance left out.

        `by` is the field to group rows by ("speaker" or any other); `tick` is told how many more are done;
        `report` examines each row that a beam search made. One batch is decoded while the next is computed.
        """
        rows: list[UtteranceResult] = []
        skipped: list[str] = []
        n_best = report.n_best if report else 1
        decoded = ordered_map(
            lambda heard: self._decode(heard, n_best), self.hear(utterances, skipped), ahead=1
        )
        with closing(decoded):
            for heard, found in decoded:
                for (utterance, log_probs), hypotheses in zip(heard, found, strict=True):
                    text = " ".join(" ".join(best.text for best, *_ in hypotheses).split())
                    rows.append(self.row(utterance, text, by))
                    if report:
                        report.add(rows[-1], log_probs, hypotheses)
                tick(len(heard))
        return rows, skipped

    def hear(self, utterances: Sequence[Utterance], skipped: list[str]) -> Iterator[list[Heard]]:
        """Utterances, some at a time, each with the log_probs (T, K) of its pieces; the long ones come last.

        Why one is left out is added to `skipped`.
        """
        short = [u for u in utterances if u.duration <= LONGEST]
        unsaid = [replace(u, text="") for u in short]  # what was said is for the score alone
        batches = [ear.batches(unsaid) for ear in self.ears]
        heard = [ear.posteriors(each) for ear, each in zip(self.ears, batches, strict=True)]
        for each in zip(*heard, strict=True):
            batch, _, lengths = each[0]
            log_probs = average([log_probs for _, log_probs, _ in each])  # (T, B, K)
            yield [(short[i], [log_probs[: lengths[b], b]]) for b, i in enumerate(batch.indices)]
        skipped += batches[0].skipped.values()
        for utterance in utterances:
            if utterance.duration > LONGEST:
                try:
                    yield [(utterance, [log_probs for *_, log_probs in self._pieces(utterance.path, None)])]
                except InputError as error:
                    skipped.append(str(error))

    def _decode(self, heard: list[Heard], n_best: int) -> list[list[list[Hypothesis]]]:
        """Of each utterance, of each of its pieces, the `n_best` hypotheses; of greedy decoding the one."""
        log_probs = [piece for _, pieces in heard for piece in pieces]
        if self.search is not None:
            found = self.search.decode_batch(log_probs, n_best)
        else:
            paths = map(greedy, log_probs)
            found = [[Hypothesis(self.alphabet.decode(p.labels), p.log_prob, p.log_prob, 0.0)] for p in paths]
        each = iter(found)
        return [list(islice(each, len(pieces))) for _, pieces in heard]

    def row(self, utterance: Utterance, heard: str, by: str | None = None) -> UtteranceResult:
        """What was said beside what was heard, to be scored; grouped by the field `by`."""
        group = "" if by is None else utterance.speaker if by == "speaker" else utterance.extra.get(by)
        return UtteranceResult(
            str(utterance.path),
            normalize(utterance.text, self.alphabet),
            heard,
            "(none)" if group is None else str(group),
        )


def pieces(samples: np.ndarray, rate: int, longest: float = LONGEST) -> list[tuple[int, int]]:
    """Pieces [first, last) of at most `longest` seconds, cut at the quietest moment of each one's last third.

    The network needs the whole of what it hears before it can say the first word, and memory grows with that.
    """
    most, hop = int(longest * rate), max(1, int(0.05 * rate))
    cuts = [0]
    while len(samples) - cuts[-1] > most:
        first = cuts[-1] + most * 2 // 3
        tail = samples[first : cuts[-1] + most]
        blocks = tail[: len(tail) // hop * hop].reshape(-1, hop)
        loudness = np.square(blocks, dtype=np.float64).sum(axis=1)
        around = np.convolve(loudness, np.ones(5), "valid")  # 0.25 s: a pause, not a stop consonant
        cuts.append(first + (int(around.argmin()) + 2) * hop + hop // 2)
    return list(zip(cuts, [*cuts[1:], len(samples)], strict=True))
