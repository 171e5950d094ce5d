"""Files of results: transcripts in every format, results of utterances, their comparison, and alignments."""

import json
from dataclasses import replace

import numpy as np
import pytest

from minids import cli
from minids.audio import load_audio, save_audio
from minids.data import importers
from minids.data.manifest import Utterance, read_manifest, write_manifest
from minids.features import Features
from minids.metrics import wer
from minids.model import DeepSpeech, ModelSettings
from minids.recognizer import Recognizer
from minids.text import Alphabet
from minids.transcript_formats import render
from minids.weights import SavedModel, save_model


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two models of random weights and four recordings of noise, in folders."""
    features = Features(rate=8000, bands=20, normalize="utterance")
    for seed in (3, 4):
        model = DeepSpeech(ModelSettings(features.size, 5, hidden=8, context=1, stride=2), seed)
        model.params["W6"] *= 30
        save_model(tmp_path / f"m{seed}.safetensors", SavedModel(model, features, Alphabet(" abc"), {}, {}))
    utterances = []
    for i, name in enumerate(("1.wav", "2.flac", "deep/1.wav", "deep/er/my talk.wav")):
        path = tmp_path / "speech" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        save_audio(path, np.random.default_rng(i).normal(0, 0.1, 10400 - 800 * i), 8000)
        utterances.append(Utterance(path, "Abc ab – a, b!", 1.3 - 0.1 * i, "ann", channel=0 if i else None))
    write_manifest(tmp_path / "m.jsonl", utterances)
    (tmp_path / "speech" / "._1.wav").write_bytes(b"of macOS")
    (tmp_path / "speech" / "notes.txt").write_text("not sound")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def minids(capsys):
    def call(line, *more):
        with pytest.raises(SystemExit) as end:
            cli.main([*line.split(), *more])
        out, err = capsys.readouterr()
        return end.value.code or 0, out, err

    return call


NAMES = ("1", "2", "deep/1", "deep/er/my talk")


def test_a_folder_is_transcribed_to_a_folder_in_every_format(place, minids):
    recognizer = Recognizer.load("m3.safetensors")
    for kind, suffix in {
        "json": "json",
        "srt": "srt",
        "vtt": "vtt",
        "ctm": "ctm",
        "textgrid": "TextGrid",
    }.items():
        line = f"transcribe speech --model m3.safetensors --format {kind} --out {kind}"
        code, out, _ = minids(line)
        assert (code, out.splitlines()) == (0, [f"{kind}/{name}.{suffix}" for name in NAMES])
        transcript = recognizer.transcribe("speech/2.flac")
        content = (place / kind / f"2.{suffix}").read_text()
        assert content == render(kind, place.joinpath("speech/2.flac").relative_to(place), transcript)
    letters = [
        c for word in json.loads((place / "json" / "2.json").read_text())["words"] for c in word["characters"]
    ]
    assert "".join(c["text"] for c in letters) == transcript.text.replace(" ", "")
    assert all(0 <= c["start"] < c["end"] <= 1.2 for c in letters)
    code, out, _ = minids("transcribe speech --model m3.safetensors --out text")
    assert (place / "text" / "1.txt").read_text() == recognizer.transcribe("speech/1.wav").text + "\n"
    code, out, _ = minids("transcribe speech --model m3.safetensors")
    assert [line.split(":")[0] for line in out.splitlines()][3] == "speech/deep/er/my talk.wav"


def test_our_importer_reads_our_textgrids(place, minids):
    minids("transcribe speech --model m3.safetensors --format textgrid --out speech")
    (utterances,) = importers.read("textgrid", place / "speech").splits.values()
    words = Recognizer.load("m3.safetensors").transcribe("speech/1.wav").words
    found = [u for u in utterances if u.path == place / "speech" / "1.wav"]
    assert [u.text for u in found] == [word.text for word in words]
    np.testing.assert_allclose([(u.start, u.end) for u in found], [w[1:3] for w in words], atol=1e-4)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("transcribe speech --format srt", "4 recordings need a file each; give --out FOLDER as well"),
        ("transcribe speech/1.wav --format srt --n-best 3", "--n-best has no --format srt"),
        ("transcribe speech/1.wav speech/1.mp3 --format srt --out o", "would both become o/1.srt"),
        ("transcribe empty", "empty: no sound files in this folder"),
        ("transcribe speech/1.wav --model m3.safetensors --out m.jsonl/x", "cannot create m.jsonl"),
        ("evaluate m.jsonl --model m3.safetensors --out gone/r.jsonl", "cannot write gone/r.jsonl"),
        ("compare m3.safetensors m4.safetensors", "m3.safetensors is a model; give a manifest"),
        ("compare m.jsonl m.jsonl m.jsonl", "two files of results need no manifest"),
        ("compare m.jsonl m.jsonl", "m.jsonl: neither a model nor results of `minids evaluate --out`"),
        ("compare gone.jsonl m.jsonl", "gone.jsonl: No such file"),
        ("compare deep.jsonl m.jsonl", "deep.jsonl: neither a model nor results"),
        ("transcribe speech --format ctm", "recordings of the same name would be one in a table"),
        ("align m.jsonl --out gone/parts.jsonl", "cannot write gone/parts.jsonl"),
        ("align m.jsonl --out ./m.jsonl", "m.jsonl is an input of this command"),
        ("evaluate m.jsonl --out m.jsonl", "m.jsonl is an input of this command"),
        ("align stereo.jsonl --format ctm --out o", "stereo.jsonl:2: has words at the same time as stereo"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(place, minids, line, message):
    (place / "empty").mkdir()
    both = read_manifest("m.jsonl")[:1] * 2
    write_manifest("stereo.jsonl", [replace(u, channel=channel) for channel, u in enumerate(both)])
    (place / "deep.jsonl").write_text("[" * 100_000)
    before = sorted(place.rglob("*"))
    code, out, err = minids(line)
    assert code in (1, 2)
    assert out == ""
    assert message in err
    assert err.count("error:") == 1
    assert sorted(place.rglob("*")) == before


def test_evaluate_writes_every_result(place, minids):
    _, out, _ = minids("evaluate m.jsonl --model m3.safetensors --json --out r.jsonl")
    rows = [json.loads(line) for line in (place / "r.jsonl").read_text().splitlines()]
    assert json.loads(out)["results"] == rows
    assert [row["path"] for row in rows] == [str(u.path) for u in read_manifest("m.jsonl")]
    for row in rows:
        score = wer(row["reference"], row["hypothesis"])
        assert row["reference"] == "abc ab a b"
        assert (row["substitutions"], row["deletions"], row["insertions"], row["words"]) == tuple(
            score.counts[0]
        )
        assert (row["speaker"], row["start"], row["end"]) == ("ann", 0, None)
        assert row["log_prob"] < 0
        assert row["characters"] == 10 <= row["character_errors"] + 10


def test_parts_of_one_recording_evaluate_as_files_do(place, minids):
    """40 parts of 20 minutes, to the last digit."""
    rng, whole, files, parts = np.random.default_rng(1), np.zeros(20 * 60 * 8000, np.float32), [], []
    for i, start in enumerate(np.sort(rng.choice(390, 40, replace=False)) * 3.0 + 0.125):
        samples = rng.normal(0, 0.1, int(rng.integers(3000, 20000)))
        save_audio(place / f"{i}.flac", samples, 8000)
        samples = load_audio(place / f"{i}.flac")[0]
        whole[int(start * 8000) :][: len(samples)] = samples
        files.append(Utterance(place / f"{i}.flac", "abc ab", len(samples) / 8000, "ann"))
        part = replace(files[-1], path=place / "whole.flac", start=start, end=start + len(samples) / 8000)
        parts.append(part)
    save_audio(place / "whole.flac", whole, 8000)
    outputs = []
    for name, utterances in (("files", files), ("parts", parts)):
        write_manifest(place / f"{name}.jsonl", utterances)
        arguments = "--model m3.safetensors --by speaker --json --beam-width 5"
        code, out, _ = minids(f"evaluate {name}.jsonl {arguments}")
        assert code == 0
        outputs.append(json.loads(out))
    results, from_parts = (output["results"] for output in outputs)
    assert len({row["log_prob"] for row in results}) == len({row["name"] for row in from_parts}) == 40
    assert [row["start"] for row in from_parts] == [part.start for part in parts]
    assert nameless(outputs[0]) == nameless(outputs[1])


def nameless(value):
    """The output without what names a recording or a part of it."""
    if isinstance(value, dict):
        return {k: nameless(v) for k, v in value.items() if k not in ("name", "path", "start", "end")}
    return [nameless(item) for item in value] if isinstance(value, list) else value


def test_two_models_are_compared_as_their_results_are(place, minids):
    for seed in (3, 4):
        minids(f"evaluate m.jsonl --model m{seed}.safetensors --out r{seed}.jsonl")
    code, out, err = minids("compare r3.jsonl r4.jsonl --json")
    assert (code, err) == (0, "")
    from_files = json.loads(out)
    from_models = json.loads(minids("compare m3.safetensors m4.safetensors m.jsonl --json")[1])
    for side in ("a", "b"):  # the order of the utterances may differ
        assert from_files[side]["rate"] == from_models[side]["rate"]
    difference, low, high = from_files["differences"]["wer"]
    assert difference == pytest.approx(from_files["b"]["rate"] - from_files["a"]["rate"])
    assert low <= difference <= high
    same = json.loads(minids("compare r3.jsonl r3.jsonl --json")[1])
    assert same["differences"] == {"wer": [0, 0, 0], "cer": [0, 0, 0]}
    assert (same["better"], same["examples"]) == ({"a": 0, "b": 0}, [])


def test_a_comparison_shows_the_utterances_that_differ_most(place, minids):
    rows = [{"name": f"u{i}", "reference": "a b c d", "hypothesis": "a b c d"} for i in range(9)]
    (place / "good.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    rows[5]["hypothesis"], rows[7]["hypothesis"] = "a b c", "\x1b x x x"
    (place / "bad.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows[1:]))
    code, out, err = minids("compare bad.jsonl good.jsonl")
    assert (code, "\x1b" in out) == (0, False)
    assert "1 utterances with a result in only one of" in err
    assert "WER of B minus A: -15.6 points (95 % interval -" in out
    assert "of 8 utterances A is better in 0, B in 2" in out
    assert [line for line in out.splitlines() if line.startswith("u")] == ["u7", "u5"]
    rows[5]["reference"] = "other"
    (place / "other.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    code, out, err = minids("compare good.jsonl other.jsonl")
    assert (code, out) == (1, "")
    assert "u5: good.jsonl and other.jsonl have different texts" in err


def test_align_writes_parts_that_keep_the_spelling(place, minids):
    code, out, _ = minids("align m.jsonl --model m3.safetensors --out parts.jsonl")
    assert (code, out) == (0, "parts.jsonl: 4 parts\n")
    for part, whole in zip(read_manifest("parts.jsonl"), read_manifest("m.jsonl"), strict=True):
        assert (part.path, part.text, part.speaker, part.channel) == (
            whole.path,
            whole.text,
            "ann",
            whole.channel,
        )
        assert 0 <= part.start < part.end <= whole.duration
        assert len(part.load_audio(8000)[0]) == pytest.approx(8000 * part.duration, abs=1)


def test_align_writes_the_words_of_each_recording(place, minids, monkeypatch):
    monkeypatch.setattr("minids.decode.align.MAX_LOSS", 99.0)  # random weights
    both = [
        Utterance(place / "speech" / "1.wav", t, 0.4, start=s, end=s + 0.4) for s, t in ((0.5, "b"), (0, "a"))
    ]
    write_manifest("parts.jsonl", [*both, Utterance(place / "gone.wav", "a", 1.0)])
    code, out, err = minids("align parts.jsonl --model m3.safetensors --format ctm --out words")
    assert (code, out) == (0, "words/speech/1.ctm\n")
    assert "gone.wav" in err
    rows = [line.split() for line in (place / "words" / "speech" / "1.ctm").read_text().splitlines()]
    assert [(row[0], row[1], row[4]) for row in rows] == [("1", "1", "a"), ("1", "1", "b")]
    starts, durations = (np.array([float(row[k]) for row in rows]) for k in (2, 3))
    assert 0 <= starts[0] < starts[0] + durations[0] <= 0.4 < starts[1] < starts[1] + durations[1] <= 0.9001


def test_a_recording_with_two_lines_has_two_results(place, minids):
    first, second, *_ = read_manifest("m.jsonl")
    write_manifest("twice.jsonl", [first, second, replace(first, text="c")])
    minids("evaluate twice.jsonl --model m3.safetensors --out a.jsonl")
    rows = [json.loads(line) for line in (place / "a.jsonl").read_text().splitlines()]
    assert [row["line"] for row in rows] == [1, 2, 3]
    assert [row["reference"] for row in rows][2] == "c"
    code, out, _ = minids("compare a.jsonl a.jsonl")
    assert (code, "of 3 utterances A is better in 0" in out) == (0, True)
