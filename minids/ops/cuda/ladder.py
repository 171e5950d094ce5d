"""A ladder from the simplest matrix product to one on tensor cores: y (M, N) = x (M, K) Wᵀ, W (N, K).

Five short kernels, each with one idea more than the one before. They are here to be read, in lesson 19 and
before gemm_tile.py, which combines all of them for sizes of any kind:

    naive               each thread computes one element and reads everything from global memory
    tiled               a block loads slices of x and W into shared memory, and all its threads use them
    register_blocked    each thread computes 8 x 8 elements: 16 numbers read serve 64 multiplications
    vector_loads        four numbers per load instruction
    tensor_cores        a warp multiplies two small matrices in one instruction, with factors rounded to TF32

`recurrence` is the recurrent layer in one direction, at its simplest; birnn_kernels.py is the real one.

All sizes are multiples of the tile's, here 64 for M and N and 16 for K, so that no kernel needs a guard.
"""

import numpy as np
from numba import float32, int32, int64

from minids.ops.common import CLIP
from minids.ops.cuda.device import cuda
from minids.ops.cuda.launch import launch
from minids.ops.cuda.registry import Registered
from minids.ops.cuda.tensor_core import multiply_add, tf32
from minids.ops.cuda.vector_io import load4

_ZERO, _CLIP = np.float32(0), np.float32(CLIP)

TILE = 16  # the side of a tile of `tiled`, and its depth
TILE_PITCH = TILE + 1  # from one row to the next in shared memory, so that columns lie in different banks
SIDE, DEPTH = 64, 8  # of a tile from `register_blocked` on
HALF = SIDE // 2
PITCH = SIDE + 4  # from one k to the next in shared memory: without the 4, eight threads write to one bank
SLICE = DEPTH * PITCH
PITCH_MMA = SIDE + 8  # likewise for the access of tensor cores
MAX_UNITS = 1024  # of `recurrence`: the most threads that a block can have


@cuda.jit
def naive(x, W, y):
    """One thread per element: it reads 2 K numbers from global memory for K multiplications."""
    j, i = cuda.grid(2)
    total = _ZERO
    for k in range(x.shape[1]):
        total += x[i, k] * W[j, k]
    y[i, j] = total


@cuda.jit
def tiled(x, W, y):
    """The 16 x 16 threads of a block load each number of their rows of x and W once: 2 K / 16 per element."""
    a = cuda.shared.array((TILE, TILE), float32)
    b = cuda.shared.array((TILE, TILE_PITCH), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    j, i = cuda.grid(2)
    total = _ZERO
    for k0 in range(0, x.shape[1], TILE):
        a[ty, tx] = x[i, k0 + tx]
        b[ty, tx] = W[cuda.blockIdx.x * TILE + ty, k0 + tx]
        cuda.syncthreads()
        for k in range(TILE):
            total += a[ty, k] * b[tx, k]
        cuda.syncthreads()
    y[i, j] = total


@cuda.jit
def register_blocked(x, W, y):
    """Each of 8 x 8 threads keeps 8 x 8 elements of the tile in registers: rows ty, ty + 8, ty + 16, …"""
    a = cuda.shared.array((DEPTH, PITCH), float32)  # k first: adjacent threads read adjacent numbers
    b = cuda.shared.array((DEPTH, PITCH), float32)
    ra, rb = cuda.local.array(8, float32), cuda.local.array(8, float32)
    part = cuda.local.array((8, 8), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * SIDE, cuda.blockIdx.x * SIDE
    for i in range(8):
        for j in range(8):
            part[i, j] = _ZERO
    for k0 in range(0, x.shape[1], DEPTH):
        for n in range(8):
            a[tx, ty + 8 * n] = x[row + ty + 8 * n, k0 + tx]
            b[tx, ty + 8 * n] = W[column + ty + 8 * n, k0 + tx]
        cuda.syncthreads()
        for k in range(DEPTH):
            for n in range(8):
                ra[n], rb[n] = a[k, ty + 8 * n], b[k, tx + 8 * n]
            for i in range(8):
                for j in range(8):
                    part[i, j] += ra[i] * rb[j]
        cuda.syncthreads()
    for i in range(8):
        for j in range(8):
            y[row + ty + 8 * i, column + tx + 8 * j] = part[i, j]


@cuda.jit
def vector_loads(x, W, y, K):
    """As `register_blocked`, but x, W, a and b are flat, and four adjacent numbers are read
    at a time. A thread owns two groups of four rows, half a tile apart, likewise columns.
    """
    a = cuda.shared.array(SLICE, float32, alignment=16)
    b = cuda.shared.array(SLICE, float32, alignment=16)
    ra, rb = cuda.local.array((2, 4), float32), cuda.local.array((2, 4), float32)
    part = cuda.local.array((8, 8), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * SIDE, cuda.blockIdx.x * SIDE
    line, k4 = ty * 4 + tx // 2, tx % 2 * 4  # what it loads, in both halves of the tile
    for i in range(8):
        for j in range(8):
            part[i, j] = _ZERO
    for k0 in range(0, K, DEPTH):
        for half in range(2):
            here = line + half * HALF
            x4 = load4(x, (row + here) * K + k0 + k4)
            W4 = load4(W, (column + here) * K + k0 + k4)
            for n in range(4):
                a[(k4 + n) * PITCH + here] = x4[n]
                b[(k4 + n) * PITCH + here] = W4[n]
        cuda.syncthreads()
        for k in range(DEPTH):
            for half in range(2):
                a4 = load4(a, k * PITCH + half * HALF + ty * 4)
                b4 = load4(b, k * PITCH + half * HALF + tx * 4)
                for n in range(4):
                    ra[half, n], rb[half, n] = a4[n], b4[n]
            for i in range(8):
                for j in range(8):
                    part[i, j] += ra[i // 4, i % 4] * rb[j // 4, j % 4]
        cuda.syncthreads()
    for i in range(8):
        for j in range(8):
            r = row + i // 4 * HALF + ty * 4 + i % 4
            y[r, column + j // 4 * HALF + tx * 4 + j % 4] = part[i, j]


@cuda.jit
def tensor_cores(x, W, y):
    """Each of 4 warps owns 32 x 32 elements, as 2 x 4 pieces of 16 x 8: one instruction per piece and slice.

    Which elements a lane holds is fixed by the instruction, see `multiply_add`.
    """
    a = cuda.shared.array((DEPTH, PITCH_MMA), float32)
    b = cuda.shared.array((DEPTH, PITCH_MMA), float32)
    ra, rb = cuda.local.array((2, 4), float32), cuda.local.array((4, 2), float32)
    part = cuda.local.array((2, 4, 4), float32)
    thread = cuda.threadIdx.x
    warp, g, t = thread // 32, thread % 32 // 4, thread % 4
    row, column = cuda.blockIdx.y * SIDE, cuda.blockIdx.x * SIDE
    i0, j0 = warp // 2 * 32 + g, warp % 2 * 32  # of the warp's part; g and t: of the lane's elements
    for m in range(2):
        for n in range(4):
            for i in range(4):
                part[m, n, i] = _ZERO
    for k0 in range(0, x.shape[1], DEPTH):
        for n in range(4):
            line, k = thread // 8 + 16 * n, thread % 8
            a[k, line] = tf32(x[row + line, k0 + k])
            b[k, line] = tf32(W[column + line, k0 + k])
        cuda.syncthreads()
        for m in range(2):
            for i in range(4):
                ra[m, i] = a[t + i // 2 * 4, i0 + 16 * m + i % 2 * 8]
        for n in range(4):
            for i in range(2):
                rb[n, i] = b[t + i * 4, j0 + 8 * n + g]
        for m in range(2):
            for n in range(4):
                c = part[m, n, 0], part[m, n, 1], part[m, n, 2], part[m, n, 3]
                c = multiply_add((ra[m, 0], ra[m, 1], ra[m, 2], ra[m, 3]), (rb[n, 0], rb[n, 1]), c)
                for i in range(4):
                    part[m, n, i] = c[i]
        cuda.syncthreads()
    for m in range(2):
        for n in range(4):
            for i in range(4):
                y[row + i0 + 16 * m + i // 2 * 8, column + j0 + 8 * n + 2 * t + i % 2] = part[m, n, i]


LADDER = {  # {kernel: (the side of a block's tile of y, the threads of a block)}
    naive: (TILE, (TILE, TILE)),
    tiled: (TILE, (TILE, TILE)),
    register_blocked: (SIDE, (8, 8)),
    vector_loads: (SIDE, (8, 8)),
    tensor_cores: (SIDE, 128),
}


def product(kernel, x, W, y):
    """y ← x Wᵀ with one of the kernels."""
    side, threads = LADDER[kernel]
    M, K = x.shape
    blocks = W.shape[0] // side, M // side
    if kernel is vector_loads:
        launch(kernel, blocks, threads, x.reshape(-1), W.reshape(-1), y, K)
    else:
        launch(kernel, blocks, threads, x, W, y)


@cuda.jit
def recurrence(z, Wr, lengths, h):
    """h_t = g(z_t + Wr h_{t-1}), z and h (T, B, H): one block per utterance, one thread per unit."""
    state = cuda.shared.array(MAX_UNITS, float32)
    b, u = cuda.blockIdx.x, cuda.threadIdx.x
    state[u] = _ZERO
    cuda.syncthreads()
    for t in range(lengths[b]):
        total = z[t, b, u]
        for k in range(Wr.shape[1]):
            total += Wr[u, k] * state[k]
        cuda.syncthreads()  # all threads have read the old state
        state[u] = h[t, b, u] = min(max(total, _ZERO), _CLIP)
        cuda.syncthreads()  # all threads have written the new state


_vector, _matrix, _array3 = float32[::1], float32[:, ::1], float32[:, :, ::1]
KERNELS = {
    "naive": Registered(naive, (_matrix,) * 3, 64),
    "tiled": Registered(tiled, (_matrix,) * 3, 64),
    "register_blocked": Registered(register_blocked, (_matrix,) * 3, 168),
    "vector_loads": Registered(vector_loads, (_vector, _vector, _matrix, int64), 168),
    "tensor_cores": Registered(tensor_cores, (_matrix,) * 3, 128, 80),
    "recurrence": Registered(recurrence, (_array3, _matrix, int32[::1], _array3), 64),
}
