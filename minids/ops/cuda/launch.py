"""How a kernel is started: on the current stream. Nothing else in the operations knows of streams."""

from typing import Any

from minids._utils.errors import InputError
from minids.ops import driver

if driver.simulated():
    from minids import cuda_simulator as machine
else:
    from minids.ops.cuda import driver_api as machine  # type: ignore[no-redef]

UNASKED = 48 * 1024  # bytes of shared memory that any block may have
MOST_BLOCKS = 65_535  # of a grid, along y and along z

_stream: Any = 0  # 0 is CUDA's default stream


def launch(kernel, blocks, threads, *arguments, shared: int = 0) -> None:
    """kernel(*arguments) by `blocks` blocks of `threads` threads each, numbers or tuples, with this many
    bytes of dynamic shared memory. Returns at once; launches run one after another. No blocks, no launch.

    Raises InputError for more blocks than a GPU takes.
    """
    _, *others = along = blocks if isinstance(blocks, tuple) else (blocks,)
    if max(others, default=0) > MOST_BLOCKS:
        raise InputError("the batch is larger than a GPU can be asked for at once: lower batch_size")
    if 0 not in along:
        if shared > UNASKED:
            machine.allow_shared(kernel, arguments, shared)
        kernel[blocks, threads, _stream, shared](*arguments)


def capture(body):
    """Run body(), and keep its launches as a CUDA graph: `.launch()` starts them all again, same arguments.

    The host asks once for what it would otherwise ask hundreds of times. The first run compiles what is new
    to it, which a recording stream would not allow.
    """
    global _stream
    body()
    recorder = machine.Recorder()
    _stream = recorder.stream
    try:
        body()
    finally:
        _stream = 0
        graph = recorder.end()  # also when the body raises: a recording that goes on would be in the way
    return graph
