"""Recognizer: a model and its decoder as one thing that turns sound into text."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from minids.audio import load_audio, resample
from minids.batches import Batch, Batches
from minids.corpus.manifest import Utterance
from minids.decode.greedy import Word, greedy, greedy_text, words
from minids.errors import InputError
from minids.score import Row
from minids.text import normalise
from minids.weights import SHIPPED, Saved, load_weights

LONGEST = 30.0  # seconds in one piece; longer recordings are cut at their quietest moments


@dataclass(frozen=True)
class Transcript:
    """The text, its words (text, start and end in seconds, score 0 to 1), the path's log-probability."""

    text: str
    words: list[Word]
    log_prob: float


class Recognizer:
    """Turns recordings into text.

    `Recognizer.load()` takes the model that ships, `Recognizer.load("runs/mine/best.safetensors")` yours.
    """

    def __init__(self, saved: Saved):
        self.model, self.features, self.alphabet = saved.model, saved.features, saved.alphabet

    @classmethod
    def load(cls, path: str | Path | None = None, backend: str = "cpu") -> "Recognizer":
        """Raises InputError naming the file when it is missing, truncated or foreign."""
        return cls(load_weights(SHIPPED if path is None else path, backend))

    @property
    def hop(self) -> float:
        """Seconds from one output frame to the next."""
        return self.features.hop / self.features.rate * self.model.settings.stride

    def log_probs(self, samples: np.ndarray) -> np.ndarray:
        """Samples (N,) at the model's rate -> log_probs (T, K)."""
        frames = self.features(samples)[:, None]  # (T0, 1, F)
        log_probs, _ = self.model.forward(frames, np.array([len(frames)], np.int32))
        return log_probs[:, 0]

    def transcribe(self, recording: str | Path | np.ndarray, rate: int | None = None) -> Transcript:
        """A file, or samples (N,) and their rate (Hz; the model's own when left out) -> Transcript.

        Raises InputError when the file cannot be read, or the samples are no sound.
        """
        if isinstance(recording, np.ndarray):
            samples = np.asarray(recording, np.float32)
            if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
                raise InputError(
                    "the samples must be one row of finite numbers; give mono sound of at least one sample"
                )
            samples = resample(samples, rate or self.features.rate, self.features.rate)
        else:
            samples, _ = load_audio(recording, self.features.rate)
        heard: list[Word] = []
        log_prob = 0.0
        for first, last in pieces(samples, self.features.rate):
            path = greedy(self.log_probs(samples[first:last]))
            begin, end = first / self.features.rate, last / self.features.rate
            heard += [  # the last frame may reach beyond the sound
                word._replace(start=word.start + begin, end=min(word.end + begin, end))
                for word in words(path, self.alphabet, self.hop)
            ]
            log_prob += path.log_prob
        return Transcript(" ".join(word.text for word in heard), heard, log_prob)

    def recognise(
        self, utterances: Sequence[Utterance], by: str | None = None, tick: Callable[[int], object] = bool
    ) -> tuple[list[Row], list[str]]:
        """Greedy texts of a manifest beside its own: rows to score, and a word on every utterance left out.

        `by` is the field to group rows by ("speaker" or any other); `tick` is told how many more are done.
        """
        short = [u for u in utterances if u.duration <= LONGEST]
        rows: list[Row] = []
        batches = self.batches([replace(u, text="") for u in short])  # what was said is for the score alone
        for batch, log_probs, lengths in self.posteriors(batches):
            for b, i in enumerate(batch.indices):
                rows.append(self.row(short[i], greedy_text(log_probs[: lengths[b], b], self.alphabet), by))
            tick(len(batch.indices))
        skipped = list(batches.skipped.values())
        for utterance in utterances:
            if utterance.duration > LONGEST:
                try:
                    rows.append(self.row(utterance, self.transcribe(utterance.path).text, by))
                except InputError as error:
                    skipped.append(str(error))
                tick(1)
        return rows, skipped

    def batches(self, utterances: Sequence[Utterance], batch_size: int = 16) -> Batches:
        """The utterances as this model wants them."""
        return Batches(utterances, self.features, self.alphabet, batch_size, self.model.settings.stride)

    def posteriors(self, batches: Batches) -> Iterator[tuple[Batch, np.ndarray, np.ndarray]]:
        """Each batch with its log_probs (T, B, K) and lengths (B,) after the stride."""
        for batch in batches.in_order():
            yield batch, *self.model.forward(batch.frames, batch.lengths)

    def row(self, utterance: Utterance, heard: str, by: str | None = None) -> Row:
        """What was said beside what was heard, to be scored; grouped by the field `by`."""
        group = "" if by is None else utterance.speaker if by == "speaker" else utterance.extra.get(by)
        return Row(
            str(utterance.path),
            normalise(utterance.text, self.alphabet),
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
