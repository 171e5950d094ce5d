"""Stands in for NVIDIA's driver: numba-cuda and its packages run on it unchanged, and believe in a GPU.

It implements the functions of libcuda that they call, under their names, and is strict: what a GPU would
refuse, or what would be wrong on some GPU on some day, is refused or noted in `problems`. Memory is the
host's, filled with NaN at first. Each array ends next to an inaccessible page and is never used again after
it was freed. What is launched on a stream starts at once, or as late as allowed, or at random, as the threads
of a block do: forward, reverse, random.

Numba is asked for one thing that it would not do: to link kernels to PTX instead of machine code.
"""

import ctypes
import functools
import os
import random
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
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
OUT_OF_RESOURCES, LAUNCH_FAILED, TOO_LARGE, CAPTURE_INVALID = 701, 719, 720, 901
NAMES = {0: "SUCCESS", 1: "INVALID_VALUE", 2: "OUT_OF_MEMORY", 201: "INVALID_CONTEXT", 400: "INVALID_HANDLE"}
NAMES |= {500: "NOT_FOUND", 701: "LAUNCH_OUT_OF_RESOURCES", 719: "LAUNCH_FAILED", 999: "UNKNOWN"}
NAMES |= {720: "COOPERATIVE_LAUNCH_TOO_LARGE", 901: "STREAM_CAPTURE_INVALIDATED"}


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

_gpus: list[GPU] = []  # by device
_order, _last_blocks, _wavefronts = 0, None, None
_random = random.Random(0)
_defaults: dict[int, Stream] = {}  # default streams, by device
_lock = threading.RLock()
_current = threading.local()  # .stack of the contexts of a thread
_entries: dict[str, Any] = {}
_libraries: list[Any] = []
_next_handle = iter(range(0x10000, 2**40, 0x10))


class Refused(Exception):
    """A call fails with this status."""

    def __init__(self, status: int, problem: str = "") -> None:
        super().__init__(problem)
        self.status = status
        if problem:
            problems.append(problem)


def install(gpus: list[str], order: str) -> None:
    """From here on this process has these GPUs. Call it before CUDA packages are imported."""
    global _order
    packages = (package for package in distributions() if package.name.startswith("nvidia-nvjitlink"))
    os.environ["NUMBA_CACHE_DIR"] = str(FOLDER / next(packages).version)  # which wrote the PTX there
    os.environ.pop("MINIDS_SIM", None)
    _gpus[:], _order = [GPUS[gpu] for gpu in gpus], ORDERS.index(order)
    runtime = ptx.compiled((ptx.HERE / "runtime.c").read_text(), FOLDER)
    library = ptx.compiled((ptx.HERE / "libcuda.c").read_text(), FOLDER, "-Wl,-soname,libcuda.so.1")
    _libraries[:] = [ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL) for path in (runtime, library)]
    libc.mmap.restype = c_void_p
    _libraries[1].set_find(_find)
    _link_to_ptx()


def _link_to_ptx() -> None:
    from cuda.core import ObjectCode
    from numba.cuda.cudadrv import driver

    add = driver._Linker.add_file_guess_ext

    def add_unless_a_library(self, path, ignore_nonlto=False):
        if not str(path).endswith("libcudadevrt.a"):  # the barrier of a grid: runtime.c has it
            add(self, path, ignore_nonlto)

    def complete(self):
        code = self.get_linked_ptx()
        self._complete, self._info_log = True, ""
        return ObjectCode.from_ptx(bytes(code).rstrip(b"\0") + b"\0")

    driver._Linker.add_file_guess_ext, driver._Linker.complete = add_unless_a_library, complete


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
        _finish_everything()
    finally:
        _wavefronts = None


# Work on streams


def _stream(handle: int | None) -> Stream:
    if handle in (None, 0, 1, 2):
        return _defaults.setdefault(_device(), Stream(_device(), True))
    stream = handles.get(handle)
    if not isinstance(stream, Stream):
        raise Refused(INVALID_HANDLE, "a stream is used that does not exist any more")
    return stream


def _submit(handle, work) -> None:
    """Start this work on a stream: now, or when something waits for it; or record it."""
    stream = _stream(handle)
    if stream.recorded is not None:
        stream.recorded.append(work)
        return
    if stream.waits and any(isinstance(s, Stream) and s.recorded is not None for s in handles.values()):
        problems.append("work on the default stream while another stream is captured: it is not recorded")
    stream.work.append(work)
    if _order == 0 or (_order == 2 and _random.random() < 0.5):
        _finish(stream)


def _finish(stream: Stream) -> None:
    if stream.recorded is not None:
        raise Refused(CAPTURE_INVALID, "something waits for a stream that is captured")
    if stream.waits:
        for other in list(handles.values()):
            if isinstance(other, Stream) and other.waits and other.recorded is None:
                _run_all(other)
    _run_all(stream)


def _run_all(stream: Stream) -> None:
    while stream.work:
        stream.work.pop(0)()


def _finish_everything() -> None:
    for stream in [*_defaults.values(), *handles.values()]:
        if isinstance(stream, Stream) and stream.recorded is None:
            _run_all(stream)


# Launches


def _check(launch: Launch) -> None:
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
    resident = _blocks_per_multiprocessor(launch.loaded, n, launch.shared, launch.device)
    if launch.cooperative and _product(launch.blocks) > resident * _gpus[launch.device].multiprocessors:
        raise Refused(TOO_LARGE, f"{kernel.name}: {launch.blocks} blocks are not on the GPU at once")
    elsewhere = [array for array in allocations.values() if array.device != launch.device]
    for value in (int.from_bytes(value, "little") for value in launch.parameters):
        if any(array.address <= value < array.address + array.size for array in elsewhere):
            raise Refused(INVALID_VALUE, f"{kernel.name}: an array of another GPU")


def _run(launch: Launch) -> None:
    _check(launch)
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
            _fill_around(array)
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


def _fill_around(array: Allocation) -> None:
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


def _blocks_per_multiprocessor(loaded: LoadedKernel, threads: int, shared: int, device: int) -> int:
    kernel, gpu = loaded.kernel, _gpus[device]
    if shared > loaded.allowed[device] or threads > kernel.max_threads:
        return 0
    by_registers = REGISTERS // (threads * 255) or kernel.min_blocks  # at least
    by_shared = (gpu.shared + 1024) // (shared + kernel.static_shared + 1024)
    return min((1024 if gpu.capability == (7, 5) else 1536) // threads, by_registers, by_shared)


# The functions of the driver


def entry(*types):
    """A function of the API with arguments of these types. It returns None, and raises Refused."""

    def register(function):
        @functools.wraps(function)
        def call(*arguments) -> int:
            with _lock:
                try:
                    function(*arguments)
                except Refused as refused:
                    return refused.status
                except BaseException as error:  # it cannot pass through C
                    problems.append(f"{function.__name__}: {error!r}")
                    return 999
            return 0

        _entries[function.__name__] = ctypes.CFUNCTYPE(c_int, *types)(call)
        return function

    return register


@ctypes.CFUNCTYPE(c_void_p, c_char_p)
def _find(name):
    found = _entries.get(name.decode().removesuffix("_ptsz").removesuffix("_v2"))
    return ctypes.cast(found, c_void_p).value if found else None


def _new(value: Any) -> int:
    handle = next(_next_handle)
    handles[handle] = value
    return handle


def _device() -> int:
    stack = getattr(_current, "stack", None)
    if not stack or stack[-1] is None:
        raise Refused(INVALID_CONTEXT)
    return stack[-1] - 0x7000


INT, UINT, SIZE, HANDLE = POINTER(c_int), POINTER(c_uint), POINTER(c_size_t), POINTER(c_void_p)


@entry(c_uint)
def cuInit(flags):
    pass


@entry(INT)
def cuDriverGetVersion(version):
    version[0] = min(gpu.cuda for gpu in _gpus)


@entry(INT)
def cuDeviceGetCount(count):
    count[0] = len(_gpus)


@entry(INT, c_int)
def cuDeviceGet(device, number):
    if number >= len(_gpus):
        raise Refused(101)
    device[0] = number


@entry(c_void_p, c_int, c_int)
def cuDeviceGetName(name, size, device):
    ctypes.memmove(name, _gpus[device].name.encode() + b"\0", len(_gpus[device].name) + 1)


@entry(c_void_p, c_int)
def cuDeviceGetUuid(uuid, device):
    ctypes.memmove(uuid, bytes([device] * 16), 16)


@entry(INT, c_int, c_int)
def cuDeviceGetAttribute(value, attribute, device):
    gpu = _gpus[device]
    values = {16: gpu.multiprocessors, 75: gpu.capability[0], 76: gpu.capability[1], 97: gpu.shared}
    values |= {8: DEFAULT_SHARED, 10: 32, 13: 1_980_000, 33: device}  # kHz; the PCI bus
    values |= {1: 1024, 2: 1024, 3: 1024, 4: 64, 5: 2**31 - 1, 6: 65535, 7: 65535, 12: REGISTERS, 95: 1}
    value[0] = values.get(attribute, 0)


@entry(SIZE, c_int)
def cuDeviceTotalMem(size, device):
    size[0] = _gpus[device].memory << 30


@entry(HANDLE, c_int)
def cuDevicePrimaryCtxRetain(context, device):
    contexts.add(device)
    context[0] = 0x7000 + device


@entry(c_int)
def cuDevicePrimaryCtxRelease(device):
    pass


@entry(c_int, UINT, INT)
def cuDevicePrimaryCtxGetState(device, flags, active):
    flags[0], active[0] = 0, device in contexts


@entry(HANDLE)
def cuCtxGetCurrent(context):
    context[0] = (getattr(_current, "stack", None) or [None])[-1]


@entry(c_void_p)
def cuCtxSetCurrent(context):
    _current.stack = [*getattr(_current, "stack", [])[:-1], context]


@entry(c_void_p)
def cuCtxPushCurrent(context):
    _current.stack = [*getattr(_current, "stack", []), context]


@entry(HANDLE)
def cuCtxPopCurrent(context):
    if not getattr(_current, "stack", None):
        raise Refused(INVALID_CONTEXT)
    popped = _current.stack.pop()
    if context:
        context[0] = popped


@entry(INT)
def cuCtxGetDevice(device):
    device[0] = _device()


@entry(c_void_p, HANDLE)
def cuStreamGetCtx(stream, context):
    context[0] = 0x7000 + _stream(stream).device


@entry(c_void_p, INT)
def cuStreamGetDevice(stream, device):
    device[0] = _stream(stream).device


@entry()
def cuCtxSynchronize():
    _device()
    _finish_everything()


# Memory

libc = ctypes.CDLL(None)


@entry(POINTER(c_uint64), c_size_t)
def cuMemAlloc(pointer, size):
    device = _device()
    free = (_gpus[device].memory << 30) - sum(a.size for a in allocations.values() if a.device == device)
    if not size:
        raise Refused(INVALID_VALUE, "an array without elements is allocated")
    if size > free:
        raise Refused(OUT_OF_MEMORY)
    pages = -(-size // PAGE) * PAGE + PAGE
    private_anonymous_unreserved = 0x4022
    base = libc.mmap(None, c_size_t(pages), 3, private_anonymous_unreserved, -1, c_size_t(0))
    if base in (None, 2**64 - 1):
        raise Refused(OUT_OF_MEMORY)
    libc.mprotect(c_void_p(base + pages - PAGE), c_size_t(PAGE), 0)
    address = base + pages - PAGE - -(-size // 16) * 16
    allocations[address] = array = Allocation(address, size, device, base, pages)
    _fill_around(array)
    if size < 1 << 28:  # larger ones are zero, and take only the memory that is used of them
        ctypes.memset(address, 0xFF, size)
    pointer[0] = address


@entry(c_uint64)
def cuMemFree(pointer):
    _device()
    if pointer not in allocations:
        raise Refused(INVALID_VALUE, "memory is freed that is not allocated")
    _finish_everything()  # as the driver does
    freed = allocations.pop(pointer)
    libc.madvise(c_void_p(freed.base), c_size_t(freed.pages), 4)  # its memory, but not its address, is free
    libc.mprotect(c_void_p(freed.base), c_size_t(freed.pages), 0)


@entry(SIZE, SIZE)
def cuMemGetInfo(free, total):
    used = sum(array.size for array in allocations.values() if array.device == _device())
    total[0] = _gpus[_device()].memory << 30
    free[0] = total[0] - used


def _inside(address, size):
    for array in allocations.values():
        if array.address <= address and address + size <= array.address + array.size:
            return
    raise Refused(INVALID_VALUE, f"a copy of {size} bytes is not inside an array")


def _copy(to, source, size, *arrays):
    for array in arrays:
        _inside(array, size)
    ctypes.memmove(to, source, size)


@entry(c_uint64, c_void_p, c_size_t)
def cuMemcpyHtoD(to, source, size):
    _finish(_stream(0))
    _copy(to, source, size, to)


@entry(c_void_p, c_uint64, c_size_t)
def cuMemcpyDtoH(to, source, size):
    _finish(_stream(0))
    _copy(to, source, size, source)


@entry(c_uint64, c_uint64, c_size_t)
def cuMemcpyDtoD(to, source, size):
    _submit(0, functools.partial(_copy, to, source, size, to, source))


@entry(c_uint64, c_void_p, c_size_t, c_void_p)
def cuMemcpyHtoDAsync(to, source, size, stream):
    _submit(stream, functools.partial(_copy, to, source, size, to))


@entry(c_void_p, c_uint64, c_size_t, c_void_p)
def cuMemcpyDtoHAsync(to, source, size, stream):
    _submit(stream, functools.partial(_copy, to, source, size, source))


@entry(HANDLE, c_size_t, c_uint)
def cuMemHostAlloc(pointer, size, flags):
    memory = ctypes.create_string_buffer(b"\xff" * size, size + 64)
    pointer[0] = handle = -(-ctypes.addressof(memory) // 64) * 64
    handles[handle] = memory


@entry(c_void_p)
def cuMemFreeHost(pointer):
    _finish_everything()
    del handles[pointer]


@entry(POINTER(c_uint64), c_int, c_uint64)
def cuPointerGetAttribute(value, attribute, pointer):
    value[0] = 2 if attribute == 2 else pointer  # of the type "device memory"


@entry(POINTER(c_uint64), SIZE, c_uint64)
def cuMemGetAddressRange(base, size, pointer):
    for array in allocations.values():
        if array.address <= pointer < array.address + array.size:
            base[0], size[0] = array.address, array.size
            return
    raise Refused(INVALID_VALUE)


# Streams, graphs, events


@entry(HANDLE, c_uint)
def cuStreamCreate(stream, flags):
    stream[0] = _new(Stream(_device(), waits=not flags & 1))


@entry(c_void_p)
def cuStreamDestroy(stream):
    _run_all(_stream(stream))
    del handles[stream]


@entry(c_void_p)
def cuStreamSynchronize(stream):
    _finish(_stream(stream))


@entry(c_void_p, c_int)
def cuStreamBeginCapture(stream, mode):
    _stream(stream).recorded = []


@entry(c_void_p, HANDLE)
def cuStreamEndCapture(stream, graph):
    graph[0] = _new(_stream(stream).recorded)
    _stream(stream).recorded = None


@entry(HANDLE, c_void_p, c_uint64)
def cuGraphInstantiate(executable, graph, flags):
    executable[0] = _new(list(handles[graph]))


_entries["cuGraphInstantiateWithFlags"] = _entries["cuGraphInstantiate"]


@entry(c_void_p)
def cuGraphDestroy(graph):
    del handles[graph]


@entry(c_void_p)
def cuGraphExecDestroy(executable):
    _finish_everything()
    del handles[executable]


@entry(c_void_p, c_void_p)
def cuGraphLaunch(executable, stream):
    for work in handles[executable]:
        _submit(stream, work)


@entry(HANDLE, c_uint)
def cuEventCreate(event, flags):
    event[0] = _new([0.0])


@entry(c_void_p, c_void_p)
def cuEventRecord(event, stream):
    def note_the_time():
        handles[event][0] = time.perf_counter()

    _submit(stream, note_the_time)


@entry(c_void_p)
def cuEventSynchronize(event):
    _finish_everything()


@entry(POINTER(c_float), c_void_p, c_void_p)
def cuEventElapsedTime(milliseconds, start, end):
    milliseconds[0] = 1000 * (handles[end][0] - handles[start][0])


@entry(c_void_p)
def cuEventDestroy(event):
    del handles[event]


# Errors and kernels

_texts: dict[int, Any] = {}


@entry(c_int, HANDLE)
def cuGetErrorName(status, text):
    name = f"CUDA_ERROR_{NAMES.get(status, status)}" if status else "CUDA_SUCCESS"
    _texts[status] = ctypes.create_string_buffer(name.encode())
    text[0] = ctypes.addressof(_texts[status])


_entries["cuGetErrorString"] = _entries["cuGetErrorName"]


@entry(HANDLE, c_void_p, c_void_p, c_void_p, c_uint, c_void_p, c_void_p, c_uint)
def cuLibraryLoadData(library, code, *_):
    library[0] = _new(ctypes.string_at(code).decode())


@entry(c_void_p)
def cuLibraryUnload(library):
    del handles[library]


@entry(HANDLE, c_void_p, c_char_p)
def cuLibraryGetKernel(kernel, library, name):
    loaded = ptx.load(handles[library], FOLDER)
    if loaded.name != name.decode():
        raise Refused(NOT_FOUND)
    kernel[0] = _new(LoadedKernel(loaded))


@entry(HANDLE, c_void_p)
def cuKernelGetFunction(function, kernel):
    function[0] = kernel


@entry(INT, c_int, c_void_p, c_int)
def cuKernelGetAttribute(value, attribute, kernel, device):
    loaded = handles[kernel]
    values = {0: loaded.kernel.max_threads, 1: loaded.kernel.static_shared, 8: loaded.allowed[device]}
    value[0] = values.get(attribute, 0)


@entry(INT, c_int, c_void_p)
def cuFuncGetAttribute(value, attribute, kernel):
    cuKernelGetAttribute(value, attribute, kernel, _device())


@entry(c_int, c_int, c_void_p, c_int)
def cuKernelSetAttribute(attribute, value, kernel, device):
    if value + handles[kernel].kernel.static_shared > _gpus[device].shared:
        raise Refused(INVALID_VALUE, f"{value} bytes of shared memory, the GPU has {_gpus[device].shared}")
    handles[kernel].allowed[device] = value


@entry(INT, c_void_p, c_int, c_size_t)
def cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, kernel, threads, shared):
    blocks[0] = _blocks_per_multiprocessor(handles[kernel], threads, shared, _device())


class _Attribute(ctypes.Structure):
    _fields_ = (("id", c_int), ("padding", c_int), ("value", c_uint * 16))


class _Configuration(ctypes.Structure):
    _fields_ = (
        ("blocks", c_uint * 3),
        ("threads", c_uint * 3),
        ("shared", c_uint),
        ("stream", c_void_p),
        ("attributes", POINTER(_Attribute)),
        ("attribute_count", c_uint),
    )


@entry(POINTER(_Configuration), c_void_p, HANDLE, HANDLE)
def cuLaunchKernelEx(configuration, kernel, parameters, extra):
    c, loaded = configuration[0], handles[kernel]
    attributes = {c.attributes[i].id: c.attributes[i].value[0] for i in range(c.attribute_count)}
    sizes = enumerate(loaded.kernel.parameters)
    values = tuple(ctypes.string_at(parameters[i], size) for i, size in sizes)
    cooperative = bool(attributes.get(2))
    launch = Launch(loaded, tuple(c.blocks), tuple(c.threads), c.shared, cooperative, values, _device())
    _check(launch)
    if _stream(c.stream).device != launch.device:
        raise Refused(INVALID_HANDLE, f"{loaded.kernel.name}: a stream of another GPU")
    _submit(c.stream, functools.partial(_run, launch))
