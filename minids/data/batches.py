"""Batches of utterances of nearly equal length, made in the background while the network computes (§3.1).

Sorted by duration and cut into batches, little of a batch is padding. The order of the batches is drawn anew
each epoch. Whatever is drawn depends on (seed, epoch, utterance) alone, so a resumed run sees what an
undisturbed one sees.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minids._utils.errors import InputError
from minids._utils.threads import ordered_map
from minids.audio import load_audio, shift
from minids.data.feature_cache import FeatureCache
from minids.data.manifest import Utterance
from minids.data.noise import Noise, tilted
from minids.features import Features, Statistics
from minids.ops.common import min_frames, strided
from minids.text import Alphabet, normalize

AHEAD = 4  # batches that wait ready; one recording that is slow to read is not noticed
MeanStd = tuple[np.ndarray, np.ndarray]
SAMPLE = 2000  # utterances that the features' mean and deviation are taken from; more would not change them


@dataclass(frozen=True)
class Batch:
    """B utterances: frames (T0, B, F) float32, lengths (B,), labels (B, Umax), label_lengths (B,) int32.

    `indices` tells which of the utterances they are. What lies past a length is zero and is never read.
    """

    indices: list[int]
    frames: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    label_lengths: np.ndarray


@dataclass(frozen=True)
class Augmentation:
    """How a recording differs from epoch to epoch.

    A random cut of up to `max_shift_ms` at the start moves the frames; a random factor of up to
    1 + `max_speed_change` changes speed, pitch and tempo together; the spectrum is tilted by up to
    `max_tilt_db` dB per octave either way (see data.noise.tilted). Then, with probability `noise_prob`,
    noise is added at a random SNR in `snr_db` (§4.1). The level is not varied: features do not depend on it.
    """

    max_shift_ms: float = 0.0
    max_speed_change: float = 0.0
    max_tilt_db: float = 0.0
    noise: Noise | None = None
    noise_prob: float = 1.0
    snr_db: tuple[float, float] = (0.0, 20.0)

    def __bool__(self) -> bool:
        return bool(
            self.max_shift_ms or self.max_speed_change or self.max_tilt_db or (self.noise and self.noise_prob)
        )

    def __call__(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        factor = (1 + self.max_speed_change) ** rng.uniform(-1, 1)
        samples = samples[int(rng.integers(0, int(self.max_shift_ms * rate / 1000) + 1)) :]
        if self.max_speed_change and len(samples):
            at = np.arange(int(len(samples) / factor)) * factor
            samples = np.interp(at, np.arange(len(samples)), samples).astype(np.float32)
        if self.max_tilt_db and len(samples):
            samples = tilted(samples, rate, rng.uniform(-self.max_tilt_db, self.max_tilt_db))
        if self.noise and len(samples) and rng.random() < self.noise_prob:
            samples = self.noise.over(samples, rng.uniform(*self.snr_db), rng)
        return samples


class Batches:
    """The utterances of a manifest as batches, each moved by `shift_ms` (see minids.audio.shift).

    What does not vary is taken from the `cache`, or put there. Of several ranks each makes its `share` of the
    indices of every batch.

    `skipped` maps the index of each one left out to the reason.

    Left out are recordings that cannot be read, those far longer than their manifest says, for memory is
    planned with that, and those too short for their text: T = ceil(T0 / stride) frames cannot spell U +
    repeats characters. Raises InputError when a text has a character that the alphabet lacks.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        features: Features,
        alphabet: Alphabet,
        batch_size: int = 16,
        stride: int = 1,
        seed: int = 0,
        variation: Augmentation | None = None,
        shift_ms: float = 0.0,
        cache: FeatureCache | None = None,
        share: Callable[[list[int]], list[int]] = list,
    ):
        self.utterances, self.features, self.alphabet = utterances, features, alphabet
        self.stride, self.seed, self.variation = stride, seed, variation
        self.shift_ms, self.cache = shift_ms, cache
        self.skipped: dict[int, str] = {}
        for utterance in utterances:
            missing = alphabet.missing(normalize(utterance.text, alphabet))
            if missing:
                raise InputError(
                    f"{utterance.where}: the alphabet has no {missing[0]!r} (U+{ord(missing[0][0]):04X});"
                    " add it to the alphabet or mend the text; `minids data doctor` lists all such lines"
                )
        order = sorted(range(len(utterances)), key=lambda i: (utterances[i].duration, i))
        self._groups = [share(order[i : i + batch_size]) for i in range(0, len(order), batch_size)]
        self._speakers: dict[str, MeanStd] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def epoch(self, number: int, first: int = 0) -> Generator[Batch | None, None, None]:
        """The batches of an epoch, in its own order and with its own variations, from the `first` on.

        None stands for a batch of which nothing could be used.
        """
        order = np.random.default_rng([self.seed, number]).permutation(len(self._groups))
        return self._prefetch([self._groups[g] for g in order[first:]], number)

    def in_length_order(self) -> Iterator[Batch]:
        """All utterances as they are, by length."""
        return (batch for batch in self._prefetch(self._groups, None) if batch)

    def fit(self) -> None:
        """Set the features' mean and deviation to those of these utterances (a sample of at most 2000)."""
        sample = self.utterances[:: -(-len(self.utterances) // SAMPLE)]
        self.features.fit(raw for _, raw in ordered_map(self._raw, sample) if raw is not None)

    def _prefetch(self, groups: list[list[int]], epoch: int | None) -> Generator[Batch | None, None, None]:
        if self.features.normalize == "speaker" and not self._speakers:
            self._speakers = self._fit_speakers()
        with closing(ordered_map(lambda group: self._make(group, epoch), groups, AHEAD)) as made:
            for _, batch in made:
                yield batch

    def _make(self, group: list[int], epoch: int | None) -> Batch | None:
        made = [(i, *example) for i in group if (example := self._example(i, epoch)) is not None]
        if not made:
            return None
        indices, frames, labels = zip(*made, strict=True)
        lengths = np.array([len(x) for x in frames], np.int32)
        label_lengths = np.array([len(label) for label in labels], np.int32)
        x = np.zeros((lengths.max(), len(made), self.features.size), np.float32)  # (T0, B, F)
        padded = np.zeros((len(made), max(1, label_lengths.max())), np.int32)  # (B, Umax)
        for b in range(len(made)):
            x[: lengths[b], b] = frames[b]
            padded[b, : label_lengths[b]] = labels[b]
        return Batch(list(indices), x, lengths, padded, label_lengths)

    def _example(self, i: int, epoch: int | None) -> tuple[np.ndarray, np.ndarray] | None:
        """Frames and label of an utterance, or None and a word in `skipped`."""
        utterance = self.utterances[i]
        label = self.alphabet.encode(normalize(utterance.text, self.alphabet))
        rng = None
        if epoch is not None and self.variation:
            rng = np.random.default_rng([self.seed, epoch, i])
        try:
            raw = self._log_powers(utterance, min_frames(label), rng)
        except InputError as error:
            self.skipped[i] = str(error)
            return None
        return self.features.normalized(raw, self._speakers.get(utterance.speaker or "")), label

    def _log_powers(
        self, utterance: Utterance, least: int = 0, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """The recording's log powers (T0, F), varied by `rng` where that leaves it the `least` frames.

        Raises InputError for a recording that is of no use.
        """
        rate, lasting = self.features.rate, self.cache if rng is None and not self.shift_ms else None
        if lasting and (kept := lasting.read(utterance.path)) is not None:
            self._check(
                utterance, len(kept) * self.features.hop / rate, strided(len(kept), self.stride), least
            )
            return kept
        samples, _ = load_audio(utterance.path, rate)
        self._check(utterance, len(samples) / rate, self._frames(samples), least)
        if rng and self.variation:
            varied = self.variation(samples, rate, rng)
            if self._frames(varied) >= max(1, least):
                samples = varied
        raw = self.features.raw(shift(samples, rate, self.shift_ms))
        return lasting.write(utterance.path, raw) if lasting else raw

    def _check(self, utterance: Utterance, seconds: float, frames: int, least: int) -> None:
        """Raises InputError for a recording unlike its line in the manifest, or with too long a text."""
        if seconds > 2 * utterance.duration + 1:  # a batch of such would be no batch of equal lengths
            raise InputError(
                f"{utterance.path}: lasts {seconds:.1f} s, not {utterance.duration:.1f}"
                f" ({utterance.where}); correct the duration, or leave it out"
            )
        if frames < least:
            raise InputError(
                f"{utterance.path}: {frames} frames cannot spell its text, which needs {least}"
                f" ({utterance.where}); mend the text or use a smaller stride"
            )

    def _frames(self, samples: np.ndarray) -> int:
        return strided(self.features.length(len(samples)), self.stride) if len(samples) else 0

    def _raw(self, utterance: Utterance) -> np.ndarray | None:
        try:
            return self._log_powers(utterance)
        except InputError:
            return None  # named when its batch is made

    def _fit_speakers(self) -> dict[str, MeanStd]:
        """Each speaker's mean and deviation, from up to 50 of their utterances (§5.1)."""
        of: dict[str, list[Utterance]] = {}
        for utterance in self.utterances:
            if utterance.speaker:  # who did not say who they are is known by each utterance alone
                of.setdefault(utterance.speaker, []).append(utterance)
        sample = [u for said in of.values() for u in said[:: -(-len(said) // 50)]]
        known = {speaker: Statistics() for speaker in of}
        for utterance, raw in ordered_map(self._raw, sample):
            if raw is not None:
                known[str(utterance.speaker)].add(raw)
        return {speaker: statistics.mean_std() for speaker, statistics in known.items() if statistics.count}


def prefetch_to_device(
    batches: Generator[Batch | None, None, None], bring: Callable[[np.ndarray], Any]
) -> Generator[Batch | None, None, None]:
    """Batches whose frames are `bring(frames)`, a copy on a GPU: made while the one before is in use."""

    def there(batch: Batch | None) -> Batch | None:
        return batch and replace(batch, frames=bring(batch.frames))

    with closing(batches), closing(ordered_map(there, batches, ahead=1)) as made:
        for _, batch in made:
            yield batch
