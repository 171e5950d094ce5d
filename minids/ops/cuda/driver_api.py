"""What the NVIDIA driver offers and numba-cuda does not: graphs, asynchronous streams, more shared memory.

The simulator has functions of the same names; launch.py imports one or the other.
"""

import weakref

from cuda.bindings import driver as cu
from numba import cuda

from minids.ops.cuda.kernel_cache import enable_caching

__all__ = ["Graph", "Recorder", "allow_shared", "async_stream", "enable_caching", "make_cooperative"]

_allowed: dict = {}  # dynamic shared memory, by kernel and device


class Recorder:
    """A stream that records launches instead of starting them; `end` makes a graph of them."""

    def __init__(self) -> None:
        self.stream = async_stream()  # work on the default stream would interfere with any other kind
        self._handle = cu.CUstream(int(self.stream.handle))
        # relaxed: Python may free an array meanwhile, which makes a stricter recording fail
        mode = cu.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        _check(cu.cuStreamBeginCapture(self._handle, mode))

    def end(self) -> "Graph":
        answer = cu.cuStreamEndCapture(self._handle)
        _check(cu.cuStreamDestroy(self._handle))
        return Graph(_check(answer))


class Graph:
    """`launch()` starts all recorded kernels, in their order, on the default stream."""

    def __init__(self, graph) -> None:
        answer = cu.cuGraphInstantiate(graph, 0)
        _check(cu.cuGraphDestroy(graph))
        self._exec = _check(answer)
        weakref.finalize(self, cu.cuGraphExecDestroy, self._exec)

    def launch(self) -> None:
        _check(cu.cuGraphLaunch(self._exec, cu.CUstream(0)))


def async_stream():
    """A stream that does not wait for the default stream, nor the default stream for it."""
    flags = cu.CUstream_flags.CU_STREAM_NON_BLOCKING
    return cuda.external_stream(int(_check(cu.cuStreamCreate(flags))))


def allow_shared(kernel, arguments: tuple, size: int) -> None:
    """Let the blocks of a kernel have `size` bytes of dynamic shared memory; the default limit is 48 KB.

    The driver is called only if they may not yet: it may wait for the GPU.
    """
    number = cuda.get_current_device().id
    if _allowed.get((kernel, number), 0) >= size:
        return
    function = _compiled(kernel, arguments)._codelibrary.get_cufunc()
    attribute = cu.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    handle = cu.CUkernel(int(function.handle))
    _check(cu.cuKernelSetAttribute(attribute, size, handle, cu.CUdevice(number)))
    _allowed[kernel, number] = size


def make_cooperative(kernel, arguments: tuple) -> None:
    """Let the driver refuse a launch whose blocks do not all fit on the GPU at once.

    Numba does so only for kernels that call its own barrier of the grid.
    """
    _compiled(kernel, arguments).cooperative = True


def _compiled(kernel, arguments: tuple):
    """The machine code of a kernel for arguments of these types."""
    return kernel.compile(tuple(kernel.typeof_pyval(argument) for argument in arguments))


def _check(answer):
    """The value that a call of the driver returns after its status."""
    status, *values = answer
    if status != cu.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"the NVIDIA driver reports {status.name}")
    return values[0] if values else None
