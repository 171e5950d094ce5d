"""Everything that needs a GPU, the most important first, in as many minutes as there are.

    pip install '.[cuda]' pytest nvidia-cublas torch     # cuBLAS and torch are for comparison
    MINIDS_DATA=~/data python -m benchmarks.gpu --minutes 12 --json benchmarks/results/gpu.json

The tests of the backend; checks; each operation against its floor (the time that memory or arithmetic alone
would take), cuBLAS and PyTorch; the whole training step, and PyTorch's; then recipes are trained while the
minutes last. At the end it prints a table and the goals. An operation is timed only if its result is right.
`python -m benchmarks.gpu recurrence step` computes only what has one of these words in its name.

One process computes all of it and sends each result to this one, which saves it at once and watches: after an
illegal address a process cannot use the GPU any more, and a barrier that waits in vain never returns. Then a
new process goes on with the next result.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks import gpu_parts
from benchmarks.gpu_parts import FIRST_TESTS, Clock, Plan, Row, Save
from benchmarks.gpu_table import table
from benchmarks.machine import save
from benchmarks.training_step import Problem
from minids._utils.errors import InputError, reason
from minids.ops import driver

# The share of the minutes after which nothing of a part begins, and the seconds until it must say something.
PARTS = (
    (gpu_parts.facts, 1.0, 60),
    (gpu_parts.tests, 0.4, 120),
    (gpu_parts.checks, 0.5, 90),
    (gpu_parts.kernels, 0.7, 90),
    (gpu_parts.steps, 0.75, 90),
    (gpu_parts.peers, 0.85, 60),
    (gpu_parts.recipes, 1.0, 600),
)
UNFINISHED = "not finished"
STARTING = 60  # seconds, of a process and of a part
OVERTIME = 30  # seconds after the minutes in which a row may end


def work(pipe: Connection, rows: dict[str, Row], plan: Plan) -> None:
    """Compute what is not in `rows`, and send each row when it begins and when it ends; at the end None."""
    for part, share, seconds in PARTS:
        for name, task in part(plan):
            if name in rows or (plan.words and not any(word in name for word in plan.words)):
                continue
            if plan.clock.left(share) <= 0:
                pipe.send((name, {"skipped": "no time was left"}, STARTING))
                continue

            def send(row: Row, name: str = name, seconds: float = seconds) -> None:
                limit = min(seconds, max(plan.clock.left(), 0) + OVERTIME)
                pipe.send((name, {**row, "failed": UNFINISHED}, limit))

            send({})
            start = time.monotonic()
            row = attempt(task, send)
            pipe.send((name, {**row, "seconds": time.monotonic() - start}, STARTING))
            if "failed" in row and not usable():
                return
    pipe.send(None)


def attempt(task: Callable[[Save], Row], send: Save) -> Row:
    """The row of a task, or how it failed; skipped is what this machine does not have."""
    known: Row = {}

    def save(row: Row) -> None:
        known.update(row)
        send(row)

    try:
        return task(save)
    except Exception as error:
        absent, of_gpu = (
            isinstance(error, InputError | ModuleNotFoundError),
            "CUDA_ERROR" in str(error.__cause__),
        )
        outcome = "skipped" if absent and not of_gpu else "failed"
        return {**known, outcome: f"{type(error).__name__}: {reason(error)}"}


def usable() -> bool:
    """Whether this process can still use the GPU."""
    from minids.ops.cuda import arrays

    try:
        arrays.synchronize()
    except Exception:
        return False
    return True


def supervise(plan: Plan, json: str | None, work: Callable = work) -> dict[str, Row]:
    """All rows. `work` computes them in another process, in a new one where the last cannot go on."""
    rows: dict[str, Row] = {}
    while True:
        before, context = len(rows), multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(sender, rows, plan))
        process.start()
        sender.close()
        try:
            if watch(receiver, process, rows, json):
                return rows
        finally:
            process.kill()
            process.join(10)  # the driver may block its end
        if len(rows) == before:
            raise SystemExit(f"a process ended with exit code {process.exitcode} before its first result")


def watch(receiver: Connection, process: BaseProcess, rows: dict[str, Row], json: str | None) -> bool:
    """Receive rows until there are no more (True), or until the process ends or is silent for too long."""
    name, seconds = "", float(STARTING)
    while True:
        try:
            message = receiver.recv() if receiver.poll(seconds) else f"nothing for {seconds:.0f} s"
        except EOFError:
            process.join(10)
            message = f"its process ended with exit code {process.exitcode}"
        if message is None:
            return True
        if isinstance(message, str):
            break
        name, rows[name], seconds = message
        report(name, rows, json)
    if rows.get(name, {}).get("failed") == UNFINISHED:
        rows[name]["failed"] = f"{UNFINISHED}: {message}"
        report(name, rows, json)
    return False


def report(name: str, rows: dict[str, Row], json: str | None) -> None:
    save(json, {"rows": rows})
    row = rows[name]
    if row.get("failed") != UNFINISHED:
        print(f"{name}: {row.get('failed') or row.get('skipped') or 'done'}"[:110], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="only rows with one of these in their name")
    parser.add_argument("--minutes", type=float, default=12.0, help="when no row begins any more  [12]")
    parser.add_argument("--json", metavar="FILE", help="save the results, with GPU, driver and versions")
    options = parser.parse_args()
    if not driver.has_gpu():
        raise SystemExit("there is no NVIDIA GPU here; minids check --backend cuda says why")
    for name in ("MINIDS_SIM", "NVIDIA_TF32_OVERRIDE"):  # which change what is timed
        os.environ.pop(name, None)
    tests = sorted(Path("tests/ops/cuda").glob("test_*.py"), key=lambda path: path.stem not in FIRST_TESTS)
    plan = Plan(
        Clock(time.monotonic(), options.minutes),
        Problem(inputs=19 * 81, hidden=2048, batch=32, frames=400, labels=100),
        tuple(tests),
        tuple(Path("examples", f"{name}.toml") for name in ("an4", "libri5")),
        tuple(options.words),
    )
    print(table(supervise(plan, options.json)))


if __name__ == "__main__":
    main()
