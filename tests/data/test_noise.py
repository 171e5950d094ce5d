"""Superposed noise (§4.1): the SNR, reproducibility, rejected clips, invalid input."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.audio import save_audio
from minids.data import noise as noise_module
from minids.data.noise import BANDS, Noise, band_profile, rejection_reasons, sound_files
from tests import DATA

RATE = 16_000
REAL = DATA / "noise" / "audio"


def colored(seconds: float, seed: int, decay: float = 0.9) -> np.ndarray:
    """Noise with more power in the low frequencies, as rooms and streets have it."""
    white = np.random.default_rng(seed).standard_normal(int(seconds * RATE))
    low = np.zeros_like(white)
    for i in range(1, len(white)):
        low[i] = decay * low[i - 1] + white[i]
    return (0.05 * low).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("noise")
    for seed in range(3):
        save_audio(path / f"{seed}.wav", colored(7, seed), RATE)
    return path


@pytest.fixture
def speech() -> np.ndarray:
    rng = np.random.default_rng(7)
    return (np.sin(np.arange(40_000) / 20) * np.repeat(rng.random(40), 1000)).astype(np.float32)


@pytest.mark.parametrize("snr_db", [-5, 0, 5, 20])
def test_noise_is_added_at_the_requested_snr(folder, speech, snr_db):
    mixed = Noise([folder], RATE).add_to(speech, snr_db, np.random.default_rng(0))
    measured = 10 * np.log10(np.var(speech, dtype=np.float64) / np.var(mixed - speech, dtype=np.float64))
    assert measured == pytest.approx(snr_db, abs=0.1)


def test_noise_depends_on_seed_and_epoch_only(folder, speech):
    noise = Noise([folder], RATE)
    mixed, same, other = (noise.add_to(speech, 5, np.random.default_rng([3, epoch])) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(mixed, same)
    noises = np.corrcoef(mixed - speech, other - speech)
    assert abs(noises[0, 1]) < 0.2


@pytest.mark.parametrize("N", [1, 31_999, 32_000, 200_001])
def test_a_track_is_as_long_as_the_speech(folder, N):
    track = Noise([folder], RATE).sum_tracks(N, np.random.default_rng(0))
    assert track.shape == (N,)
    assert track.dtype == np.float32
    assert np.isfinite(track).all()


def test_cross_fades_keep_the_power(folder):
    noise = Noise([folder], RATE, tracks=1)
    track = noise.sum_tracks(20 * RATE, np.random.default_rng(0))
    power = np.square(track[: len(track) // 800 * 800].reshape(-1, 800)).mean(axis=1)  # of every 50 ms
    assert power.min() > power.mean() / 4
    assert power.max() < power.mean() * 4


def test_tracks_of_noise_are_superposed(folder):
    rng = np.random.default_rng
    power = {n: np.var(Noise([folder], RATE, tracks=n).sum_tracks(30 * RATE, rng(0))) for n in (1, 8)}
    assert 4 < power[8] / power[1] < 40  # eight chains, each up to 6 dB louder or softer


def test_much_noise_is_sampled_evenly_in_limited_memory(tmp_path, monkeypatch):
    for seed in range(12):
        save_audio(tmp_path / f"{seed:02}.wav", colored(8, seed, decay=0), RATE)
    monkeypatch.setattr(noise_module, "MAX_NOISE_SECONDS", 12)
    tracemalloc.start()
    noise = Noise([tmp_path], RATE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert noise.clips.shape == (6, 2 * RATE)
    assert peak < 12 * 8 * RATE * 4 / 2, "of all of it, in float32"
    for i, clip in enumerate(noise.clips):  # every eighth: the first of every second recording
        assert np.corrcoef(clip, colored(2, 2 * i, decay=0))[0, 1] > 0.99


def test_a_tone_is_rejected_and_real_noise_is_accepted(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    save_audio(tmp_path / "whistle.wav", np.sin(np.arange(2 * RATE) * 0.8).astype(np.float32) / 2, RATE)
    noise = Noise([tmp_path], RATE)
    (rejected,) = noise.rejected
    assert "whistle.wav, 0.0 to 2.0 s: " in rejected
    assert "deviations from real noise" in rejected
    assert len(noise.clips) == 9


def test_noise_is_compared_with_the_reference_recordings(folder, tmp_path):
    bright = np.diff(colored(8, 5, decay=0), n=3, append=[0, 0, 0])
    save_audio(tmp_path / "bright.wav", bright, RATE)
    assert not Noise([tmp_path], RATE).rejected
    with pytest.raises(InputError, match=r"every clip of noise .*bright\.wav.*dB too (loud|quiet)"):
        Noise([tmp_path], RATE, reference_recordings=[folder])


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no recorded noise in {REAL}")
def test_recorded_noise_is_accepted():
    noise = Noise([REAL], RATE)
    assert len(noise.rejected) <= len(noise.clips) / 20


def test_a_profile_is_the_power_of_each_band_at_any_volume():
    time = np.arange(2 * RATE) / RATE
    tone = np.sin(2 * np.pi * 1500 * time).astype(np.float32)  # the middle of band 4 of 24 up to 8 kHz
    bands = band_profile(tone, RATE)
    assert bands.shape == (BANDS,)
    assert bands.argmax() == 4
    assert bands[4] == pytest.approx(0, abs=0.5)
    np.testing.assert_allclose(band_profile(0.01 * tone, RATE), bands, atol=0.01)


def test_the_reason_of_rejection_states_the_band():
    references = np.random.default_rng(0).normal(-20, 1, (50, BANDS))
    odd = np.median(references, axis=0)[None]
    odd[0, 6] += 90
    assert "; 90 dB too loud at 2.0 to 2.3 kHz" in rejection_reasons(odd, references, RATE)[0]
    assert rejection_reasons(references[:1], references, RATE) == [""]


def test_short_noise_and_noise_at_another_rate_are_used(tmp_path, speech):
    save_audio(tmp_path / "short.wav", colored(0.7, 1), RATE)
    save_audio(tmp_path / "fast.wav", colored(3, 2), 32_000)
    noise = Noise([tmp_path], RATE)
    assert noise.clips.shape == (1 + 1, 2 * RATE)  # 3 s of samples at 32 kHz are 1.5 s: one clip, repeated
    assert np.isfinite(noise.add_to(speech, 5, np.random.default_rng(0))).all()


def test_silent_noise_is_an_error(tmp_path):
    save_audio(tmp_path / "silent.wav", np.zeros(RATE, np.float32), RATE)
    with pytest.raises(InputError, match=r"silent\.wav: the noise is silent; remove it"):
        Noise([tmp_path / "silent.wav"], RATE)


def test_a_folder_without_sound_and_a_missing_file_are_errors(tmp_path):
    (tmp_path / "notes.txt").write_text("no sound")
    (tmp_path / "video.mp4").touch()
    with pytest.raises(InputError, match="no sound files in this folder"):
        sound_files(tmp_path)
    with pytest.raises(InputError, match=r"gone\.wav: no such file"):
        Noise([tmp_path / "gone.wav"], RATE)


@pytest.mark.parametrize(
    ("rate", "tracks"), [(0, 3), (float("nan"), 3), (RATE, 0), (RATE, 1.5), (RATE, True)]
)
def test_invalid_rates_and_numbers_of_tracks_are_refused(folder, rate, tracks):
    with pytest.raises(InputError, match=r"rate = |tracks = "):
        Noise([folder], rate, tracks=tracks)


def test_sound_files_of_all_usual_suffixes_are_found(tmp_path):
    names = ["a.WAV", "b.opus", "c.m4a", "d.sph", "e.webm", "sub/f.oga"]
    (tmp_path / "sub").mkdir()
    for name in [*names, "notes.txt", "._a.WAV"]:
        (tmp_path / name).touch()
    assert sound_files(tmp_path) == [tmp_path / name for name in names]
