"""From a folder of your recordings to a recognizer and its word error rate.

    python examples/own_recordings.py recordings runs/mine

Each recording has its transcript next to it, and each speaker has a folder:

    recordings/ann/001.wav   recordings/ann/001.txt   recordings/ben/lamp.flac   recordings/ben/lamp.txt

The folder of the run receives manifests, settings.toml and the model. To change the settings, edit
settings.toml and start in another folder. The same command continues a run that was stopped.
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
# examples/an4.toml explains all settings.
[data]
train = "train.jsonl"
dev = "dev.jsonl"
alphabet = " 'abcdefghijklmnopqrstuvwxyz"

[features]
rate = {rate}

[model]
hidden = 256  # for an hour of speech; for more hours, 512 and above
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
        path.write_text(SETTINGS.format(rate=min(16000, *rates)))  # the highest that all recordings have
    settings = read_settings(path)
    report = validate_dataset(manifests, settings.alphabet, settings.features, settings.model.stride)
    for finding in report.findings:
        print(f"{finding}; {finding.remedy}")
    if not report.valid:
        sys.exit(f"fix these first: {', '.join(kind for kind in report.counts if KINDS[kind].is_error)}")

    trainer = Trainer(settings, run)
    trainer.run()

    recognizer = minids.Recognizer.load(trainer.folder.best)
    results, _ = recognizer.recognize(split(recordings)["test"])
    print(f"{trainer.folder.best}: WER {Evaluation(results).wer}")


def utterances(folder: Path) -> list[Utterance]:
    """Each text of the folder with the recording of the same name. Their folder names the speaker."""
    utterances = []
    for text in sorted(folder.rglob("*.txt")):
        recordings = [path for path in text.parent.glob(f"{text.stem}.*") if path != text]
        if len(recordings) != 1:
            raise minids.InputError(
                f"{text}: {len(recordings)} recordings have this name; keep one next to it"
            )
        transcript = " ".join(text.read_text(encoding="utf-8", errors="replace").split())
        duration = audio_info(recordings[0]).duration
        utterances.append(Utterance(recordings[0].absolute(), transcript, duration, text.parent.name))
    if len(utterances) < 3:  # one each for train, dev and test
        raise minids.InputError(
            f"{folder}: {len(utterances)} texts, but at least 3 are needed;"
            " write what is said in 001.wav to 001.txt"
        )
    return utterances


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """A tenth each for dev and test: of the speakers where there are ten, otherwise of the recordings."""
    by_speaker = len({u.speaker for u in utterances}) >= 10
    names = [str(u.speaker if by_speaker else u.path) for u in utterances]
    shuffled = sorted(set(names))
    random.Random(0).shuffle(shuffled)
    tenth = max(1, len(shuffled) // 10)
    parts = {"train": shuffled[2 * tenth :], "dev": shuffled[:tenth], "test": shuffled[tenth : 2 * tenth]}
    return {
        part: [u for u, name in zip(utterances, names, strict=True) if name in members]
        for part, members in parts.items()
    }


if __name__ == "__main__":
    try:
        main()
    except minids.InputError as error:
        sys.exit(str(error))
