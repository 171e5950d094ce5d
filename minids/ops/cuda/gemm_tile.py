"""The heart of a matrix product: a block of threads computes one tile of C = A B.

    C (M, N)            a block owns ROWS x COLUMNS of C and walks along k, DEPTH at a time:
      ┌─────┬─────┐       1. all threads bring the next slice of A (ROWS, DEPTH) and of B (DEPTH, COLUMNS)
      │     │tile │          from global memory into registers, four numbers at a time,
      ├─────┼─────┤       2. meanwhile they multiply the slice that already lies in shared memory,
      │     │     │       3. store the registers into the other half of shared memory, a barrier, and again.
      └─────┴─────┘
A number in shared memory is used by a whole row or column of threads, and each thread keeps its 8 x 8 part of
C in registers: 16 numbers read from shared memory serve 64 multiplications.

In shared memory both slices lie with k first, [k, row] and [k, column], some padding behind each k so that
threads that write at once write to different banks. In global memory an operand may have k first or
last: x (M, K) and W (N, K) of y = x Wᵀ have it last. In the loops an index is unsigned: of a signed one Numba
asks at every access whether it is negative.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, float32, uint64

from minids.ops.cuda.tensor_core import multiply_add, tf32
from minids.ops.cuda.vector_io import four_at_once, four_singly, load4, store4

_ZERO = np.float32(0)


class Shape(NamedTuple):
    """A tile of C and the depth of a slice; a product's k may be any number, its tiles may stick out of C."""

    rows: int
    columns: int
    depth: int
    warp_rows: int = 0  # the part of a tile that a warp owns, on tensor cores
    warp_columns: int = 0

    @property
    def threads(self) -> int:
        if self.warp_rows:
            return 32 * (self.rows // self.warp_rows) * (self.columns // self.warp_columns)
        return (self.rows // 8) * (self.columns // 8)

    @property
    def bounds(self) -> tuple[int, int]:
        """Threads of a block; for how many blocks a multiprocessor must have registers: one computes while
        the other waits.
        """
        return self.threads, 1 if self.warp_rows else 2


class Tile(NamedTuple):
    """What a kernel needs: multiply(A, B, M, N, K, first, last, part), k from `first` to `last`, and
    where in C part[i, j] belongs.
    """

    shape: Shape
    multiply: Any
    row_of: Any
    column_of: Any
    part: tuple[int, int]  # the shape of a thread's part of the tile


@cuda.jit(device=True)
def _as_it_is(x):
    return x


def _staging(side, depth, threads, pitch, k_last, wide, number):
    """fetch and put: a slice (side, depth) of an operand, from global memory to registers to shared memory.

    `side` is the tile's extent along the operand's other axis, `pitch` the step from one k to the next in
    shared memory. Quad q of a thread is number tid + q threads; neighbors in the matrix go to neighboring
    threads, so that a warp reads whole lines.
    """
    QUADS = side * depth // (4 * threads)
    PER_LINE = (depth if k_last else side) // 4
    assert QUADS * 4 * threads == side * depth
    four = four_at_once if wide else four_singly

    @cuda.jit(device=True)
    def fetch(source, first, k0, sides, last, K, quads):
        for q in range(QUADS):
            e = cuda.threadIdx.x + q * threads
            line = e // PER_LINE
            place = (e % PER_LINE) * 4
            if k_last:
                inside = last - k0 - place if first + line < sides else 0
                values = four(source, (first + line) * K + k0 + place, inside)
            else:
                inside = sides - first - place if k0 + line < last else 0
                values = four(source, (k0 + line) * sides + first + place, inside)
            for i in range(4):
                quads[q, i] = number(values[i])

    @cuda.jit(device=True)
    def put(quads, shared, start):
        for q in range(QUADS):
            e = cuda.threadIdx.x + q * threads
            line = e // PER_LINE
            place = (e % PER_LINE) * 4
            if k_last:
                for i in range(4):
                    shared[uint64(start + (place + i) * pitch + line)] = quads[q, i]
            else:
                values = (quads[q, 0], quads[q, 1], quads[q, 2], quads[q, 3])
                store4(shared, start + line * pitch + place, values)

    return fetch, put, QUADS


@cache
def tile(shape: Shape, a_k_last: bool, b_k_last: bool, wide: bool) -> Tile:
    """The tile's device functions. `wide`: all rows begin at multiples of 16 bytes and are read in fours."""
    cores = _on_tensor_cores if shape.warp_rows else _on_ordinary_cores
    multiply_slice, row_of, column_of, PART, PAD, number = cores(shape)
    THREADS, ROWS, COLUMNS, DEPTH = shape.threads, shape.rows, shape.columns, shape.depth
    A_PITCH, B_PITCH = ROWS + PAD, COLUMNS + PAD
    A_SLICE, B_SLICE = DEPTH * A_PITCH, DEPTH * B_PITCH
    A_BOTH, B_BOTH = 2 * A_SLICE, 2 * B_SLICE
    PART_ROWS, PART_COLUMNS = PART
    fetch_a, put_a, A_QUADS = _staging(ROWS, DEPTH, THREADS, A_PITCH, a_k_last, wide, number)
    fetch_b, put_b, B_QUADS = _staging(COLUMNS, DEPTH, THREADS, B_PITCH, b_k_last, wide, number)

    @cuda.jit(device=True)
    def multiply(A, B, M, N, K, first, last, part):
        a = cuda.shared.array(A_BOTH, float32, alignment=16)
        b = cuda.shared.array(B_BOTH, float32, alignment=16)
        a_quads = cuda.local.array((A_QUADS, 4), float32)
        b_quads = cuda.local.array((B_QUADS, 4), float32)
        row = cuda.blockIdx.y * ROWS
        column = cuda.blockIdx.x * COLUMNS
        for i in range(PART_ROWS):
            for j in range(PART_COLUMNS):
                part[i, j] = _ZERO
        fetch_a(A, row, first, M, last, K, a_quads)
        fetch_b(B, column, first, N, last, K, b_quads)
        put_a(a_quads, a, 0)
        put_b(b_quads, b, 0)
        cuda.syncthreads()
        half = 0
        for k0 in range(first, last, DEPTH):
            more = k0 + DEPTH < last
            if more:
                fetch_a(A, row, k0 + DEPTH, M, last, K, a_quads)
                fetch_b(B, column, k0 + DEPTH, N, last, K, b_quads)
            multiply_slice(a, half * A_SLICE, b, half * B_SLICE, part)
            if more:
                half = 1 - half
                put_a(a_quads, a, half * A_SLICE)
                put_b(b_quads, b, half * B_SLICE)
                cuda.syncthreads()

    return Tile(shape, multiply, row_of, column_of, PART)


def _on_ordinary_cores(shape):
    """A thread owns 8 x 8 of the tile: two runs of four rows, half a tile apart, and so for the columns."""
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
        for k in range(0, DEPTH, 2):  # by twos: one k's numbers are read while the other's are multiplied
            multiply_step(a, a_start + k * A_PITCH, b, b_start + k * B_PITCH, part)
            multiply_step(a, a_start + (k + 1) * A_PITCH, b, b_start + (k + 1) * B_PITCH, part)

    @cuda.jit(device=True)
    def row_of(i):
        return cuda.blockIdx.y * ROWS + (i // 4) * A_HALF + (cuda.threadIdx.x // ACROSS) * 4 + i % 4

    @cuda.jit(device=True)
    def column_of(j):
        return cuda.blockIdx.x * COLUMNS + (j // 4) * B_HALF + (cuda.threadIdx.x % ACROSS) * 4 + j % 4

    return multiply_slice, row_of, column_of, (8, 8), PAD, _as_it_is


def _on_tensor_cores(shape):
    """A warp owns a part of the tile, in pieces of 16 x 8: one instruction each for 8 steps along k."""
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
            a_here = a_start + (step * 8 + t) * A_PITCH + (warp // WARPS_ACROSS) * WARP_ROWS + g
            b_here = b_start + (step * 8 + t) * B_PITCH + (warp % WARPS_ACROSS) * WARP_COLUMNS + g
            for m in range(DOWN):
                fa[m, 0] = a[uint64(a_here + m * 16)]
                fa[m, 1] = a[uint64(a_here + m * 16 + 8)]
                fa[m, 2] = a[uint64(a_here + m * 16 + 4 * A_PITCH)]
                fa[m, 3] = a[uint64(a_here + m * 16 + 8 + 4 * A_PITCH)]
            for n in range(ACROSS):
                fb[n, 0] = b[uint64(b_here + n * 8)]
                fb[n, 1] = b[uint64(b_here + n * 8 + 4 * B_PITCH)]
            for m in range(DOWN):
                i = 2 * m
                for n in range(ACROSS):
                    j = 2 * n
                    ours = (part[i, j], part[i, j + 1], part[i + 1, j], part[i + 1, j + 1])
                    ours = multiply_add((fa[m, 0], fa[m, 1], fa[m, 2], fa[m, 3]), (fb[n, 0], fb[n, 1]), ours)
                    part[i, j] = ours[0]
                    part[i, j + 1] = ours[1]
                    part[i + 1, j] = ours[2]
                    part[i + 1, j + 1] = ours[3]

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
