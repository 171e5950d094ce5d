"""A CUDA you can step through: kernels run as plain Python, every thread of every block, one at a time.

With MINIDS_SIM=1 an object of the class `Cuda` takes the place of the module `numba.cuda`, so that the
kernels' own source runs here, unchanged, without a GPU and without a compiler: set a breakpoint in a kernel,
print in it. A thread is a greenlet. It runs until it waits for others (`syncthreads`, `shfl_xor_sync`, the
sync of a grid); once all have come, they go on. The order in which threads run is yours to choose (`order`):
a correct kernel gives the same in any.

What a GPU does in silence is an error here, a `KernelError` with the array, the element, and the threads:

    Race                two threads touch one element of shared or global memory, one of them writing, and no
                        barrier stands between
    DivergentBarrier    a barrier that some of the threads that it waits for never reach
    Uninitialized       shared memory that is read before anyone has written to it
    OutOfBounds         an index outside its array, negative ones too

Local arrays and new device arrays hold NaN. Every access of memory can be recorded (`traced`), every barrier
can be taken out (`without`): that is how tests prove that none may be missing.

Kernels index every dimension of an array, by integers. Not modelled: threads of a warp that overtake each
other, what 64-bit arithmetic costs, the limits of shared memory. Compiling finds the last two, see `offline`.
"""

import linecache
import math
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import numba
import numpy as np
from greenlet import getcurrent, greenlet
from numba.np.numpy_support import as_dtype

WARP = 32
MOST_THREADS = 1024  # of a block
MOST_SHARED = 227 * 1024  # bytes of a block, as on Hopper
RESIDENT = 8  # blocks that the simulated GPU can hold at once: as many may synchronize as a grid


class KernelError(RuntimeError):
    """A kernel did what a GPU would not have told."""


class Race(KernelError):
    """Two threads touched one element, one of them writing, and nothing orders them."""


class DivergentBarrier(KernelError):
    """Some of the threads that a barrier waits for never reach it."""


class Uninitialized(KernelError):
    """Shared memory was read that nobody had written."""


class OutOfBounds(KernelError):
    """An index outside its array."""


class Access(NamedTuple):
    """One access of an array by a thread. The epoch counts the barriers that the block has passed."""

    block: tuple[int, ...]
    thread: tuple[int, ...]
    array: str
    element: tuple[int, ...]
    kind: str  # "read" or "write"
    epoch: int


class Site(NamedTuple):
    """Where a barrier stands."""

    file: str
    line: int


class Dim3(NamedTuple):
    x: int
    y: int = 1
    z: int = 1


class Settings:
    """What a launch looks up: see `order`, `without`, `traced`, `barriers`, `launches`."""

    order: str = "forward"
    seed: int = 0
    without: Site | None = None
    trace: list[Access] | None = None
    barriers: set[Site] | None = None
    launches: set[tuple] | None = None


@contextmanager
def _setting(name: str, value: Any) -> Iterator[Any]:
    before = getattr(Settings, name)
    setattr(Settings, name, value)
    try:
        yield value
    finally:
        setattr(Settings, name, before)


@contextmanager
def order(name: str, seed: int = 0) -> Iterator[None]:
    """Threads and blocks run "forward", in "reverse", or in "random" order, drawn anew at every barrier."""
    with _setting("order", name), _setting("seed", seed):
        yield


def without(site: Site):
    """Take one barrier out of its kernel."""
    return _setting("without", site)


def traced():
    """`with traced() as accesses:` the list of all accesses of shared and global memory, in their order."""
    return _setting("trace", [])


def barriers():
    """`with barriers() as sites:` the set of all barriers of threads, warps and grids that are passed."""
    return _setting("barriers", set())


def launches():
    """`with launches() as kernels:` the set of all kernels that are launched, (name, Numba's types)."""
    return _setting("launches", set())


# Memory


class Stamp(NamedTuple):
    """Who, and after how many barriers of the grid, of the block, and of the warp since then."""

    thread: "Thread"
    grid: int
    block: int
    warp: int

    def before(self, other: "Stamp") -> bool:
        """Does a barrier, or the order within a thread, put this access before the other?"""
        mine, theirs = self.thread, other.thread
        if mine is theirs:
            return True
        if mine.block is not theirs.block:
            return self.grid < other.grid
        return self.block < other.block or (mine.warp == theirs.warp and self.warp < other.warp)


class Memory:
    """An array of shared or global memory as a kernel sees it, with a memory of who touched what."""

    def __init__(self, array: np.ndarray, name: str, launch: "Launch", shared: bool = False):
        self.shape, self.ndim, self.size, self.dtype = array.shape, array.ndim, array.size, array.dtype
        self._flat, self._name, self._launch, self._shared = array.reshape(-1), name, launch, shared
        self._address = array.__array_interface__["data"][0]  # views of one buffer share their elements

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index):
        position, launch = self._position(index), self._launch
        address, now = self._address + position * self.dtype.itemsize, launch.thread.stamp
        written = launch.written.get(address)
        if written is None:
            if self._shared:
                raise Uninitialized(f"{self._at(index)} is read, and nobody has written it")
        elif not written.before(now):
            raise Race(f"{self._at(index)} is read by {now.thread}, and written by {written.thread}")
        launch.read.setdefault(address, {})[now.thread] = now
        if launch.trace is not None:
            self._record(index, "read")
        return self._flat[position]

    def __setitem__(self, index, value) -> None:
        position, launch = self._position(index), self._launch
        address, now = self._address + position * self.dtype.itemsize, launch.thread.stamp
        written = launch.written.get(address)
        if written is not None and not written.before(now):
            raise Race(f"{self._at(index)} is written by {now.thread} and by {written.thread}")
        for read in launch.read.pop(address, {}).values():
            if not read.before(now):
                raise Race(f"{self._at(index)} is written by {now.thread}, and read by {read.thread}")
        launch.written[address] = now
        if launch.trace is not None:
            self._record(index, "write")
        self._flat[position] = value

    def _position(self, index) -> int:
        index = index if type(index) is tuple else (index,)
        if len(index) != self.ndim:
            raise TypeError(f"{self._name} has {self.ndim} dimensions: index each of them, by integers")
        position = 0
        for i, size in zip(index, self.shape, strict=True):
            if not 0 <= i < size:
                raise OutOfBounds(f"{self._at(index)} of the shape {self.shape}")
            position = position * size + int(i)
        return position

    def _at(self, index) -> str:
        index = index if type(index) is tuple else (index,)
        return f"{self._name}[{', '.join(str(i) for i in index)}]"

    def _record(self, index, kind: str) -> None:
        thread = self._launch.thread
        index = tuple(int(i) for i in (index if type(index) is tuple else (index,)))
        access = Access(thread.block.index, thread.index, self._name, index, kind, thread.stamp.block)
        self._launch.trace.append(access)  # type: ignore[union-attr]


class DeviceArray:
    """An array on the GPU as the host sees it: to be sliced, reshaped and copied, and nothing else."""

    def __init__(self, array: np.ndarray):
        self._array = array
        self.shape, self.dtype, self.ndim, self.size = array.shape, array.dtype, array.ndim, array.size
        self.nbytes, self.strides = array.nbytes, array.strides
        self.__cuda_array_interface__ = array.__array_interface__

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index) -> "DeviceArray":
        view = self._array[index]
        if not isinstance(view, np.ndarray):
            raise TypeError("reading one element waits for the GPU: use to_host")
        return DeviceArray(view)

    def __array__(self, *_, **__):
        raise TypeError("this array is on the GPU: use to_host")

    def reshape(self, *shape) -> "DeviceArray":
        if not self._array.flags.c_contiguous:
            raise ValueError("only contiguous arrays can be reshaped")
        return DeviceArray(self._array.reshape(*shape))

    def copy_to_host(self, ary: np.ndarray | None = None, stream: Any = 0) -> np.ndarray:
        if ary is None:
            return self._array.copy()
        ary[...] = self._array
        return ary

    def copy_to_device(self, ary, stream: Any = 0) -> None:
        np.copyto(self._array, ary._array if isinstance(ary, DeviceArray) else ary, casting="no")


def _poisoned(shape, dtype) -> np.ndarray:
    dtype = np.dtype(dtype)
    return np.full(shape, np.nan if dtype.kind == "f" else np.iinfo(dtype).min, dtype)


# Threads


class Block:
    def __init__(self, index: Dim3):
        self.index, self.epoch = tuple(index), 0
        self.threads: list[Thread] = []
        self.arrays: dict[Any, np.ndarray] = {}  # shared memory


class Thread:
    """One thread: a greenlet, its place, and what it waits for."""

    def __init__(self, index: Dim3, number: int, block: Block, run: Callable):
        self.index, self.block, self.greenlet = tuple(index), block, greenlet(run)
        self.threadIdx, self.blockIdx = index, Dim3(*block.index)
        self.lane, self.warp = number % WARP, number // WARP
        self.waits: Any = None  # for whom, where, and with which lanes
        self.gives: Any = None
        self.stamp = Stamp(self, 0, 0, 0)

    def __str__(self) -> str:
        return f"thread {self.index} of block {self.block.index}"


class Launch:
    """A grid of blocks of threads, from its start to its end."""

    def __init__(self, run: Callable, grid: Dim3, block: Dim3, shared: int):
        self.run, self.gridDim, self.blockDim, self.shared = run, grid, block, shared
        self.thread: Thread = None  # type: ignore[assignment]  # the one that runs
        self.written: dict[int, Stamp] = {}
        self.read: dict[int, dict[Thread, Stamp]] = {}
        self.trace, self.grid_epoch = Settings.trace, 0
        self.rng, self.host = random.Random(Settings.seed), getcurrent()

    def start(self) -> None:
        grid = self.gridDim
        indices = [Dim3(x, y, z) for z in range(grid.z) for y in range(grid.y) for x in range(grid.x)]
        blocks, waiting = [], []  # blocks are kept: another must not get the addresses of their memory
        for index in self.ordered(indices):
            blocks.append(self.block(index))
            if self.advance(blocks[-1]):
                waiting.append(blocks[-1])
        while waiting:
            sites = {thread.waits for block in waiting for thread in block.threads}
            if len(waiting) < len(blocks) or len(sites) > 1:
                raise DivergentBarrier(f"only {len(waiting)} of {len(blocks)} blocks reach the grid's sync")
            if len(blocks) > RESIDENT:
                raise DivergentBarrier(f"{len(blocks)} blocks wait for each other; {RESIDENT} fit on the GPU")
            self.grid_epoch += 1
            waiting = [block for block in self.ordered(blocks) if self.advance(block)]

    def block(self, index: Dim3) -> Block:
        block, size = Block(index), self.blockDim
        places = [Dim3(x, y, z) for z in range(size.z) for y in range(size.y) for x in range(size.x)]
        block.threads = [Thread(place, n, block, self.run) for n, place in enumerate(places)]
        return block

    def ordered(self, things: list) -> list:
        if Settings.order == "random":
            return self.rng.sample(things, len(things))
        return things[::-1] if Settings.order == "reverse" else things

    def advance(self, block: Block) -> bool:
        """Run a block until its threads have ended, False, or all wait for the grid, True."""
        ready = self.released(block, block.threads, None)
        while ready:
            for thread, received in ready:
                self.thread = thread
                try:
                    thread.greenlet.switch(received) if thread.greenlet else thread.greenlet.switch()
                except Exception as error:
                    error.add_note(f"in the simulated {thread}")
                    raise
            alive = [thread for thread in block.threads if not thread.greenlet.dead]
            ready = self.complete_warps(block, alive)
            if not ready and alive:
                self.check_together(block, alive)
                if alive[0].waits[0] == "grid":
                    return True
                ready = self.released(block, alive, [thread.gives for thread in alive])
        return False

    def released(self, block: Block, threads: list[Thread], received) -> list:
        """All pass the block's barrier."""
        block.epoch += 1
        for thread in threads:
            thread.waits = None
            thread.stamp = Stamp(thread, self.grid_epoch, block.epoch, 0)
        return [(thread, received) for thread in self.ordered(threads)]

    def complete_warps(self, block: Block, alive: list[Thread]) -> list:
        """Threads whose partners in a warp's exchange have all come, with what these gave: {lane: value}."""
        groups: dict[Any, list[Thread]] = {}
        for thread in alive:
            if thread.waits[0] in ("warp", "exchange"):
                groups.setdefault((thread.warp, thread.waits), []).append(thread)
        ready = []
        for (warp, (kind, _, mask)), group in groups.items():
            lanes = [thread for thread in block.threads if thread.warp == warp]
            if len(group) < sum(mask >> thread.lane & 1 for thread in lanes):
                continue
            gifts = {thread.lane: thread.gives for thread in group}
            for thread in self.ordered(group):
                thread.waits = None
                if kind == "warp" and len(group) == len(lanes):  # a part of a warp orders nothing
                    thread.stamp = thread.stamp._replace(warp=thread.stamp.warp + 1)
                ready.append((thread, gifts))
        return ready

    def check_together(self, block: Block, alive: list[Thread]) -> None:
        kinds = {thread.waits for thread in alive}
        if len(kinds) > 1 or len(alive) < len(block.threads) or alive[0].waits[0] in ("warp", "exchange"):
            lines = sorted({f"line {site.line}" for _, site, _ in kinds})
            gone = len(block.threads) - len(alive)
            raise DivergentBarrier(
                f"block {block.index}: {len(alive)} threads wait at {', '.join(lines)}, {gone} have ended"
            )

    def wait(self, kind: str, gives=None, mask: int = 0xFFFFFFFF):
        """Called by the thread that runs, from an operation that a kernel calls."""
        frame = sys._getframe(2)
        site = Site(frame.f_code.co_filename, frame.f_lineno)
        if kind != "exchange":
            if Settings.barriers is not None:
                Settings.barriers.add(site)
            if site == Settings.without:
                return {self.thread.lane: gives} if kind == "warp" else [gives]
        self.thread.waits, self.thread.gives = (kind, site, mask), gives
        return self.host.switch()


# The module that kernels know as `cuda`


class Kernel:
    """A compiled kernel's double: kernel[grid, block, stream, shared bytes](*arguments)."""

    def __init__(self, py_func: Callable):
        self.py_func, self.__name__ = py_func, py_func.__name__
        self.shared_allowed = 48 * 1024

    def __getitem__(self, configuration: tuple) -> Callable:
        grid, block, stream, shared = (*configuration, 0, 0)[:4]
        return partial(self._start, _dim3(grid), _dim3(block), stream, shared)

    def _start(self, grid: Dim3, block: Dim3, stream, shared: int, *arguments) -> None:
        if isinstance(stream, Recorder):
            stream.launches.append(partial(self._start, grid, block, 0, shared, *arguments))
            return
        if block.x * block.y * block.z > MOST_THREADS or 0 in (*grid, *block):
            raise ValueError(f"{self.__name__}: a GPU cannot launch {grid} blocks of {block} threads")
        if shared > self.shared_allowed:
            raise ValueError(
                f"{self.__name__}: {shared} bytes of shared memory, {self.shared_allowed} allowed"
            )
        launch = Launch(lambda: self._thread(seen), grid, block, shared)
        if Settings.launches is not None:
            hosts = (a._array if isinstance(a, DeviceArray) else a for a in arguments)
            Settings.launches.add((self.__name__, tuple(numba.typeof(value) for value in hosts)))
        names = self.py_func.__code__.co_varnames
        seen = [_argument(value, name, launch) for name, value in zip(names, arguments, strict=False)]
        running, cuda = cuda_module().launch, cuda_module()
        cuda.launch = launch
        try:
            launch.start()
        finally:
            cuda.launch = running

    def _thread(self, arguments: list) -> None:
        with np.errstate(all="ignore"):  # a GPU does not warn either
            self.py_func(*arguments)


class Recorder:
    """A stream that remembers launches instead of starting them: a CUDA graph's double."""

    def __init__(self) -> None:
        self.stream = self
        self.launches: list[Callable[[], None]] = []

    def end(self) -> "Recorder":
        return self

    def launch(self) -> None:
        for start in self.launches:
            start()


class _Shared:
    def __init__(self, cuda: "Cuda"):
        self._cuda = cuda

    def array(self, shape, dtype, alignment: int | None = None) -> Memory:
        """The block's array of this line. Shape 0: the dynamic shared memory of the launch."""
        launch, frame, dtype = self._cuda.launch, sys._getframe(1), as_dtype(dtype)
        name = linecache.getline(frame.f_code.co_filename, frame.f_lineno).split("=")[0].strip() or "shared"
        arrays = launch.thread.block.arrays
        if shape == 0:
            if "dynamic" not in arrays:
                arrays["dynamic"] = np.zeros(-(-launch.shared // 16) * 2, np.complex128).view(np.uint8)
            return Memory(arrays["dynamic"][: launch.shared].view(dtype), name, launch, shared=True)
        place = (frame.f_code, frame.f_lasti)
        if place not in arrays:
            arrays[place] = _poisoned(shape, dtype)
        return Memory(arrays[place], name, launch, shared=True)


class _Local:
    def array(self, shape, dtype, alignment: int | None = None) -> np.ndarray:
        return _poisoned(shape, as_dtype(dtype))


class _Grid:
    def __init__(self, launch: Launch):
        self._launch = launch

    def sync(self) -> None:
        self._launch.wait("grid")


class _CooperativeGroups:
    def __init__(self, cuda: "Cuda"):
        self._cuda = cuda

    def this_grid(self) -> _Grid:
        return _Grid(self._cuda.launch)


class Cuda(ModuleType):
    """What kernels and the host use of `numba.cuda`, and no more."""

    def __init__(self) -> None:
        super().__init__("numba.cuda")
        self.launch: Launch = None  # type: ignore[assignment]  # the one that runs
        self.shared, self.local, self.cg = _Shared(self), _Local(), _CooperativeGroups(self)

    def jit(self, function: Callable | None = None, *, device: bool = False, **options):
        if function is None:
            return partial(self.jit, device=device)
        for name, meaning in _DEVICE_MEANINGS.items():
            if name != "math" or "math" in function.__globals__:
                function.__globals__[name] = meaning
        return function if device else Kernel(function)

    # Where a thread is

    threadIdx = property(lambda self: self.launch.thread.threadIdx)
    blockIdx = property(lambda self: self.launch.thread.blockIdx)
    blockDim = property(lambda self: self.launch.blockDim)
    gridDim = property(lambda self: self.launch.gridDim)
    laneid = property(lambda self: self.launch.thread.lane)

    def grid(self, ndim: int):
        place = [b * n + t for b, n, t in zip(self.blockIdx, self.blockDim, self.threadIdx, strict=True)]
        return place[0] if ndim == 1 else tuple(place[:ndim])

    def gridsize(self, ndim: int):
        sizes = [b * n for b, n in zip(self.gridDim, self.blockDim, strict=True)]
        return sizes[0] if ndim == 1 else tuple(sizes[:ndim])

    # What threads wait for

    def syncthreads(self) -> None:
        self.launch.wait("block")

    def syncwarp(self, mask: int = 0xFFFFFFFF) -> None:
        self.launch.wait("warp", None, mask)

    def shfl_sync(self, mask: int, value, lane: int):
        return self._from_lane(self.launch.wait("exchange", value, mask), lane % WARP, value)

    def shfl_up_sync(self, mask: int, value, delta: int):
        return self._from_lane(self.launch.wait("exchange", value, mask), self.laneid - delta, value)

    def shfl_down_sync(self, mask: int, value, delta: int):
        return self._from_lane(self.launch.wait("exchange", value, mask), self.laneid + delta, value)

    def shfl_xor_sync(self, mask: int, value, bits: int):
        return self._from_lane(self.launch.wait("exchange", value, mask), self.laneid ^ bits, value)

    def exchange(self, value) -> dict[int, Any]:
        """Each lane of a warp gives a value and gets {lane: value}: for doubles of a warp's instructions."""
        return self.launch.wait("exchange", value)

    def _from_lane(self, values: dict[int, Any], lane: int, own):
        if not 0 <= lane < WARP:
            return own
        if lane not in values:
            raise DivergentBarrier(f"{self.launch.thread} asks lane {lane}, which takes no part")
        return values[lane]

    # The host's side

    def device_array(self, shape, dtype=np.float32) -> DeviceArray:
        return DeviceArray(_poisoned(shape, dtype))

    def pinned_array(self, shape, dtype=np.float32) -> np.ndarray:
        return np.empty(shape, dtype)

    def to_device(self, array: np.ndarray, stream: Any = 0) -> DeviceArray:
        return DeviceArray(np.array(array, order="C"))

    def synchronize(self) -> None:
        pass


def install() -> None:
    """Let `from numba import cuda` give the simulator, in this process."""
    if not isinstance(sys.modules.get("numba.cuda"), Cuda):
        sys.modules["numba.cuda"] = numba.cuda = Cuda()


class FreeStream:
    """The double of native.free_stream's: what it copies is there at once."""

    def synchronize(self) -> None:
        pass


free_stream = FreeStream


def allow_shared(kernel: Kernel, arguments: tuple, size: int) -> None:
    """The double of native.allow_shared."""
    if size > MOST_SHARED:
        raise ValueError(f"{kernel.__name__}: a block has at most {MOST_SHARED} bytes of shared memory")
    kernel.shared_allowed = size


def cuda_module() -> Cuda:
    return sys.modules["numba.cuda"]  # type: ignore[return-value]


def _dim3(size) -> Dim3:
    return Dim3(*size) if isinstance(size, tuple) else Dim3(size)


def _argument(value, name: str, launch: Launch):
    if isinstance(value, DeviceArray):
        if not value._array.flags.c_contiguous:
            raise TypeError(f"{name}: kernels take contiguous arrays")
        return Memory(value._array, name, launch)
    if isinstance(value, float | np.float64 | np.ndarray):
        raise TypeError(f"{name}: kernels take device arrays, integers and np.float32, not {type(value)}")
    return value


class _Math:
    """`math` as on a GPU: float32 gives float32, and log 0 is -inf."""

    def __getattr__(self, name: str):
        return getattr(np, name, None) or getattr(math, name)


def _minimum(*values, **options):
    """`min` as on a GPU: of a number and NaN it gives the number."""
    return np.fmin(*values) if _float32(values) else min(*values, **options)


def _maximum(*values, **options):
    """`max` as on a GPU: of a number and NaN it gives the number."""
    return np.fmax(*values) if _float32(values) else max(*values, **options)


def _float32(values) -> bool:
    return len(values) == 2 and any(isinstance(value, np.float32) for value in values)


_DEVICE_MEANINGS = {"math": _Math(), "min": _minimum, "max": _maximum}
