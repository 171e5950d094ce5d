"""How a kernel is started: on the current stream. Nothing else in the operations knows of streams."""

from minids.ops import driver

_stream = 0  # 0 is CUDA's default stream


def launch(kernel, blocks, threads, *arguments, shared: int = 0) -> None:
    """kernel(*arguments) by `blocks` blocks of `threads` threads each, numbers or tuples, with this many
    bytes of dynamic shared memory. Returns at once; launches run one after another. No blocks, no launch.
    """
    if 0 not in (blocks if isinstance(blocks, tuple) else (blocks,)):
        kernel[blocks, threads, _stream, shared](*arguments)


def capture(body):
    """Run body(), and keep its launches as a CUDA graph: `.launch()` starts them all again, same arguments.

    The host asks once for what it would otherwise ask hundreds of times. The first run compiles what is new
    to it, which a recording stream would not allow.
    """
    global _stream
    body()
    recorder = _recorder()
    _stream = recorder.stream
    try:
        body()
    finally:
        _stream = 0
    return recorder.end()


def _recorder():
    if driver.simulated():
        from minids.ops.cuda import simulator

        return simulator.Recorder()
    from minids.ops.cuda import graph

    return graph.Recorder()
