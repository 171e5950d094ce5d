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
from numba import float32, int32, uint64

from minids.ops.cuda.device import cuda
from minids.ops.cuda.tensor_core import load_matrices, multiply_add, tf32
from minids.ops.cuda.vector_io import (
    commit_copies,
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
    """copy: starts to copy a slice of an operand; `side` is the size of the tile along its other axis.

    If k is last, four threads copy a row: a quad each, or, if the slice is transposed, every fourth number.
    Rows after the last one are copies of it; what is computed from them is not stored.
    """
    PER_LINE = (DEPTH if k_last else side) // 4
    LINES = threads // PER_LINE  # that all threads copy at once
    COUNT = side * DEPTH // (4 * threads)
    STRIDE = 1 if transposed else 4
    ASYNCHRONOUS, VECTORIZED = access.asynchronous, access.vectorized
    load = load4_aligned if VECTORIZED else load4_unaligned

    @cuda.jit(device=True)
    def copy1(shared, i, source, j, valid):
        if ASYNCHRONOUS:
            copy_async(shared, i, source, j, valid, 1)
        else:
            shared[uint64(i)] = source[j] if valid > 0 else _ZERO

    @cuda.jit(device=True)
    def copy4(shared, i, source, j, valid):
        if not ASYNCHRONOUS:
            store4(shared, i, load(source, j, valid))
        elif VECTORIZED:
            copy_async(shared, i, source, j, valid, 4)
        else:
            for n in range(4):
                copy_async(shared, i + n, source, j + n, valid - n, 1)

    @cuda.jit(device=True)
    def copy(source, starts, shared, stage, first, sides, k0, last, K):
        part = cuda.threadIdx.x % PER_LINE * STRIDE
        for q in range(COUNT):
            line = cuda.threadIdx.x // PER_LINE + q * LINES
            if k_last:
                row = min(first + line, sides - 1)
                at = (starts[row] if gathered else row * K) + k0 + part
                valid = int32(last - k0 - part)
                if transposed:
                    target = stage + _in_columns(part, line, side)
                    for k in range(0, DEPTH, 4):
                        copy1(shared, target + k * side, source, at + k, valid - k)
                else:
                    copy4(shared, stage + _in_rows(line, part), source, at, valid)
            else:
                k, column = k0 + line, first + part
                start = k * sides
                if gathered:
                    start = starts[k] if k < last else 0
                valid = sides - column if k < last else 0
                copy4(shared, stage + _in_columns(line, part, side), source, start + column, valid)

    return copy


@cache
def tile(shape: TileShape, a_k_last: bool, b_k_last: bool, access: Access) -> Tile:
    """The device functions of a tile. If an operand is gathered, it is A if both have k last, otherwise B."""
    make = _tensor_core_product if shape.warp_rows else _fma_product
    multiply_slice, row_of, column_of, PART = make(shape, a_k_last, b_k_last)
    ROWS, COLUMNS, THREADS = shape.rows, shape.columns, shape.threads
    ASYNCHRONOUS = access.asynchronous
    STAGES = 3 if ASYNCHRONOUS else 2  # slices in shared memory
    # The slices whose copies are started before one is multiplied, and how many may still be under way then.
    AHEAD, UNDER_WAY = STAGES - 1, STAGES - 2
    A_SLICE, B_SLICE = ROWS * DEPTH, COLUMNS * DEPTH
    A_SIZE, B_SIZE = STAGES * A_SLICE, STAGES * B_SLICE
    PART_ROWS, PART_COLUMNS = PART
    a_gathered, b_gathered = access.gathered and b_k_last, access.gathered and not b_k_last
    copy_a = _copier(ROWS, THREADS, a_k_last, a_k_last and not shape.warp_rows, access, a_gathered)
    copy_b = _copier(COLUMNS, THREADS, b_k_last, b_k_last and not shape.warp_rows, access, b_gathered)

    @cuda.jit(device=True)
    def multiply(A, B, starts, M, N, K, first, last, part):
        a = cuda.shared.array(A_SIZE, float32, alignment=16)
        b = cuda.shared.array(B_SIZE, float32, alignment=16)
        row, column = cuda.blockIdx.y * ROWS, cuda.blockIdx.x * COLUMNS
        for i in range(PART_ROWS):
            for j in range(PART_COLUMNS):
                part[i, j] = _ZERO
        for stage in range(AHEAD):
            k0 = first + stage * DEPTH
            copy_a(A, starts, a, stage * A_SLICE, row, M, k0, last, K)
            copy_b(B, starts, b, stage * B_SLICE, column, N, k0, last, K)
            if ASYNCHRONOUS:
                commit_copies()
        stage, free = 0, AHEAD
        for k0 in range(first, last, DEPTH):
            if ASYNCHRONOUS:
                wait_copies(UNDER_WAY)
            cuda.syncthreads()  # all threads have their part of the slice, and have read the one before
            k_ahead = k0 + AHEAD * DEPTH
            copy_a(A, starts, a, free * A_SLICE, row, M, k_ahead, last, K)
            copy_b(B, starts, b, free * B_SLICE, column, N, k_ahead, last, K)
            if ASYNCHRONOUS:
                commit_copies()
            multiply_slice(a, stage * A_SLICE, b, stage * B_SLICE, part)
            free = stage
            stage = stage + 1 if stage < AHEAD else 0
        if ASYNCHRONOUS:
            wait_copies(0)  # shared memory belongs to another block as soon as this one has ended

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
        multiply_steps(a, a_start, b, b_start, 0, part)  # written out: long loops are not unrolled
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

    The factors are rounded to TF32. If the shape is `split`, each factor is the sum of two such numbers, big
    and small, and big big + big small + small big is computed: almost as exact as float32 ("3xTF32"). The
    cores themselves add up only one slice then, because they cut sums off instead of rounding them, which
    makes all sums smaller, the more so the more terms they have.
    """
    ROWS, COLUMNS, WARP_ROWS, WARP_COLUMNS, SPLIT = shape
    A_SIXTEENS, B_SIXTEENS, WARPS_ACROSS = WARP_ROWS // 16, WARP_COLUMNS // 16, COLUMNS // WARP_COLUMNS
    PART = PART_ROWS, PART_COLUMNS = 2 * A_SIXTEENS, 4 * B_SIXTEENS
    load_a, line_a = _fragments(ROWS, A_SIXTEENS, a_k_last, 1, 2)
    load_b, line_b = _fragments(COLUMNS, B_SIXTEENS, b_k_last, 2, 1)

    @cuda.jit(device=True)
    def warp_row():
        return cuda.threadIdx.x // 32 // WARPS_ACROSS * WARP_ROWS

    @cuda.jit(device=True)
    def warp_column():
        return cuda.threadIdx.x // 32 % WARPS_ACROSS * WARP_COLUMNS

    @cuda.jit(device=True)
    def split(r, small, sixteens):
        """Round the factors r to TF32; small is what they lose."""
        for m in range(sixteens):
            for i in range(4):
                big = tf32(r[m, i])
                small[m, i] = r[m, i] - big
                r[m, i] = big

    @cuda.jit(device=True)
    def multiply_piece(a, m, b, n, part):
        """Rows 16 m, …, m + 15 of the warp's part, times columns 8 n, …, 8 n + 7."""
        i, j = 2 * m, 2 * n
        c = (part[i, j], part[i, j + 1], part[i + 1, j], part[i + 1, j + 1])
        a4, b2 = (a[m, 0], a[m, 1], a[m, 2], a[m, 3]), (b[n // 2, n % 2 * 2], b[n // 2, n % 2 * 2 + 1])
        part[i, j], part[i, j + 1], part[i + 1, j], part[i + 1, j + 1] = multiply_add(a4, b2, c)

    @cuda.jit(device=True)
    def multiply_slice(a, a_start, b, b_start, part):
        ra, small_a = cuda.local.array((A_SIXTEENS, 4), float32), cuda.local.array((A_SIXTEENS, 4), float32)
        rb, small_b = cuda.local.array((B_SIXTEENS, 4), float32), cuda.local.array((B_SIXTEENS, 4), float32)
        for k in range(0, DEPTH, 8):
            load_a(a, a_start, warp_row(), k, ra)
            load_b(b, b_start, warp_column(), k, rb)
            split(ra, small_a, A_SIXTEENS)
            split(rb, small_b, B_SIXTEENS)
            for m in range(A_SIXTEENS):
                for n in range(2 * B_SIXTEENS):
                    if SPLIT:
                        multiply_piece(small_a, m, rb, n, part)
                        multiply_piece(ra, m, small_b, n, part)
                    multiply_piece(ra, m, rb, n, part)

    @cuda.jit(device=True)
    def multiply_slice_apart(a, a_start, b, b_start, part):
        sums = cuda.local.array(PART, float32)
        for i in range(PART_ROWS):
            for j in range(PART_COLUMNS):
                sums[i, j] = _ZERO
        multiply_slice(a, a_start, b, b_start, sums)
        for i in range(PART_ROWS):
            for j in range(PART_COLUMNS):
                part[i, j] += sums[i, j]

    @cuda.jit(device=True)
    def row_of(i):
        return cuda.blockIdx.y * ROWS + warp_row() + line_a(i, cuda.threadIdx.x % 32 // 4)

    @cuda.jit(device=True)
    def column_of(j):
        return cuda.blockIdx.x * COLUMNS + warp_column() + line_b(j // 2, cuda.threadIdx.x % 4 * 2 + j % 2)

    return multiply_slice_apart if SPLIT else multiply_slice, row_of, column_of, PART


def _fragments(side, sixteens, k_last, LINE, K):
    """load: a lane's part of 16 lines x 8 k, for each 16 of the lines from `first` on; and line(q, g).

    With g = lane // 4 and t = lane % 4, r[m, 0] is element t of line(2 m, g); K further is its element t + 4,
    LINE further the same of line(2 m + 1, g). The numbers of an instruction must lie in adjacent registers.
    Lines are adjacent if k is last. If k is first, a quad of lines belongs to four pieces.
    """

    @cuda.jit(device=True)
    def load(s, start, first, k, r):
        lane = cuda.threadIdx.x % 32
        if k_last:
            own_line, own_k = lane // 8 // LINE % 2 * 8 + lane % 8, lane // 8 // K % 2 * 4
            for m in range(sixteens):
                at = start + _in_rows(first + m * 16 + own_line, k + own_k)
                r[m, 0], r[m, 1], r[m, 2], r[m, 3] = load_matrices(s, at)
        else:
            for m in range(0, sixteens, 2):
                at = start + _in_columns(k + lane % 4, first + m * 16 + lane // 4 * 4, side)
                r[m, 0], r[m, LINE], r[m + 1, 0], r[m + 1, LINE] = load4(s, at)
                r[m, K], r[m, 3], r[m + 1, K], r[m + 1, 3] = load4(s, at + 4 * side)

    @cuda.jit(device=True)
    def line(q, g):
        return q * 8 + g if k_last else q // 4 * 32 + g * 4 + q % 4

    return load, line
