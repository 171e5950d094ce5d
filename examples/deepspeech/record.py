"""Make the recordings of examples/deepspeech.py: digits, spoken by synthetic voices (espeakng-loader).

    python examples/deepspeech/record.py [FOLDER]

Half of the texts are house numbers of one to three digits, half are years from 1900 to 2029, all read digit
by digit. No voice is in both sets. Each set is one Ogg Vorbis file (16 kHz, mono) with a table that
says where each recording starts and ends, who speaks, and what.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "demo"))
import speech  # noqa: E402

from minids.audio import resample  # noqa: E402

COUNTS = {"train": 800, "test": 180}  # recordings
VOICES = {"train": speech.VOICES["train"], "test": speech.VOICES["test"] + " " + speech.VOICES["dev"]}
SIZES = {"train": (0.8, 1.2), "test": (1, 1)}  # of speakers: all frequencies and the speed are divided by it
QUALITY = 1.0  # of libsndfile's compression levels the smallest files


def text(rng: np.random.Generator) -> str:
    """A house number or a year, digit by digit."""
    if rng.random() < 0.5:
        digits = rng.integers(10, size=rng.integers(1, 4))
    else:
        digits = map(int, str(rng.integers(1900, 2030)))
    return " ".join(speech.WORDS[digit] for digit in digits)


def record(split: str, count: int) -> list[tuple[str, str, np.ndarray]]:
    """(voice, text, samples) of each recording. Only a new process repeats them: see speech.Espeak."""
    rng = np.random.default_rng([list(speech.VOICES).index(split), 16])
    espeak = speech.Espeak(int(rng.integers(1 << 31)))
    voices = VOICES[split].split()
    recordings = []
    for i in range(count):
        voice, accent, said = voices[i % len(voices)], str(rng.choice(speech.ACCENTS)), text(rng)
        speed, pitch, melody = (int(rng.integers(*span)) for span in ((120, 200), (10, 90), (10, 90)))
        samples = espeak(said, f"gmw/{accent}+{voice}", speed, pitch, melody)
        size = int(speech.RATE * rng.uniform(*SIZES[split]))
        samples = resample(samples, espeak.rate, size)
        samples = np.pad(samples, rng.integers(speech.RATE // 20, speech.RATE // 5, 2))  # silence around it
        recordings.append((voice, said, samples * rng.uniform(0.1, 0.5) / np.abs(samples).max()))
    return recordings


def write(recordings: list[tuple[str, str, np.ndarray]], path: Path) -> None:
    """Write PATH.ogg and PATH.tsv."""
    ogg = path.with_suffix(".ogg")
    kind = {"format": "OGG", "subtype": "VORBIS", "compression_level": QUALITY}
    with soundfile.SoundFile(ogg, "w", speech.RATE, channels=1, **kind) as file:
        for *_, samples in recordings:  # one by one: libsndfile fails on many samples at once
            file.write(samples)
    ends = np.cumsum([len(samples) for *_, samples in recordings])
    rows = ["start\tend\tvoice\ttext"]
    for (voice, said, samples), end in zip(recordings, ends, strict=True):
        rows.append(f"{end - len(samples)}\t{end}\t{voice}\t{said}")
    path.with_suffix(".tsv").write_text("\n".join(rows) + "\n")
    print(
        f"{ogg}: {len(recordings)} recordings, {ends[-1] / speech.RATE:.0f} s, {ogg.stat().st_size:,} bytes"
    )


def main(folder: Path) -> None:
    with ProcessPoolExecutor(mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for split, future in [(s, pool.submit(record, s, n)) for s, n in COUNTS.items()]:
            write(future.result(), folder / split)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
