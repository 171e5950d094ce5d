"""Random but seeded damage, and a loop that gives each case a limited time and a limited address space.

MINIDS_FUZZ is the number of cases of each kind. `MINIDS_FUZZ=10000 pytest -s` prints a row for each kind:
cases, used, refused, seconds, seconds of the slowest case.
"""

import faulthandler
import os
import resource
import signal
import struct
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minids._utils.errors import InputError

CASES = int(os.environ.get("MINIDS_FUZZ", 200))
MAX_SECONDS = 20  # for one case
MAX_BYTES = 1 << 30  # of memory that a case may add
NUMBERS = [0, 1, -1, 3, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1]
VALUES = [*NUMBERS, -(2**63), 10**400, 0.5, -0.5, 1e-320, 1e308, float("nan"), float("inf"), -float("inf")]
VALUES += [True, None, "", "x", "\0", "é", "x" * 5000, [], [1], [[]], {}, {"x": 1}]


class TimedOut(BaseException):
    """A case takes too long."""


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder in memory if possible: replacing files on a disk takes most of the time."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@contextmanager
def limits() -> Iterator[None]:
    """Limit the address space, and let SIGALRM raise TimedOut."""

    def time_out(number, frame):
        raise TimedOut

    space = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, time_out)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MAX_BYTES, space[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, space)
        signal.signal(signal.SIGALRM, handler)
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def time_limit() -> Iterator[None]:
    """Within `limits`: raises TimedOut after MAX_SECONDS; a hang in C ends the process with a trace."""
    faulthandler.dump_traceback_later(3 * MAX_SECONDS, exit=True)
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def run_cases(
    kind: str,
    cases: Iterable[Any],
    use: Callable[[Any], object],
    min_used: float,
    min_refused: float,
) -> None:
    """Call `use` for each case, which may raise InputError and nothing else.

    At least these shares of the cases must be used and refused: a test whose cases all end in the same place
    tests that place alone.
    """
    used, refused, slowest, slowest_case = 0, 0, 0.0, 0
    begin = time.perf_counter()
    with limits(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # notes for the user
        for number, case in enumerate(cases):
            start = time.perf_counter()
            try:
                with time_limit():
                    use(case)
                used += 1
            except InputError:
                refused += 1
            except BaseException as error:
                error.add_note(f"case {number} of {kind}: {case!r:.300}")
                raise
            if (seconds := time.perf_counter() - start) > slowest:
                slowest, slowest_case = seconds, number
    total = used + refused
    seconds = time.perf_counter() - begin
    print(f"| {kind} | {total} | {used} | {refused} | {seconds:.0f} | {slowest:.2f} (case {slowest_case}) |")
    assert used >= min_used * total, (used, refused)
    assert refused >= min_refused * total, (used, refused)


def fuzz(
    kind: str,
    path: Path | None,
    mutations: Iterable[Any],
    use: Callable[[Path], object],
    min_used: float,
    min_refused: float,
    good: bytes | None = None,
) -> None:
    """`run_cases` with each mutation as the content of `path`; errors name the file, in one line.

    Without a `path`, the mutations are pairs of path and content. The `good` content must be used; that also
    compiles what the cases need, without their time limit.
    """

    def use_file(case: tuple[Path, bytes]) -> None:
        file, content = case
        file.write_bytes(content)
        try:
            use(file)
        except InputError as error:
            message = str(error)
            assert str(file.parent) in message, message
            assert "\n" not in message, message
            message.encode()  # it can be printed
            raise

    if path and good is not None:
        path.write_bytes(good)
        use(path)
    cases = ((path, content) for content in mutations) if path else mutations
    run_cases(kind, cases, use_file, min_used, min_refused)


def damaged(originals: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    rng = np.random.default_rng(seed)
    for i in range(count):
        yield damage(originals[i % len(originals)], rng)


def damage(original: bytes, rng: np.random.Generator) -> bytes:
    """One to four of: a byte replaced, a block removed, repeated or inserted, the end cut off, a number."""
    data = bytearray(original)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 4])):
        near = len(data) if rng.random() < 0.5 else min(len(data), 100)  # headers are worth half of the cases
        at = int(rng.integers(near + 1))
        length = int(rng.integers(1, 40))
        match rng.integers(7):
            case 0:
                data[at : at + 1] = bytes([rng.integers(256)])
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case 3:
                data[at:at] = rng.bytes(length)
            case 4:
                del data[max(at, 20) :]
            case 5:
                size, order = int(rng.choice([1, 2, 4, 8])), rng.choice(["<", ">"])
                number = NUMBERS[rng.integers(len(NUMBERS))] % 256**size
                data[at : at + size] = struct.pack(f"{order}Q", number)[: size if order == "<" else 8][-size:]
            case 6:
                data[at : at + 1] = str(VALUES[rng.integers(len(VALUES))])[:400].encode()
    return bytes(data)


def damage_lines(original: bytes, rng: np.random.Generator, separator: bytes | None = None) -> bytes:
    """One or two of: a line removed, repeated, swapped, cut; a field removed or replaced by a wild value."""
    lines = original.split(b"\n")
    for _ in range(rng.integers(1, 3)):
        i, j = rng.integers(len(lines), size=2)
        fields = lines[i].split(separator)
        match rng.integers(6):
            case 0:
                del lines[i]
            case 1:
                lines.insert(j, lines[i])
            case 2:
                lines[i], lines[j] = lines[j], lines[i]
            case 3:
                lines[i] = lines[i][: rng.integers(len(lines[i]) + 1)]
            case 4 if fields:
                del fields[rng.integers(len(fields))]
                lines[i] = (separator or b"\t").join(fields)
            case 5 if fields:
                fields[rng.integers(len(fields))] = str(VALUES[rng.integers(len(VALUES))])[:400].encode()
                lines[i] = (separator or b"\t").join(fields)
        lines = lines or [b""]
    return b"\n".join(lines)


def altered(value: Any, rng: np.random.Generator) -> Any:
    """A JSON value with something in it, at any depth, replaced, removed, repeated or renamed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        match rng.integers(8):
            case 0:
                return {k: v for k, v in value.items() if k != name}
            case 1:
                return value | {str(name) + "x": value[name]}
            case _:
                return value | {str(name): altered(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.integers(len(value))
        match rng.integers(4):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value[: at + 1] + value[at:]
            case _:
                return [*value[:at], altered(value[at], rng), *value[at + 1 :]]
    return VALUES[rng.integers(len(VALUES))]


# --- folders -------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, tuple]:
    """What tells whether something in a folder has changed: for files the inode, size and time."""
    entries: dict[str, tuple] = {}
    for place, folders, files in os.walk(folder):
        for name in folders:
            entries[os.path.join(place, name)] = ("folder", os.lstat(os.path.join(place, name)).st_mode)
        for name in files:
            status = os.lstat(os.path.join(place, name))
            entries[os.path.join(place, name)] = (
                status.st_mode,
                status.st_ino,
                status.st_size,
                status.st_mtime_ns,
            )
    return entries


def changes(before: dict[str, tuple], after: dict[str, tuple]) -> list[Path]:
    """The paths of two snapshots that are new, gone or different."""
    return [Path(p) for p in sorted(before.keys() | after.keys()) if before.get(p) != after.get(p)]
