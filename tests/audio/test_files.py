import io
import os
import struct
import threading
import time
import tracemalloc

import numpy as np
import pytest
import soundfile

from minids._utils.errors import InputError
from minids.audio import AudioInfo, AudioWarning, audio_info, load_audio, save_audio
from minids.audio.files import read_sound
from tests.audio.sounds import RATE, every_format, noise, tone
from tests.tolerances import PCM16

FORMATS = {  # ending: libsndfile's format and subtype
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "extensible.wav": ("WAVEX", "PCM_24"),
    "adpcm.wav": ("WAV", "IMA_ADPCM"),
    "gsm.wav": ("WAV", "GSM610"),  # libsndfile cannot seek in it
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
def test_every_format_is_read(written, ending):
    samples, rate = load_audio(written(ending))
    assert rate == RATE
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(RATE, rel=0.02)  # ADPCM fills its last block
    lossless = ending not in ("adpcm.wav", "gsm.wav", "ogg", "opus", "mp3")
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


def test_channels_are_averaged_block_by_block(tmp_path):
    channels = noise(300_000 * 3).reshape(-1, 3)
    soundfile.write(tmp_path / "three.wav", channels, RATE, subtype="FLOAT")
    np.testing.assert_allclose(load_audio(tmp_path / "three.wav")[0], channels.mean(axis=1), atol=1e-7)


def test_info_has_duration_rate_and_channels(written, tmp_path):
    assert audio_info(written("flac")) == AudioInfo(1.0, RATE, 1)
    soundfile.write(tmp_path / "stereo.wav", np.zeros((4000, 2)), 8000)
    assert audio_info(str(tmp_path / "stereo.wav")) == AudioInfo(0.5, 8000, 2)


def test_a_file_at_another_rate_is_resampled(tmp_path):
    save_audio(tmp_path / "tone.wav", tone(440, 1, 44_100), 44_100)
    samples, rate = load_audio(tmp_path / "tone.wav", RATE)
    assert rate == RATE
    middle = slice(1000, -1000)
    np.testing.assert_allclose(samples[middle], tone(440, 1)[middle], atol=1e-3)


def test_a_rate_below_the_models_gives_a_warning(tmp_path):
    save_audio(tmp_path / "telephone.wav", tone(440, 1, 8000), 8000)
    with pytest.warns(AudioWarning, match=r"telephone\.wav: 8000 Hz is below the model's 16000 Hz"):
        samples, rate = load_audio(tmp_path / "telephone.wav", RATE)
    assert (len(samples), rate) == (RATE, RATE)


# --- what cannot be read -------------------------------------------------------------------------------


def assert_refused(path, words: str, call=load_audio) -> None:
    with pytest.raises(InputError, match=words) as caught:
        call(path)
    assert os.path.basename(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call", [load_audio, audio_info])
def test_missing_files_and_files_without_sound_are_errors(tmp_path, call):
    assert_refused(tmp_path / "missing.wav", "no such file", call)
    assert_refused(tmp_path, "not a file", call)
    (tmp_path / "empty.wav").touch()
    assert_refused(tmp_path / "empty.wav", "empty", call)
    (tmp_path / "text.wav").write_text("This is not a recording, whatever its name says.\n" * 50)
    assert_refused(tmp_path / "text.wav", "not a sound file", call)
    (tmp_path / "headerless.raw").write_bytes(bytes(1000))
    assert_refused(tmp_path / "headerless.raw", "not a sound file", call)
    assert_refused(str(tmp_path / ("long" * 100)), "File name too long", call)
    (tmp_path / "slow.wav").write_bytes(
        wav(tone(440, 1)).replace(struct.pack("<I", RATE), struct.pack("<I", 7))
    )
    assert_refused(tmp_path / "slow.wav", "header states 7 Hz", call)


def wav(samples: np.ndarray, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype=subtype)
    return file.getvalue()


def test_a_file_without_samples_is_an_error(tmp_path):
    (tmp_path / "none.wav").write_bytes(wav(np.zeros(0)))
    assert_refused(tmp_path / "none.wav", "no samples")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_not_finite_are_errors(tmp_path, bad):
    samples = np.zeros(1000)
    samples[700] = bad
    (tmp_path / "bad.wav").write_bytes(wav(samples, "FLOAT"))
    assert_refused(tmp_path / "bad.wav", "NaN, infinite")


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("part", [0.35, 0.9])
def test_a_truncated_file_is_an_error(written, ending, part):
    path = written(ending)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    assert_refused(path, "truncated|damaged")


def test_the_unknown_length_of_a_pipe_is_not_a_truncation(tmp_path):
    whole = wav(noise(RATE))
    for unknown in (0xFFFFFFFF, 0x7FFFF000):
        sized = whole.replace(struct.pack("<I", 2 * RATE), struct.pack("<I", unknown))
        assert sized != whole
        (tmp_path / "piped.wav").write_bytes(sized)
        assert len(load_audio(tmp_path / "piped.wav")[0]) == RATE


def test_a_header_that_states_billions_of_samples_takes_no_memory(tmp_path):
    flac = io.BytesIO()
    soundfile.write(flac, noise(RATE), RATE, format="FLAC")
    promised = bytearray(flac.getvalue())
    promised[21] |= 0x0F  # the four upper bits of the number of samples: 64 billion of them
    (tmp_path / "moon.flac").write_bytes(promised)
    assert_refused(tmp_path / "moon.flac", "truncated|damaged")


# --- channels, parts, limits, streams --------------------------------------------------------------------


def stereo(tmp_path, left, right):
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.column_stack([left, right]), RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize("inverted", [-1, -0.98, -0.8])
def test_channels_that_cancel_are_not_mixed(tmp_path, inverted):
    speech = tone(440, 1)
    path = stereo(tmp_path, 0.9 * speech, inverted * speech)
    strongest = 1 if inverted < -0.9 else 0
    with pytest.warns(
        AudioWarning, match=rf"the channels cancel each other; only channel {strongest} is used"
    ):
        samples, _ = load_audio(path)
    np.testing.assert_allclose(samples, (0.9 if strongest == 0 else inverted) * speech, atol=1e-6)


def test_ordinary_channels_are_mixed_without_a_note(tmp_path):
    speech, other = noise(RATE), noise(RATE, 1)
    for left, right in ((speech, speech), (speech, other), (speech, 0 * speech), (0 * speech, 0 * speech)):
        sound = read_sound(stereo(tmp_path, left, right))
        assert sound.notes == []
        np.testing.assert_allclose(sound.samples, (left + right) / 2, atol=1e-7)
    offset = read_sound(stereo(tmp_path, speech + 0.5, speech - 0.5))
    assert offset.notes == []


def test_one_channel_can_be_chosen(tmp_path):
    path = stereo(tmp_path, tone(440, 1), noise(RATE))
    np.testing.assert_array_equal(load_audio(path, channel=1)[0], noise(RATE))
    for channel in (2, -1, 0.5, True):
        with pytest.raises(InputError, match=rf"no channel {channel}; choose from 0 to 1"):
            load_audio(path, channel=channel)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_part_is_a_part_of_the_whole(written, ending):
    path = written(ending)
    whole, _ = load_audio(path)
    part, rate = load_audio(path, start=0.25, end=0.75)
    assert (len(part), rate) == (RATE // 2, RATE)
    np.testing.assert_allclose(part, whole[RATE // 4 : 3 * RATE // 4], atol=PCM16)
    assert len(load_audio(path, start=0.5)[0]) == len(whole) - RATE // 2
    assert len(load_audio(path, 8000, 0.5, 1.0)[0]) == 4000


@pytest.mark.parametrize("ending", ["flac", "ogg", "opus", "mp3"])
@pytest.mark.parametrize("seconds", [3, 100])
def test_a_part_anywhere_is_a_part_of_the_whole(tmp_path, ending, seconds):
    """libsndfile is inexact after it seeks to the end of a Vorbis or an MP3 file."""
    path, sound = tmp_path / f"sound.{ending}", noise(seconds * RATE)
    kind, subtype = FORMATS[ending]
    with soundfile.SoundFile(path, "w", RATE, 1, subtype, format=kind) as file:
        for start in range(0, len(sound), RATE):
            file.write(sound[start : start + RATE])
    whole, _ = load_audio(path)
    for before_the_end in 0.1, 0.3, 0.5, 1.0, 1.5, 2.5, 0.9 * seconds:
        start = len(whole) / RATE - before_the_end
        part, _ = load_audio(path, start=start)
        np.testing.assert_allclose(part, whole[len(whole) - len(part) :], atol=PCM16)
        assert len(part) == pytest.approx(before_the_end * RATE, abs=1)


def test_parts_outside_the_recording_are_errors(written):
    path = written("wav")
    assert len(load_audio(path, end=1.05)[0]) == RATE  # rounded
    for start, end, words in (
        (0.5, 2, r"has 1.00 s, the part is 0.50 to 2.00 s"),
        (1, None, "the part is 1.00 to the end"),
        (0.5, 0.5, "start must be before end"),
        (-0.1, 0.5, "start must be before end"),
        (np.nan, 1, "start = nan"),
        (0, np.inf, "end = inf"),
    ):
        with pytest.raises(InputError, match=words):
            load_audio(path, start=start, end=end)


def test_recordings_over_the_limit_are_refused_before_they_are_decoded(tmp_path):
    with soundfile.SoundFile(tmp_path / "bomb.flac", "w", RATE, 1, "PCM_16") as file:
        for _ in range(100):
            file.write(np.zeros(360 * RATE))  # ten hours of silence
    size = (tmp_path / "bomb.flac").stat().st_size
    assert size < 2_000_000
    tracemalloc.start()
    with pytest.raises(InputError, match=r"bomb\.flac: lasts 36000.0 s, the limit is 14400.0 s"):
        load_audio(tmp_path / "bomb.flac")
    assert len(load_audio(tmp_path / "bomb.flac", start=35_999)[0]) == RATE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
    with pytest.raises(InputError, match=r"lasts 1.0 s, the limit is 0.5 s"):
        load_audio(tmp_path / "bomb.flac", start=35_999, max_seconds=0.5)


def test_long_recordings_are_resampled_in_little_memory(tmp_path):
    soundfile.write(tmp_path / "long.wav", noise(192_000 * 20), 192_000)
    tracemalloc.start()
    samples, _ = load_audio(tmp_path / "long.wav", RATE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(samples) == 20 * RATE
    assert peak < 10e6, "15 MB of samples, 1.3 MB of them at 16 kHz"


def test_samples_are_not_copied_more_than_needed(tmp_path):
    """A block as it is decoded, and the recording."""
    soundfile.write(tmp_path / "short.wav", noise(200_000), RATE)
    tracemalloc.start()
    load_audio(tmp_path / "short.wav")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.2 * 4 * 200_000


def test_bytes_and_streams_are_read_like_files(written):
    for ending in FORMATS:
        path = written(ending)
        content, (samples, rate) = path.read_bytes(), load_audio(path)
        for source in (content, bytearray(content), io.BytesIO(content)):
            np.testing.assert_array_equal(load_audio(source)[0], samples)
        with open(path, "rb") as stream:
            assert audio_info(stream).rate == rate
    with pytest.raises(InputError, match="<5 bytes>: damaged or not a sound file"):
        load_audio(b"hello")
    with pytest.raises(InputError, match="not a binary stream"):
        load_audio(io.StringIO("hello"))
    with pytest.raises(InputError, match="list is not a sound file"):
        load_audio([0.0, 1.0])


def test_errors_of_the_caller_are_not_errors_of_the_file(written):
    class Stream(io.BytesIO):
        def read(self, size=-1):
            raise TimeoutError("the server does not answer")  # so do handlers of signals, at any moment

    with pytest.raises(TimeoutError, match="the server does not answer"):
        load_audio(Stream(written("wav").read_bytes()))


def test_a_pipe_of_the_shell_is_read_and_another_pipe_is_refused(written, tmp_path):
    content = written("flac").read_bytes()
    receiver, sender = os.pipe()
    with open(receiver, "rb"), open(sender, "wb") as stream:
        writer = threading.Thread(target=lambda: (stream.write(content), stream.close()))
        writer.start()
        assert len(load_audio(f"/dev/fd/{receiver}")[0]) == RATE
        writer.join()
    os.mkfifo(tmp_path / "pipe")
    assert_refused(tmp_path / "pipe", "not a file")
    assert_refused("/dev/null", "not a file")
    assert_refused("/dev/zero", "not a file")


def test_a_rate_without_a_simple_ratio_is_resampled(tmp_path):
    soundfile.write(tmp_path / "odd.wav", tone(440, 30, 44_101), 44_101)
    samples, _ = load_audio(tmp_path / "odd.wav", RATE)
    assert len(samples) == pytest.approx(30 * RATE, abs=2)
    np.testing.assert_allclose(
        samples[1000:-1000], tone(440, 30)[1000 : len(samples) - 1000], atol=0.05
    )  # 1 ppm


@pytest.mark.slow
def test_mutated_files_are_read_or_refused_in_one_line(tmp_path, capfd):
    files = every_format(noise(8000), 8000)
    rng = np.random.default_rng(0)
    path = tmp_path / "mutant"
    outcomes = {"read": 0, "refused": 0}
    for i in range(10_000):
        kind = list(files)[i % len(files)]
        mutant = bytearray(files[kind])
        for _ in range(rng.integers(1, 8)):  # mostly in the header
            mutant[rng.integers(min(len(mutant), rng.choice([60, 400, 40_000])))] = rng.integers(256)
        if i % 10 == 0:
            del mutant[rng.integers(1, len(mutant)) :]
        path.write_bytes(mutant)
        started = time.monotonic()
        message = ""
        try:
            assert np.isfinite(read_sound(path).samples).all()
        except InputError as error:
            message = str(error)
        outcomes["refused" if message else "read"] += 1
        assert "\n" not in message
        assert str(path) in message or not message
        assert time.monotonic() - started < 20, kind
    assert min(outcomes.values()) > 1000
    assert capfd.readouterr().out == "", "libsndfile must not print to stdout"


# --- writing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sound.wav", "sound.FLAC"])
def test_written_sound_is_read_back(tmp_path, name):
    save_audio(tmp_path / name, noise(999), 22_050)
    samples, rate = load_audio(tmp_path / name)
    assert rate == 22_050
    np.testing.assert_allclose(samples, noise(999), atol=PCM16)
    assert soundfile.info(tmp_path / name).subtype == "PCM_16"


def test_samples_beyond_full_scale_are_clipped(tmp_path):
    save_audio(tmp_path / "loud.wav", np.array([1.5, -1.5, 0.5], np.float32), RATE)
    np.testing.assert_allclose(load_audio(tmp_path / "loud.wav")[0], [1, -1, 0.5], atol=PCM16)


def test_a_failed_write_leaves_no_file(tmp_path):
    for name, rate, words in (
        ("sound.txt", RATE, "must end in .wav or .flac"),
        ("sound", RATE, "must end in .wav or .flac"),
        ("no/such/folder.wav", RATE, "no folder"),
        ("fast.flac", 10_000_000, "10000000 Hz"),
        ("fast.wav", 2**40, "Hz"),
        ("slow.wav", float("nan"), "nan Hz"),
    ):
        with pytest.raises(InputError, match=words):
            save_audio(tmp_path / name, noise(10), rate)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_not_written(tmp_path, bad):
    with pytest.raises(InputError, match="not finite"):
        save_audio(tmp_path / "bad.wav", np.array([0, bad], np.float32), RATE)
    assert not list(tmp_path.iterdir())
