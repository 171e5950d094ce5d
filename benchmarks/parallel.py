"""Training in several processes: a batch's utterances distributed (§3.1), or its frames split in two (§3.2).

    pip install '.[mpi]'
    python -m benchmarks.parallel

`epochs` times `minids train`, from the recordings to the weights, on the speech of a manifest or ten minutes
of tones. `steps` times one batch of equal lengths, from its frames to updated weights. Every turn is a job of
its own, because waiting ranks spin.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.linalg import norm

from benchmarks.machine import (
    PAUSE,
    best_milliseconds,
    cores,
    headline,
    machine,
    milliseconds,
    save,
    set_threads,
)
from benchmarks.scaling import SETTINGS, tones
from benchmarks.training_step import GRADIENT, LOSS, UPDATE, OurStep, Problem
from minids import DeepSpeech
from minids.data.batches import Batch
from minids.data.manifest import read_manifest, write_manifest
from minids.training.parallel import ProcessGroup, TimeSplit
from minids.training.settings import read_settings
from minids.training.step import step
from minids.training.trainer import Trainer
from minids.weights import load_model

ONE_PROCESS = {"1 process x 1 thread": (1, 1), "1 process x 2 threads": (1, 2)}  # processes, threads of each
SPLIT, SHARED = "2 ranks x 1, frames split", "2 ranks x 1, utterances distributed"
FORMS = ONE_PROCESS | {SPLIT: (2, 1), SHARED: (2, 1)}
WEIGHTS = 1e-2  # relative to the change in training; float32, and ranks add in another order


# The jobs of each rank; rank 0 prints the result


def epochs(ranks: ProcessGroup, settings: str, run: str) -> dict:
    """Train for two epochs: seconds and frames per second of the second one."""
    trainer = Trainer(read_settings(Path(settings)), Path(run), ranks=ranks)
    trainer.run()
    row = trainer.state.rows[1]
    return {"seconds": row["seconds"], "frames_per_second": row["frames_per_second"]}


def steps(ranks: ProcessGroup, form: str, problem: dict, n: int) -> dict:
    """Differences of loss and gradient from those of one process, and the seconds of n steps after one."""
    p = Problem(**problem)
    serial, ours = OurStep(p), OurStep(p)
    frames, *rest = arrays = p.draw()
    expected = serial.loss_and_grad(*arrays)
    network, batch, group = ours.model, Batch([], *arrays), ProcessGroup()
    if form == SPLIT:
        network = TimeSplit(ours.model, ranks)
    elif form == SHARED:
        local, group = slice(ranks.rank, None, ranks.size), ranks
        batch = Batch([], np.ascontiguousarray(frames[:, local]), *(array[local] for array in rest))

    def run() -> float:
        """The sum of the losses of this rank's utterances."""
        return float(step(network, ours.velocity, batch, None, *UPDATE, group)[0].sum())

    loss, gradient = float(group.allreduce_sum(np.array(run()))), serial.model.flat_grads
    differences = (
        abs(loss - expected) / expected,
        float(norm(ours.model.flat_grads - gradient) / norm(gradient)),
    )
    seconds = []
    for _ in range(n + 1):
        ranks.allgather(None)  # a barrier
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return {"differences": differences, "seconds": seconds[1:]}


# The turns


def call(ranks: int, threads: int, *job) -> dict:
    """Run a job, a function's name and its arguments, on several ranks: the result of rank 0."""
    command = [sys.executable]
    if ranks > 1:
        launch = [mpiexec(), "-n", str(ranks)]
        launch += ["--oversubscribe"] * (ranks > cores()) + ["--allow-run-as-root"] * (os.geteuid() == 0)
        command = [*launch, *command, "-m", "mpi4py"]  # which ends all ranks when one fails
    command += ["-m", "benchmarks.parallel", "--job", json.dumps(job)]
    set_threads(threads)
    time.sleep(PAUSE)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{job[0]} on {ranks} ranks: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def mpiexec() -> str:
    """The mpiexec of this interpreter's environment, or of the machine. Ends the program if there is none."""
    from importlib.util import find_spec

    found = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if not (found and find_spec("mpi4py")):
        raise SystemExit("several ranks need MPI; pip install '.[mpi]'")
    return found


def time_training(counts: list[int], manifest: str | None, hidden: int, batch: int, n: int) -> dict:
    """Time each form of training, in turns."""
    several = {f"{i} ranks x 1{', oversubscribed' * (i > cores())}": (i, 1) for i in counts}
    forms = ONE_PROCESS | several
    figures: dict[str, dict[str, list]] = {form: {"frames_per_second": [], "seconds": []} for form in forms}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        utterances = read_manifest(manifest) if manifest else tones(folder)
        write_manifest(folder / "1.jsonl", utterances)
        write_manifest(folder / "dev.jsonl", utterances[:16])
        settings = folder / "settings.toml"
        settings.write_text(SETTINGS.format(times=1, hidden=hidden, epochs=2, batch=batch))
        differences = agreement(forms, settings)
        for i in range(n):
            for form, shape in forms.items():
                result = call(*shape, "epochs", str(settings), str(folder / f"{form}, {i}"))
                for name, value in result.items():
                    figures[form][name].append(value)
    hours = sum(u.duration for u in utterances) / 3600
    return {"hours": hours, "hidden": hidden, "batch": batch, "differences": differences, "forms": figures}


def agreement(forms: dict[str, tuple[int, int]], settings: Path) -> dict[str, float]:
    """The difference of each form's weights from the first's, relative to the change in training."""
    models = {}
    for form, shape in forms.items():
        run = settings.parent / form
        call(*shape, "epochs", str(settings), str(run))
        models[form] = load_model(run / "last.safetensors").model
    first = next(iter(models.values()))
    change = norm(first.flat_params - DeepSpeech(first.settings).flat_params)
    differences = {
        form: float(norm(model.flat_params - first.flat_params) / change) for form, model in models.items()
    }
    for form, difference in differences.items():
        if not difference < WEIGHTS:
            raise SystemExit(f"{form} trains other weights: {difference:.1e} apart")
    return differences


def time_steps(problem: Problem, n: int, calls: int = 3) -> dict:
    """Time each form of a step, in turns."""
    differences: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    for i in range(-1, n):
        for form, (ranks, threads) in FORMS.items():
            result = call(ranks, threads, "steps", form, asdict(problem), calls)
            if i >= 0:
                seconds[form].append(statistics.median(result["seconds"]))
                continue
            differences[form] = loss, gradient = result["differences"]
            if not (loss < LOSS and gradient < GRADIENT):
                raise SystemExit(f"{form} is another step: loss {loss:.1e}, gradient {gradient:.1e} apart")
    ms = {form: milliseconds(values) for form, values in seconds.items()}
    return {**asdict(problem), "ms": ms, "differences": differences, "seconds": seconds}


def show_training(result: dict) -> None:
    print(f"\ntraining, {result['hours']:.2f} h, H {result['hidden']}, batches of {result['batch']}")
    print(f"{'':32}{'frames/s':>10}{'best':>9}{'x':>7}{'weights differ':>16}")
    speeds = {form: figures["frames_per_second"] for form, figures in result["forms"].items()}
    alone = statistics.median(next(iter(speeds.values())))
    for form, speed in speeds.items():
        middle = statistics.median(speed)
        cells = f"{middle:>10.0f}{max(speed):>9.0f}{middle / alone:>7.2f}{result['differences'][form]:>16.0e}"
        print(f"{form:32}{cells}", flush=True)


def show_steps(result: dict) -> None:
    print(f"\na step, {result['inputs']} inputs, H {result['hidden']}")
    print(f"{'':32}{'ms':>10}{'best':>9}{'x':>7}{'gradient differs':>16}")
    alone = next(iter(result["ms"].values()))
    for form, ms in result["ms"].items():
        cells = f"{ms:>10.1f}{best_milliseconds(result['seconds'][form]):>9.1f}{alone / ms:>7.2f}"
        print(f"{form:32}{cells}{result['differences'][form][1]:>16.0e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manifest", help="speech to train on  [tones]")
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4], help="with one thread each")
    parser.add_argument("--train-hidden", type=int, default=256)
    parser.add_argument("--train-batch", type=int, default=32, help="utterances of all ranks together")
    parser.add_argument("--inputs", type=int, default=1539, help="19 x 81, those of §5.1")
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--labels", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="keep the results, with machine and versions")
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        name, *arguments = options.job
        ranks = ProcessGroup.world()
        result = {"epochs": epochs, "steps": steps}[name](ranks, *arguments)
        if ranks.is_main:
            print(json.dumps(result))
        return
    version = subprocess.run([mpiexec(), "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    print(f"{headline(machine())}; {version}", flush=True)
    o = options
    training = time_training(o.ranks, o.manifest, o.train_hidden, o.train_batch, o.rounds)
    show_training(training)
    results = []
    for hidden in o.hidden:
        problem = Problem(o.inputs, hidden, o.batch, o.frames, o.labels)
        results.append(time_steps(problem, o.rounds))
        show_steps(results[-1])
        save(o.json, {"mpi": version, "training": training, "steps": results})


if __name__ == "__main__":
    main()
