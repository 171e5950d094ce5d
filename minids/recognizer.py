"""Recognizer: acoustic models and a decoder that together turn sound into text.

recording ─ load_audio ─▶ samples ─ split_at_pauses ─▶ segments ─ AcousticModel ─▶ log_probs (T, K)
          ─ BeamSearch, or greedy ─▶ labels ─ forced_align ─▶ words with their times ─▶ Transcript
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minids._utils.errors import InputError
from minids._utils.threads import ordered_map
from minids.audio import load_audio, resample, shift
from minids.audio.files import Source
from minids.audio.processing import check_rate, check_samples
from minids.confidence import N_BEST, Confidence, letter_doubts
from minids.data.batches import Batches
from minids.data.manifest import Utterance
from minids.decode.align import Unmatched, align_text, forced_align
from minids.decode.beam_search import BeamSearch, Hypothesis
from minids.decode.greedy import greedy
from minids.decode.lexicon import HotWords
from minids.decode.path import CTCPath, Word, lengthened, word_times
from minids.decode.tuned import make_search
from minids.lm.ngram import NGram
from minids.metrics import UtteranceResult
from minids.text import normalize
from minids.weights import SHIPPED_MODEL, SavedModel, load_model

if TYPE_CHECKING:
    from minids.decode.error_analysis import ErrorAnalysis

MAX_SEGMENT_SECONDS = 30.0  # longer recordings are split at their quietest moments
JITTER_MS = (-5.0, 0.0, 5.0)  # half a hop to either side (§2.1)

UtteranceLogProbs = tuple[Utterance, list[np.ndarray]]  # log_probs (T, K) of each of its segments


@dataclass(frozen=True)
class Transcript:
    """The text, its words (text, start and end in seconds, score 0 to 1), and its log-probability.

    `log_prob` is log P(text|x) from a beam search; from greedy decoding it is that of the best path. If
    `calibrated`, the score of a word is the probability that it is right, for speech like the development set
    of `minids tune`. `unlike`: the speech is unlike what the model learned, so that even its scores are too
    high; None: not known. `duration` is that of the recording in seconds.
    """

    text: str
    words: list[Word]
    log_prob: float
    calibrated: bool = False
    unlike: bool | None = None
    duration: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON: times to the millisecond."""
        return {
            "text": self.text,
            "duration": round(self.duration, 3),
            "log_prob": round(self.log_prob, 4),
            "calibrated": self.calibrated,
            "unlike": self.unlike,
            "words": [word.to_dict() for word in self.words],
        }


class Segment(NamedTuple):
    """A part of a recording, from `start` to `end` (seconds), and its hypotheses, best first."""

    start: float
    end: float
    hypotheses: list[Hypothesis]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: times to the millisecond."""
        hypotheses = [hypothesis.to_dict() for hypothesis in self.hypotheses]
        return {"start": round(self.start, 3), "end": round(self.end, 3), "hypotheses": hypotheses}


@dataclass(frozen=True)
class AcousticModel:
    """A loaded model, optionally with its input shifted by `shift_ms` (jitter, §2.1)."""

    saved: SavedModel
    shift_ms: float = 0.0

    def log_probs(self, samples: np.ndarray) -> np.ndarray:
        """Samples (N,) at the model's rate -> log_probs (T, K)."""
        features = self.saved.features
        if self.shift_ms:
            samples = shift(samples, features.rate, self.shift_ms)
        frames = features(samples)[:, None]  # (T0, 1, F)
        log_probs, _ = self.saved.model.forward(frames, np.array([len(frames)], np.int32))
        return log_probs[:, 0]

    def batches(self, utterances: Sequence[Utterance], batch_size: int = 16) -> Batches:
        """The utterances as input of this model."""
        saved = self.saved
        return Batches(
            utterances,
            saved.features,
            saved.alphabet,
            batch_size,
            saved.model.settings.stride,
            shift_ms=self.shift_ms,
        )

    def infer(self, batches: Batches) -> Iterator[tuple[list[int], np.ndarray, np.ndarray]]:
        """For each batch its utterances' indices, log_probs (T, B, K), and lengths (B,) after the stride."""
        for batch in batches.in_length_order():
            yield batch.indices, *self.saved.model.forward(batch.frames, batch.lengths)


def average(log_probs: Sequence[np.ndarray]) -> np.ndarray:
    """The logarithm of the mean probability, log 1/n Σ_i exp(log_probs_i), element by element (§2.1)."""
    if len(log_probs) == 1:
        return log_probs[0]
    return np.logaddexp.reduce(list(log_probs)) - np.float32(np.log(len(log_probs)))


class Recognizer:
    """Turns recordings into text.

    `Recognizer.load()` takes the model that ships, `Recognizer.load("runs/mine/best.safetensors")` yours.
    Several models form an ensemble: their probabilities are averaged frame by frame, then decoded. `jitter`
    averages over the recording and its copies shifted by 5 ms to either side (§2.1). Without `search`,
    decoding is greedy. `model`, `features` and `alphabet` are those of the first model.
    """

    def __init__(
        self,
        *models: SavedModel,
        search: BeamSearch | None = None,
        jitter: bool = False,
        confidence: Confidence = Confidence(),  # noqa: B008
    ):
        if not models:
            raise InputError("a recognizer needs at least one model")
        first = models[0]
        self.model, self.features, self.alphabet = first.model, first.features, first.alphabet
        self.search, self.confidence = search, confidence
        self.acoustic_models = [
            AcousticModel(saved, ms) for saved in models for ms in (JITTER_MS if jitter else (0.0,))
        ]

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
        lexicon: str | Path | Iterable[str] | None = None,
        hot_words: HotWords | None = None,
    ) -> "Recognizer":
        """A model (None: the one that ships; a list: an ensemble) and its beam search.

        `lm` is a file or an NGram. None: the language model that the (first) model was tuned with; "none": no
        language model.
        alpha, beta and beam_width default to the values tuned with this language model, or else to those of
        `minids.decode.tuned.DecoderWeights`.
        lexicon and hot_words are those of `minids.BeamSearch`.
        Without a language model and any of these, decoding is greedy. With `pruning`, the search skips
        unlikely symbols and prefixes.

        Raises InputError when a file is missing, damaged or not a model, when the models of an ensemble have
        different alphabets or frame times, and when the language model of the tuning is gone or has changed.
        """
        paths = [SHIPPED_MODEL] if path is None else [path] if isinstance(path, str | Path) else list(path)
        if not paths:
            raise InputError("the list of models is empty; give at least one, or None for the included model")
        paths = [Path(p) for p in paths]
        models = [load_model(p, backend) for p in paths]
        for p, saved in zip(paths, models, strict=True):
            _check_compatible(paths[0], models[0], p, saved)
        search, calibration = make_search(
            models[0].alphabet,
            models[0].notes,
            paths[0],
            lm,
            alpha,
            beta,
            beam_width,
            pruning,
            lexicon,
            hot_words,
        )
        confidence = Confidence()
        if len(models) == 1 and not jitter:  # averaged probabilities are others
            confidence = Confidence.from_notes(models[0].notes, paths[0], calibration)
        return cls(*models, search=search, jitter=jitter, confidence=confidence)

    @property
    def frame_seconds(self) -> float:
        """Seconds from one output frame to the next."""
        return self.features.hop / self.features.rate * self.model.settings.stride

    def transcribe(
        self,
        recording: Source | np.ndarray | Sequence[float],
        rate: int | None = None,
        channel: int | None = None,
        hot_words: HotWords | None = None,
    ) -> Transcript:
        """A sound file (path, bytes or binary stream), or samples (N,) -> Transcript.

        `rate` is that of the samples in Hz (default: the model's); `channel` one channel of the file, from 0
        (default: the mean of all). `hot_words` take the place of those of the search, see
        `minids.BeamSearch`; the scores of words are not calibrated for them.
        Raises InputError when the file cannot be read, or the samples are not mono sound.
        """
        confidence = self.confidence if hot_words is None else self.confidence._replace(weights=None)
        words: list[Word] = []
        doubts = []
        total = 0.0
        for start, end, log_probs in self.segments(self._samples(recording, rate, channel)):
            log_prob, found, hypotheses = self.words(log_probs, hot_words)
            total += log_prob
            calibrated = confidence.calibrate(found, hypotheses, log_probs)
            words += [word.moved(start, end) for word in calibrated]
            doubts.append(letter_doubts(log_probs))
        return Transcript(
            " ".join(word.text for word in words),
            lengthened(words, end),
            total,
            confidence.weights is not None,
            confidence.is_unlike(doubts),
            end,
        )

    def n_best(
        self,
        recording: Source | np.ndarray | Sequence[float],
        n_best: int,
        rate: int | None = None,
        channel: int | None = None,
    ) -> list[Segment]:
        """The `n_best` hypotheses for each segment of a recording; a recording of up to 30 s is one segment.

        Raises InputError as `transcribe` does, and with greedy decoding.
        """
        if self.search is None:
            raise InputError("greedy decoding has one result; give a language model or a beam width")
        return [
            Segment(start, end, self.search.decode(log_probs, n_best))
            for start, end, log_probs in self.segments(self._samples(recording, rate, channel))
        ]

    def align(
        self,
        recording: Source | np.ndarray | Sequence[float],
        text: str,
        rate: int | None = None,
        channel: int | None = None,
    ) -> tuple[list[Word], list[Unmatched]]:
        """When the words of a known text were spoken, and where text and speech differ: see `align_text`."""
        segments = list(self.segments(self._samples(recording, rate, channel)))
        times = [start + self.frame_seconds * np.arange(len(log_probs)) for start, _, log_probs in segments]
        edges = np.concatenate([*times, [segments[-1][1]]])  # (T + 1,)
        log_probs = np.concatenate([log_probs for *_, log_probs in segments])  # (T, K)
        words, unmatched = align_text(log_probs, edges, text, self.alphabet)
        return lengthened(words, float(edges[-1])), unmatched

    def log_probs(self, samples: np.ndarray) -> np.ndarray:
        """Samples (N,) at the model's rate -> log_probs (T, K)."""
        return average([model.log_probs(samples) for model in self.acoustic_models])

    def _samples(
        self, recording: Source | np.ndarray | Sequence[float], rate: int | None, channel: int | None
    ) -> np.ndarray:
        """Samples (N,) at the model's rate."""
        if isinstance(recording, str | Path | bytes | bytearray | memoryview) or hasattr(recording, "read"):
            return load_audio(recording, self.features.rate, channel=channel)[0]  # type: ignore[arg-type]
        if not isinstance(recording, np.ndarray | list | tuple):
            raise InputError(
                f"the recording is a {type(recording).__name__}; give a path, bytes, a binary file or samples"
            )
        try:
            with np.errstate(over="ignore"):  # too large for float32: rejected as infinite
                samples = check_samples(np.asarray(recording))
        except ValueError as error:  # a ragged list
            raise InputError(str(error)) from None
        if not len(samples):
            raise InputError("there are no samples; give at least one")
        rate = self.features.rate if rate is None else check_rate("rate", rate)
        return resample(samples, rate, self.features.rate)

    def segments(self, samples: np.ndarray) -> Iterator[tuple[float, float, np.ndarray]]:
        """Start and end (seconds) of each segment of a recording, and its log_probs (T, K)."""
        rate = self.features.rate
        for first, end in split_at_pauses(samples, rate):
            yield first / rate, end / rate, self.log_probs(samples[first:end])

    def words(
        self, log_probs: np.ndarray, hot_words: HotWords | None = None
    ) -> tuple[float, list[Word], list[Hypothesis]]:
        """log_probs (T, K) of a segment -> the log-probability of its text, its words, and the best texts.

        The words' scores are not calibrated, their times relative to the segment. With greedy decoding there
        are no other texts: the last list is empty.
        """
        hypotheses = []
        if self.search is not None or hot_words is not None:
            hypotheses = self._any_search.decode(log_probs, N_BEST, hot_words)
        path = self._best_path(log_probs, hypotheses)
        log_prob = hypotheses[0].log_prob if hypotheses else path.log_prob
        return log_prob, word_times(path, self.alphabet, self.frame_seconds), hypotheses

    def _best_path(self, log_probs: np.ndarray, hypotheses: Sequence[Hypothesis]) -> CTCPath:
        """The best path of the first hypothesis; without any, that of greedy decoding."""
        if not hypotheses:
            return greedy(log_probs)
        best = hypotheses[0]
        if best.log_prob == -np.inf:
            return CTCPath([], [], [], -np.inf)
        try:
            return forced_align(log_probs, best.labels)
        except InputError:  # the frames are certain of spaces that the text does not have
            return forced_align(log_probs, best.labels, self._any_search.language.space)

    @cached_property
    def _any_search(self) -> BeamSearch:
        """The beam search; with greedy decoding, one for the calls that have hot words."""
        return self.search or BeamSearch(self.alphabet)

    def recognize(
        self,
        utterances: Sequence[Utterance],
        by: str | None = None,
        progress: Callable[[int], object] | None = None,
        analysis: "ErrorAnalysis | None" = None,
    ) -> tuple[list[UtteranceResult], list[str]]:
        """The utterances of a manifest -> results to score, and the reason for each utterance left out.

        `by` is the field to group results by ("speaker" or any other). Calls progress(n) after n more
        utterances; `analysis` receives each result of a beam search. One batch is decoded while the next is
        computed.
        """
        results: list[UtteranceResult] = []
        skipped: list[str] = []
        n_best = analysis.n_best if analysis else N_BEST
        decoded = ordered_map(
            lambda batch: self._decode(batch, n_best), self.log_prob_batches(utterances, skipped), ahead=1
        )
        with closing(decoded):
            for batch, hypotheses in decoded:
                for (utterance, log_probs), segments in zip(batch, hypotheses, strict=True):
                    text = " ".join(" ".join(best.text for best, *_ in segments).split())
                    reference = normalize(utterance.text, self.alphabet)
                    log_prob = sum(best.log_prob for best, *_ in segments)
                    group = _group(utterance, by)
                    score = self._mean_score(log_probs, segments)
                    results.append(UtteranceResult(utterance.name, reference, text, group, log_prob, score))
                    if analysis:
                        analysis.add(results[-1], log_probs, segments)
                if progress:
                    progress(len(batch))
        return results, skipped

    def _mean_score(
        self, log_probs: Sequence[np.ndarray], segments: Sequence[list[Hypothesis]]
    ) -> float | None:
        """The mean probability of an utterance's words to be right; None: not calibrated, or no words."""
        words: list[Word] = []
        for y, texts in zip(log_probs, segments, strict=True) if self.confidence.weights else ():
            texts = texts[:N_BEST] if self.search else []
            found = word_times(self._best_path(y, texts), self.alphabet, self.frame_seconds)
            words += self.confidence.calibrate(found, texts, y)
        return float(np.mean([word.score for word in words])) if words else None

    def log_prob_batches(
        self, utterances: Sequence[Utterance], skipped: list[str]
    ) -> Iterator[list[UtteranceLogProbs]]:
        """Batches of utterances with the log_probs (T, K) of their segments; the long ones come last.

        Appends to `skipped` the reason for each utterance left out. Raises InputError when a recording could
        be read for some models of an ensemble only.
        """
        short = [u for u in utterances if u.duration <= MAX_SEGMENT_SECONDS]
        without_text = [replace(u, text="") for u in short]  # the texts matter only to the score
        batches = [model.batches(without_text) for model in self.acoustic_models]
        outputs = [model.infer(b) for model, b in zip(self.acoustic_models, batches, strict=True)]
        for batch in zip_longest(*outputs, fillvalue=((), None, None)):
            indices, _, lengths = batch[0]
            if any(tuple(others) != tuple(indices) for others, *_ in batch):
                reason = next(reason for b in batches for reason in b.skipped.values())
                raise InputError(f"recordings changed while they were read: {reason}")
            log_probs = average([log_probs for _, log_probs, _ in batch])  # (T, B, K)
            yield [(short[i], [log_probs[: lengths[b], b]]) for b, i in enumerate(indices)]
        skipped += batches[0].skipped.values()
        for utterance in utterances:
            if utterance.duration > MAX_SEGMENT_SECONDS:
                try:
                    samples, _ = utterance.load_audio(self.features.rate)
                    yield [(utterance, [log_probs for *_, log_probs in self.segments(samples)])]
                except InputError as error:
                    skipped.append(str(error))

    def _decode(self, batch: list[UtteranceLogProbs], n_best: int) -> list[list[list[Hypothesis]]]:
        """The `n_best` hypotheses for each segment of each utterance; with greedy decoding, one."""
        log_probs = [segment for _, segments in batch for segment in segments]
        if self.search is not None:
            decoded = self.search.decode_batch(log_probs, n_best)
        else:
            decoded = [
                [Hypothesis(self.alphabet.decode(p.labels), p.log_prob, p.log_prob, 0.0, tuple(p.labels))]
                for p in map(greedy, log_probs)
            ]
        flat = iter(decoded)
        return [list(islice(flat, len(segments))) for _, segments in batch]


def _group(utterance: Utterance, by: str | None) -> str:
    if by is None:
        return ""
    group = utterance.speaker if by == "speaker" else utterance.extra.get(by)
    return "(none)" if group is None else str(group)


def _check_compatible(first_path: Path, first: SavedModel, path: Path, saved: SavedModel) -> None:
    """Raises InputError unless both models have the same alphabet and the same output frames."""
    if saved.alphabet != first.alphabet:
        raise InputError(
            f"{path} has the alphabet {saved.alphabet}, {first_path} has {first.alphabet}: their"
            " probabilities cannot be averaged; give models with the same alphabet"
        )
    settings = [("stride", saved.model.settings.stride, first.model.settings.stride)]
    settings += [
        (name, getattr(saved.features, name), getattr(first.features, name))
        for name in ("rate", "window_ms", "hop_ms")
    ]
    for name, value, expected in settings:
        if value != expected:
            raise InputError(
                f"{path} has {name} = {value}, {first_path} has {expected}: their frames do not coincide;"
                f" give models trained with the same {name}"
            )


def split_at_pauses(
    samples: np.ndarray, rate: int, max_seconds: float = MAX_SEGMENT_SECONDS
) -> list[tuple[int, int]]:
    """Segments [first, end) of at most `max_seconds`, cut at the quietest moment in the last third of each.

    The network needs all of its input before it can produce the first word, and its memory grows with it.
    """
    max_samples, block = int(max_seconds * rate), max(1, int(0.05 * rate))
    cuts = [0]
    while len(samples) - cuts[-1] > max_samples:
        first = cuts[-1] + max_samples * 2 // 3
        tail = samples[first : cuts[-1] + max_samples]
        blocks = tail[: len(tail) // block * block].reshape(-1, block)
        energy = np.square(blocks, dtype=np.float64).sum(axis=1)
        smoothed = np.convolve(energy, np.ones(5), "valid")  # over 0.25 s: a pause, not a stop consonant
        cuts.append(first + (int(smoothed.argmin()) + 2) * block + block // 2)
    return list(zip(cuts, [*cuts[1:], len(samples)], strict=True))
