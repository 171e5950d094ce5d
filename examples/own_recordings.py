"""From a folder of your recordings to a recognizer and its word error rate.

    python examples/own_recordings.py recordings runs/mine

Each recording has its transcript next to it, and each speaker has a folder:

    recordings/ann/001.wav   recordings/ann/001.txt   recordings/ben/lamp.flac   recordings/ben/lamp.txt

Less than half an hour of recordings is not enough to learn from random weights: 24 short ones leave every
word wrong. So the model that ships with minids, which has learned from 56 people, is trained on with yours
(fine-tuning, see lesson 17). This takes a few minutes. The result recognizes your words in your voice, and
has forgotten others. With more recordings a network is trained from random weights.

The folder of the run receives manifests and the model, and with more than half an hour also settings.toml. To
change the settings, edit settings.toml and start in another folder. The same command continues a run that was
stopped; fine-tuning starts again.
"""

import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import minids
from minids.audio import audio_info
from minids.data.augment import Augmentation
from minids.data.batches import Batches
from minids.data.doctor import validate_dataset
from minids.data.findings import KINDS
from minids.data.manifest import Utterance, write_manifest
from minids.metrics import Evaluation, Score
from minids.ops.common import hash_key
from minids.text import Alphabet
from minids.training.settings import read_settings
from minids.training.step import step
from minids.training.trainer import Trainer
from minids.weights import SHIPPED_MODEL, SavedModel, load_model, save_model

FEW_MINUTES = 30  # of recordings: with fewer, fine-tune
EPOCHS = 60  # of fine-tuning
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
    manifests, parts = [], split(recordings)
    for name, part in parts.items():
        manifests.append(run / f"{name}.jsonl")
        write_manifest(manifests[-1], part)
        print(f"{name:6} {len(part):5} recordings, {sum(u.duration for u in part) / 60:.1f} minutes")

    path = run / "settings.toml"
    if path.exists() or sum(u.duration for u in recordings) > 60 * FEW_MINUTES:
        if not path.exists():
            rates = [audio_info(u.path).rate for u in recordings]
            path.write_text(SETTINGS.format(rate=min(16000, *rates)))  # the highest that all recordings have
        settings = read_settings(path)
        check(manifests, settings.alphabet, settings.features, settings.model.stride)
        trainer = Trainer(settings, run)
        trainer.run()
        best = trainer.folder.best
    else:
        start = for_texts(load_model(SHIPPED_MODEL), [u.text for u in recordings])
        check(manifests, start.alphabet, start.features, start.model.settings.stride)
        print(f"before: WER {word_error_rate(minids.Recognizer(start), parts['test'])}")
        best = run / "best.safetensors"
        fine_tune(start, parts, best)

    print(f"{best}: WER {word_error_rate(minids.Recognizer.load(best), parts['test'])}")


def word_error_rate(recognizer: minids.Recognizer, utterances: list[Utterance]) -> Score:
    results, _ = recognizer.recognize(utterances)
    return Evaluation(results).wer


def check(manifests: list[Path], alphabet: Alphabet, features: minids.Features, stride: int) -> None:
    report = validate_dataset(manifests, alphabet, features, stride)
    for finding in report.findings:
        print(f"{finding}; {finding.remedy}")
    if not report.valid:
        sys.exit(f"fix these first: {', '.join(kind for kind in report.counts if KINDS[kind].is_error)}")


def for_texts(base: SavedModel, texts: list[str]) -> SavedModel:
    """The model with an output for each character of the texts; those it knows keep their weights."""
    new = [c for c in Alphabet.from_texts(texts).symbols if c not in base.alphabet.symbols]
    alphabet = Alphabet([*base.alphabet.symbols, *new])
    params = dict(base.model.params)
    params["W6"] = np.pad(params["W6"], ((0, len(new)), (0, 0)))
    params["b6"] = np.pad(params["b6"], (0, len(new)))
    model = minids.DeepSpeech(replace(base.model.settings, characters=len(alphabet)))
    model.load_params(params)
    return SavedModel(model, base.features, alphabet, {}, {})


def fine_tune(saved: SavedModel, parts: dict[str, list[Utterance]], best: Path) -> None:
    """Train the model on; save it after each epoch whose character error rate on dev is the lowest so far."""
    model, lowest = saved.model, np.inf
    velocity = np.zeros_like(model.flat_params)
    augmentation = Augmentation(max_shift_ms=10, max_speed_change=0.1)
    batches = Batches(
        parts["train"], saved.features, saved.alphabet, 8, model.settings.stride, augmentation=augmentation
    )
    for epoch in range(EPOCHS):
        losses = []
        for batch in batches.epoch(epoch):
            keys = hash_key(epoch, np.array(batch.indices))  # of dropout
            options = {"rate": 0.003 / 1.03**epoch, "momentum": 0.9, "grad_clip_norm": 10}
            losses.extend(step(model, velocity, batch, keys, **options)[0])
        results, _ = minids.Recognizer(saved).recognize(parts["dev"])
        dev = Evaluation(results)
        if dev.cer.rate < lowest:
            lowest = dev.cer.rate
            save_model(best, saved)
        rates = f"dev WER {dev.wer.rate:4.0%}, CER {dev.cer.rate:4.0%}"
        print(f"epoch {epoch + 1:2}  loss {np.mean(losses):6.2f}  {rates}")


def utterances(folder: Path) -> list[Utterance]:
    """Each text of the folder with the recording of the same name. Their folder names the speaker."""
    if not folder.is_dir():
        raise minids.InputError(f"{folder} is not a folder; give one with recordings and their texts")
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
