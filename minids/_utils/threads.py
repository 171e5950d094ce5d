"""Work in background threads, with results in order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def core_ids() -> set[int]:
    """The cores that this process may use: its CPU affinity, or all where the system has none."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def available_cores() -> int:
    """How many cores this process may use."""
    return len(core_ids())


def ordered_map(
    function: Callable[[In], Out], items: Iterable[In], ahead: int = 8
) -> Generator[tuple[In, Out], None, None]:
    """(item, function(item)) in order, computed in threads, at most `ahead` items before they are asked for.

    Unlike a pool's `map`, it reads items only as results are consumed. If the generator is closed early, the
    items that have not started are canceled.
    """
    threads = min(ahead, max(2, available_cores() // 2))  # the other cores are for the consumer
    pending: deque[tuple[In, Future[Out]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                pending.append((item, pool.submit(function, item)))
                if len(pending) > ahead:
                    first, result = pending.popleft()
                    yield first, result.result()
            while pending:
                first, result = pending.popleft()
                yield first, result.result()
        finally:
            for _, result in pending:
                result.cancel()
