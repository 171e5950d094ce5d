"""Common parts of the importers: find files, read lists, open every recording's header, write manifests."""

import codecs
import io
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from unicodedata import normalize

from minids._utils.errors import InputError, reason
from minids._utils.files import open_file
from minids._utils.threads import ordered_map
from minids.audio import SOUND_SUFFIXES, AudioInfo, audio_info
from minids.data.manifest import Utterance, write_manifest

TOLERANCE = 1.0  # seconds by which a recording may be shorter or longer than the corpus states
SPLITS = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("dev", "development", "valid", "validation", "val", "cv"), "dev"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation", "tt"), "test"),
}


@dataclass
class Corpus:
    """What an importer has read."""

    splits: dict[str, list[Utterance]] = field(default_factory=dict)  # "train", ... -> utterances
    missing: list[str] = field(default_factory=list)  # what was left out: one message for each
    source: str = ""  # what was recognized, for people

    def add(self, split: str, utterance: Utterance) -> None:
        """Add an utterance to a split."""
        self.splits.setdefault(split, []).append(utterance)

    def __iter__(self) -> Iterator[tuple[str, Utterance]]:
        """All utterances with their splits."""
        return ((split, u) for split, utterances in self.splits.items() for u in utterances)

    def measured(self, root: str | Path, progress: bool = False) -> "Corpus":
        """The corpus with the durations in the recordings' headers, without recordings and parts that are
        not there or do not have the duration that the corpus states. InputError if nothing remains.
        """
        from tqdm import tqdm

        paths = dict.fromkeys(utterance.path for _, utterance in self)
        infos: dict[Path, AudioInfo | str] = {}
        bar = tqdm(total=len(paths), desc="headers", unit=" files", disable=None if progress else True)
        with bar, closing(ordered_map(header, paths, ahead=64)) as results:
            for path, info in results:
                infos[path] = info
                bar.update()
        texts = defaultdict(set)
        for split, u in self:
            texts[split, u.path, u.start, u.end, u.channel].add(u.text)
        corpus = Corpus({}, self.missing, self.source)
        for split, u in self:
            checked = _with_duration(u, infos[u.path])
            if len(texts[split, u.path, u.start, u.end, u.channel]) > 1:
                checked = f"{u.name}: has several texts; keep one, or tell its parts apart"
            if isinstance(checked, str):
                corpus.missing.append(checked)
            else:
                corpus.add(split, checked)
        corpus.missing = list(dict.fromkeys(corpus.missing))  # a recording may be in several splits
        if not corpus.splits:
            first = next(iter(corpus.missing), "the corpus lists none")
            raise InputError(f"{root}: no recording can be used; the first problem is: {first}")
        return corpus

    def write(self, out: str | Path) -> dict[str, list[Utterance]]:
        """Write `out`/NAME.jsonl for every split: {path: utterances}. InputError if that is not possible."""
        try:
            Path(out).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot create the folder {out}: {reason(error)}; choose another") from error
        manifests = {str(Path(out) / f"{name}.jsonl"): utterances for name, utterances in self.splits.items()}
        try:
            for path, utterances in manifests.items():
                write_manifest(path, utterances)
        except InputError:
            with suppress(OSError):
                Path(out).rmdir()  # only if empty
            raise
        return manifests


def header(path: Path) -> AudioInfo | str:
    """Rate, channels and duration of a recording, or why it cannot be read."""
    try:
        return audio_info(path)
    except InputError as error:
        return str(error)


def _with_duration(utterance: Utterance, info: AudioInfo | str) -> Utterance | str:
    """The utterance with the duration of its part, or why it cannot be used. InputError: nor can others."""
    if isinstance(info, str):
        return info
    seconds, start, end = info.duration, utterance.start, utterance.end
    if utterance.channel is not None and utterance.channel >= info.channels:
        problem = f"has {info.channels} channels, counted from 0; correct all, if they count from 1"
        raise InputError(f"{utterance.name}: it {problem}")
    if start >= seconds or (end or 0.0) > seconds + TOLERANCE:
        return f"{utterance.name}: the recording lasts {seconds:.1f} s; correct the part"
    stated = utterance.duration
    if stated and not utterance.is_part and abs(stated - seconds) > TOLERANCE:
        return f"{utterance.name}: lasts {seconds:.1f} s, its line states {stated:.1f} s; correct one of them"
    return replace(utterance, duration=min(seconds if end is None else end, seconds) - start)


class Recordings:
    """The recordings of a folder, or beside a list, found by the names that lists and tables give them."""

    def __init__(self, root: Path, folder: str | None = None):
        self.folder = Path(folder or (root.parent if root.is_file() else root)).absolute()
        self._homes: dict[Path, set[Path]] = {}
        self._bases = [str(path) for path in (self.folder, *self.folder.parents[:3])]

    def find(self, name: str, near: Path | None = None) -> Path | None:
        """The recording called `name`. None if there is none, or several.

        That is a path, absolute or relative to the folder or one of the three above it, or else a recording
        below the folder whose path ends as `name` does in all folders that both have: corpora are moved,
        converted to FLAC, and listed without folders or suffixes. Of several, the one nearest to a file
        `near` is meant.
        """
        if not name or "\0" in name:
            return None
        for base in self._bases if is_sound(name) else ():
            if os.path.isfile(direct := os.path.join(base, name)):
                return Path(direct)
        *folders, last = ["", *normalize("NFC", name.replace("\\", "/")).split("/")]
        ends = [part for part in reversed(folders) if part not in ("", ".", "..")]
        found = []
        for path in self.by_stem.get(_stem(last), ()):
            parts = reversed(path.parent.parts[len(self.folder.parts) :])
            if all(a == b for a, b in zip(ends, parts, strict=False)):
                found.append(path)
        if near:
            found = [path for path in found if path.parent in self._home(near.parent)]
        return _nearest(near or self.folder, found, last)

    def beside(self, files: list[Path]) -> dict[Path, Path]:
        """The recordings that files with their texts are named after, in the same folder or the nearest.

        That is one of the nearest with recordings of any name. No other file of that name is nearer to it.
        """
        here = {(path.parent, stem): path for stem, paths in self.by_stem.items() for path in paths}
        rivals, found = defaultdict(list), dict[Path, Path]()
        for path in files:
            rivals[path.name].append(path)
        for path in files:
            for name in map(_stem, (path.stem, path.name.partition(".")[0])):
                paths = [p for p in self.by_stem.get(name, ()) if p.parent in self._home(path.parent)]
                own = here.get((path.parent, name)) or _nearest(path, paths, name)
                if own and (own.parent == path.parent or _nearest(own, rivals[path.name], path.name) == path):
                    found.setdefault(path, own)
        return found

    def _home(self, folder: Path) -> set[Path]:
        """The folders with recordings that have the most folders in common with another."""
        if folder not in self._homes:
            shared = {path: len(parts.intersection(folder.parts)) for path, parts in self._folders.items()}
            most = max(shared.values(), default=0)
            self._homes[folder] = {path for path in shared if shared[path] == most}
        return self._homes[folder]

    @cached_property
    def _folders(self) -> dict[Path, set[str]]:
        """The folders with recordings, and their parts."""
        folders = {path.parent for paths in self.by_stem.values() for path in paths}
        return {folder: {*folder.parts} for folder in folders}

    @cached_property
    def by_stem(self) -> dict[str, list[Path]]:
        """All recordings below the folder by their names without suffix, in NFC."""
        index: dict[str, list[Path]] = defaultdict(list)
        for path in files_below(self.folder):
            if is_sound(path):
                index[_stem(path.name)].append(path)
        return index


def _nearest(place: Path, paths: list[Path], name: str) -> Path | None:
    """Of some paths that with the most folders in common with another, if possible of this name.

    None if there is none, or if that are paths in several folders.
    """

    def near(path: Path) -> tuple[int, bool]:
        return len({*path.parent.parts} & {*place.parts}), path.parent == place.parent

    best = max(map(near, paths), default=None)
    found = [path for path in paths if near(path) == best]
    one = len({path.parent for path in found}) == 1
    return min(found, key=lambda path: path.name != name) if one else None


def is_sound(path: str | Path) -> bool:
    """Whether a file has the suffix of a recording."""
    return os.path.splitext(path)[1].lower() in SOUND_SUFFIXES


def _stem(name: str) -> str:
    """A file name without the suffix of a recording, in NFC: macOS decomposes file names."""
    name = normalize("NFC", name)
    return os.path.splitext(name)[0] if is_sound(name) else name


def files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder and its subfolders, sorted within each, also behind links to folders.

    Without hidden ones, such as ._x.wav, which macOS adds to x.wav.
    """
    seen = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a loop of links
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        yield from (Path(root, name) for name in sorted(files) if not name.startswith("."))


def list_files(root: Path, *suffixes: str, below: bool = False) -> list[Path]:
    """The file `root`, or those of a folder (or also `below` it) with these suffixes, in the suffixes' order.

    Raises InputError if there are none.
    """
    if root.is_file():
        return [root]
    files = [path for path in files_below(root) if below or path.parent == root]
    if files := [path for path in files if path.suffix.lower() in suffixes]:
        return sorted(files, key=lambda path: suffixes.index(path.suffix.lower()))
    problem = f"it contains no *{suffixes[0]}" if root.is_dir() else "no such file or folder"
    raise InputError(f"{root}: {problem}; give a file, or a folder of files")


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file that are not blank, stripped. Raises InputError naming the file."""
    return (line for _, line in numbered_lines(path))


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """`read_lines` with their numbers in the file, from 1."""
    return ((n, line.strip()) for n, line in enumerate(text_lines(path), start=1) if not line.isspace())


def text_lines(path: Path) -> Iterator[str]:
    """The lines with their ends, read as they are needed. UTF-8, or UTF-16 with a byte-order mark."""
    number = 1
    try:
        with open_file(path) as file:
            wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            file.seek(0)
            if wide:
                with io.TextIOWrapper(file, "utf-16", newline="") as text:
                    yield from text
                return
            for number, line in enumerate(file, start=1):
                if b"\0" in line:
                    raise UnicodeError("UTF-16 without a byte-order mark")
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeError as error:
        raise InputError(
            f"{path}: line {number} is not UTF-8 text; save it as UTF-8, or unpack it again"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}; unpack the corpus again") from error
