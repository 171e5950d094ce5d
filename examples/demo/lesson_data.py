"""Make the data of the lessons, lessons/data: recordings and a recognizer of 0.3 MB.

    python examples/demo/lesson_data.py

It synthesizes speech (speech.py), trains a small network (lesson_data.toml), and records the lessons' texts
with three voices that are not in the training set. This takes about three minutes; the run is in
out/lesson_data.
"""

import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile
import speech

from minids.audio import resample, save_audio
from minids.recognizer import Recognizer
from minids.training.settings import read_settings
from minids.training.trainer import Trainer

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "lessons" / "data"
OUT = HERE.parent.parent / "out" / "lesson_data"
RECORDINGS = {  # file: text, voice (one of the test voices of speech.py), speed, pitch
    "seven.flac": ("seven", "gmw/en-US+f4", 150, 45),
    "two_five.flac": ("two five", "gmw/en-US+edward", 150, 45),
    "three_one_four.flac": ("three one four", "gmw/en-GB-x-rp+max", 160, 50),
}


GERMAN = ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"]


def main() -> None:
    DATA.mkdir(exist_ok=True)
    shutil.rmtree(OUT, ignore_errors=True)
    speech.make(OUT / "speech", {"train": 4000, "dev": 100})
    trainer = Trainer(read_settings(HERE / "lesson_data.toml"), OUT / "run")
    trainer.run()
    shutil.copy(trainer.folder.best, DATA / "digits.safetensors")
    with ProcessPoolExecutor(mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for make in (
            record,
            record_german,
        ):  # each in a new process, which repeats its speech: see speech.Espeak
            pool.submit(make).result()
    recognizer = Recognizer.load(DATA / "digits.safetensors")
    for name, (text, *_) in RECORDINGS.items():
        hypothesis = recognizer.transcribe(DATA / name).text
        print(f"{name:20} {hypothesis}")
        if hypothesis != text:
            sys.exit(f"{name}: {text!r} was expected; train longer")


def record() -> None:
    """Write the three recordings."""
    espeak, random = speech.Espeak(0), np.random.default_rng(0)
    for name, (text, voice, speed, pitch) in RECORDINGS.items():
        samples = resample(espeak(text, voice, speed, pitch), espeak.rate, speech.RATE)
        samples = np.pad(samples, speech.RATE // 10)  # 0.1 s of silence around it
        samples *= 0.3 / np.abs(samples).max()
        samples += random.normal(0, 1e-3, len(samples)).astype(np.float32)  # a room is never silent
        save_audio(DATA / name, samples, speech.RATE)


def record_german() -> None:
    """Write german.ogg, 40 times three digits, and german.tsv: start, end (samples), voice and text."""
    espeak, random = speech.Espeak(17), np.random.default_rng(17)
    rows, end = ["start\tend\tvoice\ttext"], 0
    kind = {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.9}
    with soundfile.SoundFile(DATA / "german.ogg", "w", speech.RATE, channels=1, **kind) as file:
        for _ in range(40):
            text = " ".join(GERMAN[digit] for digit in random.integers(10, size=3))
            speed, pitch = int(random.integers(130, 170)), int(random.integers(35, 60))
            samples = resample(espeak(text, "gmw/de", speed, pitch), espeak.rate, speech.RATE)
            samples = np.pad(samples, random.integers(speech.RATE // 20, speech.RATE // 5, 2))
            samples = 0.3 * samples / np.abs(samples).max() + random.normal(0, 1e-3, len(samples))
            file.write(samples.astype(np.float32))  # one by one: libsndfile fails on many samples at once
            rows.append(f"{end}\t{end + len(samples)}\tgerman\t{text}")
            end += len(samples)
    (DATA / "german.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
