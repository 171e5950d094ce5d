"""From your recordings to a recognizer and its word error rate, in Python.

    python examples/own_recordings.py recordings runs/mine

On the command line these are `minids init`, `minids train` and `minids evaluate`. The recordings are a folder
with a text next to each, such as ann/001.wav and ann/001.txt, or any other layout that `minids init` knows.

Less than half an hour of recordings is not enough to learn from random weights: 24 short ones leave every
word wrong. Then training starts from the model that ships with minids, which has learned from 80 people
(fine-tuning, see lesson 17). The result recognizes your words in your voice, and has forgotten others.

The folder of the run receives manifests, settings.toml and the model. To change the settings, edit
settings.toml and start in another folder. The same command continues a run that was stopped.
"""

import sys
from pathlib import Path

import minids
from minids.data.manifest import read_manifest
from minids.metrics import Evaluation
from minids.training.prepare import prepare
from minids.training.settings import read_settings
from minids.training.trainer import Trainer


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    recordings, run = map(Path, sys.argv[1:])
    settings = run / "settings.toml"
    if not settings.exists():
        prepared = prepare(recordings, run)
        for line in prepared.layout, *prepared.notes, *prepared.left_out, *prepared.report.findings:
            print(line)
    trainer = Trainer(read_settings(settings), run)
    trainer.run()
    best = trainer.folder.best
    results, _ = minids.Recognizer.load(best).recognize(read_manifest(run / "test.jsonl"))
    print(f"{best}: WER {Evaluation(results).wer}")


if __name__ == "__main__":
    try:
        main()
    except minids.InputError as error:
        sys.exit(str(error))
