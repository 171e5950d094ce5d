"""How far up the ladder of lesson 19 a matrix product is, counted without a GPU."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from minids.cuda_simulator import Cost
from minids.lesson.gpu import cost, empty, whose
from minids.ops.cuda import ladder, matmul
from minids.ops.cuda.gemm_tile import Access, TileShape

K = 16  # of all products that are scored
_INF = np.float32(np.inf)


class Score(NamedTuple):
    """What a product y = x Wᵀ costs on a GPU.

    A multiplication is one of each of a warp's 32 threads, with its addition; instructions are those that
    multiply or read memory.
    """

    far_reads: float  # per element of y
    wavefronts: float  # per multiplication
    multiplications: float  # per instruction


@cache
def score(kernel: Callable) -> Score:
    """The score of a kernel, the reader's or one of the ladder, for one tile of y and K = 16."""
    side, _ = _shape_of(kernel)
    x = np.ones((side, K))
    per_instruction = 32 if kernel is ladder.tensor_cores else 1
    return _score(cost(kernel, *product_launch(kernel, x, x)), side, side, per_instruction)


def product_launch(kernel: Callable, x: np.ndarray, W: np.ndarray) -> tuple:
    """blocks, threads and arguments for y = x Wᵀ with a kernel of the ladder, or one of the same name."""
    side, threads = _shape_of(kernel)
    blocks, y = (-(-len(W) // side), -(-len(x) // side)), empty(len(x), len(W))
    if kernel is ladder.vector_loads:
        return blocks, threads, x.reshape(-1), W.reshape(-1), y, x.shape[1]
    return blocks, threads, x, W, y


def ladder_with(*functions: Callable) -> tuple[dict[str, Score], list[str]]:
    """The scores of the ladder's kernels and of the package's, and the names of the reader's.

    `functions` of the reader take the places of those of the same name.
    """
    names: dict[str, str] = {
        function.__name__: f"{whose(function)} {function.__name__}" for function in functions
    }
    rungs: dict[str, Callable] = {kernel.__name__: kernel for kernel in (*ladder.LADDER, *functions)}
    scores = {names.get(rung, rung): score(kernel) for rung, kernel in rungs.items()}
    return scores | {"the package's": score_of_the_package()}, [*names.values()]


@cache
def score_of_the_package() -> Score:
    """The score of the kernel that the package uses on a GPU, with tiles of 128 x 128, for 16 more k.

    Unlike the ladder's it reads a bias, and copies zeros in place of two slices beyond the last.
    """
    shape = TileShape(128, 128)
    kernel = matmul.layer_kernel(shape, Access(vectorized=True, asynchronous=True))
    ending = np.zeros(shape.columns), -_INF, _INF, np.zeros(0, np.uint32), np.uint32(0), np.float32(1)

    def whole(depth: int) -> Cost:
        x, y, sizes = np.ones(shape.rows * depth), empty(shape.rows * shape.columns), (*shape[:2], depth)
        return cost(kernel, 1, shape.threads, x, x, y, np.zeros(0, np.int64), *sizes, *ending)

    more = Cost(*(after - before for after, before in zip(whole(2 * K), whole(K), strict=True)))
    return _score(more, *shape[:2])


def _shape_of(kernel: Callable) -> tuple:
    """The side of a block's tile and the threads of a block."""
    return {known.__name__: shape for known, shape in ladder.LADDER.items()}[kernel.__name__]


def _score(cost: Cost, M: int, N: int, per_instruction: int = 1) -> Score:
    multiplications = M * N * K / 32
    instructions = multiplications / per_instruction + cost.loads
    return Score(cost.far_reads / (M * N), cost.wavefronts / multiplications, multiplications / instructions)


def many_multiplications(enough: float, advice: str, kernel: Callable) -> tuple:
    """A check that a kernel for tiles of 64 x 64 has at least `enough` multiplications per instruction."""
    x = np.ones((ladder.SIDE, K))
    launched = 1, ladder.LADDER[ladder.register_blocked][1], x, x, empty(ladder.SIDE, ladder.SIDE)
    got = _score(cost(kernel, *launched), ladder.SIDE, ladder.SIDE).multiplications
    words = f"{got:.2f}, where {enough:.2f} are possible; {advice}"
    return "multiplications per instruction", min(got, enough), enough, words


def compiled_ladder() -> dict[str, dict[str, int]]:
    """The innermost loop of each kernel of the ladder as it is compiled for a GPU, without one: see `ptx`.

    {} where the compiler is not installed; it is a part of `pip install 'minids[cuda]'`.
    """
    environment = {name: value for name, value in os.environ.items() if name != "MINIDS_SIM"}
    command = [sys.executable, "-m", "minids.lesson.ptx"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else {}
