"""What numba-cuda does not offer and the NVIDIA driver does: graphs, free streams, more shared memory.

The simulator has doubles of these names; `launch` takes those or these.
"""

import weakref

from cuda.bindings import driver as cu
from numba import cuda


class Recorder:
    """A stream on which launches are not started but remembered; `end` makes a graph of them."""

    def __init__(self) -> None:
        self.stream = free_stream()  # any other would be disturbed by work on the default one
        self._handle = cu.CUstream(int(self.stream.handle))
        # relaxed: Python may free an array meanwhile, which a stricter recording would not survive
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


def free_stream():
    """A stream that does not wait for the default one, nor that for it."""
    flags = cu.CUstream_flags.CU_STREAM_NON_BLOCKING
    return cuda.external_stream(int(_check(cu.cuStreamCreate(flags))))


def allow_shared(kernel, arguments: tuple, size: int) -> None:
    """Let a kernel have so many bytes of dynamic shared memory: a driver gives 48 KB unasked."""
    function = _compiled(kernel, arguments)._codelibrary.get_cufunc()
    attribute = cu.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    device = cu.CUdevice(cuda.get_current_device().id)
    _check(cu.cuKernelSetAttribute(attribute, size, cu.CUkernel(int(function.handle)), device))


def _compiled(kernel, arguments: tuple):
    """A kernel's machine code for arguments of these types."""
    return kernel.compile(tuple(kernel.typeof_pyval(argument) for argument in arguments))


def _check(answer):
    """What a call of the driver returns after its status."""
    status, *values = answer
    if status != cu.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"the NVIDIA driver refuses: {status.name}")
    return values[0] if values else None
