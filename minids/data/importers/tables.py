"""Tables: CSV, or separated by semicolons, tabs or |, with a column for recordings and one for texts.

file,sentence,speaker             with a header
wavs/1.wav,"Well, hello",ann
1|Well, hello                     without: the columns are called 1, 2, ...
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError
from minids.data.importers.columns import SAMPLE, NoColumn, add_utterance, describe, find_columns
from minids.data.importers.common import Corpus, Recordings, find_corpus, list_files, text_lines

DEV_CHAPTER, TEST_CHAPTER = "LJ049", "LJ050"  # of LJSpeech, the last two; there is no official split
COMMON_VOICE_FIELDS = ("gender", "age", "accents", "locale")


def read_table(root: Path, options: Mapping[str, str]) -> Corpus:
    """One table, or all of a folder. A column `split`, or else the name of the file, is the split.

    Paths are relative to the table's folder or one above it, or the end of a path below it. The columns start
    and end, or offset and duration (seconds), select a part of a recording; columns without a role become
    fields. Tables of a folder in which no path or text is found are left out and listed.
    """
    return _tables(list_files(root, ".csv", ".tsv"), options, strict=bool(options) or root.is_file())


def read_mozilla(root: Path, options: Mapping[str, str]) -> Corpus:
    """train.csv and others, of Mozilla DeepSpeech and Coqui STT: wav_filename,wav_filesize,transcript."""
    return _tables(list_files(root, ".csv"), {"path": "wav_filename", "text": "transcript"})


def read_commonvoice(root: Path, options: Mapping[str, str]) -> Corpus:
    """Common Voice, cv-corpus-17.0/en: train.tsv, dev.tsv, test.tsv, and clips/ with MP3 of volunteers.

    Fields: speaker (the first 16 digits of client_id), gender, age, accents, locale.
    """
    folder = find_corpus(root, ["en"], "train.tsv")
    columns = {"path": "path", "text": "sentence", "speaker": "client_id", "audio": str(folder / "clips")}
    corpus = _tables([folder / f"{name}.tsv" for name in ("train", "dev", "test")], columns)
    for utterances in corpus.splits.values():
        for i, u in enumerate(utterances):
            extra = {key: u.extra[key] for key in COMMON_VOICE_FIELDS if key in u.extra}
            utterances[i] = replace(u, speaker=(u.speaker or "")[:16], extra=extra)
    return corpus


def read_ljspeech(root: Path, options: Mapping[str, str]) -> Corpus:
    """LJSpeech-1.1 (Ito and Johnson 2017), one woman: metadata.csv with LJ001-0001|In 1455, …|In fourteen …

    The text is the third column, where numbers are words. dev is the last chapter but one, test the last.
    Field: chapter.
    """
    folder = find_corpus(root, ["LJSpeech-1.1"], "metadata.csv")
    table = _tables([folder / "metadata.csv"], {"path": "1", "text": "3"})
    corpus = Corpus(source="LJSpeech")
    for u in chain(*table.splits.values()):
        chapter = u.path.stem.partition("-")[0]
        if not chapter.startswith("LJ"):
            raise InputError(f"{folder / 'metadata.csv'}: {u.path.name} is not of LJSpeech; import a `table`")
        split = {DEV_CHAPTER: "dev", TEST_CHAPTER: "test"}.get(chapter, "train")
        u = replace(u, speaker="lj", extra={"chapter": chapter})
        corpus.splits.setdefault(split, []).append(u)
    return corpus


def _tables(paths: list[Path], options: Mapping[str, str], strict: bool = True) -> Corpus:
    corpus = Corpus()
    for path in paths:
        recordings = Recordings(options.get("audio") or path.parent)
        try:
            columns, rows = _table(path, recordings, options)
        except NoColumn as error:
            corpus.missing.append(f"{path}: {error}")
            if strict or (path == paths[-1] and not corpus.source):
                raise InputError(corpus.missing[0]) from error
            continue
        corpus.source += f"{', ' if corpus.source else ''}{path.name} ({describe(columns)})"
        for line, row in rows:
            add_utterance(corpus, row, columns, recordings, f"{path}: line {line}", path.stem)
    return corpus


def _table(
    path: Path, recordings: Recordings, options: Mapping[str, str]
) -> tuple[dict[str, str], Iterator[tuple[int, dict[str, str]]]]:
    """The column of each role, and the rows with their lines."""
    rows = table_rows(path)
    first = next(rows, (1, []))
    names, sample = first[1], [*islice(rows, SAMPLE)]
    if any(map(recordings.has, names)) or any(map(str.isdecimal, options.values())):  # no header
        names, sample = [str(i + 1) for i in range(len(names))], [first, *sample]
    columns = find_columns(
        names, [dict(zip(names, row, strict=True)) for _, row in sample], recordings, options
    )
    return columns, ((line, dict(zip(names, row, strict=True))) for line, row in chain(sample, rows))


def table_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table with their lines. The delimiter is the first of tab, | and ; in line 1, or a comma.

    Raises InputError naming the file, the line and the problem: a row with another number of columns than the
    first, or quotes that are not balanced and swallow lines.
    """
    start = next(text_lines(path), "")
    delimiter = next((character for character in "\t|;" if character in start), ",")
    # With tabs and |, a quotation mark is usually one of the text.
    quoting: dict[str, Any] = {"strict": True} if delimiter in ",;" else {"quoting": csv.QUOTE_NONE}
    reader = csv.reader(text_lines(path), delimiter=delimiter, **quoting)
    previous = width = 0
    try:
        for row in reader:
            line, previous = previous + 1, reader.line_num
            if line < previous:
                raise InputError(
                    f"{path}: the row of line {line} ends in line {previous}: a quote is not closed, or a"
                    " text has line breaks; correct it"
                )
            width = width or len(row)
            if len(row) not in (0, width):
                raise InputError(f"{path}: line {line} has {len(row)} columns, not {width}; correct it")
            if row:
                yield line, row
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}; correct it") from error
