"""Resampling, mixing and shifting of samples."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.signal import resample_poly

from minids._utils.errors import InputError
from minids.audio import mix, resample, shift
from minids.audio.processing import _lowpass, change_rate, resample_blocks
from tests.audio.sounds import RATE, noise, power_db, tone
from tests.tolerances import RESAMPLED_LEVEL_DB, RESAMPLED_SAMPLE, SNR_DB


@pytest.mark.parametrize(
    ("from_rate", "to_rate"), [(8000, 16_000), (44_100, 16_000), (16_000, 8000), (22_050, 16_000)]
)
def test_resampling_keeps_tones_without_aliases(from_rate, to_rate):
    limit = min(from_rate, to_rate) / 2
    middle = slice(to_rate // 4, -to_rate // 4)  # away from where the sound begins and ends
    for hz in (100, 0.4 * limit, 0.85 * limit):
        x = resample(tone(hz, 1, from_rate), from_rate, to_rate)
        assert x.dtype == np.float32
        assert len(x) == to_rate
        truth = tone(hz, 1, to_rate)
        assert power_db(x[middle]) == pytest.approx(power_db(truth[middle]), abs=RESAMPLED_LEVEL_DB)
        assert power_db((x - truth)[middle]) < power_db(truth) - 60  # the same phase too
    if to_rate < from_rate:  # above the new Nyquist frequency
        assert power_db(resample(tone(1.1 * limit, 1, from_rate), from_rate, to_rate)[middle]) < -80


def test_resampling_to_the_same_rate_changes_nothing():
    np.testing.assert_array_equal(resample(noise(100), RATE, RATE), noise(100))


@pytest.mark.parametrize("snr_db", [-5, 0, 6, 20])
@pytest.mark.parametrize("length", [5000, RATE, 50_000])
def test_a_mixture_has_the_requested_snr(snr_db, length):
    speech = tone(440, 1)
    disturbed = mix(speech, 7 * noise(length), snr_db)
    assert disturbed.dtype == np.float32
    assert power_db(speech) - power_db(disturbed - speech) == pytest.approx(snr_db, abs=SNR_DB)


def test_an_offset_does_not_count_as_power():
    speech, babble = tone(440, 1), noise(RATE)
    added = mix(speech + 0.5, babble - 0.3, 10) - speech
    assert power_db(speech) - power_db(added - added.mean()) == pytest.approx(10, abs=SNR_DB)


def test_silence_can_be_mixed():
    np.testing.assert_array_equal(mix(tone(440, 1), np.zeros(100, np.float32), 10), tone(440, 1))
    assert len(mix(np.zeros(0), noise(100), 10)) == len(mix(np.zeros(0), np.zeros(0), 10)) == 0
    np.testing.assert_array_equal(mix(np.zeros(100, np.float32), noise(100), 10), np.zeros(100))


@pytest.mark.parametrize(("ms", "delay"), [(5, 80), (-5, -80), (0, 0), (0.04, 1), (2000, 100), (-2000, -100)])
def test_shift_is_exact(ms, delay):
    x = noise(100)
    padded = np.pad(x, 100)
    np.testing.assert_array_equal(shift(x, RATE, ms), padded[100 - delay : 200 - delay])
    assert shift(x, RATE, ms).dtype == np.float32


@pytest.mark.parametrize(
    ("from_rate", "to_rate"),
    [(44_100, 16_000), (8000, 16_000), (192_000, 16_000), (22_050, 8000), (16_000, 44_100), (44_101, 16_000)],
)
def test_resampling_in_blocks_gives_the_same_samples(from_rate, to_rate):
    samples = noise(300_000)
    whole = resample(samples, from_rate, to_rate)
    rng = np.random.default_rng(1)
    cuts = np.sort(rng.integers(0, len(samples), 40))
    blocks = list(resample_blocks(np.split(samples, cuts), from_rate, to_rate))
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert len(whole) == pytest.approx(len(samples) * to_rate / from_rate, rel=1e-6, abs=1)


def test_speed_factors_keep_tones_without_aliases():
    """Linear interpolation would leave images 4 to 13 dB below a tone above 5 kHz."""
    for ratio in (Fraction(100, 91), Fraction(100, 103)):
        x = change_rate(tone(7000, 1), ratio)[1000:-1000]
        db = 20 * np.log10(np.abs(np.fft.rfft(x * np.blackman(len(x)))) + 1e-9)
        peak = int(db.argmax())
        assert peak / len(x) * RATE == pytest.approx(7000 / float(ratio), abs=2)
        assert max(db[: peak - 20].max(), db[peak + 20 :].max()) < db[peak] - 60


@pytest.mark.parametrize("N", [1, 2, 50, 5001])
@pytest.mark.parametrize(
    "ratio", ["1/2", "2", "3/7", "160/441", "441/160", "100/91", "91/100", "1/2000", "2000", "1999/2000"]
)
def test_the_polyphase_filter_is_that_of_scipy(N, ratio):
    ratio = Fraction(ratio)
    taps = _lowpass(max(ratio.numerator, ratio.denominator))
    expected = resample_poly(noise(N), ratio.numerator, ratio.denominator, window=taps)
    actual = change_rate(noise(N), ratio)
    assert (actual.dtype, actual.shape) == (np.float32, expected.shape)
    np.testing.assert_allclose(actual, expected, atol=RESAMPLED_SAMPLE)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    with pytest.raises(InputError, match="snr_db = "):
        mix(tone(440, 0.1), noise(100), bad)
    with pytest.raises(InputError, match="ms = "):
        shift(tone(440, 0.1), RATE, bad)
    with pytest.raises(InputError, match="not finite"):
        resample(np.array([0, 1e300]), 8000, RATE)
    with pytest.raises(InputError, match="not finite"):
        mix(np.array([0, bad]), noise(100), 10)
    with pytest.raises(InputError, match="not finite"):
        resample(np.array([0, bad], np.float32), 8000, RATE)


@pytest.mark.parametrize("rate", [0, -8000, np.nan, 44_100.5, 2**31, "8000", None, True])
def test_invalid_rates_are_refused(rate):
    with pytest.raises(InputError, match="from_rate = "):
        resample(noise(100), rate, RATE)


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 100)), np.zeros(3, complex), np.array(["a"]), np.float32(1), [[1], [1, 2]]]
)
def test_samples_that_are_not_one_channel_of_numbers_are_refused(samples):
    with pytest.raises(InputError, match="give one channel"):
        resample(samples, 8000, RATE)


def test_unusual_arrays_are_resampled_like_float32():
    samples = noise(2000)
    expected = resample(samples, 8000, RATE)
    assert len(resample(samples[:0], 8000, RATE)) == 0
    read_only = samples.copy()
    read_only.flags.writeable = False
    for same in (samples.astype(">f4"), np.repeat(samples, 2)[::2], read_only, samples.astype(np.float64)):
        np.testing.assert_array_equal(resample(same, 8000, RATE), expected)
