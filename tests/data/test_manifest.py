"""Manifests: a written manifest round-trips, and an invalid line is reported with its number."""

import json
import tracemalloc
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile

from minids._utils.errors import InputError
from minids.data.manifest import Utterance, read_manifest, write_manifest
from minids.text import Alphabet

GOOD = '{"path": "a.wav", "duration": 1.5, "text": "go", "speaker": "x"}'


def manifest(folder: Path, *lines: str | bytes) -> Path:
    path = folder / "manifest.jsonl"
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    return path


def test_all_fields_round_trip_with_relative_paths(tmp_path):
    (tmp_path / "sound").mkdir()
    (tmp_path / "lists").mkdir()
    written = [
        Utterance(tmp_path / "sound" / "a b.flac", "it's", 1.25, "fash", extra={"snr": 6, "split": "dev"}),
        Utterance(tmp_path / "lists" / "é.wav", "왜 그래", 0.5),
    ]
    path = tmp_path / "lists" / "m.jsonl"
    write_manifest(path, written)

    first, second = read_manifest(path)
    assert (first.path, first.text, first.duration) == (written[0].path, "it's", 1.25)
    assert (first.speaker, first.extra) == ("fash", {"snr": 6, "split": "dev"})
    assert (first.line, first.source, first.location) == (1, path, f"{path}:1")
    assert (second.path, second.text, second.speaker, second.extra, second.line) == (
        *(written[1].path, "왜 그래", None),
        *({}, 2),
    )
    raw = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["path"] for row in raw] == ["../sound/a b.flac", "é.wav"]


def test_paths_are_relative_to_the_real_folder_of_a_link(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "er")
    (tmp_path / "a.wav").touch()
    write_manifest(tmp_path / "link" / "m.jsonl", [Utterance(tmp_path / "a.wav", "go", 1.0)])
    assert json.loads((tmp_path / "link" / "m.jsonl").read_text())["path"] == "../../a.wav"
    assert read_manifest(tmp_path / "link" / "m.jsonl")[0].path.samefile(tmp_path / "a.wav")
    write_manifest(tmp_path / "link" / "m.jsonl", [Utterance(tmp_path / "link" / "b.wav", "go", 1.0)])
    assert json.loads((tmp_path / "link" / "m.jsonl").read_text())["path"] == "b.wav"


def test_a_corpus_can_be_moved_with_its_manifest(tmp_path):
    (tmp_path / "old").mkdir()
    write_manifest(tmp_path / "old" / "m.jsonl", [Utterance(tmp_path / "old" / "wav" / "a.wav", "go", 1.0)])
    (tmp_path / "old").rename(tmp_path / "new")
    assert read_manifest(tmp_path / "new" / "m.jsonl")[0].path == tmp_path / "new" / "wav" / "a.wav"


def test_a_missing_duration_is_read_from_the_recording(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(4000), 8000)
    path = manifest(tmp_path, '{"path": "a.wav", "text": "go"}', '{"path": "gone.wav", "text": "go"}')
    assert [u.duration for u in read_manifest(path)] == [0.5, 0.0]


def test_byte_order_mark_crlf_and_empty_lines_are_ignored(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode() + b"\r\n\r\n  \r\n" + GOOD.encode())
    assert [(u.line, u.text) for u in read_manifest(path)] == [(1, "go"), (4, "go")]


def test_decomposed_hangul_is_normalized_to_syllables(tmp_path):
    text = "왜 그래요"
    decomposed = unicodedata.normalize("NFD", text)
    assert len(decomposed) == 9  # two letters (jamo) in each syllable
    path = manifest(tmp_path, json.dumps({"path": "a.wav", "text": decomposed, "duration": 1}))
    (utterance,) = read_manifest(path)
    assert utterance.text == text
    for symbols in (" 그래왜요", unicodedata.normalize("NFD", " 그래왜요")):
        assert Alphabet(symbols).encode(utterance.text).tolist() == [4, 1, 2, 3, 5]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"path": "a.wav", "text": "go"', "not JSON"),
        ("a.wav go", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('["a.wav", "go"]', "not a JSON object"),
        ('{"text": "go"}', 'no "path"'),
        ('{"path": "a.wav"}', 'no "text"'),
        ('{"path": "", "text": "go"}', "not a file name"),
        ('{"path": "a\\u0000.wav", "text": "go"}', "not a file name"),
        ('{"path": 3, "text": "go"}', '"path" is not a string'),
        ('{"path": "a.wav", "text": null}', '"text" is not a string'),
        ('{"path": "a.wav", "text": "\\ud800"}', "surrogate"),
        ('{"path": "a.wav", "text": "go", "duration": "1.5"}', '"duration" is not a number'),
        ('{"path": "a.wav", "text": "go", "duration": true}', '"duration" is not a number'),
        ('{"path": "a.wav", "text": "go", "duration": -1}', '"duration" is not a number'),
        ('{"path": "a.wav", "text": "go", "duration": NaN}', '"duration" is not a number'),
        ('{"path": "a.wav", "text": "go", "duration": 1e999}', '"duration" is not a number'),
        ('{"path": "a.wav", "text": "go", "duration": 1e300}', '"duration" is not a number'),
        (f'{{"path": "a.wav", "text": "go", "duration": 1{"0" * 400}}}', '"duration" is not a number'),
        ('{"path": "a.wav", "text": "go", "duration": 1, "speaker": []}', '"speaker" is not a string'),
        ('{"path": "a.wav", "text": "go", "start": "0"}', '"start" is not a number of seconds'),
        ('{"path": "a.wav", "text": "go", "start": 1, "end": NaN}', '"end" is not a number of seconds'),
        (
            '{"path": "a.wav", "text": "go", "offset": -1, "duration": 1}',
            '"offset" is not a number of seconds',
        ),
        ('{"path": "a.wav", "text": "go", "start": 2, "end": 2}', '"end" = 2 is not after the start, 2 s'),
        ('{"path": "a.wav", "text": "go", "end": 0}', '"end" = 0 is not after the start, 0 s'),
        ('{"path": "a.wav", "text": "go", "start": 1, "offset": 2, "end": 3}', '"start" and "offset" differ'),
        ('{"path": "a.wav", "text": "go", "offset": 1, "duration": 0}', '"duration" of a part is 0'),
        ('{"path": "a.wav", "text": "go", "duration": 1, "channel": -1}', '"channel" is not a number'),
        ('{"path": "a.wav", "text": "go", "duration": 1, "channel": true}', '"channel" is not a number'),
        (b'{"path": "a.wav", "text": "\xe9t\xe9"}', "byte 28 is not UTF-8"),
    ],
)
def test_an_invalid_line_is_reported_with_its_remedy(tmp_path, line, problem):
    path = manifest(tmp_path, *[GOOD] * 6, line, GOOD)
    with pytest.raises(InputError) as error:
        read_manifest(path)
    message = str(error.value)
    assert message.startswith(f"{path}:7: ")
    assert problem in message
    assert ";" in message  # the remedy
    assert "\n" not in message


@pytest.mark.parametrize("content", [None, b"", b"\n \n"])
def test_a_missing_or_empty_manifest_is_reported(tmp_path, content):
    path = tmp_path / "m.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"m\.jsonl"):
        read_manifest(path)


def test_a_folder_instead_of_a_manifest_is_reported(tmp_path):
    with pytest.raises(InputError, match="cannot read the manifest"):
        read_manifest(tmp_path)


def test_a_speaker_may_be_a_number(tmp_path):
    path = manifest(tmp_path, '{"path": "a.wav", "text": "go", "duration": 1, "speaker": 19}')
    assert read_manifest(path)[0].speaker == "19"


def test_a_failed_write_leaves_the_old_manifest(tmp_path):
    path = manifest(tmp_path, GOOD)
    before = path.read_bytes()

    def utterances():
        yield Utterance(tmp_path / "a.wav", "go", 1.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_manifest(path, utterances())
    unwritable = Utterance(tmp_path / "\udcff.wav", "go", 1.0)  # a file name that is not UTF-8
    with pytest.raises(InputError, match="rename the file"):
        write_manifest(path, [unwritable])
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_an_utterance_takes_little_memory(tmp_path):
    """A thousand hours are some 300,000 of them."""
    lines = (f'{{"path": "{i}.wav", "duration": 9, "text": "go", "speaker": "x"}}' for i in range(2000))
    path = manifest(tmp_path, *lines)
    read_manifest(path)  # imports and caches do not belong to the utterances
    tracemalloc.start()
    utterances = read_manifest(path)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(utterances) < 800  # bytes
    assert not hasattr(utterances[0], "__dict__")


def test_the_duration_of_a_part_is_that_of_a_file_with_its_samples(tmp_path):
    """To the digit, at any position: batches, and with them the order of results, follow the durations."""
    rng = np.random.default_rng(0)
    for count, first in zip(*rng.integers(1, [[200_000], [10**8]], (2, 500)).tolist(), strict=True):
        line = {"path": "a.wav", "text": "go", "start": first / 16000, "end": (first + count) / 16000}
        (part,) = read_manifest(manifest(tmp_path, json.dumps(line)))
        assert part.duration == round(count / 16000, 4)


@pytest.mark.parametrize(
    ("fields", "start", "end", "duration"),
    [
        ('"start": 1, "end": 2.5', 1, 2.5, 1.5),
        ('"start": 1, "end": 2.5, "duration": 20', 1, 2.5, 1.5),
        ('"offset": 1, "duration": 1.5', 1, 2.5, 1.5),
        ('"start": 1, "duration": 1.5', 1, 2.5, 1.5),
        ('"offset": 0, "duration": 0.5', 0, 0.5, 0.5),
        ('"end": 0.5', 0, 0.5, 0.5),
        ('"start": 1', 1, None, 2),
        ('"offset": 1, "duration": null', 1, None, 2),
        ('"start": null, "end": null, "offset": null', 0, None, 3),
        ('"duration": 3', 0, None, 3),
    ],
)
def test_parts_of_recordings_are_read_and_round_trip(tmp_path, fields, start, end, duration):
    samples = np.random.default_rng(0).normal(0, 0.1, 24_000)
    soundfile.write(tmp_path / "a.wav", samples, 8000)
    path = manifest(tmp_path, f'{{"path": "a.wav", "text": "go", {fields}}}')
    (utterance,) = read_manifest(path)
    assert (utterance.start, utterance.end, utterance.duration) == (start, end, duration)
    assert utterance.extra == {}
    loaded, _ = utterance.load_audio()
    np.testing.assert_allclose(loaded, samples[round(start * 8000) :][: round(duration * 8000)], atol=1e-4)
    assert ("s to" in utterance.name) == utterance.is_part
    write_manifest(tmp_path / "copy.jsonl", [utterance])
    (copy,) = read_manifest(tmp_path / "copy.jsonl")
    assert (copy.start, copy.end, copy.duration) == (start, end, duration)


def test_a_channel_is_read_and_round_trips(tmp_path):
    channels = np.random.default_rng(0).normal(0, 0.1, (8000, 2))
    soundfile.write(tmp_path / "a.wav", channels, 8000)
    path = manifest(tmp_path, '{"path": "a.wav", "text": "go", "channel": 1}')
    write_manifest(tmp_path / "copy.jsonl", read_manifest(path))
    (utterance,) = read_manifest(tmp_path / "copy.jsonl")
    assert utterance.name.endswith("a.wav [channel 1]")
    np.testing.assert_allclose(utterance.load_audio()[0], channels[:, 1], atol=1e-4)


def test_a_manifest_behind_a_loop_of_symbolic_links_is_an_error(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"loop/a\.jsonl.*check the path"):
        read_manifest(tmp_path / "loop/a.jsonl")
