"""Batches: who is in them, in which order, how varied, and what becomes of recordings that are bad."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from minids import Features
from minids._utils.errors import InputError
from minids.audio import load_audio, save_audio
from minids.data import batches
from minids.data.batches import AHEAD, Augmentation, Batch, Batches, prefetch_to_device
from minids.data.feature_cache import FeatureCache
from minids.data.manifest import Utterance
from minids.data.noise import Noise
from minids.text import Alphabet
from tests.tolerances import FLOAT16_FEATURES, FLOAT32_SUM

RATE = 8000
ALPHABET = Alphabet(" abc")
VARIED = Augmentation(max_shift_ms=10, max_speed_change=0.1)


def features(**changed):
    return Features(**({"rate": RATE, "bands": 6, "normalize": "utterance"} | changed))


@pytest.fixture
def say(tmp_path):
    """Makes one recording of noise and its utterance."""

    def one(text, seconds, name=None, speaker=None):
        count = len(list(tmp_path.iterdir()))
        rng = np.random.default_rng(count)
        path = tmp_path / (name or f"{count}.wav")
        save_audio(path, (0.1 * rng.normal(size=round(seconds * RATE))).astype(np.float32), RATE)
        return Utterance(path, text, seconds, speaker, line=count + 1, source=tmp_path / "m.jsonl")

    return one


@pytest.fixture
def utterances(say):
    seconds = np.random.default_rng(0).uniform(0.2, 0.6, 23)
    return [say(("a", "ab", "ab c", "cab", "")[i % 5], s) for i, s in enumerate(seconds)]


def assert_same(batch, other):
    assert (batch is None) == (other is None)
    if batch:
        assert batch.indices == other.indices
        for name in ("frames", "lengths", "labels", "label_lengths"):
            np.testing.assert_array_equal(getattr(batch, name), getattr(other, name))


def of_utterance(made):
    """utterance -> its frames and label, from an iterable of batches."""
    return {
        i: (b.frames[: b.lengths[k], k], b.labels[k, : b.label_lengths[k]])
        for b in made
        for k, i in enumerate(b.indices)
    }


# What is in a batch


def test_a_batch_holds_frames_labels_and_zeros_beyond(utterances):
    one = Batches(utterances, features(), ALPHABET, batch_size=4)
    made = list(one.in_length_order())
    assert len(made) == len(one) == 6
    assert [len(b.indices) for b in made] == [4] * 5 + [3]
    for b in made:
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


def test_utterances_of_a_batch_are_nearly_as_long_as_each_other(utterances):
    """§3.1: sorted by length, so that little of a batch is padding."""
    one = Batches(utterances, features(), ALPHABET, batch_size=4)
    order = [i for b in one.in_length_order() for i in b.indices]
    assert order == sorted(range(23), key=lambda i: utterances[i].duration)
    padded = sum(b.frames.shape[0] * b.frames.shape[1] for b in one.epoch(0))
    used = sum(int(b.lengths.sum()) for b in one.epoch(0))
    assert used > 0.9 * padded
    for epoch in range(3):
        assert sorted(i for b in one.epoch(epoch) for i in b.indices) == list(range(23)), "each exactly once"


def test_texts_are_normalized_and_what_the_alphabet_lacks_is_named(say):
    ok = [say(" Ab\t\n  CA ", 0.5), say("", 0.2)]
    (b,) = Batches(ok, features(), ALPHABET).in_length_order()
    assert [ALPHABET.decode(x[:n]) for x, n in zip(b.labels, b.label_lengths, strict=True)] == ["", "ab ca"]
    with pytest.raises(InputError, match=r"m.jsonl:3: the alphabet has no 'é' \(U\+00E9\)"):
        Batches([*ok, say("abé", 0.5)], features(), ALPHABET)


# Order and variation


def test_the_order_of_batches_follows_seed_and_epoch(utterances):
    def order(seed, epoch):
        one = Batches(utterances, features(), ALPHABET, batch_size=2, seed=seed)
        return [b.indices for b in one.epoch(epoch)]

    assert order(1, 0) == order(1, 0)
    assert len({str(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1, 2)}) == 6
    assert order(1, 0) != sorted(order(1, 0), key=lambda group: utterances[group[0]].duration)


def test_an_epoch_begun_again_in_its_middle_goes_on_as_it_would_have(utterances):
    """Also after other epochs, or with another object: nothing depends on what came before."""
    one = Batches(utterances, features(), ALPHABET, 4, seed=7, variation=VARIED)
    whole = list(one.epoch(3))
    list(one.epoch(4))
    next(iter(one.epoch(5)))
    again = Batches(utterances, features(), ALPHABET, 4, seed=7, variation=VARIED)
    for first in (0, 1, 5, 6):
        rest = list(again.epoch(3, first))
        assert len(rest) == len(whole) - first
        for a, b in zip(rest, whole[first:], strict=True):
            assert_same(a, b)


def test_a_variation_belongs_to_seed_epoch_and_utterance_not_to_the_batch(utterances):
    def varied(batch_size, seed, epoch):
        return of_utterance(
            Batches(utterances, features(), ALPHABET, batch_size, seed=seed, variation=VARIED).epoch(epoch)
        )

    first, other_batches = varied(4, 0, 2), varied(7, 0, 2)
    for i in range(23):
        np.testing.assert_array_equal(first[i][0], other_batches[i][0])
    for another in (varied(4, 0, 3), varied(4, 1, 2)):
        assert sum(np.array_equal(first[i][0], another[i][0]) for i in range(23)) == 0


def test_without_variation_every_epoch_and_the_evaluation_hear_the_same(utterances):
    one = Batches(utterances, features(), ALPHABET, 4)
    plain = of_utterance(one.in_length_order())
    for epoch in (0, 5):
        for i, (frames, label) in of_utterance(one.epoch(epoch)).items():
            np.testing.assert_array_equal(frames, plain[i][0])
            np.testing.assert_array_equal(label, plain[i][1])
    varied = Batches(utterances, features(), ALPHABET, 4, variation=VARIED)
    for i, (frames, _) in of_utterance(varied.in_length_order()).items():
        np.testing.assert_array_equal(frames, plain[i][0])


def test_a_variation_cuts_the_start_and_stretches_time():
    samples = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
    cuts, pitches = [], []
    for seed in range(200):
        cut = Augmentation(max_shift_ms=10)(samples, RATE, np.random.default_rng(seed))
        cuts.append(len(samples) - len(cut))
        np.testing.assert_array_equal(cut, samples[cuts[-1] :])
        fast = Augmentation(max_speed_change=0.1)(samples, RATE, np.random.default_rng(seed))
        assert fast.dtype == np.float32
        factor = len(samples) / len(fast)
        pitches.append(factor)
        spectrum = abs(np.fft.rfft(fast * np.hanning(len(fast)), 8 * RATE))
        assert spectrum.argmax() / 8 == pytest.approx(440 * factor, abs=0.5)
    assert (min(cuts), max(cuts)) == (0, RATE // 100)
    assert 1 / 1.1 - 1e-3 < min(pitches) < 0.92
    assert 1.08 < max(pitches) < 1.1 + 1e-3
    same = Augmentation()(samples, RATE, np.random.default_rng(0))
    np.testing.assert_array_equal(same, samples)


def test_noise_is_superposed_at_an_snr_of_the_range_on_a_share_of_the_utterances(tmp_path):
    rng = np.random.default_rng(0)
    save_audio(tmp_path / "noise.wav", (0.1 * rng.normal(size=3 * RATE)).astype(np.float32), RATE)
    noise = Noise([tmp_path / "noise.wav"], RATE)
    samples = np.sin(np.arange(RATE)).astype(np.float32)
    quiet, loud = Augmentation(10, 0.1), Augmentation(10, 0.1, noise=noise, noise_prob=0.5, snr_db=(3, 9))
    snrs = []
    for i in range(60):
        clean, mixed = (varied(samples, RATE, np.random.default_rng(i)) for varied in (quiet, loud))
        assert len(clean) == len(mixed)  # what else varies is drawn alike, with noise or without
        if not np.array_equal(clean, mixed):
            snrs.append(10 * np.log10(np.var(clean) / np.var(mixed - clean)))
    assert 15 < len(snrs) < 45
    assert 2.9 < min(snrs) < 4.5
    assert 7.5 < max(snrs) < 9.1


@pytest.mark.parametrize("text", ["", "a"])
def test_a_recording_shorter_than_the_shift_is_no_trouble(say, text):
    tiny = [say(text, 1 / RATE), say(text, 0.004)]
    one = Batches(tiny, features(), ALPHABET, variation=Augmentation(max_shift_ms=100, max_speed_change=0.5))
    for epoch in range(20):
        (b,) = one.epoch(epoch)
        assert list(b.lengths) == [1, 1]
        assert np.isfinite(b.frames).all()
    assert one.skipped == {}


# What is left out


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_text_must_fit_into_the_frames_after_the_stride(say, stride):
    """20 ms windows every 10 ms: 0.2 s are 19 frames."""
    T = -(-19 // stride)
    fits = ["abc" * T, "a" * ((T + 1) // 2), ""]
    fits[0] = fits[0][:T]
    long = [fits[0] + "c" * (fits[0][-1] != "c") + "a" * (fits[0][-1] == "c"), "a" * ((T + 1) // 2 + 1)]
    spoken = [say(text, 0.2) for text in fits + long]
    one = Batches(spoken, features(), ALPHABET, 2, stride)
    assert sorted(of_utterance(one.in_length_order())) == [0, 1, 2]
    assert sorted(one.skipped) == [3, 4]
    assert one.skipped[3].startswith(
        f"{spoken[3].path}: {T} frames cannot spell its text, which needs {T + 1}"
    )
    assert "m.jsonl:4" in one.skipped[3]


def test_a_variation_never_makes_a_text_impossible(say):
    spoken = [say("abcabcabcabcabcabca", 0.2), say("abcabcabcabcabcabcabcabcabcab", 0.3)]
    one = Batches(spoken, features(), ALPHABET, variation=Augmentation(max_shift_ms=50, max_speed_change=0.5))
    lengths = {tuple(b.lengths) for epoch in range(20) for b in one.epoch(epoch)}
    assert one.skipped == {}
    assert len(lengths) > 5, "slower ones are longer"
    assert min(n[0] for n in lengths) >= 19
    assert min(n[1] for n in lengths) >= 29


def test_bad_recordings_are_skipped_and_named(utterances, say, tmp_path):
    missing, empty, nan, text, loud = (
        say("a", 0.3, f"{n}.wav") for n in ("no", "empty", "nan", "text", "loud")
    )
    missing.path.unlink()
    empty.path.write_bytes(b"")
    soundfile.write(nan.path, np.full(2400, np.nan), RATE, "FLOAT")
    text.path.write_text("hello")
    soundfile.write(loud.path, np.full(2400, 1e30) * (-1.0) ** np.arange(2400), RATE, "DOUBLE")
    bad = [missing, empty, nan, text, loud]
    one = Batches([*bad, *utterances], features(), ALPHABET, 4, variation=VARIED)
    for made in (one.epoch(0), one.in_length_order()):
        got = of_utterance(b for b in made if b)
        assert sorted(got) == list(range(5, 28))
    assert sorted(one.skipped) == [0, 1, 2, 3, 4]
    for i, reason in one.skipped.items():
        assert str(bad[i].path) in reason
        assert "\n" not in reason


def test_a_recording_far_longer_than_its_manifest_says_is_skipped(say):
    """Batches are cut, and memory is planned, by what the manifest says; a little off is no harm."""
    spoken = [say("a", 1.9), say("a", 2.5), say("a", 9.0)]
    spoken = [replace(u, duration=d) for u, d in zip(spoken, (0.5, 0.5, 5.0), strict=True)]
    one = Batches(spoken, features(), ALPHABET)
    assert [b.indices for b in one.in_length_order()] == [[0, 2]]
    assert list(one.skipped) == [1]
    assert one.skipped[1].startswith(f"{spoken[1].path}: lasts 2.5 s, not 0.5 ({spoken[1].where})")


def test_a_batch_of_nothing_is_none_in_an_epoch_and_absent_in_order(say):
    gone, here = [say("a", 0.2) for _ in range(2)], [say("a", 0.5) for _ in range(2)]
    for utterance in gone:
        utterance.path.unlink()
    one = Batches([*gone, *here], features(), ALPHABET, batch_size=2)
    assert [b is None for b in one.epoch(0)].count(True) == 1
    assert len(list(one.epoch(0))) == len(one) == 2, "a resumed run counts on it"
    assert [b.indices for b in one.in_length_order()] == [[2, 3]]


# Statistics


def test_fit_takes_the_mean_of_all_frames_of_the_set(utterances, monkeypatch):
    utterances[3].path.unlink()  # is named when its batch is made
    corpus = features(normalize="corpus")
    Batches(utterances, corpus, ALPHABET).fit()
    raw = [corpus.raw(load_audio(u.path)[0]) for i, u in enumerate(utterances) if i != 3]
    everything = np.concatenate(raw).astype(np.float64)
    np.testing.assert_allclose(corpus.mean, everything.mean(axis=0), rtol=FLOAT32_SUM)
    np.testing.assert_allclose(corpus.std, everything.std(axis=0), rtol=FLOAT32_SUM)
    monkeypatch.setattr(batches, "SAMPLE", 5)
    Batches(utterances, corpus, ALPHABET).fit()
    sample = np.concatenate([raw[i - (i > 3)] for i in range(0, 23, 5)])
    np.testing.assert_allclose(corpus.mean, sample.mean(axis=0), rtol=FLOAT32_SUM)


def test_fit_without_a_single_recording_is_named(say):
    utterance = say("a", 0.2)
    utterance.path.unlink()
    with pytest.raises(InputError, match="no recording could be read"):
        Batches([utterance], features(normalize="corpus"), ALPHABET).fit()


def test_speakers_are_normalized_by_their_own_mean(say):
    spoken = [say("ab", 0.3, speaker=name) for name in ("x", "y", "x", None)]
    frames = of_utterance(Batches(spoken, features(normalize="speaker"), ALPHABET).in_length_order())
    x = np.concatenate([frames[0][0], frames[2][0]])
    for mine in (x, frames[1][0], frames[3][0]):
        np.testing.assert_allclose(mine.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(mine.std(axis=0), 1, atol=1e-4)
    assert abs(frames[0][0].mean(axis=0)).max() > 1e-3, "one of two utterances alone has another mean"
    given = spoken, features(normalize="speaker"), ALPHABET
    shared = of_utterance(Batches(*given, share=lambda group: group[1:2]).in_length_order())
    (i,) = shared
    np.testing.assert_array_equal(shared[i][0], frames[i][0], "whoever else has a speaker's recordings")


# In the background


@pytest.fixture
def counted(monkeypatch):
    """The paths that were loaded, in order."""
    loaded = []

    def load(path, rate=None):
        loaded.append(path)
        return load_audio(path, rate)

    monkeypatch.setattr(batches, "load_audio", load)
    return loaded


def workers():
    return [t for t in threading.enumerate() if "ThreadPoolExecutor" in t.name]


def test_some_batches_are_made_ahead_but_not_all(utterances, counted):
    one = Batches(utterances, features(), ALPHABET, batch_size=1)
    epoch = one.epoch(0)
    assert counted == [], "an epoch that nobody asks for costs nothing"
    next(epoch)
    patience = time.monotonic() + 20
    while len(counted) < AHEAD + 1 and time.monotonic() < patience:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(counted) == AHEAD + 1, "ready before they are asked for; memory does not grow with the set"
    assert len(list(epoch)) == 22
    assert not workers()


def test_a_consumer_may_stop_early(utterances, counted):
    one = Batches(utterances, features(), ALPHABET, batch_size=1)
    for taken in (1, 2, 22):
        epoch = one.epoch(taken)
        for _ in range(taken):
            next(epoch)
        epoch.close()
        assert not workers(), "no thread stays behind"
    assert len(counted) < 1 + 2 + 22 + 3 * (AHEAD + 1)

    def interrupted():
        for _ in one.epoch(9):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(list(one.epoch(9))) == 23


def test_what_is_not_begun_when_the_consumer_stops_is_never_begun(utterances, monkeypatch):
    loaded, stopped = [], threading.Event()

    def load(path, rate=None):
        loaded.append(path)
        if len(loaded) > 1:
            assert stopped.wait(timeout=20)
            time.sleep(0.3)
        return load_audio(path, rate)

    monkeypatch.setattr(batches, "load_audio", load)
    epoch = Batches(utterances, features(), ALPHABET, batch_size=1).epoch(0)
    next(epoch)
    stopped.set()
    epoch.close()
    assert len(loaded) <= 3, "one was taken, at most two were in work"


def test_two_epochs_at_once_do_not_wait_for_each_other(utterances):
    one, other = (Batches(utterances, features(), ALPHABET, 4, seed=s).epoch(0) for s in (1, 2))
    assert sum(a is not None and b is not None for a, b in zip(one, other, strict=True)) == 6


def test_an_unforeseen_error_reaches_the_consumer(utterances, monkeypatch):
    def load(path, rate=None):
        raise MemoryError("no room")

    monkeypatch.setattr(batches, "load_audio", load)
    with pytest.raises(MemoryError, match="no room"):
        list(Batches(utterances, features(), ALPHABET).epoch(0))
    assert not workers()


def test_frames_are_brought_one_batch_ahead_and_no_further():
    asked = []

    def bring(frames):
        asked.append(int(frames[0]))
        return -frames

    none = np.zeros(0, np.int32)
    some = (None if n == 2 else Batch([n], np.array([n]), none, none, none) for n in range(5))
    got = []
    for batch in prefetch_to_device(some, bring):
        got.append(batch and int(batch.frames[0]))
        assert len(asked) <= len(got) + 1
    assert got == [0, -1, None, -3, -4]


# The cache


def test_what_does_not_vary_is_read_once(say, tmp_path, monkeypatch):
    spoken = [say("ab", 0.3 + 0.1 * i, speaker=f"s{i % 2}") for i in range(4)]
    cache = FeatureCache(tmp_path / "kept", features())
    plain = of_utterance(Batches(spoken, features(), ALPHABET).in_length_order())
    one = of_utterance(Batches(spoken, features(), ALPHABET, cache=cache).in_length_order())
    monkeypatch.setattr(batches, "load_audio", None)  # not called any more
    two = of_utterance(Batches(spoken, features(), ALPHABET, cache=cache).in_length_order())
    assert one.keys() == two.keys()
    for i in one:
        np.testing.assert_array_equal(one[i][0], two[i][0])
        np.testing.assert_array_equal(one[i][1], two[i][1])
        np.testing.assert_allclose(one[i][0], plain[i][0], atol=FLOAT16_FEATURES)


def test_an_epoch_that_varies_nothing_is_read_once(say, tmp_path, monkeypatch):
    spoken = [say("ab", 0.3), say("a", 0.4)]
    given = spoken, features(), ALPHABET, 4, 1, 0, Augmentation(noise_prob=0.8)
    cache = FeatureCache(tmp_path / "kept", features())
    (one,) = Batches(*given, cache=cache).epoch(0)
    monkeypatch.setattr(batches, "load_audio", None)  # not called any more
    (two,) = Batches(*given, cache=cache).epoch(1)
    assert_same(one, two)


def test_a_full_disk_costs_no_recording(say, tmp_path, monkeypatch):
    def full(path):
        raise InputError(f"cannot write {path}: no room")

    monkeypatch.setattr("minids.data.feature_cache.atomic_write", full)
    spoken = [say("ab", 0.3), say("a", 0.4)]
    one = Batches(spoken, features(), ALPHABET, cache=FeatureCache(tmp_path / "kept", features()))
    with pytest.warns(UserWarning, match=r"features are not kept any more: cannot write .*no room") as told:
        (batch,) = one.in_length_order()
    assert (len(batch.indices), one.skipped, len(told)) == (2, {}, 1)


def test_a_recording_that_changed_is_read_anew_and_other_features_are_kept_apart(say, tmp_path):
    spoken = say("ab", 0.3)
    cache = FeatureCache(tmp_path / "kept", features())
    (one,) = Batches([spoken], features(), ALPHABET, cache=cache).in_length_order()
    save_audio(spoken.path, np.sin(np.arange(3000)).astype(np.float32), RATE)
    (two,) = Batches([spoken], features(), ALPHABET, cache=cache).in_length_order()
    assert one.frames.shape != two.frames.shape
    assert FeatureCache(tmp_path / "kept", features(bands=7)).read(spoken.path) is None
    assert FeatureCache(tmp_path / "kept", features(normalize="corpus")).read(spoken.path) is not None


def test_what_varies_is_not_cached_and_a_torn_file_is_made_again(say, tmp_path):
    spoken = [say("ab", 0.3), say("a", 0.4)]
    cache = FeatureCache(tmp_path / "kept", features())
    varied = Batches(spoken, features(), ALPHABET, variation=VARIED, cache=cache)
    plain = Batches(spoken, features(), ALPHABET, variation=VARIED)
    for one, other in zip(varied.epoch(0), plain.epoch(0), strict=True):
        assert_same(one, other)
    assert not list((tmp_path / "kept").rglob("*.npy"))
    list(varied.in_length_order())
    kept = sorted((tmp_path / "kept").rglob("*.npy"))
    assert len(kept) == 2
    whole = kept[0].read_bytes()
    kept[0].write_bytes(whole[:50])
    list(varied.in_length_order())
    assert kept[0].read_bytes() == whole
