"""Importers: published corpora and the data of other programs become manifests of their recordings."""

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from minids._utils.errors import InputError

if TYPE_CHECKING:
    from minids.data.importers.common import Corpus

ROLES = {  # of columns -> usual names without case, spaces and marks, the most telling first
    "path": "path audiofilepath wavfilename audiopath filepath audiofile audiofilename wavfile wavpath "
    "filename file audio wav clip recording soundfile mp3 flac filenm fileid uttid utteranceid id name key",
    "text": "text transcript transcription sentence normalizedtext normalizedtranscript transcripttext words "
    "wrd utterance texttn orgtext translabeltext stt txt form prompt rawtext label",
    "speaker": "speaker speakerid spk spkid clientid speakername userid user readerid reader",
    "start": "start starttime begin begintime startsec startseconds startms beginms offset onset xmin",
    "end": "end endtime endsec endseconds endms stop xmax",
    "duration": "duration durationseconds durationms dur",
    "channel": "channel channelid",
    "split": "split set subset partition",
}
GENERAL = {
    **{"table": ("tables", *ROLES, "audio"), "json": ("nested", *ROLES, "audio")},
    **{"folder": ("folders", "audio"), "textgrid": ("folders", "audio", "tier")},
}
KINDS: dict[str, tuple[str, ...]] = {  # -> module, options; the order is that of `guess`
    **dict.fromkeys(("an4", "fsdd", "librispeech", "speechcommands"), ("corpora",)),
    **{"commonvoice": ("tables",), "ljspeech": ("tables",), "kaldi": ("folders", "audio")},
    **GENERAL,
}


def read(
    kind: str, root: str | Path, options: dict[str, str] | None = None, progress: bool = False
) -> "Corpus":
    """The corpus of one of KINDS in a folder or file, with the durations of its recordings.

    `options` of tables and JSON: the column of each of ROLES, or the path of a field such as data[].file;
    "audio", the folder of the recordings, by default that of their list. Of TextGrids: "tier".
    Recordings that cannot be read, have another length than stated or several texts are left out and listed
    in `missing`. Raises InputError for another layout or a broken list, and if nothing remains.
    """
    return _read(kind, root, options or {}).measured(root, progress)


def guess(root: str | Path) -> tuple[str, "Corpus"]:
    """The kind of a folder or file, and its corpus without durations. Raises InputError if none is known.

    That is the first published one that is there, or the general one with texts for the most recordings.
    """
    from minids.data.importers.common import files_below

    problems: dict[str, str] = {}
    found: list[tuple[int, str, Corpus]] = []
    for kind in KINDS:
        try:
            corpus = _read(kind, root, {})
        except InputError as error:
            problems[kind] = str(error)
            continue
        count = sum(map(os.path.isfile, {utterance.path for _, utterance in corpus}))
        if count and kind not in GENERAL:
            return kind, corpus
        if count:
            found.append((count, kind, corpus))
        problems[kind] = f"{root}: {corpus.source}, but none of its recordings is there"
    if found:
        _, kind, corpus = max(found, key=lambda one: one[0])
        return kind, corpus
    if Path(root).is_dir():
        seen = " ".join(sorted({path.suffix.lower() or path.name for path in files_below(Path(root))}))[:200]
        raise InputError(
            f"{root}: no known layout (files: {seen or 'none'}); put a text file beside each recording, or"
            " give a table with columns path and text, a Kaldi folder, TextGrids or a JSON file"
        )
    raise InputError(problems["json" if Path(root).suffix.startswith(".json") else "table"])


def _read(kind: str, root: str | Path, options: dict[str, str]) -> "Corpus":
    """As `read`, without opening the recordings."""
    module, *names = KINDS[kind]
    if unknown := sorted(options.keys() - {*names}):
        raise InputError(f"{root}: the kind {kind} has no --{unknown[0]}; leave it out")
    reader = getattr(import_module(f"minids.data.importers.{module}"), f"read_{kind}")
    return reader(Path(root).absolute(), options)
