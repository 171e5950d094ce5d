"""Common parts of the importers: find files, read lists, open every recording's header, write manifests."""

import codecs
import io
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from unicodedata import normalize

from minids._utils.errors import InputError, reason
from minids._utils.files import open_file
from minids._utils.threads import ordered_map
from minids.audio import SOUND_SUFFIXES, AudioInfo, audio_info
from minids.data.manifest import Utterance, write_manifest

MAX_EXTRA_SECONDS = 1.0  # a recording may last this much longer than the corpus states
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


def is_sound(path: Path) -> bool:
    """Whether a file has the suffix of a recording."""
    return path.suffix.lower() in SOUND_SUFFIXES


class Recordings:
    """The recordings of a folder, found by the names that lists and tables give them."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).absolute()

    def find(self, name: str, near: Path | None = None) -> Path | None:
        """The recording called `name`. None if there is none, or several.

        That is a path, absolute or relative to the folder or one of the three above it, or else a recording
        below the folder whose path ends as `name` does in all folders that both have: corpora are moved,
        converted to FLAC, and listed without folders or suffixes. Of several, the one nearest to a file
        `near` is meant.
        """
        if not name or "\0" in name:
            return None
        for base in (self.folder, *self.folder.parents[:3]):
            if os.path.isfile(path := base / name):
                return path
        *folders, last = ["", *normalize("NFC", name.replace("\\", "/")).split("/")]
        ends = [part for part in reversed(folders) if part not in ("", ".", "..")]
        found = []
        for path in self._by_stem.get(_stem(last), ()):
            parts = reversed(path.parent.parts[len(self.folder.parts) :])
            if all(a == b for a, b in zip(ends, parts, strict=False)):
                found.append(path)
        for folder in near.parents if near and found else ():
            if inside := [path for path in found if path.is_relative_to(folder)]:
                found = inside
                break
        return found[0] if len({path.parent for path in found}) == 1 else None

    def beside(self, path: Path) -> Path | None:
        """The recording that a file with its text is named after, in the same folder or the nearest."""
        found = (self.find(name, path) for name in (path.stem, path.name.partition(".")[0]))
        return next((recording for recording in found if recording and is_sound(recording)), None)

    def has(self, name: str) -> bool:
        """Whether `find` finds a recording with the suffix of one."""
        found = self.find(name)
        return found is not None and is_sound(found)

    def __iter__(self) -> Iterator[Path]:
        return chain.from_iterable(self._by_stem.values())

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        index: dict[str, list[Path]] = defaultdict(list)
        for path in files_below(self.folder):
            if is_sound(path):
                index[_stem(path.name)].append(path)
        return index


def _stem(name: str) -> str:
    """A file name without the suffix of a recording, in NFC: macOS decomposes file names."""
    stem, suffix = os.path.splitext(normalize("NFC", name))
    return stem if suffix.lower() in SOUND_SUFFIXES else stem + suffix


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
    return ((n, line.strip()) for n, line in enumerate(text_lines(path), start=1) if not line.isspace())


def text_lines(path: Path) -> Iterator[str]:
    """The lines with their ends, read as they are needed. UTF-8, or UTF-16 with a byte-order mark."""
    number = 1
    try:
        with open_file(path) as file:
            if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                file.seek(0)
                with io.TextIOWrapper(file, "utf-16", newline="") as text:
                    yield from text
                return
            file.seek(0)
            for number, line in enumerate(file, start=1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeError as error:
        raise InputError(
            f"{path}: line {number} is not UTF-8 text; save it as UTF-8, or unpack it again"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}; unpack the corpus again") from error


def list_files(root: Path, *suffixes: str, below: bool = False) -> list[Path]:
    """The file `root`, or those of a folder (or also `below` it) with these suffixes. InputError if none."""
    if root.is_file():
        return [root]
    files = [path for path in files_below(root) if path.suffix.lower() in suffixes]
    if top := [path for path in files if path.parent == root or below]:
        return top
    problem = f"it contains no *{suffixes[0]}" if root.is_dir() else "no such file or folder"
    raise InputError(f"{root}: {problem}; give a file, or a folder of files")


def measured(corpus: Corpus, root: str | Path, progress: bool = False) -> Corpus:
    """The corpus with the durations in the recordings' headers. InputError if no recording remains.

    Recordings that cannot be opened or last longer than the corpus states (duration 0: it states none) are
    left out and listed in `missing`, as are parts that end after them.
    """
    from tqdm import tqdm

    paths = dict.fromkeys(u.path for utterances in corpus.splits.values() for u in utterances)
    infos: dict[Path, AudioInfo | str] = {}
    bar = tqdm(total=len(paths), desc="headers", unit=" files", disable=None if progress else True)
    with bar, closing(ordered_map(_info, paths, ahead=64)) as results:
        for path, info in results:
            infos[path] = info
            bar.update()
    splits: dict[str, list[Utterance]] = {}
    missing = dict.fromkeys(corpus.missing)  # a recording may be in several splits
    for name, utterance in ((name, u) for name, utterances in corpus.splits.items() for u in utterances):
        checked = _with_duration(utterance, infos[utterance.path])
        if isinstance(checked, str):
            missing[checked] = None
        else:
            splits.setdefault(name, []).append(checked)
    if not splits:
        first = next(iter(missing), "the corpus lists none")
        raise InputError(f"{root}: no recording can be read (first: {first}); unpack the audio there")
    return Corpus(splits, list(missing), corpus.source)


def _info(path: Path) -> AudioInfo | str:
    try:
        return audio_info(path)
    except InputError as error:
        return str(error)


def _with_duration(utterance: Utterance, info: AudioInfo | str) -> Utterance | str:
    """The utterance with the duration of its part, or why it cannot be used."""
    if isinstance(info, str):
        return info
    seconds, start, end = info.duration, utterance.start, utterance.end
    if utterance.channel is not None and utterance.channel >= info.channels:
        return f"{utterance.name}: it has {info.channels} channels, counted from 0; correct the channel"
    if start >= seconds or (end or 0.0) > seconds + MAX_EXTRA_SECONDS:
        return f"{utterance.name}: the recording lasts {seconds:.1f} s; correct the part"
    if not utterance.is_part and 0 < utterance.duration < seconds - MAX_EXTRA_SECONDS:
        return (
            f"{utterance.path}: lasts {seconds:.1f} s, its line states {utterance.duration:.1f} s;"
            " cut that part into a file"
        )
    return replace(utterance, duration=min(seconds if end is None else end, seconds) - start)


def write_manifests(corpus: Corpus, out: str | Path) -> dict[str, list[Utterance]]:
    """`importers.write`."""
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create the folder {out}: {reason(error)}; choose another") from error
    manifests = {str(Path(out) / f"{name}.jsonl"): utterances for name, utterances in corpus.splits.items()}
    try:
        for path, utterances in manifests.items():
            write_manifest(path, utterances)
    except InputError:
        with suppress(OSError):
            Path(out).rmdir()  # only if empty
        raise
    return manifests
