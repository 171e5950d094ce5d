"""Dataset validation: every planted problem is found once with its line, and none in good data."""

import json
import unicodedata

import numpy as np
import pytest
import soundfile

from minids import cli
from minids._utils.errors import InputError
from minids.data.doctor import validate_dataset
from minids.data.findings import KINDS
from minids.features import Features
from minids.model import DeepSpeech, ModelSettings
from minids.text import Alphabet
from minids.weights import SavedModel, save_model
from tests import DATA

RATE = 16_000
SECONDS = 1.0  # at stride 2: 99 frames of 20 ms, 50 steps


def speech(seconds=SECONDS, rate=RATE, rms=0.05):
    return np.random.default_rng(0).normal(0, rms, round(seconds * rate))


@pytest.fixture
def corpus(tmp_path):
    """A function that writes recordings and their manifest; a row is text, or (text, what differs)."""

    def write(*rows, name="m.jsonl", end="\n", begin=""):
        lines = []
        for i, row in enumerate(rows):
            text, changes = row if isinstance(row, tuple) else (row, {})
            changes = dict(changes)
            if "line" in changes:
                lines.append(changes["line"])
                continue
            samples, rate = changes.pop("samples", speech()), changes.pop("rate", RATE)
            path = f"{name}.{i}.wav"
            fields = {"path": path, "duration": len(samples) / rate, "text": text, "speaker": name}
            soundfile.write(tmp_path / path, samples, rate, subtype=changes.pop("subtype", "PCM_16"))
            lines.append(json.dumps(fields | changes, ensure_ascii=False))
        path = tmp_path / name
        path.write_bytes((begin + end.join([*lines, ""])).encode())
        return path

    return write


def kinds_and_lines(report):
    return [(f.kind, f.line) for f in report.findings]


def test_good_data_has_no_findings(corpus):
    report = validate_dataset(corpus("go", "stop", "IT'S  me"))
    assert (kinds_and_lines(report), report.valid, report.counts) == ([], True, {})
    (summary,) = report.summaries
    assert (summary.utterances, summary.shortest, summary.longest) == (3, 1, 1)
    assert (summary.speakers, summary.rates) == ({"m.jsonl"}, {RATE: 3})
    assert report.to_dict()["hours"] == pytest.approx(3 / 3600)


def test_each_problem_is_found_once_with_its_line(corpus, tmp_path):
    clipped = np.clip(speech(rms=1.0), -1, 1)
    path = corpus(
        "fine",
        ("go", {"path": "gone\n.wav"}),
        ("go", {"path": "text.wav"}),
        ("go", {"samples": np.zeros(RATE)}),
        ("go", {"samples": np.full(RATE, 0.3)}),  # an offset is not sound
        ("go", {"samples": speech(rms=1e-4)}),
        ("go", {"samples": clipped}),
        ("go", {"samples": 0.5 * clipped}),
        ("go", {"samples": speech(rate=8000), "rate": 8000}),
        ("go", {"samples": speech(rate=44_100), "rate": 44_100}),
        "  ",
        ("go", {"duration": 1.5}),
        ("go", {"path": "m.jsonl.0.wav"}),
        ("go", {"line": '{"path": "m.jsonl.0.wav"'}),
        ("go", {"samples": speech(31.0)}),
        ("go", {"samples": np.full(RATE, np.nan), "subtype": "FLOAT"}),
        ("go", {"path": "."}),
    )
    (tmp_path / "text.wav").write_text("This is not a sound.")
    report = validate_dataset(path)
    assert kinds_and_lines(report) == [
        ("missing", 2),
        ("unreadable", 3),
        ("silent", 4),
        ("silent", 5),
        ("silent", 6),
        ("clipped", 7),
        ("clipped", 8),
        ("low rate", 9),
        ("empty text", 11),
        ("duration", 12),
        ("duplicate", 13),
        ("invalid line", 14),
        ("very long", 15),
        ("unreadable", 16),
        ("unreadable", 17),
    ]
    assert not report.valid
    assert all(str(f).startswith(f"{path}:{f.line}: {f.kind}") and f.remedy for f in report.findings)
    assert all(str(f).isprintable() for f in report.findings)  # a line each, whatever the name
    assert report.findings[10].message.endswith("m.jsonl:1")
    assert sum(report.counts.values()) == len(report.findings)


def test_a_dataset_with_only_notes_is_valid(corpus):
    assert validate_dataset(corpus(("go", {"samples": np.clip(speech(rms=1.0), -1, 1)}))).valid
    assert not validate_dataset(corpus(("go", {"samples": np.zeros(RATE)}))).valid
    assert not validate_dataset(corpus()).valid  # no lines at all


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_recording_too_short_for_its_text_after_the_stride_is_found(corpus, stride):
    steps = {1: 99, 2: 50, 3: 33}[stride]  # of 99 frames
    fits, misses = "ab" * (steps // 2) + "a" * (steps % 2), "ab" * (steps // 2) + "ac"[: 1 + steps % 2]
    repeats = "aab" * (steps // 4)  # 3 labels, of which two are equal neighbors: 4 steps each
    rest = "c" * (steps - 4 * (steps // 4) > 0)  # one more step may be left
    path = corpus(fits, misses, repeats + rest, repeats + "cdef")
    assert kinds_and_lines(validate_dataset(path, stride=stride)) == [("too short", 2), ("too short", 4)]


def test_too_short_counts_frames_at_the_rate_of_the_model(corpus):
    row = ("ab" * 25, {"samples": speech(rate=8000), "rate": 8000})
    for rate in (8000, 16_000):
        assert "too short" not in validate_dataset(corpus(row), features=Features(rate=rate)).counts
    assert "too short" in validate_dataset(corpus(row), features=Features(rate=8000, hop_ms=11.0)).counts


def test_characters_outside_the_alphabet_are_listed_with_their_code_points(corpus):
    texts = ("café", unicodedata.normalize("NFD", "café"), "pаt", "x\u0302y", "a\ufeffb", "go")
    report = validate_dataset(corpus(*texts))
    kinds = [*[("characters", line) for line in (1, 2, 3, 4)], ("removed characters", 5)]
    assert kinds_and_lines(report) == kinds
    assert report.outside == {"é": 2, "а": 1, "x\u0302": 1}
    assert report.removed == {"\ufeff": 1}
    assert "U+00E9 LATIN SMALL LETTER E WITH ACUTE" in report.findings[1].message
    assert "U+0430 CYRILLIC SMALL LETTER A" in report.findings[2].message
    assert "U+0078 U+0302 LATIN SMALL LETTER X + COMBINING CIRCUMFLEX" in report.findings[3].message
    assert all(str(finding).isprintable() for finding in report.findings)
    assert validate_dataset(corpus(*texts), Alphabet([*"acfgbytpo", "é", "а", "x\u0302", "\ufeff"])).valid


def test_an_alphabet_for_all_texts_is_proposed(corpus):
    report = validate_dataset(corpus("Déjà vu", "l'été", "go!", "<noise> oui"))
    assert report.alphabet == " 'abcdefghijklmnopqrstuvwxyzàé"
    assert f'\nalphabet = "{report.alphabet}"' in report.table()
    assert report.to_dict()["alphabet_of_texts"] == report.alphabet
    assert not validate_dataset(corpus("Déjà vu", "go"), Alphabet(report.alphabet)).outside
    assert validate_dataset(corpus("왜"), Alphabet("그")).alphabet == "그왜"
    assert validate_dataset(corpus("5")).alphabet == validate_dataset(corpus("go")).alphabet == ""


def test_composed_and_decomposed_hangul_fit_the_alphabet(corpus):
    texts = ["왜 그래", unicodedata.normalize("NFD", "왜 그래")]
    assert texts[0] != texts[1]
    assert not kinds_and_lines(validate_dataset(corpus(*texts), Alphabet(" 왜그래")))
    assert validate_dataset(corpus(*texts), Alphabet(" 왜그")).outside == {"래": 2}


def test_a_byte_order_mark_and_line_ends_of_windows_are_no_findings(corpus):
    report = validate_dataset(corpus("go", "stop\tnow", end="\r\n", begin="\ufeff"))
    assert not report.findings
    assert report.summaries[0].utterances == 2


def test_an_unusual_speaking_rate_is_found(corpus):
    rows = ["hello you" + "ab"[: i % 3] for i in range(30)]
    assert not kinds_and_lines(validate_dataset(corpus(*rows)))
    rows[17] = ("a much longer text", {"samples": speech(12.0)})
    rows[20] = ("a", {"samples": speech(6.0)})
    assert kinds_and_lines(validate_dataset(corpus(*rows))) == [("unusual pace", 18), ("unusual pace", 21)]


def test_recordings_and_speakers_in_two_splits_are_found(corpus):
    train = corpus("go", "stop", name="train.jsonl")
    dev = corpus("go", ("stop", {"path": "train.jsonl.1.wav"}), name="dev.jsonl")
    test = corpus(("go", {"speaker": "train.jsonl"}), name="test.jsonl")
    report = validate_dataset([train, dev, test])
    assert [(f.kind, f.manifest, f.line) for f in report.findings] == [
        ("duplicate", str(dev), 2),
        ("speaker overlap", str(test), 0),
    ]
    assert [s.utterances for s in report.summaries] == [2, 2, 1]


def test_a_missing_manifest_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"no\.jsonl"):
        validate_dataset(tmp_path / "no.jsonl")


def test_every_one_of_many_lines_is_checked(corpus):
    """More lines than threads and their queue hold: results keep their lines."""
    rows = [("go", {"samples": np.zeros(RATE)} if i % 7 == 3 else {}) for i in range(60)]
    assert kinds_and_lines(validate_dataset(corpus(*rows))) == [
        ("silent", i + 1) for i in range(60) if i % 7 == 3
    ]


@pytest.mark.parametrize(("corpus", "rate"), [("an4", 16_000), ("fsdd", 8000)])
def test_real_recordings_have_no_findings(corpus, rate):
    """The limits of silence, clipping, duration and pace: real speech lies within all of them."""
    manifest = DATA / corpus / "test.jsonl"
    if not manifest.is_file():
        pytest.skip("no real speech; set MINIDS_DATA to its folder")
    report = validate_dataset(manifest, features=Features(rate=rate))
    assert not report.findings
    assert report.summaries[0].utterances >= 130


def test_parts_of_a_recording_are_checked_by_themselves(corpus, tmp_path):
    samples = np.concatenate([speech(2.0), np.zeros(RATE), speech(2.0)])
    soundfile.write(tmp_path / "long.wav", samples, RATE)
    long = {"path": "long.wav", "duration": None}
    path = corpus(
        ("go", long | {"start": 0, "end": 1}),
        ("go", long | {"start": 1, "end": 2}),
        ("go", long | {"start": 2, "end": 3}),
        ("go", long | {"start": 3, "end": 9}),
        ("go", long | {"offset": 0, "duration": 1}),
        ("ab" * 26, long | {"start": 3, "end": 4}),
        ("go", long | {"start": 3.5, "end": 4.5}),
        ("go", {"start_time": 0, "end_time": 0.5}),
    )
    assert kinds_and_lines(validate_dataset(path)) == [
        ("silent", 3),
        ("unreadable", 4),
        ("duplicate", 5),
        ("too short", 6),
        ("ignored field", 8),
    ]


def test_parts_that_overlap_between_splits_are_found(corpus, tmp_path):
    soundfile.write(tmp_path / "long.wav", speech(9.0), RATE)
    part = {"path": "long.wav", "duration": None, "speaker": None}
    train = corpus(*(("go", part | {"start": i, "end": i + 1}) for i in (0, 2, 4)), name="train.jsonl")
    dev = corpus(
        ("go", part | {"start": 1, "end": 2.05}), ("go", part | {"start": 4.5, "end": 6}), name="dev.jsonl"
    )
    report = validate_dataset([train, dev])
    (finding,) = report.findings
    assert (finding.kind, finding.manifest, finding.line) == ("duplicate", str(dev), 2)
    assert f"overlaps by 0.50 s with {train}:3" in finding.message


def test_the_same_manifest_twice_and_links_to_a_recording_are_duplicates(corpus, tmp_path):
    path = corpus("go", "stop")
    report = validate_dataset([path, path])
    assert report.counts == {"duplicate": 2, "speaker overlap": 1}
    (tmp_path / "link.wav").symlink_to(tmp_path / "m.jsonl.0.wav")
    (tmp_path / "hard.wav").hardlink_to(tmp_path / "m.jsonl.1.wav")
    train = corpus("go", "stop")
    dev = corpus(("go", {"path": "link.wav"}), ("go", {"path": "hard.wav"}), name="dev.jsonl")
    assert validate_dataset([train, dev]).counts == {"duplicate": 2}


def test_notes_of_the_reader_are_findings(corpus, tmp_path):
    wav = corpus("go").with_name("m.jsonl.0.wav")
    content = wav.read_bytes()
    wav.write_bytes(content[:40] + (RATE).to_bytes(4, "little") + content[44:])
    assert kinds_and_lines(validate_dataset(tmp_path / "m.jsonl")) == [("header", 1)]
    path = corpus(("go", {"samples": np.stack([speech(), -speech()], axis=1)}))
    report = validate_dataset(path)
    assert kinds_and_lines(report) == [("channels", 1)]
    assert report.valid


# The command ----------------------------------------------------------------------------------------------


def minids(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["data", *map(str, arguments)])
    return end.value.code or 0, capsys.readouterr()


def test_command_prints_findings_table_and_exit_code(corpus, capsys):
    path = corpus("go", "café", ("go", {"path": "gone.wav"}))
    code, output = minids(capsys, "doctor", path)
    assert code == 1
    assert f"{path}:3: missing: {path.parent / 'gone.wav'}" in output.out
    assert KINDS["missing"].remedy in output.out
    assert output.err == ""  # a bar is for terminals
    assert "checked" not in output.out
    assert minids(capsys, "doctor", corpus("go"))[0] == 0


def test_command_prints_json(corpus, capsys):
    path = corpus("go", "café")
    code, output = minids(capsys, "doctor", path, "--json", "--alphabet", "gocaf")
    report = json.loads(output.out)
    assert code == 1
    assert report["counts"] == {"characters": 1}
    assert report["characters_outside_alphabet"] == {"é": 1}
    assert report["findings"][0]["line"] == 2
    assert report["findings"][0]["remedy"]
    assert report["manifests"][0]["hours"] == pytest.approx(2 / 3600)


def test_command_uses_rate_and_stride(corpus, capsys):
    path = corpus(("ab" * 20, {"samples": speech(rate=8000), "rate": 8000}))
    assert minids(capsys, "doctor", path, "--rate", 8000)[0] == 0
    assert minids(capsys, "doctor", path, "--rate", 8000, "--stride", 3)[0] == 1


def test_command_takes_the_settings_of_a_model(corpus, capsys, tmp_path):
    features, alphabet = Features(rate=8000, bands=4, normalize="utterance"), Alphabet("go")
    network = DeepSpeech(
        ModelSettings(features.size, len(alphabet), hidden=3, context=1, stride=4), backend="reference"
    )
    save_model(tmp_path / "m.safetensors", SavedModel(network, features, alphabet, {}, {}))
    path = corpus("go", "gone", "go" * 12 + "g", "go" * 13)  # 99 frames, 25 steps
    code, output = minids(capsys, "doctor", path, "--model", tmp_path / "m.safetensors", "--json")
    report = json.loads(output.out)
    assert code == 1
    assert [(f["kind"], f["line"]) for f in report["findings"]] == [("characters", 2), ("too short", 4)]
    code, output = minids(capsys, "doctor", path, "--model", tmp_path / "m.safetensors", "--rate", 8000)
    assert code == 2


def test_an_invalid_alphabet_is_a_one_line_error(corpus, capsys):
    code, output = minids(capsys, "doctor", corpus("go"), "--alphabet", "aab")
    assert code == 1
    assert (
        output.err.strip()
        == "minids: error: --alphabet: the alphabet names 'a' twice; list each character once"
    )


def test_import_command_prints_counts_and_missing_recordings(tmp_path, capsys):
    for index in (0, 10):
        (tmp_path / "recordings").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "recordings" / f"3_jackson_{index}.wav", speech(rate=8000), 8000)
    (tmp_path / "recordings" / "3_jackson_11.wav").write_bytes(b"")
    out = tmp_path / "out"
    code, output = minids(capsys, "import", "fsdd", tmp_path, "--out", out)
    assert code == 0
    assert f"{out / 'test.jsonl'}: 1 utterances" in output.out
    assert "3_jackson_11.wav" in output.err
    code, output = minids(capsys, "import", "fsdd", tmp_path, "--out", out, "--json")
    result = json.loads(output.out)
    assert result["manifests"][str(out / "speaker_train.jsonl")]["utterances"] == 2
    assert len(result["missing"]) == 1
    assert minids(capsys, "doctor", out / "train.jsonl", out / "test.jsonl", "--rate", 8000)[0] == 0


def test_a_rate_below_that_of_the_features_is_a_note_on_one_line_of_the_table(corpus, capsys):
    """As in train, evaluate and transcribe, which use such recordings."""
    path = corpus(*[("go", {"samples": speech(rate=8000), "rate": 8000})] * 30)
    code, output = minids(capsys, "doctor", path)
    (row,) = [line for line in output.out.splitlines() if line.startswith("   30  low rate")]
    assert code == 0
    assert "`rate` in [features]" in row
    assert "--rate" in row
    assert output.out.count(": low rate: ") == 3
    assert "findings (27 more: --json lists all)" in output.out
    assert "No errors that would abort training or degrade the model." in output.out
    assert minids(capsys, "doctor", path, "--rate", 8000)[1].out.count("low rate") == 0


def test_command_prints_the_table_and_three_examples_of_each_kind(corpus, capsys):
    """The text of another language against the default alphabet: no line for each of its sentences."""
    path = corpus(*["왜 그래"] * 50, ("go", {"path": "gone.wav"}))
    code, output = minids(capsys, "doctor", path)
    lines = output.out.splitlines()
    assert code == 1
    assert lines[0].startswith("manifest")
    assert sum(line.startswith(f"{path}:") for line in lines) == 4
    assert any(line.startswith(f"{path}:51: missing") for line in lines)
    assert "findings (47 more: --json lists all)" in lines
    code, output = minids(capsys, "doctor", path, "--json")
    assert len(json.loads(output.out)["findings"]) == 51


@pytest.mark.parametrize("option", ["--snr"])
@pytest.mark.parametrize("bad", ["nan", "inf", "-inf"])
def test_noise_command_refuses_numbers_that_are_not_finite(corpus, capsys, tmp_path, option, bad):
    wav = corpus("go").with_name("m.jsonl.0.wav")
    code, output = minids(capsys, "noise", wav, "--noise", wav, f"{option}={bad}", "--out", tmp_path / "out")
    assert code == 2
    assert option in output.err
    assert not (tmp_path / "out").exists()
