"""`minids init` on layouts that nobody prepared: two commands until training runs."""

import json
import shlex
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from minids import cli
from minids._utils.errors import InputError
from minids.data.manifest import Utterance, read_manifest
from minids.text import Alphabet
from minids.training import prepare as prepare_module
from minids.training.prepare import MAX_UNIT, split, split_name
from minids.training.settings import read_settings

TEXTS = ("turn the light on", "open the window", "what time is it", "louder, please", "stop", "call ann back")
KOREAN = ("안녕하세요", "값을 읽다", "넓은 강", "시간이 없어요", "닭이 울어요", "문을 열어 주세요")
COUNT = 12

pytestmark = pytest.mark.filterwarnings("default::minids.audio.AudioWarning")  # 8 kHz for a model of 16 kHz


def sound(path, seconds=1.0, rate=16_000, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate))
    soundfile.write(path, samples, rate, subtype="PCM_16")


def folder_of_texts(root):
    """A text file beside each recording, in folders of speakers, with files that macOS leaves behind."""
    for i in range(COUNT):
        path = root / f"speaker {i % 6}" / f"{i:02}.flac"
        sound(path, 1 + i / 10, 22_050, i)
        path.with_suffix(".txt").write_bytes(b"\xef\xbb\xbf" + TEXTS[i % 6].title().encode() + b"\r\n")
        path.with_name(f"._{i:02}.flac").write_bytes(b"\0\5\x16\7")
    return root


def kaldi(root):
    """Two long recordings of different rates, cut into segments."""
    root.mkdir()
    lines = {"wav.scp": [], "segments": [], "text": [], "utt2spk": []}
    for i, rate in enumerate((8000, 16_000, 16_000)):
        sound(root / f"call{i}.wav", 12, rate, i)
        lines["wav.scp"].append(f"call{i} call{i}.wav")
        for k in range(6):
            lines["segments"].append(f"s{i}-{k} call{i} {2 * k}.25 {2 * k + 1}.75")
            lines["text"].append(f"s{i}-{k} {TEXTS[k].upper().replace(',', '')}")
            lines["utt2spk"].append(f"s{i}-{k} s{i}")
    for name, content in lines.items():
        (root / name).write_text("\n".join(content) + "\n")
    return root


def table(root):
    """A CSV from a spreadsheet: BOM, CRLF, quoted commas, columns nobody asked for."""
    rows = ["id;".replace(";", ",") + "Filename,Transcript,length"]
    for i in range(COUNT):
        sound(root / "clips" / f"{i}.wav", 1.2, seed=i)
        rows.append(f'{i},clips/{i}.wav,"{TEXTS[i % 6]}, {TEXTS[i % 5]}",1.2')
    (root / "list.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode() + b"\r\n")
    return root / "list.csv"


def textgrids(root):
    """Long TextGrids of Praat beside recordings, UTF-16, with silent intervals."""
    for i in range(3):
        sound(root / f"talk{i}.wav", 12, seed=i)
        intervals = [(2 * k, 2 * k + 2, "" if k % 3 == 2 else TEXTS[k]) for k in range(6)]
        items = "".join(
            f"        intervals [{k + 1}]:\n            xmin = {a}\n            xmax = {b}\n"
            f'            text = "{text}"\n'
            for k, (a, b, text) in enumerate(intervals)
        )
        (root / f"talk{i}.TextGrid").write_bytes(
            (
                'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 12\n'
                'tiers? <exists>\nsize = 1\nitem []:\n    item [1]:\n        class = "IntervalTier"\n'
                '        name = "words"\n'
                f"        xmin = 0\n        xmax = 12\n        intervals: size = 6\n{items}"
            ).encode("utf-16")
        )
    return root


def nested_json(root):
    """One JSON with the list somewhere inside, decomposed Hangul (NFD), as files from macOS have it."""
    clips = []
    for i in range(COUNT):
        sound(root / "wav" / f"{i}.wav", 1.5, seed=i)
        text = unicodedata.normalize("NFD", KOREAN[i % 6])
        clips.append({"audio": {"file": f"wav/{i}.wav"}, "label": {"text": text}, "speaker": f"s{i}"})
    (root / "info.json").write_text(json.dumps({"version": 1, "data": clips}, ensure_ascii=False))
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "options", "speakers"),
    [
        (folder_of_texts, [], True),
        (kaldi, [], False),
        (table, [], False),
        (textgrids, [], False),
        (nested_json, ["--jamo"], True),
    ],
)
def test_two_commands_until_training_runs(tmp_path, monkeypatch, capsys, layout, options, speakers):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    source = layout(tmp_path / "my recordings")
    name = source.stem

    def minids(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(map(str, arguments))
        assert not end.value.code, capsys.readouterr().err
        return capsys.readouterr()

    done = minids("init", source, *options)
    program, *command = shlex.split(done.out.splitlines()[-1])
    assert (program, command) == ("minids", ["train", f"{name}/settings.toml"])
    assert "No errors" in done.out
    splits = {part: read_manifest(work / name / f"{part}.jsonl") for part in ("train", "dev", "test")}
    assert all(splits.values())
    parts = [{(u.path, u.start) for u in utterances} for utterances in splits.values()]
    assert len(set.union(*parts)) == sum(map(len, parts)) == (COUNT if layout not in (kaldi,) else 18)
    if speakers:
        people = [{u.speaker for u in utterances} for utterances in splits.values()]
        assert len(set.union(*people)) == sum(map(len, people))
    minids(*command, "--minutes", "0.00001")  # a step, and an evaluation
    assert (work / "runs" / name / "best.safetensors").is_file()


def test_the_printed_json_has_everything(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = table(tmp_path / "src")
    lines = source.read_text(encoding="utf-8-sig").splitlines()
    lines[1:5] = ["0,clips/0.wav,call 112,1", "1,clips/1.wav,-,1", "2,clips/gone.wav,stop,1", lines[5]]
    source.write_text("\n".join(lines))
    with pytest.raises(SystemExit) as end:
        cli.main(["init", str(source), "--out", "a/b", "--json"])
    assert not end.value.code
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["settings"] == "a/b/settings.toml"
    assert result["report"]["valid"]
    problems = ("has no '1'", "text is empty", "gone.wav", "is listed twice")
    assert [sum(problem in line for line in result["left_out"]) for problem in problems] == [1, 1, 1, 1]
    assert err.count("left out: ") == 4
    settings = read_settings("a/b/settings.toml")
    assert settings.train.init == "shipped"
    assert settings.alphabet == Alphabet()
    assert "# 28 symbols\n" in (tmp_path / "a/b/settings.toml").read_text()
    # Nothing is replaced.
    before = {path: path.read_bytes() for path in (tmp_path / "a/b").iterdir()}
    with pytest.raises(SystemExit):
        cli.main(["init", str(source), "--out", "a/b"])
    assert "test.jsonl, a/b/settings.toml, or give another folder" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "a/b").iterdir()} == before


def utterances(count, speakers=0, recordings=0, seconds=1.0):
    """`count` utterances of so many speakers, or parts of so many recordings."""
    return [
        Utterance(
            Path(f"/data/{i % recordings if recordings else i}.wav"),
            "go",
            seconds,
            f"s{i % speakers}" if speakers else None,
            start=float(i) if recordings else 0.0,
            end=i + seconds if recordings else None,
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("data", "unit", "notes"),
    [
        (utterances(100, speakers=20), "speaker", 0),
        (utterances(100, speakers=5), "speaker", 0),  # the fewest that leave enough for training
        (utterances(100, speakers=4), "path", 1),
        (utterances(100, recordings=20), "path", 0),
        (utterances(100, recordings=2), "start", 1),
        (utterances(100, speakers=2, recordings=1), "start", 2),
        (utterances(100, speakers=20, recordings=1), "speaker", 1),
        (utterances(3), "path", 0),
        ([*utterances(50), *utterances(100, speakers=20)[50:]], "path", 0),
    ],
)
def test_dev_and_test_are_a_tenth_each_of_their_own(data, unit, notes):
    found = []
    parts = split({"all": data}, Path("/data"), found)
    assert list(parts) == ["train", "dev", "test"]
    assert len(found) == notes
    assert sum(map(len, parts.values())) == len(data)
    units = [{getattr(u, unit) for u in us} for us in parts.values()]
    assert len(set.union(*units)) == sum(map(len, units))
    if len(data) >= 100:
        assert all(5 <= len(parts[name]) <= MAX_UNIT * 10 for name in ("dev", "test"))
    # The same in another place, in another order, and for the utterances that were there before.
    moved = [replace(u, path=Path("/elsewhere") / u.path.relative_to("/data")) for u in reversed(data)]
    again = split({"all": moved}, Path("/elsewhere"), [])
    assert [{(u.path.name, u.start) for u in us} for us in again.values()] == [
        {(u.path.name, u.start) for u in us} for us in parts.values()
    ]


def test_a_long_recording_or_speaker_is_for_training():
    data = [*utterances(50, speakers=10), replace(utterances(1)[0], path=Path("/data/x.wav"), duration=40.0)]
    for seed in range(10):
        root = Path(f"/data{seed}")  # not a parent: the names, and so the hashes, differ
        parts = split({"all": [replace(u, path=root / u.path.name) for u in data]}, Path("/"), [])
        assert any(u.path.name == "x.wav" for u in parts["train"])


def test_splits_of_a_corpus_are_kept():
    data = utterances(100, speakers=10)
    parts = split({"train-a": data[:40], "train-b": data[40:80], "test": data[80:]}, Path("/"), [])
    assert parts["test"] == data[80:]
    assert [len(parts[name]) for name in ("train", "dev", "test")] == [72, 8, 20]  # a speaker
    kept = split({"train": data[:80], "dev": data[80:90], "test": data[90:]}, Path("/"), [])
    assert [len(us) for us in kept.values()] == [80, 10, 10]


def test_names_of_splits():
    names = (
        "train train_nodev train_clean speaker_train all devices dev2 dev_clean train_dev validation eval2000"
    )
    expected = "train train train train train train dev dev dev dev test"
    assert [*map(split_name, names.split())] == expected.split()
    names, expected = (
        "trainset devset my_val val_set TEST Test-Clean testset TestA",
        "train dev dev dev" + " test" * 4,
    )
    assert [*map(split_name, names.split())] == expected.split()
    notes = []
    parts = split({"train_nodev": utterances(50), "extra": utterances(60)[50:]}, Path("/"), notes)
    assert (sum(map(len, parts.values())), notes) == (60, ["the 10 texts of 'extra' are for training"])
    assert split({"test": utterances(50)}, Path("/"), notes)["train"]
    assert notes[1:] == ["no texts are for training, so those of test are divided again"]


def test_all_who_speak_in_a_recording_are_in_one_split():
    data = utterances(240, recordings=24)
    data = [replace(u, speaker=f"{u.path.stem}{i // 24 % 2}") for i, u in enumerate(data)]
    data += [replace(u, speaker="host") for u in utterances(4)]  # who is in four of them
    parts = split({"all": data}, Path("/data"), [])
    recordings = [{u.path for u in us} for us in parts.values()]
    assert all(recordings)
    assert len(set.union(*recordings)) == sum(map(len, recordings)) == 24
    assert sum("host" in {u.speaker for u in us} for us in parts.values()) == 1


def test_rows_of_the_splits_come_before_those_of_a_list_of_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = (table(tmp_path / "src")).read_text(encoding="utf-8-sig").splitlines()
    (tmp_path / "src" / "list.csv").unlink()
    files = {"all": rows[1:], "train": rows[1:7], "dev": rows[7:9], "test": rows[9:]}
    for name, chosen in files.items():
        (tmp_path / "src" / f"{name}.csv").write_text("\n".join([rows[0], *chosen]))
    done = prepare_module.prepare("src", "out")
    assert [len(read_manifest(f"out/{name}.jsonl")) for name in ("train", "dev", "test")] == [6, 2, 4]
    assert sum("is listed twice" in line for line in done.left_out) == COUNT


def test_folders_named_like_splits_are_splits():
    us = utterances(12)
    moved = [
        replace(u, path=Path("/data", "test" if i % 3 else "train", u.path.name)) for i, u in enumerate(us)
    ]
    notes = []
    named = split({"clips": moved}, Path("/data"), notes)
    assert {u.path.parent.name for u in [*named["train"], *named["dev"]]} == {"train"}
    assert {u.path.parent.name for u in named["test"]} == {"test"}
    assert "the recordings' folders test, train" in notes[0]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_texts_are_an_error(count):
    with pytest.raises(InputError, match="too few"):
        split({"all": utterances(count)}, Path("/data"), [])


def test_an_interrupted_init_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    folder_of_texts(tmp_path / "data")
    monkeypatch.setattr(prepare_module, "validate_dataset", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare_module.prepare(tmp_path / "data", tmp_path / "out")
    assert not [*(tmp_path / "out").iterdir()]
