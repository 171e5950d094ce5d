"""A CUDA graph: launches recorded once, started together. numba-cuda does not offer it, the driver does."""

from cuda.bindings import driver as cu
from numba import cuda


class Recorder:
    """A stream on which launches are not started but remembered; `end` makes a graph of them."""

    def __init__(self) -> None:
        self.stream = cuda.stream()
        self._handle = cu.CUstream(int(self.stream.handle))
        _check(
            cu.cuStreamBeginCapture(self._handle, cu.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
        )

    def end(self) -> "Graph":
        return Graph(_check(cu.cuStreamEndCapture(self._handle)))


class Graph:
    """`launch()` starts all recorded kernels, in their order, on the default stream."""

    def __init__(self, graph) -> None:
        self._exec = _check(cu.cuGraphInstantiate(graph, 0))
        _check(cu.cuGraphDestroy(graph))

    def launch(self) -> None:
        _check(cu.cuGraphLaunch(self._exec, cu.CUstream(0)))

    def __del__(self) -> None:
        cu.cuGraphExecDestroy(self._exec)


def _check(answer):
    """What a call of the driver returns after its status."""
    status, *values = answer
    if status != cu.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"the NVIDIA driver refuses a CUDA graph: {status.name}")
    return values[0] if values else None
