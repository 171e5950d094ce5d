"""Batches: their contents, order, augmentation and cache, and how unreadable recordings are reported."""

import threading
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from minids import Features
from minids._utils.errors import InputError
from minids.audio import load_audio, save_audio
from minids.data import batches as batches_module
from minids.data import feature_cache
from minids.data.augment import Augmentation
from minids.data.batches import PREFETCH, Batch, Batches, ExampleLoader, groups, prefetch_to_device
from minids.data.feature_cache import FeatureCache
from minids.data.manifest import Utterance
from minids.text import Alphabet
from tests.tolerances import FLOAT16_FEATURES, FLOAT32_SUM

RATE = 8000
ALPHABET = Alphabet(" abc")
AUGMENTED = Augmentation(max_shift_ms=10, max_speed_change=0.1, reverb_prob=0.5, codec_prob=0.2, time_masks=1)


def features(**changed):
    return Features(**({"rate": RATE, "bands": 6, "normalize": "utterance"} | changed))


@pytest.fixture
def record(tmp_path):
    """A function that writes a recording of noise and returns its utterance."""

    def make(text, seconds, name=None, speaker=None):
        count = len(list(tmp_path.iterdir()))
        rng = np.random.default_rng(count)
        path = tmp_path / (name or f"{count}.wav")
        save_audio(path, (0.1 * rng.normal(size=round(seconds * RATE))).astype(np.float32), RATE)
        return Utterance(path, text, seconds, speaker, line=count + 1, source=tmp_path / "m.jsonl")

    return make


@pytest.fixture
def utterances(record):
    seconds = np.random.default_rng(0).uniform(0.2, 0.6, 23)
    return [record(("a", "ab", "ab c", "cab", "")[i % 5], s) for i, s in enumerate(seconds)]


def assert_same(batch, other):
    assert (batch is None) == (other is None)
    if batch:
        assert batch.indices == other.indices
        for name in ("frames", "lengths", "labels", "label_lengths"):
            np.testing.assert_array_equal(getattr(batch, name), getattr(other, name))


def by_utterance(batches):
    """{utterance: (frames, label)} from an iterable of batches."""
    return {
        i: (b.frames[: b.lengths[k], k], b.labels[k, : b.label_lengths[k]])
        for b in batches
        for k, i in enumerate(b.indices)
    }


# What is in a batch


def test_a_batch_has_frames_labels_and_zero_padding(utterances):
    batches = Batches(utterances, features(), ALPHABET, batch_size=4)
    loaded = list(batches.in_length_order())
    assert len(loaded) == len(batches) == 6
    assert [len(b.indices) for b in loaded] == [4] * 5 + [3]
    for b in loaded:
        assert b.frames.shape == (b.lengths.max(), len(b.indices), 7)
        assert b.labels.shape == (len(b.indices), b.label_lengths.max())
        assert [a.dtype.name for a in (b.frames, b.lengths, b.labels, b.label_lengths)] == [
            *("float32", "int32", "int32", "int32")
        ]
        for k, i in enumerate(b.indices):
            samples, _ = load_audio(utterances[i].path)
            np.testing.assert_array_equal(b.frames[: b.lengths[k], k], features()(samples))
            assert not b.frames[b.lengths[k] :, k].any()
            assert ALPHABET.decode(b.labels[k, : b.label_lengths[k]]) == utterances[i].text


def test_utterances_of_a_batch_have_similar_lengths(utterances):
    """§3.1: sorted by length, so that little of a batch is padding."""
    batches = Batches(utterances, features(), ALPHABET, batch_size=4)
    order = [i for b in batches.in_length_order() for i in b.indices]
    assert order == sorted(range(23), key=lambda i: utterances[i].duration)
    padded = sum(b.frames.shape[0] * b.frames.shape[1] for b in batches.epoch(0))
    used = sum(int(b.lengths.sum()) for b in batches.epoch(0))
    assert used > 0.9 * padded
    for epoch in range(3):
        assert sorted(i for b in batches.epoch(epoch) for i in b.indices) == list(range(23)), (
            "each exactly once"
        )


@pytest.mark.parametrize("batch_seconds", [0.5, 1.0, 2.0, 7.3, 1000.0])
def test_batches_by_seconds_are_as_large_as_they_may_be(batch_seconds):
    durations = np.random.default_rng(0).gamma(2, 0.5, 200).round(2).tolist()
    made = groups(durations, 4, batch_seconds)
    order = [i for group in made for i in group]
    assert order == sorted(range(200), key=lambda i: (durations[i], i))
    for group, following in zip(made, [*made[1:], []], strict=True):
        assert len(group) == 1 or len(group) * durations[group[-1]] <= batch_seconds
        assert not following or (len(group) + 1) * durations[following[0]] > batch_seconds
    assert groups([], 4, batch_seconds) == []


def test_batches_of_a_manifest_by_seconds(utterances):
    batches = Batches(utterances, features(), ALPHABET, batch_size=1, batch_seconds=1.5, max_seconds=0.55)
    sizes = [len(b.indices) for b in batches.in_length_order()]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 4
    for b in batches.epoch(0):
        assert len(b.indices) * max(utterances[i].duration for i in b.indices) <= 1.5
    assert batches.skipped
    assert sum(sizes) == len(utterances) - len(batches.skipped)


def test_texts_are_normalized_and_characters_outside_the_alphabet_are_errors(record):
    ok = [record(" Ab\t\n  CA ", 0.5), record("", 0.2)]
    (b,) = Batches(ok, features(), ALPHABET).in_length_order()
    assert [ALPHABET.decode(x[:n]) for x, n in zip(b.labels, b.label_lengths, strict=True)] == ["", "ab ca"]
    with pytest.raises(InputError, match=r"m.jsonl:3: the alphabet has no 'é' \(U\+00E9\)"):
        Batches([*ok, record("abé", 0.5)], features(), ALPHABET)


# Order and augmentation


def test_the_order_of_batches_follows_seed_and_epoch(utterances):
    def order(seed, epoch):
        batches = Batches(utterances, features(), ALPHABET, batch_size=2, seed=seed)
        return [b.indices for b in batches.epoch(epoch)]

    assert order(1, 0) == order(1, 0)
    assert len({str(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1, 2)}) == 6
    assert order(1, 0) != sorted(order(1, 0), key=lambda group: utterances[group[0]].duration)


def test_an_epoch_resumed_in_the_middle_has_the_same_batches(utterances):
    """Also after other epochs, or with another object: batches do not depend on earlier ones."""
    batches = Batches(utterances, features(), ALPHABET, 4, seed=7, augmentation=AUGMENTED)
    whole = list(batches.epoch(3))
    list(batches.epoch(4))
    next(iter(batches.epoch(5)))
    again = Batches(utterances, features(), ALPHABET, 4, seed=7, augmentation=AUGMENTED)
    for first in (0, 1, 5, 6):
        rest = list(again.epoch(3, first))
        assert len(rest) == len(whole) - first
        for a, b in zip(rest, whole[first:], strict=True):
            assert_same(a, b)


def test_augmentation_depends_on_seed_epoch_and_utterance_not_on_the_batch(utterances):
    def varied(batch_size, seed, epoch):
        return by_utterance(
            Batches(utterances, features(), ALPHABET, batch_size, seed=seed, augmentation=AUGMENTED).epoch(
                epoch
            )
        )

    first, other_batches = varied(4, 0, 2), varied(7, 0, 2)
    for i in range(23):
        np.testing.assert_array_equal(first[i][0], other_batches[i][0])
    for another in (varied(4, 0, 3), varied(4, 1, 2)):
        assert sum(np.array_equal(first[i][0], another[i][0]) for i in range(23)) == 0


def test_without_augmentation_all_epochs_and_the_evaluation_have_the_same_frames(utterances):
    batches = Batches(utterances, features(), ALPHABET, 4)
    plain = by_utterance(batches.in_length_order())
    for epoch in (0, 5):
        for i, (frames, label) in by_utterance(batches.epoch(epoch)).items():
            np.testing.assert_array_equal(frames, plain[i][0])
            np.testing.assert_array_equal(label, plain[i][1])
    varied = Batches(utterances, features(), ALPHABET, 4, augmentation=AUGMENTED)
    for i, (frames, _) in by_utterance(varied.in_length_order()).items():
        np.testing.assert_array_equal(frames, plain[i][0])


@pytest.mark.parametrize("text", ["", "a"])
def test_a_recording_shorter_than_the_shift_is_used(record, text):
    tiny = [record(text, 1 / RATE), record(text, 0.004)]
    batches = Batches(
        tiny, features(), ALPHABET, augmentation=Augmentation(max_shift_ms=100, max_speed_change=0.5)
    )
    for epoch in range(20):
        (b,) = batches.epoch(epoch)
        assert list(b.lengths) == [1, 1]
        assert np.isfinite(b.frames).all()
    assert batches.skipped == {}


# Skipped recordings


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_text_longer_than_the_frames_after_the_stride_is_skipped(record, stride):
    """20 ms windows every 10 ms: 0.2 s are 19 frames."""
    T = -(-19 // stride)
    fits = ["abc" * T, "a" * ((T + 1) // 2), ""]
    fits[0] = fits[0][:T]
    long = [fits[0] + "c" * (fits[0][-1] != "c") + "a" * (fits[0][-1] == "c"), "a" * ((T + 1) // 2 + 1)]
    utterances = [record(text, 0.2) for text in fits + long]
    batches = Batches(utterances, features(), ALPHABET, 2, stride)
    assert sorted(by_utterance(batches.in_length_order())) == [0, 1, 2]
    assert sorted(batches.skipped) == [3, 4]
    assert batches.skipped[3].startswith(f"{utterances[3].path}: its text needs {T + 1} frames, it has {T}")
    assert "m.jsonl:4" in batches.skipped[3]


def test_augmentation_never_makes_a_recording_too_short_for_its_text(record):
    utterances = [
        record("abcabcabcabcabcabca", 0.2),
        record("abcabcabcabcabcabcabcabcabcab", 0.3),
    ]
    batches = Batches(
        utterances, features(), ALPHABET, augmentation=Augmentation(max_shift_ms=50, max_speed_change=0.5)
    )
    lengths = {tuple(b.lengths) for epoch in range(20) for b in batches.epoch(epoch)}
    assert batches.skipped == {}
    assert len(lengths) > 5, "slower ones are longer"
    assert min(n[0] for n in lengths) >= 19
    assert min(n[1] for n in lengths) >= 29


def test_unreadable_recordings_are_skipped_with_the_reason(utterances, record, tmp_path):
    missing, empty, nan, text, loud = (
        record("a", 0.3, f"{n}.wav") for n in ("no", "empty", "nan", "text", "loud")
    )
    missing.path.unlink()
    empty.path.write_bytes(b"")
    soundfile.write(nan.path, np.full(2400, np.nan), RATE, "FLOAT")
    text.path.write_text("hello")
    soundfile.write(loud.path, np.full(2400, 1e30) * (-1.0) ** np.arange(2400), RATE, "DOUBLE")
    bad = [missing, empty, nan, text, loud]
    batches = Batches([*bad, *utterances], features(), ALPHABET, 4, augmentation=AUGMENTED)
    for source in (batches.epoch(0), batches.in_length_order()):
        loaded = by_utterance(b for b in source if b)
        assert sorted(loaded) == list(range(5, 28))
    assert sorted(batches.skipped) == [0, 1, 2, 3, 4]
    for i, reason in batches.skipped.items():
        assert str(bad[i].path) in reason
        assert "\n" not in reason


def test_a_recording_far_longer_than_its_manifest_says_is_skipped(record):
    """Batches and memory are planned by the manifest; small differences are harmless."""
    utterances = [record("a", 1.9), record("a", 2.5), record("a", 9.0)]
    utterances = [replace(u, duration=d) for u, d in zip(utterances, (0.5, 0.5, 5.0), strict=True)]
    batches = Batches(utterances, features(), ALPHABET)
    assert [b.indices for b in batches.in_length_order()] == [[0, 2]]
    assert list(batches.skipped) == [1]
    assert batches.skipped[1].startswith(
        f"{utterances[1].path}: lasts 2.5 s, not 0.5 ({utterances[1].location})"
    )


def test_an_empty_batch_is_none_in_an_epoch_and_absent_in_length_order(record):
    gone, here = [record("a", 0.2) for _ in range(2)], [record("a", 0.5) for _ in range(2)]
    for utterance in gone:
        utterance.path.unlink()
    batches = Batches([*gone, *here], features(), ALPHABET, batch_size=2)
    assert [b is None for b in batches.epoch(0)].count(True) == 1
    assert len(list(batches.epoch(0))) == len(batches) == 2, "a resumed run relies on the count"
    assert [b.indices for b in batches.in_length_order()] == [[2, 3]]


# Statistics


def test_fit_computes_mean_and_deviation_of_all_frames(utterances, monkeypatch):
    utterances[3].path.unlink()  # is reported when its batch is made
    corpus = features(normalize="corpus")
    Batches(utterances, corpus, ALPHABET).fit()
    raw = [corpus.log_powers(load_audio(u.path)[0]) for i, u in enumerate(utterances) if i != 3]
    everything = np.concatenate(raw).astype(np.float64)
    np.testing.assert_allclose(corpus.mean, everything.mean(axis=0), rtol=FLOAT32_SUM)
    np.testing.assert_allclose(corpus.std, everything.std(axis=0), rtol=FLOAT32_SUM)
    monkeypatch.setattr(batches_module, "MAX_FIT_UTTERANCES", 5)
    Batches(utterances, corpus, ALPHABET).fit()
    sample = np.concatenate([raw[i - (i > 3)] for i in range(0, 23, 5)])
    np.testing.assert_allclose(corpus.mean, sample.mean(axis=0), rtol=FLOAT32_SUM)


def test_fit_without_a_readable_recording_is_an_error(record):
    utterance = record("a", 0.2)
    utterance.path.unlink()
    with pytest.raises(InputError, match="no recording could be read"):
        Batches([utterance], features(normalize="corpus"), ALPHABET).fit()


def test_speakers_are_normalized_by_their_own_mean_and_deviation(record):
    utterances = [record("ab", 0.3, speaker=name) for name in ("x", "y", "x", None)]
    frames = by_utterance(Batches(utterances, features(normalize="speaker"), ALPHABET).in_length_order())
    x = np.concatenate([frames[0][0], frames[2][0]])
    for mine in (x, frames[1][0], frames[3][0]):
        np.testing.assert_allclose(mine.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(mine.std(axis=0), 1, atol=1e-4)
    assert abs(frames[0][0].mean(axis=0)).max() > 1e-3, "one of two utterances alone has another mean"
    batches = Batches(utterances, features(normalize="speaker"), ALPHABET, shard=lambda group: group[1:2])
    shard = by_utterance(batches.in_length_order())
    (i,) = shard
    np.testing.assert_array_equal(shard[i][0], frames[i][0], "statistics cover all shards")


# Prefetching


@pytest.fixture
def counted(monkeypatch):
    """The paths that were loaded, in order."""
    loaded = []

    def load(path, *options):
        loaded.append(path)
        return load_audio(path, *options)

    monkeypatch.setattr("minids.audio.load_audio", load)
    return loaded


def workers():
    return [t for t in threading.enumerate() if "ThreadPoolExecutor" in t.name]


def test_a_limited_number_of_batches_is_prefetched(utterances, counted):
    batches = Batches(utterances, features(), ALPHABET, batch_size=1)
    epoch = batches.epoch(0)
    assert counted == [], "an epoch does nothing before its first batch is requested"
    next(epoch)
    patience = time.monotonic() + 20
    while len(counted) < PREFETCH + 1 and time.monotonic() < patience:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(counted) == PREFETCH + 1, "prefetched, in limited memory"
    assert len(list(epoch)) == 22
    assert not workers()


def test_closing_an_epoch_early_stops_its_threads(utterances, counted):
    batches = Batches(utterances, features(), ALPHABET, batch_size=1)
    for taken in (1, 2, 22):
        epoch = batches.epoch(taken)
        for _ in range(taken):
            next(epoch)
        epoch.close()
        assert not workers(), "no thread is left"
    assert len(counted) < 1 + 2 + 22 + 3 * (PREFETCH + 1)

    def interrupted():
        for _ in batches.epoch(9):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(list(batches.epoch(9))) == 23


def test_closing_an_epoch_cancels_batches_that_have_not_started(utterances, monkeypatch):
    loaded, stopped = [], threading.Event()

    def load(path, *options):
        loaded.append(path)
        if len(loaded) > 1:
            assert stopped.wait(timeout=20)
            time.sleep(0.3)
        return load_audio(path, *options)

    monkeypatch.setattr("minids.audio.load_audio", load)
    epoch = Batches(utterances, features(), ALPHABET, batch_size=1).epoch(0)
    next(epoch)
    stopped.set()
    epoch.close()
    assert len(loaded) <= 3, "one finished, at most two in progress"


def test_two_epochs_at_once_do_not_wait_for_each_other(utterances):
    first, second = (Batches(utterances, features(), ALPHABET, 4, seed=s).epoch(0) for s in (1, 2))
    assert sum(a is not None and b is not None for a, b in zip(first, second, strict=True)) == 6


def test_an_unexpected_error_reaches_the_consumer(utterances, monkeypatch):
    def load(path, *options):
        raise MemoryError("no space")

    monkeypatch.setattr("minids.audio.load_audio", load)
    with pytest.raises(MemoryError, match="no space"):
        list(Batches(utterances, features(), ALPHABET).epoch(0))
    assert not workers()


def test_frames_are_transferred_one_batch_ahead():
    asked = []

    def to_device(frames):
        asked.append(int(frames[0]))
        return -frames

    none = np.zeros(0, np.int32)
    source = (None if n == 2 else Batch([n], np.array([n]), none, none, none) for n in range(5))
    got = []
    for batch in prefetch_to_device(source, to_device):
        got.append(batch and int(batch.frames[0]))
        assert len(asked) <= len(got) + 1
    assert got == [0, -1, None, -3, -4]


def test_masks_are_for_training_only_and_leave_the_rest_as_it_is(utterances):
    masks = Augmentation(time_masks=2, max_time_mask_ms=80, frequency_masks=1, max_frequency_mask=0.4)
    batches = Batches(utterances, features(), ALPHABET, 4, augmentation=masks)
    plain = by_utterance(Batches(utterances, features(), ALPHABET, 4).in_length_order())
    for i, (frames, _) in by_utterance(batches.in_length_order()).items():
        np.testing.assert_array_equal(frames, plain[i][0])
    masked = by_utterance(batches.epoch(0))
    for i, (frames, _) in masked.items():
        np.testing.assert_array_equal(frames[frames != 0], plain[i][0][frames != 0])
    assert sum((frames == 0).any() for frames, _ in masked.values()) > 18
    other = by_utterance(batches.epoch(1))
    assert sum(not np.array_equal(masked[i][0], other[i][0]) for i in masked) > 18


def test_the_samples_of_an_epoch_are_those_that_it_trains_on(utterances):
    batches = Batches(
        utterances, features(), ALPHABET, 4, seed=3, augmentation=replace(AUGMENTED, time_masks=0)
    )
    for i, (frames, _) in by_utterance(batches.epoch(2)).items():
        np.testing.assert_array_equal(features()(batches.augmented(i, epoch=2)), frames)


# The cache


def test_unaugmented_recordings_are_read_once(record, tmp_path, monkeypatch):
    utterances = [record("ab", 0.3 + 0.1 * i, speaker=f"s{i % 2}") for i in range(4)]
    cache = FeatureCache(tmp_path / "cache", features())
    plain = by_utterance(Batches(utterances, features(), ALPHABET).in_length_order())
    computed = by_utterance(Batches(utterances, features(), ALPHABET, cache=cache).in_length_order())
    monkeypatch.setattr("minids.audio.load_audio", None)  # must not be called
    cached = by_utterance(Batches(utterances, features(), ALPHABET, cache=cache).in_length_order())
    assert computed.keys() == cached.keys()
    for i in computed:
        np.testing.assert_array_equal(computed[i][0], cached[i][0])
        np.testing.assert_array_equal(computed[i][1], cached[i][1])
        np.testing.assert_allclose(computed[i][0], plain[i][0], atol=FLOAT16_FEATURES)


def test_epochs_without_effective_augmentation_are_read_once(record, tmp_path, monkeypatch):
    utterances = [record("ab", 0.3), record("a", 0.4)]
    cache = FeatureCache(tmp_path / "cache", features())
    batches = Batches(
        utterances, features(), ALPHABET, augmentation=Augmentation(noise_prob=0.8), cache=cache
    )
    (computed,) = batches.epoch(0)
    monkeypatch.setattr("minids.audio.load_audio", None)  # must not be called
    (cached,) = batches.epoch(1)
    assert_same(computed, cached)
    masks = Augmentation(frequency_masks=1, max_frequency_mask=1)  # changes frames after the cache
    (first, second) = (
        next(Batches(utterances, features(), ALPHABET, augmentation=masks, cache=cache).epoch(i)).frames
        for i in (0, 1)
    )
    assert not np.array_equal(first, second)


def test_a_full_disk_turns_the_cache_off(record, tmp_path, monkeypatch):
    def full(path):
        raise InputError(f"cannot write {path}: no space")

    monkeypatch.setattr("minids.data.feature_cache.atomic_write", full)
    utterances = [record("ab", 0.3), record("a", 0.4)]
    batches = Batches(utterances, features(), ALPHABET, cache=FeatureCache(tmp_path / "cache", features()))
    with pytest.warns(UserWarning, match=r"the feature cache is off: cannot write .*no space") as warned:
        (batch,) = batches.in_length_order()
    assert (len(batch.indices), batches.skipped, len(warned)) == (2, {}, 1)


def test_changed_recordings_and_other_features_are_not_taken_from_the_cache(record, tmp_path):
    utterance = record("ab", 0.3)
    cache = FeatureCache(tmp_path / "cache", features())
    (before,) = Batches([utterance], features(), ALPHABET, cache=cache).in_length_order()
    save_audio(utterance.path, np.sin(np.arange(3000)).astype(np.float32), RATE)
    (after,) = Batches([utterance], features(), ALPHABET, cache=cache).in_length_order()
    assert before.frames.shape != after.frames.shape
    assert FeatureCache(tmp_path / "cache", features(bands=7)).read(utterance) is None
    assert FeatureCache(tmp_path / "cache", features(normalize="corpus")).read(utterance) is not None


def test_a_recording_that_is_replaced_while_it_is_read_is_not_taken_from_the_cache(
    record, tmp_path, monkeypatch
):
    utterance = record("ab", 0.3)
    loader = ExampleLoader(features(), ALPHABET, cache=FeatureCache(tmp_path / "cache", features()))
    log_powers = Features.log_powers

    def replace_recording(self, samples):
        save_audio(utterance.path, np.sin(np.arange(3000)).astype(np.float32), RATE)
        return log_powers(self, samples)

    monkeypatch.setattr(Features, "log_powers", replace_recording)
    before = loader.log_powers(utterance)
    assert loader.log_powers(utterance).shape != before.shape


def test_augmented_features_are_not_cached_and_damaged_files_are_replaced(record, tmp_path):
    utterances = [record("ab", 0.3), record("a", 0.4)]
    cache = FeatureCache(tmp_path / "cache", features())
    cached = Batches(utterances, features(), ALPHABET, augmentation=AUGMENTED, cache=cache)
    uncached = Batches(utterances, features(), ALPHABET, augmentation=AUGMENTED)
    for batch, other in zip(cached.epoch(0), uncached.epoch(0), strict=True):
        assert_same(batch, other)
    assert not list((tmp_path / "cache").rglob("*.npz"))
    list(cached.in_length_order())
    first, _ = sorted((tmp_path / "cache").rglob("*.npz"))
    content = first.read_bytes()
    first.write_bytes(content[:50])
    list(cached.in_length_order())
    assert first.read_bytes() == content


@pytest.mark.parametrize("damage", ["bit", "nan", "shape", "empty"])
def test_damaged_features_in_the_cache_are_computed_again(record, tmp_path, damage):
    utterance = record("ab", 0.3)
    cache = FeatureCache(tmp_path / "cache", features())
    batches = Batches([utterance], features(), ALPHABET, cache=cache)
    (computed,) = batches.in_length_order()
    (path,) = (tmp_path / "cache").rglob("*.npz")
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        wrong = np.full((29, 7) if damage == "nan" else (29, 6), np.nan if damage == "nan" else 0, np.float16)
        np.savez(path, log_powers=wrong, checksum=feature_cache._checksum(wrong))
    assert cache.read(utterance) is None
    (again,) = batches.in_length_order()
    assert_same(computed, again)
    assert cache.read(utterance) is not None


def test_features_of_another_version_of_the_code_are_not_used(record, tmp_path, monkeypatch):
    utterance = record("ab", 0.3)
    list(
        Batches([utterance], features(), ALPHABET, cache=FeatureCache(tmp_path, features())).in_length_order()
    )
    assert FeatureCache(tmp_path, features()).read(utterance) is not None
    monkeypatch.setattr(feature_cache, "source_digest", lambda sources: "another algorithm")
    assert FeatureCache(tmp_path, features()).read(utterance) is None


def test_parts_and_channels_of_one_recording_are_separate_utterances(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, (3 * RATE, 2)), RATE)
    whole = Utterance(path, "a", 3.0)
    utterances = [
        whole,
        replace(whole, start=0.5, end=1.0, duration=0.5),
        replace(whole, start=1.0, end=1.5, duration=0.5),
        replace(whole, start=1.0, end=1.5, duration=0.5, channel=1),
        replace(whole, start=2.0, duration=1.0),
    ]
    cache = FeatureCache(tmp_path / "cache", features())
    for _ in range(2):
        batches = Batches(utterances, features(), ALPHABET, batch_size=2, cache=cache)
        loaded = by_utterance(batches.in_length_order())
        assert batches.skipped == {}
        for i, utterance in enumerate(utterances):
            samples, _ = load_audio(path, RATE, utterance.start, utterance.end, utterance.channel)
            np.testing.assert_allclose(loaded[i][0], features()(samples), atol=FLOAT16_FEATURES)
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 5


def test_recordings_over_the_limit_are_skipped_without_decoding_them(record, utterances, tmp_path):
    with soundfile.SoundFile(tmp_path / "bomb.flac", "w", RATE, 1, "PCM_16") as file:
        for _ in range(10):
            file.write(np.zeros(360 * RATE))  # an hour of silence
    stated, unstated = (
        Utterance(tmp_path / "bomb.flac", "a", 0.5),
        Utterance(tmp_path / "bomb.flac", "a", 3600),
    )
    tracemalloc.start()
    batches = Batches([stated, unstated, *utterances], features(), ALPHABET, 4, augmentation=AUGMENTED)
    assert sorted(by_utterance(batch for batch in batches.epoch(0) if batch)) == list(range(2, 25))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
    assert "bomb.flac: lasts 3600.0 s, not 0.5" in batches.skipped[0]
    assert "bomb.flac: lasts 3600.0 s, the limit is 120.0 s" in batches.skipped[1]


def test_shuffling_and_augmentation_use_different_random_numbers():
    from minids._utils.random import generator

    draws = {
        str(generator(stream, 3, *key).integers(0, 1 << 62, 4))
        for stream, key in (("shuffle", (0,)), ("augment", (0, 0)), ("augment", (0, 1)), ("weights", ()))
    }
    assert len(draws) == 4


@pytest.mark.parametrize("changed", [{"batch_size": 0}, {"batch_size": 1.5}, {"stride": 0}, {"stride": True}])
def test_invalid_sizes_are_refused(utterances, changed):
    with pytest.raises(InputError, match=next(iter(changed))):
        Batches(utterances, features(), ALPHABET, **changed)
