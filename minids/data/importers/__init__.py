"""Importers: published corpora and the data of other programs become manifests of their recordings.

guess(root) names the layout of a folder or file; read(kind, root) is a Corpus of utterances by split, with
their durations; write(corpus, folder) writes manifests. No audio is copied or converted.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from minids._utils.errors import InputError

if TYPE_CHECKING:
    from minids.data.importers.common import Corpus
    from minids.data.manifest import Utterance

ROLES = {  # of columns -> usual names without case, spaces and marks, the most telling first
    "path": "path audiofilepath wavfilename audiopath filepath audiofile audiofilename wavfile wavpath "
    "filename file audio wav clip clippath recording soundfile mp3 flac filenm fileid uttid utteranceid id "
    "name key",
    "text": "text transcript transcription sentence normalizedtext normalizedtranscript transcripttext words "
    "wrd utterance texttn orgtext translabeltext stt txt form prompt rawtext label",
    "speaker": "speaker speakerid spk spkid clientid speakername userid user readerid reader",
    "start": "start starttime begin begintime startsec startseconds offset onset xmin tmin",
    "end": "end endtime endsec endseconds stop xmax tmax",
    "duration": "duration durationseconds dur",
    "channel": "channel channelid",
    "split": "split set subset partition",
}
KINDS = {  # -> module; in the order in which `guess` tries them
    "an4": "corpora",
    "fsdd": "corpora",
    "librispeech": "corpora",
    "speechcommands": "corpora",
    "commonvoice": "tables",
    "ljspeech": "tables",
    "kaldi": "folders",
    "textgrid": "folders",
    "mozilla": "tables",
    "nemo": "nested",
    "table": "tables",
    "json": "nested",
    "folder": "folders",
}
OPTIONS = {
    "table": (*ROLES, "audio"),
    "json": (*ROLES, "audio"),
    "textgrid": ("tier", "audio"),
    "kaldi": ("audio",),
    "folder": ("audio",),
}


class Guess(NamedTuple):
    """What `guess` has recognized: arguments for `read`, and a description."""

    kind: str
    options: dict[str, str]
    reason: str


def read(
    kind: str, root: str | Path, options: dict[str, str] | None = None, progress: bool = False
) -> "Corpus":
    """The corpus in a folder or file, of one of KINDS, with its OPTIONS.

    For tables and JSON, each of ROLES may be the name of a column, or the path of a field such as
    data[].file; `audio` is the folder of the recordings, by default that of their list; `tier` the tier of
    TextGrids. Recordings that cannot be read, or do not have the length that the corpus states, are left out
    and listed in `missing`. Raises InputError for another layout, with the file and line for a broken list,
    and if nothing remains.
    """
    from minids.data.importers.common import measured

    return measured(_read(kind, root, options or {}), root, progress)


def write(corpus: "Corpus", out: str | Path) -> "dict[str, list[Utterance]]":
    """Write `out`/NAME.jsonl for every split: {path: utterances}. InputError if it cannot be written."""
    from minids.data.importers.common import write_manifests

    return write_manifests(corpus, out)


def guess(root: str | Path) -> Guess:
    """The first kind of layout that finds recordings and texts in a folder or file, or InputError."""
    from minids.data.importers.common import files_below

    problems = {}
    for kind in KINDS:
        try:
            corpus = _read(kind, root, {})
        except InputError as error:
            problems[kind] = str(error)
            continue
        if any(u.path.is_file() for utterances in corpus.splits.values() for u in utterances):
            return Guess(kind, {}, corpus.source)
        problems[kind] = f"{root}: {corpus.source}, but none of its recordings is there"
    root = Path(root)
    if root.is_dir():
        seen = " ".join(sorted({path.suffix.lower() or path.name for path in files_below(root)}))[:200]
        raise InputError(
            f"{root}: no known layout (files: {seen or 'none'}); put a text file beside each recording, or"
            " give a table with columns path and text, a Kaldi folder, TextGrids or a JSON file"
        )
    raise InputError(problems["json" if root.suffix.startswith(".json") else "table"])


def _read(kind: str, root: str | Path, options: dict[str, str]) -> "Corpus":
    """As `read`, without opening the recordings."""
    if unknown := sorted(options.keys() - {*OPTIONS.get(kind, ())}):
        raise InputError(f"{root}: the kind {kind} has no --{unknown[0]}; leave it out")
    module = import_module(f"minids.data.importers.{KINDS[kind]}")
    return getattr(module, f"read_{kind}")(Path(root).absolute(), options)
