"""CMU AN4 (1991): spelled words, numbers, dates and commands, 948 recordings of 74 people at 16 kHz.

an4/etc/an4_train.fileids            an4_clstk/fash/an251-fash-b
an4/etc/an4_train.transcription      <s> YES </s> (an251-fash-b)
an4/wav/an4_clstk/fash/an251-fash-b.sph      NIST Sphere; .wav or .flac where they have been converted
"""

import os
import re
from pathlib import Path

from minids._utils.errors import InputError
from minids.data.importers.common import ImportResult, find_corpus, read_lines, write_splits
from minids.data.manifest import Utterance

AUDIO_FOLDERS = ("wav", "raw", "")
SUFFIXES = (".sph", ".wav", ".flac")
HELD_OUT = slice(3, None, 8)  # every eighth person of the sorted list (women, then men)


def import_an4(root: str | Path, out: str | Path, progress: bool = False) -> ImportResult:
    """Write train, dev and test.jsonl to the folder `out`; `root` is the official folder an4 or its parent.

    The test set is the official one. AN4 has no development set: dev is every eighth person of the official
    training set, about 13 % of it, so that no speaker is in two sets. Fields: speaker, gender.
    Recordings that are missing or damaged are left out and listed in the result. InputError: no AN4 there.
    """
    folder = find_corpus(root, ["an4"], "etc/an4_train.fileids")
    missing: list[str] = []
    training = _read(folder, "train", missing)
    people = sorted({_person(utterance) for utterance in training})
    held_out = set(people[HELD_OUT])
    splits = {
        "train": [u for u in training if _person(u) not in held_out],
        "dev": [u for u in training if _person(u) in held_out],
        "test": _read(folder, "test", missing),
    }
    return write_splits(root, splits, out, missing, progress)


def _person(utterance: Utterance) -> str:
    """The speaker without a number: mdcs and mdcs2 are two sessions of one man."""
    return (utterance.speaker or "").rstrip("0123456789")


def _read(folder: Path, split: str, missing: list[str]) -> list[Utterance]:
    file_ids = folder / "etc" / f"an4_{split}.fileids"
    transcription = folder / "etc" / f"an4_{split}.transcription"
    texts = {}
    for line in read_lines(transcription):
        match = re.fullmatch(r"(.*)\(([^()]+)\)", line)
        if not match:
            raise InputError(
                f"{transcription}: {line!r} does not end with (file id); unpack the corpus again"
            )
        words = re.sub(r"<[^>]*>", " ", match[1]).lower().split()  # lines of the test set have no <s> </s>
        texts[match[2].strip()] = " ".join(words)
    utterances = []
    for line in read_lines(file_ids):
        file_id = Path(line)
        if file_id.name not in texts:
            missing.append(f"{transcription}: no line for ({file_id.name})")
            continue
        speaker = file_id.parent.name
        extra = {"gender": speaker[0]} if speaker[:1] in ("f", "m") else {}
        utterances.append(Utterance(_audio(folder, line), texts[file_id.name], 0.0, speaker, extra=extra))
    return utterances


def _audio(folder: Path, file_id: str) -> Path:
    """The recording in one of its usual locations, or the official location if it is in none."""
    candidates = [folder / sub / (file_id + suffix) for sub in AUDIO_FOLDERS for suffix in SUFFIXES]
    return next((path for path in candidates if os.path.isfile(path)), candidates[0])
