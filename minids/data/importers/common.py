"""What the importers share: find the corpus, look at every recording's header, write the manifests.

No audio is copied or converted: manifests point at the recordings where they lie.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from minids.text import APOSTROPHES

MOST_OFF = 1.0  # seconds that a recording may last longer than others have said


@dataclass
class Imported:
    """What an import has written, and what it could not find or read."""

    manifests: dict[str, list[Utterance]] = field(default_factory=dict)  # by the path of the manifest
    missing: list[str] = field(default_factory=list)  # one line each, naming the file


Importer = Callable[[Path, Path], Imported]


def find(root: str | Path, subfolders: Iterable[str], mark: str) -> Path:
    """The folder that holds `mark` (a name or pattern): `root`, or one of its subfolders.

    Raises InputError that tells what was looked for.
    """
    root = Path(root).absolute()
    for folder in (root, *(root / name for name in subfolders)):
        if any(folder.glob(mark)):
            return folder
    problem = f"no {mark} in it" if root.is_dir() else "no such folder"
    raise InputError(f"{root}: {problem}; give the folder that the corpus unpacks to")


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file that hold anything, stripped. Raises InputError naming the file."""
    return (line.strip() for line in _lines(path) if not line.isspace())


def _lines(path: Path) -> Iterator[str]:
    """One by one, with their ends: what is read of a large corpus is no more than is taken from it."""
    try:
        with open_file(path) as file:
            for number, line in enumerate(file, start=1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: line {number} is not UTF-8 text; unpack the corpus again") from error
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}; unpack the corpus again") from error


def read_table(path: Path, needed: Iterable[str], tabs: bool = False) -> Iterator[dict[str, str]]:
    """The rows of a table with a header, by its names: CSV, or separated by `tabs` and without quotes.

    Raises InputError naming the file, the line and what is wrong: a column of `needed` that is not there, or
    a row of another length.
    """
    form: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {}
    reader = csv.reader(_lines(path), **form)
    try:
        header = next(reader, [])
        for name in needed:
            if name not in header:
                raise InputError(f"{path}: no column {name!r} in its first line; unpack the corpus again")
        for row in filter(None, reader):
            if len(row) != len(header):
                raise InputError(
                    f"{path}: line {reader.line_num} has {len(row)} columns, not {len(header)}; mend it"
                )
            yield dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}; mend it") from error


def tables(root: str | Path, ending: str) -> list[Path]:
    """The file `root`, or the files of the folder `root` with this ending. Raises InputError for none."""
    root = Path(root)
    if root.is_file():
        return [root]
    found = sorted(root.glob(f"*{ending}"))
    if not found:
        problem = f"no *{ending} in it" if root.is_dir() else "no such file or folder"
        raise InputError(f"{root}: {problem}; give the file, or the folder that holds them")
    return found


def spoken(printed: str) -> str:
    """A printed sentence as it is said: small letters, punctuation and symbols gone, but for apostrophes.

    "Don't - he said." -> "don't he said". Digits stay; the doctor names them.
    """
    text = printed.lower().translate(APOSTROPHES)
    parted = "".join(" " if c != "'" and category(c)[0] in "PS" else c for c in text)
    return " ".join(word for each in parted.split() if (word := each.strip("'")))


def write_splits(
    splits: Mapping[str, list[Utterance]], out: str | Path, missing: list[str], progress: bool = False
) -> Imported:
    """Write `out`/NAME.jsonl for every split that has utterances, with the durations of the headers.

    Recordings that cannot be opened, and those that last longer than the duration which came with their text
    (0: none came), are left out and added to `missing`. Raises InputError when none is left.
    """
    from tqdm import tqdm

    result = Imported(missing=list(missing))
    count = sum(map(len, splits.values()))
    readable: dict[str, list[Utterance]] = {}
    with tqdm(total=count, desc="headers", unit=" files", disable=None if progress else True) as bar:
        for name, utterances in splits.items():
            readable[name] = []
            with closing(ordered_map(_with_duration, utterances, ahead=64)) as all_looked:
                for _, looked in all_looked:
                    bar.update()
                    if isinstance(looked, str):
                        result.missing.append(looked)
                    else:
                        readable[name].append(looked)
    if not any(readable.values()):
        first = f" (the first: {result.missing[0]})" if result.missing else ""
        raise InputError(f"none of the corpus's recordings can be read{first}; unpack its audio there")
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {out}: {reason(error)}; choose another") from error
    try:
        for name, utterances in readable.items():
            if utterances:
                path = Path(out) / f"{name}.jsonl"
                write_manifest(path, utterances)
                result.manifests[str(path)] = utterances
    except InputError:
        with suppress(OSError):
            Path(out).rmdir()  # when there is nothing in it
        raise
    # The same recording may stand in several splits: name it once.
    result.missing = list(dict.fromkeys(result.missing))
    return result


def _with_duration(utterance: Utterance) -> Utterance | str:
    try:
        seconds = audio_info(utterance.path).duration
    except InputError as error:
        return str(error)
    if 0 < utterance.duration < seconds - MOST_OFF:
        return (
            f"{utterance.path}: lasts {seconds:.1f} s, its text is of {utterance.duration:.1f} s;"
            " cut them into a file of their own"
        )
    return replace(utterance, duration=seconds)
