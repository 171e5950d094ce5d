"""Work in the background, its results in order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def ordered_map(
    function: Callable[[In], Out], items: Iterable[In], ahead: int = 8
) -> Generator[tuple[In, Out], None, None]:
    """(item, function(item)) in order, computed in threads, at most `ahead` of what has been asked for.

    Unlike a pool's `map` it holds no more than that, however many items there are; an iterator left early
    leaves nothing running.
    """
    threads = min(ahead, max(2, (os.cpu_count() or 1) // 2))  # the other cores are for what waits for this
    waiting: deque[tuple[In, Future[Out]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(function, item)))
                if len(waiting) > ahead:
                    done, result = waiting.popleft()
                    yield done, result.result()
            while waiting:
                done, result = waiting.popleft()
                yield done, result.result()
        finally:
            for _, result in waiting:
                result.cancel()
