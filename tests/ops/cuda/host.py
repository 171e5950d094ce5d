"""The host's half of the GPU's code, without a GPU: python -m tests.ops.cuda.host

The simulator has arrays and launches of its own. Here they are numba-cuda's, up to the moment when the driver
would start a kernel: arrays "on the device" lie in the host's memory, the driver's calls succeed and do
nothing, and of each launch remains what it would be compiled for. Numbers are not computed.

Prints the kernels that were launched, and ends with an error for one that is launched with other types than
it is registered for, or whose arguments cannot be handed to the driver.
"""

import ctypes
from contextlib import nullcontext
from types import SimpleNamespace
from unittest import mock

import numpy as np
from cuda.bindings import driver as bindings
from cuda.core._kernel_arg_handler import ParamHolder
from numba import cuda
from numba.cuda import dispatcher
from numba.cuda.cudadrv import devices, driver

from minids import DeepSpeech, ctc_loss, ops
from minids.model import ModelSettings
from minids.ops import driver as found

HANDLES = {
    "cuStreamCreate": bindings.CUstream(7),
    "cuStreamEndCapture": bindings.CUgraph(7),
    "cuGraphInstantiate": bindings.CUgraphExec(7),
}
H200 = SimpleNamespace(
    id=0,
    MULTIPROCESSOR_COUNT=132,
    MAX_SHARED_MEMORY_PER_BLOCK_OPTIN=227 * 1024,
    COOPERATIVE_LAUNCH=1,
    compute_capability=(9, 0),
)
launched = set()


class Driver:
    """cuda.bindings.driver, whose calls succeed and do nothing. A call that it has not is an error."""

    def __getattr__(self, name):
        real = getattr(bindings, name)
        if isinstance(real, type):
            return real
        answer = [bindings.CUresult.CUDA_SUCCESS, *([HANDLES[name]] if name in HANDLES else [])]
        return lambda *_: answer


class Context:
    device = H200
    memory: list = []  # noqa: RUF012  (kept to the end of the process)

    def memalloc(self, size):
        self.memory.append(np.full(size, 255, np.uint8))
        at = bindings.CUdeviceptr(self.memory[-1].ctypes.data)
        return driver.MemoryPointer(self, at, size)

    def memhostalloc(self, size):
        return np.empty(size, np.uint8)

    def create_external_stream(self, handle):
        return driver.Stream(bindings.CUstream(handle), external=True)


def to_device(there, here, size, stream=0):
    assert size == here.nbytes
    ctypes.memmove(there.device_ctypes_pointer.value, here.ctypes.data, size)


def to_host(here, there, size, stream=0):
    assert size == here.nbytes
    ctypes.memmove(here.ctypes.data, there.device_ctypes_pointer.value, size)


def launch(self, arguments, configuration):
    """Instead of numba-cuda's, which would now compile the kernel: only the arguments are made ready."""
    types = tuple(self.typeof_pyval(argument) for argument in arguments)
    ready: list = []
    for kind, argument in zip(types, arguments, strict=True):
        dispatcher._Kernel._prepare_args(SimpleNamespace(extensions=[]), kind, argument, 0, [], ready)
    ParamHolder(tuple(ready))
    launched.add((self.py_func.__name__, types))


def pretend():
    """A GPU that takes everything and does nothing."""
    context = Context()
    runtime = mock.Mock(get_or_create_context=lambda *_: context, ensure_context=nullcontext)
    for module, name, value in (
        (found, "found", lambda: True),
        (found, "version", lambda: found.CUDA),
        (found, "capability", lambda: (9, 0)),
        (devices, "_runtime", runtime),
        (cuda, "get_current_device", lambda: H200),
        (driver, "host_to_device", to_device),
        (driver, "device_to_host", to_host),
        (driver, "_to_core_stream", lambda stream: stream),
        (driver.Stream, "synchronize", lambda self: None),
        (dispatcher.CUDADispatcher, "call", launch),
    ):
        assert hasattr(module, name), f"numba-cuda has no {name} any more"
        setattr(module, name, value)
    from minids.ops.cuda import driver_api

    compiled = SimpleNamespace(_codelibrary=SimpleNamespace(get_cufunc=lambda: SimpleNamespace(handle=7)))
    driver_api.cu, driver_api._compiled = Driver(), lambda kernel, arguments: compiled


def steps(H, B, U, dropout, way=None, gemm="fp32"):
    """Training steps of a network, and answers without training; batches of several lengths."""
    grid = ops.load("cuda")
    from minids.ops.cuda import birnn, matmul

    birnn.use(way)
    matmul.use(gemm)
    model = DeepSpeech(ModelSettings(81, 29, hidden=H, context=2, stride=2, dropout=dropout), backend="cuda")
    velocity = grid.arrays.from_host(np.zeros(model.flat_params.shape, np.float32))
    bring = grid.arrays.AsyncCopier()
    for T0 in (9, 1, 9, 9):
        frames, lengths = np.ones((T0, B, 81), np.float32), np.full(B, T0, np.int32)
        labels, label_lengths = np.ones((B, U), np.int32), np.full(B, U, np.int32)
        keys = np.arange(B, dtype=np.uint32) if dropout else None
        model.loss_and_grad(bring(frames), lengths, labels, label_lengths, keys)
        grid.norm(model.flat_grads)
        grid.nesterov(model.flat_params, model.flat_grads, velocity, 1e-3, 0.9, 1.0)
        model.forward(frames, lengths)


def main():
    pretend()
    from minids.ops.cuda.registry import registered

    steps(2048, 2, 2, 0.0)
    steps(512, 40, 2, 0.1, "persistent")
    steps(64, 3, 1, 0.0, "graph")
    steps(7, 1, 700, 0.1, "launches")
    steps(64, 2, 3000, 0.0, gemm="tf32")
    full, none = np.full(2, 5, np.int32), np.zeros(2, np.int32)
    ctc_loss(np.zeros((5, 2, 4), np.float32), full, np.zeros((2, 0), np.int32), none, "cuda")
    strange = launched - {(entry.kernel.py_func.__name__, entry.arguments) for _, entry in registered()}
    assert not strange, f"launched, but not registered: {strange}"
    print(*sorted({name for name, _ in launched}))


if __name__ == "__main__":
    main()
