"""Trains the included model again, in two stages, in about 20 minutes on two cores.

    MINIDS_DATA=~/data python examples/included_model.py --run runs/included

First on AN4 and five hours of read books together (included_model/first.toml), then on AN4 alone
(included_model/second.toml). It reads an4/, libri5/ (24 speakers of LibriSpeech's train-clean-5) and
noise/audio/ in $MINIDS_DATA, and writes second/best.safetensors; minids/models/README.md has the commands
that tune and measure it.
"""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from minids import InputError
from minids.data.manifest import read_manifest, write_manifest
from minids.training.settings import read_settings
from minids.training.trainer import Trainer

SETTINGS = Path(__file__).with_suffix("")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, default=Path("runs/included"), help="folder of both runs")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = Path(os.environ.get("MINIDS_DATA", "data"))
    arguments.run.mkdir(parents=True, exist_ok=True)
    joined = arguments.run.resolve() / "train.jsonl"
    write_manifest(
        joined, [u for name in ("an4", "libri5") for u in read_manifest(data / name / "train.jsonl")]
    )

    first = read_settings(SETTINGS / "first.toml", seed=arguments.seed)
    trainer = Trainer(replace(first, data=replace(first.data, train=str(joined))), arguments.run / "first")
    trainer.run()
    init = str(trainer.folder.best.resolve())
    trainer = Trainer(
        read_settings(SETTINGS / "second.toml", seed=arguments.seed, init=init), arguments.run / "second"
    )
    trainer.run()
    print(trainer.folder.best)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
