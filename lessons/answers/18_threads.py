"""The answers to lesson 18, common mistakes, and other right answers."""

import numpy as np

from minids.lesson.gpu import cuda, float32

ZERO, CLIP = np.float32(0), np.float32(20)
THREADS = 8


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


def column_sums(x, sums):
    partial = cuda.shared.array((8, 8), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    h = cuda.grid(2)[0]
    total = ZERO
    if h < x.shape[1]:
        for r in range(ty, x.shape[0], 8):
            total += x[r, h]
    partial[ty, tx] = total
    cuda.syncthreads()
    if ty == 0 and h < x.shape[1]:
        for other in range(1, 8):
            total += partial[other, tx]
        sums[h] = total


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


def adds_without_barriers(x, sums):
    """Adds in shared memory, all to one element: a race there, too."""
    partial = cuda.shared.array(1, float32)
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    if i == 0:
        partial[0] = ZERO
    cuda.syncthreads()
    for r in range(i, x.shape[0], THREADS):
        partial[0] += x[r, h]
    cuda.syncthreads()
    if i == 0:
        sums[h] = partial[0]


def leaves_out_the_rest(x, sums):
    """Chunks of rows // 8 rows leave out the rest of the division."""
    partial = cuda.shared.array(THREADS, float32)
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    chunk = x.shape[0] // THREADS
    total = ZERO
    for r in range(i * chunk, (i + 1) * chunk):
        total += x[r, h]
    partial[i] = total
    cuda.syncthreads()
    if i == 0:
        for other in range(1, THREADS):
            total += partial[other]
        sums[h] = total


def uses_atomics(x, sums):
    """The simulator has no atomic additions."""
    cuda.atomic.add(sums, cuda.blockIdx.x, x[cuda.threadIdx.x, cuda.blockIdx.x])


def thread_1_ahead(x, sums):
    """Each thread adds the sum of the next one, without a barrier between the steps of the tree."""
    partial = cuda.shared.array(THREADS, float32)
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    partial[i] = ZERO
    for r in range(i, x.shape[0], THREADS):
        partial[i] += x[r, h]
    cuda.syncthreads()
    step = THREADS // 2
    while step > 0:
        if i < step:
            partial[i] += partial[i + step]
        step //= 2
    if i == 0:
        sums[h] = partial[0]


def variant_of_sums(
    x, sums, leave=False, barrier=True, guard=True, swapped=False, overlap=False
):
    """The column sums with a mistake in them."""
    partial = cuda.shared.array((8, 8), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    if swapped:
        tx, ty = ty, tx
    h = cuda.blockIdx.x * 8 + tx
    if leave and h >= x.shape[1]:
        return
    total = ZERO
    if h < x.shape[1] or not guard:
        for r in range(ty, x.shape[0], 8):
            total += x[r, h]
    partial[0 if overlap else ty, tx] = total
    if barrier:
        cuda.syncthreads()
    if ty == 0 and h < x.shape[1]:
        for other in range(1, 8):
            total += partial[other, tx]
        sums[h] = total


def leaves_before_the_barrier(x, sums):
    """Threads without a column return, and the barrier waits for them."""
    variant_of_sums(x, sums, leave=True)


def sums_without_barrier(x, sums):
    """The first row of threads reads sums that may not have been written yet."""
    variant_of_sums(x, sums, barrier=False)


def sums_without_guard(x, sums):
    """Reads columns that do not exist: in memory they are the beginning of the next row."""
    variant_of_sums(x, sums, guard=False)


def adjacent_threads_on_adjacent_rows(x, sums):
    """Right, but threads with adjacent x read different rows, so each needs a sector of its own."""
    variant_of_sums(x, sums, swapped=True)


def one_row_of_partial_sums(x, sums):
    """Threads of the same column write to the same element of the shared array."""
    variant_of_sums(x, sums, overlap=True)


def one_thread_per_column(x, sums):
    """Right, but seven of eight rows of threads do nothing."""
    h = cuda.grid(2)[0]
    if cuda.threadIdx.y == 0 and h < x.shape[1]:
        total = ZERO
        for r in range(x.shape[0]):
            total += x[r, h]
        sums[h] = total


def bias_step_by_step(z, b, y):
    r = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
    h = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    rows, H = y.shape
    if r >= rows or h >= H:
        return
    value = z[r, h] + b[h]
    if value < ZERO:
        value = ZERO
    elif value > CLIP:
        value = CLIP
    y[r, h] = value


def bias_in_strides(logits, offsets, out):
    first_h, first_r = cuda.grid(2)
    step_h, step_r = cuda.gridsize(2)
    for r in range(first_r, out.shape[0], step_r):
        for h in range(first_h, out.shape[1], step_h):
            out[r, h] = max(ZERO, min(CLIP, offsets[h] + logits[r, h]))


def contiguous_chunks(x, sums):
    """Each thread adds up adjacent rows."""
    partial = cuda.shared.array(THREADS, float32)
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    chunk = (x.shape[0] + THREADS - 1) // THREADS
    total = ZERO
    for r in range(i * chunk, min((i + 1) * chunk, x.shape[0])):
        total += x[r, h]
    partial[i] = total
    cuda.syncthreads()
    if i == 0:
        for other in range(1, THREADS):
            total += partial[other]
        sums[h] = total


def in_a_tree(x, sums):
    """The eight sums are added in pairs, with a barrier after each step."""
    partial = cuda.shared.array(THREADS, float32)
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    partial[i] = ZERO
    for r in range(i, x.shape[0], THREADS):
        partial[i] += x[r, h]
    cuda.syncthreads()
    for step in (4, 2, 1):
        if i < step:
            partial[i] += partial[i + step]
        cuda.syncthreads()
    if i == 0:
        sums[h] = partial[0]


def the_last_thread_adds(matrix, totals):
    """Another thread than 0 adds up the sums, from a two-dimensional shared array."""
    shared = cuda.shared.array((1, THREADS), float32)
    column, me = cuda.blockIdx.x, cuda.threadIdx.x
    row, mine = me, ZERO
    while row < matrix.shape[0]:
        mine = mine + matrix[row, column]
        row += THREADS
    shared[0, me] = mine
    cuda.syncthreads()
    if me == THREADS - 1:
        everything = ZERO
        for k in range(THREADS):
            everything = everything + shared[0, k]
        totals[column] = everything


def sums_in_chunks(x, sums):
    """Each thread adds up adjacent rows, and the last row of threads finishes."""
    partial = cuda.shared.array((8, 8), float32)
    h = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    ty = cuda.threadIdx.y
    chunk = (x.shape[0] + 7) // 8
    partial[cuda.threadIdx.x, ty] = ZERO
    for r in range(ty * chunk, min((ty + 1) * chunk, x.shape[0])):
        if h < x.shape[1]:
            partial[cuda.threadIdx.x, ty] += x[r, h]
    cuda.syncthreads()
    if ty == 7 and h < x.shape[1]:
        total = ZERO
        for other in range(8):
            total += partial[cuda.threadIdx.x, other]
        sums[h] = total


def sums_in_a_tree(x, sums):
    """In pairs, with a barrier after each step; guarded by one name."""
    partial = cuda.shared.array((8, 8), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    h, _ = cuda.grid(2)
    inside = h < sums.size
    total = ZERO
    for r in range(ty, x.shape[0] if inside else 0, 8):
        total += x[r, h]
    partial[ty, tx] = total
    cuda.syncthreads()
    for step in (4, 2, 1):
        if ty < step:
            partial[ty, tx] += partial[ty + step, tx]
        cuda.syncthreads()
    if inside and ty == 0:
        sums[h] = partial[0, tx]


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
    "column_sums": [
        "It is column_sum with h = cuda.blockIdx.x * 8 + cuda.threadIdx.x, and y in the place of the thread.",
        "Guard the reads and the write with h < x.shape[1], but not the barrier.",
        "if h < x.shape[1]: for r in range(ty, x.shape[0], 8): total += x[r, h]; then partial[ty, tx] = total",
        "cuda.syncthreads(); if ty == 0 and h < x.shape[1]: total += partial[1, tx] …; sums[h] = total",
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
        adds_without_barriers,
        leaves_out_the_rest,
        thread_1_ahead,
        uses_atomics,
    ],
    "column_sums": [
        leaves_before_the_barrier,
        sums_without_barrier,
        sums_without_guard,
        adjacent_threads_on_adjacent_rows,
        one_row_of_partial_sums,
        one_thread_per_column,
    ],
}

RIGHT = {
    "bias": [bias_step_by_step, bias_in_strides],
    "column_sum": [contiguous_chunks, in_a_tree, the_last_thread_adds],
    "column_sums": [sums_in_chunks, sums_in_a_tree],
}
