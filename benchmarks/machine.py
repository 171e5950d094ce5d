"""What every benchmark needs: a description of the machine, equal numbers of threads, and timing in turns.

The speed of a machine varies, so nothing is timed alone: `timed_in_turns` calls each competitor in turn,
round after round, and the medians are compared. Thread pools of two libraries in one process disturb each
other (an idle pool spins on the cores for some milliseconds), so `timed_in_processes` gives each competitor a
process.
"""

import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from minids._utils.files import atomic_write

Step = Callable[[], object]

PACKAGES = ("minids", "numpy", "scipy", "numba", "numba-cuda", "torch", "jiwer", "rapidfuzz")
PAUSE = 0.05  # seconds between turns: longer than an idle OpenMP or OpenBLAS pool spins (about 0.02 s)


def machine() -> dict:
    """CPU, cores, memory, load and versions: without them a figure means nothing."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES if _version(name)},
    }


def headline(facts: dict) -> str:
    """`machine()` in one line, for the head of a table."""
    packages = ", ".join(f"{name} {facts[name]}" for name in ("python", *PACKAGES) if name in facts)
    return f"{facts['cpu']}, {facts['cores']} cores, load {facts['load']}; {packages}"


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(n: int) -> None:
    """`n` threads for BLAS, OpenMP, Numba and PyTorch, here and in child processes.

    Call it before numpy, numba or torch are imported: their pools read these variables once.
    """
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(n)
    # After a product OpenBLAS's threads spin for longer than PAUSE, during the next competitor's turn.
    # 2^20 ticks of the clock are half a millisecond, and do not slow `sgemm` down.
    os.environ["OPENBLAS_THREAD_TIMEOUT"] = "20"


def timed_in_turns(functions: dict[str, Step], n: int, warm: int = 1) -> dict[str, list[float]]:
    """Seconds of `n` calls of each function, in turns, after `warm` calls of each that are not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for i in range(-warm, n):
        for name, function in functions.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            function()
            if i >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def in_subprocess(function: Callable, *arguments):
    """The result of a module-level function, called in a process whose thread pools end with it."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def timed_in_processes(
    makers: dict[str, tuple[Callable[..., Step], tuple]], n: int, warm: int = 1
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """As `timed_in_turns`, each function in a process of its own; also the peak memory (MB) of each.

    A maker is a function of a module and its arguments; called in the child, it returns the function to be
    timed. While one child works the others wait on a pipe and use no core.
    """
    context = multiprocessing.get_context("spawn")
    pipes, children = {}, []
    for name, (make, arguments) in makers.items():
        pipes[name], child_end = context.Pipe()
        children.append(context.Process(target=_serve, args=(child_end, make, arguments), daemon=True))
        children[-1].start()
        child_end.close()
    for name, pipe in pipes.items():
        _answer(name, pipe)  # it is ready
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    memory = {}
    for i in range(-warm, n):
        for name, pipe in pipes.items():
            time.sleep(PAUSE)
            pipe.send(True)
            elapsed, memory[name] = _answer(name, pipe)
            if i >= 0:
                seconds[name].append(elapsed)
    for pipe in pipes.values():
        pipe.send(False)
    for child in children:
        child.join()
    return seconds, memory


def milliseconds(seconds: list[float]) -> float:
    """The median, in milliseconds."""
    return 1e3 * statistics.median(seconds)


def best_milliseconds(seconds: list[float]) -> float:
    """The minimum, in milliseconds: the time on an idle machine."""
    return 1e3 * min(seconds)


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [" | ".join(cells) for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def save(path: str | None, results: dict) -> None:
    """Write the results and the machine as JSON; the file is complete at any moment."""
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write((json.dumps({"machine": machine(), **results}, indent=1) + "\n").encode())


def _serve(pipe, make: Callable[..., Step], arguments: tuple) -> None:
    try:
        function = make(*arguments)
        pipe.send(None)
        while pipe.recv():
            start = time.perf_counter()
            function()
            pipe.send((time.perf_counter() - start, peak_memory()))
    except Exception as error:
        pipe.send(error)


def _answer(name: str, pipe):
    try:
        answer = pipe.recv()
    except EOFError:
        raise RuntimeError(f"{name}: its process died") from None
    if isinstance(answer, Exception):
        raise RuntimeError(f"{name}: {answer}") from answer
    return answer


def peak_memory() -> float:
    """MB. Not ru_maxrss of getrusage, which starts from the parent's memory."""
    return int((_field("/proc/self/status", "VmHWM") or "0").split()[0]) / 1024


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
