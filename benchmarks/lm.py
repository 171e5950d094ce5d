"""Language models of minids and KenLM, in turns: from a text to an ARPA file, and queries of that file.

    python -m benchmarks.lm english.txt heldout.txt --lmplz bin/lmplz --peers peers/bin/python

Training is timed as a user meets it: a process from its start to its end, code compiled before. KenLM's tools
and its Python package (in an interpreter of its own, `--peers`) are left out where they are not named. Before
queries are timed, both totals of the held-out text must agree. Copies: the text so many times, in each copy
one word in five drawn anew, which gives the n-grams of a longer text.
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

from benchmarks.machine import headline, hold_threads, machine, save

# In the interpreter of KenLM: a line comes, a line goes back with the total and the seconds it took.
KENLM = """
import json, sys, time, kenlm
model, lines = kenlm.Model(sys.argv[1]), open(sys.argv[2], encoding="utf-8").read().splitlines()
words = [line.split() + ["</s>"] for line in lines]
def sentences():
    return sum(model.score(line) for line in lines)
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


def trained(command: list[str], text: Path, out: Path) -> dict[str, float]:
    """Seconds of the clock and of the cores, and peak memory (MB), of a process from text to ARPA file."""
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


def training(text: Path, order: int, lmplz: str | None, rounds: int, folder: Path) -> dict[str, dict]:
    """The medians of each competitor."""
    commands = {
        "minids": [sys.executable, "-m", "minids", "lm", "train", str(text), "--order", str(order), "--out"]
    }
    commands["minids"].append(str(folder / "minids.arpa"))
    if lmplz:
        commands["lmplz"] = [lmplz, "-o", str(order), "-S", "2G", "--discount_fallback"]
    runs: dict[str, list] = {name: [] for name in commands}
    for i in range(-1, rounds):
        for name, command in commands.items():
            run = trained(command, text, folder / f"{name}.out")
            if i >= 0:
                runs[name].append(run)
    return {
        name: {key: sorted(run[key] for run in found)[len(found) // 2] for key in found[0]}
        for name, found in runs.items()
    }


def copies(text: Path, n: int, out: Path) -> None:
    """The text n times; all copies but the first have a fifth of their words drawn anew, by frequency."""
    rng = random.Random(0)
    lines = [line.split() for line in text.read_text(encoding="utf-8").splitlines()]
    words = [word for line in lines for word in line]
    with out.open("w", encoding="utf-8") as file:
        for copy in range(n):
            for line in lines:
                drawn = (rng.choice(words) if copy and rng.random() < 0.2 else word for word in line)
                file.write(" ".join(drawn) + "\n")


def queries(arpa: Path, text: Path, peers: str | None, rounds: int) -> dict:
    """Words a second of each competitor: whole texts with their words to be found, and words one by one."""
    import numpy as np
    from numba import njit

    from minids.lm.ngram import NGram
    from minids.lm.scorer import score

    model = NGram.load(arpa)
    lines = text.read_text(encoding="utf-8").splitlines()
    numbers = np.array([model.index.get(w, 0) for line in lines for w in [*line.split(), "</s>"]], np.int32)

    @njit(nogil=True)
    def single(tables, numbers):
        total, state = 0.0, tables.begin
        for word in numbers:
            log_prob, following = score(tables, state, word)
            total += log_prob
            state = tables.begin if word == 2 else following
        return total

    steps = {
        "minids: a text (NGram.perplexity)": lambda: model.perplexity(text).log_prob,
        "minids: sentence by sentence (NGram.log_prob)": lambda: sum(map(model.log_prob, lines)),
        "minids: word by word from Numba (query.score)": lambda: single(model.tables, numbers),
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
    """One turn; the first, which is not counted, must give the total of those before it."""
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
    hold_threads(1)
    print(headline(machine()))
    results: dict = {"order": arguments.order, "training": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n in [1, *arguments.copies]:
            text = arguments.text
            if n > 1:
                text = folder / "copies.txt"
                copies(arguments.text, n, text)
            found = training(
                text, arguments.order, arguments.lmplz, arguments.rounds if n == 1 else 2, folder
            )
            results["training"][f"{n} copies" if n > 1 else "the text"] = found
            for who, figures in found.items():
                print(
                    f"{n:3d} x text  {who:8} {figures['seconds']:7.2f} s  {figures['cpu_seconds']:7.2f} s of"
                    f" cores  {figures['memory_mb']:7.0f} MB"
                )
            if n == 1:
                shutil.copy(folder / "minids.arpa", folder / "model.arpa")
        results["queries"] = queries(
            folder / "model.arpa", arguments.heldout, arguments.peers, arguments.rounds
        )
    for name, speed in results["queries"]["words_per_second"].items():
        print(f"{name:50} {speed / 1e6:7.2f} M words/s")
    save(arguments.json, results)


if __name__ == "__main__":
    main()
