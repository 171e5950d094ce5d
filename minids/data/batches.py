"""Batches of utterances of similar length, made in background threads while the network computes (§3.1).

Utterances are sorted by duration and cut into batches, so that little of a batch is padding. Each epoch takes
the batches in a new random order. Everything random depends on (seed, epoch, utterance) alone: a resumed run
sees the same batches as an uninterrupted one.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minids._utils.errors import InputError
from minids._utils.random import generator
from minids._utils.threads import ordered_map
from minids.audio import shift
from minids.audio.files import TooLongError
from minids.data.augment import Augmentation
from minids.data.feature_cache import FeatureCache
from minids.data.manifest import Utterance
from minids.features import Features, Statistics
from minids.ops.common import min_frames, output_length
from minids.text import Alphabet, normalize

PREFETCH = 4  # batches that are ready in advance; enough to hide a recording that is slow to read
MAX_FIT_UTTERANCES = 2000  # for the features' mean and deviation; more would not change them
MAX_SPEAKER_UTTERANCES = 50  # for the mean and deviation of a speaker
MAX_SECONDS = 120.0  # default limit of an utterance: a batch takes the memory of its longest

MeanStd = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Batch:
    """B utterances: frames (T0, B, F) float32, lengths (B,), labels (B, Umax), label_lengths (B,) int32.

    `indices` are the positions of the utterances in the manifest. Values past a length are 0 and never read.
    """

    indices: list[int]
    frames: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    label_lengths: np.ndarray


@dataclass
class ExampleLoader:
    """Loads one utterance as frames (T0, F) and label (U,), for a model with this alphabet and stride.

    Recordings are moved by `shift_ms` (see minids.audio.shift). Log powers that do not change from epoch to
    epoch are taken from the `cache`, or stored there. `speakers` has the mean and deviation of each speaker.
    Recordings longer than `max_seconds` are not loaded.
    """

    features: Features
    alphabet: Alphabet
    stride: int = 1
    augmentation: Augmentation | None = None
    shift_ms: float = 0.0
    cache: FeatureCache | None = None
    max_seconds: float = MAX_SECONDS
    speakers: dict[str, MeanStd] = field(default_factory=dict)

    def load(
        self, utterance: Utterance, rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(frames (T0, F), label (U,)), augmented with random numbers from `rng`, or without augmentation.

        Raises InputError for a recording that is unreadable, far longer than its manifest says (memory is
        planned by that), or too short for its text: T = ceil(T0 / stride) frames cannot spell U characters
        and the blanks between repeated ones.
        """
        label = self.label(utterance)
        log_powers = self.log_powers(utterance, min_frames(label), rng)
        frames = self.features.normalized(log_powers, self.speakers.get(utterance.speaker or ""))
        if rng and self.augmentation is not None:
            self.augmentation.mask(frames, self.features.hop_ms, rng)
        return frames, label

    def label(self, utterance: Utterance) -> np.ndarray:
        """The characters of its text (U,)."""
        return self.alphabet.encode(normalize(utterance.text, self.alphabet))

    def log_powers(
        self, utterance: Utterance, required: int = 0, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """Log powers (T0, F), augmented where at least `required` frames remain. InputError as in `load`."""
        cache = None if (rng and self.augmentation) or self.shift_ms else self.cache
        features = self.features
        if cache and (stored := cache.read(utterance)) is not None:
            self._check_duration(utterance, len(stored) * features.hop / features.rate)
            self._check_frames(utterance, output_length(len(stored), self.stride), required)
            return stored
        path = cache.path(utterance) if cache else None
        log_powers = features.log_powers(self.samples(utterance, required, rng))
        return cache.write(path, log_powers) if cache else log_powers

    def samples(
        self, utterance: Utterance, required: int = 0, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """Samples (N,), augmented where at least `required` frames remain. InputError as in `load`."""
        features, augmentation = self.features, self.augmentation
        try:
            limit = min(self.max_seconds, _max_seconds(utterance))
            samples, rate = utterance.load_audio(features.rate, limit)
        except TooLongError as error:
            self._check_duration(utterance, error.seconds)
            raise
        self._check_frames(utterance, self._output_frames(samples), required)
        if augmentation and rng:
            augmented = augmentation(samples, rate, rng)
            if self._output_frames(augmented) >= max(1, required):
                samples = augmented
        if self.shift_ms:
            samples = shift(samples, rate, self.shift_ms)
        return samples

    def readable_log_powers(self, utterance: Utterance) -> np.ndarray | None:
        """Log powers (T0, F); None for an unreadable recording, which is reported when its batch is made."""
        try:
            return self.log_powers(utterance)
        except InputError:
            return None

    def speaker_statistics(self, utterances: Sequence[Utterance]) -> dict[str, MeanStd]:
        """Mean and deviation of each speaker, from up to 50 of their utterances (§5.1).

        Utterances without a speaker are not included: each is normalized by itself.
        """
        by_speaker = defaultdict(list)
        for utterance in utterances:
            if utterance.speaker:
                by_speaker[utterance.speaker].append(utterance)
        sample = [u for group in by_speaker.values() for u in _evenly(group, MAX_SPEAKER_UTTERANCES)]
        sums: defaultdict[str, Statistics] = defaultdict(Statistics)
        for utterance, log_powers in ordered_map(self.readable_log_powers, sample):
            if log_powers is not None:
                sums[str(utterance.speaker)].add(log_powers)
        return {speaker: statistics.mean_std() for speaker, statistics in sums.items()}

    def _check_duration(self, utterance: Utterance, seconds: float) -> None:
        if seconds > _max_seconds(utterance):
            problem = f"{utterance.name}: lasts {seconds:.1f} s, not {utterance.duration:.1f}"
            raise InputError(f"{problem} ({utterance.location}); correct the duration or remove the line")

    def _check_frames(self, utterance: Utterance, frames: int, required: int) -> None:
        if frames < required:
            problem = f"{utterance.name}: its text needs {required} frames, it has {frames}"
            raise InputError(f"{problem} ({utterance.location}); correct the text or use a smaller stride")

    def _output_frames(self, samples: np.ndarray) -> int:
        """T, the frames after the stride."""
        return output_length(self.features.length(len(samples)), self.stride) if len(samples) else 0


class Batches:
    """The utterances of a manifest as batches: of `batch_size`, or of `batch_seconds` (see `groups`).

    `shard` maps the indices of a batch to those that this process loads. `skipped` maps the index of each
    utterance that was left out to the reason; see `ExampleLoader` for the reasons and the other arguments.
    Raises InputError for a text with a character outside the alphabet.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        features: Features,
        alphabet: Alphabet,
        batch_size: int = 16,
        stride: int = 1,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        shift_ms: float = 0.0,
        cache: FeatureCache | None = None,
        shard: Callable[[list[int]], list[int]] = list,
        max_seconds: float = MAX_SECONDS,
        batch_seconds: float = 0.0,
    ):
        for name, value in (("batch_size", batch_size), ("stride", stride)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name} = {value!r} is not a whole number from 1 on")
        self.utterances, self.seed = utterances, seed
        self.loader = ExampleLoader(features, alphabet, stride, augmentation, shift_ms, cache, max_seconds)
        self.skipped: dict[int, str] = {}
        for i, utterance in enumerate(utterances):
            try:
                self.loader.label(utterance)
            except ValueError as error:
                problem = f"{utterance.location}: {error}; add it to the alphabet or correct the text"
                raise InputError(f"{problem}; `minids data doctor --json` lists all such lines") from None
            if utterance.duration > max_seconds:
                problem = f"lasts {utterance.duration:.1f} s, the limit is {max_seconds:.1f} s"
                self.skipped[i] = f"{utterance.name}: {problem} ({utterance.location}); cut it into parts"
        usable = [i for i in range(len(utterances)) if i not in self.skipped]
        parts = groups([utterances[i].duration for i in usable], batch_size, batch_seconds)
        self._groups = [shard([usable[k] for k in part]) for part in parts]

    def __len__(self) -> int:
        return len(self._groups)

    def epoch(self, number: int, first: int = 0) -> Generator[Batch | None, None, None]:
        """The batches of an epoch from position `first` on, in the epoch's order and augmented for it.

        None stands for a batch without a usable utterance.
        """
        order = generator("shuffle", self.seed, number).permutation(len(self._groups))
        return self._prefetch([self._groups[g] for g in order[first:]], number)

    def in_length_order(self) -> Iterator[Batch]:
        """All utterances without augmentation, the shortest first."""
        return (batch for batch in self._prefetch(self._groups, None) if batch)

    def augmented(self, i: int, epoch: int) -> np.ndarray:
        """The samples (N,) that an epoch hears of utterance i. InputError as in `ExampleLoader.load`."""
        required = min_frames(self.loader.label(self.utterances[i]))
        return self.loader.samples(self.utterances[i], required, generator("augment", self.seed, epoch, i))

    def fit(self) -> None:
        """Set the features' mean and deviation to those of these utterances (a sample of at most 2000)."""
        sample = _evenly(self.utterances, MAX_FIT_UTTERANCES)
        log_powers = (x for _, x in ordered_map(self.loader.readable_log_powers, sample) if x is not None)
        self.loader.features.fit(log_powers)

    def _prefetch(self, groups: list[list[int]], epoch: int | None) -> Generator[Batch | None, None, None]:
        loader = self.loader
        if loader.features.normalize == "speaker" and not loader.speakers:
            loader.speakers = loader.speaker_statistics(self.utterances)
        with closing(ordered_map(lambda group: self._batch(group, epoch), groups, PREFETCH)) as batches:
            for _, batch in batches:
                yield batch

    def _batch(self, group: list[int], epoch: int | None) -> Batch | None:
        examples = {}
        for i in group:
            rng = None if epoch is None else generator("augment", self.seed, epoch, i)
            try:
                examples[i] = self.loader.load(self.utterances[i], rng)
            except InputError as error:
                self.skipped[i] = str(error)
        return _pad(examples) if examples else None


def groups(durations: Sequence[float], batch_size: int, batch_seconds: float = 0.0) -> list[list[int]]:
    """The utterances of each batch, by their positions in `durations` (seconds): shortest first.

    With `batch_seconds` above 0 a batch has, instead of `batch_size`, as many utterances as last at most
    `batch_seconds` together, each padded to the longest. An utterance beyond that is a batch of its own.
    """
    order = sorted(range(len(durations)), key=lambda i: (durations[i], i))
    if not batch_seconds:
        return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    batches: list[list[int]] = []
    for i in order:
        if not batches or (len(batches[-1]) + 1) * durations[i] > batch_seconds:
            batches.append([])
        batches[-1].append(i)
    return batches


def _pad(examples: dict[int, tuple[np.ndarray, np.ndarray]]) -> Batch:
    """A batch of (frames, label) by index, padded with zeros."""
    B = len(examples)
    lengths = np.array([len(frames) for frames, _ in examples.values()], np.int32)
    label_lengths = np.array([len(label) for _, label in examples.values()], np.int32)
    features = next(iter(examples.values()))[0].shape[1]
    x = np.zeros((lengths.max(), B, features), np.float32)  # (T0, B, F)
    labels = np.zeros((B, max(1, label_lengths.max())), np.int32)  # (B, Umax)
    for b, (frames, label) in enumerate(examples.values()):
        x[: lengths[b], b] = frames
        labels[b, : label_lengths[b]] = label
    return Batch(list(examples), x, lengths, labels, label_lengths)


def _max_seconds(utterance: Utterance) -> float:
    """The longest that a recording may be: batches and memory are planned by the manifest's durations."""
    return 2 * utterance.duration + 1


def _evenly(items: Sequence, count: int) -> Sequence:
    """At most `count` of the items, at equal distances."""
    return items[:: max(1, -(-len(items) // count))]


def prefetch_to_device(
    batches: Generator[Batch | None, None, None], to_device: Callable[[np.ndarray], Any]
) -> Generator[Batch | None, None, None]:
    """The batches with `to_device(frames)` as frames, one batch ahead of the consumer."""

    def transfer(batch: Batch | None) -> Batch | None:
        return batch and replace(batch, frames=to_device(batch.frames))

    with closing(batches), closing(ordered_map(transfer, batches, ahead=1)) as transferred:
        for _, batch in transferred:
            yield batch
