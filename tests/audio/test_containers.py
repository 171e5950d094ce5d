"""The true end of recordings: wrong headers, files in a row, streams of unknown length, truncation."""

import struct
import time
from contextlib import suppress

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.audio import AudioWarning, audio_info, load_audio
from minids.audio.files import read_sound
from minids.audio.mpeg import mpeg_frame
from tests.audio.sounds import RATE, encode, noise
from tests.tolerances import PCM16

SOUND = noise(2 * RATE)
HALF = SOUND[:RATE]
CHUNKED = ["WAV", "WAVEX", "RF64", "AIFF", "CAF", "W64", "SVX"]
pytestmark = pytest.mark.filterwarnings("ignore::minids.audio.AudioWarning")


@pytest.fixture
def write(tmp_path):
    def write(content: bytes, name: str = "sound"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def with_header_of(short: bytes, long: bytes) -> bytes:
    """A file whose header states the length of the short one, with the content of the long one."""
    return short + long[len(short) :]


def wav_with_size(size: int, sound: np.ndarray = SOUND) -> bytes:
    content = encode(sound, "WAV")
    return content[:40] + struct.pack("<I", size) + content[44:]


def assert_complete(path, sound: np.ndarray = SOUND, kinds=None) -> None:
    result = read_sound(path)
    np.testing.assert_allclose(result.samples, sound, atol=PCM16)
    assert audio_info(path).duration == pytest.approx(len(sound) / RATE)
    if kinds is not None:
        assert [note.kind for note in result.notes] == kinds


@pytest.mark.parametrize("kind", [*CHUNKED, "AU", "NIST"])
def test_data_beyond_the_stated_size_are_read(write, kind):
    stated_less = with_header_of(encode(HALF, kind), encode(SOUND, kind))
    assert_complete(write(stated_less), kinds=["header"])
    assert "the header states 1.00 s, the file has 2.00" in read_sound(write(stated_less)).notes[0].message
    assert_complete(write(encode(SOUND, kind)), kinds=[])


def test_the_warning_of_a_wrong_header_names_the_file(write):
    path = write(wav_with_size(2 * RATE))
    with pytest.warns(AudioWarning, match=r"sound: the header states 1.00 s, the file has 2.00"):
        load_audio(path)


@pytest.mark.parametrize("kind", [*CHUNKED, "AU", "NIST"])
def test_data_that_are_missing_are_an_error(write, kind):
    content = encode(SOUND, kind)
    for lost in (2000, len(content) // 2):
        with pytest.raises(InputError, match=r"truncated at \d\.\d\d s"):
            load_audio(write(content[:-lost]))


@pytest.mark.parametrize(
    "size", [0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x7FFFF000, 2_000_000_000, 0xFFFFFFDB, 0]
)
def test_placeholders_of_streaming_programs_are_not_lengths(write, size):
    assert_complete(write(wav_with_size(size)), kinds=[])


@pytest.mark.parametrize("extra", [1, 8, 36, 44, 100])
def test_a_header_that_states_a_few_bytes_too_much_is_harmless(write, extra):
    assert_complete(write(wav_with_size(4 * RATE + extra)), kinds=[])


def test_chunks_after_the_data_are_not_samples(write):
    wav = encode(SOUND, "WAV")
    assert_complete(write(wav + b"LIST" + struct.pack("<I", 10) + b"INFOIABCDE"), kinds=[])
    assert_complete(write(wav + b"id3 " + struct.pack("<I", 5000) + bytes(range(250)) * 20), kinds=[])
    assert_complete(write(wav + bytes(10_000)), kinds=[])
    assert_complete(write(wav + b"junk!"), kinds=[])


@pytest.mark.parametrize("kind", [*CHUNKED, "FLAC"])
def test_recordings_in_a_row_are_all_read(write, kind):
    twice = encode(SOUND, kind) + encode(HALF, kind)
    assert_complete(write(twice), np.concatenate([SOUND, HALF]), ["header"])


@pytest.mark.parametrize("total", [0, RATE])
def test_flac_with_an_unknown_or_wrong_number_of_samples_is_read(write, total):
    flac = bytearray(encode(SOUND, "FLAC"))
    flac[21] &= 0xF0
    flac[22:26] = struct.pack(">I", total)
    assert_complete(write(flac), kinds=["header"] if total else [])


def test_a_truncated_flac_is_an_error(write):
    flac = encode(SOUND, "FLAC")
    with pytest.raises(InputError, match=r"truncated at 1\.\d\d s"):
        load_audio(write(flac[: int(0.8 * len(flac))]))


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_chained_ogg_streams_are_all_read(write, subtype):
    ogg = encode(SOUND, "OGG", subtype)
    once, twice = (load_audio(write(ogg * n))[0] for n in (1, 2))
    np.testing.assert_array_equal(twice, np.concatenate([once, once]))
    assert audio_info(write(ogg * 3)).duration == pytest.approx(3 * len(once) / RATE)


def test_an_ogg_whose_last_page_lacks_its_end_mark_is_complete(write):
    ogg = bytearray(encode(SOUND, "OGG", "VORBIS"))
    last = ogg.rfind(b"OggS")
    ogg[last + 5] &= ~4
    ogg[last + 22 : last + 26] = struct.pack("<I", ogg_crc(ogg[last:]))
    assert len(load_audio(write(ogg))[0]) == len(SOUND)
    with pytest.raises(InputError, match="truncated"):
        load_audio(write(ogg[:-100]))


def ogg_crc(page: bytes) -> int:
    page = page[:22] + bytes(4) + page[26:]
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 1 << 31 else 0)) & 0xFFFFFFFF
    return crc


def test_an_mp3_without_its_xing_frame_is_read_to_its_end(write):
    speech = np.concatenate([0.001 * SOUND, SOUND, 0.001 * SOUND])  # a variable bit rate
    mp3 = encode(speech, "MP3", "MPEG_LAYER_III", bitrate_mode="VARIABLE")
    tag = mpeg_frame(mp3[:4])
    whole, _ = load_audio(write(mp3))
    rest, _ = load_audio(write(mp3[tag.length :]))
    assert len(rest) >= len(whole)
    assert len(rest) - len(whole) < 0.1 * RATE  # padding of the encoder, which the tag states
    delay = int(np.correlate(rest[: 5 * RATE], whole[2 * RATE : 3 * RATE]).argmax()) - 2 * RATE
    np.testing.assert_allclose(rest[delay:][3 * RATE : 5 * RATE], whole[3 * RATE : 5 * RATE], atol=1e-3)


@pytest.mark.parametrize("name", ["sound", "sound.mp3"])
def test_an_mp3_that_starts_within_a_frame_is_read_to_its_end(write, name):
    speech = np.concatenate([0.001 * SOUND, SOUND])  # the estimate from the first frames is wrong
    mp3 = encode(speech, "MP3", "MPEG_LAYER_III", bitrate_mode="VARIABLE")
    for start in (400, 1000):
        assert len(load_audio(write(mp3[start:], name))[0]) > len(speech) - 0.5 * RATE
    np.testing.assert_array_equal(load_audio(bytes(30_000) + mp3)[0], load_audio(mp3)[0])
    assert len(load_audio(write(bytes(3000) + mp3, name))[0]) == len(load_audio(mp3)[0])


def test_mp3_files_in_a_row_are_all_read(write):
    mp3 = encode(SOUND, "MP3", "MPEG_LAYER_III")
    samples, _ = load_audio(write(mp3 + mp3))
    assert len(samples) == pytest.approx(2 * len(SOUND), abs=0.3 * RATE)
    with pytest.raises(InputError, match="truncated"):
        load_audio(write(mp3[: len(mp3) // 2]))


def test_tags_around_an_mp3_are_not_frames(write):
    mp3 = encode(SOUND, "MP3", "MPEG_LAYER_III")
    id3 = b"ID3\x04\x00\x00" + bytes([0, 0, 8, 0]) + b"\xff\xfb" * 512
    np.testing.assert_array_equal(
        load_audio(write(id3 + mp3 + b"TAG" + bytes(125)))[0], load_audio(write(mp3))[0]
    )


@pytest.mark.parametrize("kind", [*CHUNKED[:4], "FLAC", "OGG"])
@pytest.mark.parametrize("size", [0, 10, 70_000])
def test_an_id3_tag_before_another_format_is_skipped(write, kind, size):
    content = encode(SOUND, kind, "VORBIS" if kind == "OGG" else "PCM_16")
    tag = (
        b"ID3\x03\0\0"
        + bytes([0, size >> 14, size >> 7 & 127, size & 127])
        + b"RIFF" * (size // 4)
        + bytes(size % 4)
    )
    expected, _ = load_audio(write(content))
    np.testing.assert_array_equal(load_audio(write(tag + content))[0], expected)
    np.testing.assert_array_equal(load_audio(tag + content)[0], expected)
    with pytest.raises(InputError, match="truncated"):
        load_audio(write(tag + content[: len(content) // 2]))


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3", "OGG"])
def test_files_that_macos_leaves_beside_a_recording_do_not_matter(tmp_path, kind):
    subtype = {"MP3": "MPEG_LAYER_III", "OGG": "VORBIS"}.get(kind, "PCM_16")
    path = tmp_path / f"x.{kind.lower()}"
    path.write_bytes(encode(SOUND, kind, subtype))
    expected, _ = load_audio(path)
    apple_double = struct.pack(">II16sHIII", 0x00051607, 0x00020000, b"Mac OS X", 1, 9, 38, 32) + bytes(32)
    (tmp_path / f"._{path.name}").write_bytes(apple_double)
    np.testing.assert_array_equal(load_audio(path)[0], expected)


def test_high_rates_are_rates(write):
    for rate in (352_800, 384_000, 768_000):
        samples, loaded = load_audio(write(encode(noise(rate // 4), "WAV", rate=rate)))
        assert (len(samples), loaded) == (rate // 4, rate)
        assert len(load_audio(write(encode(noise(rate // 4), "WAV", rate=rate)), RATE)[0]) == RATE // 4


def test_a_midi_sample_dump_is_not_read(write, capfd):
    with pytest.raises(InputError, match="not a sound file but MIDI"):
        load_audio(write(encode(SOUND[:8000], "SDS", "PCM_16")))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "subtype", ["ULAW", "IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "PCM_24", "DOUBLE"]
)
@pytest.mark.parametrize("size", ["half", "unknown", "eight more", "zero"])
def test_wrong_sizes_of_compressed_data_are_corrected(write, subtype, size):
    wav = encode(SOUND, "WAV", subtype)
    position = wav.find(b"data") + 4
    (stated,) = struct.unpack("<I", wav[position : position + 4])
    wrong = {"half": stated // 2, "unknown": 0xFFFFFFFF, "eight more": stated + 8, "zero": 0}[size]
    samples, _ = load_audio(write(wav[:position] + struct.pack("<I", wrong) + wav[position + 4 :]))
    complete, _ = load_audio(write(wav))
    np.testing.assert_array_equal(samples[: len(complete)], complete)
    assert len(samples) - len(complete) < 600  # the last block is filled


def test_placeholders_of_other_formats_are_not_lengths(write):
    au, caf = encode(SOUND, "AU"), encode(SOUND, "CAF")
    for size in (0xFFFFFFFF, 0, 2_000_000_000, 4 * RATE + 8):
        assert_complete(write(au[:8] + struct.pack(">I", size) + au[12:]), kinds=[])
    data = caf.find(b"data") + 4
    for size in (-1, 0, 2_000_000_000):
        assert_complete(write(caf[:data] + struct.pack(">q", size) + caf[data + 8 :]), kinds=[])


def test_chunks_after_the_data_of_w64_are_not_samples(write):
    chunk = (
        b"junk"
        + bytes.fromhex("f3acd3118cd100c04f8edb8a")
        + struct.pack("<q", 24 + 1000)
        + bytes(range(250)) * 4
    )
    assert_complete(write(encode(SOUND, "W64") + chunk), kinds=[])


def test_streams_of_other_rates_and_channels_in_a_row_are_converted(write):
    first = encode(SOUND, "OGG", "VORBIS")
    for second in (
        encode(noise(8000), "OGG", "VORBIS", 8000),
        encode(np.stack([HALF, HALF], axis=1), "OGG", "VORBIS"),
        encode(HALF, "OGG", "OPUS"),
    ):
        samples, rate = load_audio(write(first + second))
        assert rate == RATE
        assert len(samples) == pytest.approx(3 * RATE, abs=100)
    mp3 = encode(noise(88_200), "MP3", "MPEG_LAYER_III", 44_100) + encode(SOUND, "MP3", "MPEG_LAYER_III")
    assert len(load_audio(write(mp3))[0]) == pytest.approx(4 * 44_100, abs=5000)


def test_the_number_of_frames_in_an_mp3_tag_is_checked(write):
    mp3 = encode(SOUND, "MP3", "MPEG_LAYER_III")
    position = mp3.find(b"Xing") + 8
    (frames,) = struct.unpack(">I", mp3[position : position + 4])
    for stated in (frames // 2, 0):
        wrong = write(mp3[:position] + struct.pack(">I", stated) + mp3[position + 4 :])
        assert len(load_audio(wrong)[0]) == pytest.approx(len(SOUND), abs=2000)
    with pytest.raises(InputError, match="truncated"):
        load_audio(write(mp3[:position] + struct.pack(">I", 2 * frames) + mp3[position + 4 :]))


def test_files_made_to_take_long_are_read_or_refused_quickly(write):
    wav, flac = encode(HALF, "WAV"), encode(HALF, "FLAC")
    mp3, ogg = encode(HALF, "MP3", "MPEG_LAYER_III"), encode(HALF, "OGG", "VORBIS")
    size = 3_000_000
    page = bytes(20) + b"\0"
    files = [
        wav + b"RIFF" * (size // 4),
        wav + b"RIFF\0\0\0\0WAVE" * (size // 12),
        wav[:12] + bytes(size),
        wav[:12] + b"JUNK" + struct.pack("<I", 1 << 25) + bytes(1 << 25) + wav[12:],
        flac + b"\xff\xf8" * (size // 2),
        flac + (b"fLaC\0\0\0\x22" + bytes(4)) * (size // 12),
        ogg + (b"OggS\0\2" + page + b"OggS\0\0" + page) * (size // 54),
        mp3 + b"\xff" * size,
        b"ID3\4\0\0\0\0\0\0" * (size // 10) + mp3,
    ]
    for content in files:
        started = time.monotonic()
        with suppress(InputError):
            assert len(load_audio(write(content))[0]) == pytest.approx(RATE, abs=1000)
        assert time.monotonic() - started < 20


def test_more_than_a_thousand_recordings_in_a_file_are_refused(write):
    with pytest.raises(InputError, match="more than 1000 recordings in one file"):
        load_audio(write(encode(noise(200), "WAV") * 1001))
    assert len(load_audio(write(encode(noise(200), "WAV") * 100))[0]) == 20_000
