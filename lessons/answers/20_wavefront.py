"""The answers to lesson 20, common mistakes, and other right answers."""

import math

import numpy as np

from minids.lesson.gpu import cuda, float32
from minids.ops.cuda.ctc import log_sum

UNITS, ZERO, CLIP, LOG0 = 4, np.float32(0), np.float32(20), np.float32(-1e30)


def recurrence_in_two_rows(z, Wr, lengths, h):
    state = cuda.shared.array((2, UNITS), float32)
    b, u = cuda.blockIdx.x, cuda.threadIdx.x
    state[0, u] = ZERO
    cuda.syncthreads()
    for t in range(lengths[b]):
        total = z[t, b, u]
        for k in range(UNITS):
            total += Wr[u, k] * state[t % 2, k]
        state[1 - t % 2, u] = h[t, b, u] = min(max(total, ZERO), CLIP)
        cuda.syncthreads()


def walk(log_y, skip, lengths, sizes, alpha):
    b, s = cuda.blockIdx.x, cuda.threadIdx.x
    for t in range(lengths[b]):
        if s < sizes[b]:
            paths = ZERO if s < 2 else LOG0
            if t > 0:
                step = alpha[b, t - 1, s - 1] if s > 0 else LOG0
                jump = alpha[b, t - 1, s - 2] + skip[b, s] if s > 1 else LOG0
                paths = log_sum(alpha[b, t - 1, s], step, jump)
            alpha[b, t, s] = log_y[b, t, s] + paths
        cuda.syncthreads()


def variant_of_two_rows(
    z,
    Wr,
    lengths,
    h,
    barrier=1,
    rows=2,
    first=True,
    clip=True,
    frames=None,
    transposed=False,
    fixed=False,
):
    """The recurrence with a mistake in it."""
    state = cuda.shared.array((2, UNITS), float32)
    b, u = cuda.blockIdx.x, cuda.threadIdx.x
    state[0, u] = ZERO
    if first:
        cuda.syncthreads()
    for t in range(frames or lengths[b]):
        old = t % rows if not fixed else 0
        total = z[t, b, u]
        for k in range(UNITS):
            total += (Wr[k, u] if transposed else Wr[u, k]) * state[old, k]
        if barrier == 2:
            cuda.syncthreads()
        value = min(max(total, ZERO), CLIP) if clip else max(total, ZERO)
        state[(1 - old) if rows == 2 else 0, u] = h[t, b, u] = value
        if barrier:
            cuda.syncthreads()


def still_two_barriers(z, Wr, lengths, h):
    """Two rows and two barriers: with two rows, one is enough."""
    variant_of_two_rows(z, Wr, lengths, h, barrier=2)


def one_row_and_one_barrier(z, Wr, lengths, h):
    """With one row a thread overwrites the old state while others still read it."""
    variant_of_two_rows(z, Wr, lengths, h, rows=1)


def no_barrier_in_the_loop(z, Wr, lengths, h):
    """Reads a state that other threads may not have written yet."""
    variant_of_two_rows(z, Wr, lengths, h, barrier=0)


def no_barrier_before_the_loop(z, Wr, lengths, h):
    """The first frame reads zeros that other threads may not have written yet."""
    variant_of_two_rows(z, Wr, lengths, h, first=False)


def always_the_same_rows(z, Wr, lengths, h):
    """The rows do not take turns: every frame reads the zeros in row 0."""
    variant_of_two_rows(z, Wr, lengths, h, fixed=True)


def recurs_through_the_padding(z, Wr, lengths, h):
    """Treats every utterance as if it were as long as the longest."""
    variant_of_two_rows(z, Wr, lengths, h, frames=z.shape[0])


def column_of_Wr(z, Wr, lengths, h):
    """Multiplies by a column of Wr: that is the transposed matrix, as in the backward pass."""
    variant_of_two_rows(z, Wr, lengths, h, transposed=True)


def without_the_clip(z, Wr, lengths, h):
    """Forgets the clip at 20."""
    variant_of_two_rows(z, Wr, lengths, h, clip=False)


def variant_of_walk(
    log_y,
    skip,
    lengths,
    sizes,
    alpha,
    barrier="for all",
    skips=True,
    first=2,
    frames=None,
):
    """The forward pass with a mistake in it."""
    b, s = cuda.blockIdx.x, cuda.threadIdx.x
    if barrier == "without idle threads" and s >= sizes[b]:
        return
    for t in range(frames or lengths[b]):
        if s < sizes[b]:
            paths = ZERO if s < first else LOG0
            if t > 0:
                step = alpha[b, t - 1, s - 1] if s > 0 else LOG0
                jump = LOG0
                if s > 1 and skips:
                    jump = alpha[b, t - 1, s - 2] + (
                        ZERO if skips == "all" else skip[b, s]
                    )
                paths = log_sum(alpha[b, t - 1, s], step, jump)
            alpha[b, t, s] = log_y[b, t, s] + paths
            if barrier == "inside the guard":
                cuda.syncthreads()
        if barrier in ("for all", "without idle threads") or (
            barrier == "every second frame" and t % 2
        ):
            cuda.syncthreads()


def no_barrier(log_y, skip, lengths, sizes, alpha):
    """Reads what another thread may not have written yet."""
    variant_of_walk(log_y, skip, lengths, sizes, alpha, barrier=None)


def barrier_inside_the_guard(log_y, skip, lengths, sizes, alpha):
    """The barrier is inside the guard: threads without a state never reach it."""
    variant_of_walk(log_y, skip, lengths, sizes, alpha, barrier="inside the guard")


def returns_early(log_y, skip, lengths, sizes, alpha):
    """Threads without a state return, and the barrier waits for them."""
    variant_of_walk(log_y, skip, lengths, sizes, alpha, barrier="without idle threads")


def barrier_in_every_second_frame(log_y, skip, lengths, sizes, alpha):
    """Only every second frame has a barrier."""
    variant_of_walk(log_y, skip, lengths, sizes, alpha, barrier="every second frame")


def skips_anything(log_y, skip, lengths, sizes, alpha):
    """Ignores `skip`: a skip to a blank, or between equal letters, loses a letter."""
    variant_of_walk(log_y, skip, lengths, sizes, alpha, skips="all")


def never_skips(log_y, skip, lengths, sizes, alpha):
    """Leaves out the skips: between two different letters the blank is optional."""
    variant_of_walk(log_y, skip, lengths, sizes, alpha, skips=False)


def begins_anywhere(log_y, skip, lengths, sizes, alpha):
    """If the first frame can be in any state, the beginning of the text may be missing."""
    variant_of_walk(log_y, skip, lengths, sizes, alpha, first=99)


def begins_with_the_blank(log_y, skip, lengths, sizes, alpha):
    """Begins in the first blank only, but a text can also begin with its first letter."""
    variant_of_walk(log_y, skip, lengths, sizes, alpha, first=1)


def computes_the_padding(log_y, skip, lengths, sizes, alpha):
    """Treats every utterance as if it were as long as the longest."""
    variant_of_walk(log_y, skip, lengths, sizes, alpha, frames=log_y.shape[1])


def thread_0_computes_everything(log_y, skip, lengths, sizes, alpha):
    """Thread 0 computes all states, and the others do nothing."""
    b = cuda.blockIdx.x
    if cuda.threadIdx.x == 0:
        for t in range(lengths[b]):
            for s in range(sizes[b]):
                paths = ZERO if s < 2 else LOG0
                if t > 0:
                    step = alpha[b, t - 1, s - 1] if s > 0 else LOG0
                    jump = alpha[b, t - 1, s - 2] + skip[b, s] if s > 1 else LOG0
                    paths = log_sum(alpha[b, t - 1, s], step, jump)
                alpha[b, t, s] = log_y[b, t, s] + paths


def before_the_first_frame(log_y, skip, lengths, sizes, alpha):
    """Reads alpha[b, -1] in frame 0: a GPU reads whatever is in memory there."""
    b, s = cuda.blockIdx.x, cuda.threadIdx.x
    for t in range(lengths[b]):
        if s < sizes[b]:
            before = alpha[b, t - 1, s]
            alpha[b, t, s] = log_y[b, t, s] + (ZERO if t == 0 and s < 2 else before)
        cuda.syncthreads()


def before_the_first_state(log_y, skip, lengths, sizes, alpha):
    """Reads alpha[b, t - 1, s - 2] of the states 0 and 1: it lies in another row."""
    b, s = cuda.blockIdx.x, cuda.threadIdx.x
    for t in range(lengths[b]):
        if s < sizes[b]:
            paths = ZERO if s < 2 else LOG0
            if t > 0:
                jump = alpha[b, t - 1, s - 2] + skip[b, s]
                paths = log_sum(alpha[b, t - 1, s], alpha[b, t - 1, s - 1], jump)
            alpha[b, t, s] = log_y[b, t, s] + paths
        cuda.syncthreads()


def in_three_rows(z, Wr, lengths, h):
    """Any number of rows from two on is enough."""
    rows = cuda.shared.array((3, UNITS), float32)
    rows[2, cuda.threadIdx.x] = ZERO
    cuda.syncthreads()
    t, previous = 0, 2
    while t < lengths[cuda.blockIdx.x]:
        total = ZERO
        for k in range(UNITS):
            total = total + rows[previous, k] * Wr[cuda.threadIdx.x, k]
        total = max(ZERO, total + z[t, cuda.blockIdx.x, cuda.threadIdx.x])
        if total > CLIP:
            total = CLIP
        previous = (previous + 1) % 3
        rows[previous, cuda.threadIdx.x] = total
        h[t, cuda.blockIdx.x, cuda.threadIdx.x] = total
        cuda.syncthreads()
        t += 1


def swapped_rows(z, Wr, lengths, h):
    """Two arrays that change places, and a barrier at the beginning of each frame."""
    state = cuda.shared.array(2 * UNITS, float32)
    b, u = cuda.blockIdx.x, cuda.threadIdx.x
    old, new = 0, UNITS
    state[u] = ZERO
    for t in range(lengths[b]):
        cuda.syncthreads()
        total = z[t, b, u]
        for k in range(UNITS):
            total += Wr[u, k] * state[old + k]
        state[new + u] = min(CLIP, max(ZERO, total))
        h[t, b, u] = state[new + u]
        old, new = new, old


def from_h_itself(z, Wr, lengths, h):
    """The rows of h are rows, too, although far away: no shared memory is needed to be right."""
    b, u = cuda.blockIdx.x, cuda.threadIdx.x
    for t in range(lengths[b]):
        total = z[t, b, u]
        if t > 0:
            for k in range(UNITS):
                total += Wr[u, k] * h[t - 1, b, k]
        h[t, b, u] = min(max(total, ZERO), CLIP)
        cuda.syncthreads()


def first_frame_apart(log_probs, allowed, T, S, out):
    """The first frame before the loop; the barrier at the beginning of each frame."""
    b, s = cuda.blockIdx.x, cuda.threadIdx.x
    works = s < S[b]
    if works and T[b] > 0:
        out[b, 0, s] = log_probs[b, 0, s] if s < 2 else LOG0
    for t in range(1, T[b]):
        cuda.syncthreads()
        if works:
            total = out[b, t - 1, s]
            if s >= 1:
                total = log_sum(total, out[b, t - 1, s - 1], LOG0)
            if s >= 2 and allowed[b, s] == 0:
                total = log_sum(total, out[b, t - 1, s - 2], LOG0)
            out[b, t, s] = total + log_probs[b, t, s]


def two_rows_of_states(log_y, skip, lengths, sizes, alpha):
    """The last two frames in shared memory, with a margin of log 0 for the states s - 1 and s - 2."""
    row = cuda.shared.array((2, 66), float32)
    b, s = cuda.blockIdx.x, cuda.threadIdx.x
    row[1, s + 2] = LOG0
    if s == 0:
        for i in range(2):
            row[0, i] = row[1, i] = LOG0
        row[1, 1] = ZERO  # one state before the first, in the frame before the first
        row[1, 2] = LOG0
    cuda.syncthreads()
    for t in range(lengths[b]):
        if s < sizes[b]:
            old, new = 1 - t % 2, t % 2
            jump = ZERO if t == 0 and s == 1 else skip[b, s]
            from_before = row[old, s] if t > 0 or s != 1 else row[old, 1]
            value = log_y[b, t, s] + log_sum(
                row[old, s + 2], row[old, s + 1], from_before + jump
            )
            row[new, s + 2] = value
            alpha[b, t, s] = value
        cuda.syncthreads()
        if t == 0 and s == 0:
            row[1, 1] = LOG0
        cuda.syncthreads()


def with_its_own_sum(log_y, skip, lengths, sizes, alpha):
    """Adds the exponentials itself, relative to the largest."""
    b, s = cuda.blockIdx.x, cuda.threadIdx.x
    for t in range(lengths[b]):
        if s < sizes[b]:
            if t == 0:
                alpha[b, t, s] = log_y[b, t, s] if s < 2 else LOG0
            else:
                stay = alpha[b, t - 1, s]
                step = alpha[b, t - 1, s - 1] if s > 0 else LOG0
                jump = (
                    alpha[b, t - 1, s - 2] if s > 1 and skip[b, s] > LOG0 / 2 else LOG0
                )
                largest = max(stay, max(step, jump))
                total = (
                    math.exp(stay - largest)
                    + math.exp(step - largest)
                    + math.exp(jump - largest)
                )
                alpha[b, t, s] = log_y[b, t, s] + largest + math.log(total)
        cuda.syncthreads()


HINTS = {
    "recurrence_in_two_rows": [
        "state = cuda.shared.array((2, UNITS), float32). Frame t reads one row and writes the other.",
        "t % 2 is the row to read, 1 - t % 2 the row to write. Set row 0 to 0 first; then a barrier.",
        "total += Wr[u, k] * state[t % 2, k]; then state[1 - t % 2, u] = h[t, b, u] = …; then the barrier.",
    ],
    "walk": [
        "b, s = cuda.blockIdx.x, cuda.threadIdx.x; for t in range(lengths[b]): …; cuda.syncthreads()",
        "The barrier is for all threads: put the work under `if s < sizes[b]:`, but not the barrier.",
        "In frame 0, paths is ZERO for s < 2, else LOG0; later log_sum(alpha[b, t - 1, s], step, jump).",
        "step = alpha[b, t - 1, s - 1] if s > 0 else LOG0; jump = alpha[b, t - 1, s - 2] + skip[b, s] likewise.",
    ],
}

WRONG = {
    "recurrence_in_two_rows": [
        still_two_barriers,
        one_row_and_one_barrier,
        no_barrier_in_the_loop,
        no_barrier_before_the_loop,
        always_the_same_rows,
        recurs_through_the_padding,
        column_of_Wr,
        without_the_clip,
    ],
    "walk": [
        no_barrier,
        barrier_inside_the_guard,
        returns_early,
        barrier_in_every_second_frame,
        never_skips,
        thread_0_computes_everything,
        skips_anything,
        begins_anywhere,
        begins_with_the_blank,
        computes_the_padding,
        before_the_first_frame,
        before_the_first_state,
    ],
}

RIGHT = {
    "recurrence_in_two_rows": [in_three_rows, swapped_rows, from_h_itself],
    "walk": [first_frame_apart, two_rows_of_states, with_its_own_sum],
}
