import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.audio import load_audio
from minids.audio.spectrum import LANES, log_powers, make_plan
from minids.features import (
    MIN_STD,
    Features,
    Statistics,
    frames,
    hann,
    linear_bands,
    normalize_power,
    power_spectrum,
)
from tests import DATA
from tests.tolerances import FLOAT32_LOG, FLOAT32_SUM, SCALE_INVARIANCE

RATE = 16_000


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


def tone(hz: float, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


def by_definition(samples: np.ndarray, settings: Features) -> np.ndarray:
    """Log powers from the formulas alone: float64, loops over frames and bins, sums written out."""
    x = samples.astype(np.float64) - np.mean(samples, dtype=np.float64)
    x = x / np.sqrt(np.mean(x**2))
    n, hop = settings.window, settings.hop
    x = np.concatenate([x, np.zeros(max(0, n - len(x)))])
    i = np.arange(n)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * i / n)
    window /= np.sqrt(np.sum(window**2))
    rows = []
    for start in range(0, len(x) - n + 1, hop):
        frame = window * x[start : start + n]
        power = np.array(
            [abs(np.sum(frame * np.exp(-2j * np.pi * p * i / n))) ** 2 for p in range(n // 2 + 1)]
        )
        if settings.kind == "filterbank":
            hz = np.arange(n // 2 + 1) * settings.rate / n
            centers = np.linspace(0, settings.rate / 2, settings.bands + 2)
            banks = [np.interp(hz, centers[j : j + 3], [0, 1, 0]) @ power for j in range(settings.bands)]
            power = np.array([*banks, np.sum(frame**2)])
        rows.append(np.log(power + 10 ** (settings.floor_db / 10)))
    return np.array(rows)


# --- the steps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        Features(),
        Features(bands=160),
        Features(kind="spectrogram", floor_db=-30),
        Features(bands=25, rate=8000),
        Features(bands=3, window_ms=25, hop_ms=12.5, rate=11_025),
        Features(kind="spectrogram", window_ms=0.3125),  # five samples: an odd window has no Nyquist bin
        Features(kind="spectrogram", window_ms=0.1875),  # three samples
        Features(window_ms=0.1875, bands=1),
        Features(rate=22_050),  # 441 = 3 * 3 * 7 * 7
        Features(window_ms=26.125),  # 418 = 2 * 11 * 19
        Features(window_ms=22.0625),  # 353 is a prime, and has another algorithm
        Features(kind="spectrogram", window_ms=22.0625),
    ],
    ids=str,
)
@pytest.mark.parametrize("n", [37, 2345])
def test_raw_features_equal_the_discrete_fourier_transform_by_definition(settings, n):
    samples = 0.1 * noise(n) + tone(440)[:n] + 0.3
    x = settings.log_powers(samples)
    truth = by_definition(samples, settings)
    assert x.dtype == np.float32
    assert x.shape == truth.shape == (settings.length(n), settings.size)
    np.testing.assert_allclose(x, truth, atol=FLOAT32_LOG)


@pytest.mark.parametrize("count", [1, LANES - 1, LANES, LANES + 1, 5 * LANES + 3])
def test_frames_of_all_groups_agree_with_the_steps_one_after_the_other(count):
    samples = normalize_power(noise(160 * count + 160))
    power = power_spectrum(frames(samples, 320, 160) * hann(320)) @ linear_bands(80, 320)
    assert len(power) == count
    np.testing.assert_allclose(Features().log_powers(samples), np.log(power + 1e-4), atol=FLOAT32_LOG)


def test_a_frame_does_not_depend_on_the_others():
    samples = noise(160 * 40) * np.repeat(np.float32([1, 1000, 1e-3, 1]), 1600)
    plan = make_plan(hann(320), 160, 1e-7, linear_bands(80, 320))
    expected = log_powers(samples, plan)
    for t in (1, 7, LANES, 35):
        np.testing.assert_array_equal(log_powers(samples[160 * t :], plan), expected[t:])


@pytest.mark.parametrize("bad", [np.zeros(319), np.zeros((320, 2))])
def test_log_powers_refuses_samples_that_have_none(bad):
    with pytest.raises(ValueError, match="a window or more"):
        log_powers(bad, make_plan(hann(320), 160, 1e-7))


@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (0.1, 0.7), (1e30, 0), (1e-36, 0), (1e-3, -100)])
def test_power_is_the_mean_square_around_the_mean(gain, offset):
    samples = (gain * noise(5000) + offset).astype(np.float32)
    before = samples.copy()
    centered = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    truth = centered / np.sqrt(np.mean(centered**2))
    rounding = 1e-6 * (1 + abs(offset) / gain)  # the mean is rounded to float32, as the samples are
    np.testing.assert_allclose(normalize_power(samples), truth, atol=rounding)
    np.testing.assert_array_equal(normalize_power(np.repeat(samples, 2)[::2]), normalize_power(samples))
    np.testing.assert_array_equal(samples, before)


def test_threads_do_not_change_a_bit():
    settings, sounds = Features(kind="spectrogram"), [noise(16_000 + 7 * i, i) for i in range(40)]
    with ThreadPoolExecutor(4) as pool:
        for alone, together in zip(map(settings, sounds), pool.map(settings, sounds), strict=True):
            np.testing.assert_array_equal(together, alone)


def test_log_powers_of_a_channel_that_is_not_contiguous():
    samples = noise(2000).reshape(1000, 2)
    plan = make_plan(hann(320), 160, 1e-7)
    np.testing.assert_array_equal(log_powers(samples[:, 0], plan), log_powers(samples[:, 0].copy(), plan))


def test_the_plan_of_a_long_window_is_small():
    plan = Features(192_000, "spectrogram", window_ms=200)._plan
    assert sum(part.nbytes for part in plan if isinstance(part, np.ndarray)) < 2e6


def test_logarithm_from_the_floor_to_the_largest_power():
    """The spectrogram of an impulse is its square in all bins."""
    impulses = np.exp(np.linspace(np.log(1e-15), np.log(1e6), 1000)).astype(np.float32)
    samples = np.zeros((1000, 6), np.float32)
    samples[:, 0] = impulses
    plan = make_plan(np.ones(6), 6, 1e-10)
    x = log_powers(samples.ravel(), plan)
    np.testing.assert_allclose(
        x, np.log(impulses.astype(float) ** 2 + 1e-10)[:, None] + np.zeros(4), atol=3e-6
    )


def test_frames_are_all_whole_windows():
    samples = np.arange(10, dtype=np.float32)
    np.testing.assert_array_equal(frames(samples, 4, 3), [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]])


@pytest.mark.parametrize(
    ("n", "t0"), [(1, 1), (319, 1), (320, 1), (479, 1), (480, 2), (16_000, 99), (16_160, 100)]
)
def test_number_of_frames(n, t0):
    assert Features().length(n) == t0
    assert Features()(noise(n)).shape == (t0, 81)


@pytest.mark.parametrize("window", [320, 321, 160])
def test_parseval(window):
    windowed = frames(noise(5000), window, 100) * hann(window)
    energy = power_spectrum(windowed) @ linear_bands(10, window)[:, -1]
    np.testing.assert_allclose(energy, np.sum(windowed**2, axis=1), rtol=FLOAT32_SUM)


def test_white_noise_of_power_1_has_power_1_in_every_bin():
    power = power_spectrum(frames(noise(2_000_000), 320, 160) * hann(320)).mean(axis=0)
    assert abs(power - 1).max() < 0.05  # 12,500 frames, a deviation of 1 each


@pytest.mark.parametrize("bands", [1, 4, 40, 80, 160])
def test_bands_are_linear_in_frequency_and_their_weights_add_up_to_1(bands):
    bank = linear_bands(bands, 320)[:, :-1]
    hz = np.arange(161) * 50.0
    centers = np.arange(1, bands + 1) * 8000 / (bands + 1)
    inside = (hz >= centers[0]) & (hz <= centers[-1])
    np.testing.assert_allclose(bank[inside].sum(axis=1), 1, atol=1e-5)
    assert (bank.sum(axis=0) > 0).all()
    assert bank.min() == 0
    for j in range(bands):  # no weight from a neighbor's center on
        assert not bank[abs(hz - centers[j]) > 8000 / (bands + 1) + 1e-3, j].any()
    # the first moment of a triangle is its center, where the bins are dense enough
    if 1 < bands <= 80:
        np.testing.assert_allclose((hz @ bank / bank.sum(axis=0)), centers, atol=10)


@pytest.mark.parametrize("hz", [200, 1000, 3950, 7500])
def test_a_pure_tone_peaks_in_its_band(hz):
    x = Features().log_powers(tone(hz))[:, :-1]  # without the energy
    centers = np.arange(1, 81) * 8000 / 81
    assert (x.argmax(axis=1) == np.argmin(abs(centers - hz))).all()
    s = Features(kind="spectrogram", floor_db=-70).log_powers(tone(hz))
    assert (s.argmax(axis=1) == round(hz / 50)).all()
    assert (s.max(axis=1) - np.median(s, axis=1) > np.log(1e6)).all()  # and nowhere else


# --- invariances ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [Features(), Features(kind="spectrogram")], ids=["filterbank", "spectrogram"]
)
@pytest.mark.parametrize("gain", [1e-3, 0.5, 32768])
def test_a_louder_recording_has_the_same_features(settings, gain):
    speech = noise(8000) * np.hanning(8000).astype(np.float32)
    np.testing.assert_allclose(settings(gain * speech), settings(speech), atol=SCALE_INVARIANCE)


def test_integer_samples_give_the_same_features():
    pcm = (3000 * noise(4000)).astype(np.int16)
    np.testing.assert_allclose(Features()(pcm), Features()(pcm / 32768), atol=SCALE_INVARIANCE)


def test_a_constant_offset_does_not_change_the_features():
    speech = 0.03 * noise(8000) * np.hanning(8000).astype(np.float32)
    np.testing.assert_allclose(Features()(speech + 0.01), Features()(speech), atol=SCALE_INVARIANCE)


def test_an_offset_of_an4_recordings_does_not_change_their_features():
    data = DATA / "an4"
    if not data.is_dir():
        pytest.skip("no real speech; set MINIDS_DATA to its folder")
    with open(data / "test.jsonl") as rows:
        sounds = [load_audio(data / json.loads(row)["path"])[0] for row in list(rows)[:20]]
    for x in sounds:  # the largest offset of AN4 is 1 % of full scale, 10 dB below the speech
        np.testing.assert_allclose(Features()(x + 0.01), Features()(x), atol=SCALE_INVARIANCE)


@pytest.mark.parametrize("normalize", ["corpus", "speaker", "utterance"])
@pytest.mark.parametrize("kind", ["filterbank", "spectrogram"])
def test_features_of_silence_are_finite(kind, normalize):
    features = Features(kind=kind, normalize=normalize)
    features.fit([features.log_powers(np.zeros(5000))])
    for silence in (np.zeros(1), np.zeros(5000), np.full(5000, 0.7), np.full(5000, 1e-30)):
        assert np.isfinite(features(silence)).all()
        np.testing.assert_allclose(features.log_powers(silence), np.log(1e-4), atol=FLOAT32_LOG)


# --- normalization -------------------------------------------------------------------------------------


def test_statistics_of_parts_equal_those_of_all_frames():
    x = 5 * noise(900).reshape(300, 3) + [[-12, 0, 7]]
    statistics = Statistics()
    for part in np.split(x.astype(np.float32), [1, 50, 51]):
        statistics.add(part)
    mean, std = statistics.mean_std()
    assert statistics.count == 300
    assert mean.dtype == std.dtype == np.float32
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(std, x.std(axis=0), rtol=1e-5)


def test_corpus_normalization_removes_the_training_sets_mean_and_deviation():
    features = Features()
    sounds = [np.cumsum(noise(9000, seed)) + noise(9000, seed) for seed in range(5)]
    unfitted = features(sounds[0])
    np.testing.assert_array_equal(unfitted, features.log_powers(sounds[0]))
    features.fit(features.log_powers(s) for s in sounds)
    x = np.concatenate([features(s) for s in sounds])
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=1e-4)
    assert abs(features(sounds[0]).mean(axis=0)).max() > 0.01  # one utterance differs from the corpus


def test_speaker_normalization_removes_the_speakers_mean_and_deviation():
    features = Features(normalize="speaker")
    x = features.log_powers(noise(9000))
    mean, std = np.linspace(-3, 3, 81, dtype=np.float32), np.linspace(1, 4, 81, dtype=np.float32)
    np.testing.assert_allclose(features(noise(9000), (mean, std)), (x - mean) / std, atol=1e-5)
    alone = Features(normalize="utterance")(noise(9000))
    np.testing.assert_array_equal(features(noise(9000)), alone)


def test_utterance_normalization_removes_its_own_mean_and_deviation():
    x = Features(normalize="utterance", kind="spectrogram")(noise(9000))
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=1e-4)


def test_the_deviation_of_a_constant_bin_has_a_minimum():
    statistics = Statistics()
    statistics.add(np.full((1000, 2), -16.1, np.float32))
    np.testing.assert_allclose(statistics.mean_std()[1], MIN_STD)


# --- settings ------------------------------------------------------------------------------------------


def test_feature_sizes_are_those_of_the_paper():
    assert Features(bands=80).size == 81  # §5.1
    assert Features(bands=160).size == 161  # §5.2
    assert Features(kind="spectrogram").size == 161


def test_settings_round_trip_through_json():
    features = Features(
        rate=8000,
        kind="spectrogram",
        bands=40,
        window_ms=25.0,
        hop_ms=12.5,
        normalize="speaker",
        floor_db=-50.0,
    )
    features.fit([features.log_powers(noise(5000))])
    copy = Features.from_dict(json.loads(json.dumps(features.to_dict())))
    assert copy == features
    assert copy.mean is None  # arrays are stored separately


def test_a_model_that_was_saved_before_there_was_a_floor_keeps_that_of_its_time():
    settings = Features().to_dict()
    del settings["floor_db"]
    assert Features.from_dict(settings).floor == pytest.approx(1e-7)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "mfcc"}, "'mfcc'.*filterbank, spectrogram"),
        ({"normalize": "none"}, "'none'.*corpus, speaker, utterance"),
        ({"bands": 0}, "bands = 0"),
        ({"rate": -1}, "rate = -1"),
        ({"rate": True}, "rate = True"),
        ({"rate": 16_000.0}, "rate = 16000.0"),
        ({"window_ms": float("inf")}, "window_ms = inf"),
        ({"hop_ms": float("nan")}, "hop_ms = nan"),
        ({"window_ms": 0.125, "bands": 1}, "too short at 16000 Hz"),
        ({"window_ms": 0.01}, "too short at 16000 Hz"),
        ({"floor_db": 1}, "floor_db = 1 is invalid"),
        ({"floor_db": float("nan")}, "floor_db = nan"),
        ({"hop_ms": 0.01}, "too short at 16000 Hz"),
        ({"bands": 161}, "bands = 161 is too many"),
        ({"wnidow_ms": 20}, "'wnidow_ms'"),
    ],
)
def test_invalid_settings_are_refused(settings, words):
    with pytest.raises(InputError, match=words):
        Features.from_dict(settings)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(0), r"\(0,\)"),
        (np.zeros((100, 2)), r"\(100, 2\).*one channel"),
        (np.full(1000, np.nan), "not finite"),
        (np.array([np.inf, -np.inf] * 500), "not finite"),
        (np.array([1e39] * 500 + [0]), "not finite"),
        (np.array([3e38, -3e38, -3e38, -3e38]), "too large"),
    ],
)
def test_invalid_samples_are_refused(samples, words):
    with pytest.raises(InputError, match=words):
        Features()(samples)


def test_fit_without_recordings_is_refused():
    with pytest.raises(InputError, match="no recording"):
        Features().fit([])


def test_unusual_arrays_give_the_same_features():
    samples = noise(4000)
    expected = Features()(samples)
    read_only = samples.copy()
    read_only.flags.writeable = False
    for same in (samples.astype(">f4"), samples.astype(np.float64), np.repeat(samples, 3)[::3], read_only):
        np.testing.assert_array_equal(Features()(same), expected)
    np.testing.assert_array_equal(read_only, samples)
    unsigned = np.arange(4000, dtype=np.uint16) % 7
    np.testing.assert_array_equal(Features()(unsigned), Features()(unsigned.astype(np.float32)))


@pytest.mark.parametrize(
    "samples", [np.zeros(9, complex), np.array(["a"]), np.array([None]), np.zeros(9, bool)]
)
def test_samples_that_are_not_real_numbers_are_refused(samples):
    with pytest.raises(InputError, match="samples have the type"):
        Features()(samples)


def test_statistics_of_another_size_are_refused():
    features = Features(normalize="speaker")
    with pytest.raises(InputError, match=r"mean and std must have the shape \(81,\)"):
        features(noise(4000), (np.zeros(1), np.ones(1)))
