"""Threads, warps, blocks and grids: who runs next, and who waits for whom."""

import random
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from greenlet import getcurrent, greenlet

from minids.cuda_simulator.errors import DivergentBarrier
from minids.cuda_simulator.memory import Timestamp
from minids.cuda_simulator.options import Options, Site

WARP_SIZE = 32
ALL_LANES = 0xFFFFFFFF
MAX_RESIDENT_BLOCKS = 8  # that the simulated GPU holds at once, and that may synchronize as a grid


class Dim3(NamedTuple):
    x: int
    y: int = 1
    z: int = 1


class Wait(NamedTuple):
    """What a thread waits for. `kind`: "block", "grid", "warp" (a barrier) or "exchange" (a shuffle)."""

    kind: str
    site: Site
    lanes: int  # a bit mask


class Block:
    def __init__(self, index: Dim3):
        self.index, self.epoch = tuple(index), 0
        self.threads: list[Thread] = []
        self.shared_arrays: dict[Any, np.ndarray] = {}


class Thread:
    """A greenlet and its indices. While it waits, `wait` says for what; `payload` is a shuffled value.

    `copies` are its asynchronous copies that are under way, as groups; the last one is not committed yet.
    """

    def __init__(self, index: Dim3, number: int, block: Block, body: Callable):
        self.index, self.block, self.greenlet = tuple(index), block, greenlet(body)
        self.threadIdx, self.blockIdx = index, Dim3(*block.index)
        self.number, self.lane, self.warp = number, number % WARP_SIZE, number // WARP_SIZE
        self.wait: Wait | None = None
        self.payload: Any = None
        self.timestamp = Timestamp(self, 0, 0, 0)
        self.copies: list[list[tuple]] = [[]]

    def __str__(self) -> str:
        return f"thread {self.index} of block {self.block.index}"


class Launch:
    """A grid of thread blocks, from start to end. Each thread runs body()."""

    def __init__(self, body: Callable, grid: Dim3, block: Dim3, shared_bytes: int):
        self.body, self.gridDim, self.blockDim, self.shared_bytes = body, grid, block, shared_bytes
        self.thread: Thread = None  # type: ignore[assignment]  # the one that is running
        self.written: dict[int, Timestamp] = {}  # by address
        self.read: dict[int, dict[Thread, Timestamp]] = {}
        self.trace, self.grid_epoch = Options.trace, 0
        self.rng, self.host = random.Random(Options.seed), getcurrent()

    def run(self) -> None:
        grid = self.gridDim
        indices = [Dim3(x, y, z) for z in range(grid.z) for y in range(grid.y) for x in range(grid.x)]
        blocks, waiting = [], []  # all blocks are kept, so that no two of them get the same memory addresses
        for index in self._ordered(indices):
            blocks.append(self._new_block(index))
            if self._run_block(blocks[-1]):
                waiting.append(blocks[-1])
        while waiting:
            sites = {thread.wait for block in waiting for thread in block.threads}
            if len(waiting) < len(blocks) or len(sites) > 1:
                raise DivergentBarrier(f"only {len(waiting)} of {len(blocks)} blocks reach the grid barrier")
            if len(blocks) > MAX_RESIDENT_BLOCKS:
                raise DivergentBarrier(
                    f"{len(blocks)} blocks wait for each other; {MAX_RESIDENT_BLOCKS} fit on the GPU"
                )
            self.grid_epoch += 1
            waiting = [block for block in self._ordered(blocks) if self._run_block(block)]

    def wait(self, kind: str, payload=None, lanes: int = ALL_LANES):
        """Suspend the running thread. Called by the operations of `cuda` that a kernel calls.

        Returns the payloads of the warp as {lane: payload} for a warp's exchange.
        """
        frame = sys._getframe(2)
        site = Site(frame.f_code.co_filename, frame.f_lineno)
        if kind != "exchange":
            if Options.barriers is not None:
                Options.barriers.add(site)
            if site == Options.removed_barrier:
                return None
        self.thread.wait, self.thread.payload = Wait(kind, site, lanes), payload
        return self.host.switch()

    def _new_block(self, index: Dim3) -> Block:
        block, size = Block(index), self.blockDim
        indices = [Dim3(x, y, z) for z in range(size.z) for y in range(size.y) for x in range(size.x)]
        block.threads = [Thread(index, n, block, self.body) for n, index in enumerate(indices)]
        return block

    def _ordered(self, items: list) -> list:
        if Options.thread_order == "random":
            return self.rng.sample(items, len(items))
        return items[::-1] if Options.thread_order == "reverse" else items

    def _run_block(self, block: Block) -> bool:
        """Run a block until all of its threads have ended (False) or wait for the grid (True)."""
        ready: list[tuple[Thread, Any]] = self._pass_barrier(block, block.threads)
        while ready:
            for thread, payloads in ready:
                self.thread = thread
                try:
                    thread.greenlet.switch(payloads) if thread.greenlet else thread.greenlet.switch()
                except Exception as error:
                    error.add_note(f"in the simulated {thread}")
                    raise
            alive = [thread for thread in block.threads if not thread.greenlet.dead]
            ready = self._complete_warps(block, alive)
            if not ready and alive:
                if self._common_wait(block, alive).kind == "grid":
                    return True
                ready = self._pass_barrier(block, alive)
        return False

    def _pass_barrier(self, block: Block, threads: list[Thread]) -> list[tuple[Thread, Any]]:
        """All threads pass the block's barrier."""
        block.epoch += 1
        for thread in threads:
            thread.wait = None
            thread.timestamp = Timestamp(thread, self.grid_epoch, block.epoch, 0)
        return [(thread, None) for thread in self._ordered(threads)]

    def _complete_warps(self, block: Block, alive: list[Thread]) -> list[tuple[Thread, Any]]:
        """Threads whose partners in a warp operation have all arrived, each with {lane: payload}."""
        groups: dict[tuple[int, Wait], list[Thread]] = {}
        for thread in alive:
            if thread.wait and thread.wait.kind in ("warp", "exchange"):
                groups.setdefault((thread.warp, thread.wait), []).append(thread)
        ready = []
        for (warp, wait), group in groups.items():
            lanes = [thread for thread in block.threads if thread.warp == warp]
            if len(group) < sum(wait.lanes >> thread.lane & 1 for thread in lanes):
                continue
            payloads = {thread.lane: thread.payload for thread in group}
            for thread in self._ordered(group):
                thread.wait = None
                if wait.kind == "warp" and len(group) == len(lanes):  # a part of a warp orders nothing
                    thread.timestamp = thread.timestamp._replace(warp=thread.timestamp.warp + 1)
                ready.append((thread, payloads))
        return ready

    def _common_wait(self, block: Block, alive: list[Thread]) -> Wait:
        """The barrier at which all threads of a block wait. Raises DivergentBarrier if there is none."""
        waits = {thread.wait for thread in alive if thread.wait}
        if (
            len(waits) > 1
            or len(alive) < len(block.threads)
            or next(iter(waits)).kind in ("warp", "exchange")
        ):
            lines = sorted({f"line {wait.site.line}" for wait in waits})
            ended = len(block.threads) - len(alive)
            waiting = f"{len(alive)} threads wait" if len(alive) > 1 else "1 thread waits"
            ends = "have" if ended != 1 else "has"
            raise DivergentBarrier(
                f"block {block.index}: {waiting} at {', '.join(lines)}, {ended} {ends} ended"
            )
        return waits.pop()
