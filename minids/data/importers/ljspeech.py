"""LJSpeech 1.1 (Ito and Johnson 2017): one woman reads seven books, 24 hours, 22.05 kHz.

LJSpeech-1.1/metadata.csv               LJ001-0001|Printing, in 1455, …|Printing, in fourteen fifty-five, …
LJSpeech-1.1/wavs/LJ001-0001.wav
"""

from pathlib import Path

from minids._utils.errors import InputError
from minids.data.importers.common import (
    ImportResult,
    find_corpus,
    normalize_transcript,
    read_lines,
    write_splits,
)
from minids.data.manifest import Utterance

DEV_CHAPTER, TEST_CHAPTER = "LJ049", "LJ050"  # the last two; there is no official split


def import_ljspeech(root: str | Path, out: str | Path, progress: bool = False) -> ImportResult:
    """Write train, dev and test.jsonl to the folder `out`; `root` is LJSpeech-1.1 or its parent.

    The text is the third column, where numbers are words, in lower case without punctuation. dev is the last
    chapter but one, test the last chapter. Field: chapter. Recordings that are
    missing or damaged are left out and listed in the result. InputError: no LJSpeech there.
    """
    folder = find_corpus(root, ["LJSpeech-1.1"], "metadata.csv")
    splits: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": []}
    for line in read_lines(folder / "metadata.csv"):
        if line.count("|") != 2:
            raise InputError(
                f"{folder / 'metadata.csv'}: {line[:40]!r} is not NAME|TEXT|TEXT; unpack it again"
            )
        name, _, text = line.split("|")
        chapter = name.partition("-")[0]
        split = "dev" if chapter == DEV_CHAPTER else "test" if chapter == TEST_CHAPTER else "train"
        path = folder / "wavs" / f"{name}.wav"
        splits[split].append(
            Utterance(path, normalize_transcript(text), 0.0, "lj", extra={"chapter": chapter})
        )
    return write_splits(root, splits, out, [], progress)
