"""The batches of a run: training recordings with augmentation, dev recordings unchanged."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from minids._utils.errors import InputError
from minids.data.augment import Augmentation
from minids.data.batches import Batches
from minids.data.feature_cache import FeatureCache
from minids.data.manifest import Utterance
from minids.data.noise import Noise, sound_files
from minids.features import Features
from minids.text import TextReport
from minids.training.identity import overlap
from minids.training.parallel import ProcessGroup
from minids.training.settings import Settings


def training_batches(
    settings: Settings,
    utterances: list[Utterance],
    features: Features,
    noise: Noise | None,
    batch_ranks: ProcessGroup,
) -> Batches:
    """Each of the `batch_ranks` makes its shard of every batch."""
    n, augment = settings.noise, asdict(settings.augment)
    if augment["band_prob"] and augment["min_band_hz"] >= features.rate / 2:
        raise InputError(
            f"{settings.source}: [augment] min_band_hz = {augment['min_band_hz']} cuts nothing at"
            f" {features.rate} Hz; choose one below {features.rate / 2:.0f}, or band_prob = 0"
        )
    snr_db = n.min_snr_db, n.max_snr_db
    augmentation = Augmentation(
        **augment, noise=noise, noise_prob=n.noise_prob, colored_prob=n.colored_prob, snr_db=snr_db
    )
    return dev_batches(settings, utterances, features, batch_ranks, augmentation)


def dev_batches(
    settings: Settings,
    utterances: list[Utterance],
    features: Features,
    ranks: ProcessGroup,
    augmentation: Augmentation | None = None,
) -> Batches:
    """Each of the `ranks` evaluates its shard."""
    return Batches(
        utterances,
        features,
        settings.alphabet,
        settings.train.batch_size,
        settings.model.stride,
        settings.train.seed,
        augmentation,
        cache=feature_cache(settings, features),
        shard=ranks.shard,
        max_seconds=settings.data.max_seconds,
        batch_seconds=settings.train.batch_seconds,
    )


def feature_cache(settings: Settings, features: Features) -> FeatureCache | None:
    return FeatureCache(settings.path("cache"), features) if settings.data.cache else None


def recording_files(
    settings: Settings, train: list[Utterance], dev: list[Utterance]
) -> dict[str, list[Path]]:
    """All recordings that a run reads."""
    noise = settings.recordings("recordings") + settings.recordings("reference_recordings")
    return {
        "train": [utterance.path for utterance in train],
        "dev": [utterance.path for utterance in dev],
        "noise": [file for path in noise for file in sound_files(path)],
    }


def data_notes(settings: Settings, train: list[Utterance], dev: list[Utterance]) -> Iterator[str]:
    """What is unusual in the manifests: dev utterances for training, texts that normalization changes."""
    if shared := overlap(train, dev):
        yield (
            f"{shared} of {len(dev)} dev utterances are also in the training set:"
            " the error rates on the dev set will be too low"
        )
    for name, utterances in (("train", train), ("dev", dev)):
        texts = TextReport(settings.alphabet)
        for utterance in utterances:
            texts.normalize(utterance.text)
        if texts:
            yield f"{name}: {texts}"


def load_noise(settings: Settings, rate: int, log: Callable[[str], None]) -> Noise | None:
    """The clips of [noise] recordings; logs the first few that are rejected."""
    if not settings.noise.recordings:
        return None
    recordings, references = map(settings.recordings, ("recordings", "reference_recordings"))
    noise = Noise(recordings, rate, references, settings.noise.tracks)
    log(f"{len(noise.clips)} clips of noise, {len(noise.rejected)} rejected")
    for clip in noise.rejected[:5]:
        log(f"rejected: {clip}")
    return noise
