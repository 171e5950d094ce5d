"""Training on several processes: a batch's utterances shared (§3.1), and its frames split in two (§3.2).

    pip install '.[mpi]'
    python -m benchmarks.parallel

`epochs` are of `minids train`, from the recordings to the weights, with as many ranks as are named. The
speech is a manifest's, or ten minutes of tones. `steps` are of one batch of equal lengths, from its frames to
updated weights. Every turn is a job of its own, which mpiexec begins and ends, for ranks that wait spin.
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

from benchmarks.machine import PAUSE, cores, headline, hold_threads, least, machine, milliseconds, save
from benchmarks.scaling import SETTINGS, tones
from benchmarks.training_step import GRADIENT, LOSS, UPDATE, OurStep, Problem
from minids import DeepSpeech
from minids.data.batches import Batch
from minids.data.manifest import read_manifest, write_manifest
from minids.training.parallel import ProcessGroup, TimeSplit
from minids.training.settings import read_settings
from minids.training.step import step
from minids.training.trainer import Trainer
from minids.weights import load_weights

ONE_PROCESS = {
    "1 process x 1 thread": (1, 1),
    "1 process x 2 threads": (1, 2),
}  # processes, threads of each
SPLIT, SHARED = "2 ranks x 1, frames split", "2 ranks x 1, utterances shared"
FORMS = ONE_PROCESS | {SPLIT: (2, 1), SHARED: (2, 1)}
WEIGHTS = 1e-2  # as a share of the way they went; float32, and ranks add in another order


# What each rank does; rank 0 prints what it returns


def epochs(ranks: ProcessGroup, settings: str, run: str) -> dict:
    """Train for two epochs, of which the first warms up: seconds and frames a second of the second."""
    trainer = Trainer(read_settings(Path(settings)), Path(run), ranks=ranks)
    trainer.run()
    row = trainer.state.rows[1]
    return {"seconds": row["seconds"], "frames_per_second": row["frames_per_second"]}


def steps(ranks: ProcessGroup, form: str, problem: dict, n: int) -> dict:
    """How far loss and gradient are from those of one process, and the seconds of n steps after one."""
    given = Problem(**problem)
    serial, ours = OurStep(given), OurStep(given)
    frames, *rest = whole = given.draw()
    right = serial.loss_and_grad(*whole)
    learner, batch, sharing = ours.model, Batch([], *whole), ProcessGroup()
    if form == SPLIT:
        learner = TimeSplit(ours.model, ranks)
    elif form == SHARED:
        mine, sharing = slice(ranks.rank, None, ranks.size), ranks
        batch = Batch([], np.ascontiguousarray(frames[:, mine]), *(each[mine] for each in rest))

    def go() -> float:
        """The sum of the losses of this rank's utterances."""
        return float(step(learner, ours.velocity, batch, None, *UPDATE, sharing)[0].sum())

    loss, gradient = float(sharing.allreduce_sum(np.array(go()))), serial.model.flat_grads
    apart = abs(loss - right) / right, float(norm(ours.model.flat_grads - gradient) / norm(gradient))
    seconds = []
    for _ in range(n + 1):
        ranks.allgather("all are here")
        start = time.perf_counter()
        go()
        seconds.append(time.perf_counter() - start)
    return {"apart": apart, "seconds": seconds[1:]}


# The turns


def call(ranks: int, threads: int, *job) -> dict:
    """What the first of so many ranks says when the job, a name and its arguments, is done."""
    command = [sys.executable]
    if ranks > 1:
        launch = [mpiexec(), "-n", str(ranks)]
        launch += ["--oversubscribe"] * (ranks > cores()) + ["--allow-run-as-root"] * (os.geteuid() == 0)
        command = [*launch, *command, "-m", "mpi4py"]  # which ends all ranks when one fails
    command += ["-m", "benchmarks.parallel", "--job", json.dumps(job)]
    hold_threads(threads)
    time.sleep(PAUSE)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{job[0]} on {ranks} ranks: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def mpiexec() -> str:
    """That of this interpreter, or the machine's. Ends the program where there is none."""
    from importlib.util import find_spec

    found = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if not (found and find_spec("mpi4py")):
        raise SystemExit("several ranks need MPI; pip install '.[mpi]'")
    return found


def time_training(counts: list[int], manifest: str | None, hidden: int, batch: int, n: int) -> dict:
    """Each form of training in its turn."""
    many = {f"{i} ranks x 1{', oversubscribed' * (i > cores())}": (i, 1) for i in counts}
    forms = ONE_PROCESS | many
    found: dict[str, dict[str, list]] = {form: {"frames_per_second": [], "seconds": []} for form in forms}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        utterances = read_manifest(manifest) if manifest else tones(folder)
        write_manifest(folder / "1.jsonl", utterances)
        write_manifest(folder / "dev.jsonl", utterances[:16])
        settings = folder / "settings.toml"
        settings.write_text(SETTINGS.format(times=1, hidden=hidden, epochs=2, batch=batch))
        apart = agreement(forms, settings)
        for i in range(n):
            for form, shape in forms.items():
                said = call(*shape, "epochs", str(settings), str(folder / f"{form}, {i}"))
                for what, value in said.items():
                    found[form][what].append(value)
    hours = sum(u.duration for u in utterances) / 3600
    return {"hours": hours, "hidden": hidden, "batch": batch, "apart": apart, "forms": found}


def agreement(forms: dict[str, tuple[int, int]], settings: Path) -> dict[str, float]:
    """How far each form's weights end from the first one's, as a share of the way these went."""
    models = {}
    for form, shape in forms.items():
        run = settings.parent / form
        call(*shape, "epochs", str(settings), str(run))
        models[form] = load_weights(run / "last.safetensors").model
    right = next(iter(models.values()))
    way = norm(right.flat_params - DeepSpeech(right.settings).flat_params)
    apart = {form: float(norm(each.flat_params - right.flat_params) / way) for form, each in models.items()}
    for form, far in apart.items():
        if not far < WEIGHTS:
            raise SystemExit(f"{form} learns something else: weights {far:.1e} apart")
    return apart


def time_steps(problem: Problem, n: int, calls: int = 3) -> dict:
    """Each form of a step in its turn."""
    apart: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    for i in range(-1, n):
        for form, (ranks, threads) in FORMS.items():
            said = call(ranks, threads, "steps", form, asdict(problem), calls)
            if i >= 0:
                seconds[form].append(statistics.median(said["seconds"]))
                continue
            apart[form] = loss, gradient = said["apart"]
            if not (loss < LOSS and gradient < GRADIENT):
                raise SystemExit(f"{form} is another step: loss {loss:.1e}, gradient {gradient:.1e} apart")
    ms = {form: milliseconds(values) for form, values in seconds.items()}
    return {**asdict(problem), "ms": ms, "apart": apart, "seconds": seconds}


def show_training(result: dict) -> None:
    print(f"\ntraining, {result['hours']:.2f} h, H {result['hidden']}, batches of {result['batch']}")
    print(f"{'':32}{'frames/s':>10}{'most':>9}{'x':>7}{'weights apart':>16}")
    speeds = {form: each["frames_per_second"] for form, each in result["forms"].items()}
    alone = statistics.median(next(iter(speeds.values())))
    for form, speed in speeds.items():
        middle = statistics.median(speed)
        cells = f"{middle:>10.0f}{max(speed):>9.0f}{middle / alone:>7.2f}{result['apart'][form]:>16.0e}"
        print(f"{form:32}{cells}", flush=True)


def show_steps(result: dict) -> None:
    print(f"\na step, {result['inputs']} inputs, H {result['hidden']}")
    print(f"{'':32}{'ms':>10}{'least':>9}{'x':>7}{'gradient apart':>16}")
    alone = next(iter(result["ms"].values()))
    for form, ms in result["ms"].items():
        cells = f"{ms:>10.1f}{least(result['seconds'][form]):>9.1f}{alone / ms:>7.2f}"
        print(f"{form:32}{cells}{result['apart'][form][1]:>16.0e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manifest", help="speech to train on  [tones]")
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4], help="of a thread each")
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
    said = subprocess.run([mpiexec(), "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    print(f"{headline(machine())}; {said}", flush=True)
    o = options
    training = time_training(o.ranks, o.manifest, o.train_hidden, o.train_batch, o.rounds)
    show_training(training)
    results = []
    for hidden in o.hidden:
        problem = Problem(o.inputs, hidden, o.batch, o.frames, o.labels)
        results.append(time_steps(problem, o.rounds))
        show_steps(results[-1])
        save(o.json, {"mpi": said, "training": training, "steps": results})


if __name__ == "__main__":
    main()
