"""Where a training step's milliseconds go, by operation.

    python -m benchmarks.profile --json benchmarks/results/profile.json --name after

Every operation of the backend is wrapped in a timer. A layer's operations bear the number of its weights:
"affine_forward 1" is layer 1. "other" is Python between the operations. The figures are those of the step
with the median of all rounds.
"""

import argparse
import time
from collections import defaultdict
from dataclasses import asdict, replace

from benchmarks.machine import PAUSE, headline, machine, markdown, save, set_threads
from benchmarks.training_step import OurStep, Problem, add_problem_arguments, others, problems, stored


def timed_operations(step: OurStep) -> dict[str, float]:
    """Wrap the operations of the step's network; the dictionary returned collects the seconds of each."""
    from minids.ops import OPERATIONS

    model, seconds = step.model, defaultdict[str, float](float)
    layers = {id(W): name.strip("W") for name, W in model.params.items() if name.startswith("W")}

    def timed(name):
        operation = getattr(model.ops, name)

        def run(*args, **kwargs):
            layer = [layers[id(a)] for a in (*args, *kwargs.values()) if id(a) in layers]
            start = time.perf_counter()
            result = operation(*args, **kwargs)
            label = f"{name} {layer[0]}" if len(layer) == 1 else name  # the recurrence has two
            seconds[label] += time.perf_counter() - start
            return result

        return run

    model.ops = replace(model.ops, **{name: timed(name) for name in OPERATIONS})
    return seconds


def measure(problem: Problem, rounds: int) -> dict:
    """Milliseconds of each operation in the step whose total is the median."""
    step, batch = OurStep(problem), problem.draw()
    step(*batch)
    seconds, steps = timed_operations(step), []
    for _ in range(rounds):
        seconds.clear()
        time.sleep(PAUSE)
        start = time.perf_counter()
        step(*batch)
        total = time.perf_counter() - start
        steps.append({"step": total} | dict(seconds) | {"other": total - sum(seconds.values())})
    median = sorted(steps, key=lambda step: step["step"])[len(steps) // 2]
    return {**asdict(problem), "ms": {name: round(1e3 * value, 3) for name, value in median.items()}}


def show(results: list[dict]) -> str:
    """A Markdown table: an operation per line, a problem per column."""
    names = list(dict.fromkeys(name for result in results for name in result["ms"]))
    titles = [f"{r['inputs']}, H {r['hidden']}, stride {r['stride']}" for r in results]
    rows = [[name] + [f"{r['ms'][name]:.2f}" if name in r["ms"] else "" for r in results] for name in names]
    return markdown(["ms", *titles], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_problem_arguments(parser)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="keep the results; all others in it stay")
    parser.add_argument("--name", default="now", help="of these results in the file")
    options = parser.parse_args()
    set_threads(options.threads)
    print(f"{headline(machine())}; {options.threads} threads\n", flush=True)
    results = [measure(problem, options.rounds) for problem in problems(options)]
    print(show(results))
    kept = stored(options.json)
    results = others(kept.get(options.name, {}).get("profile", []), problems(options)) + results
    save(options.json, kept | {options.name: {"threads": options.threads, "profile": results}})


if __name__ == "__main__":
    main()
