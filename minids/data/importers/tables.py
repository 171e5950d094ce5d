"""Tables: CSV, or separated by semicolons, tabs or |, and what the columns of any table mean.

file,sentence,speaker             with a header
wavs/1.wav,"Well, hello",ann
1|Well, hello                     without: the columns are called 1, 2, ...
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError
from minids.data.importers import ROLES
from minids.data.importers.common import SPLITS, Corpus, Recordings, is_sound, list_files, text_lines
from minids.data.importers.corpora import find_corpus
from minids.data.manifest import MAX_CHANNELS, Utterance, parse_part

COMMON_VOICE_FIELDS = ("gender", "age", "accents", "locale")
SAMPLE = 50  # rows, for finding columns
# Columns by their roles, recordings, the split of rows that name none, and the rows with their locations.
Rows = tuple[dict[str, str], Recordings, str, Iterable[tuple[str, Mapping[str, Any]]]]


def read_table(root: Path, options: Mapping[str, str]) -> Corpus:
    """One table, or all of a folder. A column `split`, or else the name of the file, is the split.

    Paths are relative to the table's folder or one above it, or the end of a path below it. The columns start
    and end, or offset and duration, select a part of a recording, in seconds, or milliseconds if the name
    ends with ms; columns without a role become fields. Without options, tables in which no path or text is
    found are left out and listed.
    """
    return _tables(list_files(root, ".csv", ".tsv"), options)


def read_commonvoice(root: Path, options: Mapping[str, str]) -> Corpus:
    """Common Voice, cv-corpus-17.0/en: train.tsv, dev.tsv, test.tsv, and clips/ with MP3 of volunteers.

    Fields: speaker (the first 16 digits of client_id), gender, age, accents, locale.
    """
    folder = find_corpus(root, ("en",), "train.tsv")
    columns = {"path": "path", "text": "sentence", "speaker": "client_id", "audio": str(folder / "clips")}
    corpus = Corpus(source="Common Voice")
    table = _tables([folder / f"{name}.tsv" for name in ("train", "dev", "test")], columns)
    for split, u in table:
        extra = {key: u.extra[key] for key in COMMON_VOICE_FIELDS if key in u.extra}
        corpus.add(split, replace(u, speaker=(u.speaker or "")[:16], extra=extra))
    return corpus


def read_ljspeech(root: Path, options: Mapping[str, str]) -> Corpus:
    """LJSpeech-1.1 (Ito and Johnson 2017), one woman: metadata.csv with LJ001-0001|In 1455, …|In fourteen …

    The text is the third column, where numbers are words. dev is the last chapter but one, test the last.
    Field: chapter.
    """
    folder = find_corpus(root, ("LJSpeech-1.1",), "metadata.csv")
    corpus = Corpus(source="LJSpeech")
    for _, u in _tables([folder / "metadata.csv"], {"path": "1", "text": "3"}):
        chapter = u.path.stem.partition("-")[0]
        if not chapter.startswith("LJ"):
            raise InputError(f"{folder / 'metadata.csv'}: {u.path.name} is not of LJSpeech; import a `table`")
        split = {"LJ049": "dev", "LJ050": "test"}.get(chapter, "train")  # there is no official split
        corpus.add(split, replace(u, speaker="lj", extra={"chapter": chapter}))
    return corpus


def _tables(files: list[Path], options: Mapping[str, str]) -> Corpus:
    def open_table(path: Path) -> Rows:
        recordings = Recordings(path, options.get("audio"))
        rows = table_rows(path)
        first = next(rows, (1, []))
        names, sample = first[1], [*islice(rows, SAMPLE)]
        if not _is_header(names, recordings, options):
            names, sample = [str(i + 1) for i in range(len(names))], [first, *sample]
        fields = [dict(zip(names, row, strict=True)) for _, row in sample] or [dict.fromkeys(names, "")]
        columns = find_columns(fields, recordings, options)
        every = chain(sample, rows)
        located = ((f"{path}: line {line}", dict(zip(names, row, strict=True))) for line, row in every)
        return columns, recordings, path.stem, located

    return read_files(files, open_table, strict=bool(options))


def _is_header(row: list[str], recordings: Recordings, options: Mapping[str, str]) -> bool:
    """Whether a first row names columns: one as usual, or all in one word; and none is a recording."""
    if options.get("text", "").isdecimal() or any(is_sound(x) or recordings.find(x) for x in row):
        return False
    usual = any(x in options.values() or any(is_usual(x, role) for role in ROLES) for x in row)
    return usual or " " not in "".join(row)


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
                problem = f"ends in line {previous}: a quote is not closed, or a text has line breaks"
                raise InputError(f"{path}: the row of line {line} {problem}; correct it")
            width = width or len(row)
            if len(row) not in (0, width):
                raise InputError(f"{path}: line {line} has {len(row)} columns, not {width}; correct it")
            if row:
                yield line, [value.strip() for value in row]
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}; correct it") from error


class NoColumn(InputError):
    """There is no column for paths or texts. The message has no location."""


def find_columns(
    rows: list[dict[str, Any]], recordings: Recordings, options: Mapping[str, str]
) -> dict[str, str]:
    """The column or field of each of ROLES that there is; `options` fix some of them, "" means none.

    Raises NoColumn if none has paths or texts.
    """
    names = [*dict.fromkeys(chain.from_iterable(rows))]
    columns = {role: name for role, name in options.items() if role in ROLES}
    has = f"it has {', '.join(map(repr, names))[:200] or 'none'}"
    for name in columns.values():
        if name and name not in names:
            raise NoColumn(f"no column {name!r} ({has}); is it the right file?")
    values = {name: [str(row[name]) for row in rows if row.get(name) not in (None, "")] for name in names}
    words = {name for name in names if any(isinstance(row.get(name), str) for row in rows)}
    for role in ROLES:
        if role in columns:
            continue
        free = {name: values[name] for name in names if name not in columns.values()}
        simple = {_simple(name): name for name in reversed(free)}
        found = [simple[name] for name in ROLES[role].split() if name in simple]
        if role == "path":
            found = _paths(found, {n: free[n] for n in free if n in words or n in found}, recordings)
        elif role == "text":
            found = _texts(found, free)
        elif role == "split":
            known = re.compile(rf"({'|'.join(SPLITS)})([\W\d_]|$)", re.IGNORECASE)  # train-clean-100
            found = [name for name in found if any(map(known.match, free[name]))]
        if found:
            columns[role] = found[0]
        elif role in ("path", "text"):
            what = "recordings that are there" if role == "path" else "texts"
            raise NoColumn(f"no column has {what} ({has}); name it by --{role}")
    return {role: name for role, name in columns.items() if name}


def _paths(usual: list[str], values: dict[str, list[str]], recordings: Recordings) -> list[str]:
    """The columns with recordings: with usual names, or else names of files, or the only one with most."""
    sounds = [name for name in values if any(map(is_sound, values[name]))]
    found = [name for name in (*usual, *sounds) if any(map(recordings.find, values[name]))]
    if found or usual or sounds:
        return found or usual
    counts = {name: len({*map(recordings.find, values[name])} - {None}) for name in values}
    most = [name for name, count in counts.items() if 0 < count == max(counts.values())]
    return most if len(most) == 1 else []  # numbers may be names by chance


def _texts(usual: list[str], values: dict[str, list[str]]) -> list[str]:
    """The columns of texts, not names of files: those with usual names, or else with the most words.

    Their values differ and, unless the table has no header, some have several words.
    """
    texts = {n: of for n, of in values.items() if not of or not all(v.endswith(".txt") for v in of)}
    if found := [name for name in usual if name in texts]:
        return found
    differ = {name: "".join(of) for name, of in texts.items() if 2 * len({*of}) > len(of)}
    found = [name for name in differ if name.isdecimal() or " " in differ[name]]
    found = [name for name in found if re.search(r"[^\W\d_]", differ[name])]
    return sorted(found, key=lambda name: differ[name].count(" "), reverse=True)


def is_usual(name: str, role: str) -> bool:
    """Whether a column has a usual name for the role."""
    return _simple(name) in ROLES[role].split()


def read_files(files: list[Path], open_file: Callable[[Path], Rows], strict: bool) -> Corpus:
    """The utterances in tables or JSON files. Files without a path or text are left out, or errors."""
    corpus, used = Corpus(), dict[str, list[str]]()
    for path in files:
        try:
            columns, recordings, split, rows = open_file(path)
            for location, row in rows:
                add_utterance(corpus, row, columns, recordings, location, split)
            description = ", ".join(f"{role} {columns[role]!r}" for role in ROLES if role in columns)
            used.setdefault(description, []).append(path.name)
        except RecursionError:
            raise InputError(f"{path}: nested too deeply; give a list of recordings and texts") from None
        except NoColumn as error:
            corpus.missing.append(f"{path}: {error}")
            if strict or (path == files[-1] and not used):
                raise InputError(corpus.missing[0]) from error
    found = ((names[0] + f" and {len(names) - 1} more" * (len(names) > 1), of) for of, names in used.items())
    corpus.source = ", ".join(f"{names} ({description})" for names, description in found)
    return corpus


def add_utterance(
    corpus: Corpus, row: Mapping[str, Any], columns: Mapping[str, str], recordings: Recordings, location: str,
    split: str,
) -> None:  # fmt: skip
    """Add the utterance of a row to its split, by default `split`; fields without a role are kept.

    A row without a path or text is left out and listed. Raises InputError with the location for numbers that
    are none.
    """
    values = {role: row[name] for role, name in columns.items() if row.get(name) not in (None, "")}
    path, text, channel = values.get("path"), row.get(columns["text"]), values.get("channel")
    there = {"path": isinstance(path, str | int), "text": type(text) in (str, int, float) and text == text}
    ends = [role for role in ("end", "duration") if role in columns and "start" in values]
    there |= dict.fromkeys(ends[:1], any(role in values for role in ends))
    if lacking := [columns[role] for role in there if not there[role]]:
        corpus.missing.append(f"{location} has no {lacking[0]!r}")
        return
    if channel is not None and not (str(channel).isdecimal() and int(channel) < MAX_CHANNELS):
        raise InputError(
            f"{location}: channel {channel!r} is not a number from 0; correct it, or leave it out"
        )
    start, end, duration = 0.0, None, None
    try:
        times: dict[str, Any] = {
            role: float(values[role]) / (1000 if _simple(columns[role]).endswith("ms") else 1)
            for role in ("start", "end", "duration")
            if role in values
        }
        start, end, duration = parse_part(times)
    except (ValueError, TypeError) as error:
        if "start" in values or "end" in values:  # the duration of a whole recording only serves as a check
            problem = str(error).partition(";")[0]
            raise InputError(f"{location}: the part of {path}: {problem}; correct it") from None
    name = str(values.get("split", split))
    name = SPLITS.get(name.lower(), re.sub(r"[^\w.-]+", "_", name).strip(".") or "all")
    used = {*columns.values()}
    utterance = Utterance(
        recordings.find(str(path)) or recordings.folder / str(path),
        str(text).strip(),
        duration or 0.0,
        str(values["speaker"]).strip() if "speaker" in values else None,
        extra={_last(name): v for name, v in row.items() if name not in used and v not in (None, "")},
        start=start,
        end=None if end is None else round(end, 6),  # without the noise of a sum
        channel=None if channel is None else int(channel),
    )
    corpus.add(name, utterance)


def _last(name: str) -> str:
    """The last part of a path such as data[].info.age."""
    return name.rpartition(".")[2] or name


def _simple(name: str) -> str:
    return re.sub(r"[\W_]+", "", _last(name)).casefold()
