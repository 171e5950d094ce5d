"""The Free Spoken Digit Dataset: single digits in English, 8 kHz.

free-spoken-digit-dataset/recordings/7_jackson_32.wav      {digit}_{speaker}_{index}
"""

import re
from pathlib import Path

from minids.data.importers.common import Imported, find, write_splits
from minids.data.manifest import Utterance

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPLITS = ("train", "dev", "test", "speaker_train", "speaker_dev", "speaker_test")
TEST = range(5)  # the index of the official test set's recordings
DEV = range(5, 10)
SPEAKER_SPLIT = {"george": "speaker_dev", "theo": "speaker_test"}  # everyone else trains


def import_fsdd(root: str | Path, out: str | Path, progress: bool = False) -> Imported:
    """Write two sets of splits to the folder `out`; `root` is the dataset's folder or its parent.

    train, dev, test.jsonl: index 0-4 is the official test set, which has the speakers of the training set;
    5-9, the official training set's first, are held out as dev. speaker_train, speaker_dev,
    speaker_test.jsonl: all recordings again, test by a speaker (and dev by another) never heard in training.
    Fields: speaker, digit, index. Recordings that are damaged, or named otherwise, are left out and named in
    the result. InputError: no FSDD there.
    """
    folder = find(root, ["free-spoken-digit-dataset"], "recordings/*.wav") / "recordings"
    missing: list[str] = []
    splits: dict[str, list[Utterance]] = {name: [] for name in SPLITS}
    for path in sorted(folder.glob("*.wav")):
        name = re.fullmatch(r"(\d)_(.+)_(\d+)", path.stem, re.ASCII)
        if not name:
            missing.append(f"{path}: not named digit_speaker_index.wav")
            continue
        digit, speaker, index = int(name[1]), name[2], int(name[3])
        extra = {"digit": digit, "index": index}
        utterance = Utterance(path, DIGITS[digit], 0.0, speaker, extra=extra)
        splits["test" if index in TEST else "dev" if index in DEV else "train"].append(utterance)
        splits[SPEAKER_SPLIT.get(speaker, "speaker_train")].append(utterance)
    return write_splits(splits, out, missing, progress)
