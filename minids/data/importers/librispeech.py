"""LibriSpeech (Panayotov et al. 2015) and corpora with the same layout: read books, 16 kHz.

LibriSpeech/SPEAKERS.TXT                                 14   | F | train-clean-360 | 25.03 | Kristin LeMoine
LibriSpeech/train-clean-100/19/198/19-198.trans.txt      19-198-0000 NORTHANGER ABBEY
LibriSpeech/train-clean-100/19/198/19-198-0000.flac
"""

from pathlib import Path

from minids._utils.errors import InputError
from minids.data.importers.common import ImportResult, find_corpus, read_lines, write_splits
from minids.data.manifest import Utterance

SPLITS = ("train", "dev", "test")


def import_librispeech(root: str | Path, out: str | Path, progress: bool = False) -> ImportResult:
    """Write train, dev and test.jsonl to the folder `out`; `root` is the LibriSpeech folder or its parent.

    Imports the subsets that exist: train.jsonl contains train-clean-100, train-clean-360, ...; the field
    `subset` tells them apart (`minids evaluate --by subset`). Other fields: speaker, gender.
    Recordings that are missing or damaged are left out and listed in the result. InputError: no LibriSpeech
    there.
    """
    folder = find_corpus(root, ["LibriSpeech"], "*-*/*/*/*.trans.txt")
    genders = _genders(folder / "SPEAKERS.TXT")
    splits: dict[str, list[Utterance]] = {name: [] for name in SPLITS}
    for transcript in sorted(folder.glob("*-*/*/*/[!.]*.trans.txt")):
        subset, speaker = transcript.parts[-4], transcript.parts[-3]
        split = subset.split("-")[0]
        if split not in splits:
            continue
        extra = {"subset": subset} | ({"gender": genders[speaker]} if speaker in genders else {})
        for line in read_lines(transcript):
            name, _, text = line.partition(" ")
            utterance = Utterance(transcript.parent / f"{name}.flac", text.lower(), 0.0, speaker, extra=extra)
            splits[split].append(utterance)
    return write_splits(root, splits, out, [], progress)


def _genders(speakers: Path) -> dict[str, str]:
    if not speakers.is_file():
        return {}
    rows = [line.split("|") for line in read_lines(speakers) if not line.startswith(";")]
    if any(len(row) < 3 for row in rows):
        raise InputError(f"{speakers}: a line is not ID | SEX | SUBSET; unpack the corpus again")
    return {row[0].strip(): row[1].strip().lower() for row in rows}
