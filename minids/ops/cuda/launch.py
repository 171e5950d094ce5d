"""Launching kernels on the current stream. The operations themselves know nothing about streams."""

import threading

from minids._utils.errors import InputError
from minids.ops import driver

if driver.simulated():
    from minids import cuda_simulator as driver_api
else:
    from minids.ops.cuda import driver_api  # type: ignore[no-redef]

DEFAULT_SHARED_BYTES = 48 * 1024  # of dynamic shared memory that any block may have
MAX_BLOCKS_YZ = 65_535  # of a grid, along y and along z

_recording = threading.local()  # .stream: that of a graph which this thread records


def launch(kernel, blocks, threads, *arguments, shared: int = 0, cooperative: bool = False) -> None:
    """Run kernel(*arguments) with `blocks` blocks of `threads` threads each, numbers or tuples (x, y, z).

    `shared` is the dynamic shared memory of a block in bytes. `cooperative`: all blocks are on the GPU at
    once, so that they may wait for each other. Returns at once; launches run one after another. Without
    blocks nothing is launched. Raises InputError for more blocks than a GPU supports.
    """
    _, *blocks_yz = grid = blocks if isinstance(blocks, tuple) else (blocks,)
    if max(blocks_yz, default=0) > MAX_BLOCKS_YZ:
        raise InputError("the batch is too large for one launch on a GPU: lower batch_size")
    if 0 not in grid:
        driver_api.enable_caching(kernel)
        if cooperative:
            driver_api.make_cooperative(kernel, arguments)
        if shared > DEFAULT_SHARED_BYTES:
            driver_api.allow_shared(kernel, arguments, shared)
        stream = getattr(_recording, "stream", 0)  # 0 is CUDA's default stream
        kernel[blocks, threads, stream, shared](*arguments)


def capture(body):
    """Run body() and return its launches as a CUDA graph: `.launch()` runs them again, with the same
    arguments.

    The host then makes one call instead of hundreds. body() runs twice: the first run compiles new kernels,
    which is not possible while a stream is being recorded.
    """
    body()
    recorder = driver_api.Recorder()
    _recording.stream = recorder.stream
    try:
        body()
    finally:
        del _recording.stream
        graph = recorder.end()  # even if body() raises: the recording must not stay open
    return graph
