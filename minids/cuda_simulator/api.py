"""`cuda` as kernels and the host see it: the part of `numba.cuda` that minids uses."""

import linecache
import math
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from minids.cuda_simulator.errors import DivergentBarrier
from minids.cuda_simulator.memory import DeviceArray, Memory, poisoned
from minids.cuda_simulator.options import Options
from minids.cuda_simulator.scheduler import ALL_LANES, WARP_SIZE, Dim3, Launch

MAX_THREADS = 1024  # per block
DEFAULT_SHARED_BYTES = 48 * 1024  # of dynamic shared memory that a block may have without `allow_shared`
MAX_SHARED_BYTES = 227 * 1024  # with it, as on Hopper


class Kernel:
    """Stands for a compiled kernel: kernel[grid, block, stream, shared_bytes](*arguments)."""

    def __init__(self, py_func: Callable):
        self.py_func, self.__name__ = py_func, py_func.__name__
        self.max_shared_bytes = DEFAULT_SHARED_BYTES

    def __getitem__(self, configuration: tuple) -> Callable:
        grid, block, stream, shared_bytes = (*configuration, 0, 0)[:4]
        return partial(self._start, _dim3(grid), _dim3(block), stream, shared_bytes)

    def _start(self, grid: Dim3, block: Dim3, stream, shared_bytes: int, *arguments) -> None:
        if isinstance(stream, Recorder):
            stream.launches.append(partial(self._start, grid, block, 0, shared_bytes, *arguments))
            return
        if block.x * block.y * block.z > MAX_THREADS or 0 in (*grid, *block):
            raise ValueError(f"{self.__name__}: a GPU cannot launch {grid} blocks of {block} threads")
        if shared_bytes > self.max_shared_bytes:
            raise ValueError(
                f"{self.__name__}: {shared_bytes} bytes of shared memory, {self.max_shared_bytes} allowed"
            )
        if Options.launches is not None:
            Options.launches.add((self.__name__, _types(arguments)))
        launch = Launch(lambda: self._thread(parameters), grid, block, shared_bytes)
        names = self.py_func.__code__.co_varnames
        parameters = [_parameter(value, name, launch) for name, value in zip(names, arguments, strict=False)]
        with _ONE_LAUNCH:
            outer, cuda.launch = cuda.launch, launch
            try:
                launch.run()
            finally:
                cuda.launch = outer

    def _thread(self, parameters: list) -> None:
        with np.errstate(all="ignore"):  # a GPU does not warn, either
            self.py_func(*parameters)


_ONE_LAUNCH = threading.RLock()  # host threads take turns on the simulated GPU


class Recorder:
    """A stream that records launches instead of starting them; stands for a CUDA graph as well."""

    def __init__(self) -> None:
        self.stream = self
        self.launches: list[Callable[[], None]] = []

    def end(self) -> "Recorder":
        return self

    def launch(self) -> None:
        for start in self.launches:
            start()


class _Stream:
    def synchronize(self) -> None:
        pass


def async_stream() -> _Stream:
    """Stands for driver_api.async_stream: a copy is complete as soon as it is started."""
    return _Stream()


def allow_shared(kernel: Kernel, arguments: tuple, size: int) -> None:
    """Stands for driver_api.allow_shared."""
    if size > MAX_SHARED_BYTES:
        raise ValueError(f"{kernel.__name__}: a block has at most {MAX_SHARED_BYTES} bytes of shared memory")
    kernel.max_shared_bytes = size


def make_cooperative(kernel: Kernel, arguments: tuple) -> None:
    """Stands for driver_api.make_cooperative: the scheduler notices blocks that do not fit."""


def enable_caching(kernel: Kernel) -> None:
    """Stands for kernel_cache.enable_caching: there is no machine code to keep."""


class _Shared:
    def array(self, shape, dtype, alignment: int | None = None) -> Memory:
        """The block's array declared on this line. Shape 0: the launch's dynamic shared memory."""
        launch, frame, dtype = cuda.launch, sys._getframe(1), _numpy_dtype(dtype)
        name = linecache.getline(frame.f_code.co_filename, frame.f_lineno).split("=")[0].strip() or "shared"
        arrays = launch.thread.block.shared_arrays
        if shape == 0:
            if "dynamic" not in arrays:
                arrays["dynamic"] = np.zeros(-(-launch.shared_bytes // 16) * 2, np.complex128).view(np.uint8)
            return Memory(arrays["dynamic"][: launch.shared_bytes].view(dtype), name, launch, shared=True)
        site = (frame.f_code, frame.f_lasti)
        if site not in arrays:
            arrays[site] = poisoned(shape, dtype)
        return Memory(arrays[site], name, launch, shared=True)


class _Local:
    def array(self, shape, dtype, alignment: int | None = None) -> np.ndarray:
        return poisoned(shape, _numpy_dtype(dtype))


class _Grid:
    def sync(self) -> None:
        cuda.launch.wait("grid")


class _CooperativeGroups:
    def this_grid(self) -> _Grid:
        return _Grid()


class Cuda:
    """The part of `numba.cuda` that kernels and the host use."""

    def __init__(self) -> None:
        self.launch: Launch = None  # type: ignore[assignment]  # the one that is running
        self.shared, self.local, self.cg = _Shared(), _Local(), _CooperativeGroups()
        self.gpus = (nullcontext(),)

    def __getattr__(self, name: str):
        message = f"the simulator does not have cuda.{name}"
        if name == "atomic":
            message = (
                "the simulator has no atomics: let one thread write each element, and add up the results of"
                " several threads in shared memory, with a barrier in between"
            )
        raise AttributeError(message)

    def jit(self, function: Callable | None = None, *, device: bool = False, **options):
        if function is None:
            return partial(self.jit, device=device)
        for name, meaning in _DEVICE_MEANINGS.items():
            if name != "math" or "math" in function.__globals__:
                function.__globals__[name] = meaning
        return function if device else Kernel(function)

    # Indices of the running thread

    threadIdx = property(lambda self: self.launch.thread.threadIdx)
    blockIdx = property(lambda self: self.launch.thread.blockIdx)
    blockDim = property(lambda self: self.launch.blockDim)
    gridDim = property(lambda self: self.launch.gridDim)
    laneid = property(lambda self: self.launch.thread.lane)

    def grid(self, ndim: int):
        index = [b * n + t for b, n, t in zip(self.blockIdx, self.blockDim, self.threadIdx, strict=True)]
        return index[0] if ndim == 1 else tuple(index[:ndim])

    def gridsize(self, ndim: int):
        sizes = [b * n for b, n in zip(self.gridDim, self.blockDim, strict=True)]
        return sizes[0] if ndim == 1 else tuple(sizes[:ndim])

    # Asynchronous copies, see minids.ops.cuda.vector_io

    def commit_copies(self) -> None:
        self.launch.thread.copies.append([])

    def wait_copies(self, n: int) -> None:
        copies = self.launch.thread.copies
        while len(copies) - 1 > n:
            for memory, position, value in copies.pop(0):
                memory.complete_copy(position, value)

    # Barriers and shuffles

    def syncthreads(self) -> None:
        self.launch.wait("block")

    def syncwarp(self, mask: int = ALL_LANES) -> None:
        self.launch.wait("warp", None, mask)

    def shfl_sync(self, mask: int, value, lane: int):
        return self._from_lane(self.launch.wait("exchange", value, mask), lane % WARP_SIZE, value)

    def shfl_up_sync(self, mask: int, value, delta: int):
        return self._from_lane(self.launch.wait("exchange", value, mask), self.laneid - delta, value)

    def shfl_down_sync(self, mask: int, value, delta: int):
        return self._from_lane(self.launch.wait("exchange", value, mask), self.laneid + delta, value)

    def shfl_xor_sync(self, mask: int, value, bits: int):
        return self._from_lane(self.launch.wait("exchange", value, mask), self.laneid ^ bits, value)

    def exchange(self, value) -> dict[int, Any]:
        """Each lane of a warp passes a value and gets {lane: value}: to imitate a warp's instructions."""
        return self.launch.wait("exchange", value)

    def _from_lane(self, values: dict[int, Any], lane: int, own_value):
        if not 0 <= lane < WARP_SIZE:
            return own_value
        if lane not in values:
            raise DivergentBarrier(f"{self.launch.thread} reads from lane {lane}, which does not take part")
        return values[lane]

    # Host

    def device_array(self, shape, dtype=np.float32) -> DeviceArray:
        return DeviceArray(poisoned(shape, dtype))

    def pinned_array(self, shape, dtype=np.float32) -> np.ndarray:
        return np.empty(shape, dtype)

    def to_device(self, array: np.ndarray, stream: Any = 0) -> DeviceArray:
        return DeviceArray(np.array(array, order="C"))

    def synchronize(self) -> None:
        pass


cuda = Cuda()


def _numpy_dtype(dtype) -> np.dtype:
    """Of a Numba type, such as numba.float32."""
    from numba.np.numpy_support import as_dtype

    return as_dtype(dtype)


def _types(arguments: tuple) -> tuple:
    import numba

    return tuple(numba.typeof(a._array if isinstance(a, DeviceArray) else a) for a in arguments)


def _dim3(size) -> Dim3:
    return Dim3(*size) if isinstance(size, tuple) else Dim3(size)


def _parameter(value, name: str, launch: Launch):
    if isinstance(value, DeviceArray):
        if not value.is_c_contiguous():
            raise TypeError(f"{name}: kernels take contiguous arrays")
        return Memory(value._array, name, launch)
    if isinstance(value, float | np.float64 | np.ndarray):
        raise TypeError(f"{name}: kernels take device arrays, integers and np.float32, not {type(value)}")
    return value


class _Math:
    """`math` as on a GPU: float32 in, float32 out, and log 0 is -inf."""

    def __getattr__(self, name: str):
        return getattr(np, name, None) or getattr(math, name)


def _minimum(*values, **options):
    """`min` as on a GPU: of a number and NaN it returns the number."""
    return np.fmin(*values) if _is_float32(values) else min(*values, **options)


def _maximum(*values, **options):
    """`max` as on a GPU: of a number and NaN it returns the number."""
    return np.fmax(*values) if _is_float32(values) else max(*values, **options)


def _is_float32(values) -> bool:
    return len(values) == 2 and any(isinstance(value, np.float32) for value in values)


_DEVICE_MEANINGS = {"math": _Math(), "min": _minimum, "max": _maximum}
