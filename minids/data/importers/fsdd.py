"""The Free Spoken Digit Dataset: single digits in English, 8 kHz.

free-spoken-digit-dataset/recordings/7_jackson_32.wav      {digit}_{speaker}_{index}
"""

import re
from pathlib import Path

from minids.data.importers.common import ImportResult, find_corpus, write_splits
from minids.data.manifest import Utterance

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPLITS = ("train", "dev", "test", "speaker_train", "speaker_dev", "speaker_test")
TEST_INDICES = range(5)  # the official test set
DEV_INDICES = range(5, 10)
SPEAKER_SPLIT = {"george": "speaker_dev", "theo": "speaker_test"}  # the others: train


def import_fsdd(root: str | Path, out: str | Path, progress: bool = False) -> ImportResult:
    """Write two sets of splits to the folder `out`; `root` is the dataset's folder or its parent.

    train, dev, test.jsonl: index 0-4 is the official test set, with the speakers of the training set;
    5-9, the first of the official training set, are dev. speaker_train, speaker_dev,
    speaker_test.jsonl: all recordings again, with a test speaker and a dev speaker who are not in training.
    Fields: speaker, digit, index. Recordings that are damaged or have another file name are left out and
    listed in the result. InputError: no FSDD there.
    """
    folder = find_corpus(root, ["free-spoken-digit-dataset"], "recordings/*.wav") / "recordings"
    missing: list[str] = []
    splits: dict[str, list[Utterance]] = {name: [] for name in SPLITS}
    for path in sorted(folder.glob("[!.]*.wav")):
        match = re.fullmatch(r"(\d)_(.+)_(\d+)", path.stem, re.ASCII)
        if not match:
            missing.append(f"{path}: file name is not digit_speaker_index.wav")
            continue
        digit, speaker, index = int(match[1]), match[2], int(match[3])
        extra = {"digit": digit, "index": index}
        utterance = Utterance(path, DIGITS[digit], 0.0, speaker, extra=extra)
        splits["test" if index in TEST_INDICES else "dev" if index in DEV_INDICES else "train"].append(
            utterance
        )
        splits[SPEAKER_SPLIT.get(speaker, "speaker_train")].append(utterance)
    return write_splits(root, splits, out, missing, progress)
