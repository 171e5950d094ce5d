"""The answers to lesson 19, common mistakes, and other right answers."""

from collections import Counter, defaultdict

import numpy as np

from minids.lesson.gpu import cuda, float32

ZERO = np.float32(0)
TILE = 16
TILE_PITCH = TILE + 1
SIDE, DEPTH, PITCH = 64, 8, 68


def tiled(x, W, y):
    a = cuda.shared.array((TILE, TILE), float32)
    b = cuda.shared.array((TILE, TILE_PITCH), float32)
    j, i = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row = cuda.blockIdx.x * TILE + ty  # of W, to be loaded
    (M, K), N = x.shape, W.shape[0]
    total = ZERO
    for k0 in range(0, K, TILE):
        a[ty, tx] = x[i, k0 + tx] if i < M and k0 + tx < K else ZERO
        b[ty, tx] = W[row, k0 + tx] if row < N and k0 + tx < K else ZERO
        cuda.syncthreads()
        for k in range(TILE):
            total += a[ty, k] * b[tx, k]
        cuda.syncthreads()
    if i < M and j < N:
        y[i, j] = total


def wavefronts(words):
    in_bank = Counter()
    for word in set(words):
        in_bank[word % 32] += 1
    return max(in_bank.values())


def register_blocked(x, W, y):
    a = cuda.shared.array((DEPTH, PITCH), float32)
    b = cuda.shared.array((DEPTH, PITCH), float32)
    ra, rb = cuda.local.array(8, float32), cuda.local.array(8, float32)
    part = cuda.local.array((8, 8), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * SIDE, cuda.blockIdx.x * SIDE
    for i in range(8):
        for j in range(8):
            part[i, j] = ZERO
    for k0 in range(0, x.shape[1], DEPTH):
        for n in range(8):
            a[tx, ty + 8 * n] = x[row + ty + 8 * n, k0 + tx]
            b[tx, ty + 8 * n] = W[column + ty + 8 * n, k0 + tx]
        cuda.syncthreads()
        for k in range(DEPTH):
            for n in range(8):
                ra[n] = a[k, ty + 8 * n]
                rb[n] = b[k, tx + 8 * n]
            for i in range(8):
                for j in range(8):
                    part[i, j] += ra[i] * rb[j]
        cuda.syncthreads()
    for i in range(8):
        for j in range(8):
            y[row + ty + 8 * i, column + tx + 8 * j] = part[i, j]


def variant_of_tiled(
    x,
    W,
    y,
    first=True,
    second=True,
    guard_k=True,
    leave=False,
    transposed=False,
    own_row=False,
):
    """The product in tiles with a mistake in it."""
    a = cuda.shared.array((TILE, TILE), float32)
    b = cuda.shared.array((TILE, TILE), float32)
    j, i = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row = j if own_row else cuda.blockIdx.x * TILE + ty
    (M, K), N = x.shape, W.shape[0]
    inside = i < M and j < N
    if leave and not inside:
        return
    total = ZERO
    for k0 in range(0, K, TILE):
        within = k0 + tx < K or not guard_k
        a[ty, tx] = x[i, k0 + tx] if i < M and within else ZERO
        b[ty, tx] = W[row, k0 + tx] if row < N and within else ZERO
        if first:
            cuda.syncthreads()
        for k in range(TILE):
            total += (a[k, ty] if transposed else a[ty, k]) * b[tx, k]
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
    """a[k, ty] is an element of a transposed tile."""
    variant_of_tiled(x, W, y, transposed=True)


def loads_the_row_of_its_column(x, W, y):
    """Thread (tx, ty) loads row j of W, its own, into row ty of b: row ty of the tile belongs there."""
    variant_of_tiled(x, W, y, own_row=True)


def without_tiles(x, W, y):
    """Right, but every thread reads all its numbers from global memory."""
    j, i = cuda.grid(2)
    if i < y.shape[0] and j < y.shape[1]:
        total = ZERO
        for k in range(x.shape[1]):
            total += x[i, k] * W[j, k]
        y[i, j] = total


def rows_along_x(x, W, y):
    """cuda.grid(2) is (x, y): the first number is the column j."""
    a = cuda.shared.array((TILE, TILE), float32)
    b = cuda.shared.array((TILE, TILE), float32)
    i, j = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row = cuda.blockIdx.y * TILE + tx
    (M, K), N = x.shape, W.shape[0]
    total = ZERO
    for k0 in range(0, K, TILE):
        a[tx, ty] = x[i, k0 + ty] if i < M and k0 + ty < K else ZERO
        b[tx, ty] = W[row, k0 + ty] if row < N and k0 + ty < K else ZERO
        cuda.syncthreads()
        for k in range(TILE):
            total += a[tx, k] * b[ty, k]
        cuda.syncthreads()
    if i < M and j < N:
        y[i, j] = total


def only_the_first_slice(x, W, y):
    """Loads and multiplies one slice: it is right only for K up to 16."""
    a = cuda.shared.array((TILE, TILE), float32)
    b = cuda.shared.array((TILE, TILE), float32)
    j, i = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row = cuda.blockIdx.x * TILE + ty
    (M, K), N = x.shape, W.shape[0]
    a[ty, tx] = x[i, tx] if i < M and tx < K else ZERO
    b[ty, tx] = W[row, tx] if row < N and tx < K else ZERO
    cuda.syncthreads()
    total = ZERO
    for k in range(TILE):
        total += a[ty, k] * b[tx, k]
    if i < M and j < N:
        y[i, j] = total


def counts_threads(words):
    """Counts threads, but those that want the same word are served together."""
    return max(Counter(word % 32 for word in words).values())


def counts_banks(words):
    """Counts the banks that are asked: the more, the better."""
    return len({word % 32 for word in words})


def words_in_a_small_memory(words):
    """Takes words 32 KB apart for the same word."""
    return max(Counter(word % 32 for word in {w % 8192 for w in words}).values())


def counts_words(words):
    """Counts all different words, as if there were one bank."""
    return len(set(words))


def words_per_bank_on_average(words):
    """The average over the banks, but the fullest bank decides."""
    words = set(words)
    return -(-len(words) // len({word % 32 for word in words}))


def banks_of_adjacent_words(words):
    """w // 32 is the row; the bank is w % 32."""
    return max(Counter(word // 32 for word in set(words)).values())


def variant_of_register_blocked(
    x, W, y, first=True, second=True, zero=True, swap=False, reload=False
):
    """The product in registers with a mistake in it."""
    a = cuda.shared.array((DEPTH, PITCH), float32)
    b = cuda.shared.array((DEPTH, PITCH), float32)
    ra, rb = cuda.local.array(8, float32), cuda.local.array(8, float32)
    part = cuda.local.array((8, 8), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * SIDE, cuda.blockIdx.x * SIDE
    if zero:
        for i in range(8):
            for j in range(8):
                part[i, j] = ZERO
    for k0 in range(0, x.shape[1], DEPTH):
        for n in range(8):
            a[tx, ty + 8 * n] = x[row + ty + 8 * n, k0 + tx]
            b[tx, ty + 8 * n] = W[column + ty + 8 * n, k0 + tx]
        if first:
            cuda.syncthreads()
        for k in range(DEPTH):
            for n in range(8):
                ra[n] = a[k, ty + 8 * n]
                rb[n] = b[k, (ty if swap else tx) + 8 * n]
            for i in range(8):
                for j in range(8):
                    part[i, j] += (a[k, ty + 8 * i] if reload else ra[i]) * rb[j]
        if second:
            cuda.syncthreads()
    for i in range(8):
        for j in range(8):
            y[row + ty + 8 * i, column + tx + 8 * j] = part[i, j]


def multiplies_too_early(x, W, y):
    """Without the first barrier, other threads have not stored their numbers yet."""
    variant_of_register_blocked(x, W, y, first=False)


def loads_too_early(x, W, y):
    """Without the second barrier, the next slice overwrites what other threads still read."""
    variant_of_register_blocked(x, W, y, second=False)


def registers_not_initialized(x, W, y):
    """Registers do not start as 0."""
    variant_of_register_blocked(x, W, y, zero=False)


def rows_for_columns(x, W, y):
    """Reads b at ty, where tx is the thread's column."""
    variant_of_register_blocked(x, W, y, swap=True)


def reads_in_the_inner_loop(x, W, y):
    """Right, but it reads each number of a eight times from shared memory."""
    variant_of_register_blocked(x, W, y, reload=True)


def straight_from_global_memory(x, W, y):
    """Right, but without shared memory each number is read by eight threads."""
    part = cuda.local.array((8, 8), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * SIDE + ty, cuda.blockIdx.x * SIDE + tx
    for i in range(8):
        for j in range(8):
            part[i, j] = ZERO
    for k in range(x.shape[1]):
        for i in range(8):
            for j in range(8):
                part[i, j] += x[row + 8 * i, k] * W[column + 8 * j, k]
    for i in range(8):
        for j in range(8):
            y[row + 8 * i, column + 8 * j] = part[i, j]


def a_quarter_of_the_slice(x, W, y):
    """Each thread loads two of its eight numbers: the rest of the slice is never written."""
    a = cuda.shared.array((DEPTH, PITCH), float32)
    b = cuda.shared.array((DEPTH, PITCH), float32)
    part = cuda.local.array((8, 8), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * SIDE, cuda.blockIdx.x * SIDE
    for i in range(8):
        for j in range(8):
            part[i, j] = ZERO
    for k0 in range(0, x.shape[1], DEPTH):
        for n in range(2):
            a[tx, ty + 8 * n] = x[row + ty + 8 * n, k0 + tx]
            b[tx, ty + 8 * n] = W[column + ty + 8 * n, k0 + tx]
        cuda.syncthreads()
        for k in range(DEPTH):
            for i in range(8):
                for j in range(8):
                    part[i, j] += a[k, ty + 8 * i] * b[k, tx + 8 * j]
        cuda.syncthreads()
    for i in range(8):
        for j in range(8):
            y[row + ty + 8 * i, column + tx + 8 * j] = part[i, j]


def tiled_with_k_first(x, W, y):
    """The tile of W is stored transposed, so that no column is read."""
    a = cuda.shared.array((TILE, TILE), float32)
    b = cuda.shared.array((TILE, TILE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    j = cuda.blockIdx.x * cuda.blockDim.x + tx
    i = cuda.blockIdx.y * cuda.blockDim.y + ty
    total = ZERO
    for slice_ in range((x.shape[1] + TILE - 1) // TILE):
        k = slice_ * TILE + tx
        a[ty, tx] = ZERO
        if i < x.shape[0] and k < x.shape[1]:
            a[ty, tx] = x[i, k]
        k = slice_ * TILE + ty
        b[ty, tx] = ZERO
        if j < W.shape[0] and k < W.shape[1]:
            b[ty, tx] = W[j, k]
        cuda.syncthreads()
        for n in range(TILE):
            total = total + a[ty, n] * b[n, tx]
        cuda.syncthreads()
    if i < y.shape[0] and j < y.shape[1]:
        y[i, j] = total


def tiled_without_zeros(features, weights, out):
    """The loop ends with the matrix, so that nothing needs to be 0. One array holds both tiles."""
    s = cuda.shared.array((2, TILE, TILE_PITCH), float32)
    j, i = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    other = cuda.blockIdx.x * TILE + ty
    total, k0 = ZERO, 0
    while k0 < features.shape[1]:
        if k0 + tx < features.shape[1]:
            if i < features.shape[0]:
                s[0, ty, tx] = features[i, k0 + tx]
            if other < weights.shape[0]:
                s[1, ty, tx] = weights[other, k0 + tx]
        cuda.syncthreads()
        if i < out.shape[0] and j < out.shape[1]:
            for k in range(min(TILE, features.shape[1] - k0)):
                total += s[0, ty, k] * s[1, tx, k]
        cuda.syncthreads()
        k0 += TILE
    if i < out.shape[0] and j < out.shape[1]:
        out[i, j] = total


def with_a_set_per_bank(words):
    banks = defaultdict(set)
    for word in words:
        banks[word % 32].add(word)
    return max(len(bank) for bank in banks.values())


def with_numpy(words):
    return np.bincount(np.unique(words) % 32).max()


def bank_by_bank(words):
    most = 0
    for bank in range(32):
        most = max(most, len({w for w in words if w % 32 == bank}))
    return most


def adjacent_rows(x, W, y):
    """Thread (tx, ty) owns rows 8 ty … 8 ty + 7 and columns 8 tx … 8 tx + 7: right, with more conflicts."""
    a = cuda.shared.array((DEPTH, PITCH), float32)
    b = cuda.shared.array((DEPTH, PITCH), float32)
    ra, rb = cuda.local.array(8, float32), cuda.local.array(8, float32)
    part = cuda.local.array((8, 8), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * SIDE, cuda.blockIdx.x * SIDE
    for i in range(8):
        for j in range(8):
            part[i, j] = ZERO
    for k0 in range(0, x.shape[1], DEPTH):
        for n in range(8):
            a[tx, 8 * ty + n] = x[row + 8 * ty + n, k0 + tx]
            b[tx, 8 * ty + n] = W[column + 8 * ty + n, k0 + tx]
        cuda.syncthreads()
        for k in range(DEPTH):
            for n in range(8):
                ra[n], rb[n] = a[k, 8 * ty + n], b[k, 8 * tx + n]
            for i in range(8):
                for j in range(8):
                    part[i, j] += ra[i] * rb[j]
        cuda.syncthreads()
    for i in range(8):
        for j in range(8):
            y[row + 8 * ty + i, column + 8 * tx + j] = part[i, j]


def one_number_of_a_at_a_time(x, W, y):
    """Keeps only b in an array: a number of a is used eight times while it is there."""
    a = cuda.shared.array((SIDE, DEPTH), float32)
    b = cuda.shared.array((SIDE, DEPTH), float32)
    rb = cuda.local.array(8, float32)
    part = cuda.local.array(64, float32)
    thread = cuda.threadIdx.y * 8 + cuda.threadIdx.x
    for n in range(64):
        part[n] = ZERO
    for k0 in range(0, x.shape[1], DEPTH):
        for k in range(DEPTH):
            a[thread, k] = x[cuda.blockIdx.y * SIDE + thread, k0 + k]
            b[thread, k] = W[cuda.blockIdx.x * SIDE + thread, k0 + k]
        cuda.syncthreads()
        for k in range(DEPTH):
            for n in range(8):
                rb[n] = b[cuda.threadIdx.x + 8 * n, k]
            for i in range(8):
                number = a[cuda.threadIdx.y + 8 * i, k]
                for j in range(8):
                    part[8 * i + j] += number * rb[j]
        cuda.syncthreads()
    for i in range(8):
        for j in range(8):
            r = cuda.blockIdx.y * SIDE + cuda.threadIdx.y + 8 * i
            y[r, cuda.blockIdx.x * SIDE + cuda.threadIdx.x + 8 * j] = part[8 * i + j]


HINTS = {
    "tiled": [
        "j, i = cuda.grid(2) is the element of y. What a thread loads is another element: of row ty of the tile.",
        "For k0 in range(0, K, TILE): a[ty, tx] = x[i, k0 + tx] if i < M and k0 + tx < K else ZERO.",
        "b[ty, tx] = W[row, k0 + tx] with row = cuda.blockIdx.x * TILE + ty; guard it, too.",
        "Barrier; for k in range(TILE): total += a[ty, k] * b[tx, k]; barrier. At the end y[i, j], guarded.",
    ],
    "wavefronts": [
        "Threads that want the same word are served together: begin with set(words).",
        "The bank of a word is word % 32. Count the words in each bank; the largest count is the answer.",
        "return max(Counter(word % 32 for word in set(words)).values())",
    ],
    "register_blocked": [
        "Start with tiled without guards. A thread has an array part (8, 8) in place of total; set it to 0.",
        "Load: for n in range(8): a[tx, ty + 8 * n] = x[row + ty + 8 * n, k0 + tx], row = blockIdx.y * SIDE.",
        "For each k: ra[n] = a[k, ty + 8 * n] and rb[n] = b[k, tx + 8 * n] for the eight n; then the 64 products.",
        "part[i, j] += ra[i] * rb[j]; at the end y[row + ty + 8 * i, column + tx + 8 * j] = part[i, j].",
    ],
}

WRONG = {
    "tiled": [
        without_tiles,
        no_first_barrier,
        no_second_barrier,
        returns_early,
        no_guard_along_k,
        column_of_the_tile,
        loads_the_row_of_its_column,
        rows_along_x,
        only_the_first_slice,
    ],
    "wavefronts": [
        counts_threads,
        counts_banks,
        words_in_a_small_memory,
        counts_words,
        words_per_bank_on_average,
        banks_of_adjacent_words,
    ],
    "register_blocked": [
        rows_for_columns,
        multiplies_too_early,
        loads_too_early,
        registers_not_initialized,
        reads_in_the_inner_loop,
        straight_from_global_memory,
        a_quarter_of_the_slice,
    ],
}

RIGHT = {
    "tiled": [tiled_with_k_first, tiled_without_zeros],
    "wavefronts": [with_a_set_per_bank, with_numpy, bank_by_bank],
    "register_blocked": [adjacent_rows, one_number_of_a_at_a_time],
}
