"""The functions of libcuda that numba-cuda and its packages call, under their names."""

import ctypes
import functools
import threading
import time
from ctypes import POINTER, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

from tests.ops.cuda.executor import ptx
from tests.ops.cuda.executor.driver import (
    CAPTURE_UNSUPPORTED,
    DEFAULT_SHARED,
    FOLDER,
    INVALID_CONTEXT,
    INVALID_HANDLE,
    INVALID_VALUE,
    NOT_FOUND,
    OUT_OF_MEMORY,
    PAGE,
    REGISTERS,
    Allocation,
    Launch,
    LoadedKernel,
    Refused,
    Stream,
    allocations,
    blocks_per_multiprocessor,
    check,
    contexts,
    current,
    current_device,
    fill_around,
    finish,
    finish_everything,
    gpus,
    handles,
    is_recording,
    problems,
    run,
    run_all,
    stream_of,
    submit,
)

NAMES = {0: "SUCCESS", 1: "INVALID_VALUE", 2: "OUT_OF_MEMORY", 201: "INVALID_CONTEXT", 400: "INVALID_HANDLE"}
NAMES |= {500: "NOT_FOUND", 701: "LAUNCH_OUT_OF_RESOURCES", 719: "LAUNCH_FAILED", 999: "UNKNOWN"}
NAMES |= {720: "COOPERATIVE_LAUNCH_TOO_LARGE", 900: "STREAM_CAPTURE_UNSUPPORTED"}
NAMES |= {901: "STREAM_CAPTURE_INVALIDATED"}

_lock = threading.RLock()
_entries: dict[str, Any] = {}
_next_handle = iter(range(0x10000, 2**40, 0x10))


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
def find(name):
    found = _entries.get(name.decode().removesuffix("_ptsz").removesuffix("_v2"))
    return ctypes.cast(found, c_void_p).value if found else None


def _new(value: Any) -> int:
    handle = next(_next_handle)
    handles[handle] = value
    return handle


INT, UINT, SIZE, HANDLE = POINTER(c_int), POINTER(c_uint), POINTER(c_size_t), POINTER(c_void_p)


@entry(c_uint)
def cuInit(flags):
    pass


@entry(INT)
def cuDriverGetVersion(version):
    version[0] = min(gpu.cuda for gpu in gpus)


@entry(INT)
def cuDeviceGetCount(count):
    count[0] = len(gpus)


@entry(INT, c_int)
def cuDeviceGet(device, number):
    if number >= len(gpus):
        raise Refused(101)
    device[0] = number


@entry(c_void_p, c_int, c_int)
def cuDeviceGetName(name, size, device):
    ctypes.memmove(name, gpus[device].name.encode() + b"\0", len(gpus[device].name) + 1)


@entry(c_void_p, c_int)
def cuDeviceGetUuid(uuid, device):
    ctypes.memmove(uuid, bytes([device] * 16), 16)


@entry(INT, c_int, c_int)
def cuDeviceGetAttribute(value, attribute, device):
    gpu = gpus[device]
    values = {16: gpu.multiprocessors, 75: gpu.capability[0], 76: gpu.capability[1], 97: gpu.shared}
    values |= {8: DEFAULT_SHARED, 10: 32, 13: 1_980_000, 33: device}  # kHz; the PCI bus
    values |= {1: 1024, 2: 1024, 3: 1024, 4: 64, 5: 2**31 - 1, 6: 65535, 7: 65535, 12: REGISTERS, 95: 1}
    value[0] = values.get(attribute, 0)


@entry(SIZE, c_int)
def cuDeviceTotalMem(size, device):
    size[0] = gpus[device].memory << 30


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
    context[0] = (getattr(current, "stack", None) or [None])[-1]


@entry(c_void_p)
def cuCtxSetCurrent(context):
    current.stack = [*getattr(current, "stack", [])[:-1], context]


@entry(c_void_p)
def cuCtxPushCurrent(context):
    current.stack = [*getattr(current, "stack", []), context]


@entry(HANDLE)
def cuCtxPopCurrent(context):
    if not getattr(current, "stack", None):
        raise Refused(INVALID_CONTEXT)
    popped = current.stack.pop()
    if context:
        context[0] = popped


@entry(INT)
def cuCtxGetDevice(device):
    device[0] = current_device()


@entry(c_void_p, HANDLE)
def cuStreamGetCtx(stream, context):
    context[0] = 0x7000 + stream_of(stream).device


@entry(c_void_p, INT)
def cuStreamGetDevice(stream, device):
    device[0] = stream_of(stream).device


@entry()
def cuCtxSynchronize():
    if is_recording(current_device()):
        raise Refused(CAPTURE_UNSUPPORTED, "something waits for a GPU while one of its streams is captured")
    finish_everything()


# Memory

libc = ctypes.CDLL(None)
libc.mmap.restype = c_void_p


@entry(POINTER(c_uint64), c_size_t)
def cuMemAlloc(pointer, size):
    device = current_device()
    free = (gpus[device].memory << 30) - sum(a.size for a in allocations.values() if a.device == device)
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
    fill_around(array)
    if size < 1 << 28:  # larger ones are zero, and take only the memory that is used of them
        ctypes.memset(address, 0xFF, size)
    pointer[0] = address


@entry(c_uint64)
def cuMemFree(pointer):
    current_device()
    if pointer not in allocations:
        raise Refused(INVALID_VALUE, "memory is freed that is not allocated")
    finish_everything()  # as the driver does
    freed = allocations.pop(pointer)
    libc.madvise(c_void_p(freed.base), c_size_t(freed.pages), 4)  # its memory, but not its address, is free
    libc.mprotect(c_void_p(freed.base), c_size_t(freed.pages), 0)


@entry(SIZE, SIZE)
def cuMemGetInfo(free, total):
    used = sum(array.size for array in allocations.values() if array.device == current_device())
    total[0] = gpus[current_device()].memory << 30
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
    finish(stream_of(0))
    _copy(to, source, size, to)


@entry(c_void_p, c_uint64, c_size_t)
def cuMemcpyDtoH(to, source, size):
    finish(stream_of(0))
    _copy(to, source, size, source)


@entry(c_uint64, c_uint64, c_size_t)
def cuMemcpyDtoD(to, source, size):
    submit(0, functools.partial(_copy, to, source, size, to, source))


@entry(c_uint64, c_void_p, c_size_t, c_void_p)
def cuMemcpyHtoDAsync(to, source, size, stream):
    submit(stream, functools.partial(_copy, to, source, size, to))


@entry(c_void_p, c_uint64, c_size_t, c_void_p)
def cuMemcpyDtoHAsync(to, source, size, stream):
    submit(stream, functools.partial(_copy, to, source, size, source))


@entry(HANDLE, c_size_t, c_uint)
def cuMemHostAlloc(pointer, size, flags):
    memory = ctypes.create_string_buffer(b"\xff" * size, size + 64)
    pointer[0] = handle = -(-ctypes.addressof(memory) // 64) * 64
    handles[handle] = memory


@entry(c_void_p)
def cuMemFreeHost(pointer):
    finish_everything()
    del handles[pointer]


@entry(c_void_p, c_int, c_uint64)
def cuPointerGetAttribute(value, attribute, pointer):
    device = next((a.device for a in allocations.values() if a.address <= pointer < a.address + a.size), 0)
    numbers = {2: 2, 9: device}  # its type, "device memory"; its GPU. Others are addresses
    kind = c_int if attribute in numbers else c_uint64
    ctypes.cast(value, POINTER(kind))[0] = numbers.get(attribute, pointer)


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
    stream[0] = _new(Stream(current_device(), waits=not flags & 1))


@entry(c_void_p)
def cuStreamDestroy(stream):
    run_all(stream_of(stream))
    del handles[stream]


@entry(c_void_p)
def cuStreamSynchronize(stream):
    finish(stream_of(stream))


@entry(c_void_p, c_int)
def cuStreamBeginCapture(stream, mode):
    stream_of(stream).recorded = []


@entry(c_void_p, HANDLE)
def cuStreamEndCapture(stream, graph):
    graph[0] = _new(stream_of(stream).recorded)
    stream_of(stream).recorded = None


@entry(HANDLE, c_void_p, c_uint64)
def cuGraphInstantiate(executable, graph, flags):
    executable[0] = _new(list(handles[graph]))


_entries["cuGraphInstantiateWithFlags"] = _entries["cuGraphInstantiate"]


@entry(c_void_p)
def cuGraphDestroy(graph):
    del handles[graph]


@entry(c_void_p)
def cuGraphExecDestroy(executable):
    finish_everything()
    del handles[executable]


@entry(c_void_p, c_void_p)
def cuGraphLaunch(executable, stream):
    for work in handles[executable]:
        submit(stream, work)


@entry(HANDLE, c_uint)
def cuEventCreate(event, flags):
    event[0] = _new([0.0])


@entry(c_void_p, c_void_p)
def cuEventRecord(event, stream):
    def note_the_time():
        handles[event][0] = time.perf_counter()

    submit(stream, note_the_time)


@entry(c_void_p)
def cuEventSynchronize(event):
    finish_everything()


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
    cuKernelGetAttribute(value, attribute, kernel, current_device())


@entry(c_int, c_int, c_void_p, c_int)
def cuKernelSetAttribute(attribute, value, kernel, device):
    if value + handles[kernel].kernel.static_shared > gpus[device].shared:
        raise Refused(INVALID_VALUE, f"{value} bytes of shared memory, the GPU has {gpus[device].shared}")
    handles[kernel].allowed[device] = value


@entry(INT, c_void_p, c_int, c_size_t)
def cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, kernel, threads, shared):
    blocks[0] = blocks_per_multiprocessor(handles[kernel], threads, shared, current_device())


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
    cooperative, device = bool(attributes.get(2)), current_device()
    launch = Launch(loaded, tuple(c.blocks), tuple(c.threads), c.shared, cooperative, values, device)
    check(launch)
    if stream_of(c.stream).device != launch.device:
        raise Refused(INVALID_HANDLE, f"{loaded.kernel.name}: a stream of another GPU")
    submit(c.stream, functools.partial(run, launch))
