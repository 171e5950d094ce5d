"""Common parts of the importers: find the corpus, read the header of every recording, write the manifests.

No audio is copied or converted: the manifests refer to the original recordings.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unicodedata import category

from minids._utils.errors import InputError, reason
from minids._utils.files import open_file
from minids._utils.threads import ordered_map
from minids.audio import audio_info
from minids.data.manifest import Utterance, write_manifest
from minids.text import APOSTROPHES, INNER_MARKS

DOTLESS_I_LANGUAGES = ("tr", "az", "crh", "tt", "ba", "kaa")
MAX_EXTRA_SECONDS = 1.0  # a recording may last this much longer than the corpus states


@dataclass
class ImportResult:
    """The manifests that an import has written, and the recordings that it left out."""

    manifests: dict[str, list[Utterance]] = field(default_factory=dict)  # manifest -> utterances
    missing: list[str] = field(default_factory=list)  # one message for each


def find_corpus(root: str | Path, subfolders: Iterable[str], pattern: str) -> Path:
    """The folder that contains a file like `pattern`: `root` or one of its subfolders. Or InputError."""
    root = Path(root).absolute()
    for folder in (root, *(root / name for name in subfolders)):
        if any(folder.glob(pattern)):
            return folder
    problem = f"it contains no {pattern}" if root.is_dir() else "no such folder"
    raise InputError(f"{root}: {problem}; give the folder that the corpus was unpacked to")


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file that are not blank, stripped. Raises InputError naming the file."""
    return (line for _, line in numbered_lines(path))


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """`read_lines` with their numbers in the file, from 1."""
    return ((n, line.strip()) for n, line in enumerate(_lines(path), start=1) if not line.isspace())


def _lines(path: Path) -> Iterator[str]:
    """The lines with their line ends, read as they are needed."""
    try:
        with open_file(path) as file:
            for number, line in enumerate(file, start=1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: line {number} is not UTF-8 text; save it as UTF-8, or unpack it again"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}; unpack the corpus again") from error


def read_table(path: Path, required: Iterable[str], tabs: bool = False) -> Iterator[dict[str, str]]:
    """The rows of a table with a header as dictionaries: CSV, or separated by `tabs` without quoting.

    Raises InputError naming the file, the line and the problem: a missing column of `required`, a row with
    another number of columns, or quotes that are not balanced and swallow lines.
    """
    dialect: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {"strict": True}
    reader = csv.reader(_lines(path), **dialect)
    try:
        header = next(reader, [])
        for name in required:
            if name not in header:
                columns = ", ".join(map(repr, header))[:100] or "none"
                raise InputError(
                    f"{path}: no column {name!r} in its first line (it has {columns}); is it the right file?"
                )
        previous = reader.line_num
        for row in reader:
            first, previous = previous + 1, reader.line_num
            if first < previous:
                raise InputError(
                    f"{path}: the row of line {first} ends in line {previous}: a quote is not closed, or a"
                    " text has line breaks; correct it"
                )
            if not row:
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{path}: line {reader.line_num} has {len(row)} columns, not {len(header)}; correct it"
                )
            yield dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}; correct it") from error


def table_files(root: str | Path, suffix: str) -> list[Path]:
    """The file `root`, or the files in the folder `root` with this suffix. InputError if there is none."""
    root = Path(root)
    if root.is_file():
        return [root]
    files = sorted(root.glob(f"[!.]*{suffix}"))  # not ._x.csv, which macOS adds to x.csv
    if not files:
        problem = f"it contains no *{suffix}" if root.is_dir() else "no such file or folder"
        raise InputError(f"{root}: {problem}; give a file, or a folder of files")
    return files


def normalize_transcript(sentence: str, language: str = "") -> str:
    """A printed sentence in lower case, without punctuation and symbols except within words.

    "Don't - he said." -> "don't he said". Digits stay; `minids data doctor` reports them. `language` is a
    code such as "tr", in which I and İ are the upper case of ı and i.
    """
    if language.lower().split("-")[0].split("_")[0] in DOTLESS_I_LANGUAGES:
        sentence = sentence.replace("I", "ı")
    text = sentence.replace("İ", "i").lower().translate(APOSTROPHES)
    kept = {match.start() for match in INNER_MARKS.finditer(text)}
    text = "".join(
        " " if c != "'" and category(c)[0] in "PS" and i not in kept else c for i, c in enumerate(text)
    )
    return " ".join(word for token in text.split() if (word := token.strip("'")))


def write_splits(
    root: str | Path,
    splits: Mapping[str, list[Utterance]],
    out: str | Path,
    missing: list[str],
    progress: bool = False,
) -> ImportResult:
    """Write `out`/NAME.jsonl for every split that is not empty, with the durations from the audio headers.

    Recordings that cannot be opened or last longer than the corpus states (duration 0: it states none) are
    left out and added to `missing`. Raises InputError naming the corpus `root` if no recording remains.
    """
    from tqdm import tqdm

    result = ImportResult(missing=list(missing))
    count = sum(map(len, splits.values()))
    readable: dict[str, list[Utterance]] = {}
    with tqdm(total=count, desc="headers", unit=" files", disable=None if progress else True) as bar:
        for name, utterances in splits.items():
            readable[name] = []
            with closing(ordered_map(_read_duration, utterances, ahead=64)) as results:
                for _, utterance in results:
                    bar.update()
                    if isinstance(utterance, str):
                        result.missing.append(utterance)
                    else:
                        readable[name].append(utterance)
    if not any(readable.values()):
        if not result.missing:
            raise InputError(f"{root}: the corpus lists no recordings; unpack it again")
        first = result.missing[0]
        raise InputError(f"{root}: no recording can be read (first: {first}); unpack the audio there")
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create the folder {out}: {reason(error)}; choose another") from error
    try:
        for name, utterances in readable.items():
            if utterances:
                path = Path(out) / f"{name}.jsonl"
                write_manifest(path, utterances)
                result.manifests[str(path)] = utterances
    except InputError:
        with suppress(OSError):
            Path(out).rmdir()  # only if empty
        raise
    result.missing = list(dict.fromkeys(result.missing))  # a recording may be in several splits
    return result


def _read_duration(utterance: Utterance) -> Utterance | str:
    try:
        seconds = audio_info(utterance.path).duration
    except InputError as error:
        return str(error)
    if utterance.is_part:
        if (utterance.end or utterance.start) > seconds + MAX_EXTRA_SECONDS:
            return f"{utterance.name}: the recording lasts {seconds:.1f} s; correct the part"
        end = seconds if utterance.end is None else min(utterance.end, seconds)
        return replace(utterance, duration=end - utterance.start)
    if 0 < utterance.duration < seconds - MAX_EXTRA_SECONDS:
        return (
            f"{utterance.path}: lasts {seconds:.1f} s, its line states {utterance.duration:.1f} s;"
            " cut that part into a file"
        )
    return replace(utterance, duration=seconds)
