"""From nothing to a model that hears digits from voices it never met: the program behind `make demo`.

    python examples/demo/demo.py

Speech is synthesized (speech.py), a small network learns it (demo.toml), its errors on the held-out voices
are counted, and one recording is drawn from the sound to the text. Everything lands in out/demo.
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
from minids.training.reporting import clock
from minids.training.settings import read_settings
from minids.training.trainer import Trainer

HERE = Path(__file__).parent
OUT = HERE.parent.parent / "out" / "demo"
COUNTS = {"train": 1600, "dev": 100, "test": 200}  # recordings
MOST_ERRORS = 0.10  # above this word error rate something is broken


def main() -> None:
    start = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)
    announce_compilation()

    train, dev, test = (len(names.split()) for names in speech.VOICES.values())
    say(f"1. Speech: {train} synthetic voices say digits to learn from, {dev + test} others to be tested on.")
    manifests = speech.make(OUT / "speech", COUNTS)

    say(f"2. Training from random weights. WER, CER: words, letters wrong on {dev} of the other voices.")
    trainer = Trainer(read_settings(HERE / "demo.toml"), OUT / "run")
    trainer.run()
    training(trainer.progress.rows).savefig(OUT / "training.png", dpi=120)

    say(f"3. The last {test} voices, which played no part in training:")
    recognizer = Recognizer.load(trainer.folder.best)
    utterances = read_manifest(manifests["test"])
    heard = [recognizer.transcribe(u.path).text for u in utterances]
    for utterance, text in list(zip(utterances, heard, strict=True))[:8]:
        right = "right" if text == utterance.text else f"wrong: {utterance.text}"
        print(f"   {utterance.path.relative_to(OUT)}  {utterance.speaker:<7} {text:<28} {right}")
    score = wer([u.text for u in utterances], heard)
    print(f"\n   {len(utterances)} recordings of held-out voices, word error rate {score}")

    picture = OUT / "recognition.png"
    draw(recognizer, max(utterances, key=lambda u: len(u.text)), picture)
    say(f"4. One of them, from the sound to the text: {picture}; how it learned: {OUT / 'training.png'}")
    print(f"   The model, for `minids transcribe FILE --model ...`: {trainer.folder.best}")
    print(f"   {clock(time.monotonic() - start)} in all")
    if score.rate > MOST_ERRORS:
        sys.exit(f"that is more than the {MOST_ERRORS:.0%} that this demo should reach: please report it")


def draw(recognizer: Recognizer, utterance: Utterance, path: Path) -> None:
    """Waveform, features, character probabilities and text of one recording."""
    samples, rate = load_audio(utterance.path, recognizer.features.rate)
    frames, log_probs = recognizer.features(samples), recognizer.log_probs(samples)
    text = recognizer.transcribe(samples).text
    figure = recognition(samples, rate, frames, log_probs, recognizer.alphabet, recognizer.hop, text)
    figure.savefig(path, dpi=120)


def say(line: str) -> None:
    print(f"\n{line}\n", flush=True)


if __name__ == "__main__":
    main()
