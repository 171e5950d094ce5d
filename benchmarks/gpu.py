"""All that only a GPU can tell, in one go: tests, proofs, sanitizer, each operation's time, a step, recipes.

    python -m benchmarks.gpu --json benchmarks/results/gpu.json
    MINIDS_DATA=~/data python -m benchmarks.gpu --recipes an4 libri5 --json benchmarks/results/gpu.json

It ends in a table: each operation beside its floor (what memory or arithmetic alone would take) and beside
PyTorch on the same GPU, where that is installed; and in the bars that are met or missed. An operation is
timed after it was found to be right. Each runs in a process of its own (`--only NAME`), for an illegal
address spoils all that follows in its process, and a barrier that waits for nobody waits forever: what fails,
or takes too long, is named, and the others go on. Results are kept after every row.
"""

import argparse
import importlib.util
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.gpu_kernels import (
    GEMMS,
    NAMES,
    RNN,
    Case,
    Size,
    cases,
    ms,
    wrong,
)
from benchmarks.gpu_process import MINUTE, PYTHON, ran, row_of
from benchmarks.gpu_proofs import sanitized, stress
from benchmarks.gpu_table import PROVED, placed, table
from benchmarks.machine import save
from minids import ops
from minids.ops import driver

STEPS = [*(f"step, {gemm}" for gemm in GEMMS), "step, torch fn", "step, torch rnn"]
CORES = {7: 64, 8: 128, 9: 128}  # float32 units of a multiprocessor, by the first digit of the capability
TOLD = {"torch_ms": "torch_ms", "torch_failed": "failed"}  # in our row, by PyTorch's


def apart(name: str, limit: float = 10 * MINUTE) -> dict:
    """`only(name)` from a process of its own, or how that failed."""
    return row_of([*PYTHON, "benchmarks.gpu", "--only", name], name, limit)


def only(name: str, size: Size) -> dict:
    """What a process of its own computes."""
    if name.startswith("torch "):
        return {"torch_ms": peer_ms(name.removeprefix("torch "), size)}
    if name in NAMES:
        return one(next(case for case in cases(size) if case.name == name), size)
    if name in STEPS:
        return (their_step if "torch" in name else our_step)(name, size) | {"flops": step_flops(size)}
    others: dict[str, Callable[[], dict]] = {
        "gpu": gpu,
        "sanitized": sanitized,
        "stress": lambda: stress(Size(T=4 * size.T)),
    }
    return others[name]()


def gpu() -> dict:
    """The GPU in words and numbers: name, driver, versions; its peaks, computed and measured."""
    facts: dict = {}
    for part in (versions, peak, bandwidth):
        try:
            facts |= part(facts)
        except Exception as error:
            facts[f"{part.__name__} failed"] = f"{type(error).__name__}: {error}"
    return facts


def versions(facts: dict) -> dict:
    found = [name for name in ("numba_cuda", "torch") if importlib.util.find_spec(name)]
    return {"capability": driver.capability()} | {n: importlib.import_module(n).__version__ for n in found}


def peak(facts: dict) -> dict:
    """Float32 operations a second, from the clock that nvidia-smi tells."""
    from numba import cuda

    fields = "name,driver_version,memory.total,clocks.max.sm"
    _, output, _ = ran(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"], MINUTE)
    told = dict(zip(("gpu", "driver", "memory", "clock"), output.splitlines()[0].split(", "), strict=True))
    facts |= told
    capability = driver.capability()
    units = cuda.get_current_device().MULTIPROCESSOR_COUNT * CORES.get(capability[0], 128)
    if capability == (8, 0):
        units //= 2
    return {"flops": 2e6 * units * float(told["clock"].split()[0])}


def bandwidth(facts: dict) -> dict:
    """Bytes a second of a copy from memory to memory, reading and writing counted."""
    arrays = ops.load("cuda").arrays
    a, b = arrays.empty((1 << 28,), np.float32), arrays.empty((1 << 28,), np.float32)
    return {"bandwidth": 2 * a.nbytes / (ms(lambda: b.copy_to_device(a)) / 1e3)}


def tests() -> dict:
    """Every test of the GPU's code, on the GPU."""
    files = sorted(str(p) for p in Path("tests").glob("test_cuda_*.py"))
    code, output, errors = ran([*PYTHON, "pytest", "-q", *files], 30 * MINUTE)
    return {"passed": code == 0, "summary": (output + errors).strip().splitlines()[-12:]}


def proofs() -> dict:
    """`minids check --backend cuda`."""
    code, output, errors = ran([*PYTHON, "minids", "check", "--backend", "cuda", "--json"], 10 * MINUTE)
    rows = [json.loads(line) for line in output.splitlines()]
    return {"passed": code == 0, "checks": rows, "said": errors.strip()[-500:]}


def sanitizer() -> dict:
    """compute-sanitizer over a small network: memory, and races in shared memory."""
    program = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    if not Path(program).exists():
        return {"said": "compute-sanitizer is not installed"}
    result: dict = {"passed": True}
    for tool in ("memcheck", "racecheck"):
        command = [program, "--tool", tool, "--report-api-errors", "no", "--error-exitcode", "9"]
        try:
            code, output, errors = ran(
                [*command, *PYTHON, "benchmarks.gpu", "--only", "sanitized"], 20 * MINUTE
            )
            result[tool] = (output + errors).strip().splitlines()[-8:]
        except TimeoutError as error:
            code, result[tool] = -1, [str(error)]
        result["passed"] = result["passed"] and code == 0
    return result


def one(case: Case, size: Size) -> dict:
    """A case: its error, its time, and what PyTorch calls it."""
    from minids.ops.cuda import birnn, matmul

    row: dict = {"name": case.name, "bytes": case.bytes, "flops": case.flops, "peer": case.peer}
    try:
        matmul.use(case.gemm)
        birnn.use(case.way)
        row["error"] = wrong(case)
        if not row["error"] <= case.tolerance:
            raise ArithmeticError(f"{case.name} is wrong by {row['error']:.1e}")
        row["ms"] = ms(case.ours)
        if case.way and ("loop alone" in case.name or "backward" not in case.name):
            row["us_a_direction_step"] = 1e3 * row["ms"] / (2 * size.T)
    except Exception as error:  # it does not fit on this GPU, or is wrong, or broken
        return row | {"failed": f"{type(error).__name__}: {error}"}
    finally:
        matmul.use("fp32")
        birnn.use(None)
    return row


def beside(row: dict) -> dict:
    """A row with PyTorch's time for the same, from another process: its failure is not ours."""
    if not row.get("peer") or "ms" not in row:
        return row
    theirs = apart(f"torch {row['peer']}")
    return row | {key: theirs[name] for key, name in TOLD.items() if name in theirs}


def peer_ms(name: str, size: Size) -> float:
    from benchmarks.gpu_peers import Peers

    return Peers(size).ms(name)


def their_step(name: str, size: Size) -> dict:
    from benchmarks.gpu_peers import step

    return step(name.removeprefix("step, torch "), size)


def our_step(name: str, size: Size) -> dict:
    """The whole training step, from the frames in the host's memory to the updated weights."""
    from minids.data.batches import Batch
    from minids.model import DeepSpeech
    from minids.ops.cuda import matmul
    from minids.training.step import step

    grid, batch = ops.load("cuda"), size.draw()
    model = DeepSpeech(size.settings(), 0, "cuda")
    velocity = grid.arrays.from_host(np.zeros(model.flat_params.shape, np.float32))
    once = Batch(list(range(size.B)), *batch)
    matmul.use(name.removeprefix("step, "))
    try:
        loss = float(model.loss_and_grad(*batch).sum())
        return {"ms": ms(lambda: step(model, velocity, once, None, 1e-9, 0.9, 1e9)), "loss": loss}
    finally:
        matmul.use("fp32")


def step_flops(size: Size) -> float:
    """Forward, and two products backward; the first layer's input has no gradient."""
    shapes = size.settings().shapes().items()
    weights = sum(math.prod(s) * (2 if name == "W1" else 3) for name, s in shapes if name[0] == "W")
    return 2.0 * size.T * size.B * weights


def recipe(name: str) -> dict:
    """`minids train examples/NAME.toml --backend cuda`: the best epoch's errors, and minutes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*PYTHON, "minids", "train", f"examples/{name}.toml", "--backend", "cuda"]
        try:
            code, output, _ = ran(
                [*command, "--run", f"{folder}/run", "--json"], 24 * 60 * MINUTE, stderr=None
            )
            if code:
                return {"name": name, "failed": f"exit code {code}"}
            metrics = Path(folder, "run", "metrics.jsonl").read_text().splitlines()
            minutes = sum(json.loads(line)["seconds"] for line in metrics) / 60
            return {"name": name, "minutes": minutes, **json.loads(output)}
        except Exception as error:
            return {"name": name, "failed": f"{type(error).__name__}: {error}"}


PARTS: dict[str, Callable[[], dict]] = dict(
    zip(PROVED, (tests, proofs, sanitizer, lambda: {"passed": False, **apart("stress")}), strict=True)
)


def guarded(part: Callable[[], dict]) -> dict:
    """What a part found; or, if it broke off, how."""
    try:
        return part()
    except Exception as error:
        return {"passed": False, "failed": f"{type(error).__name__}: {error}"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", help="keep the results, with GPU, driver and versions")
    recipes = sorted(path.stem for path in Path("examples").glob("*.toml"))
    parser.add_argument("--recipes", nargs="*", default=[], choices=recipes, help="train these, too")
    parser.add_argument("--quick", action="store_true", help="the times alone: no tests, proofs, sanitizer")
    parser.add_argument("--only", metavar="NAME", help="one row, here, as a line of JSON")
    options = parser.parse_args()
    if driver.simulated() or not driver.found():
        raise SystemExit("there is no NVIDIA GPU here; nothing of this can be timed in the simulator")
    os.environ.pop("MINIDS_SIM", None)
    if options.only:
        print(json.dumps(only(options.only, Size())))
        return
    results: dict = {"gpu": apart("gpu"), "operations": [], "steps": [], "recipes": []}
    print(results["gpu"], flush=True)
    save(options.json, results)
    for name, part in () if options.quick else PARTS.items():
        results[name] = guarded(part)
        print(f"{name}: {'passed' if results[name].get('passed') else results[name]}", flush=True)
        save(options.json, results)
    torch = importlib.util.find_spec("torch")
    for part, names in (("operations", [*NAMES, *RNN]), ("steps", STEPS)):
        for name in names:
            if torch or "torch" not in name:
                row = beside(apart(name)) if torch else apart(name)
                results[part].append(placed(row, results["gpu"], results["steps"]))
                print(name, results[part][-1].get("failed", "done"), flush=True)
                save(options.json, results)
    for name in options.recipes:
        results["recipes"].append(recipe(name))
        save(options.json, results)
    print(table(results))


if __name__ == "__main__":
    main()
