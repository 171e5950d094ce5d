"""From nothing to a model that recognizes digits of voices it was not trained on: the program of `make demo`.

    python examples/demo/demo.py

It synthesizes speech (speech.py), trains a small network (demo.toml), counts its errors on the held-out
voices, and plots one recording from sound to text. All files are written to out/demo.
"""

import shutil
import sys
import time
from pathlib import Path

import speech

from minids.audio import load_audio
from minids.cli import announce_compilation
from minids.data.manifest import Utterance, read_manifest
from minids.metrics import wer
from minids.plot.recognition import recognition
from minids.plot.training import training
from minids.recognizer import Recognizer
from minids.training.reporting import format_duration
from minids.training.settings import read_settings
from minids.training.trainer import Trainer

HERE = Path(__file__).parent
OUT = HERE.parent.parent / "out" / "demo"
COUNTS = {"train": 1600, "dev": 100, "test": 200}  # recordings
MAX_WER = 0.10  # above this something is broken


def main() -> None:
    start = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)
    announce_compilation()

    train, dev, test = (len(names.split()) for names in speech.VOICES.values())
    print_step(
        f"1. Speech: {train} synthetic voices speak digits for training, {dev + test} others for evaluation."
    )
    manifests = speech.make(OUT / "speech", COUNTS)

    print_step(
        f"2. Training from random weights. WER and CER are the error rates on {dev} of the other voices."
    )
    trainer = Trainer(read_settings(HERE / "demo.toml"), OUT / "run")
    trainer.run()
    training(trainer.state.rows, trainer.state.best_epoch).savefig(OUT / "training.png", dpi=120)

    print_step(f"3. The last {test} voices, which had no part in training:")
    recognizer = Recognizer.load(trainer.folder.best)
    utterances = read_manifest(manifests["test"])
    texts = [recognizer.transcribe(u.path).text for u in utterances]
    for utterance, text in list(zip(utterances, texts, strict=True))[:8]:
        verdict = "correct" if text == utterance.text else f"wrong: {utterance.text}"
        print(f"   {utterance.path.relative_to(OUT)}  {utterance.speaker:<7} {text:<28} {verdict}")
    score = wer([u.text for u in utterances], texts)
    print(f"\n   {len(utterances)} recordings of held-out voices, word error rate {score}")

    figure = OUT / "recognition.png"
    plot(recognizer, max(utterances, key=lambda u: len(u.text)), figure)
    print_step(f"4. Figures: a recording from sound to text, {figure}; the training, {OUT / 'training.png'}")
    print(f"   The model, for `minids transcribe FILE --model ...`: {trainer.folder.best}")
    print(f"   {format_duration(time.monotonic() - start)} in all")
    if score.rate > MAX_WER:
        sys.exit(f"this demo should stay below {MAX_WER:.0%}: please report it")


def plot(recognizer: Recognizer, utterance: Utterance, path: Path) -> None:
    """Waveform, features, character probabilities and text of one recording."""
    samples, rate = load_audio(utterance.path, recognizer.features.rate)
    frames, log_probs = recognizer.features(samples), recognizer.log_probs(samples)
    text = recognizer.transcribe(samples).text
    figure = recognition(
        samples, rate, frames, log_probs, recognizer.alphabet, recognizer.frame_seconds, text
    )
    figure.savefig(path, dpi=120)


def print_step(line: str) -> None:
    print(f"\n{line}\n", flush=True)


if __name__ == "__main__":
    main()
