"""Three minutes of a speaker that no model has heard: fine-tuning compared with training from random weights.

    python -m benchmarks.finetune
    python -m benchmarks.finetune --seconds 20 --minutes 1

The speaker's digits are from FSDD, in the folder in the environment variable MINIDS_DATA; the model to start
from is the one that ships, which has learned from AN4 and read books. Of `--seconds` of recordings, five
sixths are for training and one sixth for dev; the speaker's others are for the test. Fine-tuning has the
default settings, training from random weights those that examples/fsdd.toml has for this corpus; both end
after `--minutes` on all cores.
"""

import argparse
import os
import random
import re
import tempfile
import warnings
from pathlib import Path

from benchmarks.machine import headline, machine, save
from minids import Recognizer
from minids.audio import AudioWarning
from minids.data.manifest import Utterance, read_manifest, write_manifest
from minids.metrics import Evaluation
from minids.training.settings import read_settings
from minids.training.trainer import Trainer

FINE_TUNING = '[data]\ntrain = "train.jsonl"\ndev = "dev.jsonl"\n[train]\ninit = "shipped"\n'


def split(utterances: list[Utterance], seconds: float, seed: int) -> dict[str, list[Utterance]]:
    """In random order: `seconds` of them for train and dev, the others for the test."""
    rest = random.Random(seed).sample(utterances, len(utterances))
    parts: dict[str, list[Utterance]] = {}
    for name, share in {"train": 5 / 6, "dev": 1 / 6}.items():
        parts[name] = []
        while sum(u.duration for u in parts[name]) < share * seconds:
            parts[name].append(rest.pop())
    return parts | {"test": rest}


def train(folder: Path, text: str, name: str, minutes: float, seed: int) -> dict:
    """Train with these settings; the errors of greedy decoding on the test set."""
    (folder / f"{name}.toml").write_text(text)
    settings = read_settings(folder / f"{name}.toml", minutes=minutes, seed=seed, epochs=1000)
    trainer = Trainer(settings, folder / name)
    trainer.run()
    results, _ = Recognizer.load(trainer.folder.best).recognize(read_manifest(folder / "test.jsonl"))
    wer = Evaluation(results).wer
    best = trainer.state.best_epoch
    return {"wer": wer.rate, "words": wer.reference_length, "epochs": trainer.state.epoch, "best_epoch": best}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speakers", nargs="+", default=["jackson"])
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--json", metavar="FILE", help="keep the results, with machine and versions")
    options = parser.parse_args()
    print(headline(machine()), flush=True)
    warnings.simplefilter("ignore", AudioWarning)  # FSDD has a rate of 8 kHz, the model of 16 kHz
    corpus = read_manifest(Path(os.environ["MINIDS_DATA"], "fsdd", "manifest.jsonl"))
    recipe = (Path(__file__).parents[1] / "examples" / "fsdd.toml").read_text()
    scratch = re.sub(r'"data/fsdd/(\w+\.jsonl)"', r'"\1"', recipe)
    results = []
    for speaker in options.speakers:
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as name:
                parts = split([u for u in corpus if u.speaker == speaker], options.seconds, seed)
                for part, utterances in parts.items():
                    write_manifest(Path(name, f"{part}.jsonl"), utterances)
                for kind, text in {"fine-tuned": FINE_TUNING, "from random weights": scratch}.items():
                    result = train(Path(name), text, kind, options.minutes, seed)
                    results.append({"speaker": speaker, "seed": seed, "training": kind, **result})
                    budget = {"seconds": options.seconds, "minutes": options.minutes}
                    save(options.json, budget | {"finetune": results})
    print(f"\n{'speaker':10}{'seed':>4}  {'training':20}{'epochs':>7}{'words':>7}{'WER':>8}")
    for r in results:
        row = f"{r['speaker']:10}{r['seed']:4}  {r['training']:20}{r['epochs']:7}{r['words']:7}"
        print(f"{row}{r['wer']:8.1%}")


if __name__ == "__main__":
    main()
