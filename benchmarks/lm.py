"""Language models of minids and KenLM in alternation: training an ARPA file, and querying it.

    python -m benchmarks.lm english.txt heldout.txt --lmplz bin/lmplz --peers peers/bin/python

Training is timed as the user sees it: a process from start to end, with compiled code in the cache. KenLM's
tools and its Python package (in a separate interpreter, `--peers`) are optional. Before queries are timed,
both totals of the held-out text must agree. `--copies`: the text repeated, with one word in five of each copy
drawn at random, which gives as many n-grams as a longer text.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import headline, machine, save, set_threads

# Runs in the interpreter of KenLM: for each line it reads, it prints the total and the seconds taken.
KENLM = """
import json, sys, time, kenlm
model, lines = kenlm.Model(sys.argv[1]), open(sys.argv[2], encoding="utf-8").read().splitlines()
words = [line.split() + ["</s>"] for line in lines]
def sentences():
    return sum(map(model.score, lines))
def single():
    total, state, out = 0.0, kenlm.State(), kenlm.State()
    for sentence in words:
        model.BeginSentenceWrite(state)
        for word in sentence:
            total += model.BaseScore(state, word, out)
            state, out = out, state
    return total
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    total = {"sentences": sentences, "single": single}[line.strip()]()
    print(json.dumps([total, time.perf_counter() - start]), flush=True)
"""


def run_training(command: list[str], text: Path, out: Path) -> dict[str, float]:
    """Wall-clock and CPU seconds, and peak memory (MB), of a process from text to ARPA file."""
    with text.open("rb") as source, out.open("wb") as arpa:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdin=source, stdout=arpa, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{command[0]} failed")
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "memory_mb": usage.ru_maxrss / 1024,
    }


def compare_training(text: Path, order: int, lmplz: str | None, rounds: int, folder: Path) -> dict[str, dict]:
    """The median figures of each program."""
    commands = {
        "minids": [sys.executable, "-m", "minids", "lm", "train", str(text), "--order", str(order), "--out"]
    }
    commands["minids"].append(str(folder / "minids.arpa"))
    if lmplz:
        commands["lmplz"] = [lmplz, "-o", str(order), "-S", "2G", "--discount_fallback"]
    runs: dict[str, list] = {name: [] for name in commands}
    for i in range(-1, rounds):
        for name, command in commands.items():
            run = run_training(command, text, folder / f"{name}.out")
            if i >= 0:
                runs[name].append(run)
    return {
        name: {key: sorted(run[key] for run in measured)[len(measured) // 2] for key in measured[0]}
        for name, measured in runs.items()
    }


def write_copies(text: Path, n: int, out: Path) -> None:
    """The text n times; all copies but the first have a fifth of their words replaced, by frequency."""
    rng = random.Random(0)
    lines = [line.split() for line in text.read_text(encoding="utf-8").splitlines()]
    words = [word for line in lines for word in line]
    with out.open("w", encoding="utf-8") as file:
        for copy in range(n):
            for line in lines:
                replaced = (rng.choice(words) if copy and rng.random() < 0.2 else word for word in line)
                file.write(" ".join(replaced) + "\n")


def compare_queries(arpa: Path, text: Path, peers: str | None, rounds: int) -> dict:
    """Words per second of each program: complete texts with word lookup, and words one by one."""
    import numpy as np
    from numba import njit

    from minids.lm._scorer import score
    from minids.lm.ngram import NGram

    model = NGram.load(arpa)
    lines = text.read_text(encoding="utf-8").splitlines()
    numbers = np.array([model.index.get(w, 0) for line in lines for w in [*line.split(), "</s>"]], np.int32)

    @njit(nogil=True)
    def single(tables, numbers):
        total, state = 0.0, tables.begin
        for word in numbers:
            log_prob, next_state = score(tables, state, word)
            total += log_prob
            state = tables.begin if word == 2 else next_state
        return total

    steps = {
        "minids: a text (NGram.perplexity)": lambda: model.perplexity(text).log_prob,
        "minids: sentence by sentence (NGram.log_prob)": lambda: sum(map(model.log_prob, lines)),
        "minids: word by word from Numba (scorer.score)": lambda: single(model.tables, numbers),
    }
    peer = None
    if peers:
        peer = subprocess.Popen(
            [peers, "-c", KENLM, str(arpa), str(text)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdout.readline()
    totals, seconds = {}, {}
    for i in range(-1, rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            total = step()
            record(totals, seconds, name, total, time.perf_counter() - start, i)
        if peer:
            for name, call in (("sentence by sentence", "sentences"), ("word by word from Python", "single")):
                print(call, file=peer.stdin, flush=True)
                total, took = json.loads(peer.stdout.readline())
                record(totals, seconds, f"kenlm: {name}", total * float(np.log(10)), took, i)
    if peer:
        peer.stdin.close()
        peer.wait()
    return {
        "words": len(numbers),
        "log_prob": totals,
        "words_per_second": {name: len(numbers) / sorted(t)[len(t) // 2] for name, t in seconds.items()},
    }


def record(totals: dict, seconds: dict, name: str, total: float, took: float, i: int) -> None:
    """Record a round; the first one is not counted, and its total must agree with the other programs."""
    if i < 0:
        reference = next(iter(totals.values()), total)
        if abs(total - reference) > 1e-5 * abs(reference):
            raise RuntimeError(f"{name}: {total}, but {next(iter(totals))}: {reference}")
        totals[name] = total
    else:
        seconds.setdefault(name, []).append(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("heldout", type=Path)
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--lmplz", metavar="PATH", help="KenLM's lmplz")
    parser.add_argument("--peers", metavar="PYTHON", help="an interpreter that has the package kenlm")
    parser.add_argument("--copies", type=int, nargs="*", default=[2, 5, 10])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    set_threads(1)
    print(headline(machine()))
    results: dict = {"order": arguments.order, "training": {}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for n in [1, *arguments.copies]:
            text = arguments.text
            if n > 1:
                text = folder / "copies.txt"
                write_copies(arguments.text, n, text)
            medians = compare_training(
                text, arguments.order, arguments.lmplz, arguments.rounds if n == 1 else 2, folder
            )
            results["training"][f"{n} copies" if n > 1 else "the text"] = medians
            for name, figures in medians.items():
                print(
                    f"{n:3d} x text  {name:8} {figures['seconds']:7.2f} s  {figures['cpu_seconds']:7.2f} s of"
                    f" CPU  {figures['memory_mb']:7.0f} MB"
                )
            if n == 1:
                shutil.copy(folder / "minids.arpa", folder / "model.arpa")
        results["queries"] = compare_queries(
            folder / "model.arpa", arguments.heldout, arguments.peers, arguments.rounds
        )
    for name, speed in results["queries"]["words_per_second"].items():
        print(f"{name:50} {speed / 1e6:7.2f} M words/s")
    save(arguments.json, results)


if __name__ == "__main__":
    main()
