"""The batches of a run: training recordings with augmentation, dev recordings unchanged."""

from collections.abc import Callable, Iterator
from pathlib import Path

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
    t, n = settings.train, settings.noise
    augmentation = Augmentation(
        max_shift_ms=t.max_shift_ms,
        max_speed_change=t.max_speed_change,
        max_tilt_db=t.max_tilt_db,
        noise=noise,
        noise_prob=n.noise_prob,
        snr_db=(n.min_snr_db, n.max_snr_db),
    )
    return Batches(
        utterances,
        features,
        settings.alphabet,
        t.batch_size,
        settings.model.stride,
        t.seed,
        augmentation,
        cache=feature_cache(settings, features),
        shard=batch_ranks.shard,
        max_seconds=settings.data.max_seconds,
    )


def dev_batches(
    settings: Settings, utterances: list[Utterance], features: Features, ranks: ProcessGroup
) -> Batches:
    """Each of the `ranks` evaluates its shard."""
    return Batches(
        utterances,
        features,
        settings.alphabet,
        settings.train.batch_size,
        settings.model.stride,
        cache=feature_cache(settings, features),
        shard=ranks.shard,
        max_seconds=settings.data.max_seconds,
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
