"""Augmentation: what it changes, by how much, and how often."""

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.audio import save_audio
from minids.data.augment import Augmentation, spectral_tilt
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


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 1e30, "1", True])
@pytest.mark.parametrize("name", ["max_shift_ms", "max_speed_change", "max_tilt_db", "noise_prob"])
def test_invalid_amounts_are_refused(name, bad):
    with pytest.raises(InputError, match=name):
        Augmentation(**{name: bad})


@pytest.mark.parametrize("snr_db", [(float("nan"), 3), (5, 3), (0, float("inf")), (0,)])
def test_an_invalid_range_of_snr_is_refused(snr_db):
    with pytest.raises(InputError, match="snr_db"):
        Augmentation(snr_db=snr_db)


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
