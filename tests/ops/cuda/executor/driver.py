"""Stands in for NVIDIA's driver: numba-cuda and its packages run on it unchanged, and believe in a GPU.

It is strict: what a GPU would refuse, or what would be wrong on some GPU on some day, is refused or noted in
`problems`. Memory is the host's, filled with NaN at first. Each array ends next to an inaccessible page and
is never used again after it was freed. What is launched on a stream starts at once, or as late as allowed, or
at random, as the threads of a block do: forward, reverse, random.

The functions that are called are in api.py. Here are the pretended GPUs, streams, and launches.

Numba is asked for one thing that it would not do: to link kernels to PTX instead of machine code.
"""

import ctypes
import functools
import os
import random
import threading
from collections import defaultdict
from contextlib import contextmanager
from ctypes import c_uint, c_uint64, c_void_p
from dataclasses import dataclass, field
from importlib.metadata import distributions
from typing import Any, NamedTuple

import numpy as np

from tests import ROOT
from tests.ops.cuda.executor import banks, ptx

FOLDER = ROOT / "out" / "executor"  # of compiled libraries
PAGE = 4096
ORDERS = "forward", "reverse", "random"
DEFAULT_SHARED = 48 * 1024
REGISTERS = 65_536  # of a multiprocessor; a thread has 255 at most

INVALID_VALUE, OUT_OF_MEMORY, INVALID_CONTEXT, INVALID_HANDLE, NOT_FOUND = 1, 2, 201, 400, 500
OUT_OF_RESOURCES, LAUNCH_FAILED, TOO_LARGE = 701, 719, 720
CAPTURE_UNSUPPORTED, CAPTURE_INVALID = 900, 901


class GPU(NamedTuple):
    name: str
    capability: tuple[int, int]
    multiprocessors: int
    shared: int  # bytes that a block may have if it asks for them
    memory: int  # GB
    cuda: int = 13_000  # the version of its driver


GPUS = {
    "h200": GPU("H200", (9, 0), 132, 232_448, 141),
    "4090": GPU("RTX 4090", (8, 9), 128, 101_376, 24),
    "t4": GPU("T4", (7, 5), 40, 65_536, 15),
    "v100": GPU("V100", (7, 0), 80, 98_304, 16, 12_040),  # needs `pip install 'minids[cuda12]'`
}


@dataclass
class Allocation:
    address: int
    size: int
    device: int
    base: int  # of its pages, the last of which is inaccessible
    pages: int


@dataclass
class Stream:
    device: int
    waits: bool  # for the default stream, and this for it
    work: list = field(default_factory=list)  # what was not started yet
    recorded: list | None = None  # while it is captured


@dataclass
class LoadedKernel:
    kernel: ptx.Kernel
    allowed: Any = field(default_factory=lambda: defaultdict(lambda: DEFAULT_SHARED))  # dynamic shared memory


class Launch(NamedTuple):
    loaded: LoadedKernel
    blocks: tuple[int, int, int]
    threads: tuple[int, int, int]
    shared: int
    cooperative: bool
    parameters: tuple[bytes, ...]
    device: int


problems: list[str] = []  # what a GPU would not have forgiven
launched: list[tuple[str, int]] = []  # kernel, device
handles: dict[int, Any] = {}  # kernels, streams, graphs, events, page-locked memory, by handle
allocations: dict[int, Allocation] = {}  # by address
contexts: set[int] = set()  # devices that have one

gpus: list[GPU] = []  # by device
_order, _last_blocks, _wavefronts = 0, None, None
_random = random.Random(0)
_defaults: dict[int, Stream] = {}  # default streams, by device
current = threading.local()  # .stack of the contexts of a thread
_libraries: list[Any] = []


class Refused(Exception):
    """A call fails with this status."""

    def __init__(self, status: int, problem: str = "") -> None:
        super().__init__(problem)
        self.status = status
        if problem:
            problems.append(problem)


def install(names: list[str], order: str) -> None:
    """From here on this process has these GPUs. Call it before CUDA packages are imported."""
    from tests.ops.cuda.executor import api

    global _order
    package = next((p for p in distributions() if p.name.startswith("nvidia-nvjitlink")), None)
    if package is None:
        raise SystemExit("the executor needs the compiler: pip install '.[cuda]'")
    os.environ["NUMBA_CACHE_DIR"] = str(FOLDER / package.version)  # which wrote the PTX there
    os.environ.pop("MINIDS_SIM", None)
    gpus[:], _order = [GPUS[name] for name in names], ORDERS.index(order)
    runtime = ptx.compiled((ptx.HERE / "runtime.c").read_text(), FOLDER)
    library = ptx.compiled((ptx.HERE / "libcuda.c").read_text(), FOLDER, "-Wl,-soname,libcuda.so.1")
    _libraries[:] = [ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL) for path in (runtime, library)]
    _libraries[1].set_find(api.find)
    _link_to_ptx()


def _link_to_ptx() -> None:
    from cuda.core import ObjectCode
    from numba.cuda.cudadrv import driver

    def complete(self):
        code = self.get_linked_ptx()
        self._complete, self._info_log = True, ""
        return ObjectCode.from_ptx(bytes(code).rstrip(b"\0") + b"\0")

    driver._Linker.complete = complete


@contextmanager
def last_blocks(count: int):
    """Run only the last blocks of each grid: the largest indices, in arrays too large to compute whole."""
    global _last_blocks
    _last_blocks = count
    try:
        yield
    finally:
        _last_blocks = None


@contextmanager
def counted_wavefronts():
    """A list of (name of the kernel, wavefronts of its first block) of each launch; see banks.py.

    Kernels are executed as always, but slower.
    """
    global _wavefronts
    _wavefronts = []
    try:
        yield _wavefronts
        finish_everything()
    finally:
        _wavefronts = None


# Work on streams


def current_device() -> int:
    stack = getattr(current, "stack", None)
    if not stack or stack[-1] is None:
        raise Refused(INVALID_CONTEXT)
    return stack[-1] - 0x7000


def stream_of(handle: int | None) -> Stream:
    if handle in (None, 0, 1, 2):
        return _defaults.setdefault(current_device(), Stream(current_device(), True))
    stream = handles.get(handle)
    if not isinstance(stream, Stream):
        raise Refused(INVALID_HANDLE, "a stream is used that does not exist any more")
    return stream


def is_recording(device: int) -> bool:
    """Whether a stream of this GPU is captured."""
    streams = (stream for stream in handles.values() if isinstance(stream, Stream))
    return any(stream.device == device and stream.recorded is not None for stream in streams)


def submit(handle, work) -> None:
    """Start this work on a stream: now, or when something waits for it; or record it."""
    stream = stream_of(handle)
    if stream.recorded is not None:
        stream.recorded.append(work)
        return
    if stream.waits and is_recording(stream.device):
        problems.append("work on the default stream while another stream is captured: it is not recorded")
    stream.work.append(work)
    if _order == 0 or (_order == 2 and _random.random() < 0.5):
        finish(stream)


def finish(stream: Stream) -> None:
    if stream.recorded is not None:
        raise Refused(CAPTURE_INVALID, "something waits for a stream that is captured")
    if stream.waits:
        for other in list(handles.values()):
            if isinstance(other, Stream) and other.waits and other.recorded is None:
                run_all(other)
    run_all(stream)


def run_all(stream: Stream) -> None:
    while stream.work:
        stream.work.pop(0)()


def finish_everything() -> None:
    for stream in [*_defaults.values(), *handles.values()]:
        if isinstance(stream, Stream) and stream.recorded is None:
            run_all(stream)


# Launches


def check(launch: Launch) -> None:
    """Refuse what the GPU does not support."""
    kernel, n = launch.loaded.kernel, _product(launch.threads)
    allowed = launch.loaded.allowed[launch.device]
    if not 0 < n <= kernel.max_threads or launch.threads[2] > 64:
        raise Refused(INVALID_VALUE, f"{kernel.name}: blocks of {launch.threads} threads")
    if not 0 < launch.blocks[0] < 2**31 or not all(0 < count < 2**16 for count in launch.blocks[1:]):
        raise Refused(INVALID_VALUE, f"{kernel.name}: a grid of {launch.blocks} blocks")
    if launch.shared > allowed or launch.shared + kernel.static_shared > max(allowed, DEFAULT_SHARED):
        total = launch.shared + kernel.static_shared
        raise Refused(INVALID_VALUE, f"{kernel.name}: {total} bytes of shared memory, {allowed} are allowed")
    bounded = kernel.max_threads < 1024  # the compiler uses no more registers than such blocks can have
    if n > REGISTERS // 255 and not bounded and n * _registers(kernel) > REGISTERS:
        raise Refused(OUT_OF_RESOURCES, f"{kernel.name}: {n} threads need too many registers")
    resident = blocks_per_multiprocessor(launch.loaded, n, launch.shared, launch.device)
    if launch.cooperative and _product(launch.blocks) > resident * gpus[launch.device].multiprocessors:
        raise Refused(TOO_LARGE, f"{kernel.name}: {launch.blocks} blocks are not on the GPU at once")
    elsewhere = [array for array in allocations.values() if array.device != launch.device]
    for value in (int.from_bytes(value, "little") for value in launch.parameters):
        if any(array.address <= value < array.address + array.size for array in elsewhere):
            raise Refused(INVALID_VALUE, f"{kernel.name}: an array of another GPU")


def run(launch: Launch) -> None:
    check(launch)
    kernel, n_blocks = launch.loaded.kernel, _product(launch.blocks)
    values = [ctypes.create_string_buffer(value, 8) for value in launch.parameters]
    addresses = (c_void_p * len(values))(*map(ctypes.addressof, values))
    grid = _Grid(launch.blocks, launch.threads, launch.shared, launch.shared + kernel.static_shared)
    if _wavefronts is not None:
        kernel = ptx.load(kernel.ptx, FOLDER, "-DTRACE")
    grid.parameters, grid.kernel = ctypes.cast(addresses, c_void_p), kernel.function
    first = max(0, n_blocks - _last_blocks) if _last_blocks and not launch.cooperative else 0
    why = ctypes.create_string_buffer(600)
    launched.append((kernel.name, launch.device))
    arguments = int(launch.cooperative), c_uint64(first), c_uint64(n_blocks), _order
    if _libraries[0].launch(ctypes.byref(grid), *arguments, c_uint64(len(launched)), why):
        raise Refused(LAUNCH_FAILED, f"{kernel.name}: {why.value.decode()}")
    if _wavefronts is not None:
        _wavefronts.append((kernel.name, banks.wavefronts(_accesses(), ptx.instructions(kernel.ptx))))
    for array in allocations.values():
        if wrong := [start for start, size in _around(array) if ctypes.string_at(start, size).strip(b"\xff")]:
            fill_around(array)
            where = "beyond the end" if wrong[-1] > array.address else "before the beginning"
            raise Refused(LAUNCH_FAILED, f"{kernel.name} wrote {where} of an array")


def _accesses() -> np.ndarray:
    count = c_uint64.in_dll(_libraries[0], "accesses_count").value
    address = c_void_p.in_dll(_libraries[0], "accesses").value
    return np.frombuffer(ctypes.string_at(address, count * banks.ACCESS.itemsize), banks.ACCESS)


def _around(array: Allocation) -> list[tuple[int, int]]:
    """What lies before and after an array on its pages: address, size."""
    end = array.address + array.size
    return [(array.base, array.address - array.base), (end, array.base + array.pages - PAGE - end)]


def fill_around(array: Allocation) -> None:
    for start, size in _around(array):
        ctypes.memset(start, 0xFF, size)


class _Grid(ctypes.Structure):  # runtime.h
    _fields_ = (
        ("blocks", c_uint * 3),
        ("threads", c_uint * 3),
        ("dynamic_size", c_uint),
        ("shared_size", c_uint),
        ("parameters", c_void_p),
        ("kernel", c_void_p),
    )


def _product(sizes) -> int:
    return sizes[0] * sizes[1] * sizes[2]


@functools.cache
def _registers(kernel: ptx.Kernel) -> int:
    """The registers of a thread, as the assembler counts them."""
    import re

    from cuda.bindings import nvjitlink

    code, target = kernel.ptx.encode(), re.search(r"\.target (\w+)", kernel.ptx)
    options = [f"-arch={target[1]}", "-Xptxas=-v", "-verbose"]
    linker = nvjitlink.create(len(options), options)
    nvjitlink.add_data(linker, nvjitlink.InputType.PTX, code, len(code), "kernel")
    nvjitlink.complete(linker)
    log = bytearray(nvjitlink.get_info_log_size(linker))
    nvjitlink.get_info_log(linker, log)
    nvjitlink.destroy(linker)
    return int(re.search(rb"Used (\d+) registers", log)[1])


def blocks_per_multiprocessor(loaded: LoadedKernel, threads: int, shared: int, device: int) -> int:
    kernel, gpu = loaded.kernel, gpus[device]
    if shared > loaded.allowed[device] or threads > kernel.max_threads:
        return 0
    by_registers = REGISTERS // (threads * 255) or kernel.min_blocks  # at least
    by_shared = (gpu.shared + 1024) // (shared + kernel.static_shared + 1024)
    return min((1024 if gpu.capability == (7, 5) else 1536) // threads, by_registers, by_shared)
