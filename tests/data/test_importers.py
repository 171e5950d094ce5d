"""Importers: small corpora in the official layouts become manifests that refer to their recordings."""

import json
import tracemalloc
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from minids import cli
from minids._utils.errors import InputError
from minids.data import importers
from minids.data.importers import folders
from minids.data.importers.common import Recordings
from minids.data.importers.tables import table_rows
from minids.data.manifest import read_manifest
from tests.fuzzing import damage, damage_lines


def sound(path, samples=1600, rate=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 0.1, samples)
    soundfile.write(path, noise, rate, format="NIST" if path.suffix == ".sph" else None, subtype="PCM_16")


def import_(kind, root, out, **options):
    """{manifest: utterances} as written and read again, and what was left out."""
    corpus = importers.read(kind, root, options)
    written = corpus.write(out)
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
    with pytest.raises(InputError, match=r"faaa/an251-faaa-b\.sph: no such file"):
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
    result = import_("table", tmp_path, tmp_path / "out")
    assert len(result.missing) == 1
    assert "3.wav" in result.missing[0]
    train = read_manifest(tmp_path / "out" / "train.jsonl")
    assert [(u.text, u.duration, u.extra) for u in train] == [
        ("turn, on", 0.1, {"wav_filesize": "3244", "room": "b"}),
        ("off", 0.1, {"wav_filesize": "3244", "room": "c"}),
    ]
    with pytest.raises(InputError, match=r"it contains no \*\.csv"):
        import_("table", tmp_path / "clips", tmp_path / "out")


def test_columns_named_like_manifest_fields_do_not_overwrite_them(tmp_path):
    sound(tmp_path / "1.wav")
    (tmp_path / "train.csv").write_text(
        "wav_filename,transcript,path,text,duration,speaker\n1.wav,turn on,/etc/passwd,TURN ON,long,ann\n"
    )
    import_("table", tmp_path, tmp_path / "out", path="wav_filename", text="transcript")
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
        import_("table", tmp_path, tmp_path / "out")


def test_nemo_manifests_keep_their_fields_and_parts_of_recordings(tmp_path):
    sound(tmp_path / "1.wav")
    (tmp_path / "train.json").write_text(
        '{"audio_filepath": "1.wav", "duration": 1, "text": "one\u2028more", "lang": "en"}\n'
        '{"audio_filepath": "1.wav", "duration": 0.05, "offset": 0.02, "text": "part"}\n'
        '{"audio_filepath": "long.wav", "duration": 0.5, "offset": 0, "text": "part"}\n'
        '{"audio_filepath": "whole.wav", "duration": 0.5, "text": "not a part"}\n'
    )
    sound(tmp_path / "whole.wav", 48_000)
    sound(tmp_path / "long.wav", 48_000)
    result = import_("json", tmp_path / "train.json", tmp_path / "out")
    assert ["whole.wav: lasts 3.0 s, its line states 0.5 s" in line for line in result.missing] == [True]
    utterance, part, start = read_manifest(tmp_path / "out" / "train.jsonl")
    assert (utterance.duration, utterance.extra, utterance.is_part) == (0.1, {"lang": "en"}, False)
    assert (part.start, part.end, part.duration) == (0.02, 0.07, 0.05)
    assert (start.start, start.end, start.duration) == (0, 0.5, 0.5)
    assert utterance.text == "one\u2028more", "a line ends where JSON lines end"
    for line, problem in {
        '{"text": "no path"}': r"no column has recordings that are there \(it has 'text'\)",
        "[]": "it has no objects",
        "not json": "line 3 is not JSON \\(Expecting value\\)",
        '{"audio_filepath": "1.wav", "text": "x", "offset": "soon"}': "the part of 1.wav: .*'soon'",
    }.items():
        (tmp_path / "bad.json").write_text("\n\n" + line + "\n")
        with pytest.raises(InputError, match=rf"bad\.json: {problem}"):
            import_("json", tmp_path / "bad.json", tmp_path / "out")


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
        import_("table", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_hidden_files_of_macos_are_no_tables(tmp_path):
    sound(tmp_path / "1.wav")
    (tmp_path / "train.csv").write_text(HEADER_CSV + "1.wav,1,go\n")
    (tmp_path / "._train.csv").write_bytes(b"\0\5\x16\7\xff")
    corpus = import_("table", tmp_path, tmp_path / "out")
    assert (list(corpus.splits), corpus.missing) == (["train"], [])


def test_parts_of_recordings_in_csv_files_are_imported(tmp_path):
    sound(tmp_path / "long.wav", 48_000)
    table = tmp_path / "train.csv"
    table.write_text("wav_filename,transcript,start,end,room\nlong.wav,go,0.5,1.25,a\nlong.wav,all,,,b\n")
    import_("table", table, tmp_path / "out")
    part, whole = read_manifest(tmp_path / "out" / "train.jsonl")
    assert (part.start, part.end, part.duration, part.extra) == (0.5, 1.25, 0.75, {"room": "a"})
    assert (whole.is_part, whole.duration, whole.extra) == (False, 3.0, {"room": "b"})
    table.write_text("wav_filename,transcript,Start_ms,duration [ms]\nlong.wav,go,500,750\n")
    (part,) = importers.read("table", table).splits["train"]
    assert (part.start, part.end) == (0.5, 1.25)
    for start in ("soon", "2", "nan", "-1"):
        table.write_text(f"wav_filename,transcript,start,end\nlong.wav,go,{start},1.25\n")
        with pytest.raises(InputError, match=r"train\.csv: line 2: the part of long\.wav: .*; correct it"):
            import_("table", table, tmp_path / "out")


# Tables with any columns ----------------------------------------------------------------------------------


def first(corpus):
    """What an utterance of the only split is, by the name of its recording."""
    (utterances,) = corpus.splits.values()
    return {u.path.stem: (u.text, u.speaker, round(u.start, 3), u.end, u.channel) for u in utterances}


TABLE = 'file,text,speaker\r\nclips/1.wav,"Well, ""hello""",ann\r\nclips/2.wav,bye,bob\r\n'
FORMATS = {
    "comma": TABLE.encode(),
    "byte-order mark": b"\xef\xbb\xbf" + TABLE.encode(),
    "UTF-16": TABLE.encode("utf-16"),
    "semicolon": TABLE.replace('"Well, ""', '"Well,+""').replace(",", ";").replace(";+", ", ").encode(),
    "tab": b'file\ttext\tspeaker\nclips/1.wav\tWell, "hello"\tann\nclips/2.wav\tbye\tbob\n',
    "no header": b'clips/1.wav|Well, "hello"|ann\nclips/2.wav|bye|bob\n',
    "Windows paths, no suffix": b'file|speaker|text\n.\\clips\\1|ann|Well, "hello"\nclips\\2|bob|bye\n',
    "moved": TABLE.replace("clips/", "/mnt/old disk/corpus/clips/").encode(),
}


@pytest.mark.parametrize("name", FORMATS)
def test_tables_of_all_formats_are_one_corpus(tmp_path, name):
    sound(tmp_path / "clips" / "1.wav")
    sound(tmp_path / "clips" / "2.wav")
    (tmp_path / "table.csv").write_bytes(FORMATS[name])
    corpus = import_("table", tmp_path / "table.csv", tmp_path / "out")
    speakers = (None, None) if name == "no header" else ("ann", "bob")
    assert first(corpus) == {
        "1": ('Well, "hello"', speakers[0], 0, None, None),
        "2": ("bye", speakers[1], 0, None, None),
    }
    assert list(corpus.splits) == ["table"]
    assert not corpus.missing


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("wav_filename,wav_filesize,transcript", "path 'wav_filename', text 'transcript'"),  # Mozilla
        (
            "client_id,path,sentence,gender",
            "path 'path', text 'sentence', speaker 'client_id'",
        ),  # Common Voice
        ("file_name,transcription", "path 'file_name', text 'transcription'"),  # Hugging Face
        ("ID,duration,wav,spk_id,wrd", "path 'wav', text 'wrd', speaker 'spk_id', duration 'duration'"),
        (
            "Audio Filepath,BEGIN,Duration,Text,SPEAKER",
            "path 'Audio Filepath', text 'Text', speaker 'SPEAKER', start 'BEGIN', duration 'Duration'",
        ),
        ("Datei,Satz,Ort", "path 'Datei', text 'Satz'"),  # by content
        ("번호,파일명,전사", "path '파일명', text '전사'"),
    ],
)
def test_columns_are_found_by_name_or_content(tmp_path, header, columns):
    sound(tmp_path / "1.wav", 32_000)
    sound(tmp_path / "2.wav", 32_000)
    content = {"BEGIN": "0.02", "Duration": "0.05", "duration": "2", "ID": "7", "번호": "1", "Ort": "Rom"}
    paths = {"wav_filename", "path", "file_name", "wav", "Audio Filepath", "Datei", "파일명"}
    names = header.split(",")
    rows = [
        ",".join(f"{i}.wav" if n in paths else content.get(n, f"{n} of {i}") for n in names) for i in (1, 2)
    ]
    (tmp_path / "x.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    assert importers.guess(tmp_path)[1].source == f"x.csv ({columns})"
    assert len(importers.read("table", tmp_path).splits["x"]) == 2


def test_columns_by_option_and_columns_that_are_none(tmp_path):
    sound(tmp_path / "wavs" / "1.wav")
    sound(tmp_path / "wavs" / "2.wav")
    table = tmp_path / "lists" / "x.csv"
    table.parent.mkdir()
    table.write_text("id,file,text,norm,channel\n1,1.wav,A 1,a one,BBC\n2,2.wav,B 2,b two,ARD\n")
    with pytest.raises(
        InputError,
        match=r"x\.csv: line 2: channel \'BBC\' is not a number from 0; correct it, or leave it out",
    ):
        importers.read("table", table, {"audio": str(tmp_path / "wavs")})
    options = {"audio": str(tmp_path / "wavs"), "text": "norm", "speaker": "id", "channel": ""}
    corpus = import_("table", table, tmp_path / "out", **options)
    assert first(corpus) == {"1": ("a one", "1", 0, None, None), "2": ("b two", "2", 0, None, None)}
    with pytest.raises(InputError, match=r"x\.csv: no column 'words' \(it has 'id', 'file'"):
        importers.read("table", table, {"text": "words"})
    with pytest.raises(InputError, match="kaldi has no --text"):
        importers.read("kaldi", tmp_path, {"text": "words"})


def test_a_table_without_texts_is_no_table(tmp_path):
    """Texts differ from row to row and have words; a usual name has precedence over the contents."""
    for i in "012":
        sound(tmp_path / f"{i}.wav")
        (tmp_path / f"{i}.txt").write_text(f"number {i}")
    rows = "0,0.wav,old man,x1\n1,1.wav,old man,x2\n2,2.wav,old man,x3\n"
    (tmp_path / "people.csv").write_text("nr,recording,who,code\n" + rows)
    assert importers.guess(tmp_path)[0] == "folder"
    with pytest.raises(InputError, match=r"no column has texts \(it has 'nr', 'recording', 'who', 'code'\)"):
        importers.read("table", tmp_path)
    (tmp_path / "people.csv").write_text("id,file,what\n0,0.wav,one two\n1,1.wav,two 3\n3,gone.wav,3 4\n")
    corpus = importers.read("table", tmp_path)  # 0 is 0.wav, too
    assert [u.path.name for u in corpus.splits["people"]] == ["0.wav", "1.wav"]
    assert [line.rpartition("/")[2] for line in corpus.missing] == ["gone.wav: no such file; check the path"]


def test_tables_split_by_a_column_or_by_their_names(tmp_path):
    for i in range(4):
        sound(tmp_path / f"{i}.wav")
    (tmp_path / "x.tsv").write_text(
        "path\ttext\tsplit\n"
        + "".join(f"{i}.wav\ta\t{s}\n" for i, s in enumerate(("Train", "val", "TEST", "")))
    )
    assert {k: len(v) for k, v in importers.read("table", tmp_path).splits.items()} == {
        "train": 1, "dev": 1, "test": 1, "x": 1,
    }  # fmt: skip
    (tmp_path / "x.tsv").write_text("path\ttext\tset\n0.wav\ta\t../../x\n1.wav\tb\tB side\n2.wav\tc\t..\n")
    corpus = import_("table", tmp_path / "x.tsv", tmp_path / "out", split="set")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "B_side.jsonl",
        "_.._x.jsonl",
        "all.jsonl",
    ]
    assert not corpus.missing


# Recordings of a corpus -----------------------------------------------------------------------------------


def test_recordings_are_found_by_the_end_of_their_path_and_never_mistaken(tmp_path):
    for name in ("train/a/1.wav", "test/a/1.wav", "train/b/2.flac", "한글.wav", "both/x.mp3", "both/x.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / unicodedata.normalize("NFD", name)).touch()
    (tmp_path / "train" / "loop").symlink_to(tmp_path)
    (tmp_path / "train" / "b" / "._2.flac").touch()
    recordings = Recordings(tmp_path)

    def found(name, near=None):
        path = recordings.find(name, near)
        return path and path.relative_to(tmp_path).as_posix()

    assert (
        found("train/a/1.wav")
        == found("/old/train/a/1.wav")
        == found("C:\\x\\train\\a\\1")
        == "train/a/1.wav"
    )
    assert found("b/2.wav") == found("2") == "train/b/2.flac"
    assert found("1.wav") is found("a/1.wav") is found("dev/a/1.wav") is found("3") is found("") is None
    assert found("1", tmp_path / "test" / "list.txt") == "test/a/1.wav"
    assert unicodedata.normalize("NFC", found("한글")) == "한글.wav"
    assert found("both/x.wav") == found("/old/both/x.wav") == "both/x.wav"
    assert found("x\0") is found("/") is found("..") is None


def test_parts_that_a_recording_lacks_are_left_out(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros((16_000, 2)), 16_000)
    (tmp_path / "x.csv").write_text(
        "path,text,start,end,channel\nx.wav,a,0.5,1.5,1\nx.wav,b,1,1.5,0\nx.wav,c,0,2.5,0\nx.wav,e,,,\n"
    )
    corpus = importers.read("table", tmp_path)
    assert [(u.text, u.duration, u.end, u.channel) for u in corpus.splits["x"]] == [
        ("a", 0.5, 1.5, 1),
        ("e", 1.0, None, None),
    ]
    assert ["lasts 1.0 s; correct the part" in line for line in corpus.missing] == [True, True]


# Folders with texts ---------------------------------------------------------------------------------------


def test_texts_beside_recordings(tmp_path):
    for name in ("ann/1", "ann/2", "bob/1", "bob/3", "bob/4"):
        sound(tmp_path / "mine" / f"{name}.WAV".replace("WAV", "wav"))
    (tmp_path / "mine" / "ann" / "1.txt").write_bytes("\ufeffTwo\r\nlines\r\n".encode())
    (tmp_path / "mine" / "ann" / "2.LAB").write_text("two")
    (tmp_path / "mine" / "bob" / "1.wav.trn").write_text("other one")
    (tmp_path / "mine" / "bob" / "3.normalized.txt").write_text("three")
    (tmp_path / "mine" / "bob" / "._4.txt").write_bytes(b"\0\5\x16\7\xff")
    (tmp_path / "mine" / "README.txt").write_text("Recordings of mine.\n")
    (tmp_path / "mine" / "old.txt").write_bytes(b"caf\xe9")
    assert importers.guess(tmp_path / "mine")[0] == "folder"
    corpus = import_("folder", tmp_path / "mine", tmp_path / "out")
    assert [(u.text, u.speaker) for u in corpus.splits["mine"]] == [
        ("Two lines", "ann"),
        ("two", "ann"),
        ("other one", "bob"),
        ("three", "bob"),
    ]
    assert [line.rpartition("/")[2] for line in corpus.missing] == [
        "README.txt: names no recording",
        "old.txt: line 1 is not UTF-8 text; save it as UTF-8, or unpack it again",
        "4.wav: no text",
    ]


@pytest.mark.parametrize(
    "lines",
    [
        "a1 one\nb2 two",
        "a1|ONE|one\nb2|TWO|two",
        "wav/a1.wav\tone\nwav/b2.wav\ttwo",
        "<s> one </s> (a1)\ntwo (b2)",
    ],
)
def test_texts_in_a_list(tmp_path, lines):
    sound(tmp_path / "wav" / "a1.wav")
    sound(tmp_path / "wav" / "b2.wav")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "prompts.txt").write_text(lines + "\nc3 no such recording\n")
    corpus = import_("folder", tmp_path, tmp_path / "out")
    assert first(corpus) == {"a1": ("one", None, 0, None, None), "b2": ("two", None, 0, None, None)}
    assert [line.partition("etc/")[2] for line in corpus.missing] == [
        "prompts.txt: line 3 names no recording: c3 no such recording"
    ]


def test_a_list_in_each_folder_means_the_recordings_there(tmp_path):
    """As in VoxForge and LibriSpeech; folders that are named after splits are splits."""
    for split, speaker in (("train", "ann"), ("valid", "bob")):
        sound(tmp_path / split / speaker / "wav" / "1.wav")
        (tmp_path / split / speaker / "prompts").write_text(f"1 i am {speaker}\n")
    corpus = importers.read("folder", tmp_path)
    assert {split: [u.text for u in of] for split, of in corpus.splits.items()} == {
        "train": ["i am ann"],
        "dev": ["i am bob"],
    }
    (tmp_path / "train").rename(tmp_path / "tt")  # a language, or a person
    (tmp_path / "valid").rename(tmp_path / "cv")
    assert len(importers.read("folder", tmp_path).splits[tmp_path.name]) == 2


# Kaldi ----------------------------------------------------------------------------------------------------


def kaldi(root, scp, segments=None):
    data = root / "data" / "train"
    data.mkdir(parents=True)
    for name in ("r1", "r2"):
        sound(root / "audio" / f"{name}.wav", 48_000, 16_000 if name == "r1" else 8_000)
    (data / "wav.scp").write_text(scp)
    (data / "text").write_text("u1 hello there\nu2\tbye\n")
    (data / "utt2spk").write_text("u1 ann\nu2 bob\n")
    if segments:
        (data / "segments").write_text(segments)
    return root


def test_kaldi_folders_with_segments_and_mixed_rates(tmp_path):
    root = kaldi(tmp_path / "x", "r1 audio/r1.wav\nr2 /gone/audio/r2.wav\n", "u1 r1 0.5 1.25\nu2 r2 1 -1\n")
    (root / "data" / "train" / "split2" / "1").mkdir(parents=True)
    (root / "data" / "train" / "split2" / "1" / "wav.scp").write_text("r1 audio/r1.wav\n")
    kind, corpus = importers.guess(root)
    assert (kind, corpus.source) == ("kaldi", "Kaldi: x/data/train")
    corpus = import_("kaldi", root, tmp_path / "out")
    assert first(corpus) == {
        "r1": ("hello there", "ann", 0.5, 1.25, None),
        "r2": ("bye", "bob", 1, None, None),
    }
    assert [u.duration for u in corpus.splits["train"]] == [0.75, 5.0]
    assert importers.read("kaldi", root / "data" / "train", {"audio": str(root)}) == replace(
        corpus, source="Kaldi: train"
    )
    for line in ("u1 r1 one 2", "u1 r1 2 1", "u1 r1 -1 2", "u1 r1 1"):
        (root / "data" / "train" / "segments").write_text(line)
        with pytest.raises(InputError, match=r"segments: u1: the part of audio/r1\.wav"):
            importers.read("kaldi", root)


@pytest.mark.parametrize(
    ("command", "channel"),
    [
        ("sph2pipe -f wav -p -c 2 {} |", 1),
        ("/opt/sph2pipe_v2.5/sph2pipe -f wav {} |", None),
        ("flac -c -d -s {} |", None),
        ("sox {} -t wav - |", None),
        ("ffmpeg -i {} -f wav - |", None),
        ("ffmpeg -threads 1 -i {} -ar 16000 -map_channel 0.0.1  -f wav -threads 1 pipe:1 |", 1),  # Lhotse
        ("ffmpeg -threads 1 -i {} -ar 8000 -map_channel 0.0.1  -f wav -threads 1 pipe:1 |", "refused"),
        ("cat {}|", None),
        ("sox {} -r 8000 -t wav - |", "refused"),
        ("sox {} -t wav - remix 1 |", "refused"),
        ("sox -r 16000 -c 1 --null -t wav - synth 9s sine 300 |", "refused"),
        ("ffmpeg -i {} -ar 8000 -f wav - |", "refused"),
        ("sph2pipe -f wav -p -c 3 {} |", "refused"),
        ("cat {} ; touch ran |", "refused"),
        ("cat {} $(touch ran) |", "refused"),
        ("wget -O - http://x/{} |", "refused"),
    ],
)
def test_commands_in_kaldi_folders_never_run_and_are_read_if_they_only_unpack(
    tmp_path, monkeypatch, command, channel
):
    for run in ("subprocess.Popen", "os.system", "os.posix_spawn"):
        monkeypatch.setattr(run, None)
    root = kaldi(tmp_path, f"u1 {command.format('audio/r1.wav')}\nu2 audio/r2.wav\n")
    soundfile.write(root / "audio" / "r1.wav", np.zeros((800, 2)), 16_000)
    corpus = importers.read("kaldi", root)
    if channel == "refused":
        assert list(first(corpus)) == ["r2"]
        assert "train/wav.scp: u1: " in corpus.missing[0]
        assert "is not run; write the path of its result there" in corpus.missing[0]
    else:
        assert first(corpus)["r1"] == ("hello there", "ann", 0, None, channel)


# TextGrid -------------------------------------------------------------------------------------------------


def textgrid(tiers, long):
    """Praat's text formats; `tiers` are (class, name, [(start, end, text) or (time, text)])."""
    label = (lambda name: f"    {name} = ") if long else (lambda name: "")

    def quoted(text):
        return '"' + text.replace('"', '""') + '"'

    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        label("xmin") + "-0",
        label("xmax") + "9",
    ]
    lines += ["tiers? <exists> " if long else "<exists>", label("size") + str(len(tiers)), "item []: " * long]
    for i, (kind, name, items) in enumerate(tiers, 1):
        lines += [f"    item [{i}]:" * long, label("class") + quoted(kind), label("name") + quoted(name)]
        lines += [label("xmin") + "0", label("xmax") + "9", label("intervals: size") + str(len(items))]
        for k, (*times, text) in enumerate(items, 1):
            lines.append(f"        intervals [{k}]:" * long)
            lines += [label("xmin") + repr(time) for time in times] + [label("text") + quoted(text)]
    return "\n".join(lines) + "\n"


TEXTS = [
    '"no"',
    'a "b" c',
    "3",
    "1.5 kg",
    "! yes",
    "안녕 하세요",
    "xmin = 7",
    'text = "',
    "intervals [2]:",
    "two\nlines",
]


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_textgrids_at_random_are_read_as_they_were_written(tmp_path, long, encoding):
    """praatio reads and writes the same (400 files compared once, and 23 of its own)."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        tiers, expected = [], {}
        for i in range(rng.integers(1, 4)):
            times = np.unique(rng.integers(0, 900, 8)) / 100
            texts = [" ".join(rng.choice(TEXTS, 2)) for _ in times[1:]]
            spans = list(zip(times[:-1].tolist(), times[1:].tolist(), texts, strict=True))
            tiers.append(
                ("IntervalTier", f'"{i}" x', [(0.0, 0.0, ""), *spans, (0.5, 1.0, "sil"), (1.0, 2.0, " ")])
            )
            tiers.append(("TextTier", f"points {i}", [(time, "x y") for time in times.tolist()]))
            expected[f'"{i}" x'] = [(start, end, " ".join(text.split())) for start, end, text in spans]
        path = tmp_path / "x.TextGrid"
        path.write_text(textgrid(tiers, long), encoding=encoding)
        assert folders._tiers(path) == expected


def test_the_tier_with_the_longest_texts_is_imported_or_the_one_that_is_named(tmp_path):
    for name in ("ann/1", "bob/1"):
        sound(tmp_path / f"{name}.wav", 48_000)
        words = ("IntervalTier", "words", [(0.5, 1.0, "good"), (1.0, 1.5, "morning")])
        grid = [words, ("IntervalTier", "sentences", [(0.5, 1.5, f"good morning {name[:3]}")])]
        (tmp_path / f"{name}.TextGrid").write_text(textgrid(grid[:: 1 if name < "b" else -1], True))
    assert importers.guess(tmp_path)[1].source == (
        "TextGrids, tier 'sentences' (2), not 'words' (4): --tier NAME or '*' reads these"
    )
    corpus = import_("textgrid", tmp_path, tmp_path / "out")
    (utterances,) = corpus.splits.values()
    assert [(u.text, u.speaker, u.start, u.end) for u in utterances] == [
        ("good morning ann", "ann", 0.5, 1.5),
        ("good morning bob", "bob", 0.5, 1.5),
    ]
    words = importers.read("textgrid", tmp_path / "ann" / "1.TextGrid", {"tier": "words"})
    assert [u.text for u in words.splits["ann"]] == ["good", "morning"]
    with pytest.raises(InputError, match=r"no tier 'x' of texts \(it has words, sentences\)"):
        importers.read("textgrid", tmp_path, {"tier": "x"})


def test_damaged_textgrids_are_errors(tmp_path):
    path = tmp_path / "x.TextGrid"
    whole = textgrid([("IntervalTier", "a", [(0.5, 1.0, "good"), (1.0, 2.0, "bye")])], False)
    refused = 0
    for end in range(len(whole) - 2):
        path.write_text(whole[:end])
        try:
            folders._tiers(path)
        except InputError as error:
            refused += "x.TextGrid: not a TextGrid saved as a text file" in str(error)
    assert refused == len(whole) - 2
    path.write_bytes(b"ooBinaryFile\x08TextGrid\xff\xf0")
    with pytest.raises(InputError, match=r"x\.TextGrid: line 1 is not UTF-8"):
        folders._tiers(path)


# JSON -----------------------------------------------------------------------------------------------------

PARTS = [
    {"text": "안녕", "start": 0.0, "end": 0.5, "words": [{"word": "x", "start": 0}]},
    {"text": "네", "start": 1, "end": 1.5},
]
JSON = {
    "nested": {"data": [{"file": "a.wav", "title": "The call", "who": {"speaker_id": 7}, "parts": PARTS}]},
    "list": [{"audio": {"path": "x/a.wav"}, "speaker": 7, "parts": PARTS}],
    "keys": {"a": {"speaker": "7", "parts": PARTS}, "lost": {"speaker": "8", "parts": PARTS[:1]}},
    "lines": [{"wav": "a.wav", "speaker": 7, **part} for part in PARTS],
    "by content": {"자료": [{"파일": "a.wav", "speaker": 7, "kind": "x y", **p, "text": 0} for p in PARTS]},
}


@pytest.mark.parametrize("name", JSON)
def test_json_of_any_depth(tmp_path, name):
    sound(tmp_path / "x" / "a.wav", 32_000)
    lines = [json.dumps(line, ensure_ascii=False) for line in JSON[name]] if name == "lines" else []
    content = "\n\n".join(lines) or json.dumps(JSON[name], indent=1)
    if name == "by content":
        content = content.replace('"text": 0', '"전사": "안녕 하세요"', 1).replace(
            '"text": 0', '"전사": "네 네"'
        )
    (tmp_path / "x" / "labels.json").write_text("\ufeff" + content, encoding="utf-8")
    corpus = import_("json", tmp_path / "x" / "labels.json", tmp_path / "out")
    kind, guessed = importers.guess(tmp_path / "x")
    assert (kind, guessed.source) == ("json", corpus.source)
    texts = ("안녕 하세요", "네 네") if name == "by content" else ("안녕", "네")
    assert [(u.text, u.speaker, u.start, u.end) for u in corpus.splits["labels"]] == [
        (texts[0], "7", 0.0, 0.5),
        (texts[1], "7", 1.0, 1.5),
    ]
    assert len(corpus.missing) == (name == "keys")


def test_json_fields_by_option(tmp_path):
    sound(tmp_path / "a.wav", 32_000)
    record = {"file": "a.wav", "raw": "A!", "text": "wrong", "cuts": [{"say": "right", "at": 0.5}, {"at": 1}]}
    (tmp_path / "x.json").write_text(json.dumps({"d": [record]}))
    corpus = importers.read(
        "json",
        tmp_path / "x.json",
        {"text": "d[].cuts[].say", "start": "d[].cuts[].at", "speaker": "d[].raw"},
    )
    assert first(corpus) == {"a": ("right", "A!", 0.5, None, None)}
    assert corpus.missing == [f"{tmp_path / 'x.json'}: d[].cuts[] 2 has no 'd[].cuts[].say'"]
    with pytest.raises(
        InputError, match=r"x\.json: no column 'd\[\]\.say' \(it has 'd\[\]\.file', 'd\[\]\.raw'"
    ):
        importers.read("json", tmp_path / "x.json", {"text": "d[].say"})


def test_several_tables_are_named_by_the_first_and_counted(tmp_path):
    for name in "abc":
        sound(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.csv").write_text(f"path,text\n{name}.wav,go\n")
    assert importers.read("table", tmp_path).source == "a.csv and 2 more (path 'path', text 'text')"


def test_one_json_for_each_recording(tmp_path):
    """AI Hub's layout, with recordings and labels in two trees, and that of the NIKL, with parts."""
    for i in (1, 2):
        sound(tmp_path / "ai" / "source" / f"{i}.wav")
        label = {"발화정보": {"stt": f"말 {i}", "scriptId": "x"}, "녹음자정보": {"gender": "F"}}
        (tmp_path / "ai" / "label").mkdir(exist_ok=True)
        (tmp_path / "ai" / "label" / f"{i}.json").write_text(json.dumps(label))
    (tmp_path / "ai" / "package.json").write_text('{"name": "x", "version": 1}')
    corpus = importers.read("json", tmp_path / "ai")
    assert first(corpus) == {"1": ("말 1", None, 0, None, None), "2": ("말 2", None, 0, None, None)}
    assert list(corpus.splits) == ["ai"]
    assert ["package.json: no column" in line for line in corpus.missing] == [True]
    sound(tmp_path / "nikl" / "S1.wav", 32_000)
    parts = [{"id": "S1.1", "form": "네", "speaker_id": "P1", "start": 0.5, "end": 1.5}]
    (tmp_path / "nikl" / "S1.json").write_text(
        json.dumps({"id": "S1", "document": [{"metadata": {"speaker": [{"id": "P1"}]}, "utterance": parts}]})
    )
    assert first(importers.read("json", tmp_path / "nikl")) == {"S1": ("네", "P1", 0.5, 1.5, None)}


def test_json_that_is_no_corpus_is_an_error_in_one_line(tmp_path):
    path = tmp_path / "x.json"
    for content, problem in {
        '{"a": 1': r"line 1 is not JSON \(Expecting ',' delimiter\)",
        '{"text": "a"}\n\n{"text": }': r"line 3 is not JSON \(Expecting value\)",
        '[[[{"a": "b"}]]]': "it has no objects",
        "": "it has no objects",
        '{"a":' * 900 + "1" + "}" * 900: "nested too deeply|no column has recordings",
        '{"file": "a.wav", "text": "b"}': "no such file",
    }.items():
        path.write_text(content)
        with pytest.raises(InputError, match=rf"x\.json: {problem}|no such file") as error:
            importers.read("json", path)
        assert "\n" not in str(error.value)


# What would be lost or mistaken -----------------------------------------------------------------------------


def missing(corpus):
    return [line.rpartition("/")[2] for line in corpus.missing]


def test_a_recording_with_several_texts_is_left_out(tmp_path):
    """Parts in columns with unusual names; names in folders, of which only one file is left."""
    for name in "01":
        sound(tmp_path / f"{name}.wav", 32_000)
    (tmp_path / "x.csv").write_text("path,text,t0,t1\n0.wav,go,0,1\n0.wav,come,1,2\n1.wav,a,,\n1.wav,a,,\n")
    corpus = importers.read("table", tmp_path)
    assert [u.text for u in corpus.splits["x"]] == ["a", "a"]
    assert missing(corpus) == ["0.wav: has several texts; keep one, or tell its parts apart"]
    (tmp_path / "x.csv").write_text("path,text\nday1/0.wav,go\nday2/0.wav,come\n1.wav,a\n")
    assert first(importers.read("table", tmp_path)) == {"1": ("a", None, 0, None, None)}


@pytest.mark.parametrize("line", ["{0}.wav,go on {1}", "{0}|go on {1}", "{0}.wav,{1}", "{0}.wav\t{1}"])
def test_a_list_whose_first_recording_is_missing_has_no_header(tmp_path, line):
    sound(tmp_path / "1.wav")
    (tmp_path / "x.csv").write_text("\n".join(line.format(i, ("now", "then")[i]) for i in range(2)))
    corpus = importers.read("table", tmp_path)
    assert list(first(corpus)) == ["1"]
    assert [line.split(":")[0].removesuffix(".wav") for line in missing(corpus)] == ["0"]


def test_a_header_in_words_of_another_language_is_one_if_an_option_names_a_column(tmp_path):
    sound(tmp_path / "1.wav")
    (tmp_path / "x.csv").write_text("Name der Datei,Satz\n1.wav,ja\n")
    corpus = importers.read("table", tmp_path, {"text": "Satz"})
    assert (first(corpus)["1"][0], missing(corpus)) == ("ja", [])


def test_splits_in_a_column_may_have_any_names_beside_known_ones(tmp_path):
    names = ["train-clean", "train-other", "dev2", "excluded", "eval"]
    for i in range(5):
        sound(tmp_path / f"{i}.wav")
    rows = [f"{i}.wav,a,{name}\n" for i, name in enumerate(names)]
    (tmp_path / "x.csv").write_text("path,text,set\n" + "".join(rows))
    assert list(importers.read("table", tmp_path).splits) == [*names[:4], "test"]
    (tmp_path / "x.csv").write_text("path,text,set\n0.wav,a,trainer\n1.wav,a,developer\n")
    assert list(importers.read("table", tmp_path).splits) == ["x"]


def test_spaces_around_values_do_not_count(tmp_path):
    for i in "01":
        sound(tmp_path / f"{i}.wav")
    (tmp_path / "x.csv").write_text("path, text, speaker\n 0.wav , a,ann\n1.wav,b , ann\n")
    (tmp_path / "x.json").write_text('[{"path": "0.wav", "text": "a", "speaker": " ann"}]')
    assert first(importers.read("table", tmp_path)) == {
        "0": ("a", "ann", 0, None, None),
        "1": ("b", "ann", 0, None, None),
    }
    assert first(importers.read("json", tmp_path))["0"][1] == "ann"


def test_values_of_json_that_are_no_texts(tmp_path):
    sound(tmp_path / "1.wav")
    rows = [{"path": "1.wav", "text": text} for text in ("a", float("nan"), True, None, [])]
    (tmp_path / "x.json").write_text(json.dumps(rows))
    corpus = importers.read("json", tmp_path)
    assert [u.text for u in corpus.splits["x"]] == ["a"]
    assert missing(corpus) == [f"x.json: [] {i} has no '[].text'" for i in range(2, 6)]


@pytest.mark.parametrize("stated", [0.2, 9])
def test_a_recording_of_another_length_is_left_out(tmp_path, stated):
    sound(tmp_path / "1.wav", 32_000)
    sound(tmp_path / "2.wav", 32_000)
    (tmp_path / "x.csv").write_text(f"path,text,duration\n1.wav,a,{stated}\n2.wav,b,2.5\n")
    corpus = importers.read("table", tmp_path)
    assert list(first(corpus)) == ["2"]
    assert missing(corpus) == [f"1.wav: lasts 2.0 s, its line states {stated:.1f} s; correct one of them"]


def test_a_column_of_file_names_is_no_text(tmp_path):
    for i in "01":
        sound(tmp_path / f"{i}.wav")
    (tmp_path / "x.csv").write_text("audio,text\n0.wav,0.txt\n1.wav,1.txt\n")
    with pytest.raises(InputError, match=r"no column has texts \(it has 'audio', 'text'\)"):
        importers.read("table", tmp_path)


def test_utf16_without_a_mark_is_an_error(tmp_path):
    (tmp_path / "x.csv").write_bytes("path,text\n1.wav,a\n".encode("utf-16-le"))
    with pytest.raises(InputError, match=r"x\.csv: line 1 is not UTF-8 text; save it as UTF-8"):
        importers.read("table", tmp_path)


@pytest.mark.parametrize(
    ("folders", "speakers"),
    [
        (("ann/1", "ann/2", "bob/1"), ("ann", "ann", "bob")),  # sessions
        (("wav/ann/1", "wav/bob/1"), ("ann", "bob")),
        (("train/ann/wav", "valid/bob/wav"), ("ann", "bob")),
        (("ann", ".", "bob/x"), ("ann", None, "bob")),
        (("a/b", "a/b"), (None, None)),
    ],
)
def test_speakers_are_the_first_folders_that_differ(tmp_path, folders, speakers):
    for i, folder in enumerate(folders):
        sound(tmp_path / folder / f"{i}.wav")
        (tmp_path / folder / f"{i}.txt").write_text("a")
    corpus = importers.read("folder", tmp_path)
    assert tuple(u.speaker for _, u in sorted(corpus, key=lambda x: x[1].path.name)) == speakers


def test_texts_have_precedence_over_labels_of_phones_and_no_numbers_of_samples(tmp_path):
    for i in "01":
        sound(tmp_path / f"{i}.wav")
        (tmp_path / f"{i}.txt").write_text(f"0 46797 She had {i}\n")  # TIMIT
        (tmp_path / f"{i}.lab").write_text("0 100000 sil\n100000 200000 ah\n")
    assert [u[0] for u in first(importers.read("folder", tmp_path)).values()] == ["She had 0", "She had 1"]
    (tmp_path / "0.txt").write_text("0 1 2")
    assert [u[0] for u in first(importers.read("folder", tmp_path)).values()] == [
        "0 1 2",
        "0 46797 She had 1",
    ]


def test_kaldi_lists_that_do_not_agree(tmp_path):
    root = kaldi(tmp_path, "r1 audio/r1.wav\nu2 audio/r2.wav\n", "u1 r1 0.5 1.25 1\nu3 r1 0 1\nu4 r9 0 1\n")
    soundfile.write(root / "audio" / "r1.wav", np.zeros((32_000, 2)), 16_000)
    (root / "data" / "train" / "text").write_text("u1 a\nu2 whole\nu4 b\n")
    corpus = importers.read("kaldi", root)
    assert first(corpus) == {"r1": ("a", "ann", 0.5, 1.25, 1)}
    assert missing(corpus) == [
        "segments: no line for u2",
        "wav.scp: no line for r9",
        "text: no line for u3",
    ]
    for name in ("text", "wav.scp", "segments", "utt2spk"):
        path = root / "data" / "train" / name
        whole = path.read_text()
        path.write_text(whole + whole)
        with pytest.raises(InputError, match=rf"{name}: line \d: [ru]1 has two lines; keep one"):
            importers.read("kaldi", root)
        path.write_text(whole)


def test_tiers_of_several_speakers(tmp_path):
    sound(tmp_path / "1.wav", 48_000)
    tiers = {"ann - words": [(0, 1, "hello there"), (2, 3, "how")], "ann - phones": [(0, 1, "h")]}
    tiers["bob - words"] = [(1, 2, "hi ann")]
    grid = [("IntervalTier", name, [(float(a), float(b), t) for a, b, t in of]) for name, of in tiers.items()]
    (tmp_path / "1.TextGrid").write_text(textgrid(grid, True))
    corpus = importers.read("textgrid", tmp_path)
    assert [u.text for _, u in corpus] == ["hello there", "how"]
    assert "not 'ann - phones' (1), 'bob - words' (1)" in corpus.source
    corpus = importers.read("textgrid", tmp_path, {"tier": "*words"})
    assert [(u.speaker, u.text, u.start) for _, u in corpus] == [
        ("ann - words", "hello there", 0),
        ("ann - words", "how", 2),
        ("bob - words", "hi ann", 1),
    ]
    assert corpus.source.endswith("not 'ann - phones' (1): --tier NAME or '*' reads these")


def test_a_text_belongs_to_a_recording_of_its_own_folder(tmp_path):
    """Or of a parallel tree; never to one whose text is nearer."""
    for name in ("ann/0", "ann/1", "bob/0", "bob/1"):
        for folder in ("one", "two/txt"):
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / f"{name}.txt").write_text(name)
        for folder in ("one", "two/wav") if name != "ann/1" else ():
            sound(tmp_path / folder / f"{name}.wav")
    for folder in ("one", "two"):
        corpus = importers.read("folder", tmp_path / folder)
        assert [(u.text, u.speaker) for _, u in corpus] == [
            ("ann/0", "ann"),
            ("bob/0", "bob"),
            ("bob/1", "bob"),
        ]
        assert missing(corpus) == ["1.txt: names no recording"]
    (tmp_path / "one" / "ann" / "0.txt").unlink()
    (tmp_path / "one" / "bob" / "0.txt").unlink()
    (tmp_path / "one" / "0.txt").write_text("whose?")
    assert [u.text for _, u in importers.read("folder", tmp_path / "one")] == ["bob/1"]


def test_texts_of_a_folder_without_recordings_do_not_replace_others(tmp_path):
    sound(tmp_path / "bob" / "0.wav")
    for name in ("ann", "bob"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "0.txt").write_text(name)
    corpus = importers.read("folder", tmp_path)
    assert [u.text for _, u in corpus] == ["bob"]
    assert missing(corpus) == ["0.txt: names no recording"]


def test_a_text_whose_folder_has_recordings_goes_nowhere_else(tmp_path):
    """Three kinds of layouts in which one recording of s1 is missing, and the text of that of s2."""
    for kind, wav, txt in (("own", "", ""), ("parallel", "wav/", "txt/"), ("lists", "", "")):
        for speaker in ("s1", "s2"):
            for i in range(3):
                if (speaker, i) != ("s1", 0):
                    sound(tmp_path / kind / wav / "train" / speaker / f"{i}.wav")
            lines = [f"{i} {speaker} says {i}" for i in range(3) if (speaker, i) != ("s2", 0)]
            folder = tmp_path / kind / txt / "train" / speaker
            folder.mkdir(parents=True, exist_ok=True)
            if kind == "lists":
                (folder / "list.txt").write_text("\n".join(lines))
            else:
                for line in lines:
                    (folder / f"{line[0]}.txt").write_text(line[2:])
        corpus = importers.read("folder", tmp_path / kind)
        texts = {(u.speaker, u.path.stem): u.text for _, u in corpus}
        assert texts == {(s, i): f"{s} says {i}" for s in ("s1", "s2") for i in "12"}
        assert len(corpus.missing) == 2


def test_a_second_text_of_a_recording_is_listed(tmp_path):
    for name in ("a", "b"):
        sound(tmp_path / f"{name}.wav")
    (tmp_path / "my.lst").write_text("a one\nb two\na three\nb two\n")
    corpus = importers.read("folder", tmp_path)
    assert [u.text for _, u in corpus] == ["one", "two"]
    assert missing(corpus) == ["my.lst: line 3: a.wav has another text already: one"]


def test_the_same_tier_is_read_of_all_files_that_have_it(tmp_path):
    for i in "123":
        sound(tmp_path / f"{i}.wav", 32_000)
        tiers = {"words": "good" if i != "3" else None, "note": "a long note" if i != "2" else None}
        grid = [("IntervalTier", name, [(0.0, 1.0, text)]) for name, text in tiers.items() if text]
        extra = [("IntervalTier", "phones", [(0.0, 1.0, "g")])] * (i != "3")
        (tmp_path / f"{i}.TextGrid").write_text(textgrid([*grid, *extra], True))
    (tmp_path / "4.TextGrid").write_text(textgrid([("IntervalTier", "words", [(0.0, 1.0, "bye")])], True))
    sound(tmp_path / "4.wav", 32_000)
    corpus = importers.read("textgrid", tmp_path)
    assert [u.text for _, u in corpus] == ["good", "good", "a long note", "bye"]
    assert "tier 'words' (3), 'note' (1), not " in corpus.source


def test_numbers_are_no_names_of_recordings_by_chance(tmp_path):
    for i in range(1, 5):
        sound(tmp_path / f"{i}.wav")
    rows = [f"{age},{i},ja nein {i}\n" for i, age in zip(range(1, 5), (2, 1, 1, 44), strict=True)]
    (tmp_path / "x.csv").write_text("age,nr,antwort\n" + "".join(rows))
    corpus = importers.read("table", tmp_path)
    assert first(corpus)["3"][0] == "ja nein 3"
    (tmp_path / "x.csv").write_text(
        "age,nr,antwort\n" + "".join(rows).replace("44", "4").replace("1,3", "3,3")
    )
    with pytest.raises(InputError, match=r"no column has recordings that are there .*; name it by --path"):
        importers.read("table", tmp_path)
    (tmp_path / "x.json").write_text('[{"age": 1, "satz": "ja nein"}, {"age": 2, "satz": "ja"}]')
    with pytest.raises(InputError, match="no column has recordings that are there"):
        importers.read("json", tmp_path)


def test_objects_of_a_json_file_by_name_need_not_have_all_fields(tmp_path):
    for i in "012":
        sound(tmp_path / f"{i}.wav")
    fields = {"text": "go", "speaker": "x"}
    content = {"0.wav": fields, "1.wav": fields | {"extra": 1}, "2.wav": fields}
    (tmp_path / "x.json").write_text(json.dumps(content))
    assert list(first(importers.read("json", tmp_path))) == ["0", "1", "2"]


def test_channels_from_one_are_an_error(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros((16_000, 2)), 16_000)
    (tmp_path / "x.csv").write_text("path,text,channel\nx.wav,a,1\nx.wav,b,2\n")
    problem = r"x\.wav \[channel 2\]: it has 2 channels, counted from 0; correct all, if they count from 1"
    with pytest.raises(InputError, match=problem):
        importers.read("table", tmp_path)


def test_a_part_without_an_end_is_left_out_if_others_have_one(tmp_path):
    sound(tmp_path / "x.wav", 64_000)
    (tmp_path / "x.csv").write_text("path,text,start,duration\nx.wav,a,1,2\nx.wav,b,3,\n")
    corpus = importers.read("table", tmp_path)
    assert [u.text for u in corpus.splits["x"]] == ["a"]
    assert missing(corpus) == ["x.csv: line 3 has no 'duration'"]
    (tmp_path / "x.csv").write_text("path,text,start\nx.wav,b,3\n")
    assert first(importers.read("table", tmp_path))["x"][2] == 3


# All layouts ----------------------------------------------------------------------------------------------


def test_corpora_are_recognized(tmp_path):
    an4(tmp_path / "a" / "an4", PEOPLE)
    commonvoice(tmp_path / "c")
    sound(tmp_path / "f" / "recordings" / "7_theo_0.wav", 800, 8000)
    assert importers.guess(tmp_path / "a")[0] == "an4"
    assert importers.guess(tmp_path / "c" / "en")[0] == "commonvoice"
    assert importers.guess(tmp_path / "f")[0] == "fsdd"


def test_the_layout_with_most_recordings_is_meant(tmp_path):
    """Alignments of words beside sentences, a note beside one of several TextGrids."""
    for i in "12":
        sound(tmp_path / f"{i}.wav")
        grid = [("IntervalTier", "words", [(0.0, 0.05, "good"), (0.05, 0.1, "morning")])]
        (tmp_path / f"{i}.TextGrid").write_text(textgrid(grid, False))
    assert importers.guess(tmp_path)[0] == "textgrid"
    (tmp_path / "1.txt").write_text("good morning")
    assert importers.guess(tmp_path)[0] == "textgrid"
    (tmp_path / "2.txt").write_text("good morning")
    assert importers.guess(tmp_path)[0] == "folder"
    (tmp_path / "x.csv").write_text("file,text\n1.wav,good morning\n2.wav,good morning\n")
    assert importers.guess(tmp_path)[0] == "table"


def test_what_is_not_recognized_is_told_with_what_is_there(tmp_path):
    sound(tmp_path / "a.wav")
    (tmp_path / "notes.PDF").touch()
    with pytest.raises(
        InputError, match=r"no known layout \(files: \.pdf \.wav\); put a text file beside each"
    ):
        importers.guess(tmp_path)
    with pytest.raises(InputError, match=r"a\.wav: "):
        importers.guess(tmp_path / "a.wav")
    with pytest.raises(InputError, match=r"gone: no such file or folder"):
        importers.guess(tmp_path / "gone")
    (tmp_path / "x.csv").write_text("path,text\ngone.wav,good morning\n")
    with pytest.raises(InputError, match=r"x\.csv \(path 'path', text 'text'\), but none of its recordings"):
        importers.guess(tmp_path / "x.csv")


def test_the_command_has_the_columns_as_options(tmp_path, capsys):
    sound(tmp_path / "1.wav")
    (tmp_path / "x.csv").write_text("a,b,c\n1.wav,go now,ann\n")
    line = [
        "data",
        "import",
        "table",
        tmp_path / "x.csv",
        "--out",
        tmp_path / "out",
        "--speaker",
        "c",
        "--json",
    ]
    with pytest.raises(SystemExit) as end:
        cli.main(list(map(str, line)))
    output = capsys.readouterr()
    assert not end.value.code
    assert json.loads(output.out)["source"] == "x.csv (path 'a', text 'b', speaker 'c')"
    assert "x.csv (path 'a', text 'b', speaker 'c')" in output.err
    assert read_manifest(tmp_path / "out" / "x.jsonl")[0].speaker == "ann"


DAMAGED = {
    "table": (
        "x.csv",
        b'file,text,speaker,start,end\n0.wav,a b,s1,,\n1.wav,"b, c",s2,0.01,0.05\n2,c,,0,0.02\n',
    ),
    "json": (
        "x.jsonl",
        b'{"file": "0.wav", "parts": [{"text": "a", "start": 0}]}\n{"file": "1", "parts": []}\n',
    ),
    "kaldi": ("wav.scp", b"u0 0.wav\nu1 cat 1.wav |\nu2 sph2pipe -f wav -p -c 1 2.wav |\n"),
    "textgrid": ("0.TextGrid", textgrid([("IntervalTier", "t", [(0.0, 0.01, "a b")])], True).encode()),
    "folder": ("x.txt", b"0 a b\n1.wav|c|a\n<s> b </s> (2)\n"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_lists_are_read_or_refused_in_one_line(tmp_path, kind):
    name, content = DAMAGED[kind]
    for i in range(3):
        sound(tmp_path / f"{i}.wav")
    (tmp_path / "text").write_text("u0 a b\nu1 c\nu2 d\n")
    rng = np.random.default_rng(0)
    read, refused = 0, []
    for i in range(60):
        (tmp_path / name).write_bytes(damage_lines(content, rng, b" ") if i % 2 else damage(content, rng))
        try:
            corpus = importers.read(kind, tmp_path)
            assert all(u.duration > 0 and "\0" not in split for split, u in corpus)
            read += 1
        except InputError as error:
            refused.append(str(error))
    assert 0 < read < 60
    assert all(str(tmp_path) in message and "\n" not in message for message in refused)
