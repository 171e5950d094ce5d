"""Importers: small corpora in the official layouts become manifests that refer to their recordings."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from minids._utils.errors import InputError
from minids.data import importers
from minids.data.importers.tables import table_rows
from minids.data.manifest import read_manifest


def sound(path, samples=1600, rate=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 0.1, samples)
    soundfile.write(path, noise, rate, format="NIST" if path.suffix == ".sph" else None, subtype="PCM_16")


def import_(kind, root, out, **options):
    """{manifest: utterances} as written and read again, and what was left out."""
    corpus = importers.read(kind, root, options)
    written = importers.write(corpus, out)
    read = {path: read_manifest(path) for path in written}
    assert {path: [(u.path, u.text, u.start, u.end) for u in us] for path, us in read.items()} == {
        path: [(u.path, u.text, u.start, u.end) for u in us] for path, us in written.items()
    }
    return corpus


def texts(path):
    return {u.path.stem: u.text for u in read_manifest(path)}


# AN4 ------------------------------------------------------------------------------------------------------


def an4(root, speakers, ending=".sph", folder="wav"):
    """The official folder: two training recordings per speaker, one test recording of `ftst`."""
    (root / "etc").mkdir(parents=True)
    ids = [f"an4_clstk/{s}/an{n}-{s}-b" for s in speakers for n in (251, 253)]
    lines = [f"<s> YES GO </s> ({i.split('/')[-1]})" for i in ids]
    (root / "etc" / "an4_train.fileids").write_text("\n".join(ids) + "\n")
    (root / "etc" / "an4_train.transcription").write_text("\n".join(lines) + "\n")
    test = "an4test_clstk/ftst/an406-ftst-b"
    (root / "etc" / "an4_test.fileids").write_text(test + "\n")
    (root / "etc" / "an4_test.transcription").write_text("RUBOUT G M (an406-ftst-b)\n")  # no <s> </s> here
    for file_id in [*ids, test]:
        sound(root / folder / (file_id + ending))
    return root


PEOPLE = [f"f{c}aa" for c in "abcdefgh"] + [f"m{c}aa" for c in "abcdefg"] + ["mdaa2"]


@pytest.mark.parametrize(("ending", "folder"), [(".sph", "wav"), (".wav", "wav"), (".flac", "raw")])
def test_an4_is_imported_in_each_usual_format(tmp_path, ending, folder):
    an4(tmp_path / "an4", PEOPLE, ending, folder)
    result = import_("an4", tmp_path, tmp_path / "out")  # the parent folder does, too
    assert not result.missing
    assert texts(tmp_path / "out" / "test.jsonl") == {"an406-ftst-b": "rubout g m"}
    train = read_manifest(tmp_path / "out" / "train.jsonl")
    assert all(u.path.is_file() and u.duration == 0.1 and u.text == "yes go" for u in train)
    assert {u.extra["gender"] for u in train} == {"f", "m"}


def test_an4_dev_set_has_other_speakers_than_training(tmp_path):
    an4(tmp_path, PEOPLE)
    import_("an4", tmp_path, tmp_path / "out")
    train, dev = (read_manifest(tmp_path / "out" / f"{name}.jsonl") for name in ("train", "dev"))
    speakers = {u.speaker for u in dev}
    assert speakers == {"fdaa", "mdaa", "mdaa2"}  # mdaa and mdaa2 are one man, 15 people in all
    assert not speakers & {u.speaker for u in train}
    assert len(train) + len(dev) == 2 * len(PEOPLE)


def test_an4_missing_recordings_are_listed_and_do_not_change_the_splits(tmp_path):
    an4(tmp_path, PEOPLE)
    import_("an4", tmp_path, tmp_path / "whole")
    lost = tmp_path / "wav" / "an4_clstk" / "faaa" / "an251-faaa-b.sph"
    lost.unlink()
    torn = tmp_path / "wav" / "an4_clstk" / "fbaa" / "an251-fbaa-b.sph"
    torn.write_bytes(b"")
    transcription = tmp_path / "etc" / "an4_train.transcription"
    transcription.write_text(transcription.read_text().replace("(an251-fcaa-b)", "(an999-fcaa-b)"))

    result = import_("an4", tmp_path, tmp_path / "out")
    assert len(result.missing) == 3
    for name in (str(lost), str(torn), "an251-fcaa-b"):
        assert sum(name in line for line in result.missing) == 1
    assert (tmp_path / "out" / "dev.jsonl").read_text() == (tmp_path / "whole" / "dev.jsonl").read_text()
    kept = texts(tmp_path / "out" / "train.jsonl")
    assert set(texts(tmp_path / "whole" / "train.jsonl")) - set(kept) == {
        *("an251-faaa-b", "an251-fbaa-b"),
        "an251-fcaa-b",
    }


def test_an4_damaged_transcription_is_an_error(tmp_path):
    an4(tmp_path, PEOPLE)
    (tmp_path / "etc" / "an4_test.transcription").write_text("RUBOUT G M\n")
    with pytest.raises(InputError, match=r"an4_test\.transcription"):
        import_("an4", tmp_path, tmp_path / "out")


# FSDD -----------------------------------------------------------------------------------------------------


def test_fsdd_has_the_official_test_set_and_splits_by_speaker(tmp_path):
    for speaker in ("george", "jackson", "theo"):
        for index in (0, 4, 5, 9, 10, 49):
            sound(tmp_path / "recordings" / f"7_{speaker}_{index}.wav", 800, 8000)
    sound(tmp_path / "recordings" / "notes.wav", 800, 8000)
    (tmp_path / "recordings" / "._7_theo_0.wav").touch()  # of macOS
    result = import_("fsdd", tmp_path, tmp_path / "out")
    assert [line for line in result.missing if "notes.wav" in line] == result.missing != []

    splits = {name: read_manifest(tmp_path / "out" / f"{name}.jsonl") for name in ("train", "dev", "test")}
    assert {name: {u.extra["index"] for u in us} for name, us in splits.items()} == {
        "train": {10, 49},
        "dev": {5, 9},
        "test": {0, 4},
    }
    assert {u.text for us in splits.values() for u in us} == {"seven"}
    by_speaker = {
        name: {u.speaker for u in read_manifest(tmp_path / "out" / f"speaker_{name}.jsonl")}
        for name in ("train", "dev", "test")
    }
    assert by_speaker == {"train": {"jackson"}, "dev": {"george"}, "test": {"theo"}}


# LibriSpeech ----------------------------------------------------------------------------------------------


def test_librispeech_subsets_are_merged_with_their_names(tmp_path):
    root = tmp_path / "LibriSpeech"
    parts = {"train-clean-100": "19", "train-other-500": "20", "dev-clean": "84", "test-other": "367"}
    for part, speaker in parts.items():
        chapter = root / part / speaker / "121"
        sound(chapter / f"{speaker}-121-0000.flac")
        sound(chapter / f"{speaker}-121-0001.flac")
        lines = [f"{speaker}-121-0000 IT'S ME\n", f"{speaker}-121-0001 ÇA VA\n", f"{speaker}-121-0002 LOST\n"]
        (chapter / f"{speaker}-121.trans.txt").write_text("".join(lines), encoding="utf-8-sig")
        (chapter / f"._{speaker}-121.trans.txt").write_bytes(b"\0\5\x16\7\xff")  # of macOS
    (root / "SPEAKERS.TXT").write_text(
        ";ID  |SEX| SUBSET           |MINUTES| NAME\n19   | F | train-clean-100  | 25.19 | A. B. | C\n"
    )
    result = import_("librispeech", tmp_path, tmp_path / "out")
    assert len(result.missing) == 4
    assert all("-121-0002.flac" in line for line in result.missing)
    train = read_manifest(tmp_path / "out" / "train.jsonl")
    assert [(u.path.name, u.text, u.speaker, u.extra) for u in train][::2] == [
        ("19-121-0000.flac", "it's me", "19", {"subset": "train-clean-100", "gender": "f"}),
        ("20-121-0000.flac", "it's me", "20", {"subset": "train-other-500"}),
    ]
    assert all(u.path.is_file() for u in train)
    assert train[1].text == "ça va"
    assert [len(read_manifest(tmp_path / "out" / f"{n}.jsonl")) for n in ("train", "dev", "test")] == [
        4,
        2,
        2,
    ]


# All ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", importers.KINDS)
def test_a_wrong_folder_is_an_error(tmp_path, kind):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError) as error:
            import_(kind, root, tmp_path / "out")
        assert str(root) in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_corpus_without_its_audio_writes_nothing(tmp_path):
    an4(tmp_path, PEOPLE)
    for path in (tmp_path / "wav").rglob("*.sph"):
        path.unlink()
    with pytest.raises(InputError, match=r"an251.*\.sph: no such file"):
        import_("an4", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_output_folder_below_a_file_is_an_error(tmp_path):
    sound(tmp_path / "recordings" / "7_theo_0.wav")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot create the folder"):
        import_("fsdd", tmp_path, tmp_path / "file" / "out")


# Common Voice ---------------------------------------------------------------------------------------------

HEADER = "client_id\tpath\tsentence\tup_votes\tage\tgender\taccents\tlocale\tsegment\n"


def commonvoice(root):
    folder = root / "en"
    for i, name in enumerate(("train", "dev", "test")):
        row = f'{"ab" * 32}\tcv_{i}.wav\t"I don’t," she said – twice.\t2\t\tfemale\tScottish\ten\t\n'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.tsv").write_text(HEADER + row, encoding="utf-8")
        sound(folder / "clips" / f"cv_{i}.wav")
    return root


def test_common_voice_tables_may_have_quotes_and_empty_columns(tmp_path):
    result = import_("commonvoice", commonvoice(tmp_path), tmp_path / "out")
    assert not result.missing
    (utterance,) = read_manifest(tmp_path / "out" / "dev.jsonl")
    assert (utterance.path.name, utterance.text) == ("cv_1.wav", '"I don’t," she said – twice.')
    assert utterance.speaker == "ab" * 8
    assert utterance.extra == {
        "gender": "female",
        "accents": "Scottish",
        "locale": "en",
    }


def test_common_voice_with_a_missing_column_or_broken_row_is_an_error(tmp_path):
    table = commonvoice(tmp_path) / "en" / "dev.tsv"
    whole = table.read_text(encoding="utf-8")
    table.write_text(whole.replace("sentence", "phrase", 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"dev\.tsv: no column 'sentence'"):
        import_("commonvoice", tmp_path, tmp_path / "out")
    table.write_text(whole + "torn\trow\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"dev\.tsv: line 3 has 2 columns, not 9"):
        import_("commonvoice", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# LJSpeech -------------------------------------------------------------------------------------------------


def test_ljspeech_uses_spelled_numbers_and_splits_by_chapter(tmp_path):
    folder = tmp_path / "LJSpeech-1.1"
    names = ["LJ001-0001", "LJ001-0002", "LJ049-0001", "LJ050-0001"]
    for name in names:
        sound(folder / "wavs" / f"{name}.wav", rate=22_050)
    lines = [f"{name}|In 1455, printing|In fourteen fifty-five, printing" for name in names]
    (folder / "metadata.csv").write_text("\n".join(lines))
    import_("ljspeech", tmp_path, tmp_path / "out")
    found = {split: texts(tmp_path / "out" / f"{split}.jsonl") for split in ("train", "dev", "test")}
    assert {split: list(of) for split, of in found.items()} == {
        "train": names[:2],
        "dev": names[2:3],
        "test": names[3:],
    }
    assert found["train"]["LJ001-0001"] == "In fourteen fifty-five, printing"
    for line, problem in {
        "LJ001-0001": "no column '3'",
        "LJ001-0001|one column": "no column '3'",
        "ann|a|b": "ann is not of LJSpeech",
    }.items():
        (folder / "metadata.csv").write_text(line + "\n")
        with pytest.raises(InputError, match=rf"metadata\.csv: {problem}"):
            import_("ljspeech", tmp_path, tmp_path / "out")


# Speech Commands ------------------------------------------------------------------------------------------


def test_speech_commands_use_the_official_splits_without_the_noise(tmp_path):
    for name in ("left/aa_nohash_0", "left/bb_nohash_0", "right/aa_nohash_1", "right/cc_nohash_0"):
        sound(tmp_path / f"{name}.wav")
    sound(tmp_path / "_background_noise_" / "tap.wav")
    (tmp_path / "left" / "._aa_nohash_0.wav").touch()  # of macOS
    (tmp_path / "validation_list.txt").write_text("left/bb_nohash_0.wav\n")
    (tmp_path / "testing_list.txt").write_text("right/cc_nohash_0.wav\n")
    import_("speechcommands", tmp_path, tmp_path / "out")
    train, dev, test = (read_manifest(tmp_path / "out" / f"{s}.jsonl") for s in ("train", "dev", "test"))
    assert [(u.text, u.speaker) for u in train] == [("left", "aa"), ("right", "aa")]
    assert [(u.text, u.speaker) for u in dev + test] == [("left", "bb"), ("right", "cc")]


# Tables of other programs ---------------------------------------------------------------------------------


def test_mozilla_csv_files_may_have_quoted_fields(tmp_path):
    sound(tmp_path / "clips" / "1.wav")
    sound(tmp_path / "clips" / "2.wav")
    (tmp_path / "train.csv").write_text(
        'wav_filename,wav_filesize,transcript,room\nclips/1.wav,3244,"turn, on",b\nclips/2.wav,3244,off,c\n'
    )
    (tmp_path / "dev.csv").write_text("wav_filename,wav_filesize,transcript\nclips/3.wav,1,gone\n")
    result = import_("mozilla", tmp_path, tmp_path / "out")
    assert len(result.missing) == 1
    assert "3.wav" in result.missing[0]
    train = read_manifest(tmp_path / "out" / "train.jsonl")
    assert [(u.text, u.duration, u.extra) for u in train] == [
        ("turn, on", 0.1, {"wav_filesize": "3244", "room": "b"}),
        ("off", 0.1, {"wav_filesize": "3244", "room": "c"}),
    ]
    with pytest.raises(InputError, match=r"it contains no \*\.csv"):
        import_("mozilla", tmp_path / "clips", tmp_path / "out")


def test_columns_named_like_manifest_fields_do_not_overwrite_them(tmp_path):
    sound(tmp_path / "1.wav")
    (tmp_path / "train.csv").write_text(
        "wav_filename,transcript,path,text,duration,speaker\n1.wav,turn on,/etc/passwd,TURN ON,long,ann\n"
    )
    import_("mozilla", tmp_path, tmp_path / "out")
    (one,) = read_manifest(tmp_path / "out" / "train.jsonl")
    assert (one.path.name, one.text, one.duration, one.speaker) == ("1.wav", "turn on", 0.1, "ann")


def test_a_table_is_not_held_in_memory(tmp_path):
    row = "clips/1.wav,3244,turn on" + 500 * "x" + "\n"
    (tmp_path / "train.csv").write_text("wav_filename,wav_filesize,transcript\n" + 8000 * row)
    tracemalloc.start()
    count = sum(row[0] == "clips/1.wav" for _, row in table_rows(tmp_path / "train.csv"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 8000
    assert peak < 500_000, "of four million bytes"


def test_a_table_that_is_not_utf8_is_an_error_with_its_line(tmp_path):
    (tmp_path / "train.csv").write_bytes(b"wav_filename,transcript\n1.wav,caf\xe9\n")
    with pytest.raises(InputError, match=r"train\.csv: line 2 is not UTF-8 text"):
        import_("mozilla", tmp_path, tmp_path / "out")


def test_nemo_manifests_keep_their_fields_and_parts_of_recordings(tmp_path):
    sound(tmp_path / "1.wav")
    (tmp_path / "train.json").write_text(
        '{"audio_filepath": "1.wav", "duration": 9, "text": "one\u2028more", "lang": "en"}\n'
        '{"audio_filepath": "1.wav", "duration": 0.05, "offset": 0.02, "text": "part"}\n'
        '{"audio_filepath": "long.wav", "duration": 0.5, "offset": 0, "text": "part"}\n'
        '{"audio_filepath": "whole.wav", "duration": 0.5, "text": "not a part"}\n'
    )
    sound(tmp_path / "whole.wav", 48_000)
    sound(tmp_path / "long.wav", 48_000)
    result = import_("nemo", tmp_path / "train.json", tmp_path / "out")
    assert ["whole.wav: lasts 3.0 s, its line states 0.5 s" in line for line in result.missing] == [True]
    utterance, part, start = read_manifest(tmp_path / "out" / "train.jsonl")
    assert (utterance.duration, utterance.extra, utterance.is_part) == (0.1, {"lang": "en"}, False)
    assert (part.start, part.end, part.duration) == (0.02, pytest.approx(0.07), 0.05)
    assert (start.start, start.end, start.duration) == (0, 0.5, 0.5)
    assert utterance.text == "one\u2028more", "a line ends where JSON lines end"
    for line, problem in {
        '{"text": "no path"}': "no column 'audio_filepath' \\(it has 'text'\\)",
        "[]": "it has no objects",
        "not json": "line 3 is not JSON \\(Expecting value\\)",
        '{"audio_filepath": "1.wav", "text": "x", "offset": "soon"}': "the part of 1.wav: .*'soon'",
    }.items():
        (tmp_path / "bad.json").write_text("\n\n" + line + "\n")
        with pytest.raises(InputError, match=rf"bad\.json: {problem}"):
            import_("nemo", tmp_path / "bad.json", tmp_path / "out")


def test_common_voice_names_without_a_suffix_are_mp3_files(tmp_path):
    table = commonvoice(tmp_path) / "en" / "dev.tsv"
    table.write_text(table.read_text(encoding="utf-8").replace("cv_1.wav", "cv_1"), encoding="utf-8")
    clips = tmp_path / "en" / "clips"
    soundfile.write(clips / "cv_1.mp3", np.zeros(4800), 48_000, format="MP3")
    import_("commonvoice", tmp_path, tmp_path / "out")
    assert texts(tmp_path / "out" / "dev.jsonl") == {"cv_1": '"I don’t," she said – twice.'}
    assert read_manifest(tmp_path / "out" / "dev.jsonl")[0].path == clips / "cv_1.mp3"


HEADER_CSV = "wav_filename,wav_filesize,transcript\n"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ('a.wav,1,go\nb.wav,1,"x\nc.wav,1,y\nd.wav,1,z"\n', "the row of line 3 ends in line 5: a quote"),
        ('a.wav,1,"x\nb.wav,1,y\n', "line 3"),
        ('a.wav,1,"x" y\n', "line 2"),
        ('a.wav,1,"two\nlines"\n', "the row of line 2 ends in line 3"),
    ],
)
def test_csv_rows_over_several_lines_and_unbalanced_quotes_are_errors(tmp_path, rows, problem):
    (tmp_path / "train.csv").write_text(HEADER_CSV + rows)
    with pytest.raises(InputError, match=r"train\.csv: .*" + problem):
        import_("mozilla", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_hidden_files_of_macos_are_no_tables(tmp_path):
    sound(tmp_path / "1.wav")
    (tmp_path / "train.csv").write_text(HEADER_CSV + "1.wav,1,go\n")
    (tmp_path / "._train.csv").write_bytes(b"\0\5\x16\7\xff")
    corpus = import_("mozilla", tmp_path, tmp_path / "out")
    assert (list(corpus.splits), corpus.missing) == (["train"], [])


def test_another_csv_is_refused_with_its_columns(tmp_path):
    (tmp_path / "train.csv").write_text("file,text\na.wav,go\n")
    with pytest.raises(InputError, match=r"no column 'wav_filename' .*it has 'file', 'text'.*the right file"):
        import_("mozilla", tmp_path / "train.csv", tmp_path / "out")


def test_parts_of_recordings_in_csv_files_are_imported(tmp_path):
    sound(tmp_path / "long.wav", 48_000)
    table = tmp_path / "train.csv"
    table.write_text("wav_filename,transcript,start,end,room\nlong.wav,go,0.5,1.25,a\nlong.wav,all,,,b\n")
    import_("mozilla", table, tmp_path / "out")
    part, whole = read_manifest(tmp_path / "out" / "train.jsonl")
    assert (part.start, part.end, part.duration, part.extra) == (0.5, 1.25, 0.75, {"room": "a"})
    assert (whole.is_part, whole.duration, whole.extra) == (False, 3.0, {"room": "b"})
    for start in ("soon", "2", "nan", "-1"):
        table.write_text(f"wav_filename,transcript,start,end\nlong.wav,go,{start},1.25\n")
        with pytest.raises(InputError, match=r"train\.csv: line 2: the part of long\.wav: .*; correct it"):
            import_("mozilla", table, tmp_path / "out")
