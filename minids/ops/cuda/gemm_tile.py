"""The core of a matrix product: a block of threads computes one tile of C = A B.

    C (M, N)            a block owns ROWS x COLUMNS of C and proceeds along k, DEPTH at a time:
      ┌─────┬─────┐       1. it waits until the next slice of A (ROWS, DEPTH) and of B (DEPTH, COLUMNS) has
      │     │tile │          arrived in shared memory;
      ├─────┼─────┤       2. it starts to copy another slice from global memory, one or two ahead;
      │     │     │       3. it multiplies the slice that has arrived, while the copies are under way.
      └─────┴─────┘
A number in shared memory is used by a whole row or column of threads, and each thread keeps its 8 x 8 part of
C in registers: 16 numbers read from shared memory serve 64 multiplications.

In global memory an operand may have k first or last: in y = x Wᵀ both x (M, K) and W (N, K) have it last. In
shared memory a slice has k first if threads multiply it, because they need their eight numbers of one k at a
time; it is transposed while it is copied if need be. Tensor cores take a slice as it is.

Shared memory has 32 banks. Four adjacent numbers, a "quad", occupy four of them; eight threads that access
quads at the same time should find each in other banks. Lines that are accessed together begin in the same
bank, so their quads are permuted:

    k first: lines of 8 quads and more                k last: lines of 4 quads, two of them fill the banks
      k 0   0 1 2 3 4 5 6 7                             rows 0 and 1   0 1 2 3   0 1 2 3
      k 1   2 3 0 1 6 7 4 5                             rows 2 and 3   1 0 3 2   1 0 3 2
      k 2   4 5 6 7 0 1 2 3                             rows 4 and 5   2 3 0 1   2 3 0 1
      k 3   6 7 4 5 2 3 0 1                             rows 6 and 7   3 2 1 0   3 2 1 0
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import float32, int32, int64, uint64

from minids.ops.cuda.device import cuda
from minids.ops.cuda.tensor_core import load_matrices, multiply_add, tf32
from minids.ops.cuda.vector_io import (
    commit_copies,
    copy4_async,
    copy4_async_unaligned,
    copy_async,
    load4,
    load4_aligned,
    load4_unaligned,
    store4,
    wait_copies,
)

_ZERO = np.float32(0)
DEPTH = 16  # of a slice


class TileShape(NamedTuple):
    """The size of a tile of C. M, N and K need not be multiples of it."""

    rows: int
    columns: int
    warp_rows: int = 0  # the part of a tile that a warp owns, with tensor cores
    warp_columns: int = 0
    split: bool = False  # 3xTF32, see _tensor_core_product

    @property
    def threads(self) -> int:
        if self.warp_rows:
            return 32 * (self.rows // self.warp_rows) * (self.columns // self.warp_columns)
        return (self.rows // 8) * (self.columns // 8)

    @property
    def launch_bounds(self) -> tuple[int, int]:
        """Threads per block, and blocks that a multiprocessor must have registers for.

        With two blocks, one computes while the other waits.
        """
        return self.threads, 1 if self.split else 2

    @property
    def max_registers(self) -> int:
        """That threads may have, so that as many blocks as that fit."""
        threads, blocks = self.launch_bounds
        return min(65_536 // (threads * blocks), 255)


class Access(NamedTuple):
    """How a kernel reads global memory."""

    vectorized: bool  # see vector_io.aligned
    asynchronous: bool  # whether the GPU has asynchronous copies
    gathered: bool = False  # whether the rows of one operand begin at `starts`, see matmul.Rows


class Tile(NamedTuple):
    """The device functions for a kernel: multiply(A, B, starts, M, N, K, first, last, part) sums over k from
    `first` to `last`, and part[i, j] belongs to row_of(i), column_of(j) of C.
    """

    multiply: Any
    row_of: Any
    column_of: Any
    part: tuple[int, int]  # the shape of a thread's part of the tile


@cuda.jit(device=True)
def _in_columns(k, i, side):
    """The index of element i of line k in a slice with k first."""
    return k * side | i ^ k % 4 * 8


@cuda.jit(device=True)
def _in_rows(i, k):
    """The index of element k of row i in a slice with k last."""
    return i * DEPTH | k ^ i // 2 % 4 * 4


def _copier(side, threads, k_last, transposed, access, gathered):
    """begin and copy: the slices of an operand from global to shared memory.

    `side` is the size of the tile along the operand's other axis. begin(…) finds the parts of the first slice
    that a thread copies, at[q] in global memory; copy(…) starts to copy them and moves on to the next slice.
    If k is last, four threads copy a row: each a quad, or each every fourth number if the slice is transposed.
    Rows after the last one are copies of it; what is computed from them is not stored.
    """
    COUNT = side * DEPTH // (4 * threads)
    PER_LINE = (DEPTH if k_last else side) // 4
    LINES = threads // PER_LINE
    STRIDE = 1 if transposed else 4
    assert COUNT * LINES * PER_LINE * 4 == side * DEPTH
    copy1 = copy_async
    copy4 = copy4_async if access.vectorized else copy4_async_unaligned
    if not access.asynchronous:
        load = load4_aligned if access.vectorized else load4_unaligned

        @cuda.jit(device=True)
        def copy1(shared, i, source, j, valid):
            shared[uint64(i)] = source[j] if valid > 0 else _ZERO

        @cuda.jit(device=True)
        def copy4(shared, i, source, j, valid):
            store4(shared, i, load(source, j, valid))

    @cuda.jit(device=True)
    def begin(starts, first, sides, k0, K, at):
        line, part = cuda.threadIdx.x // PER_LINE, cuda.threadIdx.x % PER_LINE
        for q in range(COUNT):
            i = line + q * LINES
            if k_last:
                row = min(first + i, sides - 1)
                at[q] = (starts[row] if gathered else row * K) + k0 + part * STRIDE
            else:
                at[q] = (0 if gathered else (k0 + i) * sides) + first + part * 4

    @cuda.jit(device=True)
    def copy(source, starts, shared, stage, first, sides, k0, last, at):
        line, part = cuda.threadIdx.x // PER_LINE, cuda.threadIdx.x % PER_LINE
        left = int32(last - k0 - (part * STRIDE if k_last else line))
        for q in range(COUNT):
            i = line + q * LINES
            if transposed:
                target = stage + _in_columns(part, i, side)
                for k in range(0, DEPTH, 4):
                    copy1(shared, target + k * side, source, at[q] + k, left - k)
                at[q] += DEPTH
            elif k_last:
                copy4(shared, stage + _in_rows(i, part * 4), source, at[q], left)
                at[q] += DEPTH
            else:
                has_line = q * LINES < left
                start = starts[k0 + i] if gathered and has_line else 0
                valid = sides - first - part * 4 if has_line else 0
                copy4(shared, stage + _in_columns(i, part * 4, side), source, start + at[q], valid)
                if not gathered:
                    at[q] += DEPTH * sides

    return begin, copy, COUNT


@cache
def tile(shape: TileShape, a_k_last: bool, b_k_last: bool, access: Access) -> Tile:
    """The device functions of a tile. If an operand is gathered, it is A if both have k last, otherwise B."""
    make = _tensor_core_product if shape.warp_rows else _fma_product
    multiply_slice, row_of, column_of, PART = make(shape, a_k_last, b_k_last)
    THREADS, ROWS, COLUMNS = shape.threads, shape.rows, shape.columns
    ASYNCHRONOUS = access.asynchronous
    STAGES = 3 if ASYNCHRONOUS else 2  # slices in shared memory
    AHEAD, UNDER_WAY = STAGES - 1, STAGES - 2  # slices copied before, and while, one is multiplied
    A_SLICE, B_SLICE = ROWS * DEPTH, COLUMNS * DEPTH
    A_SIZE, B_SIZE = STAGES * A_SLICE, STAGES * B_SLICE
    PART_ROWS, PART_COLUMNS = PART
    transposed = not shape.warp_rows
    begin_a, copy_a, A_COUNT = _copier(
        ROWS, THREADS, a_k_last, a_k_last and transposed, access, access.gathered and b_k_last
    )
    begin_b, copy_b, B_COUNT = _copier(
        COLUMNS, THREADS, b_k_last, b_k_last and transposed, access, access.gathered and not b_k_last
    )

    @cuda.jit(device=True)
    def multiply(A, B, starts, M, N, K, first, last, part):
        a = cuda.shared.array(A_SIZE, float32, alignment=16)
        b = cuda.shared.array(B_SIZE, float32, alignment=16)
        a_at = cuda.local.array(A_COUNT, int64)
        b_at = cuda.local.array(B_COUNT, int64)
        row, column = cuda.blockIdx.y * ROWS, cuda.blockIdx.x * COLUMNS
        for i in range(PART_ROWS):
            for j in range(PART_COLUMNS):
                part[i, j] = _ZERO
        begin_a(starts, row, M, first, K, a_at)
        begin_b(starts, column, N, first, K, b_at)
        for stage in range(AHEAD):
            k0 = first + stage * DEPTH
            copy_a(A, starts, a, stage * A_SLICE, row, M, k0, last, a_at)
            copy_b(B, starts, b, stage * B_SLICE, column, N, k0, last, b_at)
            if ASYNCHRONOUS:
                commit_copies()
        stage, free = 0, AHEAD
        for k0 in range(first, last, DEPTH):
            if ASYNCHRONOUS:
                wait_copies(UNDER_WAY)
            cuda.syncthreads()  # all threads have their part of the slice, and have read the one before
            k_ahead = k0 + AHEAD * DEPTH
            copy_a(A, starts, a, free * A_SLICE, row, M, k_ahead, last, a_at)
            copy_b(B, starts, b, free * B_SLICE, column, N, k_ahead, last, b_at)
            if ASYNCHRONOUS:
                commit_copies()
            multiply_slice(a, stage * A_SLICE, b, stage * B_SLICE, part)
            free = stage
            stage = stage + 1 if stage < AHEAD else 0

    return Tile(multiply, row_of, column_of, PART)


def _fma_product(shape, a_k_last, b_k_last):
    """A thread owns 8 x 8 of a tile: two groups of four rows, half a tile apart; likewise for columns.

    A warp's threads lie in 4 rows and 8 columns: together they need fewer numbers than threads in a line.
    """
    ROWS, COLUMNS = shape.rows, shape.columns
    WARPS_ACROSS = COLUMNS // 64

    @cuda.jit(device=True)
    def own_row():
        return (cuda.threadIdx.x // 32 // WARPS_ACROSS * 4 + cuda.threadIdx.x % 32 // 8) * 4

    @cuda.jit(device=True)
    def own_column():
        return (cuda.threadIdx.x // 32 % WARPS_ACROSS * 8 + cuda.threadIdx.x % 8) * 4

    @cuda.jit(device=True)
    def load8(s, start, k, i, side, r):
        at = start + _in_columns(k % 4, i, side) + k // 4 * (4 * side)
        r[0], r[1], r[2], r[3] = load4(s, at)
        r[4], r[5], r[6], r[7] = load4(s, at + side // 2)

    @cuda.jit(device=True)
    def multiply_step(a, a_start, b, b_start, k, part):
        """part += column k of A times row k of B."""
        ra = cuda.local.array(8, float32)
        rb = cuda.local.array(8, float32)
        load8(a, a_start, k, own_row(), ROWS, ra)
        load8(b, b_start, k, own_column(), COLUMNS, rb)
        for i in range(8):
            for j in range(8):
                part[i, j] += ra[i] * rb[j]

    @cuda.jit(device=True)
    def multiply_steps(a, a_start, b, b_start, k, part):
        multiply_step(a, a_start, b, b_start, k, part)
        multiply_step(a, a_start, b, b_start, k + 1, part)
        multiply_step(a, a_start, b, b_start, k + 2, part)
        multiply_step(a, a_start, b, b_start, k + 3, part)

    @cuda.jit(device=True)
    def multiply_slice(a, a_start, b, b_start, part):
        """All 16 steps, written out, because the compiler does not unroll a loop as long as this."""
        multiply_steps(a, a_start, b, b_start, 0, part)
        multiply_steps(a, a_start, b, b_start, 4, part)
        multiply_steps(a, a_start, b, b_start, 8, part)
        multiply_steps(a, a_start, b, b_start, 12, part)

    @cuda.jit(device=True)
    def row_of(i):
        return cuda.blockIdx.y * ROWS + i // 4 * (ROWS // 2) + own_row() + i % 4

    @cuda.jit(device=True)
    def column_of(j):
        return cuda.blockIdx.x * COLUMNS + j // 4 * (COLUMNS // 2) + own_column() + j % 4

    return multiply_slice, row_of, column_of, (8, 8)


def _tensor_core_product(shape, a_k_last, b_k_last):
    """A warp owns a part of the tile, in pieces of 16 x 8: one instruction per piece and 8 steps along k.

    Which lane holds which element of a piece is fixed, see `multiply_add`; which rows and columns of the tile
    are a piece is not. A piece has adjacent ones of an operand with k last, every fourth one of an operand with
    k first, whose quads then belong to four pieces.

    The factors are rounded to TF32. If the shape is `split`, each factor is the sum of two such numbers, big
    and small, and big big + big small + small big is computed: almost as exact as float32 ("3xTF32").
    """
    ROWS, COLUMNS, WARP_ROWS, WARP_COLUMNS, SPLIT = shape
    DOWN, ACROSS, WARPS_ACROSS = WARP_ROWS // 16, WARP_COLUMNS // 8, COLUMNS // WARP_COLUMNS

    @cuda.jit(device=True)
    def warp_row():
        return cuda.threadIdx.x // 32 // WARPS_ACROSS * WARP_ROWS

    @cuda.jit(device=True)
    def warp_column():
        return cuda.threadIdx.x // 32 % WARPS_ACROSS * WARP_COLUMNS

    @cuda.jit(device=True)
    def load_a(a, start, k, r):
        lane = cuda.threadIdx.x % 32
        if a_k_last:
            for m in range(DOWN):
                at = start + _in_rows(warp_row() + m * 16 + lane % 16, k + lane // 16 * 4)
                r[m, 0], r[m, 1], r[m, 2], r[m, 3] = load_matrices(a, at)
        else:
            for m in range(0, DOWN, 2):
                i = warp_row() + m * 16 + lane // 4 * 4
                at = start + _in_columns(k + lane % 4, i, ROWS)
                r[m, 0], r[m, 1], r[m + 1, 0], r[m + 1, 1] = load4(a, at)
                r[m, 2], r[m, 3], r[m + 1, 2], r[m + 1, 3] = load4(a, at + 4 * ROWS)

    @cuda.jit(device=True)
    def load_b(b, start, k, r):
        lane = cuda.threadIdx.x % 32
        if b_k_last:
            for n in range(0, ACROSS, 2):
                i = warp_column() + n * 8 + lane // 16 * 8 + lane % 8
                at = start + _in_rows(i, k + lane // 8 % 2 * 4)
                r[n, 0], r[n, 1], r[n + 1, 0], r[n + 1, 1] = load_matrices(b, at)
        else:
            for n in range(0, ACROSS, 4):
                i = warp_column() + n * 8 + lane // 4 * 4
                at = start + _in_columns(k + lane % 4, i, COLUMNS)
                r[n, 0], r[n + 1, 0], r[n + 2, 0], r[n + 3, 0] = load4(b, at)
                r[n, 1], r[n + 1, 1], r[n + 2, 1], r[n + 3, 1] = load4(b, at + 4 * COLUMNS)

    @cuda.jit(device=True)
    def split(r, small, count, length):
        """Round the factors r to TF32; small is what they lose."""
        for i in range(count):
            for j in range(length):
                big = tf32(r[i, j])
                small[i, j] = r[i, j] - big
                r[i, j] = big

    @cuda.jit(device=True)
    def multiply_piece(a, m, b, n, part):
        i, j = 2 * m, 2 * n
        c = (part[i, j], part[i, j + 1], part[i + 1, j], part[i + 1, j + 1])
        c = multiply_add((a[m, 0], a[m, 1], a[m, 2], a[m, 3]), (b[n, 0], b[n, 1]), c)
        part[i, j], part[i, j + 1], part[i + 1, j], part[i + 1, j + 1] = c

    @cuda.jit(device=True)
    def multiply_slice(a, a_start, b, b_start, part):
        ra, rb = cuda.local.array((DOWN, 4), float32), cuda.local.array((ACROSS, 2), float32)
        small_a, small_b = cuda.local.array((DOWN, 4), float32), cuda.local.array((ACROSS, 2), float32)
        for k in range(0, DEPTH, 8):
            load_a(a, a_start, k, ra)
            load_b(b, b_start, k, rb)
            split(ra, small_a, DOWN, 4)
            split(rb, small_b, ACROSS, 2)
            for m in range(DOWN):
                for n in range(ACROSS):
                    if SPLIT:
                        multiply_piece(small_a, m, rb, n, part)
                        multiply_piece(ra, m, small_b, n, part)
                    multiply_piece(ra, m, rb, n, part)

    @cuda.jit(device=True)
    def row_of(i):
        g = cuda.threadIdx.x % 32 // 4
        within = i * 8 + g if a_k_last else i // 4 * 32 + g * 4 + i % 4
        return cuda.blockIdx.y * ROWS + warp_row() + within

    @cuda.jit(device=True)
    def column_of(j):
        n, g = j // 2, cuda.threadIdx.x % 4 * 2 + j % 2
        within = n * 8 + g if b_k_last else n // 4 * 32 + g * 4 + n % 4
        return cuda.blockIdx.x * COLUMNS + warp_column() + within

    return multiply_slice, row_of, column_of, (2 * DOWN, 2 * ACROSS)
