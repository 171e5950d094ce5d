"""Everything that needs a GPU, in one command: tests, checks, timings, a training step, recipes.

    python -m benchmarks.gpu --json benchmarks/results/gpu.json
    MINIDS_DATA=~/data python -m benchmarks.gpu --recipes an4 libri5 --json benchmarks/results/gpu.json

At the end it prints a table: the time of each operation, its floor (the time that memory or arithmetic alone
would take) and PyTorch's time on the same GPU, if PyTorch is installed; then which goals are met. An
operation is timed only if its result is right. Each runs in a process of its own (`--only NAME`), because
after an illegal address a process cannot use the GPU any more, and a broken barrier never returns. What fails
or takes too long is reported, and the others continue. Results are saved after every row.
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

from benchmarks.gpu_checks import sanitized, stress
from benchmarks.gpu_kernels import (
    GEMMS,
    NAMES,
    TORCH_RNN,
    Case,
    Size,
    cases,
    error,
    ms,
)
from benchmarks.gpu_process import MINUTE, PYTHON, json_of, run
from benchmarks.gpu_table import CHECKS, table, with_floor
from benchmarks.machine import save
from minids import ops
from minids.ops import driver

STEPS = [*(f"step, {gemm}" for gemm in GEMMS), "step, torch fn", "step, torch rnn"]
CORES = {7: 64, 8: 128, 9: 128}  # float32 units per multiprocessor, by the major compute capability
TORCH_KEYS = {"torch_ms": "torch_ms", "torch_failed": "failed"}  # in our row: in PyTorch's row


def in_process(name: str, limit: float = 10 * MINUTE) -> dict:
    """`only(name)` in a process of its own, or how that process failed."""
    return json_of([*PYTHON, "benchmarks.gpu", "--only", name], name, limit)


def only(name: str, size: Size) -> dict:
    """The result of one row."""
    if name.startswith("torch "):
        return {"torch_ms": peer_ms(name.removeprefix("torch "), size)}
    if name in NAMES:
        return measured(next(case for case in cases(size) if case.name == name), size)
    if name in STEPS:
        return (torch_step if "torch" in name else training_step)(name, size) | {"flops": step_flops(size)}
    others: dict[str, Callable[[], dict]] = {
        "gpu": gpu,
        "sanitized": sanitized,
        "stress": lambda: stress(Size(T=4 * size.T)),
    }
    return others[name]()


def gpu() -> dict:
    """The GPU: its name, driver and versions, and its peak performance, computed and measured."""
    facts: dict = {}
    for part in (versions, peak, bandwidth):
        try:
            facts |= part(facts)
        except Exception as error:
            facts[f"{part.__name__} failed"] = f"{type(error).__name__}: {error}"
    return facts


def versions(facts: dict) -> dict:
    names = [name for name in ("numba_cuda", "torch") if importlib.util.find_spec(name)]
    return {"capability": driver.capability()} | {n: importlib.import_module(n).__version__ for n in names}


def peak(facts: dict) -> dict:
    """Float32 operations per second, from the clock that nvidia-smi reports."""
    from numba import cuda

    fields = "name,driver_version,memory.total,clocks.max.sm"
    _, output, _ = run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"], MINUTE)
    reported = dict(
        zip(("gpu", "driver", "memory", "clock"), output.splitlines()[0].split(", "), strict=True)
    )
    facts |= reported
    capability = driver.capability()
    units = cuda.get_current_device().MULTIPROCESSOR_COUNT * CORES.get(capability[0], 128)
    if capability == (8, 0):
        units //= 2
    return {"flops": 2e6 * units * float(reported["clock"].split()[0])}


def bandwidth(facts: dict) -> dict:
    """Bytes per second of a copy within GPU memory, counting reads and writes."""
    arrays = ops.load("cuda").arrays
    a, b = arrays.empty((1 << 28,), np.float32), arrays.empty((1 << 28,), np.float32)
    return {"bandwidth": 2 * a.nbytes / (ms(lambda: b.copy_to_device(a)) / 1e3)}


def tests() -> dict:
    """The tests of the backend, on the GPU."""
    code, output, errors = run([*PYTHON, "pytest", "-q", "tests/ops/cuda"], 30 * MINUTE)
    return {"passed": code == 0, "summary": (output + errors).strip().splitlines()[-12:]}


def check() -> dict:
    """`minids check --backend cuda`."""
    code, output, errors = run([*PYTHON, "minids", "check", "--backend", "cuda", "--json"], 10 * MINUTE)
    rows = [json.loads(line) for line in output.splitlines()]
    return {"passed": code == 0, "checks": rows, "stderr": errors.strip()[-500:]}


def sanitizer() -> dict:
    """compute-sanitizer on a small network: memory errors, and races in shared memory."""
    program = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    if not Path(program).exists():
        return {"passed": False, "failed": "compute-sanitizer is not installed"}
    result: dict = {"passed": True}
    for tool in ("memcheck", "racecheck"):
        command = [program, "--tool", tool, "--report-api-errors", "no", "--error-exitcode", "9"]
        try:
            code, output, errors = run(
                [*command, *PYTHON, "benchmarks.gpu", "--only", "sanitized"], 20 * MINUTE
            )
            result[tool] = (output + errors).strip().splitlines()[-8:]
        except TimeoutError as error:
            code, result[tool] = -1, [str(error)]
        result["passed"] = result["passed"] and code == 0
    return result


def measured(case: Case, size: Size) -> dict:
    """The error and the time of a case."""
    row: dict = {"name": case.name, "bytes": case.bytes, "flops": case.flops, "peer": case.peer}
    try:
        row["error"] = error(case)
        if not row["error"] <= case.tolerance:
            raise ArithmeticError(f"{case.name} has an error of {row['error']:.1e}")
        row["ms"] = ms(case.compute)
        if case.recurrence and ("loop alone" in case.name or "backward" not in case.name):
            row["us_per_direction_step"] = 1e3 * row["ms"] / (2 * size.T)
    except Exception as failure:  # it does not fit on this GPU, or is wrong, or broken
        return row | {"failed": f"{type(failure).__name__}: {failure}"}
    return row


def with_torch(row: dict) -> dict:
    """A row with PyTorch's time, from another process, whose failure does not affect our row."""
    if not row.get("peer") or "ms" not in row:
        return row
    peer = in_process(f"torch {row['peer']}")
    return row | {key: peer[name] for key, name in TORCH_KEYS.items() if name in peer}


def peer_ms(name: str, size: Size) -> float:
    from benchmarks.gpu_peers import Peers

    return Peers(size).ms(name)


def torch_step(name: str, size: Size) -> dict:
    from benchmarks.gpu_peers import step

    return step(name.removeprefix("step, torch "), size)


def training_step(name: str, size: Size) -> dict:
    """The whole training step, from frames in host memory to updated weights."""
    from minids.data.batches import Batch
    from minids.model import DeepSpeech
    from minids.training.step import step

    backend, batch = ops.load("cuda", gemm=name.removeprefix("step, ")), size.draw()
    model = DeepSpeech(size.settings(), 0, backend)
    velocity = backend.arrays.from_host(np.zeros(model.flat_params.shape, np.float32))
    once = Batch(list(range(size.B)), *batch)
    loss = float(model.loss_and_grad(*batch).sum())
    return {"ms": ms(lambda: step(model, velocity, once, None, 1e-9, 0.9, 1e9)), "loss": loss}


def step_flops(size: Size) -> float:
    """One product forward and two backward, for each weight; the input has no gradient."""
    shapes = size.settings().shapes().items()
    weights = sum(math.prod(s) * (2 if name == "W1" else 3) for name, s in shapes if name[0] == "W")
    return 2.0 * size.T * size.B * weights


def recipe(name: str) -> dict:
    """`minids train examples/NAME.toml --backend cuda`: the errors of the best epoch, and the minutes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*PYTHON, "minids", "train", f"examples/{name}.toml", "--backend", "cuda"]
        try:
            code, output, _ = run(
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
    zip(CHECKS, (tests, check, sanitizer, lambda: {"passed": False, **in_process("stress")}), strict=True)
)


def run_part(part: Callable[[], dict]) -> dict:
    """The result of a part, or its error."""
    try:
        return part()
    except Exception as error:
        return {"passed": False, "failed": f"{type(error).__name__}: {error}"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", help="save the results, with GPU, driver and versions")
    recipes = sorted(path.stem for path in Path("examples").glob("*.toml"))
    parser.add_argument("--recipes", nargs="*", default=[], choices=recipes, help="also train these")
    parser.add_argument("--quick", action="store_true", help="only the timings: no tests and checks")
    parser.add_argument("--only", metavar="NAME", help="one row in this process, as a line of JSON")
    options = parser.parse_args()
    if driver.simulated() or not driver.has_gpu():
        raise SystemExit("there is no NVIDIA GPU here, and the simulator is not for timing")
    os.environ.pop("MINIDS_SIM", None)
    if options.only:
        print(json.dumps(only(options.only, Size())))
        return
    results: dict = {"gpu": in_process("gpu"), "operations": [], "steps": [], "recipes": []}
    print(results["gpu"], flush=True)
    save(options.json, results)
    for name, part in () if options.quick else PARTS.items():
        results[name] = run_part(part)
        print(f"{name}: {'passed' if results[name].get('passed') else results[name]}", flush=True)
        save(options.json, results)
    torch = importlib.util.find_spec("torch")
    for part, names in (("operations", [*NAMES, *TORCH_RNN]), ("steps", STEPS)):
        for name in names:
            if torch or "torch" not in name:
                row = with_torch(in_process(name)) if torch else in_process(name)
                results[part].append(with_floor(row, results["gpu"], results["steps"]))
                print(name, results[part][-1].get("failed", "done"), flush=True)
                save(options.json, results)
    for name in options.recipes:
        results["recipes"].append(recipe(name))
        save(options.json, results)
    print(table(results))


if __name__ == "__main__":
    main()
