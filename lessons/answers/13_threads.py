"""Our answers to lesson 13, and the usual mistakes."""

import numpy as np

from minids.lesson.gpu import cuda, float32

ZERO, CLIP = np.float32(0), np.float32(20)
THREADS, TILE = 8, 4


def bias(z, b, y):
    h, r = cuda.grid(2)
    if h < y.shape[1] and r < y.shape[0]:
        y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def column_sum(x, total):
    partial = cuda.shared.array(THREADS, float32)
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    mine = ZERO
    for r in range(i, x.shape[0], THREADS):
        mine += x[r, h]
    partial[i] = mine
    cuda.syncthreads()
    if i == 0:
        for other in range(1, THREADS):
            mine += partial[other]
        total[h] = mine


def tiled(x, W, y):
    a = cuda.shared.array((TILE, TILE), float32)
    b = cuda.shared.array((TILE, TILE), float32)
    i, j = cuda.grid(2)
    ti, tj = cuda.threadIdx.x, cuda.threadIdx.y
    row = cuda.blockIdx.y * TILE + ti  # of W, to be fetched
    (M, K), N = x.shape, W.shape[0]
    total = ZERO
    for k0 in range(0, K, TILE):
        a[ti, tj] = x[i, k0 + tj] if i < M and k0 + tj < K else ZERO
        b[ti, tj] = W[row, k0 + tj] if row < N and k0 + tj < K else ZERO
        cuda.syncthreads()
        for k in range(TILE):
            total += a[ti, k] * b[tj, k]
        cuda.syncthreads()
    if i < M and j < N:
        y[i, j] = total


def no_guard(z, b, y):
    """Threads outside the array write outside the array."""
    h, r = cuda.grid(2)
    y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def half_a_guard(z, b, y):
    """Guards one dimension alone."""
    h, r = cuda.grid(2)
    if h < y.shape[1]:
        y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def guard_one_too_far(z, b, y):
    """<= lets one thread too many through."""
    h, r = cuda.grid(2)
    if h <= y.shape[1] and r <= y.shape[0]:
        y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def x_along_the_rows(z, b, y):
    """x is the first number, and goes along H: else some elements have no thread."""
    r, h = cuda.grid(2)
    if h < y.shape[1] and r < y.shape[0]:
        y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def within_the_block(z, b, y):
    """threadIdx alone: all blocks do the first block's work."""
    h, r = cuda.threadIdx.x, cuda.threadIdx.y
    if h < y.shape[1] and r < y.shape[0]:
        y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def alone(z, b, y):
    """The first thread does it all, and the others wait."""
    h, r = cuda.grid(2)
    if h == 0 and r == 0:
        for row in range(y.shape[0]):
            for unit in range(y.shape[1]):
                y[row, unit] = min(max(z[row, unit] + b[unit], ZERO), CLIP)


def rows_of_threads(z, b, y):
    """Every thread of a row writes the whole row: a race."""
    _, r = cuda.grid(2)
    if r < y.shape[0]:
        for h in range(y.shape[1]):
            y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def clips_before_the_bias(z, b, y):
    """g(z) + b is not g(z + b)."""
    h, r = cuda.grid(2)
    if h < y.shape[1] and r < y.shape[0]:
        y[r, h] = min(max(z[r, h], ZERO), CLIP) + b[h]


def summed(x, total, barrier="for all", rows=None, first=1):
    """A column's sum with a mistake in it."""
    partial = cuda.shared.array(THREADS, float32)
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    mine = ZERO
    for r in range(i, rows or x.shape[0], THREADS):
        mine += x[r, h]
    partial[i] = mine
    if barrier == "for all":
        cuda.syncthreads()
    if i == 0:
        if barrier == "for one":
            cuda.syncthreads()
        for other in range(first, THREADS):
            mine += partial[other]
        total[h] = mine


def no_barrier(x, total):
    """Thread 0 reads what the others may not have written."""
    summed(x, total, barrier=None)


def barrier_for_one(x, total):
    """The barrier stands where only thread 0 comes: it waits for ever."""
    summed(x, total, barrier="for one")


def a_row_a_thread(x, total):
    """What is behind the eighth row is forgotten."""
    summed(x, total, rows=min(x.shape[0], THREADS))


def own_part_twice(x, total):
    """Thread 0's part is in `mine` already."""
    summed(x, total, first=0)


def all_add_to_one(x, total):
    """Every thread adds to the total: a race."""
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    if i == 0:
        total[h] = ZERO
    cuda.syncthreads()
    for r in range(i, x.shape[0], THREADS):
        total[h] += x[r, h]


def each_adds_all(x, total):
    """Right, but every thread reads the whole column."""
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    mine = ZERO
    for r in range(x.shape[0]):
        mine += x[r, h]
    if i == 0:
        total[h] = mine


def thread_0_alone(x, total):
    """Right, but seven of eight threads have nothing to do."""
    if cuda.threadIdx.x == 0:
        mine = ZERO
        for r in range(x.shape[0]):
            mine += x[r, cuda.blockIdx.x]
        total[cuda.blockIdx.x] = mine


def adds_to_nothing(x, total):
    """Shared memory is not 0 at the beginning."""
    partial = cuda.shared.array(THREADS, float32)
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    for r in range(i, x.shape[0], THREADS):
        partial[i] += x[r, h]
    cuda.syncthreads()
    if i == 0:
        mine = ZERO
        for other in range(THREADS):
            mine += partial[other]
        total[h] = mine


def multiplied(x, W, y, first=True, second=True, guard_k=True, leave=False, turned=False):
    """A product in tiles with a mistake in it."""
    a = cuda.shared.array((TILE, TILE), float32)
    b = cuda.shared.array((TILE, TILE), float32)
    i, j = cuda.grid(2)
    ti, tj = cuda.threadIdx.x, cuda.threadIdx.y
    row = cuda.blockIdx.y * TILE + ti
    (M, K), N = x.shape, W.shape[0]
    inside = i < M and j < N
    if leave and not inside:
        return
    total = ZERO
    for k0 in range(0, K, TILE):
        within = k0 + tj < K or not guard_k
        a[ti, tj] = x[i, k0 + tj] if i < M and within else ZERO
        b[ti, tj] = W[row, k0 + tj] if row < N and within else ZERO
        if first:
            cuda.syncthreads()
        for k in range(TILE):
            total += (a[k, ti] if turned else a[ti, k]) * b[tj, k]
        if second:
            cuda.syncthreads()
    if inside:
        y[i, j] = total


def no_first_barrier(x, W, y):
    """Multiplies before the tiles are full."""
    multiplied(x, W, y, first=False)


def no_second_barrier(x, W, y):
    """Overwrites the tiles while others still read them."""
    multiplied(x, W, y, second=False)


def leaves_early(x, W, y):
    """Threads without an element of y go home, and the barrier waits for them."""
    multiplied(x, W, y, leave=True)


def forgets_the_end_of_k(x, W, y):
    """The last tiles stick out of the matrices along k, too."""
    multiplied(x, W, y, guard_k=False)


def column_of_the_tile(x, W, y):
    """a[k, ti]: that is a row of xᵀ."""
    multiplied(x, W, y, turned=True)


def without_tiles(x, W, y):
    """Right, but every thread fetches all its numbers from far memory."""
    i, j = cuda.grid(2)
    if i < y.shape[0] and j < y.shape[1]:
        total = ZERO
        for k in range(x.shape[1]):
            total += x[i, k] * W[j, k]
        y[i, j] = total


WRONG = {
    "bias": [
        no_guard,
        half_a_guard,
        guard_one_too_far,
        x_along_the_rows,
        within_the_block,
        alone,
        rows_of_threads,
        clips_before_the_bias,
    ],
    "column_sum": [
        no_barrier,
        all_add_to_one,
        barrier_for_one,
        a_row_a_thread,
        own_part_twice,
        each_adds_all,
        thread_0_alone,
        adds_to_nothing,
    ],
    "tiled": [
        without_tiles,
        no_first_barrier,
        no_second_barrier,
        leaves_early,
        forgets_the_end_of_k,
        column_of_the_tile,
    ],
}
