"""The answers to lesson 13, and common mistakes."""

import numpy as np

from minids.lesson.gpu import cuda, float32

ZERO, CLIP = np.float32(0), np.float32(20)
THREADS, TILE = 8, 4


def bias(z, b, y):
    h, r = cuda.grid(2)
    if h < y.shape[1] and r < y.shape[0]:
        y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def column_sum(x, sums):
    partial = cuda.shared.array(THREADS, float32)
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    total = ZERO
    for r in range(i, x.shape[0], THREADS):
        total += x[r, h]
    partial[i] = total
    cuda.syncthreads()
    if i == 0:
        for other in range(1, THREADS):
            total += partial[other]
        sums[h] = total


def tiled(x, W, y):
    a = cuda.shared.array((TILE, TILE), float32)
    b = cuda.shared.array((TILE, TILE), float32)
    i, j = cuda.grid(2)
    ti, tj = cuda.threadIdx.x, cuda.threadIdx.y
    row = cuda.blockIdx.y * TILE + ti  # of W, to be loaded
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
    """Without a guard, threads outside the array write outside the array."""
    h, r = cuda.grid(2)
    y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def half_a_guard(z, b, y):
    """Guards only one of the two dimensions."""
    h, r = cuda.grid(2)
    if h < y.shape[1]:
        y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def guard_off_by_one(z, b, y):
    """With <= one thread too many passes the guard."""
    h, r = cuda.grid(2)
    if h <= y.shape[1] and r <= y.shape[0]:
        y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def x_along_the_rows(z, b, y):
    """x, the first number, must run along H: otherwise some elements have no thread."""
    r, h = cuda.grid(2)
    if h < y.shape[1] and r < y.shape[0]:
        y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def within_the_block(z, b, y):
    """With threadIdx alone, all blocks do the work of the first."""
    h, r = cuda.threadIdx.x, cuda.threadIdx.y
    if h < y.shape[1] and r < y.shape[0]:
        y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def one_thread_alone(z, b, y):
    """The first thread does everything, the others nothing."""
    h, r = cuda.grid(2)
    if h == 0 and r == 0:
        for row in range(y.shape[0]):
            for unit in range(y.shape[1]):
                y[row, unit] = min(max(z[row, unit] + b[unit], ZERO), CLIP)


def every_thread_writes_its_row(z, b, y):
    """Every thread writes a whole row: a race."""
    _, r = cuda.grid(2)
    if r < y.shape[0]:
        for h in range(y.shape[1]):
            y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)


def clips_before_the_bias(z, b, y):
    """g(z) + b is not g(z + b)."""
    h, r = cuda.grid(2)
    if h < y.shape[1] and r < y.shape[0]:
        y[r, h] = min(max(z[r, h], ZERO), CLIP) + b[h]


def variant_of_sum(x, sums, barrier="for all", rows=None, first=1):
    """The column sum with a mistake in it."""
    partial = cuda.shared.array(THREADS, float32)
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    total = ZERO
    for r in range(i, rows or x.shape[0], THREADS):
        total += x[r, h]
    partial[i] = total
    if barrier == "for all":
        cuda.syncthreads()
    if i == 0:
        if barrier == "for one":
            cuda.syncthreads()
        for other in range(first, THREADS):
            total += partial[other]
        sums[h] = total


def no_barrier(x, sums):
    """Thread 0 reads sums that other threads may not have written yet."""
    variant_of_sum(x, sums, barrier=None)


def barrier_for_one(x, sums):
    """Only thread 0 reaches the barrier: it waits forever."""
    variant_of_sum(x, sums, barrier="for one")


def one_row_per_thread(x, sums):
    """Ignores the rows after the eighth."""
    variant_of_sum(x, sums, rows=min(x.shape[0], THREADS))


def counts_thread_0_twice(x, sums):
    """The sum of thread 0 is in `total` already."""
    variant_of_sum(x, sums, first=0)


def all_add_to_one_number(x, sums):
    """All threads add to the same number: a race."""
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    if i == 0:
        sums[h] = ZERO
    cuda.syncthreads()
    for r in range(i, x.shape[0], THREADS):
        sums[h] += x[r, h]


def every_thread_adds_everything(x, sums):
    """Right, but every thread reads the whole column."""
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    total = ZERO
    for r in range(x.shape[0]):
        total += x[r, h]
    if i == 0:
        sums[h] = total


def thread_0_adds_everything(x, sums):
    """Right, but seven of eight threads do nothing."""
    if cuda.threadIdx.x == 0:
        total = ZERO
        for r in range(x.shape[0]):
            total += x[r, cuda.blockIdx.x]
        sums[cuda.blockIdx.x] = total


def adds_to_uninitialized_memory(x, sums):
    """Shared memory does not start as 0."""
    partial = cuda.shared.array(THREADS, float32)
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    for r in range(i, x.shape[0], THREADS):
        partial[i] += x[r, h]
    cuda.syncthreads()
    if i == 0:
        total = ZERO
        for other in range(THREADS):
            total += partial[other]
        sums[h] = total


def variant_of_tiled(x, W, y, first=True, second=True, guard_k=True, leave=False, transposed=False):
    """The product in tiles with a mistake in it."""
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
            total += (a[k, ti] if transposed else a[ti, k]) * b[tj, k]
        if second:
            cuda.syncthreads()
    if inside:
        y[i, j] = total


def no_first_barrier(x, W, y):
    """Multiplies before the tiles are complete."""
    variant_of_tiled(x, W, y, first=False)


def no_second_barrier(x, W, y):
    """Overwrites the tiles while other threads still read them."""
    variant_of_tiled(x, W, y, second=False)


def returns_early(x, W, y):
    """Threads without an element of y return, and the barrier waits for them."""
    variant_of_tiled(x, W, y, leave=True)


def no_guard_along_k(x, W, y):
    """The last tiles extend beyond the matrices along k, too."""
    variant_of_tiled(x, W, y, guard_k=False)


def column_of_the_tile(x, W, y):
    """a[k, ti] is an element of a transposed tile."""
    variant_of_tiled(x, W, y, transposed=True)


def without_tiles(x, W, y):
    """Right, but every thread reads all its numbers from global memory."""
    i, j = cuda.grid(2)
    if i < y.shape[0] and j < y.shape[1]:
        total = ZERO
        for k in range(x.shape[1]):
            total += x[i, k] * W[j, k]
        y[i, j] = total


HINTS = {
    "bias": [
        "h, r = cuda.grid(2): x, the first number, runs along H.",
        "One `if` guards both: h < y.shape[1] and r < y.shape[0].",
        "y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)",
    ],
    "column_sum": [
        "h, i = cuda.blockIdx.x, cuda.threadIdx.x; each block has a column.",
        "total = ZERO; for r in range(i, x.shape[0], THREADS): total += x[r, h]",
        "partial[i] = total; cuda.syncthreads(); if i == 0: total += partial[1] …; sums[h] = total",
    ],
    "tiled": [
        "For k0 in range(0, K, TILE): a[ti, tj] = x[i, k0 + tj] if both are inside, else ZERO.",
        "b[ti, tj] = W[row, k0 + tj] with row = cuda.blockIdx.y * TILE + ti; guard it, too.",
        "Barrier; for k in range(TILE): total += a[ti, k] * b[tj, k]; barrier. At the end y[i, j], guarded.",
    ],
}

WRONG = {
    "bias": [
        no_guard,
        half_a_guard,
        guard_off_by_one,
        x_along_the_rows,
        within_the_block,
        one_thread_alone,
        every_thread_writes_its_row,
        clips_before_the_bias,
    ],
    "column_sum": [
        no_barrier,
        all_add_to_one_number,
        barrier_for_one,
        one_row_per_thread,
        counts_thread_0_twice,
        every_thread_adds_everything,
        thread_0_adds_everything,
        adds_to_uninitialized_memory,
    ],
    "tiled": [
        without_tiles,
        no_first_barrier,
        no_second_barrier,
        returns_early,
        no_guard_along_k,
        column_of_the_tile,
    ],
}
