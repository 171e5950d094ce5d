"""The core of a matrix product: a block of threads computes one tile of C = A B.

    C (M, N)            a block owns ROWS x COLUMNS of C and proceeds along k, DEPTH at a time:
      ┌─────┬─────┐       1. all threads load the next slice of A (ROWS, DEPTH) and of B (DEPTH, COLUMNS)
      │     │tile │          from global memory into registers, four numbers at a time;
      ├─────┼─────┤       2. while these loads are in flight, they multiply the slice in shared memory;
      │     │     │       3. they store the registers into the other half of shared memory; a barrier.
      └─────┴─────┘
A number in shared memory is used by a whole row or column of threads, and each thread keeps its 8 x 8 part of
C in registers: 16 numbers read from shared memory serve 64 multiplications.

In shared memory both slices are stored with k first, [k, row] and [k, column]. Padding after each k puts the
elements that threads write at the same time into different banks. In global memory an operand may have k
first or last: in y = x Wᵀ both x (M, K) and W (N, K) have it last. Indices in the inner loops are unsigned,
because Numba checks at every access whether a signed index is negative.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import float32, uint64

from minids.ops.cuda.device import cuda
from minids.ops.cuda.tensor_core import multiply_add, tf32
from minids.ops.cuda.vector_io import load4, load4_aligned, load4_unaligned, store4

_ZERO = np.float32(0)


class TileShape(NamedTuple):
    """The size of a tile of C and the depth of a slice. M, N and K need not be multiples of them."""

    rows: int
    columns: int
    depth: int
    warp_rows: int = 0  # the part of a tile that a warp owns, with tensor cores
    warp_columns: int = 0

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
        return self.threads, 1 if self.warp_rows else 2


class Tile(NamedTuple):
    """The device functions for a kernel: multiply(A, B, starts, M, N, K, first, last, part) sums over k from
    `first` to `last`, and part[i, j] belongs to row_of(i), column_of(j) of C.
    """

    shape: TileShape
    multiply: Any
    row_of: Any
    column_of: Any
    part: tuple[int, int]  # the shape of a thread's part of the tile


@cuda.jit(device=True)
def _unchanged(x):
    return x


def _slice_copiers(side, depth, threads, pitch, k_last, gathered, vectorized, convert):
    """load and store: a slice (side, depth) of an operand from global memory to registers to shared memory.

    `side` is the size of the tile along the operand's other axis, `pitch` the distance from one k to the next
    in shared memory. Each thread copies groups of four numbers, "quads". Quad q of a thread is the slice's
    quad thread + q threads: adjacent threads load adjacent quads. Row r of a `gathered` operand begins at
    starts[r].
    """
    QUADS = side * depth // (4 * threads)
    PER_LINE = (depth if k_last else side) // 4
    assert QUADS * 4 * threads == side * depth
    load4_masked = load4_aligned if vectorized else load4_unaligned

    @cuda.jit(device=True)
    def load(source, starts, first, k0, sides, last, K, quads):
        for q in range(QUADS):
            e = cuda.threadIdx.x + q * threads
            line = e // PER_LINE
            offset = (e % PER_LINE) * 4
            if k_last:
                row, at = first + line, k0 + offset
                valid = last - at if row < sides else 0
                length, rows = K, sides
            else:
                row, at = k0 + line, first + offset
                valid = sides - at if row < last else 0
                length, rows = sides, last
            start = row * length
            if gathered:
                start = starts[row] if row < rows else 0
            values = load4_masked(source, start + at, valid)
            for i in range(4):
                quads[q, i] = convert(values[i])

    @cuda.jit(device=True)
    def store(quads, shared, start):
        for q in range(QUADS):
            e = cuda.threadIdx.x + q * threads
            line = e // PER_LINE
            offset = (e % PER_LINE) * 4
            if k_last:
                for i in range(4):
                    shared[uint64(start + (offset + i) * pitch + line)] = quads[q, i]
            else:
                values = (quads[q, 0], quads[q, 1], quads[q, 2], quads[q, 3])
                store4(shared, start + line * pitch + offset, values)

    return load, store, QUADS


@cache
def tile(
    shape: TileShape,
    a_k_last: bool,
    b_k_last: bool,
    vectorized: bool,
    a_gathered: bool = False,
    b_gathered: bool = False,
) -> Tile:
    """The device functions of a tile. `vectorized`: see vector_io.aligned; `gathered`: see _slice_copiers."""
    make = _tensor_core_product if shape.warp_rows else _fma_product
    multiply_slice, row_of, column_of, PART, PAD, convert = make(shape)
    THREADS, ROWS, COLUMNS, DEPTH = shape.threads, shape.rows, shape.columns, shape.depth
    A_PITCH, B_PITCH = ROWS + PAD, COLUMNS + PAD
    A_SLICE, B_SLICE = DEPTH * A_PITCH, DEPTH * B_PITCH
    A_BUFFERS, B_BUFFERS = 2 * A_SLICE, 2 * B_SLICE
    PART_ROWS, PART_COLUMNS = PART
    load_a, store_a, A_QUADS = _slice_copiers(
        ROWS, DEPTH, THREADS, A_PITCH, a_k_last, a_gathered, vectorized, convert
    )
    load_b, store_b, B_QUADS = _slice_copiers(
        COLUMNS, DEPTH, THREADS, B_PITCH, b_k_last, b_gathered, vectorized, convert
    )

    @cuda.jit(device=True)
    def multiply(A, B, starts, M, N, K, first, last, part):
        a = cuda.shared.array(A_BUFFERS, float32, alignment=16)
        b = cuda.shared.array(B_BUFFERS, float32, alignment=16)
        a_quads = cuda.local.array((A_QUADS, 4), float32)
        b_quads = cuda.local.array((B_QUADS, 4), float32)
        row = cuda.blockIdx.y * ROWS
        column = cuda.blockIdx.x * COLUMNS
        for i in range(PART_ROWS):
            for j in range(PART_COLUMNS):
                part[i, j] = _ZERO
        load_a(A, starts, row, first, M, last, K, a_quads)
        load_b(B, starts, column, first, N, last, K, b_quads)
        store_a(a_quads, a, 0)
        store_b(b_quads, b, 0)
        cuda.syncthreads()
        buffer = 0
        for k0 in range(first, last, DEPTH):
            has_next = k0 + DEPTH < last
            if has_next:
                load_a(A, starts, row, k0 + DEPTH, M, last, K, a_quads)
                load_b(B, starts, column, k0 + DEPTH, N, last, K, b_quads)
            multiply_slice(a, buffer * A_SLICE, b, buffer * B_SLICE, part)
            if has_next:
                buffer = 1 - buffer
                store_a(a_quads, a, buffer * A_SLICE)
                store_b(b_quads, b, buffer * B_SLICE)
                cuda.syncthreads()

    return Tile(shape, multiply, row_of, column_of, PART)


def _fma_product(shape):
    """A thread owns 8 x 8 of a tile: two groups of four rows, half a tile apart; likewise for columns."""
    ROWS, COLUMNS, DEPTH = shape.rows, shape.columns, shape.depth
    PAD = 4
    A_PITCH, B_PITCH = ROWS + PAD, COLUMNS + PAD
    A_HALF, B_HALF, ACROSS = ROWS // 2, COLUMNS // 2, COLUMNS // 8

    @cuda.jit(device=True)
    def multiply_step(a, a_start, b, b_start, part):
        """part += column k of A times row k of B."""
        ra = cuda.local.array(8, float32)
        rb = cuda.local.array(8, float32)
        ra[0], ra[1], ra[2], ra[3] = load4(a, a_start)
        ra[4], ra[5], ra[6], ra[7] = load4(a, a_start + A_HALF)
        rb[0], rb[1], rb[2], rb[3] = load4(b, b_start)
        rb[4], rb[5], rb[6], rb[7] = load4(b, b_start + B_HALF)
        for i in range(8):
            for j in range(8):
                part[i, j] += ra[i] * rb[j]

    @cuda.jit(device=True)
    def multiply_slice(a, a_start, b, b_start, part):
        a_start += cuda.threadIdx.x // ACROSS * 4
        b_start += cuda.threadIdx.x % ACROSS * 4
        for k in range(0, DEPTH, 2):  # two steps: the operands of one are loaded while the other computes
            multiply_step(a, a_start + k * A_PITCH, b, b_start + k * B_PITCH, part)
            multiply_step(a, a_start + (k + 1) * A_PITCH, b, b_start + (k + 1) * B_PITCH, part)

    @cuda.jit(device=True)
    def row_of(i):
        return cuda.blockIdx.y * ROWS + (i // 4) * A_HALF + (cuda.threadIdx.x // ACROSS) * 4 + i % 4

    @cuda.jit(device=True)
    def column_of(j):
        return cuda.blockIdx.x * COLUMNS + (j // 4) * B_HALF + (cuda.threadIdx.x % ACROSS) * 4 + j % 4

    return multiply_slice, row_of, column_of, (8, 8), PAD, _unchanged


def _tensor_core_product(shape):
    """A warp owns a part of the tile, in pieces of 16 x 8: one instruction per piece and 8 steps along k."""
    ROWS, COLUMNS = shape.rows, shape.columns
    WARP_ROWS, WARP_COLUMNS, STEPS = shape.warp_rows, shape.warp_columns, shape.depth // 8
    DOWN, ACROSS, WARPS_ACROSS = WARP_ROWS // 16, WARP_COLUMNS // 8, COLUMNS // WARP_COLUMNS
    PAD = 8
    A_PITCH, B_PITCH = ROWS + PAD, COLUMNS + PAD

    @cuda.jit(device=True)
    def multiply_slice(a, a_start, b, b_start, part):
        fa = cuda.local.array((DOWN, 4), float32)
        fb = cuda.local.array((ACROSS, 2), float32)
        warp = cuda.threadIdx.x // 32
        g = (cuda.threadIdx.x % 32) // 4
        t = cuda.threadIdx.x % 4
        for step in range(STEPS):
            a_first = a_start + (step * 8 + t) * A_PITCH + (warp // WARPS_ACROSS) * WARP_ROWS + g
            b_first = b_start + (step * 8 + t) * B_PITCH + (warp % WARPS_ACROSS) * WARP_COLUMNS + g
            for m in range(DOWN):
                fa[m, 0] = a[uint64(a_first + m * 16)]
                fa[m, 1] = a[uint64(a_first + m * 16 + 8)]
                fa[m, 2] = a[uint64(a_first + m * 16 + 4 * A_PITCH)]
                fa[m, 3] = a[uint64(a_first + m * 16 + 8 + 4 * A_PITCH)]
            for n in range(ACROSS):
                fb[n, 0] = b[uint64(b_first + n * 8)]
                fb[n, 1] = b[uint64(b_first + n * 8 + 4 * B_PITCH)]
            for m in range(DOWN):
                i = 2 * m
                for n in range(ACROSS):
                    j = 2 * n
                    c = (part[i, j], part[i, j + 1], part[i + 1, j], part[i + 1, j + 1])
                    c = multiply_add((fa[m, 0], fa[m, 1], fa[m, 2], fa[m, 3]), (fb[n, 0], fb[n, 1]), c)
                    part[i, j] = c[0]
                    part[i, j + 1] = c[1]
                    part[i + 1, j] = c[2]
                    part[i + 1, j + 1] = c[3]

    @cuda.jit(device=True)
    def row_of(i):
        warp, g = cuda.threadIdx.x // 32, (cuda.threadIdx.x % 32) // 4
        return cuda.blockIdx.y * ROWS + (warp // WARPS_ACROSS) * WARP_ROWS + (i // 2) * 16 + (i % 2) * 8 + g

    @cuda.jit(device=True)
    def column_of(j):
        warp, t = cuda.threadIdx.x // 32, cuda.threadIdx.x % 4
        first = cuda.blockIdx.x * COLUMNS + (warp % WARPS_ACROSS) * WARP_COLUMNS
        return first + (j // 2) * 8 + 2 * t + j % 2

    return multiply_slice, row_of, column_of, (2 * DOWN, 2 * ACROSS), PAD, tf32
