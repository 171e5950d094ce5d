"""Training on 1, 2, 5 and 10 times as much speech: an epoch's time grows with the hours, memory does not.

    python -m benchmarks.scaling

The speech is AN4's training set, repeated, from the folder in the environment variable MINIDS_DATA, or tones.
Every size is trained for one epoch in a process of its own, in turns. Peak memory is that of the process,
with Python and all libraries.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import headline, in_subprocess, machine, peak_memory, save, set_threads
from minids.audio import save_audio
from minids.data.manifest import Utterance, read_manifest, write_manifest

SETTINGS = """
[data]
train = "{times}.jsonl"
dev = "dev.jsonl"
[features]
bands = 40
normalize = "utterance"
[model]
hidden = {hidden}
context = 5
stride = 3
[train]
epochs = {epochs}
batch_size = {batch}
learning_rate = 0.0003
"""
RATE, SECONDS, CLIPS = 16_000, 5, 120


def speech(folder: Path) -> list[Utterance]:
    """The utterances to repeat."""
    data = os.environ.get("MINIDS_DATA")
    return read_manifest(Path(data, "an4", "train.jsonl")) if data else tones(folder)


def tones(folder: Path) -> list[Utterance]:
    """Ten minutes of tones, in clips of different lengths."""
    rng = np.random.default_rng(0)
    utterances = []
    for i in range(CLIPS):
        t = np.arange(int(rng.uniform(0.5, 1.5) * SECONDS * RATE)) / RATE
        path = folder / f"{i}.wav"
        save_audio(path, 0.3 * np.sin(2 * np.pi * rng.uniform(200, 4000) * t), RATE)
        utterances.append(Utterance(path, "a tone", len(t) / RATE))
    return utterances


def train(settings: Path, run: Path) -> tuple[float, float]:
    """Seconds of the epoch, and the peak memory (MB) of this process."""
    import minids.training.trainer
    from minids.training.settings import read_settings

    minids.training.reporting.log = lambda line: None  # quiet
    trainer = minids.training.trainer.Trainer(read_settings(settings), run)
    trainer.run()
    return trainer.state.rows[0]["seconds"], peak_memory()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, nargs="+", default=[1, 2, 5, 10])
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="keep the results, with machine and versions")
    options = parser.parse_args()
    print(headline(machine()), flush=True)
    set_threads(options.threads)
    results: dict[int, dict] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        utterances = speech(folder)
        write_manifest(folder / "dev.jsonl", utterances[:16])
        for times in options.times:
            write_manifest(folder / f"{times}.jsonl", utterances * times)
            (folder / f"{times}.toml").write_text(
                SETTINGS.format(times=times, hidden=options.hidden, epochs=1, batch=16)
            )
            hours = times * sum(u.duration for u in utterances) / 3600
            results[times] = {"hours": hours, "seconds": [], "memory_mb": []}
        in_subprocess(train, folder / f"{options.times[0]}.toml", folder / "compiles")  # not counted
        for i in range(options.rounds):
            for times, result in results.items():
                seconds, memory = in_subprocess(train, folder / f"{times}.toml", folder / f"{i}-{times}")
                result["seconds"].append(seconds)
                result["memory_mb"].append(memory)
    show(results)
    save(options.json, {"scaling": results})


def show(results: dict[int, dict]) -> None:
    print(f"\n{'times':>6}{'hours':>8}{'s an epoch':>12}{'s an hour':>12}{'best':>8}{'peak MB':>9}")
    for times, result in results.items():
        hours, seconds, memory = result["hours"], statistics.median(result["seconds"]), result["memory_mb"]
        best = min(result["seconds"]) / hours
        cells = f"{seconds:>12.1f}{seconds / hours:>12.1f}{best:>8.1f}{statistics.median(memory):>9.0f}"
        print(f"{times:>6}{hours:>8.2f}{cells}")


if __name__ == "__main__":
    main()
