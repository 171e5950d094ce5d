import io
import os
import struct

import numpy as np
import pytest
import soundfile

from minids._utils.errors import InputError
from minids.audio import AudioInfo, AudioWarning, audio_info, load_audio, mix, resample, save_audio, shift
from tests.tolerances import PCM16, RESAMPLED_LEVEL_DB, SNR_DB

RATE = 16_000
FORMATS = {  # ending: libsndfile's format and subtype
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "extensible.wav": ("WAVEX", "PCM_24"),
    "adpcm.wav": ("WAV", "IMA_ADPCM"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "sph": ("NIST", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def tone(hz: float, seconds: float, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def power_db(x: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(x, dtype=np.float64)))


@pytest.fixture
def written(tmp_path):
    """Writes one second of noise in a format of the table."""

    def write(ending: str):
        path = tmp_path / f"sound.{ending}"
        kind, subtype = FORMATS[ending]
        soundfile.write(path, noise(RATE), RATE, format=kind, subtype=subtype)
        return path

    return write


# --- reading -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_gives_the_sound_back(written, ending):
    samples, rate = load_audio(written(ending))
    assert rate == RATE
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(RATE, rel=0.02)  # ADPCM fills its last block
    lossless = ending not in ("adpcm.wav", "ogg", "opus", "mp3")
    if lossless:
        np.testing.assert_allclose(samples, noise(RATE), atol=PCM16)
    else:
        assert np.corrcoef(samples[:RATE], noise(RATE))[0, 1] > 0.5


def test_wav_against_bytes_written_by_hand(tmp_path):
    pcm = np.array([0, 16384, -32768, 1, 32767, -1], "<i2")
    header = b"RIFF" + struct.pack("<I", 36 + pcm.nbytes) + b"WAVEfmt "
    header += (
        struct.pack("<IHHIIHH", 16, 1, 2, 8000, 8000 * 4, 4, 16) + b"data" + struct.pack("<I", pcm.nbytes)
    )
    (tmp_path / "stereo.wav").write_bytes(header + pcm.tobytes())
    samples, rate = load_audio(tmp_path / "stereo.wav")
    assert rate == 8000
    np.testing.assert_array_equal(samples, [0.25, (-32768 + 1) / 65536, (32767 - 1) / 65536])


def test_many_channels_and_blocks_become_their_mean(tmp_path):
    channels = noise(300_000 * 3).reshape(-1, 3)
    soundfile.write(tmp_path / "three.wav", channels, RATE, subtype="FLOAT")
    np.testing.assert_allclose(load_audio(tmp_path / "three.wav")[0], channels.mean(axis=1), atol=1e-7)


def test_info_is_the_headers(written, tmp_path):
    assert audio_info(written("flac")) == AudioInfo(1.0, RATE, 1)
    soundfile.write(tmp_path / "stereo.wav", np.zeros((4000, 2)), 8000)
    assert audio_info(str(tmp_path / "stereo.wav")) == AudioInfo(0.5, 8000, 2)


def test_another_rate_is_resampled(tmp_path):
    save_audio(tmp_path / "tone.wav", tone(440, 1, 44_100), 44_100)
    samples, rate = load_audio(tmp_path / "tone.wav", RATE)
    assert rate == RATE
    middle = slice(1000, -1000)
    np.testing.assert_allclose(samples[middle], tone(440, 1)[middle], atol=1e-3)


def test_a_rate_below_the_models_is_said(tmp_path):
    save_audio(tmp_path / "telephone.wav", tone(440, 1, 8000), 8000)
    with pytest.warns(AudioWarning, match=r"telephone\.wav: 8000 Hz is below the model's 16000 Hz"):
        samples, rate = load_audio(tmp_path / "telephone.wav", RATE)
    assert (len(samples), rate) == (RATE, RATE)


# --- what cannot be read -------------------------------------------------------------------------------


def refused(path, words: str, call=load_audio) -> None:
    with pytest.raises(InputError, match=words) as caught:
        call(path)
    assert os.path.basename(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call", [load_audio, audio_info])
def test_no_file_no_sound(tmp_path, call):
    refused(tmp_path / "missing.wav", "no such file", call)
    refused(tmp_path, "not a file", call)
    (tmp_path / "empty.wav").touch()
    refused(tmp_path / "empty.wav", "empty", call)
    (tmp_path / "text.wav").write_text("This is not a recording, whatever its name says.\n" * 50)
    refused(tmp_path / "text.wav", "not a sound file", call)
    (tmp_path / "headerless.raw").write_bytes(bytes(1000))
    refused(tmp_path / "headerless.raw", "not a sound file", call)
    refused(str(tmp_path / ("long" * 100)), "File name too long", call)
    (tmp_path / "slow.wav").write_bytes(
        wav(tone(440, 1)).replace(struct.pack("<I", RATE), struct.pack("<I", 7))
    )
    refused(tmp_path / "slow.wav", "header states 7 Hz", call)


def wav(samples: np.ndarray, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype=subtype)
    return file.getvalue()


def test_no_samples(tmp_path):
    (tmp_path / "none.wav").write_bytes(wav(np.zeros(0)))
    refused(tmp_path / "none.wav", "no samples")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_numbers(tmp_path, bad):
    samples = np.zeros(1000)
    samples[700] = bad
    (tmp_path / "bad.wav").write_bytes(wav(samples, "FLOAT"))
    refused(tmp_path / "bad.wav", "NaN, infinite")


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("part", [0.35, 0.9])
def test_a_file_that_breaks_off(written, ending, part):
    path = written(ending)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    refused(path, "truncated|damaged")


def test_a_pipes_unknown_length_is_no_truncation(tmp_path):
    whole = wav(noise(RATE))
    for unknown in (0xFFFFFFFF, 0x7FFFF000):
        sized = whole.replace(struct.pack("<I", 2 * RATE), struct.pack("<I", unknown))
        assert sized != whole
        (tmp_path / "piped.wav").write_bytes(sized)
        assert len(load_audio(tmp_path / "piped.wav")[0]) == RATE


def test_a_header_that_promises_the_moon_takes_no_memory(tmp_path):
    flac = io.BytesIO()
    soundfile.write(flac, noise(RATE), RATE, format="FLAC")
    promised = bytearray(flac.getvalue())
    promised[21] |= 0x0F  # the four upper bits of the number of samples: 64 billion of them
    (tmp_path / "moon.flac").write_bytes(promised)
    refused(tmp_path / "moon.flac", "truncated|damaged")


@pytest.mark.slow
@pytest.mark.parametrize("ending", FORMATS)
def test_mutated_files_give_samples_or_one_line(written, ending):
    path = written(ending)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    outcomes: list = []
    for _ in range(300):
        mutant = bytearray(whole)
        for _ in range(rng.integers(1, 8)):  # most of what can break is in the header
            mutant[rng.integers(min(len(mutant), rng.choice([60, 400, 40_000])))] = rng.integers(256)
        path.write_bytes(mutant)
        try:
            samples = load_audio(path)[0]
        except InputError as error:
            outcomes.append(str(error))
        else:
            outcomes.append(np.isfinite(samples).all())
    assert False not in outcomes
    assert not any("\n" in line for line in outcomes if isinstance(line, str))
    assert {type(outcome) for outcome in outcomes} == {str, np.bool_}


# --- writing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sound.wav", "sound.FLAC"])
def test_written_sound_comes_back(tmp_path, name):
    save_audio(tmp_path / name, noise(999), 22_050)
    samples, rate = load_audio(tmp_path / name)
    assert rate == 22_050
    np.testing.assert_allclose(samples, noise(999), atol=PCM16)
    assert soundfile.info(tmp_path / name).subtype == "PCM_16"


def test_louder_than_full_scale_is_clipped_not_wrapped(tmp_path):
    save_audio(tmp_path / "loud.wav", np.array([1.5, -1.5, 0.5], np.float32), RATE)
    np.testing.assert_allclose(load_audio(tmp_path / "loud.wav")[0], [1, -1, 0.5], atol=PCM16)


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    for name, rate, words in (
        ("sound.txt", RATE, "must end in .wav or .flac"),
        ("sound", RATE, "must end in .wav or .flac"),
        ("no/such/folder.wav", RATE, "no folder"),
        ("fast.flac", 10_000_000, "10000000 Hz"),
    ):
        with pytest.raises(InputError, match=words):
            save_audio(tmp_path / name, noise(10), rate)
    assert not list(tmp_path.iterdir())


# --- samples -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("from_rate", "to_rate"), [(8000, 16_000), (44_100, 16_000), (16_000, 8000), (22_050, 16_000)]
)
def test_resampling_keeps_tones_and_lets_no_others_in(from_rate, to_rate):
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
def test_mixture_has_the_ratio_asked_for(snr_db, length):
    speech = tone(440, 1)
    disturbed = mix(speech, 7 * noise(length), snr_db)
    assert disturbed.dtype == np.float32
    assert power_db(speech) - power_db(disturbed - speech) == pytest.approx(snr_db, abs=SNR_DB)


def test_an_offset_counts_neither_as_speech_nor_as_noise():
    speech, babble = tone(440, 1), noise(RATE)
    added = mix(speech + 0.5, babble - 0.3, 10) - speech
    assert power_db(speech) - power_db(added - added.mean()) == pytest.approx(10, abs=SNR_DB)


def test_silence_mixes():
    np.testing.assert_array_equal(mix(tone(440, 1), np.zeros(100, np.float32), 10), tone(440, 1))
    np.testing.assert_array_equal(mix(np.zeros(100, np.float32), noise(100), 10), np.zeros(100))


@pytest.mark.parametrize(("ms", "moved"), [(5, 80), (-5, -80), (0, 0), (0.04, 1), (2000, 100), (-2000, -100)])
def test_shift_is_exact(ms, moved):
    x = noise(100)
    padded = np.pad(x, 100)
    np.testing.assert_array_equal(shift(x, RATE, ms), padded[100 - moved : 200 - moved])
    assert shift(x, RATE, ms).dtype == np.float32
