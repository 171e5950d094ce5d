"""All that only a GPU can tell, in one go: tests, proofs, sanitizer, each operation's time, a step, recipes.

    python -m benchmarks.gpu --json benchmarks/results/gpu.json
    MINIDS_DATA=~/data python -m benchmarks.gpu --recipes an4 libri5 --json benchmarks/results/gpu.json

It ends in a table: each operation beside its floor (what memory or arithmetic alone would take) and beside
PyTorch on the same GPU, where that is installed; and in the bars that are met or missed. An operation is
timed after it was found to be right. A part that fails is named, and the others go on.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.gpu_kernels import Case, Size, cases, median_ms, seconds, wrong
from benchmarks.machine import machine, save
from minids import ops
from minids.ops import driver

SANITIZED = (
    "from minids.gradcheck import check_backend; print(max(c.error for c in check_backend('cuda', 64)))"
)
CORES = {7: 64, 8: 128, 9: 128}  # float32 units of a multiprocessor, by the first digit of the capability


def gpu() -> dict:
    """The GPU in words and numbers: name, driver, versions; its peaks, computed and measured."""
    from numba import cuda

    device = cuda.get_current_device()
    capability = device.compute_capability
    units = device.MULTIPROCESSOR_COUNT * CORES.get(capability[0], 128)
    if capability == (8, 0):
        units //= 2
    ask = [
        "nvidia-smi",
        "--query-gpu=name,driver_version,memory.total,clocks.max.sm",
        "--format=csv,noheader",
    ]
    told = subprocess.run(ask, capture_output=True, text=True).stdout.strip().splitlines()[0].split(", ")
    name, version, memory, clock = told
    facts = {"gpu": name, "driver": version, "memory": memory, "clock": clock, "capability": capability}
    facts["flops"] = 2e6 * units * float(clock.split()[0])
    facts["bandwidth"] = bandwidth()
    for package in ("numba_cuda", "torch"):
        if importlib.util.find_spec(package):
            facts[package] = importlib.import_module(package).__version__
    return facts


def bandwidth() -> float:
    """Bytes a second of a copy from memory to memory, reading and writing counted."""
    arrays = ops.load("cuda").arrays
    a, b = arrays.empty((1 << 28,), np.float32), arrays.empty((1 << 28,), np.float32)
    return 2 * a.nbytes / (median_ms(seconds(lambda: b.copy_to_device(a), arrays.synchronize)) / 1e3)


def tests() -> dict:
    """Every test of the GPU's code, on the GPU."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        *sorted(str(p) for p in Path("tests").glob("test_cuda_*.py")),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    return {"passed": done.returncode == 0, "summary": done.stdout.strip().splitlines()[-12:]}


def proofs() -> dict:
    """`minids check --backend cuda`."""
    command = [sys.executable, "-m", "minids", "check", "--backend", "cuda", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {"passed": done.returncode == 0, "checks": rows, "said": done.stderr.strip()[-500:]}


def sanitizer() -> dict:
    """compute-sanitizer over a small network: memory, and races in shared memory."""
    program = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    if not Path(program).exists():
        return {"said": "compute-sanitizer is not installed"}
    result: dict = {"passed": True}
    for tool in ("memcheck", "racecheck"):
        command = [program, "--tool", tool, "--error-exitcode", "9", sys.executable, "-c", SANITIZED]
        done = subprocess.run(command, capture_output=True, text=True)
        result[tool] = (done.stdout + done.stderr).strip().splitlines()[-5:]
        result["passed"] = result["passed"] and done.returncode == 0
    return result


def operations(size: Size, facts: dict, peers) -> list[dict]:
    """Every case: its error, its time, its floor, PyTorch's time."""
    return [one(case, size, facts, peers) for case in cases(size)]


def one(case: Case, size: Size, facts: dict, peers) -> dict:
    from minids.ops.cuda import birnn, matmul

    synchronize = ops.load("cuda").arrays.synchronize
    floor = 1e3 * max(case.bytes / facts["bandwidth"], case.flops / facts["flops"])
    row: dict = {"name": case.name, "floor_ms": floor}
    try:
        matmul.use(case.gemm)
        birnn.use(case.way)
        row["error"] = wrong(case)
        if not row["error"] <= case.tolerance:
            raise ArithmeticError(f"{case.name} is wrong by {row['error']:.1e}")
        row["ms"] = median_ms(seconds(case.ours, synchronize))
        row["torch_ms"] = peers.ms(case.peer) if peers and case.peer else None
        if case.name.startswith("recurrence"):
            row["us_a_direction_step"] = 1e3 * row["ms"] / (2 * size.T)
    except Exception as error:  # it does not fit on this GPU, or is wrong, or broken
        row["failed"] = f"{type(error).__name__}: {error}"
    finally:
        matmul.use("fp32")
        birnn.use(None)
    return row


def steps(size: Size, facts: dict, peers) -> list[dict]:
    """The whole training step, from the frames in the host's memory to the updated weights."""
    from minids.batches import Batch
    from minids.model import DeepSpeech
    from minids.ops.cuda import matmul
    from minids.train import step

    grid, batch = ops.load("cuda"), size.draw()
    model = DeepSpeech(size.settings(), 0, "cuda")
    velocity = grid.arrays.from_host(np.zeros(model.flat_params.shape, np.float32))
    weights = {name: grid.arrays.to_host(value) for name, value in model.params.items()}
    flops = (
        2.0
        * size.T
        * size.B
        * sum(w.size * (2 if name == "W1" else 3) for name, w in weights.items() if name[0] == "W")
    )
    floor = 1e3 * flops / facts["flops"]
    rows, losses = [], None
    for gemm in ("fp32", "tf32", "cublas"):
        row: dict = {"name": f"step, {gemm}", "floor_ms": floor}
        try:
            matmul.use(gemm)
            losses = model.learn(*batch).sum() if losses is None else losses
            once = Batch(list(range(size.B)), *batch)
            taken = seconds(
                lambda once=once: step(model, velocity, once, None, 1e-9, 0.9, 1e9), grid.arrays.synchronize
            )
            row["ms"] = median_ms(taken)
        except Exception as error:
            row["failed"] = f"{type(error).__name__}: {error}"
        finally:
            matmul.use("fp32")
        rows.append(row)
    return rows + (their_steps(size, weights, batch, float(losses), floor) if peers else [])


def their_steps(size: Size, weights: dict, batch: tuple, losses: float, floor: float) -> list[dict]:
    """PyTorch's: "fn" with our clip, "rnn" through cuDNN, which has none."""
    import torch

    from benchmarks.torch_forms import TorchStep, tensors

    rows = []
    for form in ("fn", "rnn"):
        with torch.device("cuda"):
            shape = (size.T, size.B, size.F)
            theirs = TorchStep(form, dict(weights), shape, size.C, 1e-9, 0.9, 1e9)
        frames, lengths, labels, label_lengths = tensors(*batch)
        given = frames, lengths, labels.cuda(), label_lengths
        apart = abs(theirs.learn(*given) / losses - 1)
        taken = seconds(lambda theirs=theirs, given=given: theirs(*given), torch.cuda.synchronize)
        rows.append(
            {"name": f"step, torch {form}", "floor_ms": floor, "ms": median_ms(taken), "loss_apart": apart}
        )
    return rows


def recipe(name: str) -> dict:
    """`minids train examples/NAME.toml --backend cuda`: the best epoch's errors, and minutes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "minids", "train", f"examples/{name}.toml", "--backend", "cuda"]
        done = subprocess.run(
            [*command, "--run", f"{folder}/run", "--json"], stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            return {"name": name, "failed": f"exit code {done.returncode}"}
        rows = [json.loads(line) for line in Path(folder, "run", "metrics.jsonl").read_text().splitlines()]
        return {"name": name, "minutes": sum(row["seconds"] for row in rows) / 60, **json.loads(done.stdout)}


def bars(results: dict) -> list[tuple[str, bool | None]]:
    """What was asked for, and whether it is so; None where it could not be measured."""
    rows = {
        row["name"]: row for row in results.get("operations", []) + results.get("steps", []) if "ms" in row
    }

    def ms(name: str) -> float:
        return rows[name]["ms"]

    asked: list[tuple[str, Callable[[], bool]]] = [
        (
            "tests, proofs and sanitizer",
            lambda: all(results[part]["passed"] for part in ("tests", "proofs", "sanitizer")),
        ),
        ("a layer >= 60 % of cuBLAS", lambda: ms("layer, cublas") >= 0.6 * ms("layer, fp32")),
        (
            "recurrence <= 12 us a direction-step",
            lambda: rows["recurrence, persistent"]["us_a_direction_step"] <= 12,
        ),
        ("CTC <= 0.5 ms", lambda: ms("ctc") <= 0.5),
        ("step <= 2 x the fp32 floor", lambda: ms("step, fp32") <= 2 * rows["step, fp32"]["floor_ms"]),
        ("step faster than PyTorch's with our clip", lambda: ms("step, fp32") < ms("step, torch fn")),
    ]
    told: list[tuple[str, bool | None]] = []
    for name, met in asked:
        try:
            told.append((name, met()))
        except KeyError:
            told.append((name, None))
    return told


def table(results: dict) -> str:
    """Every operation and step, then the bars."""
    lines = [
        f"{'':32}{'ms':>10}{'floor ms':>10}{'/ floor':>9}{'torch ms':>10}{'torch / ours':>13}{'error':>9}"
    ]
    for row in results.get("operations", []) + results.get("steps", []):
        if "ms" not in row:
            lines.append(f"{row['name']:32}{row.get('failed', '')}")
            continue
        theirs = row.get("torch_ms")
        cells = [f"{row['ms']:10.3f}{row['floor_ms']:10.3f}{row['ms'] / row['floor_ms']:9.1f}"]
        cells += [f"{theirs:10.3f}{theirs / row['ms']:13.2f}" if theirs else " " * 23]
        cells += [f"{row['error']:9.0e}" if "error" in row else ""]
        lines.append(f"{row['name']:32}" + "".join(cells))
    lines += [
        f"{r['name']}: WER {r['wer']:.1%}, {r['minutes']:.1f} min"
        for r in results.get("recipes", [])
        if "wer" in r
    ]
    words = {True: "met", False: "MISSED", None: "not measured"}
    return "\n".join(lines + [f"{name:45} {words[met]}" for name, met in bars(results)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", help="keep the results, with GPU, driver and versions")
    parser.add_argument("--recipes", nargs="*", default=[], help="train these of examples/, too: an4 libri5")
    parser.add_argument("--quick", action="store_true", help="the times alone: no tests, proofs, sanitizer")
    options = parser.parse_args()
    if driver.simulated() or not driver.found():
        raise SystemExit("there is no NVIDIA GPU here; nothing of this can be timed in the simulator")
    os.environ.pop("MINIDS_SIM", None)
    peers = None
    results: dict = {"gpu": gpu(), "machine": machine()}
    print(results["gpu"], flush=True)
    size = Size()
    if importlib.util.find_spec("torch"):
        from benchmarks.gpu_peers import Peers

        peers = Peers(size)
    parts: dict[str, Callable[[], object]] = {"tests": tests, "proofs": proofs, "sanitizer": sanitizer}
    if options.quick:
        parts = {}
    parts["operations"] = lambda: operations(size, results["gpu"], peers)
    parts["steps"] = lambda: steps(size, results["gpu"], peers)
    parts["recipes"] = lambda: [recipe(name) for name in options.recipes]
    for name, part in parts.items():
        try:
            results[name] = part()
        except Exception:
            results.setdefault("broken", {})[name] = traceback.format_exc(limit=5)
            print(f"{name} broke off:\n{results['broken'][name]}", flush=True)
        save(options.json, results)
    print(table(results))


if __name__ == "__main__":
    main()
