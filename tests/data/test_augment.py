"""Augmentation: what it changes, by how much, and how often."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.audio import save_audio
from minids.audio.processing import change_rate
from minids.data.augment import (
    CODECS,
    COLORS_DB,
    DIRECT_DB,
    Augmentation,
    compress,
    reverberate,
    spectral_tilt,
)
from minids.data.noise import Noise, band_profile
from minids.features import normalize_power

RATE = 8000


def test_shift_cuts_the_start_and_speed_changes_pitch_and_length():
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


def test_noise_is_added_with_its_probability_at_an_snr_in_the_range(tmp_path):
    rng = np.random.default_rng(0)
    save_audio(tmp_path / "noise.wav", (0.1 * rng.normal(size=3 * RATE)).astype(np.float32), RATE)
    noise = Noise([tmp_path / "noise.wav"], RATE)
    samples = np.sin(np.arange(RATE)).astype(np.float32)
    quiet, loud = Augmentation(10, 0.1), Augmentation(10, 0.1, noise=noise, noise_prob=0.5, snr_db=(3, 9))
    snrs = []
    for i in range(60):
        clean, mixed = (augment(samples, RATE, np.random.default_rng(i)) for augment in (quiet, loud))
        assert len(clean) == len(mixed)  # the other random numbers are the same with and without noise
        if not np.array_equal(clean, mixed):
            snrs.append(10 * np.log10(np.var(clean) / np.var(mixed - clean)))
    assert 15 < len(snrs) < 45
    assert 2.9 < min(snrs) < 4.5
    assert 7.5 < max(snrs) < 9.1


def test_synthetic_noise_has_its_snr_and_slopes_in_the_range():
    samples = np.random.default_rng(1).normal(0, 0.1, 4 * RATE).astype(np.float32)
    augment = Augmentation(colored_prob=0.5, snr_db=(3, 9))
    snrs, slopes = [], []
    for i in range(80):
        noise = augment(samples, RATE, np.random.default_rng(i)) - samples
        if noise.any():
            snrs.append(10 * np.log10(np.var(samples) / np.var(noise)))
            power = abs(np.fft.rfft(noise)) ** 2
            octaves = [10 * np.log10(power[4 * hz : 8 * hz].mean()) for hz in (250, 500, 1000, 2000)]
            slopes.append(np.polyfit(range(4), octaves, 1)[0])  # dB per octave
    assert 25 < len(snrs) < 55
    assert 2.9 < min(snrs) < 4
    assert 8 < max(snrs) < 9.1
    assert COLORS_DB[0] - 0.5 < min(slopes) < COLORS_DB[0] + 2
    assert COLORS_DB[1] - 2 < max(slopes) < COLORS_DB[1] + 0.5


def red_noise(seconds: float, rate: int) -> np.ndarray:
    """Noise with more power in the low frequencies."""
    from scipy.signal import lfilter

    white = np.random.default_rng(0).standard_normal(int(seconds * rate))
    return lfilter([0.05], [1, -0.9], white).astype(np.float32)


def test_spectral_tilt_raises_high_frequencies_and_keeps_the_power():
    rate = 16_000
    samples = red_noise(2, rate)
    tilt = spectral_tilt(samples, rate, 3.0)
    assert np.var(tilt) == pytest.approx(np.var(samples), rel=1e-4)
    change = band_profile(normalize_power(tilt), rate) - band_profile(normalize_power(samples), rate)
    octave = change[11] - change[5]  # from 5.5 to 11.5 bands: one octave and a little
    assert octave == pytest.approx(3.0 * np.log2(11.5 / 5.5), abs=0.3)
    np.testing.assert_allclose(spectral_tilt(samples, rate, 0.0), samples, atol=1e-5)


def test_a_faster_recording_has_no_images_of_its_tones():
    """Linear interpolation left images 4 dB below a tone of 7 kHz."""
    rate = 16_000
    tone = np.sin(2 * np.pi * 6500 * np.arange(rate) / rate).astype(np.float32)
    for seed in range(10):
        fast = Augmentation(max_speed_change=0.1)(tone, rate, np.random.default_rng(seed))
        middle = fast[1000:-1000]
        db = 20 * np.log10(np.abs(np.fft.rfft(middle * np.blackman(len(middle)))) + 1e-9)
        peak = int(db.argmax())
        assert max(db[: peak - 20].max(), db[peak + 20 :].max()) < db[peak] - 60


def test_spectral_tilt_checks_its_arguments():
    assert len(spectral_tilt(np.zeros(0, np.float32), RATE, 3.0)) == 0
    for samples, db in ((np.array([0.0, np.nan]), 3.0), (np.zeros(9), float("nan")), (np.zeros((2, 9)), 3.0)):
        with pytest.raises(InputError):
            spectral_tilt(samples, RATE, db)


def test_what_is_off_draws_no_random_numbers(tmp_path):
    """So that the options that came later changed none of the earlier ones."""
    samples = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    save_audio(tmp_path / "noise.wav", samples, RATE)
    noise = Noise([tmp_path / "noise.wav"], RATE)
    augment = Augmentation(10, 0.1, 2, noise, 0.5, snr_db=(3, 9), time_masks=2)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        factor = 1.1 ** rng.uniform(-1, 1)
        expected = samples[rng.integers(0, RATE // 100 + 1) :]
        expected = change_rate(expected, Fraction(1 / factor).limit_denominator(100))
        expected = spectral_tilt(expected, RATE, rng.uniform(-2, 2))
        if rng.random() < 0.5:
            expected = noise.add_to(expected, rng.uniform(3, 9), rng)
        np.testing.assert_array_equal(augment(samples, RATE, np.random.default_rng(seed)), expected)


def test_each_change_happens_as_often_as_it_should_and_all_of_them_together():
    samples = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    for changes in ({"reverb_prob": 0.5}, {"band_prob": 0.5, "min_band_hz": 2000}):
        augment = Augmentation(**changes)
        same = [np.array_equal(augment(samples, RATE, np.random.default_rng(i)), samples) for i in range(60)]
        assert 18 < sum(same) < 42
    everything = Augmentation(10, 0.1, 3, None, 0, 1, (0, 1), 1, 300, 12, 1, 2000, 1)
    for length in (RATE, 100, 20):
        changed = everything(samples[:length], RATE, np.random.default_rng(3))
        assert changed.dtype == np.float32
        assert np.isfinite(changed).all()
        assert length / 1.1 - 81 < len(changed) <= length * 1.1 + 1
    assert len(everything(samples[:0], RATE, np.random.default_rng(3))) == 0
    assert everything
    assert not Augmentation(time_masks=2, frequency_masks=2)  # changes frames, and no samples


def test_reverberation_fades_by_60_db_in_its_time_behind_the_direct_sound():
    impulse = np.zeros(RATE, np.float32)
    impulse[1000] = 1.0
    h = reverberate(impulse, RATE, 400.0, 6.0, np.random.default_rng(0))
    assert np.var(h) == pytest.approx(np.var(impulse), rel=1e-3)
    assert not abs(h[:1000]).max() > 1e-5
    assert abs(h).argmax() == 1000
    tail = h[1001:] / h[1000]
    assert 10 * np.log10(1 / np.sum(tail**2)) == pytest.approx(6.0, abs=0.1)
    levels = [10 * np.log10(np.mean(part**2)) for part in np.split(tail[:3200], 8)]  # 50 ms each
    slope = np.polyfit(0.05 * np.arange(8), levels, 1)[0]
    assert slope == pytest.approx(-60 / 0.4, rel=0.05)
    assert abs(tail[3300:]).max() < 1e-5
    np.testing.assert_allclose(
        reverberate(impulse, RATE, 0.0, 6.0, np.random.default_rng(0)), impulse, atol=1e-6
    )


def test_rooms_are_drawn_up_to_the_maximum(monkeypatch):
    rooms = []
    monkeypatch.setattr("minids.data.augment.reverberate", lambda x, rate, *room: rooms.append(room[:2]) or x)
    for seed in range(200):
        Augmentation(reverb_prob=1, max_reverb_ms=250)(np.ones(9), RATE, np.random.default_rng(seed))
    times, direct = np.transpose(rooms)
    assert times.min() < 10
    assert 240 < times.max() < 250
    assert DIRECT_DB[0] < direct.min() < DIRECT_DB[0] + 1
    assert DIRECT_DB[1] - 1 < direct.max() < DIRECT_DB[1]


def test_a_band_limit_removes_what_lies_above_and_delays_nothing():
    rate = 16_000
    samples = np.random.default_rng(0).normal(0, 0.1, 2 * rate).astype(np.float32)
    window = np.blackman(len(samples))
    original = abs(np.fft.rfft(samples * window))
    limits = []
    for seed in range(40):
        limited = Augmentation(band_prob=1, min_band_hz=2000)(samples, rate, np.random.default_rng(seed))
        assert len(limited) == len(samples)
        level = abs(np.fft.rfft(limited * window))
        gain = np.sqrt(  # of 50 Hz each
            np.square([level, original])[:, :16_000].reshape(2, 160, 100).sum(axis=2)
        )
        gain = gain[0] / gain[1]
        limit = 50 * int(np.argmax(gain < 0.5))
        limits.append(limit or 8000)
        if limit:
            np.testing.assert_allclose(gain[: int(0.85 * limit / 50)], 1, atol=0.02)
            assert gain[int(1.15 * limit / 50) + 1 :].max(initial=0) < 1e-3
        assert delay(samples, limited) == 0
    assert 1900 < min(limits) < 2400
    assert max(limits) > 7000


def delay(samples: np.ndarray, changed: np.ndarray) -> int:
    """The shift, in samples, at which the two are most alike."""
    from scipy.signal import correlate

    return int(correlate(changed, samples).argmax()) - (len(samples) - 1)


def test_gain_clips_and_rounds_as_a_recorder_of_16_bits():
    samples = np.linspace(-0.5, 0.5, 1001, dtype=np.float32)
    gains = []
    for seed in range(100):
        louder = Augmentation(max_gain_db=12)(samples, RATE, np.random.default_rng(seed))
        assert louder.dtype == np.float32
        np.testing.assert_allclose(np.rint(louder * 32767), louder * 32767, atol=0.01)
        gains.append((louder[600] - louder[400]) / (samples[600] - samples[400]))
        np.testing.assert_allclose(louder, np.clip(samples * gains[-1], -1, 1), atol=1e-4)
    assert -12.1 < 20 * np.log10(min(gains)) < -11
    assert 11 < 20 * np.log10(max(gains)) < 12.1


def speech_like(rate: int, seconds: float = 1.0) -> np.ndarray:
    """A voice of many harmonics that glides, with pauses, and a high tone."""
    t = np.arange(int(rate * seconds)) / rate
    phase = 2 * np.pi * (120 * t + 30 * t**2)
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    voice *= np.sin(2 * np.pi * 4 * t) > -0.5
    return (0.1 * voice + 0.05 * np.sin(0.6 * np.pi * min(rate, 48_000) * t)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 96_000])
@pytest.mark.parametrize("codec", CODECS)
def test_codecs_keep_length_and_place_and_lose_more_at_lower_bit_rates(codec, rate):
    samples = speech_like(rate)
    losses = []
    for compression in (0.0, 1.0):
        coded = compress(samples, rate, codec, compression)
        assert coded.dtype == np.float32
        assert coded.shape == samples.shape
        assert abs(delay(samples, coded)) <= rate / 16_000  # 0.06 ms
        losses.append(np.var(coded - samples) / np.var(samples))
    assert 1e-6 < losses[0] < 0.08
    assert losses[0] < losses[1] < 0.5
    loud = compress(20 * samples, rate, codec, 0.0) / 20  # beyond full scale, and yet not clipped
    assert np.var(loud - samples) / np.var(samples) < 0.08


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_take_any_sound_and_are_reproducible_in_threads(codec):
    for samples in (np.full(1, 0.1), np.zeros(700), np.full(333, -1.0)):
        coded = compress(samples.astype(np.float32), RATE, codec, 0.5)
        assert coded.shape == samples.shape
        assert np.isfinite(coded).all()
    samples = speech_like(RATE, 0.3)
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(lambda _: compress(samples, RATE, codec, 0.7), range(8))
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_all_listed_codecs_are_used_at_all_bit_rates(monkeypatch):
    calls = []
    monkeypatch.setattr("minids.data.augment.compress", lambda x, rate, *how: calls.append(how) or x)
    for seed in range(100):
        augment = Augmentation(codec_prob=0.5, codecs=["opus", "mp3"])
        augment(np.ones(9, np.float32), RATE, np.random.default_rng(seed))
    codecs, compressions = zip(*calls, strict=True)
    assert 35 < len(calls) < 65
    assert 15 < codecs.count("opus") < len(calls) - 15
    assert set(codecs) == {"opus", "mp3"}
    Augmentation(codec_prob=1, codecs=[])(np.ones(9, np.float32), RATE, np.random.default_rng(0))
    assert len(calls) == len(codecs)
    assert min(compressions) < 0.1
    assert max(compressions) > 0.9


def test_a_libsndfile_without_a_codec_is_named_before_training(monkeypatch):
    monkeypatch.setattr("soundfile.check_format", lambda format, subtype: subtype != "OPUS")
    Augmentation()
    Augmentation(codec_prob=1, codecs=["mp3"])
    with pytest.raises(InputError, match="cannot write opus"):
        Augmentation(codec_prob=1)


def test_masks_replace_stretches_of_frames_and_ranges_of_features_by_the_mean():
    """As in SpecAugment: each width is uniform from 0 to the maximum, and so is the place."""
    widths: dict[str, list[int]] = {"time": [], "frequency": []}
    hidden = np.zeros((50, 20))
    for seed in range(600):
        for name, rows in (("time", 0), ("frequency", 1)):
            frames = np.ones((50, 20), np.float32)
            Augmentation(**{f"{name}_masks": 1}, max_time_mask_ms=60, max_frequency_mask=0.2).mask(
                frames, 10.0, np.random.default_rng(seed)
            )
            gone = np.flatnonzero((frames == 0).all(axis=1 - rows))
            assert (frames == 0).sum() == len(gone) * (20, 50)[rows]  # whole rows or columns, no more
            assert not len(gone) or np.array_equal(gone, np.arange(gone[0], gone[-1] + 1))
            widths[name].append(len(gone))
            hidden += frames == 0
    assert [round(np.bincount(w).min() / 600, 2) > 0.1 for w in widths.values()] == [True, True]
    assert [max(w) for w in widths.values()] == [6, 4]
    assert hidden.min() > 0
    frames = np.ones((3, 20), np.float32)  # shorter than a mask
    for seed in range(50):
        Augmentation(time_masks=3, max_time_mask_ms=1000, frequency_masks=2).mask(
            frames, 10.0, np.random.default_rng(seed)
        )
    untouched = np.random.default_rng(0)
    Augmentation().mask(frames, 10.0, untouched)
    assert untouched.random() == np.random.default_rng(0).random()
