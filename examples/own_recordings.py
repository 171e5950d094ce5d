"""From a folder of your recordings to a recognizer and its word error rate.

    python examples/own_recordings.py recordings runs/mine

Beside each recording lies what it says, beside each other lie those of one speaker:

    recordings/ann/001.wav   recordings/ann/001.txt   recordings/ben/lamp.flac   recordings/ben/lamp.txt

The run's folder gets manifests, settings.toml (change it, and begin anew in another folder), and the model.
The same command goes on with a run that was stopped.
"""

import random
import sys
from pathlib import Path

import minids
from minids.audio import audio_info
from minids.data.doctor import validate_dataset
from minids.data.findings import KINDS
from minids.data.manifest import Utterance, write_manifest
from minids.metrics import Evaluation
from minids.training.settings import read_settings
from minids.training.trainer import Trainer

SETTINGS = """\
# examples/an4.toml explains these, and all others.
[data]
train = "train.jsonl"
dev = "dev.jsonl"
alphabet = " 'abcdefghijklmnopqrstuvwxyz"

[features]
rate = {rate}

[model]
hidden = 256  # enough for an hour of speech; more want 512 and above
"""


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, run = map(Path, sys.argv[1:])
    recordings = utterances(folder)
    run.mkdir(parents=True, exist_ok=True)
    manifests = []
    for name, part in split(recordings).items():
        manifests.append(run / f"{name}.jsonl")
        write_manifest(manifests[-1], part)
        print(f"{name:6} {len(part):5} recordings, {sum(u.duration for u in part) / 60:.1f} minutes")

    path = run / "settings.toml"
    if not path.exists():
        rates = [audio_info(u.path).rate for u in recordings]
        path.write_text(SETTINGS.format(rate=min(16000, *rates)))  # the model hears what all of them have
    settings = read_settings(path)
    report = validate_dataset(manifests, settings.alphabet, settings.features, settings.model.stride)
    for finding in report.findings:
        print(f"{finding}; {finding.remedy}")
    if not report.valid:
        sys.exit(f"fix these first: {', '.join(kind for kind in report.counts if KINDS[kind].is_error)}")

    trainer = Trainer(settings, run)
    trainer.run()

    recognizer = minids.Recognizer.load(trainer.folder.best)
    rows, _ = recognizer.recognize(split(recordings)["test"])
    print(f"{trainer.folder.best}: WER {Evaluation(rows).wer}")


def utterances(folder: Path) -> list[Utterance]:
    """Every text of the folder with the recording of the same name; the speaker is the folder it lies in."""
    found = []
    for text in sorted(folder.rglob("*.txt")):
        beside = [path for path in text.parent.glob(f"{text.stem}.*") if path != text]
        if len(beside) != 1:
            raise minids.InputError(f"{text}: {len(beside)} recordings of this name; let one lie beside it")
        words = text.read_text(encoding="utf-8", errors="replace").split()  # what was replaced is found below
        duration = audio_info(beside[0]).duration
        found.append(Utterance(beside[0].absolute(), " ".join(words), duration, text.parent.name))
    if len(found) < 3:  # one each to learn from, to stop by, to be scored on
        raise minids.InputError(
            f"{folder}: {len(found)} texts, at least 3 are needed; write 001.txt beside 001.wav, "
            "with what is said there"
        )
    return found


def split(recordings: list[Utterance]) -> dict[str, list[Utterance]]:
    """A tenth each for dev and test: whole speakers where there are ten, otherwise recordings."""
    whole = len({u.speaker for u in recordings}) >= 10
    names = [str(u.speaker if whole else u.path) for u in recordings]
    drawn = sorted(set(names))
    random.Random(0).shuffle(drawn)
    tenth = max(1, len(drawn) // 10)
    parts = {"train": drawn[2 * tenth :], "dev": drawn[:tenth], "test": drawn[tenth : 2 * tenth]}
    return {
        part: [u for u, name in zip(recordings, names, strict=True) if name in chosen]
        for part, chosen in parts.items()
    }


if __name__ == "__main__":
    try:
        main()
    except minids.InputError as error:
        sys.exit(str(error))
