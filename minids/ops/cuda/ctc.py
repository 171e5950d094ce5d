"""Connectionist temporal classification (Graves 2006): -log of a text's probability over all its alignments.

Frames follow one another and states do not: a block walks the lattice of one utterance, its threads abreast,
each with a few of the states, and waits once a frame for all of them. What the GPU changes:

- β is α seen from the end. Reversed in time and text, the lattice is a lattice, so that one walk serves
  twice: forth it leaves log α behind, back it adds log β.
- γ_t = α_t β_t / p(l|x) sums to 1 in every frame, so that p(l|x) need not be known to divide by it: γ_t is
  the softmax of log α_t + log β_t over the states. Each frame may then be counted from wherever float32 is
  precise, and the gradient's frames know nothing of each other: a warp takes one.
- A thread asks for the next frame's emissions before it computes this one's: memory takes as long as a frame.
"""

import math
from functools import cache

import numpy as np
from numba import cuda, float32, int32, uint64

from minids.ops.cuda import arrays
from minids.ops.cuda.launch import launch
from minids.ops.cuda.reduce import WARP, warp_max, warp_sum
from minids.ops.cuda.registry import Registered
from minids.text import BLANK

THREADS = 512  # the most of a block: more would leave each too few registers
IN_SHARED = 10 * THREADS  # states; two rows of them fit into 48 KB
WARPS = 8  # frames of the gradient that a block takes

_LOG0 = np.float32(-1e30)  # finite, so that the difference of two of them is a number
_NEVER = np.float32(-1e29)  # below it something has probability 0
_ZERO, _INF = np.float32(0), np.float32(math.inf)
_EDGE = 2  # cells of log 0 before a row, for s-1 and s-2


def ctc(log_probs, lengths, labels, label_lengths, losses=None, dlogits=None, room=None):
    """losses (B,), dlogits (T, B, K) = ŷ - Σ γ, as the reference; an impossible text has loss inf.

    `room` (B, T, 2 Umax + 5) holds log α, then log α + log β.
    """
    T, B, K = log_probs.shape
    S = 2 * labels.shape[1] + 1
    losses = arrays.empty((B,), np.float32) if losses is None else losses
    dlogits = arrays.empty((T, B, K), np.float32) if dlogits is None else dlogits
    room = arrays.empty((B, T, S + 4), np.float32) if room is None else room
    each = -(-S // THREADS)
    threads = WARP * -(-S // (WARP * each))
    text = lengths, labels, label_lengths
    kernel = walk(each, THREADS, IN_SHARED)
    rows = _rows(B * (_EDGE + each * THREADS) if each * THREADS > IN_SHARED else 1)
    launch(kernel, B, threads, log_probs, *text, losses, room, rows)
    launch(gradient, -(-T * B // WARPS), WARP * WARPS, log_probs, *text, losses, room, dlogits)
    return losses, dlogits


@cache
def _rows(size):
    """Two rows of all blocks in global memory, where shared memory is too small: from 2560 letters on."""
    return arrays.empty((2, size), np.float32)


@cache
def walk(EACH, THREADS, IN_SHARED):
    """The kernel for texts of up to EACH · THREADS states; a thread has EACH of them.

    Up to 6 are in registers; what comes beyond, from 1536 letters on, is in local memory. Indices are
    unsigned: of a signed one Numba asks at every access whether it is negative, which takes registers.
    """
    ROW = _EDGE + EACH * THREADS
    SHARED = EACH * THREADS <= IN_SHARED
    HELD = ROW if SHARED else 1

    @cuda.jit(launch_bounds=THREADS, cache=True)
    def walk(log_probs, lengths, labels, label_lengths, losses, room, rows):
        """Block b, utterance b: log α forth (back = 0), log α + log β back (back = 1).

        p = 0 … S-1 is the place of a state on the way: s = p forth, s = S-1-p back. In every frame, with
        "before" the frame before on the way,

            new(p) = log y(l'_s) + log[before(p) + before(p-1) + before(p-2) if the skip is allowed]

        The way begins one frame outside the lattice, in its first place alone. Every eighth row is counted
        anew, from the greatest value of the row before.
        """
        b, thread, threads = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
        T, U = lengths[b], label_lengths[b]
        S = 2 * U + 1
        held = cuda.shared.array((2, HELD), float32)
        peaks = cuda.shared.array(WARP, float32)  # the greatest value of each warp
        letter = cuda.local.array(EACH, int32)
        skip = cuda.local.array(EACH, float32)  # 0 where it is allowed, else log 0
        emission = cuda.local.array(EACH, float32)  # of the frame to come
        row = held if SHARED else rows
        first = _EDGE if SHARED else _EDGE + b * ROW
        for back in range(2):
            if thread < _EDGE:
                row[0, first - 1 - thread] = row[1, first - 1 - thread] = _LOG0
            for i in range(EACH):
                p = thread + i * threads
                emission[i] = _LOG0
                if p < S:
                    row[0, first + p] = _ZERO if p == 0 else _LOG0
                    letter[i], skip[i] = place(labels, b, U, p, back)
                    if T > 0:
                        emission[i] = log_y(log_probs, (T - 1) * back, b, letter[i])
            total, lost = _ZERO, _ZERO
            cuda.syncthreads()

            for step in range(T):
                t = T - 1 - step if back else step
                now, before = (step + 1) % 2, step % 2
                highest, peak = _ZERO, _LOG0
                if step % 8 == 0 and step > 0:
                    highest = peaks[0]
                    for warp in range(1, threads // WARP):
                        highest = max(highest, peaks[warp])
                    more = highest - lost  # Kahan's sum: what rounding loses is added the next time
                    longer = total + more
                    lost = (longer - total) - more
                    total = longer
                for i in range(EACH):
                    p = thread + i * threads
                    if p < S:
                        emit = emission[i]
                        if step + 1 < T:
                            emission[i] = log_y(log_probs, t - 1 if back else t + 1, b, letter[i])
                        if math.isnan(emit):
                            total = emit  # thread 0 sees it: it has a blank, and NaN is a whole row's
                        ways = log_sum(
                            row[before, uint64(first + p)],
                            row[before, uint64(first + p - 1)],
                            row[before, uint64(first + p - 2)] + skip[i],
                        )
                        value = emit + (ways - highest)
                        row[now, uint64(first + p)] = value
                        peak = max(peak, value)
                        state = uint64(S - 1 - p if back else p)
                        if back:
                            room[b, t, state] += value - emit  # y_t is in α already
                        else:
                            room[b, t, state] = value
                if step % 8 == 7:
                    peak = warp_max(peak)
                    if thread % WARP == 0:
                        peaks[thread // WARP] = peak
                cuda.syncthreads()

            if thread == 0 and not back:
                log_p = total + log_sum(row[T % 2, first + S - 1], row[T % 2, first + S - 2], _LOG0)
                losses[b] = _INF if log_p < _NEVER else -log_p
            cuda.syncthreads()

    return walk


@cuda.jit(cache=True)
def gradient(log_probs, lengths, labels, label_lengths, losses, room, dlogits):
    """dlogits_t,k = ŷ_t,k - Σ_{s: l'_s = k} γ_t(s).  A warp takes frame t of utterance b.

    Its lanes share the states to find Σ_s α_t(s) β_t(s), and the blanks' part of that; then the characters:
    each lane adds up its own, in the text's order, so that the sum is the same every time.
    """
    T, B, K = log_probs.shape
    lane, frame = cuda.threadIdx.x % WARP, cuda.grid(1) // WARP
    if frame >= T * B:
        return
    t, b = frame // B, frame % B
    U = label_lengths[b]
    if t >= lengths[b] or not math.isfinite(losses[b]):
        for k in range(lane, K, WARP):
            dlogits[t, b, k] = _ZERO
        return
    highest = _LOG0
    for s in range(lane, 2 * U + 1, WARP):
        highest = max(highest, room[b, t, s])
    highest = warp_max(highest)
    letters, blanks = _ZERO, _ZERO
    for u in range(lane, U, WARP):
        letters += math.exp(room[b, t, 2 * u + 1] - highest)
    for u in range(lane, U + 1, WARP):
        blanks += math.exp(room[b, t, 2 * u] - highest)
    blanks = warp_sum(blanks)
    whole = blanks + warp_sum(letters)
    for k in range(lane, K, WARP):
        occupied = blanks if k == BLANK else _ZERO
        for u in range(U):
            if labels[b, u] == k:
                occupied += math.exp(room[b, t, 2 * u + 1] - highest)
        dlogits[t, b, k] = math.exp(log_probs[t, b, k]) - occupied / whole


@cuda.jit(device=True)
def place(labels, b, U, p, back):
    """Letter of place p on the way, and whether it can be entered from place p-2: 0, else log 0."""
    if p % 2 == 0:
        return np.int32(BLANK), _LOG0
    u = p // 2
    letter = labels[b, U - 1 - u if back else u]
    if u > 0 and letter != labels[b, U - u if back else u - 1]:
        return letter, _ZERO
    return letter, _LOG0


@cuda.jit(device=True)
def log_y(log_probs, t, b, k):
    """At least log 0; NaN stays NaN."""
    y = log_probs[t, b, k]
    return _LOG0 if y < _LOG0 else y


@cuda.jit(device=True)
def log_sum(a, b, c):
    """log(exp a + exp b + exp c); of the greatest the exponential is known."""
    lower, upper = min(a, b), max(a, b)
    middle, highest = min(upper, c), max(upper, c)
    return highest + math.log1p(math.exp(lower - highest) + math.exp(middle - highest))


_flat, _square, _cube = float32[::1], float32[:, ::1], float32[:, :, ::1]
_batch = _cube, int32[::1], int32[:, ::1], int32[::1], _flat, _cube
KERNELS = {
    "walk": Registered(walk(1, THREADS, IN_SHARED), (*_batch, _square), registers=64),
    "walk_6": Registered(walk(6, THREADS, IN_SHARED), (*_batch, _square), registers=128),
    "gradient": Registered(gradient, (*_batch, _cube), registers=64),
}
