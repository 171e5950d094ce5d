"""Connectionist temporal classification (Graves 2006): -log of a text's probability over all its alignments.

The frames of a lattice depend on each other, the states of one frame do not. So one block handles the lattice
of one utterance: its threads share the states, and after each frame they wait for each other. What is
different on a GPU:

- β is α computed from the other end: reversed in time and text, a lattice is again a lattice. So one loop
  serves both. Forward it stores log α, backward it adds log β.
- γ_t = α_t β_t / p(l|x) sums to 1 in every frame, so p(l|x) is not needed to divide by it: γ_t is the softmax
  of log α_t + log β_t over the states. Each frame may therefore have its own offset, one for which float32
  is precise, and the frames of the gradient are independent of each other: one warp for each.
- A thread loads the emissions of the next frame before it computes the current one, because a load takes as
  long as a frame.
"""

import math
from functools import cache

import numpy as np
from numba import float32, int32, int64, uint64

from minids.ops.common import Workspace, check_shapes
from minids.ops.cuda import arrays
from minids.ops.cuda.device import cuda, per_device
from minids.ops.cuda.launch import launch
from minids.ops.cuda.reduce import WARP_SIZE, warp_max, warp_sum
from minids.ops.cuda.registry import Registered
from minids.text import BLANK

MAX_THREADS = 512  # per block: with more, each would have too few registers
MAX_SHARED_STATES = 10 * MAX_THREADS  # two rows of them fit into 48 KB
GRADIENT_WARPS = 8  # per block, one frame each

_LOG0 = np.float32(-1e30)  # finite, so that the difference of two of them is a number
_IMPOSSIBLE = np.float32(-1e29)  # log-probabilities below it count as log 0
_ZERO, _INF, _NAN = np.float32(0), np.float32(math.inf), np.float32(math.nan)
_MARGIN = 2  # cells of log 0 before a row, for the states s-1 and s-2


def ctc(log_probs, lengths, labels, label_lengths, losses=None, dlogits=None, workspace=None):
    """losses (B,), dlogits (T, B, K) = ŷ - Σ γ, as in the reference; an impossible text has loss inf.

    Invalid lengths or labels in device memory give loss NaN and gradient 0.
    """
    T, B, K = log_probs.shape
    check_shapes(lengths=(lengths, (B,)), labels=(labels, (B, *labels.shape[1:2])))
    check_shapes(label_lengths=(label_lengths, (B,)), losses=(losses, (B,)), dlogits=(dlogits, (T, B, K)))
    S = 2 * labels.shape[1] + 1
    losses = arrays.empty((B,), np.float32) if losses is None else losses
    dlogits = arrays.empty((T, B, K), np.float32) if dlogits is None else dlogits
    workspace = workspace or Workspace(arrays, np.float32)
    log_gamma = workspace("ctc", B, T, S)
    states_per_thread = -(-S // MAX_THREADS)
    threads = WARP_SIZE * -(-S // (WARP_SIZE * states_per_thread))
    batch = lengths, labels, label_lengths
    kernel = alpha_beta(states_per_thread, MAX_THREADS, MAX_SHARED_STATES)
    max_states = states_per_thread * MAX_THREADS
    rows = _global_rows(B * (_MARGIN + max_states) if max_states > MAX_SHARED_STATES else 1)
    launch(validate, B, WARP_SIZE, *batch, losses, T, K)
    launch(kernel, B, threads, log_probs, *batch, losses, log_gamma, rows)
    blocks = -(-T * B // GRADIENT_WARPS)
    launch(gradient, blocks, WARP_SIZE * GRADIENT_WARPS, log_probs, *batch, losses, log_gamma, dlogits)
    return losses, dlogits


@per_device
def _global_rows(size):
    """Two rows of states per block in global memory, for texts too long for shared memory: 2560 letters."""
    return arrays.empty((2, size), np.float32)


@cache
def alpha_beta(STATES, MAX_THREADS, MAX_SHARED_STATES):
    """The kernel for texts of up to STATES · MAX_THREADS states, STATES for each thread.

    Up to 6 are in registers. The others, from 1536 letters on, are in local memory. Indices are unsigned,
    because Numba checks at every access whether a signed index is negative, which takes registers.
    """
    ROW = _MARGIN + STATES * MAX_THREADS
    IN_SHARED = STATES * MAX_THREADS <= MAX_SHARED_STATES
    SHARED_ROW = ROW if IN_SHARED else 1

    @cuda.jit(launch_bounds=MAX_THREADS)
    def alpha_beta(log_probs, lengths, labels, label_lengths, losses, log_gamma, rows):
        """Block b, utterance b: stores log α (backward = 0), then log α + log β (backward = 1).

        p = 0 … S-1 numbers the states in the direction of the pass: s = p forward, s = S-1-p backward. In
        every frame, with "previous" the frame before it in that direction,

            current(p) = log y(l'_s) + log[previous(p) + previous(p-1) + previous(p-2) if the skip is allowed]

        A pass begins one frame outside the lattice, with its first state alone. In every eighth row the
        largest value of the row before is subtracted.
        """
        b, thread, threads = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
        T, U = lengths[b], label_lengths[b]
        if math.isnan(losses[b]):  # see `validate`
            return
        S = 2 * U + 1
        shared_rows = cuda.shared.array((2, SHARED_ROW), float32)
        warp_maxima = cuda.shared.array(WARP_SIZE, float32)
        letter = cuda.local.array(STATES, int32)
        skip = cuda.local.array(STATES, float32)  # 0 where it is allowed, else log 0
        emission = cuda.local.array(STATES, float32)  # of the next frame
        row = shared_rows if IN_SHARED else rows
        first = _MARGIN if IN_SHARED else _MARGIN + b * ROW
        for backward in range(2):
            if thread < _MARGIN:
                row[0, first - 1 - thread] = row[1, first - 1 - thread] = _LOG0
            for i in range(STATES):
                p = thread + i * threads
                emission[i] = _LOG0
                if p < S:
                    row[0, first + p] = _ZERO if p == 0 else _LOG0
                    letter[i], skip[i] = lattice_state(labels, b, U, p, backward)
                    if T > 0:
                        emission[i] = log_y(log_probs, (T - 1) * backward, b, letter[i])
            total, rounding = _ZERO, _ZERO
            cuda.syncthreads()

            for step in range(T):
                t = T - 1 - step if backward else step
                current, previous = (step + 1) % 2, step % 2
                offset, maximum = _ZERO, _LOG0
                if step % 8 == 0 and step > 0:
                    offset = warp_maxima[0]
                    for warp in range(1, threads // WARP_SIZE):
                        offset = max(offset, warp_maxima[warp])
                    corrected = offset - rounding  # Kahan summation: the rounding error is added next time
                    new_total = total + corrected
                    rounding = (new_total - total) - corrected
                    total = new_total
                for i in range(STATES):
                    p = thread + i * threads
                    if p < S:
                        emit = emission[i]
                        if step + 1 < T:
                            emission[i] = log_y(log_probs, t - 1 if backward else t + 1, b, letter[i])
                        if math.isnan(emit):
                            total = emit  # NaN fills a whole frame, so thread 0, which has a blank, sees it
                        paths = log_sum(
                            row[previous, uint64(first + p)],
                            row[previous, uint64(first + p - 1)],
                            row[previous, uint64(first + p - 2)] + skip[i],
                        )
                        value = emit + (paths - offset)
                        row[current, uint64(first + p)] = value
                        maximum = max(maximum, value)
                        s = uint64(S - 1 - p if backward else p)
                        if backward:
                            log_gamma[b, t, s] += value - emit  # y_t is already in α
                        else:
                            log_gamma[b, t, s] = value
                if step % 8 == 7:
                    maximum = warp_max(maximum)
                    if thread % WARP_SIZE == 0:
                        warp_maxima[thread // WARP_SIZE] = maximum
                cuda.syncthreads()

            if thread == 0 and not backward:
                log_p = total + log_sum(row[T % 2, first + S - 1], row[T % 2, first + S - 2], _LOG0)
                losses[b] = _INF if log_p < _IMPOSSIBLE else -log_p
            cuda.syncthreads()

    return alpha_beta


@cuda.jit
def validate(lengths, labels, label_lengths, losses, T, K):
    """losses_b = NaN if a length or a label of utterance b is out of range, else 0. A warp per utterance."""
    b, lane = cuda.blockIdx.x, cuda.threadIdx.x
    U = label_lengths[b]
    invalid = _ZERO if 0 <= lengths[b] <= T and 0 <= U <= labels.shape[1] else np.float32(1)
    if invalid == _ZERO:
        for u in range(lane, U, WARP_SIZE):
            if labels[b, u] < 0 or labels[b, u] >= K:
                invalid = np.float32(1)
    invalid = warp_max(invalid)
    if lane == 0:
        losses[b] = _NAN if invalid > _ZERO else _ZERO


@cuda.jit
def gradient(log_probs, lengths, labels, label_lengths, losses, log_gamma, dlogits):
    """dlogits_t,k = ŷ_t,k - Σ_{s: l'_s = k} γ_t(s).  One warp computes frame t of utterance b.

    Its lanes first share the states, for Σ_s α_t(s) β_t(s) and the part of the blanks in it, and then the
    characters: each lane adds up those of its character in the order of the text, so the result is always the
    same.
    """
    T, B, K = log_probs.shape
    lane, frame = cuda.threadIdx.x % WARP_SIZE, cuda.grid(1) // WARP_SIZE
    if frame >= T * B:
        return
    t, b = frame // B, frame % B
    U = label_lengths[b]
    if t >= lengths[b] or not math.isfinite(losses[b]):
        for k in range(lane, K, WARP_SIZE):
            dlogits[t, b, k] = _ZERO
        return
    maximum = _LOG0
    for s in range(lane, 2 * U + 1, WARP_SIZE):
        maximum = max(maximum, log_gamma[b, t, s])
    maximum = warp_max(maximum)
    letters, blanks = _ZERO, _ZERO
    for u in range(lane, U, WARP_SIZE):
        letters += math.exp(log_gamma[b, t, 2 * u + 1] - maximum)
    for u in range(lane, U + 1, WARP_SIZE):
        blanks += math.exp(log_gamma[b, t, 2 * u] - maximum)
    blanks = warp_sum(blanks)
    total = blanks + warp_sum(letters)
    for k in range(lane, K, WARP_SIZE):
        occupancy = blanks if k == BLANK else _ZERO
        for u in range(U):
            if labels[b, u] == k:
                occupancy += math.exp(log_gamma[b, t, 2 * u + 1] - maximum)
        dlogits[t, b, k] = math.exp(log_probs[t, b, k]) - occupancy / total


@cuda.jit(device=True)
def lattice_state(labels, b, U, p, backward):
    """The letter of state p in the direction of the pass; 0 if the skip from p-2 is allowed, else log 0."""
    if p % 2 == 0:
        return np.int32(BLANK), _LOG0
    u = p // 2
    letter = labels[b, U - 1 - u if backward else u]
    if u > 0 and letter != labels[b, U - u if backward else u - 1]:
        return letter, _ZERO
    return letter, _LOG0


@cuda.jit(device=True)
def log_y(log_probs, t, b, k):
    """log y_t(k), at least log 0; NaN stays NaN."""
    y = log_probs[t, b, k]
    return _LOG0 if y < _LOG0 else y


@cuda.jit(device=True)
def log_sum(a, b, c):
    """log(exp a + exp b + exp c), relative to the largest of them."""
    lower, upper = min(a, b), max(a, b)
    middle, largest = min(upper, c), max(upper, c)
    return largest + math.log1p(math.exp(lower - largest) + math.exp(middle - largest))


_vector, _matrix, _array3 = float32[::1], float32[:, ::1], float32[:, :, ::1]
_signature = _array3, int32[::1], int32[:, ::1], int32[::1], _vector, _array3
KERNELS = {
    "alpha_beta": Registered(
        alpha_beta(1, MAX_THREADS, MAX_SHARED_STATES), (*_signature, _matrix), max_registers=64
    ),
    "alpha_beta_6": Registered(
        alpha_beta(6, MAX_THREADS, MAX_SHARED_STATES), (*_signature, _matrix), max_registers=128
    ),
    "validate": Registered(
        validate, (int32[::1], int32[:, ::1], int32[::1], _vector, int64, int64), max_registers=32
    ),
    "gradient": Registered(gradient, (*_signature, _array3), max_registers=64),
}
