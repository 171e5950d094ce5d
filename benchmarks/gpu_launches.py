"""The launches of a training step, recorded without a GPU, and what each of them has to compute.

The step runs on the tests' stand-in for the driver, which is asked to launch nothing, but for the first block
of each kernel with products: it is executed, to count its wavefronts of shared memory.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple
from unittest import mock

import numpy as np

from minids import DeepSpeech, ops
from minids.model import ModelSettings

T, B, H, U = 400, 32, 2048, 100  # of the step
FEW_FRAMES, FEW_TERMS = 9, 64  # of blocks that are executed
_wavefronts: dict[str, float] = {}  # of the kernels that have been executed


class Work(NamedTuple):
    """Of a launch with products: multiplications of a thread, iterations of the outermost loop, bytes from
    the L2 cache, floating-point operations of all threads, and their kind, "fp32", "tf32" or "3xtf32"."""

    fma: float
    trips: int
    l2: float
    flops: float
    kind: str


class Launch(NamedTuple):
    """`shared`: dynamic shared memory; `arguments`: numbers, and the shapes of arrays; `wavefronts`: for each
    multiplication of a warp."""

    kernel: str
    grid: tuple[int, ...]
    threads: int
    shared: int
    arguments: tuple
    wavefronts: float = 0.0

    @property
    def blocks(self) -> int:
        return math.prod(self.grid)

    def work(self) -> Work | None:
        if self.kernel.startswith("birnn.all_frames"):
            return self._recurrence()
        is_product = self.kernel.startswith("matmul.") and self.kernel.endswith(("layer", "gradient"))
        return self._product() if is_product else None

    def _recurrence(self) -> Work:
        *_, rows, width = self.arguments  # B and H
        blocks, directions, _ = self.grid
        frames = self.arguments[0][0] // (rows * width)
        pairs = (frames - 1) * rows * width  # of states and frames that use them
        fma = pairs * -(-width // blocks) / self.threads
        return Work(fma, frames, 4 * self.blocks * pairs, 2 * pairs * width * directions, "fp32")

    def _product(self) -> Work:
        from minids.ops.cuda.gemm_tile import DEPTH
        from minids.ops.cuda.matmul import TILES

        kind, rows = self.kernel.removeprefix("matmul.").split()[:2]
        shape = next(shape for shape in TILES[kind] if shape.rows == int(rows))
        M, N, K, *terms = (a for a in self.arguments if isinstance(a, int))
        slices = -(-min([K, *terms]) // DEPTH)
        k = slices * DEPTH
        fma = shape.rows * shape.columns * k / self.threads * (3 if kind == "3xtf32" else 1)
        l2 = 4 * self.blocks * (shape.rows + shape.columns) * k
        return Work(fma, slices, l2, 2 * M * N * K, kind)


@cache
def kernels() -> dict:
    """All registered kernels, by name."""
    from minids.ops.cuda.registry import registered

    return dict(registered())


def recorded_step(gemm: str) -> list[Launch]:
    """The launches of a training step: forward, CTC, backward, update."""
    with _recorded() as launches:
        gpu = ops.load("cuda", gemm=gemm)
        model = DeepSpeech(ModelSettings(81, 29, H, context=9, dropout=0.1), seed=None, backend=gpu)
        frames, labels = np.zeros((T, B, 81), np.float32), np.ones((B, U), np.int32)
        lengths, label_lengths = np.full(B, T, np.int32), np.full(B, U, np.int32)
        model.loss_and_grad(frames, lengths, labels, label_lengths, np.arange(B, dtype=np.uint32))
        velocity = gpu.arrays.empty(model.flat_params.shape, np.float32)
        gpu.norm(model.flat_grads)
        gpu.nesterov(model.flat_params, model.flat_grads, velocity, 0.1, 0.9, 1.0)
    return launches


@contextmanager
def _recorded() -> Iterator[list[Launch]]:
    """A list of all launches from here on, which are not executed."""
    from numba.cuda.dispatcher import CUDADispatcher

    from minids.ops.cuda import driver_api

    launches: list[Launch] = []
    names = {id(entry.kernel): name for name, entry in kernels().items()}
    call, allow_shared = CUDADispatcher.call, driver_api.allow_shared

    def described(kernel, arguments, grid) -> Launch:
        shapes = tuple(a.shape if hasattr(a, "copy_to_host") else a for a in arguments)
        return Launch(names[id(kernel)], grid.griddim, math.prod(grid.blockdim), grid.sharedmem, shapes)

    def counted(kernel, arguments, grid) -> float:
        """Launch.wavefronts, while the first block is executed."""
        from tests.ops.cuda.executor import driver

        arguments = _shortened(names[id(kernel)], arguments)
        launch = described(kernel, arguments, grid)
        work = launch.work()
        assert work
        one_block = copy.copy(grid)
        one_block.griddim = 1, 1, 1
        with driver.counted_wavefronts() as executed:
            allow_shared(kernel, arguments, grid.sharedmem)
            call(kernel, arguments, one_block)
        total = sum(instruction.wavefronts for instruction in executed[0][1])
        return total / (work.fma * launch.threads / 32)

    def record(kernel, arguments, grid):
        launch = described(kernel, arguments, grid)
        if launch.work() and launch.kernel not in _wavefronts:
            _wavefronts[launch.kernel] = counted(kernel, arguments, grid)
        launches.append(launch._replace(wavefronts=_wavefronts.get(launch.kernel, 0.0)))

    with (
        mock.patch.object(CUDADispatcher, "call", record),
        mock.patch.object(driver_api, "enable_caching"),
        mock.patch.object(driver_api, "allow_shared"),
        mock.patch.object(driver_api, "make_cooperative"),
    ):
        yield launches


def _shortened(kernel: str, arguments: tuple) -> tuple:
    """The arguments for a sum of few terms, or few frames. What other kernels would have computed is set."""
    if kernel.startswith("matmul"):
        _, _, k, *_ = (i for i, a in enumerate(arguments) if isinstance(a, int))
        for array in arguments:
            if getattr(array, "dtype", None) == np.int64 and array.size:  # where rows start
                array.copy_to_device(np.zeros(array.shape, np.int64))
        return *arguments[:k], min(arguments[k], FEW_TERMS), *arguments[k + 1 :]
    inputs, *others, progress, direction, rows, width = arguments
    progress.copy_to_device(np.array([0, FEW_FRAMES, 0, 0], np.int32))
    return inputs[: FEW_FRAMES * rows * width], *others, progress, direction, rows, width
