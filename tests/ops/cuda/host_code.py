"""Runs the host code of the backend "cuda" without a GPU: python -m tests.ops.cuda.host_code

The simulator has its own arrays and launches. Here they are those of numba-cuda, up to the point at which the
driver would start a kernel: arrays "on the device" are in host memory, driver calls succeed and do nothing,
and a launch only records the argument types for which the kernel would be compiled. Nothing is computed.

Prints the names of the launched kernels. Fails if a kernel is launched with other types than those it is
registered for, or with arguments that cannot be passed to the driver.
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
from minids.ops import driver as gpu

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
    """cuda.bindings.driver with functions that succeed and do nothing. An unknown function is an error."""

    def __getattr__(self, name):
        real = getattr(bindings, name)
        if isinstance(real, type):
            return real
        answer = [bindings.CUresult.CUDA_SUCCESS, *([HANDLES[name]] if name in HANDLES else [])]
        return lambda *_: answer


class Context:
    device = H200
    memory: list = []  # noqa: RUF012  (until the end of the process)

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
    """Replaces numba-cuda's, which would compile the kernel: only prepares the arguments."""
    types = tuple(self.typeof_pyval(argument) for argument in arguments)
    ready: list = []
    for kind, argument in zip(types, arguments, strict=True):
        dispatcher._Kernel._prepare_args(SimpleNamespace(extensions=[]), kind, argument, 0, [], ready)
    ParamHolder(tuple(ready))
    launched.add((self.py_func.__name__, types))


def install_fake_gpu():
    """A GPU that accepts everything and does nothing."""
    context = Context()
    runtime = mock.Mock(get_or_create_context=lambda *_: context, ensure_context=nullcontext)
    for module, name, value in (
        (gpu, "has_gpu", lambda: True),
        (gpu, "version", lambda: 13000),
        (gpu, "capability", lambda: (9, 0)),
        (devices, "_runtime", runtime),
        (cuda, "get_current_device", lambda: H200),
        (cuda, "gpus", (nullcontext(),)),
        (driver, "host_to_device", to_device),
        (driver, "device_to_host", to_host),
        (driver, "_to_core_stream", lambda stream: stream),
        (driver.Stream, "synchronize", lambda self: None),
        (dispatcher.CUDADispatcher, "call", launch),
    ):
        assert hasattr(module, name), f"numba-cuda no longer has {name}"
        setattr(module, name, value)
    from minids.ops.cuda import driver_api

    driver_api.enable_caching = lambda kernel: None
    compiled = SimpleNamespace(_codelibrary=SimpleNamespace(get_cufunc=lambda: SimpleNamespace(handle=7)))
    driver_api.cu, driver_api._compiled = Driver(), lambda kernel, arguments: compiled


def train(H, B, U, dropout, **options):
    """Training steps, each followed by inference, with batches of several lengths."""
    backend = ops.load("cuda", **options)
    settings = ModelSettings(81, 29, hidden=H, context=2, stride=2, dropout=dropout)
    model = DeepSpeech(settings, backend=backend)
    velocity = backend.arrays.from_host(np.zeros(model.flat_params.shape, np.float32))
    to_device = backend.arrays.AsyncCopier()
    for T0 in (9, 1, 9, 9):
        frames, lengths = np.ones((T0, B, 81), np.float32), np.full(B, T0, np.int32)
        labels, label_lengths = np.ones((B, U), np.int32), np.full(B, U, np.int32)
        keys = np.arange(B, dtype=np.uint32) if dropout else None
        model.loss_and_grad(to_device(frames), lengths, labels, label_lengths, keys)
        backend.norm(model.flat_grads)
        backend.nesterov(model.flat_params, model.flat_grads, velocity, 1e-3, 0.9, 1.0)
        model.forward(frames, lengths)


def main():
    install_fake_gpu()
    from minids.ops.cuda.registry import registered

    train(2048, 2, 2, 0.0)
    train(512, 40, 2, 0.1, recurrence="persistent")
    train(64, 3, 1, 0.0, recurrence="graph")
    train(7, 1, 700, 0.1, recurrence="launches")
    train(64, 2, 3000, 0.0, gemm="tf32")
    full, none = np.full(2, 5, np.int32), np.zeros(2, np.int32)
    ctc_loss(np.zeros((5, 2, 4), np.float32), full, np.zeros((2, 0), np.int32), none, "cuda")
    unregistered = launched - {(entry.kernel.py_func.__name__, entry.arguments) for _, entry in registered()}
    assert not unregistered, f"launched, but not registered: {unregistered}"
    print(*sorted({name for name, _ in launched}))


if __name__ == "__main__":
    main()
