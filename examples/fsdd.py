"""Spoken digits (Free Spoken Digit Dataset, 3000 recordings, 6 speakers): train and score, in minutes.

    python examples/fsdd.py official      the official split: the test speakers also speak in the training set
    python examples/fsdd.py speakers      the included model, fine-tuned, and tested with an unseen speaker

It reads the manifests in $MINIDS_DATA/fsdd, or with --data DIR those that `minids data import fsdd ROOT --out
DIR` wrote.
"""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from minids import InputError, Recognizer
from minids.data.manifest import read_manifest, write_manifest
from minids.metrics import Evaluation
from minids.training.settings import read_settings
from minids.training.trainer import Trainer

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("split", choices=["official", "speakers"])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MINIDS_DATA", "data")) / "fsdd")
    parser.add_argument("--run", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = arguments.run / f"fsdd-{arguments.split}-{arguments.seed}"
    folder.mkdir(parents=True, exist_ok=True)

    prefix, recipe = ("", "fsdd") if arguments.split == "official" else ("speaker_", "fsdd_speakers")
    train, dev = read_manifest(arguments.data / f"{prefix}train.jsonl"), arguments.data / f"{prefix}dev.jsonl"
    if dev.exists():
        held_out = read_manifest(dev)
    else:  # index 0 to 4 is the test set, on which the best epoch must not be chosen: dev is index 5 to 9
        held_out = [u for u in train if u.extra["index"] < 10]
        train = [u for u in train if u.extra["index"] >= 10]
    write_manifest(folder / "dev.jsonl", held_out)
    write_manifest(folder / "train.jsonl", train)

    settings = read_settings(HERE / f"{recipe}.toml")
    settings = replace(
        settings,
        data=replace(
            settings.data,
            train=str(folder.resolve() / "train.jsonl"),
            dev=str(folder.resolve() / "dev.jsonl"),
        ),
        train=replace(settings.train, seed=arguments.seed),
    )
    trainer = Trainer(settings, folder)
    trainer.run()

    test = read_manifest(arguments.data / f"{prefix}test.jsonl")
    results, _ = Recognizer.load(trainer.folder.best).recognize(test)
    print(f"test, {arguments.split} split: WER {Evaluation(results).wer}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
