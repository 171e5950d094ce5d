"""Beam search with a 3-gram in minids, pyctcdecode and flashlight-text, run alternately, one thread each.

    python -m benchmarks.decoding posteriors.npz lm.arpa --peers peers/bin/python

`lm.arpa` is from `minids lm train english.txt --order 3 --out lm.arpa` (plain ARPA, which all can read). The
other decoders have their own interpreter (`--peers`; pyctcdecode needs numpy < 2); without it only minids
runs. All get the same posteriors, ARPA file, alpha and beta (pyctcdecode's defaults), and return the best
text of each utterance. `decoders.py` shows how each is called.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.machine import headline, machine, save, set_threads

WEIGHTS = {"alpha": 0.5, "beta": 1.5}
HERE = Path(__file__).parent

# groups of (decoder, beam, settings) that alternate; fewer utterances where all 100 would take minutes
USUAL_PRUNING = [
    [("minids", 100, {}), ("pyctcdecode", 100, {}), ("flashlight", 100, {})],
    [("minids", 500, {}), ("pyctcdecode", 500, {}), ("flashlight", 500, {})],
    [("minids", 1000, {}), ("pyctcdecode", 1000, {}), ("flashlight", 1000, {})],
]
UNPRUNED = [
    [("minids", beam, limit), ("minids", beam, {**limit, "closed": True}), ("flashlight", beam, limit)]
    for beam, limit in [(100, {}), (500, {"utterances": 30}), (1000, {"utterances": 15})]
]
BEAMS = [[("minids", beam, {})] for beam in (100, 1000, 8000)]
BEAMS_UNPRUNED = [[("minids", beam, {"utterances": 10})] for beam in (100, 1000, 8000)]
FRAMES = [[("minids", 100, {"utterances": 20, "copies": copies})] for copies in (1, 4, 16)]


class Decoder:
    """A decoder in its own process, and its results."""

    def __init__(self, python: str, name: str, beam: int, pruned: bool, options: dict, files: list[str]):
        settings = {"beam_width": beam, "pruned": pruned, **WEIGHTS, **options}
        self.label = name + (" closed" if "closed" in options else "")
        self.beam, self.options, self.seconds = beam, options, []
        self.child = subprocess.Popen(
            [python, str(HERE / "decoders.py"), name, *files, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        )
        while self.child.stdout.readline() != "ready\n":
            if self.child.poll() is not None:
                raise SystemExit(f"{name} cannot be started")

    def run(self) -> None:
        print("run", file=self.child.stdin, flush=True)
        answer = json.loads(self.child.stdout.readline())
        self.seconds.append(answer["seconds"])
        self.memory_mb, self.texts = answer["memory_mb"], answer["texts"]

    def close(self) -> None:
        self.child.stdin.close()
        self.child.wait()


def compare(
    title: str, pruned: bool, group: list, arguments, frames: list[int], references: list[str]
) -> dict:
    """Run the decoders of a group alternately; one row of results for each."""
    from minids import wer

    files = [arguments.posteriors, arguments.arpa]
    decoders = [
        Decoder(sys.executable if name == "minids" else arguments.peers, name, beam, pruned, options, files)
        for name, beam, options in group
        if name == "minids" or arguments.peers
    ]
    for _ in range(arguments.rounds):
        for decoder in decoders:
            decoder.run()
    rows = []
    minids_seconds = statistics.median(decoders[0].seconds)
    for decoder in decoders:
        decoder.close()
        n, copies = len(decoder.texts), decoder.options.get("copies", 1)
        seconds = statistics.median(decoder.seconds)
        row = {
            "decoder": decoder.label,
            "beam": decoder.beam,
            "utterances": n,
            "copies": copies,
            "frames_per_second": copies * sum(frames[:n]) / seconds,
            "wer": wer(references[:n], decoder.texts).rate if copies == 1 else None,
            "memory_mb": decoder.memory_mb,
            "minids_times_as_fast": seconds / minids_seconds,
            "seconds": decoder.seconds,
        }
        error = "" if row["wer"] is None else f"{row['wer']:.2%}"
        print(
            f"{title:14} {decoder.label:14} {decoder.beam:5} {n:4} x {copies:2}",
            f"{row['frames_per_second']:9.0f} frames/s  WER {error:>6} {decoder.memory_mb:6.0f} MB",
            f" minids x {row['minids_times_as_fast']:.1f}",
            flush=True,
        )
        rows.append(row)
    return {"title": title, "pruned": pruned, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("posteriors")
    parser.add_argument("arpa")
    parser.add_argument(
        "--peers", metavar="PYTHON", help="interpreter with pyctcdecode, kenlm and flashlight-text"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    set_threads(1)
    print(headline(machine()))
    with np.load(arguments.posteriors) as file:
        references = [str(text) for text in file["refs"]]
        frames = [len(file[key]) for key in sorted(file) if key.startswith("lp")]
    results = [
        compare(title, pruned, group, arguments, frames, references)
        for title, pruned, groups in [
            ("usual pruning", True, USUAL_PRUNING),
            ("no pruning", False, UNPRUNED),
            ("beams", True, BEAMS),
            ("beams, all", False, BEAMS_UNPRUNED),
            ("frames", True, FRAMES),
        ]
        for group in groups
    ]
    peers = versions(arguments.peers) if arguments.peers else {}
    save(arguments.json, {"weights": WEIGHTS, "peers": peers, "results": results})


def versions(python: str) -> dict[str, str]:
    """The versions installed in the interpreter of the other decoders."""
    names = ("numpy", "kenlm", "pyctcdecode", "flashlight-text")
    code = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {names}}}))"
    return json.loads(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
